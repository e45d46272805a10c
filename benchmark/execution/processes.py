"""Runs side by side in worker processes of this machine, and how many of these are fastest."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.data.cache import recalled, remembered
from benchmark.execution.engine import PAUSE, Job, Workplace
from benchmark.execution.pool import GRACE, Lost, Pool, Worker
from benchmark.execution.worker import serve
from benchmark.spec.config import RunSpec
from benchmark.spec.result import EpochReport, Result, Status
from benchmark.support.errors import UserError
from benchmark.training.devices import cores, limit_threads, memory_groups, nvidia_smi

if TYPE_CHECKING:
    from benchmark.plan.run_specs import Plan

_OOM_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
_LAST_WORDS = 4000  # characters of what a lost worker printed
_STEPS = 16  # of training in each run that is timed
_RUNS_EACH = 2
_WORTH = 1.1  # times the runs a minute that more workers, and their memory, must bring


class ProcessEngine(Pool["_Process"]):
    """Trains in worker processes, each with its share of the cores and, where there are GPUs, on one of them.

    Parameters
    ----------
    place : Workplace
        What all runs share.
    workers : int
        How many runs are under way at a time.

    Notes
    -----
    A worker is started afresh (``spawn``) when there is a job for it, so TensorFlow is imported once
    in each and never in this process. It ends with this process, whatever happens to that.
    """

    def __init__(self, place: Workplace, workers: int) -> None:
        super().__init__(place)
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

    def begin(self, job: Job) -> None:
        """Take a job, and note how often the kernel has run out of memory so far."""
        self._oom_kills = oom_kills()
        super().begin(job)

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
    """Return how many processes of this one's control group the kernel has killed for lack of memory.

    Without control groups, it is the number of this machine: a kill elsewhere may then be mistaken for ours.
    """
    with contextlib.suppress(OSError):
        counts = (file for (file,) in memory_groups(("memory.oom_control", "memory.events")))
        for file in (*counts, Path("/proc/vmstat")):
            if file.is_file() and (found := _OOM_KILLS.search(file.read_text("ascii"))):
                return int(found[1])
    return 0


def visible_gpus() -> list[str]:
    """Return the NVIDIA GPUs that this process may use, by the names ``CUDA_VISIBLE_DEVICES`` takes."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        names = [name.strip() for name in named.split(",")]
        return names[: next((i for i, name in enumerate(names) if name in ("", "-1")), None)]
    return [str(number) for number, _ in enumerate(nvidia_smi("--list-gpus"))]


def freest_gpu(gpus: Sequence[str], taken: Iterable[str | None]) -> str | None:
    """Return the GPU with the fewest workers, the first of equals; None where there is no GPU.

    Parameters
    ----------
    gpus : sequence of str
        All there are.
    taken : iterable of str or None
        The one that each worker has; one that two workers share stands there twice.
    """
    users = list(taken)
    return min(gpus, key=users.count, default=None)


def work(pipe: Connection, place: Workplace, threads: int, gpu: str | None, log: Path) -> None:
    """Serve one parent process until it closes the pipe.

    Parameters
    ----------
    pipe : Connection
        To the parent.
    place : Workplace
        What all runs share.
    threads : int
        Cores that this worker may use.
    gpu : str or None
        The only GPU that it may use; None leaves it what it finds.
    log : Path
        Takes what this process prints; the parent shows its end if the worker dies.
    """
    # Ctrl-C in a terminal reaches every process; the parent decides what is to be done about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _print_to(log)
    limit_threads(threads)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    serve(lambda: place, gpu, pipe.send, pipe.recv)


def _end_with_parent() -> None:
    """End at once when the parent is gone, in the middle of an epoch too."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _print_to(log: Path) -> None:
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:  # the folder for temporary files is gone: no reason not to train
        file = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(file, number)
    os.close(file)


def best_workers(plan: Plan, place: Workplace, most: int | None = None) -> int:
    """Return the number of workers that carry out most runs a minute, each with its share of the cores.

    Tries 1, 2, 4, … up to the number of cores on short runs of the published configuration, for as long
    as more bring at least a tenth more; once an architecture, data set and machine.

    Parameters
    ----------
    plan : Plan
        Its architecture, the most expensive of a sweep.
    place : Workplace
        What all runs share.
    most : int, optional
        How many there may be; by default as many as there are cores.

    Raises
    ------
    UserError
        When such a run fails.
    """
    most, place = most or cores(), replace(place, dataset=plan.dataset)
    return _fastest(remembered("workers", _identity(plan, place), partial(_measure, plan, place, most)), most)


def known_workers(plan: Plan, place: Workplace, most: int) -> int | None:
    """Return what `best_workers` returns where it has been measured, else None."""
    rates = recalled("workers", _identity(plan, place))
    return None if rates is None else _fastest(rates, most)


def _identity(plan: Plan, place: Workplace) -> dict[str, Any]:
    """What the best number of workers depends on."""
    return {
        "model": [plan.model.name, plan.model.digest],
        "dataset": plan.dataset.digest,
        "device": place.device,
        "cores": cores(),
        "versions": [version("tensorflow"), version("keras")],
    }


def _fastest(rates: dict[str, float], most: int) -> int:
    tried = [int(workers) for workers in rates if int(workers) <= most]
    return max(tried, key=lambda workers: (rates[str(workers)], -workers))


def _measure(plan: Plan, place: Workplace, most: int) -> dict[str, float]:
    """Return runs a second by number of workers, as far as was tried."""
    spec = _short(plan)
    rates: dict[str, float] = {}
    best, workers = 0.0, 1
    while workers <= most:
        rate = _rate(spec, place, workers)
        if rate < _WORTH * best:
            break
        rates[str(workers)] = best = rate
        workers *= 2
    return rates


def _short(plan: Plan) -> RunSpec:
    """Return the published configuration as a run of a few steps."""
    spec = plan.trial_spec(plan.default, 0)
    if spec.training is None:
        return spec
    examples = min(plan.dataset.sizes["train"], _STEPS * spec.training.batch_size)
    training = spec.training.model_copy(update={"epochs": 1, "patience": None})
    return spec.model_copy(update={"training": training, "train_examples": examples})


def _rate(spec: RunSpec, place: Workplace, workers: int) -> float:
    with contextlib.closing(ProcessEngine(place, workers)) as engine:
        engine.run(_Runs(spec, workers))  # starts the processes, and compiles
        started = time.perf_counter()
        engine.run(_Runs(spec, _RUNS_EACH * workers))
        return _RUNS_EACH * workers / (time.perf_counter() - started)


@dataclass
class _Runs:
    """The same run some times, of which nothing is kept."""

    spec: RunSpec
    left: int
    stopping: bool = field(default=False, init=False)

    @property
    def finished(self) -> bool:
        return self.left == 0

    def next(self) -> Job | None:
        if self.left == 0:
            return None
        self.left -= 1
        return Job(self.left, self.spec)

    def started(self, job: Job) -> None:
        pass

    def epoch(self, job: Job, report: EpochReport) -> Status | None:
        return None

    def ended(self, job: Job, result: Result) -> None:
        if result.status not in ("ok", "diverged"):
            raise UserError(
                f"a short run of '{self.spec.model}' finished with status {result.status} "
                f"({result.error_line}); give the number of workers",
                setting="workers",
                value="auto",
            )
