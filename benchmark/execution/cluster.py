"""The Ray cluster that this process is connected to: what it has room for, and which nodes are alive."""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from benchmark.spec.config import Device
from benchmark.support.errors import Unfinished, UserError, one_line
from benchmark.support.signals import INTERRUPTED
from benchmark.support.tensorflow_setup import quiet_stderr
from benchmark.training.devices import cores

Node: TypeAlias = dict[str, Any]
"""As in `ray.nodes`."""

_ANSWER = 5.0  # seconds that a cluster may take to answer at all
_LAST_ANSWER = 5.0  # seconds that it may take to let go of this process
_EVERY = 1.0  # seconds between two questions for its nodes
_SLACK = 1e-6  # three times a third of a GPU is one
_INSTALL = "pip install 'textbench[ray]'"
_KEPT = "what was done is recorded; the same command continues it"


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
            import ray
    except ImportError as error:
        reason = f"Ray cannot be imported ({error}); {_INSTALL}"
        raise UserError(reason, setting="engine", value="ray") from error
    started = not ray.is_initialized()
    if started:
        _probe(options.address)
        _connect(ray, options.address)
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        yield replace(options, gpus=_checked(nodes, options, device))
    finally:
        if started:
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
    if address is None or address == "auto":
        return
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
            settings = own if address is None else {}
            ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **settings)
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
        asked = f"`cpus_per_run` {options.cpus}" + (f" `gpus_per_run` {gpus:g}" if gpus else "")
        raise UserError(
            f"{asked}: no node of the Ray cluster has room for such a run; the largest have "
            f"{most['CPU']:g} CPUs and {most['GPU']:g} GPUs"
        )
    return gpus


def room(node: Mapping[str, float], cpus: float, gpus: float) -> int:
    """Return how many runs a node has room for.

    Parameters
    ----------
    node : mapping of str to float
        What the node has in all: ``CPU`` and ``GPU``, as Ray counts them.
    cpus, gpus : float
        What one run takes, at least one of them above 0. Several runs share a GPU where it is below 1; one
        run never gets parts of two.
    """
    by_cpu = math.floor(node.get("CPU", 0.0) / cpus + _SLACK) if cpus else math.inf
    if not gpus:
        return int(by_cpu)
    whole = math.floor(node.get("GPU", 0.0) + _SLACK)
    by_gpu = whole * math.floor(1 / gpus + _SLACK) if gpus <= 1 else math.floor(whole / gpus)
    return int(min(by_cpu, by_gpu))


class Cluster:
    """Knows the nodes that are alive, and notices when the cluster or a node is lost.

    Parameters
    ----------
    ask : callable
        Returns all nodes, dead ones included; it may hang or raise where the cluster does not answer.
    here : str
        Id of the node that this process is on.
    patience : float
        Seconds without an answer after which the cluster is lost.
    notice : callable
        Is given a line for each node that is lost.

    Attributes
    ----------
    nodes : list of dict
        Those that were alive at the last answer.
    """

    def __init__(
        self, ask: Callable[[], list[Node]], here: str, patience: float, notice: Callable[[str], None]
    ) -> None:
        self._ask, self._here, self._patience, self._notice = ask, here, patience, notice
        self._answer, self._answered = ask(), time.monotonic()
        self.nodes = _alive(self._answer)
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="cluster", daemon=True).start()

    def _watch(self) -> None:
        while not self._closed.wait(_EVERY):
            try:
                self._answer = self._ask()
            except Exception:  # Ray raises nearly anything; what counts is how long there is no answer
                continue
            self._answered = time.monotonic()

    def check(self) -> None:
        """Report the nodes that were lost since the last check.

        Raises
        ------
        Unfinished
            When the cluster does not answer, or the node of this process is lost: nothing can be run then.
        """
        if time.monotonic() - self._answered > self._patience:
            raise Unfinished(
                f"the Ray cluster has not answered for {self._patience:.0f} s: its head (gcs_server) is gone "
                f"or hangs; {_KEPT}, with a cluster that answers"
            )
        before, self.nodes = self.nodes, _alive(self._answer)
        there = {node["NodeID"] for node in self.nodes}
        if self._here not in there:
            raise Unfinished(
                f"this machine is lost as a node of the Ray cluster (its raylet is gone or hangs); {_KEPT}, "
                "on a node that is alive"
            )
        for node in before:
            if node["NodeID"] not in there:
                name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
                self._notice(
                    f"node {name} of the Ray cluster is lost, {len(there)} left; what ran on it is tried "
                    "again on others"
                )

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()


def _alive(nodes: list[Node]) -> list[Node]:
    return [node for node in nodes if node["Alive"]]
