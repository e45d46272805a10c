"""Runs as Ray actors, on this machine or a cluster. Imports Ray: import it where Ray is wanted alone."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import ray

import benchmark
from benchmark.data.cache import Files, pack, unpack
from benchmark.data.dataset import Dataset
from benchmark.data.prepare import find_entry, receive
from benchmark.execution.cluster import Cluster, RayOptions, room
from benchmark.execution.engine import PAUSE, Handler, Job, Workplace
from benchmark.execution.pool import Lost, Pool, Worker
from benchmark.execution.worker import Message, serve
from benchmark.spec.result import Result
from benchmark.support.errors import UserError, one_line
from benchmark.training.devices import limit_threads

# Of Ray: seconds without an answer of its head after which it ends this process by itself.
_RECONNECT = "RAY_gcs_rpc_server_reconnect_timeout_s"


@dataclass(frozen=True)
class Wanted:
    """The node's cache lacks a data set; the answer is its files."""

    node: str
    dataset: Dataset


@dataclass(frozen=True)
class SentResult:
    """A result, and the files of the servable model that belongs to it."""

    result: Result
    files: Files | None


class RayEngine(Pool["_Actor"]):
    """Trains in actors of the Ray cluster that this process is connected to, see `connected`.

    Parameters
    ----------
    place : Workplace
        What all runs share.
    options : RayOptions
        What a run takes.
    workers : int, optional
        How many runs are under way at a time; None is as many as the cluster has room for, which grows as
        nodes join it.
    notice : callable, optional
        Is given a line for each node of the cluster that is lost.

    Notes
    -----
    An actor keeps TensorFlow, views and compiled functions from run to run, like a worker process. This
    process alone writes to Optuna, MLflow and the ledger.
    """

    def __init__(
        self,
        place: Workplace,
        options: RayOptions,
        workers: int | None = None,
        notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        super().__init__(place)
        self._options, self._asked = options, workers
        self._sent: tuple[str, Any] = "", None
        patience = float(os.environ.get(_RECONNECT, 60)) / 2
        here = ray.get_runtime_context().get_node_id()
        self._cluster = Cluster(ray.nodes, here, patience, notice)

    @property
    def limit(self) -> int:
        """What was asked for, or what the cluster has room for."""
        if self._asked is not None:
            return self._asked
        options = self._options
        return sum(room(node["Resources"], options.cpus, options.gpus or 0.0) for node in self._cluster.nodes)

    def start(self) -> _Actor:
        """Start an actor where there is room for it, at once or later."""
        return _Actor(self._place, self._options)

    def heard(self, workers: list[_Actor]) -> list[_Actor]:
        """Wait for answers, and check the cluster that they come from."""
        self._cluster.check()
        if not workers:
            time.sleep(PAUSE)
            return []
        answers = [worker.answer for worker in workers]
        if not ray.wait(answers, num_returns=1, timeout=PAUSE)[0]:
            return []
        ready = set(ray.wait(answers, num_returns=len(answers), timeout=0)[0])
        return [worker for worker in workers if worker.answer in ready]

    def close(self) -> None:
        """End all workers."""
        self._cluster.close()
        super().close()

    def take_message(self, worker: _Actor, message: Any, handler: Handler) -> None:
        """Do what a message asks for; a node may ask for the data set."""
        if isinstance(message, Wanted):
            worker.send(self._data_for(message.node, message.dataset))
        else:
            super().take_message(worker, message, handler)

    def _data_for(self, node: str, dataset: Dataset) -> Any:
        """Return a reference to a data set, which Ray brings to each node once."""
        lacks = f"node {node} has no prepared copy of data set '{dataset.name}'"
        fix = "share BENCHMARK_CACHE_DIR with it, or prepare it there: python -m benchmark.datasets prepare"
        if not self._options.send:
            raise UserError(f"{lacks}, and `no_send_data` keeps it from being sent; {fix}")
        if self._sent[0] != dataset.digest:
            try:
                self._sent = dataset.digest, ray.put(pack(dataset.folder))
            except (ray.exceptions.RayError, OSError, MemoryError) as error:
                raise UserError(f"{lacks}, and it cannot be sent ({one_line(error)}); {fix}") from error
        return self._sent[1]


class _Actor(Worker):
    """An actor as its parent sees it."""

    def __init__(self, place: Workplace, options: RayOptions) -> None:
        super().__init__()
        slot = ray.remote(_Slot).options(
            num_cpus=options.cpus, num_gpus=options.gpus, max_restarts=0, max_task_retries=0
        )
        # A copy of the data set has no files open, which the node may not have.
        own = replace(place, dataset=replace(place.dataset), device=place.device if options.gpus else "cpu")
        self._actor = slot.remote(own, versions(), options.cpus)
        self.answer = self._actor.exchange.remote()

    def send(self, content: Any) -> None:
        """Call the actor; its answer is the next message."""
        self.answer = self._actor.exchange.remote(content)

    def receive(self) -> Any:
        """Return what the actor answered."""
        try:
            message = ray.get(self.answer)
        except ray.exceptions.OutOfMemoryError as error:
            raise Lost(str(error), "oom") from error
        except ray.exceptions.RayError as error:
            if getattr(error, "actor_init_failed", False):
                reason = str(error).strip().splitlines()[-1]
                raise UserError(f"a node of the Ray cluster cannot start: {reason}") from error
            raise Lost(f"{error}\nthe worker was lost with its process or node, or by a defect") from error
        if not isinstance(message, SentResult):
            return message
        if message.files is not None:  # of the servable model, which go where they are expected
            assert self.job is not None
            assert self.job.servable is not None
            unpack(message.files, self.job.servable)
            message.result.servable = self.job.servable
        return message.result

    def end(self, *, at_once: bool) -> None:
        """End the actor, which has nothing to save."""
        with contextlib.suppress(ray.exceptions.RayError):
            ray.kill(self._actor, no_restart=True)


class _Slot:
    """A worker process on a node; each call gives it something and returns what it sends next.

    The training has a separate thread, which waits where a worker process waits at its pipe.

    Parameters
    ----------
    place : Workplace
        What all runs share; the data set is that of the parent's cache.
    wanted : dict of str to str
        Versions of the libraries that a result depends on; the node's must be the same.
    threads : int
        Cores that this worker may use.
    """

    def __init__(self, place: Workplace, wanted: dict[str, str], threads: int) -> None:
        limit_threads(threads)
        self._place, self._wanted = place, wanted
        self._node = f"{socket.gethostname()} ({ray.util.get_node_ip_address()})"
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self._outbox: SimpleQueue[Any] = SimpleQueue()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._found: dict[str, Dataset] = {}
        context = ray.get_runtime_context()
        gpus = context.get_accelerator_ids().get("GPU", [])
        gpu = f"{context.get_node_id()}:{','.join(gpus)}" if gpus else None
        threading.Thread(target=self._work, args=[gpu], daemon=True).start()

    def exchange(self, *contents: Any) -> Any:
        """Take a job or an answer, or nothing at first, and return the next message."""
        for content in contents:
            self._inbox.put(content)
        message = self._outbox.get()
        if isinstance(message, RuntimeError):
            raise message
        return message

    def _work(self, gpu: str | None) -> None:
        try:
            serve(self._open, gpu, self._send, self._receive)
        except BaseException:
            self._outbox.put(RuntimeError(traceback.format_exc()))

    def _open(self) -> Workplace:
        check_versions(self._wanted)
        return replace(self._place, dataset=self._here(self._place.dataset))

    def _here(self, dataset: Dataset) -> Dataset:
        """Find a data set in this node's cache, or have it sent there."""
        entry, digest = dataset.folder.name, dataset.digest
        if digest not in self._found:
            found = find_entry(entry, digest)
            if found is None:
                self._outbox.put(Wanted(self._node, dataset))
                found = receive(entry, digest, self._inbox.get())
            self._found[digest] = found
        return self._found[digest]

    def _receive(self) -> Any:
        content = self._inbox.get()
        if isinstance(content, Job) and content.dataset is not None:
            content = replace(content, dataset=self._here(content.dataset))
        if not isinstance(content, Job) or content.servable is None:
            return content
        self._folder = tempfile.TemporaryDirectory()
        return replace(content, servable=Path(self._folder.name) / "model")

    def _send(self, message: Message) -> None:
        if isinstance(message, UserError):
            message = UserError(f"node {self._node}: {message}")
        elif isinstance(message, OSError):
            message = OSError(message.errno, f"node {self._node}: {message.strerror}")
        self._outbox.put(self._with_files(message) if isinstance(message, Result) else message)

    def _with_files(self, result: Result) -> SentResult:
        """Take the files of the servable model along."""
        files = None if result.servable is None else pack(result.servable)
        result.servable = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        return SentResult(result, files)


def versions() -> dict[str, str]:
    """Return the versions of what a result depends on; nothing is imported for it."""
    return {"textbench": benchmark.__version__, **{name: version(name) for name in ("tensorflow", "keras")}}


def check_versions(wanted: dict[str, str]) -> None:
    """Refuse to train with other libraries than the process that started the sweep."""
    for name, here in versions().items():
        if here != wanted[name]:
            raise UserError(
                f"it has {name} {here}, the sweep was started with {wanted[name]}; install the same "
                "versions, or results would not be comparable"
            )
