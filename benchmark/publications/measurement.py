"""Measuring one published configuration: from its file to its figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.data.archive import ArchivedSource
from benchmark.data.dataset import Dataset
from benchmark.data.prepare import prepare
from benchmark.data.source import Source, SourceOptions, get_source
from benchmark.driver.session import Session
from benchmark.driver.sweep_driver import run_finals
from benchmark.models.source_description import describe
from benchmark.plan.run_specs import Plan
from benchmark.publications.configurations import Case, Data
from benchmark.publications.reproduction import Measurement, best_epoch
from benchmark.spec.config import Device, SweepConfig
from benchmark.support.errors import UserError, spelled
from benchmark.support.registry import load_target
from benchmark.tracking import names
from benchmark.tracking.runs import StoredRun, find_runs, read_curves
from benchmark.tracking.tracker import PUBLISHED


def measure(
    case: Case,
    session: Session,
    *,
    data_dir: Path | None = None,
    seed: int = 0,
    device: Device = "auto",
) -> tuple[Measurement, list[StoredRun]]:
    """Do what is missing of a configuration.

    Parameters
    ----------
    case : Case
        The configuration and its number of runs.
    session : Session
        Where the runs are remembered.
    data_dir : Path, optional
        Folder with data that need not be fetched.
    seed : int
        Root of all seeds.
    device : {"auto", "cpu", "gpu"}
        Where to train.

    Returns
    -------
    measured : Measurement
        The figures, or why there are none.
    runs : list of StoredRun
        The ok runs, by seed.
    """
    item, needs = case.publication, ""
    try:
        # What the runs need is looked for before any data is prepared.
        for name, target in describe(item.model).resources.items():
            needs = str(item.settings[name])
            load_target(target, "resource")(needs)
        needs = f"data set {item.dataset.label}"
        dataset = prepare(_source(item.dataset, data_dir))
        needs = ""
        plan = plan_case(case, dataset, seed=seed, device=device)
        run_finals(plan, PUBLISHED, names.PUBLISHED_TIER, session)
    except UserError as error:  # also where another process is at it
        session.display.line(f"{case.name} is not measured: {error}")
        return Measurement(item.dataset.label, notes=(spelled(error),), needs=needs), []
    found = find_runs(session.client, plan.dataset.name, (names.PUBLISHED_RUN,))
    latest = {run.spec_id: run for run in reversed(found)}  # one that is ok is never run again
    specs = [spec.spec_id for spec in plan.final_specs(plan.default)]
    runs = [latest[spec_id] for spec_id in specs if spec_id in latest]
    ok = [replace(run, curves=read_curves(session.client, run.run_id)) for run in runs if run.status == "ok"]
    return _measurement(plan, runs, ok), ok


def plan_case(case: Case, dataset: Dataset, *, seed: int = 0, device: Device = "auto") -> Plan:
    """Plan the runs of a published configuration.

    Parameters
    ----------
    case : Case
        What was published, and how many runs there are to be, on the bundles that every model gets.
    dataset : Dataset
        Prepared as the publication says.
    seed : int
        Root of all seeds.
    device : {"auto", "cpu", "gpu"}
        Where to train.

    Raises
    ------
    UserError
        When there are fewer training texts than the publication wants.
    MissingResource
        When vectors or a module are unavailable.
    """
    item = case.publication
    wanted, there = item.train_examples, dataset.sizes["train"]
    if wanted is not None and wanted > there:
        raise UserError(f"{item.name} wants {wanted} training texts; '{dataset.name}' has {there}")
    epochs = item.settings.get("epochs", 1)
    assert isinstance(epochs, int)
    config = SweepConfig(
        budget="published",
        trials=1,
        seeds=case.seeds,
        epochs=epochs,
        train_share=1.0,
        train_examples=wanted,
        seed=seed,
        device=device,
        study=case.study,
    )
    return Plan(describe(item.model), dataset, item.space, config)


def _source(data: Data, data_dir: Path | None) -> Source:
    options = SourceOptions(data_dir=data_dir, validation_share=data.validation_share)
    if data.name is not None:
        return get_source(data.name, options)
    assert data.archive is not None
    assert data.folder is not None
    return ArchivedSource(data.archive, data.folder, data.without, data.url, options)


def _measurement(plan: Plan, runs: Sequence[StoredRun], ok: Sequence[StoredRun]) -> Measurement:
    """Collect the figures of the ok runs, and say what became of the others."""
    summaries = {
        "test_accuracy": names.TEST_ACCURACY,
        "test_loss": names.TEST_LOSS,
        "val_accuracy": names.BEST_VAL_ACCURACY,  # of the epoch that was kept
    }
    values = {
        metric: tuple(run.metrics[name] for run in ok if math.isfinite(run.metrics.get(name, math.nan)))
        for metric, name in summaries.items()
    }
    notes = [best_epoch([run.curves for run in ok])] if ok else []
    lost = Counter(run.status for run in runs if run.status != "ok")
    if lost:
        how = ", ".join(f"{count} {status}" for status, count in sorted(lost.items()))
        notes.append(f"{lost.total()} of {plan.config.seeds} runs are not in the mean: {how}")
    return Measurement(plan.dataset.name, plan.protocol, values, tuple(filter(None, notes)))
