"""Rows that are worse than their counterparts by more than a margin, and the losses that would be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmark.stats.differences import Differences
from benchmark.stats.intervals import Interval, check_level
from benchmark.stats.moderation import FloatArray
from benchmark.stats.verdicts import Scale, detectable, holm

_STEPS = 20  # each comes nearer by half


@dataclass(frozen=True)
class Loss:
    """A row and its counterpart, compared as one of a family; differences are shares, not points.

    Attributes
    ----------
    difference : float
        Mean of the row less that of its counterpart.
    interval : Interval
        Of the expected difference over new seeds and new examples, at the level at which Holm's procedure has
        tested the loss.
    margin : float
        A loss of no more is none.
    p_corrected : float
        Of a loss of no more than the margin, in the family.
    worse : bool
        Whether the interval lies wholly beyond the margin.
    detectable : float
        The true loss that is found with a probability of 80 % (`detectable_loss`).
    scale : Scale
        In what differences are.
    """

    difference: float
    interval: Interval
    margin: float
    p_corrected: float
    worse: bool
    detectable: float
    scale: Scale

    @property
    def sentence(self) -> str:
        """What was found, and what would have been."""
        scale = self.scale
        span = f"{scale.text(self.interval.low)} to {scale.text(self.interval.high)}"
        shown = f"difference {scale.with_unit(self.difference)} ({span})"
        said = "worse" if self.worse else "not shown to be worse"
        beyond = f" by more than {scale.with_unit(self.margin)}" if self.margin else ""
        return (
            f"{said}{beyond}: {shown}; would have seen a loss of {scale.with_unit(self.detectable)} with 80 %"
        )


def losses(pairs: Sequence[tuple[Differences, Scale, float]], level: float = 0.95) -> list[Loss]:
    """Decide a family of losses together.

    Parameters
    ----------
    pairs : sequence of (Differences, Scale, float)
        The difference of each one pair, the row first; in what it is; and the margin.
    level : float
        1 minus the error of the family. The intervals are two-sided, and a gate asks about one side, so the
        probability that any row is falsely "worse" is at most half of that error.

    Returns
    -------
    list of Loss
        In the order of the pairs.
    """
    check_level(level)
    if not pairs:
        return []
    signs = [1 if scale.larger_is_better else -1 for _, scale, _ in pairs]
    p_values = [
        found.loss_p_values(margin, sign) for (found, _, margin), sign in zip(pairs, signs, strict=True)
    ]
    corrected, alphas = holm(np.concatenate(p_values), 1 - level)
    strict, made = np.array([(1 - level) / len(pairs)]), []
    for place, (found, scale, margin) in enumerate(pairs):
        centre, half = float(found.centre[0]), float(found.half_width(alphas[place : place + 1])[0])
        interval = Interval(centre - half, centre + half, 1 - float(alphas[place]))
        made.append(
            Loss(
                difference=float(found.mean[0]),
                interval=interval.within(-scale.most, scale.most),
                margin=margin,
                p_corrected=float(corrected[place]),
                worse=bool(corrected[place] < 1 - level),
                detectable=min(float(detectable_loss(found, margin, strict)[0]), scale.most),
                scale=scale,
            )
        )
    return made


def detectable_loss(found: Differences, margin: float, alpha: FloatArray) -> FloatArray:
    """Return the true losses that are found with a probability of 80 %, at error `alpha`.

    Notes
    -----
    It is `benchmark.stats.verdicts.detectable` beyond the margin, with one thing more. Where a row and its
    counterpart agree, as a deterministic model with its copy, they show little of how a loss would vary over
    examples. A loss L of N examples is at least L N answers that one of the two has right, whose variance is
    ``(L - L²) / N``; it is added. That is exact where a loss is made of answers that all seeds lose, and
    careful where each seed loses others.
    """
    weight = np.sqrt(np.maximum(found.weight, 1.0))
    loss = np.full(found.centre.shape, margin)
    for _ in range(_STEPS):
        own = np.maximum(weight * loss - loss**2, 0.0) / found.n_examples
        loss = margin + detectable(replace(found, examples=found.examples + own), alpha)
    return loss
