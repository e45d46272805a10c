"""The verdict of ``compare``: one sentence, and the figures behind it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from benchmark.board.gate import Gate
from benchmark.board.ranking import scale_of
from benchmark.board.rows import BoardRow
from benchmark.metrics.metric import ACCURACY, get_metric
from benchmark.report.class_tables import Classes
from benchmark.report.columns import NOTHING, counted, decimal, failures, score, seeds, whole
from benchmark.stats.intervals import Interval
from benchmark.stats.spread import MIN_EXAMPLES
from benchmark.stats.verdicts import Comparison, Scale, SequentialPlan, reach, sentence

_NEW = {"seeds": "new seeds and new test examples", "folds": "new data of this kind; heuristic"}


@dataclass(frozen=True)
class Compared:
    """Two rows and what was found.

    Attributes
    ----------
    a, b : BoardRow
        The rows.
    comparison : Comparison
        From a's side.
    family : str
        What interval and p-value are corrected for, in words; "" with a plan.
    plan : SequentialPlan or None
        Where seeds were added until it was decided: when comparisons were made.
    classes : Classes or None
        Their answers by class, where predictions are stored.
    gate : Gate or None
        Whether A is worse than B by more than the margin, where that was asked.
    """

    a: BoardRow
    b: BoardRow
    comparison: Comparison
    family: str
    plan: SequentialPlan | None = None
    classes: Classes | None = None
    gate: Gate | None = None

    @property
    def sentence(self) -> str:
        """The verdict in words; models in the same tier go by their names alone."""
        names = (self.a.model, self.b.model)
        if self.a.tier != self.b.tier or self.a.model == self.b.model:
            names = (self.a.name, self.b.name)
        return sentence(self.comparison, *names)

    def record(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "sentence": self.sentence,
            "outcome": self.comparison.outcome,
            "comparison": dataclasses.asdict(self.comparison),
            "family": self.family,
            "plan": None if self.plan is None else dataclasses.asdict(self.plan),
            "a": self.a.model_dump(mode="json"),
            "b": self.b.model_dump(mode="json"),
            "classes": [] if self.classes is None else self.classes.shown(),
            "notes": notes(self),
        }


@dataclass(frozen=True)
class ComparedByExample:
    """Two rows of which one has too few seeds, compared over test examples alone.

    Attributes
    ----------
    a, b : BoardRow
        The rows.
    difference, p_value : float
        From a's side, by `benchmark.stats.intervals.example_difference`.
    interval : Interval
        Over other examples of this kind.
    examples : int
        How many there are.
    margin : float or None
        Rows are equivalent where the interval lies within it.
    gate : Gate or None
        As in `Compared`.
    """

    a: BoardRow
    b: BoardRow
    difference: float
    interval: Interval
    p_value: float
    examples: int
    margin: float | None = None
    gate: Gate | None = None

    @property
    def sentence(self) -> str:
        """The verdict, and for what it holds."""
        metric = get_metric(self.a.metric)
        scale = scale_of(metric)
        low, high = scale.text(self.interval.low), scale.text(self.interval.high)
        span = f"{scale.with_unit(self.difference)} ({low} to {high})"
        how = "better" if metric.sign * self.difference > 0 else "worse"
        enough, widest = self.examples >= MIN_EXAMPLES, max(-self.interval.low, self.interval.high)
        if enough and self.margin is not None and widest <= self.margin:
            said = f"and {self.b.name} are equivalent within {scale.with_unit(self.margin)}"
        elif enough and self.p_value < 1 - self.interval.level:
            said = f"is {how} than {self.b.name}"
        else:
            said = f"and {self.b.name}: undecided"
        return (
            f"{self.a.name} {said}, difference {span}: for these trained models, on other examples of this "
            "kind; nothing is said of further seeds"
        )

    def record(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        rows = {"a": self.a.model_dump(mode="json"), "b": self.b.model_dump(mode="json")}
        interval = dataclasses.asdict(self.interval)
        found = {"difference": self.difference, "interval": interval, "p_value": self.p_value}
        return {"sentence": self.sentence, "by_example": {**found, "examples": self.examples}, **rows}

    def text(self) -> str:
        """Write the verdict and what is to be known of the rows, for a terminal."""
        figures = f"{self.examples:,} test examples, p {p_value(self.p_value)} (not corrected)"
        rows = (self.a, self.b)
        lines = [
            self.sentence,
            "",
            *(f"{row.name}  {score(row)}, seeds {seeds(row)}" for row in rows),
            figures,
        ]
        return "\n".join([*lines, *(f"{row.name}: {'; '.join(row.notes)}" for row in rows if row.notes)])


def to_text(compared: Compared) -> str:
    """Write the verdict, the two rows, and the figures, for a terminal."""
    figures = [*_figures(compared), *_costs(compared)]
    width = max(len(name) for name, _ in figures)
    lines = [compared.sentence, ""]
    lines += [f"{name:<{width}}  {text}" for name, text in figures]
    if compared.classes is not None:
        lines += ["", *compared.classes.lines(compared.a.name, compared.b.name)]
    return "\n".join([*lines, *("", *notes(compared))])


def _figures(compared: Compared) -> list[tuple[str, str]]:
    found, interval = compared.comparison, compared.comparison.interval
    rows = (compared.a, compared.b)
    metric = get_metric(compared.a.metric)
    unit = " %" if metric.name == ACCURACY else f"{' %' if metric.percent else ''} {metric.title}"
    low, high = (_signed(end, found.scale) for end in (interval.low, interval.high))
    ends = f"{low.removesuffix(' points')} to {high}"
    return [
        *((row.name, f"{score(row)}{unit}, {_repeated(row)}") for row in rows),
        ("difference", _signed(found.difference, found.scale)),
        (f"{100 * interval.level:.4g} % interval", f"{ends} ({_NEW[found.unit]})"),
        ("p-value", f"{p_value(found.p_value)}, corrected {p_value(found.p_corrected)}"),
        ("equivalence", f"p {p_value(found.equivalence_p)}, corrected"),
        (f"what {found.unit} can show", reach(found)),
        *((f"seeds of {row.name} that fail", failures(row)) for row in rows),
    ]


def _repeated(row: BoardRow) -> str:
    return f"seeds: {seeds(row)}" if row.folds else f"{seeds(row)} seeds"


def _costs(compared: Compared) -> list[tuple[str, str]]:
    found = []
    for row in (compared.a, compared.b):
        trials = counted(row.search_trials, "trial")
        search = f"one search of {trials}, {decimal(row.search_seconds, 0)} s"
        search = search if row.search_trials else "no search"
        run = f"{decimal(row.train_seconds_median, 1)} s a run, {whole(row.parameters)} parameters"
        found.append((f"cost of {row.name}", f"{run}, {search}"))
    return found


def notes(compared: Compared) -> list[str]:
    """Say what a reader of the verdict must know beside it."""
    a, b, plan = compared.a, compared.b, compared.plan
    found = []
    for what in ("budget", "protocol", "optimised_for"):
        if getattr(a, what) != getattr(b, what):
            name = what.replace("_", " ")
            found.append(f"Not the same {name}: {a.name} {getattr(a, what)}, {b.name} {getattr(b, what)}.")
    if a.exploratory or b.exploratory:
        title = get_metric(a.metric).title
        found.append(
            f"Exploratory: {title} was chosen after the runs, which were optimised for another metric."
        )
    if a.search_trials and b.search_trials and a.search_trials != b.search_trials:
        found.append(f"Not tuned at equal cost: {a.search_trials} and {b.search_trials} trials.")
    if a.refit_texts != b.refit_texts:
        texts = (f"{row.name} {row.refit_texts or 'no'}" for row in (a, b))
        found.append(
            f"Not trained on the same texts; fitted again with validation texts: {', '.join(texts)}."
        )
    if compared.comparison.unit == "folds":
        found.append(
            "Heuristic: folds share training texts, and no unbiased variance exists (Bengio and Grandvalet "
            "2004)."
        )
    for row in (a, b):
        if not row.complete:
            found.append(f"{row.name}: {'; '.join(row.notes)}.")
    if plan is not None:
        analyses = ", ".join(map(str, plan.analyses))
        found.append(
            f"Compared after {analyses} seeds, or until decided: the interval is as wide as the share "
            f"of this one in the error of {100 * (1 - plan.level):.3g} % asks."
        )
    else:
        found.append(f"Interval and p-values: {compared.family}.")
    if compared.classes is not None:
        found.append(compared.classes.note)
    return found


def p_value(p: float | None) -> str:
    """Write a p-value: three decimals, or that it is smaller."""
    if p is None:
        return NOTHING
    return "below 0.001" if p < 0.0005 else f"{p:.3f}"


def _signed(difference: float, scale: Scale) -> str:
    text = f"{100 * difference:+z.2f}" if scale.percent else f"{difference:+z.4f}"
    return f"{text if text.strip('+-0.') else text.lstrip('+')}{' points' if scale.percent else ''}"
