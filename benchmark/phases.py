"""Phases: which runs there are to be, and what Optuna, MLflow and the display are told of each."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmark.config import RunSpec
from benchmark.execution.engine import Engine, Job
from benchmark.plan import Plan
from benchmark.report.live import Display
from benchmark.report.plots import confusion_png, curves_png
from benchmark.search.study import Proposal, Search
from benchmark.tracking import names
from benchmark.tracking.served import pack_model
from benchmark.tracking.tracker import Tracker
from benchmark.training.result import EpochReport, Result

Configurations = Mapping[str, tuple[str, list[RunSpec]]]
"""Tier and run specs of each frozen configuration, by configuration id."""


class Phase:
    """Recording of one phase; the engine tells it what happens.

    Parameters
    ----------
    plan : Plan
        What the runs belong to.
    tracker : Tracker
        Writes them to MLflow.
    display : Display
        What a person sees.

    Attributes
    ----------
    ran, failed : int
        Runs that ended in this process, and how many of them failed or diverged.
    """

    kind: str
    phase: Literal["search", "final"]

    def __init__(self, plan: Plan, tracker: Tracker, display: Display) -> None:
        self.plan, self.tracker, self.display = plan, tracker, display
        self.ran = self.failed = 0
        self._runs: dict[int, str] = {}
        self._under_way: dict[int, Job] = {}

    def run(self, engine: Engine) -> None:
        """Run all jobs; an interrupt is recorded in those under way."""
        try:
            engine.run(self.jobs(), self)
        except KeyboardInterrupt:
            for job in list(self._under_way.values()):
                self.ended(job, Result("interrupted"))
            raise

    def jobs(self) -> Iterator[Job]:
        """Yield the runs that are still to be done."""
        raise NotImplementedError

    def label(self, job: Job) -> str:
        """Name a run within its phase, for people."""
        raise NotImplementedError

    def tags(self, job: Job) -> dict[str, str]:
        """Return the tags that a run of this phase has."""
        raise NotImplementedError

    def started(self, job: Job) -> None:
        """Begin a run in MLflow and on the display."""
        tags = {names.KIND: self.kind, names.PHASE: self.phase, **self.tags(job)}
        self._under_way[job.number] = job
        name = f"{self.plan.model.label} {self.label(job)}"
        self._runs[job.number] = self.tracker.start(job.spec, name, tags)
        self.display.run_started(self.label(job), job.number, self.phase, job.spec.flat())

    def epoch(self, job: Job, report: EpochReport) -> bool:
        """Record an epoch."""
        self.tracker.epoch(self._runs[job.number], report)
        metrics = report.metrics
        self.display.epoch(
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
        """Record a result."""
        with tempfile.TemporaryDirectory() as folder:
            _write_artifacts(Path(folder), self.label(job), self.plan.dataset.class_names, result)
            self.tracker.end(self._runs.pop(job.number), result, Path(folder))
        del self._under_way[job.number]
        if result.status != "interrupted":
            self.ran += 1
            self.failed += result.status not in ("ok", "pruned")

    def show_end(self, job: Job, result: Result, value: float | None, best: float | None) -> None:
        """Tell the display how a run ended."""
        self.display.run_ended(
            self.label(job),
            self.phase,
            result.status,
            value,
            result.train_seconds,
            best,
            _error_line(result.error),
        )


class SearchPhase(Phase):
    """The trials of a search."""

    kind = names.TRIAL_RUN
    phase = "search"

    def __init__(self, plan: Plan, tracker: Tracker, display: Display, search: Search) -> None:
        super().__init__(plan, tracker, display)
        self._search = search
        self._proposals: dict[int, Proposal] = {}

    def jobs(self) -> Iterator[Job]:
        """Ask the search."""
        for proposal in self._search.proposals():
            self._proposals[proposal.number] = proposal
            yield Job(proposal.number, proposal.spec)

    def label(self, job: Job) -> str:
        """Name a trial by its slot."""
        return f"trial {self._proposals[job.number].slot}"

    def tags(self, job: Job) -> dict[str, str]:
        """Return slot and seed."""
        slot = self._proposals[job.number].slot
        return {names.TRIAL: str(slot), names.SEED: str(job.spec.seeds.index)}

    def epoch(self, job: Job, report: EpochReport) -> bool:
        """Record an epoch; the search may end the trial."""
        super().epoch(job, report)
        return self._search.report(job.number, report.epoch, report.best_val_accuracy)

    def ended(self, job: Job, result: Result) -> None:
        """Record a result, in the search, too."""
        super().ended(job, result)
        self._search.tell(job.number, result)
        winner = self._search.winner()
        self.show_end(job, result, result.best_val_accuracy, winner.value if winner else None)


class FinalPhase(Phase):
    """The final runs of frozen configurations, those left out that are there already.

    Parameters
    ----------
    configurations : callable
        Asked each time, since the winner of a search that goes on may change.
    """

    kind = names.FINAL_RUN
    phase = "final"
    keeps_models = True
    shows_best = True

    def __init__(
        self,
        plan: Plan,
        tracker: Tracker,
        display: Display,
        configurations: Callable[[], Configurations],
    ) -> None:
        super().__init__(plan, tracker, display)
        self._configurations = configurations
        self._tiers: dict[int, str] = {}
        self._best: float | None = None

    @cached_property
    def _earlier(self) -> list[Any]:
        """Runs of earlier processes; this one alone adds to them, so that one question is enough."""
        return self.tracker.finals()

    @cached_property
    def _ended_specs(self) -> set[str]:
        """Specs that need not be run again; one that failed by accident is tried anew each time."""
        ended = (
            run.data.tags for run in self._earlier if run.data.tags.get(names.STATUS) in ("ok", "diverged")
        )
        return {tags[names.SPEC_ID] for tags in ended}

    @property
    def total(self) -> int:
        """Final runs in all, as far as the configurations are known."""
        return sum(len(specs) for _, specs in self._configurations().values())

    def missing(self) -> list[tuple[str, RunSpec]]:
        """Tier and spec of the final runs that are still to be done."""
        configurations = self._configurations().values()
        return [
            (tier, spec)
            for tier, specs in configurations
            for spec in specs
            if spec.spec_id not in self._ended_specs
        ]

    def tag_tiers(self) -> None:
        """Let earlier final runs tell their present tier: a search that went on may have a new winner."""
        now = {config_id: tier for config_id, (tier, _) in self._configurations().items()}
        for run in self._earlier:
            tier = now.get(run.data.tags[names.CONFIG_ID], names.NO_TIER)
            if run.data.tags.get(names.TIER) != tier:
                self.tracker.tag(run.info.run_id, names.TIER, tier)

    def jobs(self) -> Iterator[Job]:
        """Yield the missing runs; the model of each tier's first seed is kept."""
        with tempfile.TemporaryDirectory() as folder:
            for number, (tier, spec) in enumerate(self.missing()):
                self._tiers[number] = tier
                kept = self.keeps_models and spec.seeds.index == 0
                yield Job(number, spec, Path(folder) / str(number) if kept else None)

    def label(self, job: Job) -> str:
        """Name a run by tier and seed."""
        return f"final {self._tiers[job.number]} seed {job.spec.seeds.index}"

    def tags(self, job: Job) -> dict[str, str]:
        """Return tier and seed."""
        return {names.TIER: self._tiers[job.number], names.SEED: str(job.spec.seeds.index)}

    def ended(self, job: Job, result: Result) -> None:
        """Record a result."""
        super().ended(job, result)
        if result.test_accuracy is not None:
            self._best = max(self._best or 0.0, result.test_accuracy)
        self.show_end(job, result, result.test_accuracy, self._best if self.shows_best else None)


class PublishedPhase(FinalPhase):
    """The runs of a published configuration."""

    kind = names.PUBLISHED_RUN
    keeps_models = False
    shows_best = False  # it is the mean that counts here

    def __init__(self, plan: Plan, tracker: Tracker, display: Display) -> None:
        specs = plan.final_specs(plan.default)
        super().__init__(plan, tracker, display, lambda: {specs[0].config_id: (names.PUBLISHED_TIER, specs)})

    def label(self, job: Job) -> str:
        """Name a run by configuration and seed."""
        return f"{self.plan.study} seed {job.spec.seeds.index}"


def _error_line(traceback: str) -> str:
    """Return the line of a traceback that names the error; Keras lets others follow it."""
    lines = traceback.strip().splitlines()
    named = [line for line in lines if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt): ", line)]
    return (named or lines or [""])[-1]


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
