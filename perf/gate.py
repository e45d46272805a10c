"""Does a gate fail as rarely, and find as much, as it says? ``python perf/gate.py``; prints Markdown.

Simulated: pairs of rows of one model, equal or with the first made worse, by the model of
`perf/calibration.py`: each answer is an example's difficulty, plus what the system alone finds hard, plus
noise of its own, and seeds have effects. A loss is made in two ways: the ability of the row is less
(``diffuse``), or a share of the examples is lost by all seeds (``flipped``, as a class of texts that a change
breaks). ``stated`` is the loss that the gate said it sees with 80 %; rows with exactly the median of it as
their true loss are then simulated, and ``found`` is how often the gate failed.

With ``--pool FILE`` (a results file of many seeds, `results export`) real models instead: disjoint seeds are
drawn for both sides, and the first is made 3 points worse by losing that share of all examples, or by as much
as it states.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from benchmark.results_file.reader import open_results
from benchmark.stats.differences import Differences, Runs, borrowing, differences, runs_of
from benchmark.stats.losses import Loss, losses
from benchmark.stats.verdicts import ACCURACY
from benchmark.tracking import names

Bools = NDArray[np.bool_]
MARGIN, LEVEL = 0.005, 0.95
SHARED, OWN, NOISE = 0.7, 0.15, 0.15  # variances: examples, examples for one system, single answers


def gate(now: list[Bools], before: list[Bools]) -> list[Loss]:
    """Compare tables [seeds, examples] of right answers as `benchmark.board.gate` does."""
    ours, theirs = (borrowing([runs_of(table) for table in side]) for side in (now, before))
    pairs = [(_difference(a, b), ACCURACY, MARGIN) for a, b in zip(ours, theirs, strict=True)]
    return losses(pairs, LEVEL)


def _difference(a: Runs, b: Runs) -> Differences:
    return differences([a, b], [0], [1])


class Simulated:
    """Pairs of rows of one model on new examples, each time."""

    def __init__(self, examples: int, seeds: int, spread: float, rows: int, kind: str) -> None:
        self.name = f"{examples:,} | {seeds} | {100 * spread:g} | {rows} | {kind}"
        self._shape, self._spread, self._rows = (seeds, examples), spread, rows
        self._flipped = kind == "flipped"

    def draw(self, loss: float, generator: np.random.Generator) -> list[Loss]:
        """Return a gate's findings, where the first row has a true loss."""
        now, before = [], []
        for place in range(self._rows):
            lost = loss if place == 0 else 0.0
            examples = generator.normal(0, np.sqrt(SHARED + OWN), self._shape[1])  # one system is one model
            before.append(self._table(examples, 0.8, generator))
            table = self._table(examples, 0.8 - (0.0 if self._flipped else lost), generator)
            if self._flipped and lost:  # of right answers, so that the accuracy is less by the loss
                table = table & (generator.random(self._shape[1]) >= lost / 0.8)
            now.append(table)
        return gate(now, before)

    def _table(self, examples: NDArray[np.float64], accuracy: float, generator: np.random.Generator) -> Bools:
        effects = generator.normal(0, self._spread, self._shape[0])[:, None] if self._spread else 0.0
        ability = ndtri(np.clip(accuracy + effects, 0.01, 0.99))
        noise = generator.normal(0, np.sqrt(NOISE), self._shape) if self._spread else 0.0
        scores = ability + examples + noise + np.zeros((self._shape[0], 1))
        return np.asarray(scores > 0)


class Pool:
    """Rows of one real model, of seeds that are drawn from many."""

    def __init__(self, name: str, table: Bools, seeds: int) -> None:
        self._table, self._seeds = table, seeds
        self.name = f"{name} | {seeds} of {len(table)}"

    def draw(self, loss: float, generator: np.random.Generator) -> list[Loss]:
        """Return a gate's findings for disjoint seeds; the first side has lost a share of all examples."""
        chosen = generator.permutation(len(self._table))[: 2 * self._seeds]
        now, before = self._table[chosen[: self._seeds]], self._table[chosen[self._seeds :]]
        if loss:
            now = now & (generator.random(now.shape[1]) >= loss / self._table.mean())
        return gate([now], [before])


def pools(file: Path, seeds: int) -> Iterator[Pool]:
    """Read each row of a results file that has seeds enough for two sides."""
    with open_results(file, "nothing was measured") as results:
        tables: dict[tuple[str, str], list[Bools]] = {}
        for entry in results.runs:
            if entry.kind == "final" and entry.spec and (found := results.predictions(entry)):
                key = entry.spec_tags[names.MODEL], entry.tags[names.TIER]
                tables.setdefault(key, []).append(np.asarray(found.answers == found.labels))
        for (model, tier), table in tables.items():
            if len(table) >= 2 * seeds:
                yield Pool(f"{model} ({tier})", np.stack(table), seeds)


def failed(draw: Callable[[], list[Loss]], repetitions: int) -> tuple[int, float]:
    """Return how often a gate failed by its first row, or by any, and the median of what it stated."""
    found = [draw() for _ in range(repetitions)]
    return sum(any(one.worse for one in each) for each in found), float(
        np.median([each[0].detectable for each in found])
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--pool", type=Path, help="results file with many seeds")
    parser.add_argument("--seeds", type=int, default=5, help="of each side, drawn from the pool")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    generator, many = np.random.default_rng(options.seed), options.repetitions
    print(f"{many} repetitions, seed {options.seed}, NumPy {np.__version__}, {platform.machine()}\n")
    if options.pool is None:
        print("| examples | seeds | spread | rows | loss | equal | loss = margin | states | found |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        shapes = ((400, 5, 0.01, 1), (2000, 3, 0.01, 1), (2000, 5, 0.01, 1), (2000, 5, 0.01, 5))
        shapes += ((2000, 10, 0.005, 5), (2000, 3, 0.0, 1), (2000, 3, 0.0, 5))
        for shape in shapes:
            for kind in ("flipped", "diffuse"):
                cell = Simulated(*shape, kind)
                print(f"| {cell.name} | {_row(cell, generator, many)} |", flush=True)
        return
    print("| model | seeds | fails, copies | states | found, 3 points | found, as much as it states |")
    print("| --- | --- | --- | --- | --- | --- |")
    for pool in pools(options.pool, options.seeds):
        copies, stated = failed(lambda: pool.draw(0.0, generator), many)  # noqa: B023
        three, _ = failed(lambda: pool.draw(0.03, generator), many)  # noqa: B023
        as_much, _ = failed(lambda: pool.draw(stated, generator), many)  # noqa: B023
        shares = f"{copies} of {many} | {100 * stated:.1f} | {three} of {many} | {as_much} of {many}"
        print(f"| {pool.name} | {shares} |", flush=True)


def _row(cell: Simulated, generator: np.random.Generator, many: int) -> str:
    equal, stated = failed(lambda: cell.draw(0.0, generator), many)
    edge, _ = failed(lambda: cell.draw(MARGIN, generator), many)
    found, _ = failed(lambda: cell.draw(stated, generator), many)
    shares = [f"{100 * count / many:.1f} %" for count in (equal, edge)]
    return f"{shares[0]} | {shares[1]} | {100 * stated:.1f} | {100 * found / many:.1f} %"


if __name__ == "__main__":
    main()
