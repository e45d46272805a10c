"""What engines with workers share: which worker does which job, and what becomes of both."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from benchmark.data.ledger_chain import record_test_read
from benchmark.execution.engine import Handler, Job, Workplace
from benchmark.execution.worker import DiskFull, Message, Ready, Refused, TestRead
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
        What it does, or waits to start; None where it is idle.
    runs : int
        Jobs that it has had.
    ready : bool
        Whether it has imported TensorFlow.
    gpu : str or None
        Name of its GPU, the same for all that share it; None where it has none or is not ready.
    alone : bool
        Whether its job needs the GPU for itself.
    """

    def __init__(self, gpu: str | None = None) -> None:
        self.job: Job | None = None
        self.runs = 0
        self.ready = self.alone = False
        self.gpu = gpu
        self._since: float | None = None
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
    def under_way(self) -> bool:
        """Whether its run has started."""
        return self._since is not None

    @property
    def seconds(self) -> float:
        """Time that the present run has taken, without the start of the worker."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    def take(self, job: Job, *, alone: bool = False) -> None:
        """Take a job, which starts when the worker is ready and its GPU free for it."""
        self.job, self.alone, self._history = job, alone, {}

    def begin(self) -> None:
        """Send the job."""
        self._since = time.monotonic()
        self.send(self.job)

    def note(self, report: EpochReport) -> None:
        """Keep an epoch's metrics, which are all that remains of a run whose worker dies."""
        for name, value in report.metrics.items():
            self._history.setdefault(name, []).append(value)

    def result(self, status: Status, reason: str) -> Result:
        """Return what is known of a run that did not come to its end."""
        return Result(status, history=self._history, train_seconds=self.seconds, error=reason)

    def rest(self) -> Job:
        """Take the job away."""
        assert self.job is not None
        job, self.job = self.job, None
        self.runs += self.under_way
        self._since, self.alone = None, False
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
        self._stopping_since: float | None = None
        # Specs of runs that found too little memory on a GPU that they shared: each is tried once more.
        self._crowded: set[str] = set()
        self._tried_alone: set[str] = set()

    @property
    @abstractmethod
    def limit(self) -> int:
        """How many runs may be under way at a time now."""

    @abstractmethod
    def start(self) -> W:
        """Start a worker, without waiting until it is ready."""

    @abstractmethod
    def heard(self, workers: list[W]) -> list[W]:
        """Wait for a moment; return the workers that have sent something or are gone."""

    def run(self, handler: Handler) -> None:
        """Run jobs until there are no more."""
        self._stopping_since = None
        try:
            while True:
                self._fill(handler)
                self._begin()
                if any(worker.job is not None for worker in self._workers):
                    self._listen(handler)
                    self._end_late(handler)
                elif handler.finished:
                    return
                else:
                    self.heard([])
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all workers; those that are at work are killed."""
        for worker in self._workers:
            worker.end(at_once=worker.job is not None or not worker.ready)
        self._workers = []

    def _fill(self, handler: Handler) -> None:
        """Give each idle worker a job, and start workers while there are jobs for them."""
        for starting in [worker for worker in self._workers if worker.job and not worker.ready]:
            idle = self._idle()
            if idle is not None and idle.ready:  # it can start sooner
                alone = starting.alone
                idle.take(starting.rest(), alone=alone)
        while sum(worker.job is not None for worker in self._workers) < self.limit:
            idle = self._idle()
            if idle is None and any(worker.alone for worker in self._workers):
                return  # a new worker could get the GPU that is needed alone
            job = handler.next()
            if job is None:
                return
            handler.started(job)
            if idle is None:
                idle = self.start()
                self._workers.append(idle)
            alone = job.spec.spec_id in self._crowded
            self._crowded.discard(job.spec.spec_id)
            idle.take(job, alone=alone)

    def _idle(self) -> W | None:
        """Return a worker without a job whose GPU nobody needs alone, if possible one that is ready."""
        reserved = {worker.gpu for worker in self._workers if worker.alone} - {None}
        idle = [worker for worker in self._workers if worker.job is None and worker.gpu not in reserved]
        return min(idle, key=lambda worker: not worker.ready, default=None)

    def _begin(self) -> None:
        """Let workers start that are ready; one that needs its GPU alone waits until all others have left."""
        for worker in [one for one in self._workers if one.job and one.ready and not one.under_way]:
            if worker.alone:
                # What a process has taken of a GPU it gives back at its end alone.
                for other in [other for other in self._beside(worker) if other.job is None]:
                    self._end(other, at_once=True)
            beside = self._beside(worker)
            if not any(other.under_way if other.alone else worker.alone and other.ready for other in beside):
                worker.begin()

    def _beside(self, worker: W) -> list[W]:
        """Return the other workers on the same GPU."""
        if worker.gpu is None:
            return []
        return [other for other in self._workers if other is not worker and other.gpu == worker.gpu]

    def _listen(self, handler: Handler) -> None:
        """Wait for messages for a moment."""
        busy = [worker for worker in self._workers if worker.under_way or not worker.ready]
        for worker in self.heard(busy):
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
        elif isinstance(message, Refused):
            raise UserError(message.reason)
        elif isinstance(message, DiskFull):
            raise OSError(message.code, message.reason)
        elif isinstance(message, EpochReport):
            assert worker.job is not None
            worker.note(message)
            worker.send(handler.epoch(worker.job, message))
        elif isinstance(message, TestRead):
            worker.send(self._record_test_read(worker))
        else:
            self._take_result(worker, message, handler)

    def _record_test_read(self, worker: W) -> Refused | None:
        """Write into the ledger, before the worker opens the test split."""
        assert worker.job is not None
        try:
            record_test_read(worker.job.spec, self._place.ledger)
        except UserError as error:
            return Refused(str(error))
        return None

    def _take_result(self, worker: W, result: Result, handler: Handler) -> None:
        job = worker.rest()
        result.workers = self.limit
        if result.status == "oom" and self._beside(worker) and job.spec.spec_id not in self._tried_alone:
            self._crowded.add(job.spec.spec_id)
            self._tried_alone.add(job.spec.spec_id)
            result.status, result.error = "interrupted", f"{result.error.rstrip()}\n{_CROWDED}"
        handler.ended(job, result)
        if self._place.recycle is not None and worker.runs >= self._place.recycle:
            self._end(worker, at_once=False)

    def _end_late(self, handler: Handler) -> None:
        """Enforce the time limit of runs, and a stop."""
        now, limit = time.monotonic(), self._place.run_timeout
        if handler.stopping and self._stopping_since is None:
            self._stopping_since = now
        for worker in [worker for worker in self._workers if worker.job is not None]:
            if limit is not None and worker.seconds > limit:
                self._discard(worker, handler, "timeout", f"the run took more than {limit:g} s")
            elif self._stopping_since is not None and now - self._stopping_since > GRACE:
                self._discard(worker, handler, "interrupted", "stopped")

    def _discard(self, worker: W, handler: Handler, status: Status, reason: str) -> None:
        """Kill a worker that is gone or must not go on, and report its run."""
        self._end(worker, at_once=True)
        if worker.job is not None:
            result = worker.result(status, reason)
            handler.ended(worker.rest(), result)

    def _end(self, worker: W, *, at_once: bool) -> None:
        self._workers.remove(worker)
        worker.end(at_once=at_once)
