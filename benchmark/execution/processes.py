"""Runs side by side in worker processes of this machine, which may be killed, hang or run out of memory."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from benchmark.execution.engine import PAUSE, Job, Workplace
from benchmark.execution.pool import GRACE, Lost, Pool, Worker
from benchmark.execution.slots import freest_gpu, visible_gpus
from benchmark.execution.worker import work
from benchmark.training.devices import cores

_LAST_WORDS = 4000  # characters of what a lost worker printed


class ProcessEngine(Pool["_Process"]):
    """Trains in worker processes, each with its share of the cores and, where there are GPUs, on one of them.

    Parameters
    ----------
    place : Workplace
        What all runs share.
    workers : int
        How many runs are under way at a time.
    run_timeout, recycle
        As in `Pool`.

    Notes
    -----
    A worker is started afresh (``spawn``) when there is a job for it, so TensorFlow is imported once
    in each and never in this process. It ends with this process, whatever happens to that.
    """

    def __init__(
        self, place: Workplace, workers: int, run_timeout: float | None = None, recycle: int | None = None
    ) -> None:
        super().__init__(place, run_timeout, recycle)
        self._limit = workers
        self._threads = max(1, cores() // workers)
        self._gpus = [] if place.device == "cpu" else visible_gpus()
        self._logs = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._started = 0

    @property
    def limit(self) -> int:
        """The number of workers that was asked for."""
        return self._limit

    def start(self) -> _Process:
        """Start a process on the GPU that has fewest."""
        log = Path(self._logs.name) / f"{self._started}.log"
        self._started += 1
        gpu = freest_gpu(self._gpus, [worker.gpu for worker in self._workers])
        return _Process(self._place, self._threads, gpu, log)

    def heard(self, workers: list[_Process]) -> list[_Process]:
        """Wait at the pipes."""
        if not workers:
            time.sleep(PAUSE)
            return []
        ready = wait([worker.pipe for worker in workers], PAUSE)
        return [worker for worker in workers if worker.pipe in ready]

    def close(self) -> None:
        """End all workers; those that are at work are killed."""
        super().close()
        self._logs.cleanup()


class _Process(Worker):
    """A worker process as its parent sees it."""

    def __init__(self, place: Workplace, threads: int, gpu: str | None, log: Path) -> None:
        super().__init__(gpu)
        context = multiprocessing.get_context("spawn")
        self.pipe: Connection
        self.pipe, end = context.Pipe()
        self.process: BaseProcess = context.Process(target=work, args=(end, place, threads, gpu, log))
        self.process.start()
        end.close()
        self._log, self._oom_kills = log, 0

    def take(self, job: Job, *, alone: bool = False) -> None:
        """Take a job, and note how often the kernel has run out of memory so far."""
        super().take(job, alone=alone)
        self._oom_kills = oom_kills()

    def send(self, content: Any) -> None:
        """Send something through the pipe."""
        try:
            self.pipe.send(content)
        except OSError:
            return

    def receive(self) -> Any:
        """Return a message, or find out what the process died of."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            self.end(at_once=False)
        code = self.process.exitcode
        if code == -9 and oom_kills() > self._oom_kills:
            raise Lost("the kernel killed the worker: out of memory", "oom")
        cause = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        raise Lost(f"{self._last_words()}\nthe worker was lost ({cause})".strip())

    def end(self, *, at_once: bool) -> None:
        """End the process."""
        self.pipe.close()
        if at_once:
            self.process.kill()
        self.process.join(GRACE)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()

    def _last_words(self) -> str:
        """Return the end of what the process printed."""
        try:
            return self._log.read_text(encoding="utf-8", errors="replace")[-_LAST_WORDS:].strip()
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
