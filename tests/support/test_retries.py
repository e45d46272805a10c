"""Asking again, and whether a host can be reached: soon, and with the proxy that a download would use."""

import socket
import time

import pytest

from benchmark.support.retries import awaited, reachable, retried

NOWHERE = ("nowhere.invalid", 80)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_open_and_a_closed_port(port):
    assert reachable("127.0.0.1", port)
    assert not reachable("127.0.0.1", 9)


def test_a_host_that_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("benchmark.support.retries.PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = [socket.socket() for _ in range(4)]  # more than the queue holds: the next is ignored
        for connection in waiting:
            connection.setblocking(False)
            connection.connect_ex(server.getsockname())
        started = time.monotonic()
        assert not reachable(*server.getsockname())
        assert time.monotonic() - started < 2
        for connection in waiting:
            connection.close()


@pytest.mark.parametrize("form", ["http://127.0.0.1:{}", "127.0.0.1:{}", "http://user:word@127.0.0.1:{}/"])
def test_the_proxy_is_asked_instead(monkeypatch, port, form):
    monkeypatch.setenv("http_proxy", form.format(port))
    assert reachable(*NOWHERE)
    monkeypatch.setenv("http_proxy", form.format(9))
    assert not reachable("127.0.0.2", port)


def test_hosts_that_bypass_the_proxy(monkeypatch, port):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert reachable("127.0.0.1", port)


def test_a_question_is_asked_until_it_is_answered_or_refused():
    asked = []

    def ask():
        asked.append(None)
        if len(asked) < 3:
            raise ConnectionError
        return len(asked)

    assert retried(ask, lambda _: True, 10, longest_pause=0.01) == 3
    asked.clear()
    with pytest.raises(ConnectionError):
        retried(ask, lambda _: False, 10)
    with pytest.raises(ConnectionError):
        retried(ask, lambda _: True, 0)
    assert len(asked) == 2


def test_an_answer_is_awaited():
    answers = iter([None, None, False])
    assert awaited(lambda: next(answers), 0.01) is False
    assert awaited(lambda: None, 0.01, 0.02) is None
