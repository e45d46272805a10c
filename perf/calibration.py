"""Does a board claim what it may? Simulated boards with known truth: ``python perf/calibration.py``.

Prints Markdown. ``--quick`` takes seconds, everything about half an hour on one core; with ``--output`` the
result of each cell is appended to a file, and cells that are in it are not simulated again. ``--cells``
chooses by name (``normal/25000/*``). Exit status 1 when a goal is missed.

A run has an example right when ``ability + example + system's own example + answer > 0``; all but the ability
are normal, and the ability gives the run exactly the accuracy that its seed's effect asks for. So all systems
find the same examples hard, and each answer has noise of its own. Boards of 500 and 2,000 examples are tables
[rows, seeds, examples]. Those of 25,000 are drawn as what a method needs of a table (normal, with the
variances and covariances that the same formula gives); cells that end in ``tables`` hold that against tables.

The rows of a board are equal, or row 0 is truly better than the others. Row 1 is the baseline.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import math
import platform
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import scipy.stats
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from benchmark.stats.budget_curves import expected_best
from benchmark.stats.differences import Differences, Runs, borrowing, differences, runs_of
from benchmark.stats.failures import failed_to_learn
from benchmark.stats.intervals import MIN_SEEDS, mean_interval, sampling_error
from benchmark.stats.spread import MIN_EXAMPLES
from benchmark.stats.verdicts import SequentialPlan, family, rank_ranges

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Result = dict[str, Any]

ACCURACY, MAJORITY, SPREAD = 0.8, 0.5, 0.01
SHARED, OWN, NOISE = 0.7, 0.15, 0.15  # variances: examples, examples for one system, single answers
MARGIN, ALPHA = 0.005, 0.05
SEEDS, ROWS, EXAMPLES = (3, 5, 10), (2, 10, 20), (500, 2_000, 25_000)
EFFECTS = (0.0, 0.005, 0.01, 0.02, 0.04)  # by which row 0 is truly better
DISTRIBUTIONS = {  # of the effects of seeds, and the goal: any false verdict in so many percent of boards
    "normal": 5,
    "t3": 5,
    "unequal-0.5": 5,
    "unequal-1": 5,
    "stable-rows": 5,
    "skewed": 8,
    "down-5": 8,
    "skewed+stable-rows": 8,
    "down-5+stable-rows": 8,
    "chance": 5,
    "chance+stable-rows": 5,
}
"""With ``stable-rows`` the baseline and every third row are deterministic."""
MIN_BOARDS = 100  # that a share of them is printed
CHECKED = 3  # boards of each cell that are held against `family` itself
QUANTILES = ndtri((np.arange(65_536) + 0.5) / 65_536).astype(np.float32)


@dataclass(frozen=True)
class Cell:
    """Boards of one kind; the first seeds of the largest number serve for the smaller ones."""

    distribution: str
    n_examples: int
    n_rows: int
    tables: bool

    @property
    def name(self) -> str:
        """As `--cells` knows it."""
        kind = "" if self.tables == (self.n_examples < 25_000) else "/tables" if self.tables else "/drawn"
        return f"{self.distribution}/{self.n_examples}/{self.n_rows}{kind}"

    @property
    def stable(self) -> Bools:
        """Which rows are deterministic; with them, the four rows that stand for a better row 0."""
        places = np.arange(self.n_rows + len(EFFECTS) - 1)
        return ("stable-rows" in self.distribution) & (places % 3 == 1) & (places < self.n_rows)


def seed_effects(cell: Cell, generator: np.random.Generator) -> tuple[Floats, Bools]:
    """Return what each run's accuracy differs by, expected 0, and which runs are at chance."""
    shape = (cell.stable.size, max(SEEDS))
    kind, failed = cell.distribution.partition("+")[0], np.zeros(shape, dtype=bool)
    effects = generator.standard_normal(shape)
    if kind == "t3":
        effects = generator.standard_t(3, shape) / math.sqrt(3)
    elif kind == "skewed":
        effects = 1 - generator.standard_exponential(shape)
    elif kind.startswith("unequal"):
        effects *= np.exp(float(kind.split("-")[1]) * generator.standard_normal((shape[0], 1)))
    effects *= SPREAD
    accident = generator.random(shape) < 0.1
    if kind == "down-5":
        effects += 0.005 - 0.05 * accident
    elif kind == "chance":
        failed = accident & ~cell.stable[:, None]
    effects[cell.stable] = 0
    return effects, failed


def simulate(cell: Cell, generator: np.random.Generator) -> Bools:
    """Return whether each run has each example right, [systems, seeds, examples]."""
    effects, failed = seed_effects(cell, generator)
    better = np.zeros(cell.stable.size)
    better[cell.n_rows :] = EFFECTS[1:]
    ability = ndtri(np.clip(ACCURACY + better[:, None] + effects, 0.01, 0.99))
    skill = generator.standard_normal((better.size, cell.n_examples), dtype=np.float32)
    skill *= np.float32(math.sqrt(OWN / NOISE))
    skill += np.float32(math.sqrt(SHARED / NOISE)) * generator.standard_normal(
        cell.n_examples, dtype=np.float32
    )
    answers = QUANTILES[generator.integers(0, 65_536, (*ability.shape, cell.n_examples), dtype=np.uint16)]
    answers += (ability / math.sqrt(NOISE)).astype(np.float32)[:, :, None]
    correct = answers > -skill[:, None, :]
    correct[cell.stable] = correct[cell.stable][:, :1]
    if failed.any():
        correct[failed] = generator.random((int(failed.sum()), cell.n_examples)) < MAJORITY
    return correct


# The old method: pairs by seed, and Holm's correction over all pairs of a board.


@dataclass(frozen=True)
class Old:
    """What the old method needs of each pair: mean, its variance, and the share of seeds in that."""

    mean: Floats
    variance: Floats
    share: Floats
    n_seeds: int

    def half_width(self, alpha: Floats | float) -> Floats:
        """Half of the width of its interval at error `alpha`."""
        half = np.asarray(alpha) / 2
        z, t = -ndtri(half), -stdtrit(self.n_seeds - 1, half)
        factor = z**2 + (t**2 - z**2) * self.share ** (1 + 2 * z / (3 * t))
        return np.asarray(np.sqrt(factor * self.variance))


def old_of(scores: Floats, examples: Floats, interaction: Floats, n_examples: int) -> Old:
    """Analyse pairs.

    Parameters
    ----------
    scores : ndarray, shape (pairs, K)
        Difference of the accuracies of the runs of each seed.
    examples, interaction : ndarray, shape (pairs,)
        Mean squares of examples, and of seeds by examples, of the tables of differences.
    """
    k = scores.shape[1]
    cells = k * n_examples
    from_seeds = scores.var(axis=1, ddof=1) / k
    total = from_seeds + np.maximum(examples - interaction, 0) / cells
    variance = np.maximum(total, np.maximum(examples, interaction) / 2 / cells)
    share = np.divide(from_seeds, variance, out=np.zeros_like(variance), where=variance > 0)
    return Old(scores.mean(axis=1), variance, share, k)


def old_of_tables(correct: Bools, members: Sequence[NDArray[np.intp]]) -> dict[int, list[Old]]:
    """Analyse all pairs of several boards by products of whole tables; the rows of each are some systems.

    Returns
    -------
    dict of int to list of Old
        By the number of seeds, for each board.
    """
    tables, n = correct.astype(np.float32), correct.shape[2]
    scores = correct.mean(axis=2)
    columns, cells = np.zeros_like(tables[:, 0]), np.zeros((len(tables), len(tables)))
    found: dict[int, list[Old]] = {}
    for k in range(1, max(SEEDS) + 1):
        columns += tables[:, k - 1]
        cells += tables[:, k - 1] @ tables[:, k - 1].T  # whole numbers below 2^24, so they are exact
        if k not in SEEDS:
            continue
        both = (columns @ columns.T).astype(np.float64) / k
        found[k] = []
        for systems in members:
            first, second = pairs_of(systems)
            each, mean_of_seeds = (
                part[first, first] + part[second, second] - 2 * part[first, second] for part in (cells, both)
            )
            pairs = scores[first, :k] - scores[second, :k]
            whole, rows = k * n * pairs.mean(axis=1) ** 2, n * np.square(pairs).sum(axis=1)
            interaction = np.maximum(each - mean_of_seeds - rows + whole, 0) / ((k - 1) * (n - 1))
            found[k].append(old_of(pairs, np.maximum(mean_of_seeds - whole, 0) / (n - 1), interaction, n))
    return found


def pairs_of(systems: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    i, j = np.array(list(combinations(range(len(systems)), 2)), dtype=np.intp).T
    return systems[i], systems[j]


# Boards: all pairs of each, by the new method and by the old one.


@dataclass(frozen=True)
class Boards:
    """All pairs of many boards; each array has a row for each board, and a column for each pair."""

    new: Differences
    old: Old
    there: Bools  # not where a row has fewer than three runs that learn
    unsteady: Bools  # [2, boards, pairs]

    @property
    def warned(self) -> Bools:
        """In which boards a run was seen to fail."""
        return np.asarray(self.unsteady.any(axis=(0, 2)) | ~self.there.all(axis=1))


def stacked(boards: Sequence[tuple[Differences, Old, Bools, Bools]]) -> Boards:
    new, old, there, unsteady = zip(*boards, strict=True)
    return Boards(
        replace(
            new[0],
            **{name: np.stack([getattr(one, name) for one in new], axis=axis) for name, axis in _ARRAYS},
        ),
        replace(old[0], **{name: np.stack([getattr(one, name) for one in old]) for name in _OLD_ARRAYS}),
        np.stack(there),
        np.stack(unsteady, axis=1),
    )


_ARRAYS = (("mean", 0), ("centre", 0), ("seeds", 1), ("freedom", 1), ("examples", 0))
_OLD_ARRAYS = ("mean", "variance", "share")


def boards_of_tables(
    cell: Cell, boards: int, power_boards: int, generator: np.random.Generator
) -> dict[tuple[int, float], Boards]:
    """Simulate tables; the better rows at 1, 2 and 4 points in the first `power_boards` of them."""
    found: dict[tuple[int, float], list[Any]] = {key: [] for key in product(SEEDS, EFFECTS)}
    i, j = pairs_of(np.arange(cell.n_rows))
    members = [np.arange(cell.n_rows) for _ in EFFECTS]
    for place in range(1, len(EFFECTS)):
        members[place][0] = cell.n_rows - 1 + place
    for number in range(boards):
        correct = simulate(cell, generator)
        rights = correct.sum(axis=2)
        chosen = members if number < power_boards else members[:2]
        old = old_of_tables(correct, chosen)
        for k in SEEDS:
            learnt = np.ones((len(correct), k), dtype=bool)
            if "chance" in cell.distribution:
                learnt = ~np.array(
                    [failed_to_learn(row, cell.n_examples, MAJORITY) for row in rights[:, :k].tolist()]
                )
            runs = [
                runs_of(table[:k][kept]) if kept.sum() >= MIN_SEEDS else None
                for table, kept in zip(correct, learnt, strict=True)
            ]
            lost = ~learnt.all(axis=1)
            for systems, effect, before in zip(chosen, EFFECTS, old[k], strict=False):
                new, there = compared([runs[system] for system in systems], i, j)
                unsteady = np.stack([lost[systems[i]], lost[systems[j]]])
                found[k, effect].append((new, before, there, unsteady))
    return {key: stacked(value) for key, value in found.items() if value}


def compared(
    board: Sequence[Runs | None], i: NDArray[np.intp], j: NDArray[np.intp]
) -> tuple[Differences, Bools]:
    """Compare all pairs of a section as the board does, and say which there are."""
    places = [place for place, runs in enumerate(board) if runs is not None]
    there = np.isin(i, places) & np.isin(j, places)
    if not there.any():
        nothing = np.zeros(i.size)
        return Differences(
            nothing, nothing, np.zeros((2, i.size)), np.ones((2, i.size)), nothing + 1, 2
        ), there
    section = borrowing([runs for runs in board if runs is not None])
    position = {place: number for number, place in enumerate(places)}
    new = differences(section, [position[a] for a in i[there]], [position[b] for b in j[there]])
    if there.all():
        return new, there
    wide: dict[str, Any] = {name: np.zeros((*getattr(new, name).shape[:-1], i.size)) for name, _ in _ARRAYS}
    wide["freedom"] += 1
    wide["examples"] += 1
    for name, array in wide.items():
        array[..., there] = getattr(new, name)
    return replace(new, **wide), there


def covariances() -> tuple[float, float, float, float]:
    """Variances over examples of a random and of a deterministic row, covariance of two, and interaction."""
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    level = float(ndtri(ACCURACY))
    shared = ndtr((level + math.sqrt(SHARED) * points) / math.sqrt(1 - SHARED))
    both = np.add.outer(math.sqrt(SHARED) * points, math.sqrt(OWN) * points)
    own = ndtr((level + both) / math.sqrt(NOISE))
    square = float(weights @ own**2 @ weights)
    common = float(weights @ shared**2) - ACCURACY**2
    return square - ACCURACY**2, ACCURACY * (1 - ACCURACY), common, ACCURACY - square


def boards_drawn(
    cell: Cell, boards: int, generator: np.random.Generator, shifts: Sequence[float] = EFFECTS
) -> dict[tuple[int, float], Boards]:
    """Draw accuracies of runs; a better row 0 is the same row, shifted."""
    rows, n = cell.n_rows, cell.n_examples
    found: dict[tuple[int, float], list[Any]] = {key: [] for key in product(SEEDS, shifts)}
    i, j = pairs_of(np.arange(rows))
    stable = cell.stable[:rows]
    random, fixed, common, single = covariances()
    own = np.where(stable, fixed, random) - common
    answers = np.where(stable, 0.0, single)
    spread = own[i] + own[j]
    for _ in range(boards):
        effects, failed = (part[:rows] for part in seed_effects(cell, generator))
        sample = math.sqrt(common / n) * generator.standard_normal() + np.sqrt(own / n) * (
            generator.standard_normal(rows)
        )
        scores = ACCURACY + effects + sample[:, None]
        scores = scores + np.sqrt(answers / n)[:, None] * generator.standard_normal(scores.shape)
        lost = generator.binomial(n, MAJORITY, scores.shape) / n
        scores = np.where(failed, lost, scores)
        for k in SEEDS:
            kept = np.ones((rows, k), dtype=bool)
            if "chance" in cell.distribution:
                for row in np.flatnonzero(failed[:, :k].any(axis=1)):
                    counts = np.rint(scores[row, :k] * n).astype(int).tolist()
                    kept[row] = ~failed_to_learn(counts, n, MAJORITY)
            size = kept.sum(axis=1)
            places = np.flatnonzero(size >= MIN_SEEDS)
            means, seeds, freedom = np.zeros(rows), np.zeros(rows), np.ones(rows)
            section = []
            for row in places:
                own_scores = scores[row, :k][kept[row]]
                means[row] = own_scores.mean()
                variance = max(float(own_scores.var(ddof=1)), answers[row] / n) if not stable[row] else 0.0
                profile = np.broadcast_to(means[row], n)
                section.append(Runs(own_scores.size, profile, answers[row], variance, own_scores.size - 1))
            for row, runs in zip(places, borrowing(section), strict=True):
                seeds[row], freedom[row] = runs.variance / runs.n_seeds, runs.freedom
            there = (size[i] >= MIN_SEEDS) & (size[j] >= MIN_SEEDS)
            unsteady = np.stack([size[i] < k, size[j] < k])
            noise = answers[i] + answers[j]
            for effect in shifts:
                mean = means[i] - means[j] + effect * (i == 0)
                centre = mean * n / (n + 2)
                variance = (spread * (n - 1) + n * mean**2 + 2) / (n + 2) - centre**2
                new = Differences(
                    mean,
                    centre,
                    np.stack([seeds[i], seeds[j]]),
                    np.stack([freedom[i], freedom[j]]),
                    variance / (n + 2),
                    n,
                )
                pairs = scores[i, :k] - scores[j, :k] + effect * (i == 0)[:, None]
                old = old_of(pairs, noise + k * spread, noise, n)
                found[k, effect].append((new, old, there, unsteady))
    return {key: stacked(value) for key, value in found.items()}


# Verdicts of many boards at once, as `family` gives them for one.


def rejected(distance: Floats, least: Floats, half: Callable[[Bools, Floats], Floats], there: Bools) -> Bools:
    """Apply Holm's procedure to each board: where a distance is more than its half-width, step by step.

    Parameters
    ----------
    distance : ndarray, shape (boards, pairs)
        From 0, or from the margin.
    least : ndarray, shape (boards, pairs)
        Standard errors: a half-width has more than z of them, which spares most of the work.
    half : callable
        Half-widths of some of the pairs, at an error for each.
    there : ndarray of bool, shape (boards, pairs)
        Which pairs are in the family.
    """
    open_ = there & (distance > -ndtri(ALPHA / 2) * least)
    done, size = np.zeros_like(open_), there.sum(axis=1)
    while True:
        alpha = ALPHA / np.maximum(size - done.sum(axis=1), 1)
        more = np.zeros_like(open_)
        more[open_] = distance[open_] > half(open_, np.broadcast_to(alpha[:, None], open_.shape)[open_])
        if not more.any():
            return done
        done |= more
        open_ &= ~more & more.any(axis=1)[:, None]


def part_of(new: Differences, chosen: Any) -> Differences:
    return replace(new, **{name: getattr(new, name)[..., chosen] for name, _ in _ARRAYS})


def outcomes(boards: Boards, pairs: Bools) -> tuple[Bools, Bools, Bools]:
    """Return where the first of two rows is better, where it is worse, and where they are equivalent."""
    new = part_of(boards.new, pairs)
    there, unsteady = boards.there[:, pairs], boards.unsteady[..., pairs]
    least = np.sqrt(new.seeds.sum(axis=0) + new.examples)

    def half(few: bool) -> Callable[[Bools, Floats], Floats]:
        return lambda chosen, alpha: part_of(new, chosen).half_width(alpha, few=few)

    equal = rejected(MARGIN - np.abs(new.centre), least, half(True), there) & ~unsteady.any(axis=0)
    different = rejected(np.abs(new.centre), least, half(False), there) & ~equal
    up = new.mean > 0
    return different & up & ~unsteady[0], different & ~up & ~unsteady[1], equal


def old_outcomes(old: Old) -> tuple[Bools, Bools, Bools]:
    """Return the same by the old method, for all pairs of a board."""
    there = np.ones(old.mean.shape, dtype=bool)

    def half(chosen: Bools, alpha: Floats) -> Floats:
        return replace(old, **{name: getattr(old, name)[chosen] for name in _OLD_ARRAYS}).half_width(alpha)

    equal = np.abs(old.mean) + old.half_width(ALPHA) <= MARGIN
    different = rejected(np.abs(old.mean), np.sqrt(old.variance), half, there) & ~equal
    return different & (old.mean > 0), different & (old.mean < 0), equal


def check(boards: Boards, pairs: Bools, found: tuple[Bools, Bools, Bools], counted: int) -> None:
    """Hold some boards against `family` and `rank_ranges` themselves."""
    if boards.new.n_examples < MIN_EXAMPLES:
        return
    for board in range(min(counted, len(boards.there))):
        there = boards.there[board] & pairs
        if not there.any():
            continue
        one = {name: getattr(boards.new, name)[..., board, :][..., there] for name, _ in _ARRAYS}
        shaky = [(bool(a), bool(b)) for a, b in boards.unsteady[:, board, there].T]
        names = [
            comparison.outcome
            for comparison in family(
                replace(boards.new, **one), [(3, 3)] * int(there.sum()), margin=MARGIN, unsteady=shaky
            )
        ]
        for word, mask in zip(("better", "worse", "equivalent"), found, strict=True):
            ours = mask[board][boards.there[board][pairs]]
            assert ours.tolist() == [name == word for name in names], (word, names)


def alone_at_first(better: Bools, worse: Bools, n_rows: int) -> Bools:
    """In which boards row 0 has rank 1 and no other."""
    i, j = pairs_of(np.arange(n_rows))
    found = []
    for up, down in zip(better, worse, strict=True):
        matrix = np.zeros((n_rows, n_rows), dtype=bool)
        matrix[i, j], matrix[j, i] = up, down
        found.append(rank_ranges(matrix)[0] == (1, 1))
    return np.array(found)


def percent(values: Bools) -> float | None:
    return 100 * float(np.mean(values)) if np.size(values) else None


def measure(cell: Cell, boards: int, seed: int) -> Iterator[Result]:
    """Simulate a cell; one result for each number of seeds, shares in percent."""
    generator = np.random.default_rng([seed, zlib.crc32(cell.name.encode())])
    if cell.tables:
        found = boards_of_tables(cell, boards, max(boards // 2, 1), generator)
    else:
        found = boards_drawn(cell, boards, generator)
    better_rows = len(found[SEEDS[0], EFFECTS[-1]].there)
    i, j = pairs_of(np.arange(cell.n_rows))
    column, everything, first = (i == 1) | (j == 1), np.ones(i.size, dtype=bool), i == 0
    baseline = (i == 0) & (j == 1)
    for k in SEEDS:
        result: Result = {"cell": cell.name, "seeds": k, "boards": boards, "with a better row": better_rows}
        for effect in EFFECTS:
            part = found[k, effect]
            name = f"{100 * effect:g}"
            families = {"ranks": (everything, outcomes(part, everything))}
            families["column"] = (column, outcomes(part, column))
            for word, (pairs, (better, worse, equal)) in families.items():
                check(part, pairs, (better, worse, equal), CHECKED)
                true = first[pairs] & (effect > 0)
                wrong = ((better & ~true) | worse).any(axis=1)
                result[f"{word}: false at {name}"] = percent(wrong)
                if "chance" in cell.distribution and not effect:
                    for what, boards_of in (("failure", part.warned), ("none", ~part.warned)):
                        enough = boards_of.sum() >= MIN_BOARDS
                        share = percent(wrong[boards_of]) if enough else None
                        result[f"{word}: false, {what} seen"] = share
                    result["failure seen"] = percent(part.warned)
                if effect:
                    result[f"{word}: finds {name}"] = percent(better[:, baseline[pairs]])
                if effect == MARGIN:
                    result[f"{word}: false equivalent"] = percent((equal & true).any(axis=1))
            old_better, old_worse, old_equal = old_outcomes(part.old)
            true = first & (effect > 0)
            result[f"before: false at {name}"] = percent(((old_better & ~true) | old_worse).any(axis=1))
            if effect:
                result[f"before: finds {name}"] = percent(old_better[:, baseline])
                result[f"ranks: alone at {name}"] = percent(
                    alone_at_first(*families["ranks"][1][:2], cell.n_rows)
                )
            if effect == MARGIN:
                result["before: false equivalent"] = percent((old_equal & true).any(axis=1))
            if not effect:
                inside = np.abs(part.new.centre) <= part.new.half_width(ALPHA)
                result["coverage"] = percent(inside[:, column][part.there[:, column]])
                inside = np.abs(part.old.mean) <= part.old.half_width(ALPHA)
                result["before: coverage"] = percent(inside[:, column])
        yield result


def measure_unseen(boards: int, seed: int) -> Iterator[Result]:
    """Compare a row that fails one time in ten with a deterministic one of the same expected accuracy."""
    cell, ahead = Cell("chance+stable-rows", 25_000, 2, tables=False), 0.1 * (ACCURACY - MAJORITY)
    generator = np.random.default_rng([seed, zlib.crc32(b"unseen")])
    both = np.ones(1, dtype=bool)
    for (k, _), part in boards_drawn(cell, boards, generator, [ahead]).items():
        better, worse, _ = outcomes(part, both)
        yield {
            "cell": "unseen",
            "seeds": k,
            "no failure seen": percent(~part.warned),
            "then better": percent(better[~part.warned]),
            "better": percent(better),
            "worse": percent(worse),
            "before: better": percent(old_outcomes(part.old)[0]),
        }


# Few test examples, or few that tell two rows apart: exactly, by adding up all counts that are possible.


def stable_pairs(n_examples: int, only_a: NDArray[np.intp], only_b: NDArray[np.intp]) -> Differences:
    """Compare pairs of deterministic rows, by how many examples only A, and only B, has right."""
    most = int(max(only_a.max(), only_b.max())) + 1
    tables = np.ones((2 * most, MIN_SEEDS, n_examples), dtype=bool)
    for wrong in range(most):  # A is wrong at the start of the examples, B at their end
        tables[wrong, :, :wrong] = False
        tables[most + wrong, :, n_examples - wrong :] = False
    rows = borrowing([runs_of(table) for table in tables])
    return differences(rows, only_b.tolist(), (most + only_a).tolist())


def counts(
    n_examples: int, only_a: float, only_b: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Return pairs of counts and their probabilities, where A and B alone are right with these."""
    most = [int(n_examples * p + 6 * math.sqrt(n_examples * p)) + 6 if p else 0 for p in (only_a, only_b)]
    a, b = np.indices([min(n_examples, one) + 1 for one in most], dtype=np.intp).reshape(2, -1)
    a, b = (part[a + b <= n_examples] for part in (a, b))
    chance = scipy.stats.multinomial.pmf(
        np.stack([a, b, n_examples - a - b], axis=1), n_examples, [only_a, only_b, 1 - only_a - only_b]
    )
    likely = chance > 1e-9
    return a[likely], b[likely], chance[likely]


def measure_small() -> Iterator[Result]:
    """Judge pairs of deterministic rows, as families of one and more, with any number of examples."""
    none = np.zeros(1, dtype=np.intp)
    for n in (40, 100, 500, 765, 770, 2_000):
        found = stable_pairs(n, none, none)
        yield {
            "cell": "small",
            "what": "agree",
            "examples": n,
            "half-width, points": 100 * float(found.half_width(ALPHA, few=True)[0]),
            "equivalent": "yes" if found.equivalence_p_values(MARGIN)[0] < ALPHA else "no",
        }
    for n, disagree in product((100, 500, 1_000, 2_000, 4_000), (0.005, 0.01, 0.02)):
        better = (disagree + MARGIN) / 2
        a, b, chance = counts(n, better, disagree - better)
        found = stable_pairs(n, a, b)
        equal, p = found.equivalence_p_values(MARGIN), found.p_values()
        yield {
            "cell": "small",
            "what": "margin",
            "examples": n,
            "disagree, %": 100 * disagree,
            **{
                f"false equivalent, family of {m}": 100 * m * float(chance @ (equal < ALPHA / m))
                for m in FAMILIES
            },
            "worse": 100 * float(chance @ ((p < ALPHA) & (found.mean < 0))),
        }
    for n, disagree in product((20, 50, 100, 200), (0.01, 0.02, 0.05, 0.3, 0.9)):
        a, b, chance = counts(n, disagree / 2, disagree / 2)
        p = stable_pairs(n, a, b).p_values()
        yield {
            "cell": "small",
            "what": "equal",
            "examples": n,
            "disagree, %": 100 * disagree,
            **{f"false, family of {m}": 100 * m * float(chance @ (p < ALPHA / m)) for m in FAMILIES},
        }


FAMILIES = (1, 9, 45)


# Seeds added until a comparison of two rows is decided.

PLAN_EFFECTS = (0.0, 0.005, 0.01, 0.02)


def measure_until_decided(name: str, boards: int, seed: int) -> Iterator[Result]:
    """Simulate pairs with up to 20 seeds: the new plan, the old one, and 20 seeds at once."""
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    n, spread = 25_000, float(name.partition("/")[2]) / 100
    random, _, common, single = covariances()
    new_plan, fixed = SequentialPlan(20), SequentialPlan(20, 20)
    deviations = spread * generator.standard_normal((boards, 2, 20))
    deviations += math.sqrt((random - common) / n) * generator.standard_normal((boards, 2, 1))
    deviations += math.sqrt(single / n) * generator.standard_normal(deviations.shape)
    for effect in PLAN_EFFECTS:
        scores = ACCURACY + deviations + np.array([effect, 0])[:, None]
        result: Result = {"cell": name, "effect": 100 * effect, "boards": boards}
        for word, plan in (("new", new_plan), ("fixed", fixed)):
            ends = [until_decided(plan, pair, 2 * (random - common), single, n) for pair in scores]
            outcome, used, futile = (np.array(part) for part in zip(*ends, strict=True))
            result |= shares(word, outcome, used) | {f"{word}: futile": percent(futile)}
        result |= shares("old", *old_until_decided(scores, 2 * (random - common), single, n))
        yield result


def shares(word: str, outcome: NDArray[np.int64], used: NDArray[np.int64]) -> Result:
    return {
        f"{word}: better": percent(outcome == 1),
        f"{word}: worse": percent(outcome == -1),
        f"{word}: equivalent": percent(outcome == 2),
        f"{word}: seeds": float(used.mean()),
    }


def until_decided(
    plan: SequentialPlan, scores: Floats, spread: float, single: float, n: int
) -> tuple[int, int, bool]:
    """Return the outcome, the seeds used, and whether it was given up, as ``compare --until-decided``."""
    for number, k in enumerate(plan.analyses):
        variances = np.maximum(scores[:, :k].var(axis=1, ddof=1), single / n)
        mean = scores[:, :k].mean(axis=1) @ [1, -1]
        centre = mean * n / (n + 2)
        examples = (spread * (n - 1) + n * mean**2 + 2) / (n + 2) - centre**2
        pair = Differences(
            np.array([mean]),
            np.array([centre]),
            variances[:, None] / k,
            np.full((2, 1), k - 1.0),
            np.array([examples / (n + 2)]),
            n,
        )
        error = 1 - plan.level_at(number)
        half = float(pair.half_width(error)[0])
        if abs(centre) + float(pair.half_width(error, few=True)[0]) < MARGIN:
            return 2, k, False
        if abs(centre) > half:
            return (1 if mean > 0 else -1), k, False
        if k == plan.max_seeds:
            break
        if not plan.outlook(pair, number, MARGIN)[0]:
            return 0, k, True
    return 0, plan.max_seeds, False


def old_until_decided(
    scores: Floats, spread: float, single: float, n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return outcomes and seeds used by the old plan: an analysis after every seed from 3 to 20."""
    outcome, used = np.zeros(len(scores), dtype=np.int64), np.full(len(scores), 20)
    going, noise, before = np.ones(len(scores), dtype=bool), 2 * single, 0.0
    for k in range(3, 21):
        spent = ALPHA * (k / 20) ** 2
        old = old_of(
            scores[:, 0, :k] - scores[:, 1, :k],
            np.full(len(scores), noise + k * spread),
            np.full(len(scores), noise),
            n,
        )
        half = old.half_width(spent - before)
        before = spent
        equal = np.abs(old.mean) + half <= MARGIN
        decided = going & (equal | (np.abs(old.mean) > half))
        outcome[decided] = np.where(equal, 2, np.sign(old.mean).astype(int))[decided]
        used[decided] = k
        going &= ~decided
    return outcome, used


def measure_rows(boards: int, seed: int) -> Iterator[Result]:
    """Measure the two intervals of a row alone, and the band of the expected best of n trials."""
    generator = np.random.default_rng([seed, zlib.crc32(b"rows")])
    points, weights = np.polynomial.hermite_e.hermegauss(20)
    for n, k in product(EXAMPLES[:2], SEEDS):
        over_seeds, over_examples = [], []
        for _ in range(boards):
            skill = math.sqrt(SHARED + OWN) * generator.standard_normal(n)
            accuracies = ACCURACY + SPREAD * generator.standard_normal(k)
            correct = generator.random((k, n)) < right(accuracies, skill)
            interval, error = mean_interval(correct.mean(axis=1)), sampling_error(correct)[1]
            here = float(weights @ right(ACCURACY + SPREAD * points, skill).mean(axis=1)) / weights.sum()
            assert interval is not None
            over_seeds.append(interval.low <= here <= interval.high)
            over_examples.append(error.low <= accuracies.mean() <= error.high)
        yield {
            "cell": "rows",
            "what": f"{n:,} examples, {k} seeds",
            "seeds": percent(np.array(over_seeds)),
            "examples": percent(np.array(over_examples)),
        }
    for trials in (1, 10, 20, 40):
        truth = generator.beta(6, 2, (100_000, trials)).max(axis=1).mean()
        inside = []
        for number in range(boards // 4):
            curve = expected_best(generator.beta(6, 2, 40), resamples=300, seed=number)
            inside.append(curve.low[trials - 1] <= truth <= curve.high[trials - 1])
        yield {"cell": "rows", "what": f"best of {trials} of 40 trials", "band": percent(np.array(inside))}


def right(accuracies: Floats, skill: Floats) -> Floats:
    """Probabilities that runs of these accuracies have each example right."""
    return np.asarray(ndtr((ndtri(accuracies)[:, None] + skill) / math.sqrt(NOISE)))


# The cells, the file of results, and what is printed.

GRID = [Cell(*names, tables=names[1] < 25_000) for names in product(DISTRIBUTIONS, EXAMPLES, ROWS)]
HELD = [
    Cell(name, n, 10, tables=n == 25_000)
    for n, name in product((500, 25_000), ("normal", "unequal-0.5", "skewed+stable-rows", "chance"))
]
"""Cells where what is drawn is held against tables."""
FEW = [
    Cell(name, n, rows, tables=True)
    for rows, n, name in product(ROWS[:2], (50, 100), ("normal", "skewed", "stable-rows"))
]
"""Below `MIN_EXAMPLES` the verdicts are those that there would be without it."""
OTHERS = {
    "small": "",
    "until-decided/0.3": "`--until-decided`, 25,000 examples, spread 0.3 points",
    "until-decided/1": "`--until-decided`, 25,000 examples, spread 1 point",
    "unseen": "A row that fails one time in ten, against a deterministic one of the same expected accuracy",
    "rows": "Intervals of one row, and the band of the expected best: coverage",
}
TABLES = {2: 2_000, 10: 1_000, 20: 500}
"""How many boards of tables are simulated, by rows; half where there are 25,000 examples."""
QUICK = (
    "normal/500/10",
    "stable-rows/500/10",
    "unequal-0.5/25000/10",
    "small",
    "until-decided/1",
    "unseen",
    "rows",
)


def results(name: str, boards: int | None, seed: int) -> Iterator[Result]:
    """Measure a cell by its name; without a number of boards, as many as docs/statistics.md has."""
    if name == "small":
        return measure_small()
    if name == "rows":
        return measure_rows(boards or 2_000, seed)
    if name == "unseen":
        return measure_unseen(boards or 2_000, seed)
    if name.startswith("until-decided"):
        return measure_until_decided(name, boards or 2_000, seed)
    cell = next(cell for cell in (*GRID, *HELD, *FEW) if cell.name == name)
    if boards is None:
        boards = TABLES[cell.n_rows] if cell.tables else 2_000
    return measure(cell, boards if cell.n_examples < 25_000 or not cell.tables else boards // 2, seed)


def misses(found: Sequence[Result]) -> list[str]:
    """Compare with the goals; an error misses its own by more than two standard errors of the simulation."""
    missed = []
    for result in found:
        name = result["cell"].split("/")[0]
        if name not in DISTRIBUTIONS:
            continue
        goal = DISTRIBUTIONS[name]
        for word in ("column", "ranks"):
            for what in ("false at 0", "false at 4", "false equivalent"):
                share = result[f"{word}: {what}"]
                boards = result["with a better row" if what == "false at 4" else "boards"]
                if share - 2 * math.sqrt(share * (100 - share) / boards) > goal:
                    where = f"{result['cell']}, {result['seeds']} seeds"
                    missed.append(f"{where}: {word}, {what}: {share:.1f}, goal {goal}")
        if result["cell"] == "normal/25000/10":
            for seeds, effect, least in ((3, "4", 85), (5, "2", 50)):
                share = result[f"column: finds {effect}"]
                if result["seeds"] == seeds and share < least:
                    missed.append(f"finds {effect} points with {seeds} seeds: {share:.1f}, goal {least}")
    return missed


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}" if 0.005 <= value < 1 else f"{value:.1f}"
    return (
        "" if value is None else f"{value:,}" if isinstance(value, int) and value is not True else str(value)
    )


def by_cell(found: Sequence[Result]) -> dict[str, list[Result]]:
    cells: dict[str, list[Result]] = {}
    for result in found:
        cells.setdefault(result["cell"], []).append(result)
    return cells


def by_seeds(cells: dict[str, list[Result]], name: str, column: str) -> str:
    """Return what was measured with 3, 5 and 10 seeds."""
    return " / ".join(shown(result[column]) for result in cells.get(name, ()))


def extremes(found: Sequence[Result], name: str) -> list[str]:
    """Return the range of the coverages of a distribution, and the largest of its errors."""
    whole = [cell.name for cell in GRID if cell.distribution == name]
    results_of = [one for one in found if one["cell"] in whole]
    texts = []
    for column in ("coverage", "before: coverage"):
        values = [one[column] for one in results_of if one[column] is not None]
        texts.append(f"{min(values):.1f} to {max(values):.1f}")
    for word in ("column", "ranks", "before"):
        columns = [f"{word}: false at {100 * effect:g}" for effect in EFFECTS[1:]]
        texts.append(shown(max(one[column] for one in results_of for column in columns)))
    for word in ("column", "ranks", "before"):
        texts.append(shown(max(one[f"{word}: false equivalent"] for one in results_of)))
    return texts


def report(found: Sequence[Result]) -> Iterator[str]:
    """Yield titles and tables."""
    cells = by_cell(found)
    whole = [cell for cell in GRID if cell.name in cells]
    names = [name for name in DISTRIBUTIONS if any(cell.distribution == name for cell in whole)]

    words = (("column", "column"), ("ranks", "ranks"), ("before", "before"))
    if names:
        there = [n for n in EXAMPLES if any(cell.n_examples == n for cell in whole)]
        yield "Any false verdict among equal rows, in % of boards (3 / 5 / 10 seeds)"
        yield table(
            ["seeds' effects", "rows", *(f"{n:,}: {title}" for n in there for title, _ in words)],
            [
                [name, str(rows)]
                + [
                    by_seeds(cells, f"{name}/{n}/{rows}", f"{word}: false at 0")
                    for n, (_, word) in product(there, words)
                ]
                for rows, name in product(ROWS, names)
                if any(f"{name}/{n}/{rows}" in cells for n in there)
            ],
        )
        yield "Over the same cells: coverage of the 95 % interval, lowest to highest, and the largest errors"
        yield table(
            ["seeds' effects", "coverage", "before", *(f"false beside a better row: {w}" for _, w in words)]
            + [f"false equivalent: {word}" for _, word in words],
            [[name, *extremes(found, name)] for name in names],
        )
        for n in there:
            yield f"A truly better row is found, in % of boards of {n:,} examples"
            kinds = [
                f"{title} {effect}" for effect in "124" for title in ("column", "ranks", "before", "alone")
            ]
            columns = [
                f"{word}: {what} {effect}"
                for effect in "124"
                for word, what in (*((word, "finds") for _, word in words), ("ranks", "alone at"))
            ]
            yield table(
                ["seeds' effects", "rows", *kinds],
                [
                    [name, str(rows), *(by_seeds(cells, f"{name}/{n}/{rows}", c) for c in columns)]
                    for rows, name in product((10, 2, 20), names)
                    if f"{name}/{n}/{rows}" in cells and (rows == 10 or name in ("normal", "unequal-0.5"))
                ],
            )
        chance = [name for name in names if name.startswith("chance")]
        if chance:
            yield "Runs at chance: boards with a failure that was seen, and any false verdict apart"
            columns = ["failure seen"] + [
                f"{word}: false, {what} seen" for word in ("column", "ranks") for what in ("failure", "none")
            ]
            yield table(
                ["cell", *columns],
                [
                    [name, *(by_seeds(cells, name, column) for column in columns)]
                    for name in cells
                    if name.split("/")[0] in chance
                ],
            )
    few = [cell for cell in cells if cell.split("/")[1:2] in (["50"], ["100"])]
    if few:
        yield "Few examples: any false verdict, whatever the least number"
        columns = ["column: false at 0", "ranks: false at 0", "coverage", "column: false equivalent"]
        yield table(
            ["cell", *columns],
            [[name, *(by_seeds(cells, name, column) for column in columns)] for name in few],
        )
    held = [cell for cell in cells if cell.endswith(("/tables", "/drawn"))]
    if held:
        yield "What is drawn, held against tables"
        columns = ["column: false at 0", "ranks: false at 0", "before: false at 0", "coverage"]
        columns += ["column: finds 2", "column: finds 4", "ranks: finds 4", "before: finds 4"]
        pairs = [name for cell in held for name in (cell.rpartition("/")[0], cell) if name in cells]
        yield table(
            ["cell", *columns],
            [[name, *(by_seeds(cells, name, column) for column in columns)] for name in pairs],
        )
    for what, title in (
        ("agree", "Two deterministic rows that never disagree"),
        ("margin", "Two deterministic rows, a true difference of 0.5 points: expected false verdicts in %"),
        ("equal", "Two equal deterministic rows: expected false verdicts in %, whatever the least number"),
    ):
        rows = [result for result in cells.get("small", ()) if result["what"] == what]
        if rows:
            yield title
            head = [key for key in rows[0] if key not in ("cell", "what")]
            yield table(head, [[shown(row[key]) for key in head] for row in rows])
    for name, title in OTHERS.items():
        if title and name in cells:
            yield title
            head = [key for key in dict.fromkeys(key for row in cells[name] for key in row) if key != "cell"]
            yield table(head, [[shown(row.get(key)) for key in head] for row in cells[name]])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few small cells of 200 boards")
    parser.add_argument("--cells", nargs="+", metavar="NAME", help="cells by name; * stands for anything")
    parser.add_argument("--output", type=Path, metavar="FILE", help="results as JSON lines; goes on with it")
    parser.add_argument("--report", action="store_true", help="measure nothing: print what the file has")
    parser.add_argument("--boards", type=int, help="default: as docs/statistics.md says")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    known = [*(cell.name for cell in (*GRID, *HELD, *FEW)), *OTHERS]
    chosen = args.cells or (QUICK if args.quick else ["*"])
    names = [name for name in known if any(fnmatch.fnmatch(name, pattern) for pattern in chosen)]
    boards, found = args.boards or (200 if args.quick else None), []
    if args.output and args.output.exists():
        found = [json.loads(line) for line in args.output.read_text().splitlines()]
    for name in names:
        if args.report or any(result["cell"] == name for result in found):
            continue
        started = time.process_time()
        made = list(results(name, boards, args.seed))
        made[0]["cpu"] = time.process_time() - started
        found += made
        if args.output:
            with args.output.open("a") as file:
                file.writelines(json.dumps(result) + "\n" for result in made)
    seconds = sum(result.pop("cpu", 0) for result in found)
    print(f"`python {' '.join(sys.argv)}`: Python {platform.python_version()}, NumPy {np.__version__},")
    print(f"SciPy {scipy.__version__}; {seconds:.0f} s on one core.")
    found = [result for result in found if result["cell"] in names]
    for number, part in enumerate(report(found)):
        print(f"\n{part}" + ("" if number % 2 else ":"))
    missed = misses(found)
    print("\nGoals missed:\n\n- " + "\n- ".join(missed) if missed else "\nAll goals are met.")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
