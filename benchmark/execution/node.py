"""A worker on a node of a Ray cluster: what `serve` needs there, without pipe or shared disk."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import benchmark
from benchmark.data import transport
from benchmark.data.cache import disk_is_full
from benchmark.data.dataset import Dataset
from benchmark.data.transport import Files
from benchmark.execution.engine import Job, Workplace
from benchmark.execution.worker import DiskFull, Message, Ready, Refused, serve
from benchmark.spec.config import CompileMode, Device
from benchmark.spec.result import Result
from benchmark.support.errors import UserError
from benchmark.training.devices import limit_threads


@dataclass(frozen=True)
class NodePlace:
    """What all runs share, as it is told to a node.

    Attributes
    ----------
    entry, digest : str
        The data set: name of its cache entry, and digest of its content.
    device, compile
        As in `Workplace`.
    versions : dict of str to str
        Of the libraries that a result depends on; the node's must be the same.
    """

    entry: str
    digest: str
    device: Device
    compile: CompileMode
    versions: dict[str, str]


@dataclass(frozen=True)
class Errand:
    """A job on its way to a node.

    Attributes
    ----------
    job : Job
        Without the folder of the servable model, which is the parent's.
    keep : bool
        Whether that model is wanted.
    """

    job: Job
    keep: bool


@dataclass(frozen=True)
class Wanted:
    """The node's cache lacks the data set; the answer is its files, or `Refused`."""

    node: str


@dataclass(frozen=True)
class Delivery:
    """A result, and the files of the servable model that belongs to it."""

    result: Result
    files: Files | None


@dataclass(frozen=True)
class Crashed:
    """The worker ended by a defect, or by what a model did to its process."""

    trace: str


class Slot:
    """One worker process on a node; each call gives it something and returns what it says next.

    The training has a thread of its own, which waits where a worker process waits at its pipe.

    Parameters
    ----------
    place : NodePlace
        What all runs share.
    threads : int
        Cores that this worker may use.
    node : str
        Name of this machine, for people.
    gpu : str or None
        Name of the GPU that this process was given, the same for all that share it.
    """

    def __init__(self, place: NodePlace, threads: int, node: str, gpu: str | None) -> None:
        limit_threads(threads)
        self._place, self._node, self._gpu = place, node, gpu
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self._outbox: SimpleQueue[Any] = SimpleQueue()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        threading.Thread(target=self._work, daemon=True).start()

    def hello(self) -> Any:
        """Return the first message."""
        return self._outbox.get()

    def exchange(self, content: Any) -> Any:
        """Take a job or an answer, and return the next message."""
        self._inbox.put(content)
        return self._outbox.get()

    def _work(self) -> None:
        try:
            place = self._place
            check_versions(place.versions)
            work = Workplace(self._dataset(), Path(os.devnull), place.device, place.compile)
            serve(work, Ready(self._gpu, self._node), self._send, self._receive)
        except UserError as error:
            self._send(Refused(str(error)))
        except BaseException as error:
            if disk_is_full(error):
                self._send(DiskFull(errno.ENOSPC, str(error)))
            else:
                self._outbox.put(Crashed(traceback.format_exc()))

    def _dataset(self) -> Dataset:
        """Find the data set in this node's cache, or have it sent there."""
        place = self._place
        found = transport.find(place.entry, place.digest)
        if found is not None:
            return found
        self._outbox.put(Wanted(self._node))
        answer: Files | Refused = self._inbox.get()
        if isinstance(answer, Refused):
            raise UserError(answer.reason)
        return transport.receive(place.entry, place.digest, answer)

    def _receive(self) -> Any:
        content = self._inbox.get()
        if not isinstance(content, Errand):
            return content
        job = content.job
        if not content.keep:
            return job
        self._folder = tempfile.TemporaryDirectory()
        return replace(job, servable=Path(self._folder.name) / "model")

    def _send(self, message: Message) -> None:
        if isinstance(message, Refused):
            self._outbox.put(Refused(f"node {self._node}: {message.reason}"))
        elif isinstance(message, DiskFull):
            self._outbox.put(DiskFull(message.code, f"node {self._node}: {message.reason}"))
        elif isinstance(message, Result):
            self._outbox.put(self._delivery(message))
        else:
            self._outbox.put(message)

    def _delivery(self, result: Result) -> Delivery:
        """Take the files of the servable model along."""
        files = None if result.servable is None else transport.pack(result.servable)
        result.servable = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        return Delivery(result, files)


def versions() -> dict[str, str]:
    """Return the versions of what a result depends on; nothing is imported for it."""
    from importlib.metadata import version

    return {"textbench": benchmark.__version__, **{name: version(name) for name in ("tensorflow", "keras")}}


def check_versions(wanted: dict[str, str]) -> None:
    """Refuse to train with other libraries than the process that began the sweep."""
    for name, here in versions().items():
        if here != wanted[name]:
            raise UserError(
                f"it has {name} {here}, the sweep was begun with {wanted[name]}; install the same versions, "
                "or results would not be comparable"
            )
