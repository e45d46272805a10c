"""What the board's page shows beyond the board: curves, trials, confusions and hard examples, from MLflow."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from benchmark.board.ranking import as_printed
from benchmark.board.rows import Board, BoardRow, Details
from benchmark.spec.config import CONFIRMING
from benchmark.spec.result import BEST_VALUE
from benchmark.tracking import names
from benchmark.tracking.predictions import read_predictions
from benchmark.tracking.runs import StoredRun, class_names, find_runs, read_curves

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
    read = {place: _read_predictions(client, row) for place, row in enumerate(board.rows)}
    predictions = {place: one for place, one in read.items() if one is not None}
    classes = class_names(client, dataset)
    hard = {
        digest: _hard_examples(predictions.values(), digest, classes.get(digest, ()), texts)
        for digest in sorted({one.row.dataset_digest for one in predictions.values()})
    }
    return Details(
        curves={place: _curves(client, board.rows[place]) for place in shown},
        searches=_searches(client, dataset, board.rows),
        confusions={place: one.confusion for place, one in predictions.items()},
        class_names=classes,
        hard_examples={digest: examples for digest, (_, examples) in hard.items()},
        hard_total={digest: total for digest, (total, _) in hard.items()},
        links={
            place: compare_address(address, experiment, row.run_ids)
            for place, row in enumerate(board.rows)
            if address and row.run_ids
        },
    )


def read_confusion(client: Any, row: BoardRow) -> NDArray[np.int64] | None:
    """Return answers j to examples of class i, summed over the seeds of a row; None where unknown."""
    found = _read_predictions(client, row)
    return None if found is None else np.array(found.confusion)


def compare_address(address: str, experiment: str, run_ids: Sequence[str]) -> str:
    """Return where the MLflow UI at `address` compares some runs, or shows the one."""
    if len(run_ids) == 1:
        return f"{address}/#/experiments/{experiment}/runs/{run_ids[0]}"
    runs, experiments = quote(json.dumps(list(run_ids))), quote(json.dumps([experiment]))
    return f"{address}/#/compare-runs?runs={runs}&experiments={experiments}"


def _curves(client: Any, row: BoardRow) -> list[dict[str, Any]]:
    found = []
    for seed, run_id in zip(row.seeds, row.run_ids, strict=True):
        curves = read_curves(client, run_id)
        if any(curves.values()):  # a scikit-learn pipeline has none
            found.append({"seed": seed, **{name: list(map(_finite, curves[name])) for name in names.CURVES}})
    return found


def _searches(
    client: Any, dataset: str, rows: Sequence[BoardRow]
) -> dict[int, list[tuple[float | None, float]]]:
    by_study: dict[str, list[StoredRun]] = defaultdict(list)
    for run in reversed(find_runs(client, dataset, (names.TRIAL_RUN,))):
        if run.finished and int(run.tags[names.TRIAL]) < CONFIRMING:
            by_study[run.study].append(run)
    return {
        place: [
            (
                _finite(run.metrics.get(BEST_VALUE.format(row.optimised_for)))
                if run.status in ("ok", "pruned")
                else None,
                _finite(run.train_seconds) or 0.0,
            )
            for run in by_study[row.study]
        ]
        for place, row in enumerate(rows)
        if "tuned" in row.tier and row.watermark is None and row.study in by_study
    }


@dataclass(frozen=True, eq=False)
class _Predictions:
    """What the seeds of a row say together.

    Attributes
    ----------
    labels : ndarray of int, shape (N,)
        The true classes.
    confusion : list of list of int
        Answers j to examples of class i, summed over seeds.
    classes : ndarray of int, shape (N,)
        What most seeds say.
    surely : ndarray of float, shape (N,)
        Mean probability of the true class.
    """

    row: BoardRow
    labels: NDArray[np.int32]
    confusion: list[list[int]]
    classes: NDArray[np.int64]
    surely: NDArray[np.float64]


def _read_predictions(client: Any, row: BoardRow) -> _Predictions | None:
    """Read the predictions of a row's runs; None for smoke tests and where some have none."""
    if row.watermark is not None or not row.run_ids:
        return None
    found = [read_predictions(client, run_id) for run_id in row.run_ids]
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return None
    labels, size = known[0].labels, known[0].probabilities.shape[1]
    counts = np.sum([one.confusion for one in known], axis=0)
    if row.folds:  # each has different test texts
        none = np.zeros(0, dtype=np.int64)
        return _Predictions(row, none.astype(np.int32), counts.tolist(), none, none.astype(np.float64))
    answers = np.stack([one.answers for one in known])
    shares = np.stack([(answers == k).mean(axis=0) for k in range(size)], axis=1)
    every = np.arange(len(labels))
    surely = np.mean([one.probabilities[every, labels] for one in known], axis=0)
    return _Predictions(row, labels, counts.tolist(), shares.argmax(axis=1), surely)


def _hard_examples(
    predictions: Iterable[_Predictions], digest: str, classes: Sequence[str], texts: ReadTexts | None
) -> tuple[int, list[dict[str, Any]]]:
    """Find the examples that most seeds of every row get wrong, the most surely wrong first.

    A row that says one class to everything, as ``majority`` does, is left out: it would hide all hard
    examples of that class.
    """
    of_data = (one for one in predictions if one.row.dataset_digest == digest and len(one.labels))
    rows = [one for one in of_data if np.ptp(one.classes) > 0]
    if not rows:
        return 0, []
    labels = rows[0].labels
    wrong = np.flatnonzero(np.logical_and.reduce([one.classes != labels for one in rows]))
    # The same runs in two tiers count twice, as two rows of the board.
    surely = np.mean([one.surely for one in rows for _ in one.row.tier.split("+")], axis=0)
    listed = wrong[np.argsort(surely[wrong], kind="stable")][:MOST_HARD]
    shown = texts(digest, listed.astype(np.int64)) if texts is not None and len(listed) else None

    def name(number: int) -> str:
        return classes[number] if number < len(classes) else str(number)

    return len(wrong), [
        {
            "index": int(index),
            "label": name(labels[index]),
            "text": None if shown is None else shown[place],
            "answers": {one.row.name: name(one.classes[index]) for one in rows},
        }
        for place, index in enumerate(listed)
    ]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) and abs(value) < 1e30 else None
