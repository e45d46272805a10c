"""What a worker does: it trains what its parent sends, reports each epoch and does what the answer asks."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from benchmark.data.cache import disk_is_full
from benchmark.execution.engine import Job, Workplace
from benchmark.spec.config import RunSpec
from benchmark.spec.result import EpochReport, Result
from benchmark.support.errors import UserError
from benchmark.support.source_files import keep


@dataclass(frozen=True)
class Ready:
    """The worker has imported what its runs need and waits for a job.

    Attributes
    ----------
    gpu : str or None
        Name of the GPU that it uses, the same for all that share it; None without one.
    """

    gpu: str | None = None


@dataclass(frozen=True)
class ReadRequest:
    """The worker asks to read the test split for its job; None as an answer: that is on record."""


Message: TypeAlias = Ready | EpochReport | ReadRequest | Result | UserError | OSError
"""From a worker to its parent. The other way go jobs, and answers: to an epoch a status or None, to a
test read None or the error that it must not happen for. An error from a worker is what keeps every job from
being done: a `UserError`, or an `OSError` where nothing can be written any more."""


def serve(
    open_place: Callable[[], Workplace],
    gpu: str | None,
    send: Callable[[Message], None],
    receive: Callable[[], Any],
) -> None:
    """Train what comes, one job after another, wherever the parent is.

    Parameters
    ----------
    open_place : callable
        Returns what all runs share. Its ledger is not used: the parent alone writes there, see `ReadRequest`.
    gpu : str or None
        As in `Ready`, which is sent once that is imported.
    send, receive : callable
        To and from the parent; what is received is a `Job` or an answer.
    """
    from benchmark.training.devices import set_up_device
    from benchmark.training.train import train

    def ask(message: EpochReport | ReadRequest) -> Any:
        send(message)
        return receive()

    def record(spec: RunSpec) -> None:
        refused: UserError | None = ask(ReadRequest())
        if refused is not None:
            raise refused

    try:
        place = open_place()
        if place.networks:
            set_up_device(place.device)
        send(Ready(gpu))
        while True:
            job: Job = receive()
            if job.code is not None:
                keep(job.code)
            result = train(
                job.spec,
                job.dataset or place.dataset,
                on_epoch=ask,
                device=place.device,
                compile=place.compile,
                deterministic=place.deterministic,
                ledger=record,
                servable=job.servable,
                measure=job.measure,
            )
            send(result)
    except UserError as error:
        send(error)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent needs no worker any more
    except Exception as error:  # TensorFlow and HDF5 report with special errors that a disk is full
        if not isinstance(error, OSError) and not disk_is_full(error):
            raise
        code = getattr(error, "errno", None) or errno.ENOSPC
        send(OSError(code, str(error).removeprefix(f"[Errno {code}] ")))
