"""What is asked of an engine: see `benchmark.execution.engine`. Its runs are real, and take a moment each."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmark.conformance.check import Check, Failed, NotMeant, Options
from benchmark.conformance.drinks import Drinks
from benchmark.data.dataset import Dataset
from benchmark.data.prepare import prepare
from benchmark.execution.engine import Engine, Job, Workplace
from benchmark.spec.config import RunSpec, TrainSettings, ViewSettings
from benchmark.spec.result import EpochReport, Result, Status
from benchmark.spec.seeds import seed_bundle
from benchmark.support.registry import load_target

_MODEL = Path(__file__).with_name("obedient.py")
_PATIENCE = 300.0
"""Seconds after which an engine that does not come back is said to hang."""


class EngineSubject:
    """An engine that is looked at.

    Parameters
    ----------
    make : callable
        Takes a workplace and returns an engine; a class will do.
    """

    def __init__(self, make: Callable[[Workplace], Engine]) -> None:
        self._make = make
        self._scratch = tempfile.TemporaryDirectory(prefix="textbench-")
        self.folder = Path(self._scratch.name)
        self._engine: Engine | None = None

    def close(self) -> None:
        """Close the engine."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        self._scratch.cleanup()

    @cached_property
    def place(self) -> Workplace:
        """Where runs take place."""
        return Workplace(self.dataset, self.folder / "ledger.jsonl", compile="graph")

    @cached_property
    def dataset(self) -> Dataset:
        """Three classes, short texts."""
        return prepare(Drinks())

    @property
    def engine(self) -> Engine:
        """The engine, which is used for one check after another."""
        if self._engine is None:
            self._engine = self._make(self.place)
        return self._engine

    def job(
        self, number: int, do: str = "train", *, kind: str = "trial", epochs: int = 2, keep: bool = False
    ) -> Job:
        """Return a job that takes a moment."""
        spec = RunSpec.model_validate(
            {
                "model": f"{_MODEL}:build",
                "dataset": self.dataset.name,
                "dataset_digest": self.dataset.digest,
                "kind": kind,
                "view": ViewSettings(vocabulary_size=60, sequence_length=12),
                "training": TrainSettings(epochs=epochs, batch_size=128, learning_rate=0.05, patience=None),
                "hparams": {"do": do},
                "seeds": seed_bundle(0, "search", number),
            }
        )
        return Job(number, spec, self.folder / f"model-{number}" if keep else None)

    def run(self, notes: Notes) -> Notes:
        """Let the engine run jobs, in a thread of its own so that it may hang."""
        raised: list[BaseException] = []

        def work() -> None:
            try:
                self.engine.run(notes)
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(_PATIENCE)
        if thread.is_alive():
            self._engine = None
            raise Failed(
                f"run() did not come back within {_PATIENCE:.0f} s of a few short runs",
                "return when handler.finished is true and no run is under way",
            )
        if raised:
            self._engine = None
            raise Failed(
                f"run() raised {type(raised[0]).__name__}: {raised[0]}",
                "what goes wrong in a run is a result (status failed); train() gives it",
            )
        return notes


@dataclass
class Notes:
    """A handler that notes what it is told.

    Attributes
    ----------
    jobs : list of Job or None
        Given one after another; None is "none at present".
    answers : mapping of (int, int) to str
        Statuses with which a job is to end after an epoch.
    stop_at : (int, int) or None
        The job and epoch at which everything is stopped.
    """

    jobs: Sequence[Job | None]
    answers: Mapping[tuple[int, int], Status] = field(default_factory=dict)
    stop_at: tuple[int, int] | None = None
    told: list[tuple[str, int, int]] = field(default_factory=list)
    reports: dict[int, list[EpochReport]] = field(default_factory=dict)
    results: dict[int, Result] = field(default_factory=dict)
    stopping: bool = False
    given: int = 0

    @property
    def finished(self) -> bool:
        """Whether there will be no further job."""
        return self.stopping or self.given == len(self.jobs)

    def next(self) -> Job | None:
        """Return the next job, or None where there is none at present."""
        if self.finished:
            return None
        self.given += 1
        return self.jobs[self.given - 1]

    def started(self, job: Job) -> None:
        """Note that a job begins."""
        self.told.append(("started", job.number, 0))

    def epoch(self, job: Job, report: EpochReport) -> Status | None:
        """Note an epoch, and answer as planned."""
        self.told.append(("epoch", job.number, report.epoch))
        self.reports.setdefault(job.number, []).append(report)
        if self.stop_at == (job.number, report.epoch):
            self.stopping = True
        return "interrupted" if self.stopping else self.answers.get((job.number, report.epoch))

    def ended(self, job: Job, result: Result) -> None:
        """Note a result."""
        self.told.append(("ended", job.number, 0))
        self.results[job.number] = result

    def of(self, number: int) -> list[tuple[str, int]]:
        """Return what was told of a job."""
        return [(what, epoch) for what, job, epoch in self.told if job == number]

    def statuses(self) -> list[str]:
        """Return how the jobs ended, in the order of their numbers."""
        return [self.results[number].status for number in sorted(self.results)]


def has_methods(subject: EngineSubject) -> str:
    """It can be made for a workplace, and has `run` and `close`."""
    for name in ("run", "close"):
        if not callable(getattr(subject.engine, name, None)):
            raise Failed(f"it has no method '{name}'", "see Engine in benchmark/execution/engine.py")
    return type(subject.engine).__name__


def tells_everything(subject: EngineSubject) -> str:
    """Of each job the start, each epoch and the result are told, once and in this order."""
    notes = subject.run(Notes([subject.job(number) for number in range(3)]))
    for number in range(3):
        told = notes.of(number)
        if told != [("started", 0), ("epoch", 1), ("epoch", 2), ("ended", 0)]:
            shown = ", ".join(f"{what} {epoch or ''}".strip() for what, epoch in told) or "nothing"
            raise Failed(
                f"of a run of two epochs was told: {shown}",
                "call handler.started, handler.epoch for each report, and handler.ended, once each",
            )
        history = notes.results[number].history
        if history.get("loss") != [report.metrics["loss"] for report in notes.reports[number]]:
            raise Failed("epochs and the result's history differ", "hand on what train() gives, unchanged")
    if notes.statuses() != ["ok"] * 3:
        raise Failed(f"sound runs ended as {', '.join(notes.statuses())}", "hand on train()'s result")
    return "three runs"


def results_are_those_of_train(subject: EngineSubject) -> str:
    """A run gives what `train` gives."""
    from benchmark.training.train import train

    job = subject.job(7)
    result = subject.run(Notes([job])).results[7]
    expected = train(job.spec, subject.dataset, compile="graph")
    if not np.allclose(result.history["loss"], expected.history["loss"], rtol=1e-4):
        raise Failed(
            f"the losses of a run are {result.history['loss']}, those of train() {expected.history['loss']}",
            "give train() the job's spec as it is, and place.compile and place.device",
        )
    return "the same curves"


def obeys_answers(subject: EngineSubject) -> str:
    """The answer to an epoch ends the run with that status."""
    result = subject.run(Notes([subject.job(1, epochs=6)], {(1, 2): "pruned"})).results[1]
    if (result.status, result.epochs_run) != ("pruned", 2):
        raise Failed(
            f"answered 'pruned' after epoch 2 of 6, the run ended as {result.status} after "
            f"{result.epochs_run} epochs",
            "return the answer of handler.epoch from on_epoch, which train() calls",
        )
    return "a run was pruned after its second epoch"


def failures_are_results(subject: EngineSubject) -> str:
    """A run that fails or diverges is a result, and the next one goes on."""
    notes = subject.run(Notes([subject.job(1, "raise"), subject.job(2, "diverge"), subject.job(3)]))
    if notes.statuses() != ["failed", "diverged", "ok"]:
        raise Failed(
            f"one that raises, one that diverges and a sound one ended as {', '.join(notes.statuses())}",
            "tell handler.ended of every result, and ask for the next job",
        )
    if "planted" not in notes.results[1].error:
        raise Failed("the traceback of a failed run is lost", "hand on result.error")
    return "failed, diverged, ok"


def waits_for_jobs(subject: EngineSubject) -> str:
    """None is no end: there may be another job later."""
    notes = subject.run(Notes([subject.job(1), None, None, subject.job(2)]))
    if notes.statuses() != ["ok", "ok"]:
        raise Failed(
            f"after 'none at present' there was another job; {len(notes.results)} of 2 came to their end",
            "go on asking until handler.finished is true",
        )
    return "asked again"


def stops(subject: EngineSubject) -> str:
    """Once the handler is stopping, runs end as interrupted and none is begun."""
    jobs = [subject.job(number, epochs=6) for number in range(1, 5)]
    notes = subject.run(Notes(jobs, stop_at=(1, 1)))
    stopped = notes.told.index(("epoch", 1, 1))
    late = [job for what, job, _ in notes.told[stopped:] if what == "started"]
    if late or notes.results[1].status != "interrupted":
        seen = "another run was begun" if late else f"the run ended as {notes.results[1].status}"
        raise Failed(
            f"after a stop {seen}", "hand on the answer of handler.epoch; ask handler.finished first"
        )
    return "interrupted after its first epoch"


def final_runs(subject: EngineSubject) -> str:
    """A final run is measured on the test part, on record, and its model is kept."""
    job = subject.job(1, kind="final", keep=True)
    result = subject.run(Notes([job])).results[1]
    if result.test_probabilities is None:
        last = (result.error.strip().splitlines() or [result.status])[-1]
        raise Failed(f"a final run has no test probabilities ({last})", "give train() place.ledger")
    if not subject.place.ledger.is_file():
        raise Failed("the look at the test part is not on record", "give train() place.ledger")
    if job.servable is None or not job.servable.is_dir():
        raise Failed("its model was not kept", "give train() servable=job.servable")
    return "measured, on record, kept"


def closes_twice(subject: EngineSubject) -> str:
    """It can be closed twice: a sweep that breaks off does so."""
    engine = subject.engine
    for _ in range(2):
        engine.close()
    subject._engine = None
    return "closed twice"


CHECKS = (
    Check(has_methods, basic=True),
    Check(tells_everything, basic=True),
    Check(results_are_those_of_train),
    Check(obeys_answers),
    Check(failures_are_results),
    Check(waits_for_jobs),
    Check(stops),
    Check(final_runs),
    Check(closes_twice),
)


def open_subject(target: str, options: Options) -> EngineSubject:
    """Return the engine of a target."""
    if options.settings:
        raise NotMeant("--set is for models")
    return EngineSubject(load_target(target, "engine"))
