"""What engines with workers share: which worker does which job, and what becomes of both."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from benchmark.data.ledger_chain import record_test_read
from benchmark.execution.engine import Handler, Job, Workplace
from benchmark.execution.worker import Message, ReadRequest, Ready
from benchmark.spec.result import EpochReport, Result, Status
from benchmark.support.errors import UserError

GRACE = 5.0
"""Seconds that a worker has for its end, and a run for its next epoch once everything is to stop."""

_CROWDED = "there was not enough memory beside the other runs of its GPU; the run is tried again alone there"


class Lost(Exception):
    """A worker is gone, in the middle of a run or between two.

    Attributes
    ----------
    reason : str
        What it died of.
    status : str
        ``interrupted``, so that its run is tried again, or ``oom``.
    """

    def __init__(self, reason: str, status: Status = "interrupted") -> None:
        super().__init__(reason)
        self.reason = reason
        self.status: Status = status


class Worker(ABC):
    """A worker as its parent sees it.

    Attributes
    ----------
    job : Job or None
        What it does; None where it is idle.
    runs : int
        Jobs that it has had.
    ready : bool
        Whether it has imported TensorFlow.
    gpu : str or None
        Name of its GPU, the same for all that share it; None where it has none or is not ready.
    alone : bool
        Whether it has its GPU for itself, or waits for that.
    """

    def __init__(self, gpu: str | None = None) -> None:
        self.job: Job | None = None
        self.runs = 0
        self.ready = self.alone = False
        self.gpu = gpu
        self._since = 0.0
        self._history: dict[str, list[float]] = {}

    @abstractmethod
    def send(self, content: Any) -> None:
        """Send a job or an answer; a worker that is gone shows when it is listened to."""

    @abstractmethod
    def receive(self) -> Any:
        """Return the message that has come, or raise `Lost`."""

    @abstractmethod
    def end(self, *, at_once: bool) -> None:
        """End the worker, in the middle of a run where need be."""

    @property
    def seconds(self) -> float:
        """Time that the present run has taken."""
        return 0.0 if self.job is None else time.monotonic() - self._since

    def begin(self, job: Job) -> None:
        """Take a job."""
        self.job, self._since, self._history = job, time.monotonic(), {}
        self.runs += 1
        self.send(job)

    def note(self, report: EpochReport) -> None:
        """Keep an epoch's metrics, which are all that remains of a run whose worker dies."""
        for name, value in report.metrics.items():
            self._history.setdefault(name, []).append(value)

    def result(self, status: Status, reason: str) -> Result:
        """Return what is known of a run that did not come to its end."""
        return Result(status, history=self._history, train_seconds=self.seconds, error=reason)

    def rest(self) -> Job | None:
        """Take the job away."""
        job, self.job, self.alone = self.job, None, False
        return job


W = TypeVar("W", bound=Worker)


class Pool(ABC, Generic[W]):
    """An engine whose runs are trained by workers, which may be killed, hang or run out of memory.

    Parameters
    ----------
    place : Workplace
        What all runs share.
    """

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._workers: list[W] = []
        self._waiting: list[Job] = []
        self._stopping_since: float | None = None
        # Specs of runs that found too little memory on a GPU that they shared: each is tried once more.
        self._crowded: set[str] = set()

    @property
    @abstractmethod
    def limit(self) -> int:
        """How many runs may be under way at a time now."""

    @abstractmethod
    def start(self) -> W:
        """Start a worker, without waiting until it is ready."""

    @abstractmethod
    def heard(self, workers: list[W]) -> list[W]:
        """Wait for a moment, also for none; return the workers that have sent something or are gone."""

    def run(self, handler: Handler) -> None:
        """Run jobs until there are no more."""
        self._stopping_since = None
        try:
            while True:
                self._fill(handler)
                if handler.finished and not self._waiting and not self._busy:
                    return
                self._listen(handler)
                self._end_late(handler)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all workers; those that are at work are killed."""
        for worker in self._workers:
            worker.end(at_once=worker.job is not None or not worker.ready)
        self._workers, self._waiting = [], []

    @property
    def _busy(self) -> list[W]:
        return [worker for worker in self._workers if worker.job is not None]

    def _fill(self, handler: Handler) -> None:
        """Take jobs while there is room for them, and give them to workers, which are started for them."""
        while len(self._waiting) + len(self._busy) < self.limit:
            job = handler.next()
            if job is None:
                break
            handler.started(job)
            self._waiting.append(job)
        for job in list(self._waiting):
            worker = self._worker_alone() if job.spec.spec_id in self._crowded else self._free_worker()
            if worker is not None:
                self._waiting.remove(job)
                worker.begin(job)
        if any(worker.alone for worker in self._workers):
            return  # a new worker could get the GPU that is needed alone
        while sum(not worker.ready for worker in self._workers) < len(self._waiting):
            self._workers.append(self.start())

    def _free_worker(self) -> W | None:
        """Return an idle worker whose GPU nobody needs alone."""
        reserved = {worker.gpu for worker in self._workers if worker.alone and worker.gpu}
        ready = [worker for worker in self._workers if worker.ready and worker.job is None]
        return next((worker for worker in ready if worker.gpu not in reserved), None)

    def _worker_alone(self) -> W | None:
        """Return an idle worker that has its GPU for itself, once those beside it have left."""
        reserved = [worker for worker in self._workers if worker.alone and worker.job is None]
        worker = reserved[0] if reserved else self._free_worker()
        if worker is None:
            return None
        worker.alone = True
        # What a process has taken of a GPU it gives back at its end alone.
        for other in [other for other in self._beside(worker) if other.job is None]:
            self._end(other, at_once=True)
        return None if self._beside(worker) else worker

    def _beside(self, worker: W) -> list[W]:
        """Return the other workers on the same GPU."""
        if worker.gpu is None:
            return []
        return [other for other in self._workers if other is not worker and other.gpu == worker.gpu]

    def _listen(self, handler: Handler) -> None:
        """Wait for messages for a moment."""
        for worker in self.heard([worker for worker in self._workers if worker.job or not worker.ready]):
            try:
                message = worker.receive()
            except Lost as lost:
                self._discard(worker, handler, lost.status, lost.reason)
            else:
                self.take_message(worker, message, handler)

    def take_message(self, worker: W, message: Message, handler: Handler) -> None:
        """Do what a message asks for."""
        if isinstance(message, Ready):
            worker.ready, worker.gpu = True, message.gpu
            return
        if isinstance(message, Exception):
            raise message
        job = worker.job
        assert job is not None
        if isinstance(message, EpochReport):
            worker.note(message)
            worker.send(handler.epoch(job, message))
        elif isinstance(message, ReadRequest):
            worker.send(self._record_test_read(job))
        else:
            self._take_result(worker, job, message, handler)

    def _record_test_read(self, job: Job) -> UserError | None:
        """Write into the ledger, before the worker opens the test split."""
        try:
            record_test_read(job.spec, self._place.ledger)
        except UserError as error:
            return error
        return None

    def _take_result(self, worker: W, job: Job, result: Result, handler: Handler) -> None:
        worker.rest()
        result.workers = self.limit
        spec_id = job.spec.spec_id
        if result.status == "oom" and self._beside(worker) and spec_id not in self._crowded:
            self._crowded.add(spec_id)
            result.status, result.error = "interrupted", f"{result.error.rstrip()}\n{_CROWDED}"
        handler.ended(job, result)
        if self._place.recycle is not None and worker.runs >= self._place.recycle:
            self._end(worker, at_once=False)

    def _end_late(self, handler: Handler) -> None:
        """Enforce the time limit of runs, and a stop."""
        now, limit = time.monotonic(), self._place.run_timeout
        if handler.stopping and self._stopping_since is None:
            self._stopping_since = now
        while handler.stopping and self._waiting:
            handler.ended(self._waiting.pop(), Result("interrupted", error="stopped"))
        for worker in self._busy:
            if limit is not None and worker.seconds > limit:
                self._discard(worker, handler, "timeout", f"the run took more than {limit:g} s")
            elif self._stopping_since is not None and now - self._stopping_since > GRACE:
                self._discard(worker, handler, "interrupted", "stopped")

    def _discard(self, worker: W, handler: Handler, status: Status, reason: str) -> None:
        """Kill a worker that is gone or must not go on, and report its run, or one that waits for it."""
        self._end(worker, at_once=True)
        result = worker.result(status, reason)
        job = worker.rest() or (self._waiting.pop(0) if self._waiting else None)
        if job is not None:
            handler.ended(job, result)

    def _end(self, worker: W, *, at_once: bool) -> None:
        self._workers.remove(worker)
        worker.end(at_once=at_once)
