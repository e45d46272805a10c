"""Means over seeds: what a sweep's run in MLflow says of its tiers, for MLflow's own table and charts."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any, Protocol

from benchmark.metrics.metric import all_metrics
from benchmark.spec.result import TEST_VALUE
from benchmark.stats.intervals import mean_interval, mean_of
from benchmark.tracking import names
from benchmark.tracking.record import milliseconds
from benchmark.tracking.runs import StoredRun, find_runs
from benchmark.tracking.store import patiently, tried


class Tier(Protocol):
    """A row of a board, as far as it is needed here."""

    @property
    def study(self) -> str:
        """Whose row it is."""
        ...

    @property
    def tier(self) -> str:
        """``default``, ``tuned`` or ``default+tuned``."""
        ...

    @property
    def run_ids(self) -> Sequence[str]:
        """The runs that count."""
        ...


def write_means(client: Any, dataset: str, rows: Iterable[Tier]) -> bool:
    """Write what is new of the means of a board's rows over seeds to the runs of their sweeps.

    They can be made again at any time, so they are given up where the store does not take them.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store.
    dataset : str
        Name of the data set, which is the name of the experiment.
    rows : iterable of Tier
        Of any sweeps of the data set.

    Returns
    -------
    bool
        Whether the sweeps' runs have all of them.
    """
    studies: dict[str, list[Tier]] = defaultdict(list)
    for row in rows:
        studies[row.study].append(row)
    return all(tried(partial(_write, client, dataset, study, tiers)) for study, tiers in studies.items())


def _write(client: Any, dataset: str, study: str, rows: Iterable[Tier]) -> None:
    kinds = (names.SWEEP, names.FINAL_RUN)
    found = patiently(lambda: find_runs(client, dataset, kinds, STUDY=study))
    runs = {run.run_id: run for run in found}
    means = {
        f"{tier}_{name}": value
        for row in rows
        for name, value in tier_figures([runs[one] for one in row.run_ids if one in runs]).items()
        for tier in row.tier.split("+")
    }
    for sweep in (run for run in found if run.kind == names.SWEEP):
        if new := {name: value for name, value in means.items() if sweep.metrics.get(name) != value}:
            patiently(partial(_log, client, sweep.run_id, new))


def tier_figures(runs: Sequence[StoredRun]) -> dict[str, float]:
    """Return the figures of a tier, by the end of their name; none where it has no runs.

    Parameters
    ----------
    runs : sequence of StoredRun
        One of each seed.

    Returns
    -------
    dict of str to float
        ``test_<metric>_mean``, and its 95 % interval over seeds, ``_ci_low`` and ``_ci_high``, from three
        seeds on, of every metric that all runs have; ``seeds``; ``train_seconds``, the median of a run.
    """
    if not runs:
        return {}
    figures = {"seeds": float(len(runs))}
    seconds = [run.train_seconds for run in runs if run.train_seconds is not None]
    if seconds:
        figures["train_seconds"] = median(seconds)
    for metric in all_metrics():
        name = TEST_VALUE.format(metric.name)
        values = [run.metrics.get(name, math.nan) for run in runs]
        if not all(map(math.isfinite, values)):
            continue
        figures[f"{name}_mean"] = mean_of(values)
        if interval := mean_interval(values, **metric.of_seeds):
            figures |= {f"{name}_ci_low": interval.low, f"{name}_ci_high": interval.high}
    return figures


def _log(client: Any, run_id: str, figures: Mapping[str, float]) -> None:
    from mlflow.entities import Metric

    now = milliseconds()
    client.log_batch(run_id, metrics=[Metric(name, value, now, 0) for name, value in figures.items()])
