"""The differences of all pairs of rows at once: unpaired over seeds, paired over test examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.intervals import MIN_SEEDS
from benchmark.stats.moderation import FloatArray, moderated
from benchmark.stats.spread import MIN_EXAMPLES, MIN_OF_CLASS, spread_by_class

_SMALLEST_P = 1e-30  # what lies below is reported as 0
_BISECTIONS = 50


@dataclass(frozen=True, eq=False)
class Runs:
    """What a comparison needs to know of the runs of one row.

    Attributes
    ----------
    n_seeds : int
        K, the number of runs.
    profile : ndarray, shape (N,)
        For each test example, the mean over runs of its value: right or wrong, for accuracy; a pseudo-value
        for metrics that are not means over examples (`benchmark.metrics.metric.Metric.pseudo_values`).
    interaction : float
        Mean square of runs by examples, on (K - 1)(N - 1) degrees of freedom.
    variance : float
        Of the score of one run over seeds; 0 where the runs do not differ at all.
    freedom : float
        Its degrees of freedom.
    classes : ndarray of int, shape (N,), or None
        The class of each example, where an example weighs the more, the fewer its class has.
    """

    n_seeds: int
    profile: FloatArray
    interaction: float
    variance: float
    freedom: float
    classes: NDArray[np.integer[Any]] | None = None

    @property
    def mean(self) -> float:
        """Mean over runs and examples."""
        return float(self.profile.mean())


def runs_of(table: NDArray[Any]) -> Runs:
    """Summarise a table of values, shape (K, N): a row for each run, a column for each test example.

    Raises
    ------
    ValueError
        When there are fewer than `MIN_SEEDS` runs or 2 examples, or a value is not finite.
    """
    values = np.asarray(table, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] < MIN_SEEDS or values.shape[1] < 2:
        raise ValueError(
            f"table: got shape {values.shape}, expected (seeds, examples), at least ({MIN_SEEDS}, 2)"
        )
    if not np.isfinite(values).all():
        raise ValueError("table: expected finite values")
    k, n = values.shape
    profile, scores = values.mean(axis=0), values.mean(axis=1)
    if (values == values[0]).all():
        return Runs(k, profile, 0.0, 0.0, k - 1)
    cells = np.square(values - profile).sum() - n * np.square(scores - scores.mean()).sum()
    interaction = max(float(cells), 0.0) / ((k - 1) * (n - 1))
    # Runs that give different answers have different scores, whatever a few of them show by chance.
    variance = max(float(scores.var(ddof=1)), interaction / n)
    return Runs(k, profile, interaction, variance, k - 1)


def fixed(profile: FloatArray) -> Runs:
    """Summarise trained models that stay as they are, of which nothing is said of further seeds."""
    return Runs(1, profile, 0.0, 0.0, 1.0)


def borrowing(rows: Sequence[Runs]) -> list[Runs]:
    """Return the rows of a section with variances over seeds that borrow from each other."""
    variances, freedom = moderated(
        np.array([row.variance for row in rows]), np.array([row.freedom for row in rows], dtype=np.float64)
    )
    return [
        dataclasses.replace(row, variance=max(float(v), row.interaction / row.profile.size), freedom=float(d))
        for row, v, d in zip(rows, variances, freedom, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class Differences:
    """Differences of pairs of rows; each array has an element for each pair.

    Attributes
    ----------
    mean : ndarray
        Of the first row less that of the second.
    centre : ndarray
        Where the interval has its centre: `mean`, drawn towards 0 by two further examples (see Notes).
    seeds : ndarray, shape (2, pairs)
        Variance of the mean of each of the two over new seeds, ``s² / K``.
    freedom : ndarray, shape (2, pairs)
        Degrees of freedom of those.
    examples : ndarray
        Variance of `centre` over new test examples.
    n_examples : int
        N.
    examples_freedom : ndarray or float
        Degrees of freedom of `examples`; infinite where no class counts more than another.
    weight : ndarray or float
        What an added example weighs in the variance, squared; 1 for accuracy.
    constant : ndarray of bool, or bool
        Where a class counts whose examples all have the same difference, which says nothing of other ones.
    n_of_class : int or None
        Test examples of the smallest class; None where classes do not matter.
    unit : str
        Of what there are several: ``seeds``, or ``folds`` (`benchmark.stats.folds.fold_differences`).

    Notes
    -----
    With d_i the difference of the two rows' means over seeds on example i, and I the mean square of runs by
    examples, the variance over examples is ``max(0, Var_i(d_i) - I_A / K_A - I_B / K_B) / N``: what single
    answers vary by is in the variance over seeds already. Two examples are added, one that each row alone
    has right, which keeps the interval from closing where few or none of the examples tell the rows apart
    (Bonett and Price 2012).

    Where an example weighs the more, the fewer examples its class has, most of the variance may be that of
    few examples: within each class the divisor is the number of its examples less 1, and the degrees of
    freedom of the sum are Satterthwaite's (1946). What is added is then a pair of examples of each class.
    `benchmark.stats.spread.Spread` says more.

    The half-width at error alpha is, with t and z the two-sided quantiles of Student's t and the normal
    distribution, and w the share of a part (the seeds of either row, the examples) in the whole variance V::

        sqrt(z² V + Σ (t² - z²) w^(2z / 3t) V_part)

    Without the power this is Banerjee's (1960) bound, whose error is at most alpha whatever the shares. The
    power is ours: by numerical integration over all shares, with degrees of freedom from 2 and 2 to 20 and
    20, the error is at most 1.004 alpha at 0.05, 1.06 at 0.001 and 1.08 at 0.0002; above alpha it is only
    where examples have less than a tenth of the variance (a test does the integration).

    References
    ----------
    Banerjee (1960), "Approximate confidence interval for linear functions of means of k populations when
    the population variances are not equal", Sankhya 22, 357-358. Bonett and Price (2012), "Adjusted Wald
    confidence interval for a difference of binomial proportions based on paired data", Journal of
    Educational and Behavioral Statistics 37(4), 479-488. Satterthwaite (1946), "An approximate distribution
    of estimates of variance components", Biometrics Bulletin 2(6), 110-114.
    """

    mean: FloatArray
    centre: FloatArray
    seeds: FloatArray
    freedom: FloatArray
    examples: FloatArray
    n_examples: int
    examples_freedom: FloatArray | float = np.inf
    weight: FloatArray | float = 1.0
    constant: NDArray[np.bool_] | bool = False
    n_of_class: int | None = None
    unit: str = "seeds"

    @property
    def enough(self) -> bool:
        """Whether there are as many test examples as a verdict needs, of all classes that count."""
        of_class = self.n_of_class is None or self.n_of_class >= MIN_OF_CLASS
        return self.n_examples >= MIN_EXAMPLES and of_class

    def half_width(
        self, alpha: float | FloatArray, seeds: FloatArray | float = 1.0, *, few: bool = False
    ) -> FloatArray:
        """Half of the width of the interval that errs with probability `alpha`, element by element.

        Parameters
        ----------
        alpha : float or ndarray
            In (0, 1).
        seeds : float or ndarray
            By what the variances over seeds are multiplied: 0.5 for twice as many seeds.
        few : bool
            Add z² instead of 2 examples to the variance, as an equivalence asks for: of rows that differ by
            the margin, few examples or none may show it. Without any, the half-width is then ``z² / N``, near
            the exact bound of Clopper and Pearson (3.84 / N and 3.69 / N at 95 %).
        """
        from scipy.special import ndtri, stdtrit

        half = np.asarray(alpha, dtype=np.float64) / 2
        z = -ndtri(half)
        added = self.weight * np.maximum(z**2 - 2, 0.0) / (self.n_examples + 2) ** 2 if few else 0.0
        parts, examples = self.seeds * seeds, self.examples + added
        whole = parts.sum(axis=0) + examples

        def wider(part: FloatArray, freedom: FloatArray) -> FloatArray:
            t = np.clip(-stdtrit(freedom, half), z, 1e100)  # SciPy gives infinity where it is very large
            share = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
            power = np.divide(2 * z, 3 * t, out=np.zeros_like(t), where=t > 0)
            return np.asarray((t**2 - z**2) * share**power * part)

        more = wider(parts, self.freedom).sum(axis=0)
        if self.n_of_class is not None:
            more = more + wider(examples, np.asarray(self.examples_freedom))
        return np.asarray(np.sqrt(z**2 * whole + more), dtype=np.float64)

    def p_values(self) -> FloatArray:
        """Two-sided p-value of no difference: the error at which the interval just touches 0."""
        return self._error_at(np.abs(self.centre))

    def equivalence_p_values(self, margin: float) -> FloatArray:
        """P-value of a difference as large as `margin`: the error at which the interval just lies within it.

        It is that of both one-sided tests (Schuirmann 1987), each at half of the error.
        """
        room = margin - np.abs(self.centre)
        return np.where(room > 0, self._error_at(np.maximum(room, 0.0), few=True), 1.0)

    def loss_p_values(self, margin: float, sign: int = 1) -> FloatArray:
        """Two-sided p-value of a loss of at most `margin`: the error at which the interval lies beyond it.

        `sign` is -1 where smaller values are better. The probability of a false claim is half of it.
        """
        return self._error_at(-sign * self.centre - margin)

    def _error_at(self, distance: FloatArray, few: bool = False) -> FloatArray:
        low = np.full(distance.shape, np.log(_SMALLEST_P))
        high = np.zeros(distance.shape)
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            beyond = distance > self.half_width(np.exp(middle), few=few)
            low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
        p = np.where(high <= np.log(_SMALLEST_P) + 1e-6, 0.0, np.exp(high))
        return np.asarray(np.where(distance <= 0, 1.0, p), dtype=np.float64)


def differences(
    rows: Sequence[Runs],
    first: Sequence[int],
    second: Sequence[int],
    classes: NDArray[np.integer[Any]] | None = None,
) -> Differences:
    """Return the differences of pairs of rows, which all have the same test examples.

    Parameters
    ----------
    rows : sequence of Runs
        As `borrowing` returns them, or without it.
    first, second : sequence of int
        Places of the two rows of each pair.
    classes : ndarray of int, shape (N,), optional
        The class of each example, where an example weighs the more, the fewer its class has.

    Notes
    -----
    What pairs need of the examples are entries of one matrix product of the rows' profiles, so that 20,000
    pairs cost little more than one.
    """
    i, j = np.asarray(first, dtype=np.intp), np.asarray(second, dtype=np.intp)
    n = rows[0].profile.size
    means = np.array([row.mean for row in rows])
    profiles = np.stack([row.profile for row in rows]) - means[:, None]
    parts = spread_by_class(profiles, i, j, classes)
    answers = np.array([row.interaction / row.n_seeds for row in rows])
    spread = np.maximum(parts.spread - (n - 1) * (answers[i] + answers[j]), 0.0)
    mean, size = means[i] - means[j], n + 2
    centre = mean * n / size
    # Of n + 2 examples: their squares, less the square of their mean.
    variance = (spread + n * mean**2 + 2 * parts.weight) / size - centre**2
    seeds = np.array([row.variance / row.n_seeds for row in rows])
    freedom = np.array([row.freedom for row in rows])
    return Differences(
        mean=mean,
        centre=centre,
        seeds=np.stack([seeds[i], seeds[j]]),
        freedom=np.stack([freedom[i], freedom[j]]),
        examples=np.asarray(variance / size, dtype=np.float64),
        examples_freedom=parts.freedom,
        weight=parts.weight,
        constant=parts.constant,
        n_examples=n,
        n_of_class=parts.n_of_class,
    )


def paired_differences(pairs: Sequence[Runs], classes: NDArray[np.integer[Any]] | None = None) -> Differences:
    """Return differences of pairs of rows whose runs are paired, as by the training texts that were drawn.

    Parameters
    ----------
    pairs : sequence of Runs
        `runs_of` the table of the first row less that of the second, of each pair.
    classes : ndarray of int, shape (N,), optional
        As `differences` takes them.

    Notes
    -----
    What two runs of a pair have in common is not in the variance over seeds, which has one part instead of
    two: it is the difference to a row that is 0 everywhere.
    """
    nothing = fixed(np.zeros_like(pairs[0].profile))
    return differences([*pairs, nothing], range(len(pairs)), [len(pairs)] * len(pairs), classes)
