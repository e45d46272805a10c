"""Budget curves of the searches of a section, for the HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from benchmark.metrics.metric import ACCURACY, Metric, get_metric
from benchmark.stats.budget_curves import Curve, best_within_seconds, crossings, expected_best

Trial = tuple[float | None, float]

_RESAMPLES = 200  # enough for a band that is drawn, and a board of thirty searches takes seconds
_SHORTEST = 1e-3  # seconds; a trial that failed at once has still taken some time


def section_searches(searches: Mapping[int, Sequence[Trial]], metric: Metric | None = None) -> dict[str, Any]:
    """Compute the curves of the expected best on the validation split, and where they cross.

    Parameters
    ----------
    searches : mapping of int to sequence of (float or None, float)
        By the place of the row, as in `benchmark.board.rows.Details`.
    metric : Metric, optional
        Of the trials' values; accuracy by default.

    Returns
    -------
    dict of str to object
        For ``trials`` and for ``seconds``: ``curves`` by row, each with lists ``x``, ``mean``, ``low``
        and ``high``, and ``crossings`` by rising budget. And ``counts`` by row: all trials, and those
        without a value.

    Notes
    -----
    A pruned trial counts with the value that it had reached. A trial without a value has cost budget and
    left its user with nothing better: it counts as the worst value seen in its search. A search without
    any value has no curve.
    """
    metric = metric or get_metric(ACCURACY)
    # Where less is better everything is computed with the opposite sign, and turned at the end.
    scores = {row: _scores(trials, metric.sign) for row, trials in searches.items()}
    known = {row: values for row, values in scores.items() if values}
    costs = {row: [max(seconds, _SHORTEST) for _, seconds in searches[row]] for row in known}
    by_trials = {
        row: _within(expected_best(values, resamples=_RESAMPLES), metric) for row, values in known.items()
    }
    by_seconds = {
        row: _within(best_within_seconds(values, costs[row], resamples=_RESAMPLES), metric)
        for row, values in known.items()
    }
    return {
        "counts": {
            row: [len(trials), sum(value is None for value, _ in trials)] for row, trials in searches.items()
        },
        "trials": _unit(by_trials, metric.sign),
        "seconds": _unit(by_seconds, metric.sign),
    }


def _scores(trials: Sequence[Trial], sign: int) -> list[float]:
    known = [sign * value for value, _ in trials if value is not None]
    return [min(known) if value is None else sign * value for value, _ in trials] if known else []


def _within(curve: Curve, metric: Metric) -> Curve:
    """Cut the band, which is symmetric, to what the metric can be."""
    low, high = sorted((metric.sign * metric.low, metric.sign * metric.high))
    return replace(curve, low=np.clip(curve.low, low, high), high=np.clip(curve.high, low, high))


def _unit(curves: Mapping[int, Curve], sign: int) -> dict[str, Any]:
    found = [
        crossing
        for first, second in combinations(curves, 2)
        for crossing in _crossings(curves, first, second)
    ]
    return {
        "curves": {row: _points(curve, sign) for row, curve in curves.items()},
        "crossings": sorted(found, key=lambda crossing: crossing["budget"]),
    }


def _points(curve: Curve, sign: int) -> dict[str, list[float]]:
    low, high = (curve.low, curve.high) if sign > 0 else (curve.high, curve.low)
    ok = np.isfinite(curve.mean) & np.isfinite(curve.low) & np.isfinite(curve.high)
    columns = {"x": curve.budgets, "mean": sign * curve.mean, "low": sign * low, "high": sign * high}
    return {name: [float(f"{value:.5g}") for value in values[ok]] for name, values in columns.items()}


def _crossings(curves: Mapping[int, Curve], first: int, second: int) -> list[dict[str, Any]]:
    """Describe each crossing of two curves: who is ahead from there on, and whether the bands ever part.

    Where two curves meet, their bands overlap. The record says whether they part on the way to the crossing
    before, and on the way to the next one.
    """
    a, b = curves[first], curves[second]
    found = crossings(a, b)
    ends = [-np.inf, *(budget for budget, _ in found), np.inf]
    return [
        {
            "budget": float(f"{budget:.5g}"),
            "ahead": first if first_leads else second,
            "behind": second if first_leads else first,
            "first_place": _leads(curves, budget, (first, second)),
            "apart_before": _apart(a, b, ends[place], budget),
            "apart_after": _apart(a, b, budget, ends[place + 2]),
        }
        for place, (budget, first_leads) in enumerate(found)
    ]


def _leads(curves: Mapping[int, Curve], budget: float, pair: tuple[int, int]) -> bool:
    """Return whether no other curve that is known at a budget is above the two that meet there."""
    mine = _at(curves[pair[0]], curves[pair[0]].mean, budget)
    others = (_at(curve, curve.mean, budget) for row, curve in curves.items() if row not in pair)
    return not any(other > mine for other in others)


def _apart(a: Curve, b: Curve, low: float, high: float) -> bool:
    """Return whether the bands of two curves are apart at any budget between two."""
    budgets = np.union1d(a.budgets, b.budgets)
    budgets = budgets[(budgets > low) & (budgets < high)]
    return any(
        _at(a, a.low, budget) > _at(b, b.high, budget) or _at(b, b.low, budget) > _at(a, a.high, budget)
        for budget in budgets
    )


def _at(curve: Curve, values: np.ndarray[Any, np.dtype[np.float64]], budget: float) -> float:
    """Value at a budget, on straight lines between the points; NaN where it is not known."""
    ok = np.isfinite(curve.mean)
    return float(np.interp(budget, curve.budgets[ok], values[ok], left=np.nan, right=np.nan))
