"""What a sweep notices of the nodes of its Ray cluster."""

import threading

import pytest

from benchmark.execution import cluster as watched
from benchmark.execution.cluster import Cluster
from benchmark.support.errors import Unfinished


def node(name, alive=True):
    return {"NodeID": name, "NodeManagerHostname": name, "NodeManagerAddress": "10.0.0.1", "Alive": alive}


class Head:
    """Answers with the nodes that a test sets, or not at all."""

    def __init__(self, *nodes):
        self.nodes, self.away, self.asked = list(nodes), False, threading.Semaphore(0)

    def __call__(self):
        self.asked.release()
        if self.away:
            raise ConnectionError("no answer")
        return self.nodes

    def wait(self):
        """Wait until a question has been asked and answered after now."""
        while self.asked.acquire(blocking=False):
            continue
        assert self.asked.acquire(timeout=60)
        assert self.asked.acquire(timeout=60)


@pytest.fixture
def open_cluster(monkeypatch):
    monkeypatch.setattr(watched, "_EVERY", 0.01)
    opened = []

    def make(head, notices, patience=60.0):
        opened.append(Cluster(head, "here", patience, notices.append))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_a_lost_node_is_one_line_and_counts_no_more(open_cluster):
    head, notices = Head(node("here"), node("far"), node("dead", alive=False)), []
    cluster = open_cluster(head, notices)
    assert [one["NodeID"] for one in cluster.nodes] == ["here", "far"]
    head.nodes = [node("here"), node("far", alive=False), node("new")]
    head.wait()
    cluster.check()
    cluster.check()
    assert [one["NodeID"] for one in cluster.nodes] == ["here", "new"]
    (notice,) = notices
    assert "node far (10.0.0.1) of the Ray cluster is lost" in notice


def test_without_a_node_here_nothing_can_be_run(open_cluster):
    head = Head(node("here"), node("far"))
    cluster = open_cluster(head, [])
    head.nodes = [node("here", alive=False), node("far")]
    head.wait()
    with pytest.raises(Unfinished, match="this machine is lost as a node"):
        cluster.check()


def test_a_head_that_does_not_answer_is_waited_for(open_cluster):
    head = Head(node("here"))
    patient, impatient = open_cluster(head, []), open_cluster(head, [], 0.0)
    head.away = True
    head.wait()
    patient.check()
    with pytest.raises(Unfinished, match="has not answered for 0 s"):
        impatient.check()
