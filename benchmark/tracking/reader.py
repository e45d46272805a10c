"""Final runs, read back from MLflow: all that a board is made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.spec.config import RunSpec
from benchmark.support.errors import UserError, did_you_mean
from benchmark.tracking import names
from benchmark.tracking.final_runs import FinalRun
from benchmark.tracking.runs_query import all_runs
from benchmark.tracking.stored_runs import StoredRun, experiment_id, stored_runs


def datasets_with_runs(client: Any) -> list[str]:
    """Return the names of the data sets that have an experiment."""
    return [experiment.name for experiment in client.search_experiments() if experiment.name != "Default"]


def latest_dataset(client: Any) -> str | None:
    """Return the data set of the newest sweep, or None where there is none."""
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    if not ids:
        return None
    filters = f"tags.`{names.KIND}` = '{names.SWEEP}'"
    newest = client.search_runs(ids, filters, max_results=1, order_by=["attributes.start_time DESC"])
    return str(newest[0].data.tags[names.DATASET]) if newest else None


def final_runs(client: Any, dataset: str) -> list[FinalRun]:
    """Return every final run of a data set that counts for a row.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store.
    dataset : str
        Name of the data set, which is the name of the experiment.

    Raises
    ------
    UserError
        When nothing is known of the data set, with the nearest one.
    """
    experiment = experiment_id(client, dataset)
    if experiment is None:
        known = datasets_with_runs(client)
        hint = did_you_mean(dataset, known) if known else "run a sweep first: python -m benchmark.sweep"
        raise UserError(f"there are no runs on data set '{dataset}'; {hint}")
    runs = stored_runs(client, experiment, (names.SWEEP, names.FINAL_RUN))
    sweeps = {run.tags[names.STUDY]: run for run in runs if run.tags[names.KIND] == names.SWEEP}
    duplicates = {
        sweep.tags.get(names.DATASET_DIGEST): sweep.tags[names.TEST_DUPLICATES]
        for sweep in sweeps.values()
        if names.TEST_DUPLICATES in sweep.tags
    }
    return [
        _record(run, sweeps.get(run.tags[names.STUDY]), duplicates.get(run.tags[names.DATASET_DIGEST], ""))
        for run in runs
        if run.tags[names.KIND] == names.FINAL_RUN and run.status in ("FINISHED", "FAILED", "KILLED")
    ]


def published_reads(client: Any, dataset: str) -> list[tuple[str, str, str]]:
    """Return data digest, model and spec id of each published run that has read the test split."""
    runs = stored_runs(client, str(experiment_id(client, dataset)), (names.PUBLISHED_RUN,))
    wanted = (names.DATASET_DIGEST, names.MODEL, names.SPEC_ID)
    found = [
        [run.tags.get(name, "") for name in wanted] for run in runs if names.TEST_ACCURACY in run.metrics
    ]
    return [(digest, model, spec_id) for digest, model, spec_id in found]


def dataset_inputs(client: Any, dataset: str) -> list[Any]:
    """Return what MLflow has of the data of a data set's sweeps: digest, source and profile of each."""
    sweeps = all_runs(client, [str(experiment_id(client, dataset))], f"tags.`{names.KIND}` = '{names.SWEEP}'")
    return [item.dataset for run in sweeps for item in run.inputs.dataset_inputs]


def read_spec(client: Any, run_id: str) -> tuple[RunSpec, dict[str, str]]:
    """Return the run spec of a final run, and its tags."""
    text = Path(client.download_artifacts(run_id, names.SPEC_JSON)).read_text(encoding="utf-8")
    return RunSpec.model_validate_json(text), dict(client.get_run(run_id).data.tags)


def sweep_params(client: Any, tags: Mapping[str, str]) -> dict[str, str]:
    """Return what the sweep was asked for that a run belongs to, by the run's tags."""
    params = client.get_run(tags[names.PARENT]).data.params
    return {name: value for name, value in params.items() if value != "None"}


def _record(run: StoredRun, sweep: StoredRun | None, duplicates: str) -> FinalRun:
    tags, metrics = run.tags, run.metrics
    tier = tags.get(names.TIER, "")
    totals = sweep.metrics if sweep else {}
    expected = (sweep.tags if sweep else tags).get(names.SEEDS_EXPECTED, "0")
    return FinalRun(
        run_id=run.run_id,
        model=tags[names.MODEL],
        tiers=() if tier == names.NO_TIER else tuple(tier.split("+")),
        budget=tags[names.BUDGET],
        dataset=tags[names.DATASET],
        dataset_digest=tags[names.DATASET_DIGEST],
        study=tags[names.STUDY],
        protocol=tags.get(names.PROTOCOL, ""),
        seed=int(tags[names.SEED]),
        status=tags.get(names.STATUS, "failed"),
        test_accuracy=metrics.get(names.TEST_ACCURACY),
        test_loss=metrics.get(names.TEST_LOSS),
        val_accuracy=metrics.get(names.BEST_VAL_ACCURACY),
        parameters=_whole(metrics.get(names.PARAMETERS)),
        train_seconds=metrics.get(names.TRAIN_SECONDS),
        epochs_run=_whole(metrics.get(names.EPOCHS_RUN)),
        device=tags.get(names.DEVICE, ""),
        versions=tags.get(names.VERSIONS, ""),
        git_commit=tags.get(names.GIT_COMMIT, ""),
        seeds_expected=int(expected),
        search_trials=_whole(totals.get(names.SEARCH_TRIALS)) or 0,
        search_seconds=totals.get(names.SEARCH_SECONDS),
        ended_at=(run.end_time or 0) / 1000,
        search_ended=sweep.tags.get(names.SEARCH_ENDED, "") if sweep else "",
        test_duplicates=duplicates,
        spec_id=tags.get(names.SPEC_ID, ""),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
