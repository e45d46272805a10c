"""A worker process: trains what its parent sends, reports each epoch and obeys the answer."""

from __future__ import annotations

import errno
import os
import signal
import threading
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TypeAlias

from benchmark.data.cache import disk_is_full
from benchmark.errors import UserError
from benchmark.execution.engine import Job, Workplace
from benchmark.training.result import EpochReport, Result, Status


@dataclass(frozen=True)
class Ready:
    """The worker has imported TensorFlow and waits for a job."""


@dataclass(frozen=True)
class Refused:
    """The worker cannot do what every job would ask of it: the user's request is wrong."""

    reason: str


@dataclass(frozen=True)
class DiskFull:
    """Nothing can be written any more."""

    code: int
    reason: str


Message: TypeAlias = Ready | Refused | DiskFull | EpochReport | Result
"""From a worker to its parent. The other way go jobs, and answers to epochs: a status or None."""


def work(pipe: Connection, place: Workplace, threads: int, log: Path) -> None:
    """Serve one parent until it closes the pipe.

    Parameters
    ----------
    pipe : Connection
        To the parent.
    place : Workplace
        What all runs share.
    threads : int
        Cores that this worker may use.
    log : Path
        Takes what this process prints; the parent shows its end if the worker dies.
    """
    # Ctrl-C in a terminal reaches every process; the parent says what is to be done about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _print_to(log)
    limit_threads(threads)

    from benchmark.training.devices import set_up_device
    from benchmark.training.train import train

    def report(epoch: EpochReport) -> Status | None:
        pipe.send(epoch)
        answer: Status | None = pipe.recv()
        return answer

    try:
        set_up_device(place.device)
        pipe.send(Ready())
        while True:
            job: Job = pipe.recv()
            pipe.send(
                train(
                    job.spec,
                    place.dataset,
                    on_epoch=report,
                    device=place.device,
                    compile=place.compile,
                    ledger=place.ledger,
                    servable=job.servable,
                )
            )
    except UserError as error:
        pipe.send(Refused(str(error)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent needs no worker any more
    except Exception as error:  # TensorFlow and HDF5 say in errors of their own that a disk is full
        if not isinstance(error, OSError) and not disk_is_full(error):
            raise
        pipe.send(DiskFull(getattr(error, "errno", None) or errno.ENOSPC, str(error)))


def limit_threads(threads: int) -> None:
    """Let this process use so many cores; to be called before TensorFlow is imported."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = str(threads)


def _end_with_parent() -> None:
    """End at once when the parent is gone, in the middle of an epoch too."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _print_to(log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(file, number)
    os.close(file)
