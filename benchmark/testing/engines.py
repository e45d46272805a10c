"""What is asked of an engine: see `benchmark.execution.engine`. Its runs are real, and take a moment each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

import numpy as np

from benchmark.data.dataset import Dataset
from benchmark.data.ledger_chain import read_entries
from benchmark.data.prepare import prepare
from benchmark.data.source import SourceOptions
from benchmark.execution.engine import Engine, Job, Workplace
from benchmark.models.task import Task
from benchmark.spec.config import RunSpec, TrainSettings, ViewSettings, seed_bundle
from benchmark.spec.result import EpochReport, Result, Status
from benchmark.support.registry import load_target
from benchmark.testing.suite import Suite, last_line
from benchmark.testing.toy_data import ToyData


def scripted(task: Task, *, do: str = "train") -> Any:
    """Build a tiny model.

    Parameters
    ----------
    task : Task
        Vocabulary size, length and classes.
    do : {"train", "raise", "diverge"}
        What becomes of a run.
    """
    import keras

    if do == "raise":
        raise RuntimeError("planted")
    bias = keras.initializers.Constant(float("nan") if do == "diverge" else 0.0)
    ids = keras.Input((task.columns,), dtype="int32")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(task.vocabulary_size, 2)(ids))
    return keras.Model(ids, keras.layers.Dense(task.n_outputs, bias_initializer=bias)(x))


class Recorder:
    """A handler that hands out jobs and records what is reported to it.

    Parameters
    ----------
    jobs : iterable of Job or None
        Handed out one after another; None is "none at present".
    answers : mapping of (int, int) to str
        Statuses with which a job is to end after an epoch; ``interrupted`` stops everything.
    """

    def __init__(self, jobs: Iterable[Job | None], answers: Mapping[tuple[int, int], Status]) -> None:
        self.jobs, self.answers, self.stopping = list(jobs), answers, False
        self.calls: list[tuple[int, str]] = []
        self.losses: dict[int, list[float]] = {}
        self.results: dict[int, Result] = {}

    @property
    def finished(self) -> bool:
        """Whether there will be no further job."""
        return self.stopping or not self.jobs

    def next(self) -> Job | None:
        """Return the next job, or None where there is none at present."""
        return None if self.finished else self.jobs.pop(0)

    def started(self, job: Job) -> None:
        """Record that a job starts."""
        self.calls.append((job.number, "started"))

    def epoch(self, job: Job, report: EpochReport) -> Status | None:
        """Record an epoch, and answer as planned."""
        self.calls.append((job.number, f"epoch {report.epoch}"))
        self.losses.setdefault(job.number, []).append(report.metrics["loss"])
        answer = self.answers.get((job.number, report.epoch))
        self.stopping |= answer == "interrupted"
        return "interrupted" if self.stopping else answer

    def ended(self, job: Job, result: Result) -> None:
        """Record a result."""
        self.calls.append((job.number, "ended"))
        self.results[job.number] = result

    def statuses(self) -> list[str]:
        """Return how the jobs finished, in the order of their numbers."""
        return [self.results[number].status for number in sorted(self.results)]


class EngineSuite(Suite):
    """What is asked of an engine.

    Attributes
    ----------
    engine : callable or str
        Takes a `Workplace` and returns an engine (a class will do); or where it is, as
        ``path/to/file.py:engine``.
    """

    engine: ClassVar[Callable[[Workplace], Engine] | str]
    basic = ("test_runs",)

    @classmethod
    def make(cls) -> Engine:
        """Return a new engine."""
        make = load_target(cls.engine, "engine") if isinstance(cls.engine, str) else cls.engine
        engine: Engine = make(cls.place())
        return engine

    @classmethod
    @cache
    def place(cls) -> Workplace:
        """Return where runs take place."""
        return Workplace(cls.toy_data(), cls.folder / "ledger.jsonl", compile="graph")

    @classmethod
    @cache
    def other_data(cls) -> Dataset:
        """Return data that a job brings along: as much, with different splits."""
        return prepare(ToyData(SourceOptions(validation_share=0.3)))

    @classmethod
    @cache
    def shared(cls) -> Engine:
        """Return the engine that one test after another uses."""
        engine = cls.make()
        cls.resources.callback(engine.close)
        return engine

    @classmethod
    def job(cls, number: int, do: str = "train", *, kind: str = "trial", epochs: int = 2) -> Job:
        """Return a job that takes a moment."""
        spec = RunSpec(
            model=f"{__file__}:scripted",
            dataset=cls.toy_data().name,
            dataset_digest=cls.toy_data().digest,
            kind=kind,
            view=ViewSettings(vocabulary_size=60, sequence_length=12),
            training=TrainSettings(epochs=epochs, batch_size=128, learning_rate=0.05, patience=None),
            hparams={"do": do},
            seeds=seed_bundle(0, "search", number),
        )
        return Job(number, spec, cls.folder / f"model-{number}" if kind == "final" else None)

    @classmethod
    def run(cls, *jobs: Job | None, answers: Mapping[tuple[int, int], Status] | None = None) -> Recorder:
        """Let the engine run jobs, in a separate thread so that it may hang."""
        recorder, errors = Recorder(jobs, answers or {}), list[BaseException]()

        def work() -> None:
            try:
                cls.shared().run(recorder)
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(cls.patience)
        if thread.is_alive() or errors:
            cls.shared.cache_clear()
        assert not thread.is_alive(), f"run() did not return within {cls.patience} s of a few short runs"
        assert not errors, f"run() raised {errors[0]!r}; a run that fails is a result of train()"
        for number in [job.number for job in jobs if job and job not in recorder.jobs]:
            calls = [call for job, call in recorder.calls if job == number]
            epochs = [f"epoch {epoch + 1}" for epoch in range(len(calls) - 2)]
            message = f"of a run was reported: {', '.join(calls) or 'nothing'}"
            assert calls == ["started", *epochs, "ended"], f"{message}; expected its start, epochs and end"
            history = recorder.results[number].history.get("loss", [])[: len(epochs)]
            assert history == recorder.losses.get(number, []), "epochs and the result's history differ"
        return recorder

    def test_runs(self) -> None:
        """The start, each epoch and the result of each run are reported once, and are those of `train`."""
        from benchmark.training.train import train

        jobs = [self.job(number) for number in range(3)]
        recorder = self.run(*jobs)
        assert recorder.statuses() == ["ok"] * 3, (
            f"three sound runs finished with status {recorder.statuses()}"
        )
        losses = recorder.losses[0]
        expected = train(jobs[0].spec, self.toy_data(), compile="graph").history["loss"]
        same = np.shape(losses) == np.shape(expected) and np.allclose(losses, expected, rtol=1e-4)
        assert same, f"the losses of a run are {losses}, those of train() {expected}"

    def test_data_of_a_job(self) -> None:
        """A job that brings its data set is trained on it, and the next one on the workplace's again."""
        from benchmark.training.train import train

        jobs = [self.job(number) for number in range(2)]
        losses = self.run(replace(jobs[0], dataset=self.other_data()), jobs[1]).losses
        for job, data in zip(jobs, (self.other_data(), self.toy_data()), strict=True):
            expected = train(job.spec, data, compile="graph").history["loss"]
            assert np.allclose(losses[job.number], expected, rtol=1e-4), (
                f"the losses of run {job.number} are {losses[job.number]}, of train() {expected}; run 0 "
                "brings its data set, which goes before that of the workplace"
            )

    def test_pruning(self) -> None:
        """The answer to an epoch ends the run with that status."""
        result = self.run(self.job(1, epochs=6), answers={(1, 2): "pruned"}).results[1]
        message = f"the run finished with status {result.status} after epoch {result.epochs_run}"
        stopped = (result.status, result.epochs_run) == ("pruned", 2)
        assert stopped, f"answered 'pruned' after epoch 2 of 6, {message}; on_epoch returns the answer"

    def test_failures(self) -> None:
        """A run that fails or diverges is a result, and the next one goes on."""
        recorder = self.run(self.job(1, "raise"), self.job(2, "diverge"), self.job(3))
        expected, found = ["failed", "diverged", "ok"], recorder.statuses()
        assert found == expected, f"runs that raise, diverge and succeed finished with status {found}"
        assert "planted" in recorder.results[1].error, "the traceback of a failed run is lost"

    def test_waiting(self) -> None:
        """Where there is no job at present, it asks again."""
        results = self.run(self.job(1), None, None, self.job(2)).results
        assert len(results) == 2, (
            f"{len(results)} of 2 runs, with 'none at present' between, came to their end"
        )

    def test_stop(self) -> None:
        """Once the handler is stopping, runs end as interrupted and none starts."""
        jobs = [self.job(number, epochs=5_000) for number in range(1, 5)]
        recorder = self.run(*jobs, answers={(1, 1): "interrupted"})
        after = recorder.calls[recorder.calls.index((1, "epoch 1")) :]
        assert "started" not in [call for _, call in after], "after a stop another run was started"
        found = recorder.statuses()
        assert set(found) == {"interrupted"}, f"after a stop runs finished with status {', '.join(found)}"

    def test_final_run(self) -> None:
        """A final run is measured on the test split, on record, and its model is kept."""
        job = self.job(8, kind="final")
        result = self.run(job).results[8]
        why = last_line(result.error or result.status)
        assert result.test_probabilities is not None, f"a final run has no test probabilities ({why})"
        assert result.test_probabilities.shape == (self.toy_data().sizes["test"], 3)
        read = [entry["spec_id"] for entry in read_entries(self.place().ledger)]
        assert read == [job.spec.spec_id], f"test reads on record are {read}, expected that of the final run"
        assert result.servable is not None, "its model was not kept"
        assert any(result.servable.iterdir()), f"its model is not in {result.servable}"

    def test_ledger(self) -> None:
        """A test read that cannot be recorded does not take place."""
        ledger = self.place().ledger
        content = ledger.read_bytes() if ledger.exists() else b""
        ledger.write_text("[]\n")
        try:
            result = self.run(self.job(9, kind="final")).results[9]
        finally:
            ledger.write_bytes(content)
        refused = (result.status, result.test_accuracy) == ("failed", None)
        assert refused, f"with a damaged ledger a final run finished with status {result.status}"

    def test_closes_twice(self) -> None:
        """It can be closed twice, as by a sweep that breaks off."""
        engine = self.make()
        engine.close()
        engine.close()
