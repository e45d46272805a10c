"""What the board's page shows beyond the board: curves, trials, confusions and hard examples, from MLflow."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from benchmark.board.ranking import as_printed
from benchmark.board.rows import Board, BoardRow, Details, HardExample, SearchTrial, SeedCurves
from benchmark.tracking import names
from benchmark.tracking.predictions import read_predictions
from benchmark.tracking.runs import StoredRun, dataset_inputs, find_runs, read_curves

MOST_RUNS = 400
"""Curves of more runs than this are left out, the lowest rows first: a page must stay light."""
MOST_HARD = 40
"""Hard examples that are listed."""

ReadTexts = Callable[[str, NDArray[np.int64]], Sequence[str] | None]
"""By the digest of a data set and places in its test split; None where it is not at hand."""


def read_details(
    client: Any, dataset: str, board: Board, *, texts: ReadTexts | None = None, address: str = ""
) -> Details:
    """Read the details of a board.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store with its runs.
    dataset : str
        Name of the data set, which is the name of the experiment.
    board : Board
        Whose rows are asked for; rows that are the same runs are one, as in all that is printed.
    texts : callable, optional
        Reads texts of the test split, which counts as a test read; without it none are shown.
    address : str
        Of the MLflow UI, for links; none are made where it is empty.
    """
    board = as_printed(board)
    experiment = client.get_experiment_by_name(dataset).experiment_id
    shown, room = [], MOST_RUNS
    for place, row in enumerate(board.rows):
        room -= len(row.run_ids)
        if room >= 0:
            shown.append(place)
    predictions = _Predictions(client, board)
    inputs = dataset_inputs(client, dataset)
    classes = {one.digest: tuple(json.loads(one.profile)["classes"]) for one in inputs if one.profile}
    hard = {
        digest: predictions.hard(digest, classes.get(digest, ()), texts)
        for digest in sorted(predictions.digests)
    }
    return Details(
        curves={place: _curves(client, board.rows[place]) for place in shown},
        searches=_searches(client, dataset, board.rows),
        confusions=predictions.confusions,
        class_names=classes,
        hard_examples={digest: examples for digest, (_, examples) in hard.items()},
        hard_total={digest: total for digest, (total, _) in hard.items()},
        links={
            place: compare_address(address, experiment, row.run_ids)
            for place, row in enumerate(board.rows)
            if address and row.run_ids
        },
    )


def compare_address(address: str, experiment: str, run_ids: Sequence[str]) -> str:
    """Return where the MLflow UI at `address` compares some runs, or shows the one."""
    if len(run_ids) == 1:
        return f"{address}/#/experiments/{experiment}/runs/{run_ids[0]}"
    runs, experiments = quote(json.dumps(list(run_ids))), quote(json.dumps([experiment]))
    return f"{address}/#/compare-runs?runs={runs}&experiments={experiments}"


def _curves(client: Any, row: BoardRow) -> tuple[SeedCurves, ...]:
    found = []
    for seed, run_id in zip(row.seeds, row.run_ids, strict=True):
        curves = {name: tuple(map(_finite, values)) for name, values in read_curves(client, run_id).items()}
        if any(curves.values()):  # a scikit-learn pipeline has none
            found.append(SeedCurves(seed=seed, **curves))
    return tuple(found)


def _searches(client: Any, dataset: str, rows: Sequence[BoardRow]) -> dict[int, tuple[SearchTrial, ...]]:
    by_study: dict[str, list[StoredRun]] = defaultdict(list)
    for run in reversed(find_runs(client, dataset, (names.TRIAL_RUN,))):
        if run.finished:
            by_study[run.study].append(run)
    found = {}
    for place, row in enumerate(rows):
        trials = by_study.get(row.study, [])
        if "tuned" in row.tier and row.watermark is None and trials:
            found[place] = tuple(map(_trial, trials))
    return found


def _trial(run: StoredRun) -> SearchTrial:
    value = run.val_accuracy
    return SearchTrial(
        value=None if value is None or run.status not in ("ok", "pruned") else _finite(value),
        seconds=_finite(run.train_seconds or 0.0) or 0.0,
        status=run.status,
    )


class _Predictions:
    """Predicted classes and probabilities of a board's ranked rows, read once.

    Attributes
    ----------
    confusions : dict of int to tuple of tuple of int
        By row: answers j to examples of class i, summed over seeds.
    digests : set of str
        Data sets with at least one row.
    """

    def __init__(self, client: Any, board: Board) -> None:
        self._rows = board.rows
        self._labels: dict[str, NDArray[np.int32]] = {}
        self._mean: dict[int, NDArray[np.float64]] = {}  # share of seeds that say each class, [N, classes]
        self._surely: dict[int, NDArray[np.float64]] = {}  # mean probability of the true class, [N]
        self.confusions: dict[int, tuple[tuple[int, ...], ...]] = {}
        for place, row in enumerate(board.rows):
            if row.watermark is None and row.run_ids:
                self._read(client, place, row)
        self.digests = set(self._labels)

    def _read(self, client: Any, place: int, row: BoardRow) -> None:
        found = [read_predictions(client, run_id) for run_id in row.run_ids]
        known = [one for one in found if one is not None]
        if not known or len(known) < len(found):
            return
        labels, size = known[0][1], known[0][0].shape[1]
        answers = np.stack([probabilities.argmax(axis=1) for probabilities, _ in known])
        counts = np.zeros((size, size), dtype=np.int64)
        np.add.at(counts, (np.broadcast_to(labels, answers.shape), answers), 1)
        self.confusions[place] = tuple(tuple(map(int, line)) for line in counts)
        self._labels[row.dataset_digest] = labels
        self._mean[place] = np.stack([(answers == k).mean(axis=0) for k in range(size)], axis=1)
        every = np.arange(len(labels))
        self._surely[place] = np.mean([probabilities[every, labels] for probabilities, _ in known], axis=0)

    def hard(
        self, digest: str, classes: Sequence[str], texts: ReadTexts | None
    ) -> tuple[int, tuple[HardExample, ...]]:
        """Find the examples that most seeds of every row get wrong, the most surely wrong first.

        A row that says one class to everything, as ``majority`` does, is left out: it would hide all hard
        examples of that class.
        """
        labels = self._labels[digest]
        said = {
            place: shares.argmax(axis=1)
            for place, shares in self._mean.items()
            if self._rows[place].dataset_digest == digest and np.ptp(shares.argmax(axis=1)) > 0
        }
        if not said:
            return 0, ()
        wrong = np.flatnonzero(np.logical_and.reduce([answers != labels for answers in said.values()]))
        # The same runs in two tiers count twice, as two rows of the board.
        of_rows = [self._surely[place] for place in said for _ in self._rows[place].tier.split("+")]
        surely = np.mean(of_rows, axis=0)
        listed = wrong[np.argsort(surely[wrong], kind="stable")][:MOST_HARD]
        shown = texts(digest, listed.astype(np.int64)) if texts is not None and len(listed) else None
        examples = [
            HardExample(
                index=int(index),
                label=_name(classes, labels[index]),
                text=None if shown is None else shown[number],
                answers=self._answers(said, classes, int(index)),
            )
            for number, index in enumerate(listed)
        ]
        return len(wrong), tuple(examples)

    def _answers(
        self, said: Mapping[int, NDArray[np.int64]], classes: Sequence[str], index: int
    ) -> dict[str, str]:
        return {self._rows[place].name: _name(classes, answers[index]) for place, answers in said.items()}


def _name(classes: Sequence[str], number: int) -> str:
    return classes[number] if number < len(classes) else str(number)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) and abs(value) < 1e30 else None
