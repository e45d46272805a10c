"""Runs side by side in worker processes of this machine, which may be killed, hang or run out of memory."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmark.errors import UserError
from benchmark.execution.engine import PAUSE, Handler, Job, Workplace
from benchmark.execution.worker import DiskFull, Message, Ready, Refused, work
from benchmark.training.devices import cores
from benchmark.training.result import EpochReport, Result, Status

_LAST_WORDS = 4000  # characters of what a lost worker printed
_GRACE = 5.0


class ProcessEngine:
    """Trains in worker processes, each with its share of the cores.

    Parameters
    ----------
    place : Workplace
        What all runs share.
    workers : int
        How many runs are under way at a time.
    run_timeout : float, optional
        Seconds after which a run is ended with status ``timeout``.
    recycle : int, optional
        Runs after which a worker is replaced by a fresh one.

    Notes
    -----
    A worker is started afresh (``spawn``) when there is a job for it, so TensorFlow is imported once
    in each and never in this process. It ends with this process, whatever happens to that.
    """

    def __init__(
        self, place: Workplace, workers: int, run_timeout: float | None = None, recycle: int | None = None
    ) -> None:
        self._place, self._limit = place, workers
        self._timeout, self._recycle = run_timeout, recycle
        self._threads = max(1, cores() // workers)
        self._workers: list[_Worker] = []
        self._logs = tempfile.TemporaryDirectory()
        self._started = 0
        self._stopping_since: float | None = None

    def run(self, handler: Handler) -> None:
        """Run jobs until there are no more."""
        self._stopping_since = None
        try:
            while True:
                self._fill(handler)
                busy = [worker for worker in self._workers if worker.job is not None]
                if busy:
                    self._listen(busy, handler)
                elif handler.finished:
                    return
                else:
                    time.sleep(PAUSE)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all workers; those that are at work are killed."""
        for worker in self._workers:
            worker.end(at_once=worker.job is not None)
        self._workers = []
        self._logs.cleanup()

    def _fill(self, handler: Handler) -> None:
        """Give each idle worker a job, and start workers while there are jobs for them."""
        while sum(worker.job is not None for worker in self._workers) < self._limit:
            job = handler.next()
            if job is None:
                return
            idle = next((worker for worker in self._workers if worker.job is None), None)
            worker = idle or self._start()
            handler.started(job)
            worker.take(job)

    def _start(self) -> _Worker:
        log = Path(self._logs.name) / f"{self._started}.log"
        self._started += 1
        worker = _Worker(self._place, self._threads, log)
        self._workers.append(worker)
        return worker

    def _listen(self, busy: list[_Worker], handler: Handler) -> None:
        """Wait for messages for a moment, then look after time limits and a stop."""
        ready = wait([worker.pipe for worker in busy], PAUSE)
        for worker in busy:
            if worker.pipe in ready:
                try:
                    message: Message = worker.pipe.recv()
                except (EOFError, OSError):
                    self._lost(worker, handler)
                    continue
                self._receive(worker, message, handler)
        now = time.monotonic()
        if handler.stopping and self._stopping_since is None:
            self._stopping_since = now
        for worker in busy:
            if worker.job is None:
                continue
            if self._timeout is not None and worker.seconds > self._timeout:
                self._discard(worker, handler, "timeout", f"the run took more than {self._timeout:g} s")
            elif self._stopping_since is not None and now - self._stopping_since > _GRACE:
                self._discard(worker, handler, "interrupted", "stopped")

    def _receive(self, worker: _Worker, message: Message, handler: Handler) -> None:
        assert worker.job is not None
        if isinstance(message, Ready):
            worker.begin()
        elif isinstance(message, Refused):
            raise UserError(message.reason)
        elif isinstance(message, DiskFull):
            raise OSError(message.code, message.reason)
        elif isinstance(message, EpochReport):
            worker.note(message)
            worker.answer(handler.epoch(worker.job, message))
        else:
            job = worker.rest()
            message.workers = self._limit
            handler.ended(job, message)
            if self._recycle is not None and worker.runs >= self._recycle:
                self._workers.remove(worker)
                worker.end(at_once=False)

    def _discard(self, worker: _Worker, handler: Handler, status: Status, reason: str) -> None:
        """Kill a worker that must not go on."""
        self._workers.remove(worker)
        worker.end(at_once=True)
        handler.ended(worker.rest(), worker.result(status, reason))

    def _lost(self, worker: _Worker, handler: Handler) -> None:
        """Find out what a worker died of."""
        self._workers.remove(worker)
        code = worker.end(at_once=False)
        job = worker.rest()
        if code == -9 and oom_kills() > worker.oom_kills:
            reason = "the kernel killed the worker: out of memory"
            handler.ended(job, worker.result("oom", reason))
            return
        cause = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        reason = f"the worker was lost ({cause})"
        handler.ended(job, worker.result("interrupted", f"{worker.last_words()}\n{reason}".strip()))


@dataclass
class _Worker:
    """A worker process as its parent sees it."""

    place: Workplace
    threads: int
    log: Path
    job: Job | None = None
    runs: int = 0
    oom_kills: int = 0
    pipe: Connection = field(init=False)
    process: BaseProcess = field(init=False)
    _ready: bool = False
    _since: float | None = None
    _history: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, end = context.Pipe()
        self.process = context.Process(target=work, args=(end, self.place, self.threads, self.log))
        self.process.start()
        end.close()

    @property
    def seconds(self) -> float:
        """Time that the present run has taken, without the start of the process."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    def take(self, job: Job) -> None:
        """Give the worker a job; it begins once the process is ready."""
        self.job, self._history, self.oom_kills = job, {}, oom_kills()
        if self._ready:
            self.begin()

    def begin(self) -> None:
        """Send the job."""
        self._ready, self._since = True, time.monotonic()
        self.answer(self.job)

    def answer(self, content: Job | Status | None) -> None:
        """Send something; a worker that is gone shows when it is listened to."""
        try:
            self.pipe.send(content)
        except OSError:
            return

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
        self.runs += 1
        return job

    def end(self, *, at_once: bool) -> int | None:
        """End the process and return its exit code."""
        self.pipe.close()
        if at_once:
            self.process.kill()
        self.process.join(_GRACE)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        return self.process.exitcode

    def last_words(self) -> str:
        """Return the end of what the process printed."""
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")[-_LAST_WORDS:].strip()
        except OSError:
            return ""


def oom_kills() -> int:
    """Return how many processes the kernel has killed for want of memory since it was started."""
    try:
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    except OSError:
        pass
    return 0
