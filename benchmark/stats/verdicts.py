"""What may be said of pairs of rows: families of comparisons, ranks, and when more seeds may stop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.differences import Differences
from benchmark.stats.intervals import MIN_SEEDS, Interval, check_level
from benchmark.stats.moderation import FloatArray
from benchmark.stats.spread import MIN_EXAMPLES, MIN_OF_CLASS

MORE_SEEDS = 10
"""What this number of seeds could show is said beside what those that are there can."""

_POWER = 0.8
_STEP = 1e-3  # of a derivative
_SPENDING = 2.0  # power by which the error of several interim analyses is spent

Outcome = Literal["better", "worse", "equivalent", "undecided"]


@dataclass(frozen=True)
class Scale:
    """In what differences are: by default in shares of right answers.

    Attributes
    ----------
    larger_is_better : bool
        Its direction.
    percent : bool
        Whether people read its hundredths, which are points.
    most : float
        The largest difference there can be.
    """

    larger_is_better: bool = True
    percent: bool = True
    most: float = 1.0

    def text(self, difference: float) -> str:
        """Write a difference without its unit, and no negative zero."""
        return f"{100 * difference:z.1f}" if self.percent else f"{difference:z.3f}"

    def with_unit(self, difference: float) -> str:
        """Write a difference: ``3.4 points``, or ``0.051`` where there are no points."""
        return self.text(difference) + (" points" if self.percent else "")


ACCURACY = Scale()


@dataclass(frozen=True)
class Comparison:
    """Two rows, A and B, compared as one of a family; differences are shares, not points.

    Attributes
    ----------
    n_seeds : tuple of int
        Runs of A and of B.
    n_examples : int
        Test examples.
    comparisons : int
        How many the family has, for which interval and p-values are corrected.
    margin : float or None
        The smallest difference that matters; None where none is too small.
    difference : float
        Mean of A less that of B.
    interval : Interval
        Of the expected difference over new seeds and new examples, at the level at which Holm's procedure has
        tested it: it excludes 0 exactly where `p_corrected` is below the error of the family.
    p_value, p_corrected : float
        Of no expected difference, alone and in the family.
    equivalence_p : float
        Of a difference as large as the margin, corrected.
    outcome : str
        ``better``, ``worse``, ``equivalent`` or ``undecided``, from A's side.
    detectable, detectable_by_more : float
        The difference that is found with 80 % in this family, by the seeds that are there, and by
        `MORE_SEEDS` of both (more of them where there are more).
    n_of_class : int or None
        Test examples of the smallest class, where each class counts the same.
    scale : Scale
        In what the differences are.
    unit : str
        What `n_seeds` counts: ``seeds`` or ``folds``.
    """

    n_seeds: tuple[int, int]
    n_examples: int
    comparisons: int
    margin: float | None
    difference: float
    interval: Interval
    p_value: float
    p_corrected: float
    equivalence_p: float
    outcome: Outcome
    detectable: float
    detectable_by_more: float
    n_of_class: int | None = None
    scale: Scale = ACCURACY
    unit: str = "seeds"

    @property
    def a_is_ahead(self) -> bool:
        """Whether A has the better mean, or the same."""
        return self.difference == 0 or (self.difference > 0) == self.scale.larger_is_better

    def turned(self) -> Comparison:
        """Return the same from B's side."""
        turned: dict[Outcome, Outcome] = {"better": "worse", "worse": "better"}
        return replace(
            self,
            n_seeds=self.n_seeds[::-1],
            difference=-self.difference,
            interval=Interval(-self.interval.high, -self.interval.low, self.interval.level),
            outcome=turned.get(self.outcome, self.outcome),
        )


def family(
    found: Differences,
    n_seeds: Sequence[tuple[int, int]],
    *,
    margin: float | None = 0.005,
    level: float = 0.95,
    unsteady: Sequence[tuple[bool, bool]] = (),
    scale: Scale = ACCURACY,
) -> list[Comparison]:
    """Decide the comparisons of a family together.

    Parameters
    ----------
    found : Differences
        Of all its pairs.
    n_seeds : sequence of (int, int)
        Runs of the two rows of each pair.
    margin : float or None
        The smallest difference that matters, at least 0; None: none is too small, and nothing equivalent.
    level : float
        1 minus the error that is allowed for the family: that any of its "better" and "worse" is wrong,
        and, apart from that, that any of its "equivalent" is.
    unsteady : sequence of (bool, bool), optional
        For each pair, which of the two had runs that failed to learn or diverged: such a row is never
        "better" or "equivalent", since what it does on average is not known.
    scale : Scale
        In what the differences are.

    Returns
    -------
    list of Comparison
        ``equivalent`` where a difference as large as the margin is excluded, **also where 0 is excluded**:
        such a difference is real, and by the choice of margin not worth talking about. Otherwise ``better``
        or ``worse`` where the corrected p-value is below ``1 - level``, otherwise ``undecided``; also with
        too few test examples (`Differences.enough`). Where all examples of a class show the same difference,
        nothing is equivalent.
    """
    check_level(level)
    if margin is not None and not margin >= 0:
        raise ValueError(f"margin: got {margin}, expected 0 or more")
    p_values, equal = found.p_values(), found.equivalence_p_values(margin or 0.0)
    equal = np.where(found.constant, 1.0, equal)
    corrected, alphas = holm(p_values, 1 - level)
    equal_corrected, _ = holm(equal, 1 - level)
    half = found.half_width(alphas)
    strict = np.full(p_values.shape, (1 - level) / max(1, p_values.size))
    needs = detectable(found, strict)
    pairs = np.array(n_seeds, dtype=np.float64).reshape(-1, 2).T
    needs_more = detectable(found, strict, pairs, np.maximum(pairs, MORE_SEEDS))
    comparisons = []
    for place in range(p_values.size):
        shaky = unsteady[place] if unsteady else (False, False)
        outcome: Outcome = "undecided"
        ahead = bool(found.mean[place] > 0) == scale.larger_is_better
        if found.enough:
            if equal_corrected[place] < 1 - level and not any(shaky):
                outcome = "equivalent"
            elif corrected[place] < 1 - level and not shaky[int(not ahead)]:
                outcome = "better" if ahead else "worse"
        centre, width = float(found.centre[place]), float(half[place])
        comparisons.append(
            Comparison(
                n_seeds=n_seeds[place],
                n_examples=found.n_examples,
                comparisons=p_values.size,
                margin=margin,
                difference=float(found.mean[place]),
                interval=Interval(centre - width, centre + width, 1 - float(alphas[place])).within(
                    -scale.most, scale.most
                ),
                p_value=float(p_values[place]),
                p_corrected=float(corrected[place]),
                equivalence_p=float(equal_corrected[place]),
                outcome=outcome,
                detectable=float(needs[place]),
                detectable_by_more=float(needs_more[place]),
                n_of_class=found.n_of_class,
                scale=scale,
                unit=found.unit,
            )
        )
    return comparisons


def detectable(
    found: Differences,
    alpha: FloatArray,
    n_seeds: FloatArray | float = 1.0,
    by: FloatArray | float = 1.0,
) -> FloatArray:
    """Return the true differences that are found with a probability of 80 %, at error `alpha`.

    Parameters
    ----------
    n_seeds, by : ndarray, shape (2, pairs), optional
        Runs that the two rows have, and runs that they would have.

    Notes
    -----
    No guess of the difference itself is in it, only of the variances; so it says what the runs can show,
    not how many more would decide (a figure that is right in half of the cases, and tempts to run until it
    comes true). The half-width of the runs is random as well: its mean and variance are those of its
    linearisation in the estimated variances, and with two degrees of freedom, where it varies most, the
    probability lies between 78 and 83 % (a test simulates it).
    """
    from scipy.special import ndtri

    further = replace(
        found, seeds=found.seeds * n_seeds / by, freedom=found.freedom + (by - np.asarray(n_seeds))
    )
    half = further.half_width(alpha)
    error = further.seeds.sum(axis=0) + further.examples
    random = np.zeros_like(half)
    for place, freedom in enumerate(further.freedom):
        scale = np.ones((2, 1))
        scale[place] += _STEP
        random += np.square((further.half_width(alpha, scale) - half) / _STEP) * 2 / freedom
    mean = half - np.divide(random, 2 * half, out=np.zeros_like(half), where=half > 0)
    return np.asarray(mean + float(ndtri(_POWER)) * np.sqrt(error + random), dtype=np.float64)


def holm(p_values: FloatArray, alpha: float = 0.05) -> tuple[FloatArray, FloatArray]:
    """Correct the p-values of a family, so that one false claim is unlikely.

    Parameters
    ----------
    p_values : ndarray, shape (m,)
        In any order.
    alpha : float
        The error that is allowed for the family.

    Returns
    -------
    corrected : ndarray, shape (m,)
        Sorted upwards, the i-th of m is multiplied by ``m - i + 1``, is no smaller than the one before it,
        and at most 1.
    alphas : ndarray, shape (m,)
        The error at which each was tested: ``alpha / (m - i + 1)``, and for those after the first that was
        not rejected the same as for that one.

    References
    ----------
    Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6(2), 65-70.
    """
    values = np.asarray(p_values, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p_values: got {values.tolist()}, expected numbers from 0 to 1")
    order = np.argsort(values, kind="stable")
    factors = np.arange(values.size, 0, -1)
    steps = values[order] * factors
    kept = np.flatnonzero(steps >= alpha)
    factors[kept[0] if kept.size else values.size :] = factors[kept[0]] if kept.size else 1
    corrected, alphas = np.empty_like(values), np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if values.size else steps
    alphas[order] = alpha / factors
    return corrected, alphas


def rank_ranges(better: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the best and the worst rank of each row that its comparisons leave open.

    Parameters
    ----------
    better : ndarray of bool, shape (n, n)
        Where row i was shown to be better than row j.

    Returns
    -------
    list of (int, int)
        1 plus the number of rows shown to be better, and n less the number shown to be worse. A row that
        nothing is separated from has all ranks from 1 to n.
    """
    n = len(better)
    return [(1 + int(better[:, row].sum()), n - int(better[row].sum())) for row in range(n)]


def sentence(comparison: Comparison, name_a: str, name_b: str) -> str:
    """Say the verdict in one sentence, in points (hundredths) where the metric has them.

    ``nbsvm is better than avg-pool by 3.4 points (2.9 to 3.9)``
    """
    interval, scale = comparison.interval, comparison.scale
    positive = comparison.difference >= 0
    low, high = (interval.low, interval.high) if positive else (-interval.high, -interval.low)
    span = f"{scale.with_unit(abs(comparison.difference))} ({scale.text(low)} to {scale.text(high)})"
    if comparison.outcome in ("better", "worse"):
        return f"{name_a} is {comparison.outcome} than {name_b} by {span}"
    ahead, behind = (name_a, name_b) if comparison.a_is_ahead else (name_b, name_a)
    state = (
        f"{ahead} is ahead of {behind} by {span}" if comparison.difference else f"the difference is {span}"
    )
    if comparison.outcome == "equivalent":
        margin = scale.with_unit(comparison.margin or 0.0)
        return f"{name_a} and {name_b} are equivalent within {margin}: {state}"
    return f"{name_a} and {name_b}: undecided, {state}; {reach(comparison)}"


def too_few(comparison: Comparison) -> str:
    """Say of what there is too little for any verdict; "" where there is enough."""
    few, of_class = comparison.n_examples, comparison.n_of_class
    if few < MIN_EXAMPLES:
        return f"{few} test examples are too few for a verdict, which needs {MIN_EXAMPLES}"
    if of_class is not None and of_class < MIN_OF_CLASS:
        return f"{of_class} test examples of a class are too few for a verdict, which needs {MIN_OF_CLASS}"
    return ""


def reach(comparison: Comparison) -> str:
    """Say what the runs of a comparison can show, in words."""
    if said := too_few(comparison):
        return said
    scale = comparison.scale
    if comparison.detectable > scale.most:
        return f"{' and '.join(map(str, comparison.n_seeds))} {comparison.unit} find no difference with 80 %"
    seeds = " and ".join(map(str, dict.fromkeys(comparison.n_seeds)))
    found = f"{seeds} {comparison.unit} find {scale.with_unit(comparison.detectable)} with 80 %"
    if min(comparison.n_seeds) >= MORE_SEEDS or comparison.unit == "folds":
        return found
    return f"{found}, {MORE_SEEDS} seeds {scale.text(comparison.detectable_by_more)}"


@dataclass(frozen=True)
class SequentialPlan:
    """After how many seeds a comparison is made, and how sure each must be.

    Attributes
    ----------
    max_seeds : int
        Seeds at the last analysis, at least `first`.
    first : int
        Seeds at the first analysis, at least `MIN_SEEDS`: as many as are there.
    level : float
        1 minus the error that is allowed over all analyses together, in (0, 1).

    Raises
    ------
    ValueError
        When a number is out of its range.

    Notes
    -----
    The error is spent as in Lan and DeMets (1983), by the power family of Kim and DeMets (1987): after the
    analysis at k of `max_seeds` seeds ``(1 - level) (k / max_seeds)²`` of it may be gone, and what each
    adds is its error (Bonferroni), so the sum holds whatever the analyses have in common, and also with
    three seeds. There are few analyses (each has some 1.5 times the seeds of the one before), so that
    little of the error is wasted: one after every seed uses a fifth of it.

    References
    ----------
    Lan and DeMets (1983), "Discrete sequential boundaries for clinical trials", Biometrika 70(3), 659-663.
    Kim and DeMets (1987), "Design and analysis of group sequential tests based on the type I error spending
    rate function", Biometrika 74(1), 149-154. Jennison and Turnbull (1989), "Interim analyses: the repeated
    confidence interval approach", JRSS B 51(3), 305-361.
    """

    max_seeds: int
    first: int = MIN_SEEDS
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.first < MIN_SEEDS:
            raise ValueError(f"first: got {self.first}, expected at least {MIN_SEEDS} seeds")
        if self.max_seeds < self.first:
            raise ValueError(f"max_seeds: got {self.max_seeds}, expected at least first ({self.first})")
        check_level(self.level)

    @property
    def analyses(self) -> tuple[int, ...]:
        """Number of seeds at each analysis."""
        found, seeds = [], self.first
        while seeds < self.max_seeds:
            found.append(seeds)
            seeds = max(seeds + 1, math.ceil(1.5 * seeds))
        return (*found, self.max_seeds)

    def level_at(self, analysis: int) -> float:
        """Coverage that the interval of this analysis (counted from 0) must have."""
        before = self._spent(self.analyses[analysis - 1]) if analysis else 0.0
        return 1 - (self._spent(self.analyses[analysis]) - before)

    def _spent(self, seeds: int) -> float:
        return (1 - self.level) * float((seeds / self.max_seeds) ** _SPENDING)

    def outlook(self, found: Differences, analysis: int, margin: float | None) -> tuple[bool, int | None]:
        """Say whether further seeds could decide, and after how many they would if the difference stays.

        Parameters
        ----------
        found : Differences
            Of the one pair, with the seeds of this analysis.
        analysis : int
            Which one, counted from 0.
        margin : float or None
            The smallest difference that matters, if there is one.

        Returns
        -------
        bool
            False where nothing that the remaining seeds are likely to show (95 %) would decide at any later
            analysis: to train them would be in vain.
        int or None
            Seeds at the first analysis that would decide; None where none would.
        """
        centre, seeds = abs(float(found.centre[0])), self.analyses[analysis]
        now = float(found.seeds.sum())
        possible, expected = False, None
        for number in range(analysis + 1, len(self.analyses)):
            more = seeds / self.analyses[number]
            later = replace(
                found, seeds=found.seeds * more, freedom=found.freedom + self.analyses[number] - seeds
            )
            half = float(later.half_width(1 - self.level_at(number))[0])
            moves = 1.96 * math.sqrt(now * (1 - more))
            possible |= centre + moves > half or max(0.0, centre - moves) + half < (margin or 0.0)
            if expected is None and (centre > half or centre + half < (margin or 0.0)):
                expected = self.analyses[number]
        return possible, expected
