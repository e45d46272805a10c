"""Fixtures of the tests of tracking."""

from pathlib import Path

import pytest

from benchmark.tracking.outbox import Outbox
from benchmark.tracking.spool import Spool
from benchmark.tracking.store import connect

RUNS = Path("mlruns")


@pytest.fixture
def client(uri):
    """Its client."""
    return connect(uri)


@pytest.fixture
def spool(uri):
    """Its spool."""
    return Spool(RUNS, uri)


@pytest.fixture
def outbox(monkeypatch):
    """``outbox(client, spool, notices)`` gives an `Outbox` that is stopped when the test ends."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # which an outbox leaves behind
    monkeypatch.setattr("benchmark.tracking.outbox._FIRST_PAUSE", 0.01)
    opened = []

    def make(client, spool, notices=None):
        opened.append(Outbox(client, spool, ([] if notices is None else notices).append))
        return opened[-1]

    yield make
    for box in opened:
        box.close(0)
