"""Runs as Ray actors, on this machine or a cluster. The only module that imports Ray, at its first use."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark.data import transport
from benchmark.execution.cluster import Cluster
from benchmark.execution.engine import PAUSE, Handler, Job, Workplace
from benchmark.execution.node import Crashed, Delivery, Errand, NodePlace, Slot, Wanted, versions
from benchmark.execution.pool import Lost, Pool, Worker
from benchmark.execution.slots import room
from benchmark.spec.config import Device
from benchmark.support.errors import Unfinished, UserError, one_line
from benchmark.support.signals import INTERRUPTED
from benchmark.support.tensorflow_setup import quiet_stderr
from benchmark.training.devices import cores

_ANSWER = 5.0  # seconds that a cluster may take to answer at all
_LAST_ANSWER = 5.0  # seconds that it may take to let go of this process
# Of Ray: seconds without an answer of its head after which it ends this process by itself.
_RECONNECT = "RAY_gcs_rpc_server_reconnect_timeout_s"
_INSTALL = "pip install 'textbench[ray]'"


@dataclass(frozen=True)
class RayOptions:
    """Which cluster, and what a run takes of it.

    Attributes
    ----------
    address : str or None
        ``HOST:PORT`` of a cluster that this machine is a node of, or ``auto``, which finds it; None starts
        one of this machine alone, and ends it.
    cpus : int
        CPUs of each run, which are the threads that it uses.
    gpus : float or None
        GPUs of each run, a share where it is below 1; None is one where the cluster has any.
    send : bool
        Whether nodes without the data set are sent it.
    """

    address: str | None = None
    cpus: int = 1
    gpus: float | None = None
    send: bool = True


def _ray() -> Any:
    import ray

    return ray


@contextmanager
def connected(options: RayOptions, device: Device = "auto") -> Iterator[RayOptions]:
    """Be connected to the cluster until the block ends.

    Parameters
    ----------
    options : RayOptions
        Which cluster.
    device : {"auto", "cpu", "gpu"}
        Where runs are to be trained.

    Yields
    ------
    RayOptions
        The same, with the GPUs of a run decided.

    Raises
    ------
    UserError
        When Ray is not installed, the cluster does not answer, or no node of it has room for a run.
    """
    # Read by Ray when it is imported: no statistics, and no GPU to a run that asks for none.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if options.address is None and "ray" not in sys.modules:
        # Ray listens on all interfaces and runs what it is sent: let it be sent nothing but by who has this.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        with quiet_stderr():
            ray = _ray()
    except ImportError as error:
        reason = f"Ray cannot be imported ({error}); {_INSTALL}"
        raise UserError(reason, setting="engine", value="ray") from error
    begun = not ray.is_initialized()
    if begun:
        _probe(options.address)
        _connect(ray, options.address)
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        yield replace(options, gpus=_checked(nodes, options, device))
    finally:
        if begun:
            _shut_down(ray)


def _shut_down(ray: Any) -> None:
    """Leave the cluster, after a lost one or Ctrl-C by force where it does not answer."""
    error = sys.exc_info()[1]
    if not isinstance(error, Unfinished | KeyboardInterrupt):
        ray.shutdown()
        return
    leaving = threading.Thread(target=ray.shutdown, daemon=True)
    leaving.start()
    leaving.join(_LAST_ANSWER)
    if leaving.is_alive():
        with contextlib.suppress(Exception):  # of a cluster that was here before us, none is ours
            ray._private.worker._global_node.kill_all_processes(check_alive=False, allow_graceful=False)
        leaving.join(1.0)
    if leaving.is_alive():  # then Ray would wait again when Python ends
        atexit.register(_end, INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1)


def _end(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _probe(address: str | None) -> None:
    """Refuse an address where nobody listens: Ray itself would try for minutes."""
    if address in (None, "auto"):
        return
    assert address is not None
    host, colon, port = address.rpartition(":")
    if "://" in address or not colon or not host or not port.isdigit() or int(port) > 65535:
        reason = "expected HOST:PORT of a Ray cluster, as 'ray start' prints it, or auto"
        raise UserError(reason, setting="address", value=address)
    try:
        socket.create_connection((host, int(port)), _ANSWER).close()
    except OSError as error:
        reason = f"no Ray cluster answers there ({one_line(error)}); 'ray start --head' starts one"
        raise UserError(reason, setting="address", value=address) from error


def _connect(ray: Any, address: str | None) -> None:
    # Ray takes SIGTERM for itself.
    main = threading.current_thread() is threading.main_thread()
    terminate = signal.getsignal(signal.SIGTERM)
    # Of five health checks in a row, 13 s each, three are enough to call a node that hangs lost.
    health = {"health_check_failure_threshold": 3}
    own: dict[str, Any] = {"num_cpus": cores(), "include_dashboard": False, "_system_config": health}
    try:
        with quiet_stderr():
            ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level="ERROR",
                **(own if address is None else {}),
            )
    except Exception as error:
        reason = f"Ray does not start here ({one_line(error)})"
        if address is None:
            raise UserError(reason, setting="engine", value="ray") from error
        reason += "; expected a cluster that this machine is a node of"
        raise UserError(reason, setting="address", value=address) from error
    finally:
        if main:
            signal.signal(signal.SIGTERM, terminate)
    # Ray prints what happens to workers to standard output, which is not its own.
    with contextlib.suppress(ImportError, AttributeError):
        from ray._private import worker as driver

        driver._worker_logs_enabled = False


def _checked(nodes: list[dict[str, float]], options: RayOptions, device: Device) -> float:
    """Return the GPUs of a run, or refuse what no node can give."""
    most = {name: max((node.get(name, 0.0) for node in nodes), default=0.0) for name in ("CPU", "GPU")}
    gpus = options.gpus
    if gpus is None:
        gpus = 1.0 if device == "gpu" or (device == "auto" and most["GPU"]) else 0.0
    if gpus and not most["GPU"]:
        asked = "`device` gpu" if options.gpus is None else f"`gpus_per_run` {gpus:g}"
        raise UserError(f"{asked}: no node of the Ray cluster has a GPU; leave it out, or add such a node")
    if not any(room(node, options.cpus, gpus) for node in nodes):
        raise UserError(
            f"`cpus_per_run` {options.cpus}"
            + (f" `gpus_per_run` {gpus:g}" if gpus else "")
            + ": no node of the Ray cluster has room for such a run; the largest have "
            + f"{most['CPU']:g} CPUs and {most['GPU']:g} GPUs"
        )
    return gpus


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
    run_timeout, recycle
        As in `Pool`.
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
        run_timeout: float | None = None,
        recycle: int | None = None,
        notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        super().__init__(place, run_timeout, recycle)
        self._options, self._asked = options, workers
        self._node_place = NodePlace(
            entry=place.dataset.folder.name,
            digest=place.dataset.digest,
            device=place.device if options.gpus else "cpu",
            compile=place.compile,
            versions=versions(),
        )
        self._sent: Any = None
        ray = _ray()
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
        return _Actor(self._node_place, self._options)

    def heard(self, workers: list[_Actor]) -> list[_Actor]:
        """Wait for answers, and look after the cluster that they come from."""
        self._cluster.check()
        ray = _ray()
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
            worker.send(self._data_for(message.node))
        else:
            super().take_message(worker, message, handler)

    def _data_for(self, node: str) -> Any:
        """Return a reference to the data set, which Ray brings to each node once."""
        ray = _ray()
        dataset = self._place.dataset
        lacks = f"node {node} has no prepared copy of data set '{dataset.name}'"
        mend = "share BENCHMARK_CACHE_DIR with it, or prepare it there: python -m benchmark.datasets prepare"
        if not self._options.send:
            raise UserError(f"{lacks}, and `no_send_data` keeps it from being sent; {mend}")
        if self._sent is None:
            try:
                self._sent = ray.put(transport.pack(dataset.folder))
            except (ray.exceptions.RayError, OSError, MemoryError) as error:
                raise UserError(f"{lacks}, and it cannot be sent ({one_line(error)}); {mend}") from error
        return self._sent


class _Actor(Worker):
    """An actor as its parent sees it."""

    def __init__(self, place: NodePlace, options: RayOptions) -> None:
        ray = _ray()
        super().__init__()
        slot = ray.remote(_RaySlot).options(
            num_cpus=options.cpus, num_gpus=options.gpus, max_restarts=0, max_task_retries=0
        )
        self._actor = slot.remote(place, options.cpus)
        self.answer = self._actor.hello.remote()
        self._servable: Path | None = None

    def send(self, content: Any) -> None:
        """Call the actor; its answer is the next message."""
        if isinstance(content, Job):
            self._servable = content.servable
            content = Errand(replace(content, servable=None), content.servable is not None)
        self.answer = self._actor.exchange.remote(content)

    def receive(self) -> Any:
        """Return what the actor answered."""
        ray = _ray()
        try:
            message = ray.get(self.answer)
        except ray.exceptions.OutOfMemoryError as error:
            raise Lost(str(error), "oom") from error
        except ray.exceptions.RayActorError as error:
            if error.actor_init_failed:
                reason = str(error).strip().splitlines()[-1]
                raise UserError(f"a node of the Ray cluster cannot begin: {reason}") from error
            raise Lost(f"{error}\nthe worker was lost with its process or node") from error
        except ray.exceptions.RayError as error:
            raise Lost(f"{error}\nwhat the worker said was lost") from error
        if isinstance(message, Crashed):
            raise Lost(f"{message.trace.rstrip()}\nthe worker was lost (an exception outside the run)")
        if isinstance(message, Delivery):
            return self._unpacked(message)
        return message

    def _unpacked(self, delivery: Delivery) -> Any:
        """Put the files of the servable model where they are looked for."""
        result = delivery.result
        if delivery.files is not None and self._servable is not None:
            transport.unpack(delivery.files, self._servable)
            result.servable = self._servable
        return result

    def end(self, *, at_once: bool) -> None:
        """End the actor, which has nothing of its own to save."""
        ray = _ray()
        with contextlib.suppress(ray.exceptions.RayError):
            ray.kill(self._actor, no_restart=True)


class _RaySlot(Slot):
    """A slot that asks Ray where it is."""

    def __init__(self, place: NodePlace, threads: int) -> None:
        ray = _ray()
        context = ray.get_runtime_context()
        gpus = context.get_accelerator_ids().get("GPU", [])
        gpu = f"{context.get_node_id()}:{','.join(gpus)}" if gpus else None
        super().__init__(place, threads, f"{socket.gethostname()} ({ray.util.get_node_ip_address()})", gpu)
