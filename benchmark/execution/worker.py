"""What a worker does: it trains what its parent sends, reports each epoch and obeys the answer."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TypeAlias

from benchmark.data.cache import disk_is_full
from benchmark.execution.engine import Job, Workplace
from benchmark.spec.config import RunSpec
from benchmark.spec.result import EpochReport, Result
from benchmark.support.errors import UserError
from benchmark.support.source_files import keep
from benchmark.training.devices import limit_threads


@dataclass(frozen=True)
class Ready:
    """The worker has imported TensorFlow and waits for a job.

    Attributes
    ----------
    gpu : str or None
        Name of the GPU that it uses, the same for all that share it; None without one.
    node : str
        Name of its machine, for people, where that may be another one.
    """

    gpu: str | None = None
    node: str = ""


@dataclass(frozen=True)
class Look:
    """The worker is about to read the test part for its job; None as an answer says that it is on record."""


@dataclass(frozen=True)
class Refused:
    """What was asked for cannot be done, for a reason that is a user's to mend.

    From a worker: every job would ask for it. As the answer to `Look`: the look cannot be recorded.
    """

    reason: str


@dataclass(frozen=True)
class DiskFull:
    """Nothing can be written any more."""

    code: int
    reason: str


Message: TypeAlias = Ready | Refused | DiskFull | EpochReport | Look | Result
"""From a worker to its parent. The other way go jobs, and answers: to an epoch a status or None, to a
look None or a refusal."""


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
    # Ctrl-C in a terminal reaches every process; the parent says what is to be done about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _print_to(log)
    limit_threads(threads)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    serve(place, Ready(gpu), pipe.send, pipe.recv)


def serve(
    place: Workplace, ready: Ready, send: Callable[[Message], None], receive: Callable[[], Any]
) -> None:
    """Train what comes, one job after another, wherever the parent is.

    Parameters
    ----------
    place : Workplace
        What all runs share. Its ledger is not used: the parent alone writes there, see `Look`.
    ready : Ready
        Sent once TensorFlow is imported.
    send, receive : callable
        To and from the parent; what is received is a `Job` or an answer.
    """
    from benchmark.training.devices import set_up_device
    from benchmark.training.train import train

    def ask(message: EpochReport | Look) -> Any:
        send(message)
        return receive()

    def look(spec: RunSpec) -> None:
        refused: Refused | None = ask(Look())
        if refused is not None:
            raise UserError(refused.reason)

    try:
        set_up_device(place.device)
        send(ready)
        while True:
            job: Job = receive()
            if job.code is not None:
                keep(job.code)
            send(
                train(
                    job.spec,
                    place.dataset,
                    on_epoch=ask,
                    device=place.device,
                    compile=place.compile,
                    ledger=look,
                    servable=job.servable,
                )
            )
    except UserError as error:
        send(Refused(str(error)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent needs no worker any more
    except Exception as error:  # TensorFlow and HDF5 say in errors of their own that a disk is full
        if not isinstance(error, OSError) and not disk_is_full(error):
            raise
        code = getattr(error, "errno", None) or errno.ENOSPC
        send(DiskFull(code, str(error).removeprefix(f"[Errno {code}] ")))


def _end_with_parent() -> None:
    """End at once when the parent is gone, in the middle of an epoch too."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _print_to(log: Path) -> None:
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:  # the folder for temporary files is gone: no reason to train nothing
        file = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(file, number)
    os.close(file)
