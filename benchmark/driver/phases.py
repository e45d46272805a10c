"""Phases: which runs there are to be, and what Optuna, MLflow and the display learn of each."""

from __future__ import annotations

import tempfile
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from benchmark.display.events import EpochEnded, RunEnded, RunStarted
from benchmark.driver.session import LAST_PATIENCE
from benchmark.execution.engine import Engine, Job
from benchmark.metrics.metric import Predictions, get_metric
from benchmark.report.class_tables import write_classes
from benchmark.report.plots import confusion_png, curves_png
from benchmark.search.study import Search
from benchmark.serving.speed import prediction_speed
from benchmark.serving.stored_models import pack_model
from benchmark.spec.config import CONFIRMING, RunSpec
from benchmark.spec.result import BEST_VALUE, TEST_VALUE, EpochReport, Result, Status
from benchmark.support.errors import one_line
from benchmark.support.signals import MESSAGE, stoppable
from benchmark.tracking import names

if TYPE_CHECKING:
    from benchmark.driver.sweep_driver import Sweep

_RETRIES = 2


class Phase:
    """Recording of one phase; the engine asks it for jobs and reports what happens.

    Parameters
    ----------
    sweep : Sweep
        What the runs belong to: its plan, its tracker, and what a person sees.

    Attributes
    ----------
    ran, failed : int
        Runs that ended in this process, and how many of them failed or diverged.
    gave_up : bool
        Whether the phase was ended since everything failed.
    """

    kind: str
    phase: Literal["search", "final"]

    def __init__(self, sweep: Sweep) -> None:
        self.sweep, self.plan, self.tracker, self.display = sweep, sweep.plan, sweep.tracker, sweep.display
        self.ran = self.failed = 0
        self.gave_up = False
        self._failures_in_a_row = 0
        self._stop = threading.Event()
        self._lost: Counter[str] = Counter()
        # Each with our key of its run in MLflow.
        self._under_way: dict[int, tuple[Job, str]] = {}
        # A thread takes over where the main thread is stuck in an epoch: see `give_up`.
        self._lock = threading.RLock()

    def run(self, engine: Engine) -> None:
        """Run all jobs.

        Raises
        ------
        KeyboardInterrupt
            When somebody asked for an end; the runs under way are recorded as interrupted.
        """
        with stoppable(self.give_up) as self._stop:
            try:
                engine.run(self)
            except KeyboardInterrupt:
                self._stop.set()
            finally:
                self._interrupt()
        if self._stop.is_set():
            raise KeyboardInterrupt

    def give_up(self) -> None:
        """Record the end of everything, from another thread than the one that trains."""
        with self._lock:
            self._interrupt()
            self.tracker.abort("KILLED")
            self.tracker.outbox.close(LAST_PATIENCE)
        self.display.close()
        self.display.line(MESSAGE)

    def _interrupt(self) -> None:
        for job, _ in list(self._under_way.values()):
            self.ended(job, Result("interrupted"))

    @property
    def stopping(self) -> bool:
        """Whether the runs under way are to end as soon as they can."""
        return self._stop.is_set()

    @property
    def finished(self) -> bool:
        """Whether there will be no further job once those under way have ended."""
        return self.stopping or self.gave_up or self.exhausted

    @property
    def exhausted(self) -> bool:
        """Whether all runs of the phase are done or under way."""
        raise NotImplementedError

    def seconds_left(self, one: float) -> float:
        """Return the seconds of training that are left where a run takes `one`."""
        raise NotImplementedError

    def next(self) -> Job | None:
        """Return a job, or None where there is none at present."""
        return None if self.stopping or self.gave_up else self.next_job()

    def next_job(self) -> Job | None:
        """Return a run that is still to be done, or None."""
        raise NotImplementedError

    def job(
        self, number: int, spec: RunSpec, label: str, tags: Mapping[str, str], servable: Path | None = None
    ) -> Job:
        """Make a run of this phase."""
        shared = {names.KIND: self.kind, names.PHASE: self.phase, names.SEED: str(spec.seeds.index)}
        code = self.plan.model.code
        made = {**shared, **tags}
        return Job(number, spec, servable, code, label, made, prediction_speed, self.plan.dataset)

    def started(self, job: Job) -> None:
        """Begin a run in MLflow and on the display."""
        name = f"{self.plan.model.label} {job.label}"
        with self._lock:
            self._under_way[job.number] = job, self.tracker.start(job.spec, name, job.tags)
        self.display.show(RunStarted(job.label, job.number, self.phase, job.spec.flat()))

    def epoch(self, job: Job, report: EpochReport) -> Status | None:
        """Record an epoch; the answer ends the run where it is not None."""
        with self._lock:
            if job.number not in self._under_way:
                return "interrupted"
            self.tracker.epoch(self._under_way[job.number][1], report)
            answer = self.judge(job, report)
        value = report.metrics[f"val_{self.plan.metric}"]
        self.display.show(EpochEnded(job.label, report.epoch, report.epochs, value))
        return "interrupted" if self.stopping else answer

    def judge(self, job: Job, report: EpochReport) -> Status | None:
        """Return the status with which a run is to end after an epoch, or None."""
        return None

    def ended(self, job: Job, result: Result) -> None:
        """Record a result. One that was lost with its process is tried again, twice at most."""
        with self._lock:
            under_way = self._under_way.pop(job.number, None)
            if under_way is None:
                return  # recorded as interrupted already
            if result.status == "interrupted" and not self.stopping:
                self._lost[job.spec.spec_id] += 1
                if self._lost[job.spec.spec_id] > _RETRIES:
                    result.status = "failed"
            self._record(job, under_way[1], result)
        if result.status == "interrupted":
            return
        self.ran += 1
        self.failed += result.status not in ("ok", "pruned")
        # A run that diverges has done what it was asked to.
        broken = result.status in ("failed", "oom", "timeout")
        self._failures_in_a_row = self._failures_in_a_row + 1 if broken else 0
        if self._failures_in_a_row == self.sweep.session.max_failures:
            self.gave_up = True

    def _record(self, job: Job, key: str, result: Result) -> None:
        """Commit a result; from then on it is not lost, whatever happens."""
        self.tracker.end(key, result, partial(self._write, job, result))
        if job.servable is not None and result.status == "ok" and result.servable is None:
            self.display.line(f"{job.label}: its model cannot be stored ({result.error_line})")
        value, best = self.recorded(job, result)
        detail = "" if result.status == "ok" else result.error_line
        seconds = result.train_seconds
        self.display.show(RunEnded(job.label, self.phase, result.status, value, seconds, best, detail))

    def _write(self, job: Job, result: Result, folder: Path) -> None:
        """Write what belongs to a run beside its figures."""
        (folder / names.SPEC_JSON).write_text(job.spec.model_dump_json(indent=2), encoding="utf-8")
        if result.error:
            (folder / names.TRACEBACK).write_text(result.error, encoding="utf-8")
        if result.servable is not None:
            pack_model(result.servable, folder / names.SERVABLE)
        if result.epochs_run:
            draw = partial(curves_png, best_epoch=result.best_epoch)
            self._draw(job, draw, [result.history], folder / names.CURVES_PNG, job.label)
        probabilities, labels = result.test_probabilities, result.test_labels
        if probabilities is not None and labels is not None:
            arrays: dict[str, Any] = {"probabilities": probabilities, "labels": labels}
            if result.threshold is not None:
                arrays["threshold"] = result.threshold
            if result.val_probabilities is not None:
                arrays |= {"val_probabilities": result.val_probabilities, "val_labels": result.val_labels}
            np.savez_compressed(folder / names.PREDICTIONS, **arrays)
            counts = Predictions(labels, probabilities, result.threshold).confusion
            write_classes(counts, self.plan.dataset.class_names, folder / names.CLASSES_CSV)
            path = folder / names.CONFUSION_PNG
            self._draw(job, confusion_png, counts, self.plan.dataset.class_names, path)

    def _draw(self, job: Job, picture: Callable[..., None], *arguments: Any) -> None:
        """Draw a picture; one that cannot be drawn is worth no result."""
        try:
            picture(*arguments)
        except OSError:
            raise
        except Exception as error:
            self.display.line(f"{job.label}: a picture cannot be drawn ({one_line(error, named=True)})")

    def recorded(self, job: Job, result: Result) -> tuple[float | None, float | None]:
        """Take a result that is safe; return its value of the metric and the best so far."""
        raise NotImplementedError


class SearchPhase(Phase):
    """The trials of a search."""

    kind = names.TRIAL_RUN
    phase = "search"

    def __init__(self, sweep: Sweep, search: Search) -> None:
        super().__init__(sweep)
        self.search = search

    @property
    def exhausted(self) -> bool:
        """Whether the search is at its end, other processes included."""
        return self.search.settled

    def seconds_left(self, one: float) -> float:
        """Count the trials, as far as time limits let them start, and the final runs of both tiers."""
        return self.search.seconds_left(one) + one * 2 * self.plan.config.seeds

    def next_job(self) -> Job | None:
        """Ask the search; a trial is named by its slot, and a further run of it by a number, too."""
        proposal = self.search.proposal()
        if proposal is None:
            return None
        again, first = divmod(proposal.slot, CONFIRMING)
        label = f"trial {first}" + (f" run {again + 1}" if again else "")
        return self.job(proposal.number, proposal.spec, label, {names.TRIAL: str(proposal.slot)})

    def judge(self, job: Job, report: EpochReport) -> Status | None:
        """Let the search end the trial."""
        goes_on = self.search.report(job.number, report.epoch, report.best_value)
        return None if goes_on else "pruned"

    def recorded(self, job: Job, result: Result) -> tuple[float | None, float | None]:
        """Let the search learn of it."""
        self.search.tell(job.number, result)
        winner = self.search.winner()
        return result.figure(BEST_VALUE.format(self.plan.metric)), winner.value if winner else None


class FinalPhase(Phase):
    """The final runs of the sweep's configurations, without those that are there already.

    Attributes
    ----------
    seeds : int or None
        How many of each configuration are to be done now; None for all of the plan.
    """

    phase = "final"

    def __init__(self, sweep: Sweep) -> None:
        super().__init__(sweep)
        self.seeds: int | None = None
        self.kind = self.tracker.purpose.run_kind
        # Nobody serves a model of others, and it is their mean that counts.
        self._of_sweep = self.kind == names.FINAL_RUN
        self._best: float | None = None
        self._queue: deque[tuple[str, RunSpec]] = deque()
        self._numbers = count()
        self._models = Path()

    @cached_property
    def _ended_specs(self) -> set[str]:
        """Specs that need not be run again; one that failed by accident is tried once by each process."""
        return {run.spec_id for run in self.tracker.finals if run.settled}

    @property
    def total(self) -> int:
        """Final runs of `seeds`, as far as the configurations are known."""
        return sum(len(specs[: self.seeds]) for _, specs in self.sweep.configurations().values())

    def missing(self, *, of_all: bool = False) -> list[tuple[str, RunSpec]]:
        """Tier and spec of the final runs that are still to be done now, or of those of all seeds."""
        configurations, seeds = self.sweep.configurations().values(), None if of_all else self.seeds
        runs = [(tier, spec) for tier, specs in configurations for spec in specs[:seeds]]
        return [(tier, spec) for tier, spec in runs if spec.spec_id not in self._ended_specs]

    def tag_tiers(self) -> None:
        """Let earlier final runs tell their present tier: a search that went on may have a new winner."""
        now = {config_id: tier for config_id, (tier, _) in self.sweep.configurations().items()}
        for run in self.tracker.finals:
            tier = now.get(run.tags[names.CONFIG_ID], names.NO_TIER)
            if run.tags.get(names.TIER) != tier:
                self.tracker.tag(run, names.TIER, tier)

    def run(self, engine: Engine) -> None:
        """Run what is missing; the model of each tier's first seed is kept."""
        self._queue = deque(self.missing())
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            self._models = Path(folder)
            super().run(engine)

    @property
    def exhausted(self) -> bool:
        """Whether no run is waiting."""
        return not self._queue

    def seconds_left(self, one: float) -> float:
        """Count the runs that wait."""
        return one * len(self._queue)

    def next_job(self) -> Job | None:
        """Return the next missing run that no other process does."""
        while self._queue:
            tier, spec = self._queue.popleft()
            if not self.sweep.claim(spec):
                continue
            number, seed = next(self._numbers), spec.seeds.index
            names_of = {names.PUBLISHED_RUN: self.plan.study, names.CURVE_RUN: tier}
            name = names_of.get(self.kind, f"final {tier}")
            servable = self._models / str(number) if seed == 0 and self._of_sweep else None
            return self.job(number, spec, f"{name} seed {seed}", {names.TIER: tier}, servable)
        return None

    def recorded(self, job: Job, result: Result) -> tuple[float | None, float | None]:
        """Let a run that was lost be tried again."""
        if result.status == "interrupted":
            self._queue.appendleft((job.tags[names.TIER], job.spec))
        else:
            self._ended_specs.add(job.spec.spec_id)
        value = result.figure(TEST_VALUE.format(self.plan.metric))
        if value is not None:
            sign = get_metric(self.plan.metric).sign
            self._best = value if self._best is None else sign * max(sign * self._best, sign * value)
        return value, self._best if self._of_sweep else None
