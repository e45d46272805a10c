"""When ``compare --until-decided`` may stop adding seeds: looking often must not make errors frequent."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.stats.comparisons import Comparison, Correctness, compare
from benchmark.stats.intervals import MIN_SEEDS
from benchmark.stats.verdicts import Verdict, verdict

_POWER = 2.0


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
        if not 0 < self.level < 1:
            raise ValueError(f"level: got {self.level}, expected a number between 0 and 1")

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


@dataclass(frozen=True)
class Look:
    """What one look found.

    Attributes
    ----------
    comparison : Comparison
        At the level of this look: its interval holds although the data are looked at more than once.
    verdict : Verdict
        From that interval.
    stop : bool
        Whether the verdict is final: decided (``equivalent`` is a decision, too), or no look is left.
    """

    comparison: Comparison
    verdict: Verdict
    stop: bool


def take_look(
    a: Correctness, b: Correctness, plan: SequentialPlan, look: int, *, margin: float = 0.005
) -> Look:
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
    return Look(comparison, found, found.outcome != "undecided" or seeds == plan.max_seeds)
