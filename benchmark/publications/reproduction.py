"""Published figures beside measured ones: rows and verdicts, as pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from benchmark.publications.configurations import Case, Figure, Metric
from benchmark.stats.intervals import Interval, mean_interval, mean_of

FIGURES: dict[str, str] = {
    "test_accuracy": "test accuracy %",
    "test_loss": "test loss",
    "val_accuracy": "validation accuracy %",
}
"""What each metric is called."""

_NOTHING = "-"
_WORDS = {1: "one run", 2: "two runs"}


class ReproductionRow(BaseModel):
    """One figure of a published configuration beside what was measured.

    Attributes
    ----------
    label : str
        The name, and what is not as published, such as the vectors.
    metric : {"test_accuracy", "test_loss", "val_accuracy"}
        Which figure.
    published_low, published_high : float or None
        The ends of what was published; equal for one exact value, None where there is none.
    published : str
        The same for people.
    values : tuple of float
        One of each ok run, by seed.
    mean, ci_low, ci_high : float or None
        Mean over seeds and its 95 % interval (None below 3 seeds).
    seeds_expected : int
        Runs that were asked for.
    protocol : str
        What the model has seen beside the training split; empty where nothing was measured.
    verdict : str
        See `verdict`.
    notes : tuple of str
        What else a reader should know of the measurement.
    differs : tuple of str
        What is not exactly as published.
    study : str
        Name of the parent run in MLflow.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)

    name: str
    label: str
    title: str
    source: str
    url: str | None
    model: str
    dataset: str
    protocol: str
    metric: Metric
    published_low: float | None
    published_high: float | None
    published: str
    values: tuple[float, ...]
    mean: float | None
    ci_low: float | None
    ci_high: float | None
    seeds_expected: int
    verdict: str
    notes: tuple[str, ...]
    differs: tuple[str, ...]
    study: str

    @property
    def incomplete(self) -> bool:
        """Whether it was measured, but some runs are not in the mean."""
        return bool(self.protocol) and len(self.values) < self.seeds_expected


def verdict(figure: Figure | None, values: Sequence[float]) -> str:
    """Say whether a published figure is one that the measured runs could have given.

    Parameters
    ----------
    figure : Figure or None
        What was published.
    values : sequence of float, shape (n,)
        What was measured, one finite value a seed.

    Returns
    -------
    str
        ``agrees``, ``differs by +0.8 points`` (measured mean minus published figure, or the nearer end of
        a published range), ``one run; no verdict``, or ``no published figure``.

    Notes
    -----
    A published figure is most often one run with a seed of unknown luck. So the question is not whether
    it lies in the interval of our mean, which shrinks to nothing with many seeds, but whether it is
    within the range in which one more run is expected: the prediction interval
    ``mean ± t * s * sqrt(1 + 1/n)``, with ``s`` the standard deviation of the `n` measured runs and ``t``
    the quantile of Student's t for 95 % at ``n - 1`` degrees of freedom. It agrees when it is, and a
    published range, or a rounded figure, when the two have a point in common. With few seeds the range is
    wide, so "agrees" then means little more than "not contradicted": at three seeds it reaches 5 standard
    deviations to each side, at twenty 2.1. Below three there is no verdict.

    References
    ----------
    Hahn and Meeker (1991), "Statistical Intervals", section 4.7.
    """
    if figure is None:
        return "no published figure"
    expected = expected_of_one_run(values)
    if expected is None:
        return f"{_WORDS.get(len(values), 'no run')}; no verdict"
    low, high = figure.ends
    if expected.overlaps(Interval(low, high, expected.level)):
        return "agrees"
    return f"differs by {difference(figure, values)}"


def difference(figure: Figure, values: Sequence[float]) -> str:
    """Write the measured mean minus the published figure, or the nearer end of a range."""
    mean, (low, high) = statistics.fmean(values), figure.ends
    gap = mean - min(max(mean, low), high)
    if not gap:
        return "no difference"
    if figure.metric == "test_loss":
        return f"{gap:+.3f}"
    points = 100 * gap
    return f"{points:+.1f} points" if abs(points) >= 0.05 else f"{points:+.2f} points"


def expected_of_one_run(values: Sequence[float]) -> Interval | None:
    """Return the 95 % prediction interval of one more run, or None below three values."""
    interval = mean_interval(values)
    if interval is None:
        return None
    mean = (interval.low + interval.high) / 2
    half = (interval.high - interval.low) / 2 * math.sqrt(len(values) + 1)  # t s / sqrt(n) is the mean's
    return Interval(mean - half, mean + half, interval.level)


@dataclass(frozen=True)
class Measurement:
    """What was measured of a configuration, or why nothing was.

    Attributes
    ----------
    dataset : str
        On what.
    protocol : str
        What the model had seen beside the training split; empty where nothing was measured.
    values : dict of str to tuple of float
        By metric, one value of each ok run.
    notes : tuple of str
        What else a reader should know; where nothing was measured, why, and how to change that.
    needs : str
        What is missing here; empty where nothing is.
    """

    dataset: str
    protocol: str = ""
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    needs: str = ""


def reproduction_rows(case: Case, measured: Measurement) -> list[ReproductionRow]:
    """Make a row for each published figure of a configuration, or one where there is none.

    Parameters
    ----------
    case : Case
        The configuration, and how it was to be run. With the user's vectors there is no verdict, only
        the difference.
    measured : Measurement
        What came of it.
    """
    return [_row(case, figure, measured) for figure in case.publication.published or (None,)]


def _row(case: Case, figure: Figure | None, measured: Measurement) -> ReproductionRow:
    publication, label = case.publication, case.name
    metric: Metric = figure.metric if figure else "test_accuracy"
    values = measured.values.get(metric, ())
    interval, (low, high) = mean_interval(values), figure.ends if figure else (None, None)
    if interval:
        interval = interval.within(0, math.inf if metric == "test_loss" else 1)
    if case.own_vectors and measured.protocol:
        label = f"{publication.name} (own vectors, protocol {measured.protocol})"
    return ReproductionRow(
        name=publication.name,
        label=label,
        title=publication.title,
        source=publication.source.title,
        url=publication.source.url,
        model=publication.model,
        dataset=measured.dataset,
        protocol=measured.protocol,
        metric=metric,
        published_low=low,
        published_high=high,
        published=published_text(figure),
        values=values,
        mean=mean_of(values) if values else None,
        ci_low=interval.low if interval else None,
        ci_high=interval.high if interval else None,
        seeds_expected=case.seeds,
        verdict=_said(case, figure, measured, values),
        notes=(*measured.notes, *_outside(case, metric, values), *_origin(figure)),
        differs=publication.differs,
        study=case.study,
    )


def best_epoch(curves: Sequence[Mapping[str, Sequence[float]]]) -> str:
    """Say which epoch has the best mean validation accuracy, where that is not the last one.

    Parameters
    ----------
    curves : sequence of mapping of str to sequence of float
        Of each ok run, ``val_accuracy`` by epoch among them.

    Returns
    -------
    str
        Empty where there is nothing to say.
    """
    by_run = [curve["val_accuracy"] for curve in curves if curve.get("val_accuracy")]
    means = [statistics.fmean(values) for values in zip(*by_run, strict=False)]
    if not means or max(means) == means[-1]:
        return ""
    best = max(range(len(means)), key=means.__getitem__)
    return (
        f"validation accuracy is best at epoch {best + 1} of {len(means)}, "
        f"{100 * means[best]:.1f} % (at the last {100 * means[-1]:.1f} %)"
    )


def _said(case: Case, figure: Figure | None, measured: Measurement, values: Sequence[float]) -> str:
    if not measured.protocol:
        return "not measured" + (f": needs {measured.needs}" if measured.needs else "")
    if not values:
        return "failed: no run came to its end; traceback.txt of each is in MLflow"
    if case.own_vectors and figure is not None:
        return f"other vectors, no verdict ({difference(figure, values)})"
    return verdict(figure, values)


def _origin(figure: Figure | None) -> tuple[str, ...]:
    return (f"the published figure: {figure.note}",) if figure and figure.note else ()


def _outside(case: Case, metric: str, values: Sequence[float]) -> tuple[str, ...]:
    band = case.publication.band
    if band is None or band.metric != metric or case.own_vectors or not values:
        return ()
    mean = statistics.fmean(values)
    if band.low <= mean <= band.high:
        return ()
    low, high = number(band.low, metric), number(band.high, metric)
    return (f"the mean, {number(mean, metric)}, is outside the band expected here, {low} to {high}",)


def published_text(figure: Figure | None) -> str:
    """Write a published figure: ``87.3``, ``about 76``, ``53.66 to 56``."""
    if figure is None:
        return _NOTHING
    if figure.value is None:
        return " to ".join(_short(end, figure.metric) for end in figure.ends)
    return ("about " if figure.about else "") + _short(figure.value, figure.metric)


def _short(value: float, metric: str) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".") if metric == "test_loss" else f"{100 * value:.4g}"


def number(value: float, metric: str) -> str:
    """Write a measured value: percent with one decimal, a loss with three."""
    return f"{value:.3f}" if metric == "test_loss" else f"{100 * value:.1f}"
