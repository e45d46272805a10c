"""Do comparisons hold for metrics that are not means? ``python perf/metric_calibration.py``.

Prints Markdown. ``--quick`` takes seconds, everything about half an hour on one core; with ``--output`` the
results of each cell are appended to a file, and cells that are in it are not simulated again. ``--cells``
chooses by name (``plain/0.02/*``).

A run gives an example the score ``separation * (is rare) + example + row's own example + answer``, where all
but the separation is normal, of variance 1 together; from a threshold on it answers the rare class. Both
differ by seed. The number of rare examples is binomial, as in a sample. What runs are worth on the population
is known: recalls and areas of normal scores, and a table by separation for five classes.

The rows of a board are equal, or row 0 is truly better than the others; row 1 is the baseline.
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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

from benchmark.metrics.metric import Predictions, get_metric
from benchmark.stats.differences import borrowing, differences, runs_of
from benchmark.stats.intervals import bounded, mean_interval
from benchmark.stats.spread import sampling_of
from benchmark.stats.verdicts import family

Floats = NDArray[np.float64]
Result = dict[str, Any]

OF_ANSWERS = ("balanced_accuracy", "macro_f1", "mcc")
METRICS = {name: get_metric(name) for name in (*OF_ANSWERS, "roc_auc", "average_precision")}
SEEDS = (3, 5, 10)
FIVE = np.array([0.4, 0.25, 0.2, 0.1, 0.05])
SHARED, OWN, ANSWER = 0.7, 0.15, 0.15  # variances of scores: examples, examples for one row, single answers
SPREAD, EFFECT, ALPHA = 0.1, 0.2, 0.05  # of separation over seeds; what a better row has more of it
CHECKED = 2  # boards of each cell that are held against `family` and scikit-learn


@dataclass(frozen=True)
class Case:
    """What rows do on the population: area under the curve, and recall of the rare class."""

    area: float = 0.85
    recall: float = 0.6
    skewed: bool = False
    stable: bool = False  # the baseline is deterministic
    one_class: bool = False  # the baseline never answers the rare class

    @property
    def separation(self) -> float:
        """What a rare example's score has more."""
        return math.sqrt(2) * float(ndtri(self.area))

    @property
    def threshold(self) -> float:
        """From which score on the rare class is answered."""
        return self.separation - float(ndtri(self.recall))


CASES = {
    "plain": Case(),
    "stable": Case(stable=True),
    "skewed": Case(skewed=True),
    "area-95": Case(area=0.95, recall=0.8),
    "area-99": Case(area=0.99, recall=0.9),
    "recall-98": Case(recall=0.98),
    "recall-5": Case(recall=0.05),
    "one-class": Case(recall=0.2, one_class=True),
}


@dataclass(frozen=True)
class Cell:
    """Boards of one kind."""

    case: str
    share: float  # of the rare class; 0.05 with five classes
    rare: int  # its expected number of test examples
    n_rows: int

    @property
    def name(self) -> str:
        """As `--cells` knows it."""
        return f"{self.case}/{self.share:g}/{self.rare}/{self.n_rows}"

    @property
    def five(self) -> bool:
        """Whether there are five classes."""
        return self.case == "five"

    @property
    def size(self) -> int:
        """Test examples."""
        return round(self.rare / self.share)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of what is measured."""
        return OF_ANSWERS if self.five else tuple(METRICS)


def effects_of(case: Case, generator: np.random.Generator, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Return what seeds do to separation and threshold, expected 0."""
    draw = generator.standard_normal((2, *shape))
    if case.skewed:
        draw[0] = 1 - generator.standard_exponential(shape)
    return SPREAD * draw[0], SPREAD * draw[1]


# What runs are worth on the population.


def on_population(cell: Cell, separation: Floats, threshold: Floats) -> dict[str, Floats]:
    """Return each metric of runs by their separation and threshold."""
    if cell.five:
        grid, values = of_five()
        return {name: np.interp(separation, grid, values[:, place]) for place, name in enumerate(OF_ANSWERS)}
    p, hit, alarm = cell.share, ndtr(separation - threshold), ndtr(-threshold)
    counts = np.array([[(1 - p) * (1 - alarm), (1 - p) * alarm], [p * (1 - hit), p * hit]])
    found = dict(zip(OF_ANSWERS, of_confusion(np.moveaxis(counts, (0, 1), (-2, -1))), strict=True))
    found["roc_auc"] = ndtr(separation / math.sqrt(2))
    found["average_precision"] = np.interp(separation, *area_of_precision(p))
    return found


def of_confusion(counts: Floats) -> tuple[Floats, Floats, Floats]:
    """Balanced accuracy, macro F1 and Matthews correlation of matrices [..., classes, classes]."""
    right, true, answered = np.einsum("...ii->...i", counts), counts.sum(-1), counts.sum(-2)
    total = true.sum(-1)
    balanced = np.mean(right / true, axis=-1)
    f1 = np.mean(2 * right / (true + answered), axis=-1)
    root = np.sqrt((total**2 - (true**2).sum(-1)) * (total**2 - (answered**2).sum(-1)))
    above = right.sum(-1) * total - (true * answered).sum(-1)
    return balanced, f1, np.divide(above, root, out=np.zeros_like(above), where=root > 0)


@cache
def area_of_precision(share: float) -> tuple[Floats, Floats]:
    """Average precision by separation: the precision at each threshold, over recall."""
    grid, recall = np.linspace(0, 6, 601), (np.arange(20_000) + 0.5) / 20_000
    hit = share * recall
    alarm = (1 - share) * ndtr(ndtri(recall) - grid[:, None])
    return grid, np.mean(hit / (hit + alarm), axis=1)


@cache
def of_five() -> tuple[Floats, Floats]:
    """Metrics of five classes by separation, on 200,000 examples with the same noise at each."""
    generator = np.random.default_rng(5)
    labels = np.repeat(np.arange(5), np.round(200_000 * FIVE).astype(int))
    noise, grid = generator.standard_normal((labels.size, 5)), np.linspace(1, 4, 61)
    values = []
    for separation in grid:
        scores = noise + np.log(FIVE) / 2
        scores[np.arange(labels.size), labels] += separation
        counts = np.bincount(labels * 5 + scores.argmax(axis=1), minlength=25).reshape(5, 5)
        values.append(of_confusion(counts.astype(float)))
    return grid, np.array(values)


# Runs on test sets.


def labels_of(cell: Cell, generator: np.random.Generator) -> NDArray[np.int32]:
    """Draw the classes of a test set; the rare one, which is the last, has at least two examples."""
    shares = FIVE if cell.five else np.array([1 - cell.share, cell.share])
    counts = generator.multinomial(cell.size, shares)
    while counts.min() < 2:
        counts = generator.multinomial(cell.size, shares)
    return np.repeat(np.arange(shares.size), counts).astype(np.int32)


def probabilities_of(
    cell: Cell, labels: NDArray[np.int32], effects: Floats, stable: Sequence[int], gen: np.random.Generator
) -> NDArray[np.float32]:
    """Return what runs say, [rows, seeds, N, classes]; `effects` are separations and thresholds."""
    n, (rows, seeds) = labels.size, effects.shape[1:]
    classes = 5 if cell.five else 1
    skill = math.sqrt(OWN) * gen.standard_normal((rows, n, classes), dtype=np.float32)
    skill += math.sqrt(SHARED) * gen.standard_normal((n, classes), dtype=np.float32)
    scores = math.sqrt(ANSWER) * gen.standard_normal((rows, seeds, n, classes), dtype=np.float32)
    for row in stable:
        scores[row] = scores[row, 0]
    scores += skill[:, None]
    separation, threshold = effects[..., None]
    if cell.five:
        scores[:, :, np.arange(n), labels] += separation
        scores += np.log(FIVE) / 2
        scores = np.exp(scores)
        return (scores / scores.sum(axis=-1, keepdims=True)).astype(np.float32)
    second = expit(scores[..., 0] + separation * (labels == 1) - threshold).astype(np.float32)
    return np.stack([1 - second, second], axis=-1)


def pseudo_values(name: str, given: Predictions) -> Floats:
    """Return what `Metric.pseudo_values` does, with values that take less time than scikit-learn's."""
    influence = METRICS[name].influence
    assert influence is not None
    if name in OF_ANSWERS:
        value = of_confusion(given.confusion.astype(float))[OF_ANSWERS.index(name)]
    else:
        scores, rare = given.probabilities[:, 1], given.labels == 1
        every, hits, others = (np.sort(part) for part in (scores, scores[rare], scores[~rare]))
        # Equal scores stand on the same side of a threshold; in the area they count half.
        above, above_hits = (part.size - np.searchsorted(part, hits) for part in (every, hits))
        value = np.mean(above_hits / above)
        if name == "roc_auc":
            below = np.searchsorted(others, hits) + np.searchsorted(others, hits, side="right")
            value = np.mean(below) / (2 * others.size)
    return float(value) + influence(given)


# Cells.


def measure(cell: Cell, boards: int, seed: int) -> Iterator[Result]:
    """Measure the comparisons of a column: equal rows, and a better row 0 instead of the first."""
    case, rows = CASES.get(cell.case, Case(area=0.93)), cell.n_rows
    generator = np.random.default_rng([seed, zlib.crc32(cell.name.encode())])
    stable = [1, *range(4, rows, 3)] if case.stable else []
    base = np.stack(np.broadcast_arrays(np.full((rows + 1, 1), case.separation), case.threshold)).copy()
    base[0, rows] += EFFECT
    if case.one_class:
        base[1, 1] = 20.0
    many = base + np.stack(effects_of(case, generator, (rows + 1, 100_000)))
    many[:, stable] = base[:, stable]
    truth = {name: value.mean(axis=1) for name, value in on_population(cell, *many).items()}
    found: dict[tuple[str, int], list[tuple[float, ...]]] = {key: [] for key in product(cell.metrics, SEEDS)}
    for number in range(boards):
        effects = base + np.stack(effects_of(case, generator, (rows + 1, max(SEEDS))))
        effects[:, stable] = base[:, stable]
        labels = labels_of(cell, generator)
        given = probabilities_of(cell, labels, effects, stable, generator)
        worth = on_population(cell, *effects[:, 0])
        for name in cell.metrics:
            runs = [[Predictions(labels, one) for one in row] for row in given]
            tables = np.array([[pseudo_values(name, one) for one in row] for row in runs])
            if number < CHECKED:
                expected = METRICS[name].pseudo_values(runs[0][0])
                assert np.allclose(tables[0, 0], expected, atol=1e-6), name
            for k in SEEDS:
                sampled = sampled_of(name, tables[0, :k], labels, float(worth[name][:k].mean()))
                summary = [runs_of(table[:k]) for table in tables]
                found[name, k].append((*compared(summary, labels, truth[name], number < CHECKED), *sampled))
    for (name, k), values in found.items():
        columns = np.array(values, dtype=float).T
        result: Result = {"cell": cell.name, "boards": boards, "metric": name, "seeds": k}
        result["true difference"] = 100 * float(truth[name][rows] - truth[name][1])
        for column, share in zip(COLUMNS, columns, strict=True):
            there = share[~np.isnan(share)]
            result[column] = 100 * float(there.mean()) if there.size else None
        result["error"] = 10 * math.sqrt(result["error"])
        yield result


COLUMNS = (
    "covers",
    "false",
    "covers better",
    "finds",
    "false equivalent",
    "half",
    "error",
    "refused",
    "row covers",
    "row has none",
)


def compared(
    summary: Sequence[Any], labels: NDArray[np.int32], truth: Floats, check: bool
) -> tuple[float, ...]:
    """Compare equal rows with row 1, and the better one; as a family its first step decides."""
    rows = len(summary) - 1
    others = [row for row in range(rows) if row != 1]
    section = borrowing(summary[:rows])
    found = differences(section, others, [1] * len(others), classes=labels)
    off = np.abs(found.centre - (truth[others] - truth[1]))
    single = strict = found.half_width(ALPHA)
    if rows > 2:
        strict = found.half_width(ALPHA / len(others))
    if check and found.enough:
        decided = family(found, [(3, 3)] * len(others), margin=None)
        claims = [one.outcome != "undecided" for one in decided]
        assert any(claims) == bool((np.abs(found.centre) > strict).any())
    other = differences(borrowing([summary[rows], *summary[1:rows]]), [0], [1], classes=labels)
    real = float(truth[rows] - truth[1])
    room = abs(real) - abs(other.centre[0])
    around = other.half_width(ALPHA)[0]
    around_strictly = around if rows == 2 else other.half_width(ALPHA / len(others))[0]
    close = room > other.half_width(ALPHA, few=True)[0] and not np.broadcast_to(other.constant, 1)[0]
    return (
        float(off[0] <= single[0]),
        float((off > strict).any()),
        float(abs(other.centre[0] - real) <= around),
        float(abs(other.centre[0]) > around_strictly),
        float(close),
        float(single[0]),
        float(found.mean[0] - (truth[0] - truth[1])) ** 2,
        float(not found.enough),
    )


def sampled_of(name: str, table: Floats, labels: NDArray[np.int32], worth: float) -> tuple[float, float]:
    """Say whether the interval of these runs has what they are worth, and whether there is none."""
    metric = METRICS[name]
    found = sampling_of(table.mean(axis=0), labels, metric.low, metric.high)
    return (math.nan, 1.0) if found is None else (float(found[1].low <= worth <= found[1].high), 0.0)


def measure_seeds(cell: Cell, sets: int, seed: int) -> Iterator[Result]:
    """Measure the interval of a row over seeds on its test set: plain, and on the scale without ends."""
    case, many = CASES[cell.case], 600
    generator = np.random.default_rng([seed, zlib.crc32(cell.name.encode()), 1])
    found: dict[tuple[str, int], list[tuple[float, ...]]] = {key: [] for key in product(cell.metrics, SEEDS)}
    for _ in range(sets):
        effects = np.stack(effects_of(case, generator, (1, many)))
        effects += np.array([case.separation, case.threshold])[:, None, None]
        labels = labels_of(cell, generator)
        given = probabilities_of(cell, labels, effects, [], generator)[0]
        for name in cell.metrics:
            metric = METRICS[name]
            values = np.array([pseudo_values(name, Predictions(labels, one)).mean() for one in given])
            truth = values.mean()
            for k in SEEDS:
                for group in values[: many // k * k].reshape(-1, k):
                    plain = mean_interval(group)
                    assert plain is not None
                    mean = float(group.mean())
                    other = bounded(mean, (plain.high - plain.low) / 2, 0.95, metric.low, metric.high)
                    outside = plain.low < metric.low or plain.high > metric.high
                    inside = [one.low - 1e-9 <= truth <= one.high + 1e-9 for one in (plain, other)]
                    found[name, k].append((*inside, outside))
    for (name, k), shares in found.items():
        columns = 100 * np.array(shares, dtype=float).mean(axis=0)
        names = ("plain covers", "logit covers", "plain beyond the range")
        yield {
            "cell": f"seeds/{cell.name}",
            "metric": name,
            "seeds": k,
            **dict(zip(names, columns.tolist(), strict=True)),
        }


# The cells, the file of results, and what is printed.

GRID = [Cell(name, 0.1, 20, 2) for name in CASES]
GRID += [Cell(name, 0.1, 200, 2) for name in ("plain", "skewed", "area-99", "recall-5")]
GRID += [Cell(name, 0.02, 20, 2) for name in ("plain", "recall-5", "one-class")]
GRID += [Cell(name, 0.1, 20, 10) for name in ("plain", "skewed")]
GRID += [Cell("five", 0.05, rare, 2) for rare in (20, 200)]
GRID += [Cell("one-class", 0.02, 50, 2), Cell("plain", 0.5, 200, 2)]
GRID += [Cell("plain", 0.1, 50, 2), Cell("area-99", 0.1, 50, 2), Cell("recall-5", 0.1, 50, 2)]
GRID += [Cell("plain", 0.02, 200, 2)]
GRID += [Cell(name, 0.1, 50, 10) for name in ("plain", "skewed")]
OF_SEEDS = [Cell(name, 0.1, 20, 1) for name in ("plain", "area-99", "recall-5")]


def results(name: str, boards: int | None, seed: int) -> Iterator[Result]:
    """Measure a cell by its name; without a number of boards, as many as docs/statistics.md has."""
    for cell in OF_SEEDS:
        if name == f"seeds/{cell.name}":
            return measure_seeds(cell, max(2, (boards or 400) // 20), seed)
    cell = next(cell for cell in GRID if cell.name == name)
    if boards is None:
        boards = 250 if cell.n_rows == 2 and cell.size <= 5_000 else 100
    return measure(cell, boards, seed)


def shown(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def table(found: Sequence[Result], column: str) -> str:
    """Return a line for each cell, a column for each metric, and what 3 / 5 / 10 seeds have."""
    fields: dict[str, dict[str, list[str]]] = {}
    for one in found:
        fields.setdefault(one["cell"], {}).setdefault(one["metric"], []).append(shown(one[column]))
    names = [name for name in METRICS if any(name in line for line in fields.values())]
    rows = [[cell, *(" / ".join(line.get(name, ())) for name in names)] for cell, line in fields.items()]
    return lines(["cell", *(name.replace("_", " ") for name in names)], rows)


def extremes(found: Sequence[Result]) -> str:
    """Return for each metric and number of seeds the lowest and the highest figure of all cells."""
    rows = []
    for name, k in product(METRICS, SEEDS):
        some = [one for one in found if (one["metric"], one["seeds"]) == (name, k)]
        spans = [[one[column] for one in some if one[column] is not None] for column in SPANS]
        if some:
            texts = [f"{shown(min(span))} to {shown(max(span))}" if span else "" for span in spans]
            rows.append([name.replace("_", " "), str(k), *texts])
    return lines(["metric", "seeds", *SPANS], rows)


SPANS = ("covers", "covers better", "false equivalent", "row covers")


def lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def report(found: Sequence[Result]) -> Iterator[tuple[str, str]]:
    """Yield titles and tables."""
    two, ten = ([one for one in found if one["cell"].endswith(f"/{rows}")] for rows in (2, 10))
    if two:
        yield "Two rows, all cells: lowest and highest figure", extremes(two)
        yield "Two equal rows: the interval of the difference covers it", table(two, "covers")
        yield "A better row is found", table(two, "finds")
        yield "By how much it is better, in points", table(two, "true difference")
        yield "The interval of a row over test examples covers, where there is one", table(two, "row covers")
        yield "There is none", table(two, "row has none")
    if ten:
        yield "Ten equal rows, column of differences: any false verdict", table(ten, "false")
        yield "A better row is found among ten", table(ten, "finds")
    some = [one for one in found if one["cell"].startswith("seeds/")]
    for column in ("plain covers", "logit covers", "plain beyond the range") if some else ():
        yield f"Interval of a row over seeds: {column}", table(some, column)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few small cells of 100 boards")
    parser.add_argument("--cells", nargs="+", metavar="NAME", help="cells by name; * stands for anything")
    parser.add_argument("--output", type=Path, metavar="FILE", help="results as JSON lines; goes on with it")
    parser.add_argument("--boards", type=int, help="default: as docs/statistics.md says")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    known = [*(f"seeds/{cell.name}" for cell in OF_SEEDS), *(cell.name for cell in GRID)]
    chosen = args.cells or (["plain/0.1/50/2", "five/0.05/50/2"] if args.quick else ["*"])
    names = [name for name in known if any(fnmatch.fnmatch(name, pattern) for pattern in chosen)]
    boards, found = args.boards or (100 if args.quick else None), []
    if args.output and args.output.exists():
        found = [json.loads(line) for line in args.output.read_text().splitlines()]
    for name in names:
        if any(result["cell"] == name for result in found):
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
    for title, lines in report([result for result in found if result["cell"] in names]):
        print(f"\n{title}:\n\n{lines}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
