"""What may be said of two systems, when ``compare --until-decided`` may stop, and the ranks of a board."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.comparisons import Comparison, Correctness, Difference, compare
from benchmark.stats.crossed import critical_value
from benchmark.stats.intervals import MIN_SEEDS, check_level

MOST_SEEDS = 1000
_POWER = 2.0  # by which the error of several looks is spent

Outcome = Literal["better", "worse", "equivalent", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """The outcome of a comparison, from A's side.

    Attributes
    ----------
    outcome : str
        ``better``, ``worse``, ``equivalent`` or ``undecided``.
    more_seeds : int or None
        For ``undecided``: how many further seeds it would take if difference and variances stayed as
        they are. None where no number up to `MOST_SEEDS` in all would do.
    test_set_is_limit : bool
        Whether no number of seeds at all would do, since the test set has too few examples.
    """

    outcome: Outcome
    more_seeds: int | None = None
    test_set_is_limit: bool = False


def verdict(comparison: Difference, corrected_p: float | None = None) -> Verdict:
    """Decide.

    Parameters
    ----------
    comparison : Difference
        Of A and B.
    corrected_p : float, optional
        The p-value corrected for the other comparisons of a board (`holm`). If given, ``better`` and
        ``worse`` need it below ``1 - level``, too.

    Returns
    -------
    Verdict
        ``equivalent`` where the whole interval lies within the margin, **also where it excludes 0**:
        such a difference is real, and by the choice of margin not worth talking about. Otherwise
        ``better`` or ``worse`` where the interval excludes 0, otherwise ``undecided``.
    """
    found = outcome(comparison, corrected_p)
    if found != "undecided":
        return Verdict(found)
    if comparison.interval is None:
        return Verdict("undecided", MIN_SEEDS - comparison.n_seeds)
    alpha = 1 - comparison.level
    if corrected_p is not None and comparison.p_value and corrected_p < 1:
        alpha *= comparison.p_value / corrected_p
    return _outlook(comparison, alpha)


def outcome(comparison: Difference, corrected_p: float | None = None) -> Outcome:
    """Return the outcome of `verdict` alone, which costs far less than the number of further seeds."""
    interval = comparison.interval
    if interval is None:
        return "undecided"
    if max(-interval.low, interval.high) <= comparison.margin:
        return "equivalent"
    if corrected_p is not None and corrected_p >= 1 - comparison.level:
        return "undecided"
    return "better" if interval.low > 0 else "worse" if interval.high < 0 else "undecided"


def _outlook(comparison: Difference, alpha: float) -> Verdict:
    """Find the first number of seeds with which the present difference and variances would decide."""
    parts = comparison.components
    assert parts is not None
    seeds = np.arange(comparison.n_seeds + 1, MOST_SEEDS + 1, dtype=np.float64)
    from_seeds = (parts.seeds + parts.interaction / comparison.n_examples) / seeds
    from_examples = parts.examples / comparison.n_examples
    variance = from_seeds + from_examples
    distance, limit = abs(comparison.difference), 0.0
    enough = np.zeros(seeds.size, dtype=bool)
    # The interval excludes 0 at the corrected error, or lies within the margin at the plain one.
    for error, target in ((alpha, distance), (1 - comparison.level, comparison.margin - distance)):
        share = np.divide(from_seeds, variance, out=np.zeros_like(variance), where=variance > 0)
        enough |= critical_value(error, seeds, share) * np.sqrt(variance) < target
        normal = float(critical_value(error, 2, np.zeros(())))
        limit = max(limit, target - normal * math.sqrt(from_examples))
    found = np.flatnonzero(enough)
    more = int(seeds[found[0]]) - comparison.n_seeds if found.size else None
    return Verdict("undecided", more, test_set_is_limit=more is None and limit <= 0)


def sentence(comparison: Difference, name_a: str, name_b: str, found: Verdict | None = None) -> str:
    """Say the verdict in one sentence, in points (hundredths of accuracy).

    ``nbsvm is better than avg-pool by 3.4 points (2.9 to 3.9)``
    """
    result = found or verdict(comparison)
    interval = comparison.interval
    if interval is None:
        return f"{name_a} and {name_b}: undecided, {comparison.reason}"
    first = comparison.difference >= 0
    low, high = (interval.low, interval.high) if first else (-interval.high, -interval.low)
    span = f"{_points(abs(comparison.difference))} points ({_points(low)} to {_points(high)})"
    if result.outcome in ("better", "worse"):
        return f"{name_a} is {result.outcome} than {name_b} by {span}"
    ahead, behind = (name_a, name_b) if first else (name_b, name_a)
    state = (
        f"{ahead} is ahead of {behind} by {span}" if comparison.difference else f"the difference is {span}"
    )
    if result.outcome == "equivalent":
        return f"{name_a} and {name_b} are equivalent within {_points(comparison.margin)} points: {state}"
    return f"{name_a} and {name_b}: undecided, {state}; {_advice(comparison, result)}"


def _advice(comparison: Difference, result: Verdict) -> str:
    if result.more_seeds is not None:
        seeds = "seed" if result.more_seeds == 1 else "seeds"
        return f"about {result.more_seeds} more {seeds} would decide if this difference stays"
    if result.test_set_is_limit:
        size = f"{comparison.n_examples:,} test examples"
        return f"no number of seeds would decide if this difference stays: {size} are too few"
    return f"more than {MOST_SEEDS:,} seeds would be needed"


def _points(accuracy: float) -> str:
    text = f"{100 * accuracy:.1f}"
    return "0.0" if text == "-0.0" else text


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct the p-values of all comparisons of a board, so that one false claim is unlikely.

    Parameters
    ----------
    p_values : sequence of float or None
        None stands for a comparison that was not tested; it stays None and does not count.

    Returns
    -------
    list of float or None
        In the given order: sorted upwards, the i-th of m is multiplied by ``m - i + 1``, is no smaller
        than the one before it, and at most 1.

    References
    ----------
    Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6(2), 65-70.
    """
    tested = [index for index, p in enumerate(p_values) if p is not None]
    values = np.array([p_values[index] for index in tested], dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p_values: got {list(p_values)}, expected numbers from 0 to 1")
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(values.size, 0, -1)
    corrected: list[float | None] = [None] * len(p_values)
    for place, value in zip(order, np.minimum(np.maximum.accumulate(steps), 1.0), strict=True):
        corrected[tested[place]] = float(value)
    return corrected


def shared_ranks(means: Sequence[float], separated: NDArray[np.bool_]) -> list[int]:
    """Rank rows so that a rank says no more than the comparisons do.

    The rank of a row is 1 plus the number of rows with a higher mean from which it is separated: rank 1
    is for every row that none was shown to beat, and rank 4 says that three were. One thing is added:
    ranks do not fall going down by the mean. A row so noisy that little separates it from anything would
    otherwise stand above better-measured rows with higher means; it takes the rank of the lowest-ranked
    row above it instead.

    Parameters
    ----------
    means : sequence of float, shape (n,)
        Mean accuracy of each row, in any order.
    separated : ndarray of bool, shape (n, n)
        Symmetric; True where one of two rows was shown to be better.

    Returns
    -------
    list of int, length n
        In the order of `means`. Renumbering the rows changes nothing but that order. Where row 1 cannot
        be separated from 2, nor 2 from 3, but 1 from 3, the ranks are 1, 1, 2.
    """
    values = np.asarray(means, dtype=np.float64)
    higher = values[None, :] > values[:, None]
    own = 1 + (higher & separated).sum(axis=1)
    above = np.where(higher, own[None, :], 1).max(axis=1, initial=1)
    return [int(rank) for rank in np.maximum(own, above)]


@dataclass(frozen=True)
class SequentialPlan:
    """After how many seeds the data are looked at, and how sure each look must be.

    Attributes
    ----------
    max_seeds : int
        Seeds at the last look, at least `first`.
    first : int
        Seeds at the first look, at least `MIN_SEEDS`.
    step : int
        Seeds from one look to the next, at least 1; the last step may be shorter.
    level : float
        1 minus the error that is allowed over all looks together, in (0, 1).

    Raises
    ------
    ValueError
        When a number is out of its range.

    Notes
    -----
    The error is spent as in Lan and DeMets (1983), by the power family of Kim and DeMets (1987): after
    k of `max_seeds` seeds ``(1 - level) (k / max_seeds)²`` of it may be gone. What a look adds is the
    error of that look alone (Bonferroni), so the sum holds whatever the looks have in common (they share
    seeds and all test examples), and also with three seeds, where the usual approximation by Brownian
    motion does not. The price is some caution: the true error is about half of what is allowed.

    References
    ----------
    Lan and DeMets (1983), "Discrete sequential boundaries for clinical trials", Biometrika 70(3),
    659-663. Kim and DeMets (1987), "Design and analysis of group sequential tests based on the type I
    error spending rate function", Biometrika 74(1), 149-154. Jennison and Turnbull (1989), "Interim
    analyses: the repeated confidence interval approach", JRSS B 51(3), 305-361.
    """

    max_seeds: int
    first: int = MIN_SEEDS
    step: int = 1
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.first < MIN_SEEDS:
            raise ValueError(f"first: got {self.first}, expected at least {MIN_SEEDS} seeds")
        if self.max_seeds < self.first:
            raise ValueError(f"max_seeds: got {self.max_seeds}, expected at least first ({self.first})")
        if self.step < 1:
            raise ValueError(f"step: got {self.step}, expected at least 1")
        check_level(self.level)

    @property
    def looks(self) -> tuple[int, ...]:
        """Number of seeds at each look."""
        return (*range(self.first, self.max_seeds, self.step), self.max_seeds)

    def level_at(self, look: int) -> float:
        """Coverage that the interval of this look (counted from 0) must have."""
        before = self._spent(self.looks[look - 1]) if look else 0.0
        return 1 - (self._spent(self.looks[look]) - before)

    def _spent(self, seeds: int) -> float:
        return (1 - self.level) * float((seeds / self.max_seeds) ** _POWER)


def take_look(
    a: Correctness, b: Correctness, plan: SequentialPlan, look: int, *, margin: float = 0.005
) -> tuple[Comparison, Verdict, bool]:
    """Compare the seeds that this look is about, and say whether to go on.

    Parameters
    ----------
    a, b : ndarray of bool or of 0 and 1, shape (K, N)
        As for `compare`; K is at least ``plan.looks[look]``, and further rows are not read.
    plan : SequentialPlan
        Fixed before the first look.
    look : int
        Which look, counted from 0.
    margin : float
        The smallest difference of accuracy that matters.

    Returns
    -------
    comparison : Comparison
        At the level of this look: its interval holds although the data are looked at more than once.
    verdict : Verdict
        From that interval.
    stop : bool
        Whether the verdict is final: decided (``equivalent`` is a decision, too), or no look is left.

    Raises
    ------
    ValueError
        When there are fewer seeds than the look is about.
    """
    seeds = plan.looks[look]
    if min(len(a), len(b)) < seeds:
        raise ValueError(f"look {look}: got {min(len(a), len(b))} seeds, expected {seeds}")
    comparison = compare(a[:seeds], b[:seeds], margin=margin, level=plan.level_at(look))
    found = verdict(comparison)
    return comparison, found, found.outcome != "undecided" or seeds == plan.max_seeds
