"""The board of a results file, for a comparison: read in memory, and nothing of it is imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmark.board.board import Analysis, build_board
from benchmark.board.gate import Gate, against
from benchmark.board.rows import BoardRow
from benchmark.board.stored_board import experiment_of, final_runs
from benchmark.metrics.metric import Predictions
from benchmark.results_file.importer import check_data, record_of
from benchmark.results_file.reader import ResultsFile, open_results
from benchmark.spec.config import SeedBundle
from benchmark.support.errors import UserError
from benchmark.tracking import names
from benchmark.tracking.predictions import PredictionReader
from benchmark.tracking.runs import StoredRun, find_runs, read_spec


class _FileReader(PredictionReader):
    """Predictions of a results file, by the keys of its runs; nothing is kept of them."""

    def __init__(self, results: ResultsFile) -> None:
        super().__init__(None)
        self._results, self._entries = results, {entry.key: entry for entry in results.runs}

    def predictions(self, run_id: str) -> Predictions | None:
        """Return what a run says of the test split."""
        return self._results.predictions(self._entries[run_id])

    def _kept(self, run_id: str, what: str, find: Callable[[Predictions], bytes]) -> bytes | None:
        predictions = self.predictions(run_id)
        return None if predictions is None else find(predictions)


def gate_of_file(
    path: Path, client: Any, dataset: str, now: Analysis, metric: str | None, margin: float | None
) -> Gate:
    """Compare the rows of a board with those of a results file (`benchmark.board.gate.against`).

    Parameters
    ----------
    path : Path
        The results file.
    client : mlflow.MlflowClient
        The store that the board is of.
    dataset : str
        Its data set, as `benchmark.board.stored_board.board_builder` takes it.
    now : Analysis
        The board.
    metric, margin
        As the board was built with.

    Raises
    ------
    UserError
        When the file is damaged or on other data, or no row can be compared.
    """
    with open_results(path, "nothing was compared") as results:
        name = experiment_of(dataset)
        if results.manifest.dataset["name"] != name:
            raise UserError(f"{path} is on data set '{results.manifest.dataset['name']}', not on '{name}'")
        check_data(results, client, find_runs(client, name), "compare with results on the same data")
        before = build_board(
            final_runs(_stored(results)), {}, _FileReader(results), metric=metric, margin=margin
        )
        theirs = {entry.key: entry.spec.seeds for entry in results.runs if entry.spec}

        def same_seeds(row: BoardRow, other: BoardRow) -> bool:
            known = {theirs[key] for key in other.run_ids}
            return any(_seeds(client, run_id) in known for run_id in row.run_ids)

        return against(now, before, path.name, same_seeds, margin)


def _stored(results: ResultsFile) -> list[StoredRun]:
    """Return the runs of a file as they were in a store, with figures that are computed from predictions."""
    found = []
    for entry in results.runs:
        record = record_of(results, entry, None)
        metrics = {point.name: point.value for point in record.metrics}
        found.append(
            StoredRun(entry.key, entry.status, entry.start_time, entry.end_time, record.tags, metrics)
        )
    return found


def _seeds(client: Any, run_id: str) -> SeedBundle:
    try:
        return read_spec(client, run_id).seeds
    except (OSError, ValueError) as error:
        raise UserError(f"the seeds of run {run_id} are unknown: its {names.SPEC_JSON} is missing") from error
