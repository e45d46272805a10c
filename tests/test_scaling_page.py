"""The page on scaling shows what was measured, and what the model computes from that."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/scaling.md").read_text("utf-8")


@pytest.fixture
def perf(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "perf"))
    yield
    for name in ("rates", "scale_model"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def measured():
    return json.loads((ROOT / "perf/rates.json").read_text("utf-8"))


def test_the_page_shows_what_was_measured(perf, measured):
    from rates import summary

    assert summary(measured) in PAGE
    for value in measured["machine"].values():
        assert value in PAGE


def test_the_page_shows_what_the_model_computes(perf, measured):
    from scale_model import report

    assert report(measured) in PAGE


def test_the_model_multiplies_what_was_measured(perf):
    from scale_model import limits, needs

    search = {"setting": "search", "clients": 4, "postgresql_ms": 20.0}
    server = {
        "setting": "server",
        "recorded": 5.0,
        "delivered": 2.5,
        "postgresql_ms": 40.0,
        "server_ms": 250.0,
    }
    rows = [search, {**server, "clients": 1}, {**server, "clients": 4}]
    sizes = {"search": {"postgresql": 1e3}, "server": {"artifacts": 50e3, "postgresql": 2e3}}
    found = {"rows": rows, "bytes": sizes}
    # 100 runs a second need 40 drivers that bring 2.5 each; the budget's width alone needs 34.
    assert needs(found, 10) == ["10 s", "100.0", "0.3 h", "40", "2.00", "4.00", "25.00", "5.0"]
    assert needs(found, 1000)[3] == "34"
    first, *_, search, last = limits(found)
    # 8 cores at 250 ms a run; 8 cores at 20 ms; 100 MB/s at 50 KB.
    assert first == ("MLflow server", "8 cores", "the board", 32.0, 31.25)
    assert search == ("PostgreSQL, search", "8 cores", "training", 400.0, 2.5)
    assert last == ("artifact store", "100 MB/s", "the board", 2000.0, 0.5)
