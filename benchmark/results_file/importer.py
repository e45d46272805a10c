"""Import of a results file: runs go to MLflow by the spool, searches to Optuna, its ledger beside ours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.ledger_chain import add_chains, true_classes
from benchmark.data.prepare import find_prepared
from benchmark.metrics.metric import ACCURACY, Predictions, finite_values
from benchmark.results_file.reader import ResultsFile
from benchmark.results_file.schema import RECOMPUTED, RunEntry
from benchmark.search.finished_search import add_search
from benchmark.spec.result import BEST_VALUE, figures_on_test
from benchmark.support.errors import UserError
from benchmark.support.files import RunsFolder
from benchmark.tracking import names
from benchmark.tracking.outbox import Outbox
from benchmark.tracking.predictions import PredictionReader
from benchmark.tracking.record import Point, Record, cleaned
from benchmark.tracking.runs import StoredRun, find_runs

_ROUNDING = 1e-4
"""Relative; figures were computed from what the model gave, and are checked by what was stored of it."""


@dataclass(frozen=True)
class Imported:
    """What was added: runs of each kind, trials of studies, entries of ledgers."""

    runs: Mapping[str, int]
    known: int
    trials: int
    reads: int


def import_results(
    results: ResultsFile,
    client: Any,
    outbox: Outbox,
    runs: RunsFolder,
    location: str | None,
    storage: str | None,
) -> Imported:
    """Add what is not there yet; the same file again adds nothing, or what a process that was killed did not.

    Parameters
    ----------
    results : ResultsFile
        Which is whole.
    client : mlflow.MlflowClient
        The store.
    outbox : Outbox
        Brings runs there; they are safe once this returns.
    runs : RunsFolder
        Where the ledger and the journals of studies are.
    location : str or None
        Where a new experiment keeps its artifacts.
    storage : str or None
        URL of the database of studies, None for journals.

    Raises
    ------
    UserError
        Before anything is written: where the runs here are on data of another digest or disagree about the
        true classes, or a study of the same name is a different search.
    """
    dataset = results.manifest.dataset
    there = find_runs(client, dataset["name"], spool=outbox.spool)
    check_data(results, client, there, "import it into a different folder")
    for search in results.searches:
        add_search(search, storage, runs.studies, write=False)
    # The ledger first, as with a run that is trained here.
    reads = add_chains(runs.ledger, results.chains, dataset["name"], dataset["digest"])
    trials = sum(add_search(search, storage, runs.studies) for search in results.searches)
    known = {run.key: run for run in there if run.mlflow_status != "RUNNING"}
    sweeps = {run.study: run for run in there if run.kind == names.SWEEP}
    added = dict.fromkeys(("sweep", "trial", "final"), 0)
    for entry in results.runs:
        before = sweeps.get(entry.study) if entry.kind == names.SWEEP else known.get(entry.key)
        if before is None:
            sweep = sweeps.get(entry.study)
            record = record_of(results, entry, sweep).model_copy(update={"location": location})
            write = partial(_write, results, entry) if entry.spec else None
            outbox.spool.commit(record, write)
            added[entry.kind] += 1
            if entry.kind == names.SWEEP:
                sweeps[entry.study] = StoredRun("", tags={names.RUN_KEY: entry.key})
        elif entry.kind == names.SWEEP and (change := _change(entry, before)):
            outbox.spool.commit(change.model_copy(update={"experiment": dataset["name"]}))
    return Imported(added, len(results.runs) - sum(added.values()), trials, reads)


def check_data(results: ResultsFile, client: Any, there: Iterable[StoredRun], advice: str) -> None:
    """Hold the data set of a file against the runs and the prepared data set that are here.

    Raises
    ------
    UserError
        Where it is a different one; with `advice` where the texts are.
    """
    name, digest = results.manifest.dataset["name"], results.manifest.dataset["digest"]
    finals = [run for run in there if run.kind == names.FINAL_RUN and run.run_id]
    here = {run.dataset_digest for run in finals}
    if here and digest not in here:
        raise UserError(
            f"the file's data set '{name}' has digest {digest}, and the one of the runs here has "
            f"{min(here)}: the texts or labels differ; {advice}"
        )
    said = next((found.labels for run in results.runs if (found := results.predictions(run))), None)
    prepared = find_prepared(digest)
    reader = PredictionReader(client, name)
    ours = (reader.labels(run.run_id) for run in finals if run.dataset_digest == digest)
    known = true_classes(prepared) if prepared else next((one for one in ours if one is not None), None)
    if said is not None and known is not None and not np.array_equal(said, known):
        raise UserError(
            f"the file's true classes of the test split of '{name}' are not those of digest {digest}"
        )


def record_of(results: ResultsFile, entry: RunEntry, sweep: StoredRun | None) -> Record:
    """Return a whole run as it is recorded here."""
    dataset = results.manifest.dataset
    shared = {
        names.KIND: entry.kind,
        names.DATASET: dataset["name"],
        names.DATASET_DIGEST: dataset["digest"],
    }
    parent = {} if sweep is None else {"parent_key": sweep.key or None, "parent_id": sweep.run_id or None}
    return Record(
        key=entry.key,
        experiment=dataset["name"],
        run_name=entry.name,
        start_time=entry.start_time,
        end_time=entry.end_time,
        params=cleaned(entry.spec.flat() if entry.spec else entry.params),
        tags=cleaned({**entry.tags, **entry.spec_tags, **shared}),
        metrics=_metrics(results, entry),
        dataset=dataset,
        status=entry.status,
        **parent,
    )


def _metrics(results: ResultsFile, entry: RunEntry) -> tuple[Point, ...]:
    """Return all metrics; those that follow from predictions are computed, and what the file says is checked.

    Only where it says the same but for rounding, its figure stands: then a board has it to the last digit.
    """
    test, validation = results.predictions(entry), results.predictions(entry, "val_")
    computed = {} if test is None else figures(test)
    if validation is not None and entry.spec is not None:
        metric = entry.spec.metric
        values = finite_values(validation)
        computed[names.BEST_VAL_ACCURACY] = values[ACCURACY]
        computed[names.BEST_VAL_LOSS] = mean_loss(validation)
        if metric != ACCURACY and metric in values:
            computed[BEST_VALUE.format(metric)] = values[metric]
    points = []
    for point in entry.metrics:
        if point.name in computed:
            value = computed.pop(point.name)
            if not math.isclose(point.value, value, rel_tol=_ROUNDING, abs_tol=1e-6):
                point = point._replace(value=value)
        elif point.name.startswith(RECOMPUTED):
            continue
        points.append(point)
    return (*points, *(Point(name, value, entry.end_time, 0) for name, value in computed.items()))


def figures(test: Predictions) -> dict[str, float]:
    """Return the test figures of a final run, under the names that MLflow has for them."""
    return {**figures_on_test(test), names.TEST_LOSS: mean_loss(test)}


def mean_loss(predictions: Predictions) -> float:
    """Return the mean cross-entropy, of probabilities as they are stored."""
    own = predictions.probabilities[np.arange(len(predictions.labels)), predictions.labels]
    smallest = np.finfo(np.float32).tiny  # a model that is certain, and wrong, has a loss all the same
    return float(-np.log(np.maximum(own, smallest).astype(np.float64)).mean())


def _write(results: ResultsFile, entry: RunEntry, folder: Path) -> None:
    """Write what belongs to a run beside its figures."""
    assert entry.spec is not None
    (folder / names.SPEC_JSON).write_text(entry.spec.model_dump_json(indent=2), encoding="utf-8")
    arrays: dict[str, Any] = {}
    for prefix in ("", "val_"):
        if found := results.predictions(entry, prefix):
            arrays |= {f"{prefix}probabilities": found.probabilities, f"{prefix}labels": found.labels}
    if entry.threshold is not None:
        arrays["threshold"] = entry.threshold
    if arrays:
        np.savez_compressed(folder / names.PREDICTIONS, **arrays)


def _change(entry: RunEntry, sweep: StoredRun) -> Record | None:
    """Return what a sweep's run here learns from one elsewhere that got farther; None where it did not."""
    trials = {point.name: point for point in entry.metrics}
    farther = names.SEARCH_TRIALS in trials and trials[names.SEARCH_TRIALS].value > sweep.search_trials
    tags = {names.SEARCH_ENDED: entry.tags.get(names.SEARCH_ENDED, "")} if farther else {}
    if int(entry.tags.get(names.SEEDS_EXPECTED, 0)) > sweep.seeds_expected:
        tags[names.SEEDS_EXPECTED] = entry.tags[names.SEEDS_EXPECTED]
    if not tags:
        return None
    metrics = entry.metrics if farther else ()
    return Record(key=sweep.key, run_id=sweep.run_id or None, experiment="?", tags=tags, metrics=metrics)
