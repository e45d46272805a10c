"""One sweep from plan to board: the process that owns Optuna and MLflow."""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import filelock
import numpy as np

from benchmark.config import RunSpec, Scalar
from benchmark.errors import UserError
from benchmark.execution.engine import Engine, Job
from benchmark.execution.inline import InlineEngine
from benchmark.plan import Plan
from benchmark.report.live import Display
from benchmark.report.plots import confusion_png, curves_png, search_png
from benchmark.search.study import Proposal, Search
from benchmark.tracking import names
from benchmark.tracking.monitor import system_metrics
from benchmark.tracking.served import pack_model
from benchmark.tracking.store import default_artifacts
from benchmark.tracking.tracker import Tracker
from benchmark.training.result import EpochReport, Result


@dataclass(frozen=True)
class Stores:
    """Where a sweep is remembered.

    Attributes
    ----------
    runs : Path
        ``mlruns``.
    client : mlflow.MlflowClient
        A store that answers.
    uri : str
        Its address.
    storage : str or None
        URL of the Optuna storage, None for a journal file.
    """

    runs: Path
    client: Any
    uri: str
    storage: str | None = None

    @property
    def ledger(self) -> Path:
        """The ledger of test reads."""
        return self.runs / "ledger.jsonl"


@dataclass(frozen=True)
class Outcome:
    """What a sweep did this time.

    Attributes
    ----------
    model, study : str
        Which sweep.
    trials, finals : int
        Runs of each phase that were trained now.
    failed : int
        How many of them failed or diverged.
    winner : dict or None
        The tuned configuration.
    """

    model: str
    study: str
    trials: int
    finals: int
    failed: int
    winner: dict[str, Scalar] | None


def run_sweep(plan: Plan, stores: Stores, display: Display, engine: Engine | None = None) -> Outcome:
    """Carry out a sweep, or go on with it: the search up to its total, then the missing final runs.

    Parameters
    ----------
    plan : Plan
        What to do.
    stores : Stores
        Where it is remembered.
    display : Display
        What a person sees.
    engine : Engine, optional
        What trains; by default this process.

    Raises
    ------
    UserError
        When the same sweep is under way in another process, or its study is another one.
    """
    studies = stores.runs / "studies"
    studies.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(studies / f"{plan.study}.lock")
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise UserError(
            f"study {plan.study} is being worked on by another process; wait for it, or use another --study"
        ) from None
    with lock:
        return _Sweep(plan, stores, display, engine).run()


class _Sweep:
    def __init__(self, plan: Plan, stores: Stores, display: Display, engine: Engine | None) -> None:
        self.plan, self.display = plan, display
        config = plan.config
        self.engine = engine or InlineEngine(plan.dataset, stores.ledger, config.device, config.compile)
        self.search = Search(plan, stores.storage, stores.runs / "studies")
        self.tracker = Tracker(
            stores.client, plan, default_artifacts(stores.uri, stores.runs, plan.dataset.name)
        )
        self.ran = {"trial": 0, "final": 0}
        self.failed = 0

    def run(self) -> Outcome:
        plan, search = self.plan, self.search
        started = time.monotonic()
        finals = _FinalPhase(self)
        self.display.sweep_started(
            plan.model.label,
            plan.dataset.name,
            plan.study,
            search.total,
            search.done,
            *finals.expected(),
        )
        if search.finished and not finals.missing():
            finals.tag_tiers()
            self.display.line(
                f"nothing to do: {search.done} of {search.total} trials and all final runs of "
                f"{plan.study} are done; raise --trials or --seeds for more"
            )
            return self._outcome()
        self.tracker.begin()
        try:
            with system_metrics(self.tracker.client, self.tracker.parent_id):
                self._run_phase(_SearchPhase(self))
                finals.tag_tiers()
                self.display.finals_planned(finals.expected()[0])
                self._run_phase(finals)
        except BaseException as error:
            self.tracker.abort("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise
        with tempfile.TemporaryDirectory() as folder:
            self._write_search(Path(folder))
            totals = {names.SEARCH_TRIALS: float(search.done), names.SEARCH_SECONDS: search.seconds}
            self.tracker.finish(totals, Path(folder))
        self.display.sweep_ended(plan.model.label, time.monotonic() - started)
        return self._outcome()

    def _run_phase(self, phase: _SearchPhase | _FinalPhase) -> None:
        try:
            self.engine.run(phase.jobs(), phase)
        except KeyboardInterrupt:
            for job in list(phase.under_way.values()):
                phase.ended(job, Result("interrupted"))
            raise

    def _outcome(self) -> Outcome:
        winner = self.search.winner()
        return Outcome(
            self.plan.model.name,
            self.plan.study,
            self.ran["trial"],
            self.ran["final"],
            self.failed,
            winner.hparams if winner else None,
        )

    def _write_search(self, folder: Path) -> None:
        rows = self.search.table()
        with (folder / names.TRIALS_CSV).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)
        values = [row["val_accuracy"] for row in rows]
        pruned = [row["status"] == "pruned" for row in rows]
        search_png(values, pruned, folder / names.SEARCH_PNG)

    def count(self, phase: str, result: Result) -> None:
        self.ran[phase] += 1
        self.failed += result.status not in ("ok", "pruned")


class _Phase:
    """Recording of one phase; the engine tells it what happens."""

    kind: str
    phase: Literal["search", "final"]

    def __init__(self, sweep: _Sweep) -> None:
        self.sweep = sweep
        self.runs: dict[int, str] = {}
        self.under_way: dict[int, Job] = {}

    def label(self, job: Job) -> str:
        raise NotImplementedError

    def tags(self, job: Job) -> dict[str, str]:
        raise NotImplementedError

    def started(self, job: Job) -> None:
        tags = {names.KIND: self.kind, names.PHASE: self.phase, **self.tags(job)}
        self.under_way[job.number] = job
        name = f"{self.sweep.plan.model.label} {self.label(job)}"
        self.runs[job.number] = self.sweep.tracker.start(job.spec, name, tags)
        self.sweep.display.run_started(self.label(job), job.number, self.phase, job.spec.flat())

    def epoch(self, job: Job, report: EpochReport) -> bool:
        self.sweep.tracker.epoch(self.runs[job.number], report)
        metrics = report.metrics
        self.sweep.display.epoch(
            self.label(job),
            report.epoch,
            report.epochs,
            metrics["loss"],
            metrics["accuracy"],
            metrics["val_loss"],
            metrics["val_accuracy"],
            metrics["epoch_seconds"],
        )
        return True

    def ended(self, job: Job, result: Result) -> None:
        with tempfile.TemporaryDirectory() as folder:
            _write_artifacts(Path(folder), self.label(job), self.sweep.plan.dataset.class_names, result)
            self.sweep.tracker.end(self.runs.pop(job.number), result, Path(folder))
        del self.under_way[job.number]
        if result.status != "interrupted":
            self.sweep.count(self.kind, result)


class _SearchPhase(_Phase):
    kind = names.TRIAL_RUN
    phase = "search"

    def __init__(self, sweep: _Sweep) -> None:
        super().__init__(sweep)
        self.proposals: dict[int, Proposal] = {}

    def jobs(self) -> Iterator[Job]:
        for proposal in self.sweep.search.proposals():
            self.proposals[proposal.number] = proposal
            yield Job(proposal.number, proposal.spec)

    def label(self, job: Job) -> str:
        return f"trial {self.proposals[job.number].slot}"

    def tags(self, job: Job) -> dict[str, str]:
        slot = self.proposals[job.number].slot
        return {names.TRIAL: str(slot), names.SEED: str(job.spec.seeds.index)}

    def epoch(self, job: Job, report: EpochReport) -> bool:
        super().epoch(job, report)
        return self.sweep.search.report(job.number, report.epoch, report.best_val_accuracy)

    def ended(self, job: Job, result: Result) -> None:
        super().ended(job, result)
        self.sweep.search.tell(job.number, result)
        winner = self.sweep.search.winner()
        self.sweep.display.run_ended(
            self.label(job),
            self.phase,
            result.status,
            result.best_val_accuracy,
            result.train_seconds,
            winner.value if winner else None,
            _detail(result),
        )


class _FinalPhase(_Phase):
    kind = names.FINAL_RUN
    phase = "final"

    def __init__(self, sweep: _Sweep) -> None:
        super().__init__(sweep)
        self.best: float | None = None

    def configurations(self) -> dict[str, tuple[str, list[RunSpec]]]:
        """Tier and specs of each frozen configuration, by configuration id."""
        plan = self.sweep.plan
        default = plan.final_specs(plan.default)
        winner = self.sweep.search.winner()
        if winner is None:
            return {default[0].config_id: ("default", default)}
        if winner.config_id == default[0].config_id:
            return {default[0].config_id: (names.BOTH_TIERS, default)}
        tuned = plan.final_specs(winner.hparams)
        return {default[0].config_id: ("default", default), tuned[0].config_id: ("tuned", tuned)}

    def _ended_specs(self) -> set[str]:
        """Specs that need not be run again; one that failed by accident is tried anew each time."""
        return {
            run.data.tags[names.SPEC_ID]
            for run in self.sweep.tracker.finals()
            if run.data.tags.get(names.STATUS) in ("ok", "diverged")
        }

    def missing(self) -> list[tuple[str, RunSpec]]:
        """Tier and spec of the final runs that are still to be done."""
        ended = self._ended_specs()
        configurations = self.configurations().values()
        return [(tier, spec) for tier, specs in configurations for spec in specs if spec.spec_id not in ended]

    def expected(self) -> tuple[int, int]:
        """Final runs in all (two tiers, unless the default has won), and those already done."""
        total = 2 * self.sweep.plan.config.seeds
        configurations = self.configurations()
        if self.sweep.search.finished:
            total = sum(len(specs) for _, specs in configurations.values())
        return total, sum(len(specs) for _, specs in configurations.values()) - len(self.missing())

    def tag_tiers(self) -> None:
        """Let earlier final runs tell their present tier: a search that went on may have a new winner."""
        now = {config_id: tier for config_id, (tier, _) in self.configurations().items()}
        for run in self.sweep.tracker.finals():
            tier = now.get(run.data.tags[names.CONFIG_ID], names.NO_TIER)
            if run.data.tags.get(names.TIER) != tier:
                self.sweep.tracker.tag(run.info.run_id, names.TIER, tier)

    def jobs(self) -> Iterator[Job]:
        with tempfile.TemporaryDirectory() as folder:
            self.tiers: dict[int, str] = {}
            for number, (tier, spec) in enumerate(self.missing()):
                self.tiers[number] = tier
                first = spec.seeds.index == 0
                yield Job(number, spec, Path(folder) / str(number) if first else None)

    def label(self, job: Job) -> str:
        return f"final {self.tiers[job.number]} seed {job.spec.seeds.index}"

    def tags(self, job: Job) -> dict[str, str]:
        return {names.TIER: self.tiers[job.number], names.SEED: str(job.spec.seeds.index)}

    def ended(self, job: Job, result: Result) -> None:
        super().ended(job, result)
        if result.test_accuracy is not None:
            self.best = max(self.best or 0.0, result.test_accuracy)
        self.sweep.display.run_ended(
            self.label(job),
            self.phase,
            result.status,
            result.test_accuracy,
            result.train_seconds,
            self.best,
            _detail(result),
        )


def _detail(result: Result) -> str:
    """The last line of a traceback, which names the error."""
    lines = result.error.strip().splitlines()
    return lines[-1] if lines else ""


def _write_artifacts(folder: Path, title: str, class_names: tuple[str, ...], result: Result) -> None:
    if result.error:
        (folder / names.TRACEBACK).write_text(result.error, encoding="utf-8")
    if result.epochs_run:
        curves_png(result.history, result.best_epoch, folder / names.CURVES_PNG, title)
    if result.test_probabilities is not None and result.test_labels is not None:
        np.savez_compressed(
            folder / names.PREDICTIONS, probabilities=result.test_probabilities, labels=result.test_labels
        )
        classes = result.test_probabilities.shape[1]
        counts = np.zeros((classes, classes), dtype=np.int64)
        np.add.at(counts, (result.test_labels, result.test_probabilities.argmax(axis=1)), 1)
        confusion_png(counts, class_names, folder / names.CONFUSION_PNG)
    if result.servable is not None:
        pack_model(result.servable, folder / names.SERVABLE)
