"""Which nodes of a Ray cluster are alive: a thread asks, since a cluster that has died does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from benchmark.support.errors import Unfinished

Node: TypeAlias = dict[str, Any]
"""As in `ray.nodes`."""

_EVERY = 1.0  # seconds between two questions
_KEPT = "what was done is recorded; the same command continues it"


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
        """Give notice of nodes that were lost since the last check.

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
