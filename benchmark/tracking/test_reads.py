"""Runs that have read a test part, as the store knows them: what the ledger is held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmark.tracking import names
from benchmark.tracking.runs_query import all_runs


@dataclass(frozen=True)
class Looked:
    """A final or published run with a test accuracy."""

    run_id: str
    spec_id: str
    model: str
    dataset: str


def runs_that_looked(client: Any) -> list[Looked]:
    """Return every run with a test accuracy, of all data sets.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store. Runs that were deleted in it are not found.
    """
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    if not ids:
        return []
    found = []
    for kind in (names.FINAL_RUN, names.PUBLISHED_RUN):
        for run in all_runs(client, ids, f"tags.`{names.KIND}` = '{kind}'"):
            if names.TEST_ACCURACY in run.data.metrics:
                tags = run.data.tags
                found.append(
                    Looked(
                        run_id=str(run.info.run_id),
                        spec_id=tags.get(names.SPEC_ID, ""),
                        model=tags.get(names.MODEL, ""),
                        dataset=tags.get(names.DATASET, ""),
                    )
                )
    return found
