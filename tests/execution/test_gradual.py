"""The engine of a sweep without ``--workers``: this process, then workers."""

from types import SimpleNamespace

import pytest
from processes import of_kind, runs

from benchmark import sweep
from benchmark.execution import gradual
from benchmark.execution.gradual import GradualEngine
from benchmark.tracking import names
from benchmark.training import devices

SWEEP = ["--model", "majority", "--dataset", "sample", "--seeds", "3", "--device", "cpu"]
GIB = 1 << 30


@pytest.mark.parametrize(
    ("long", "fastest", "load", "workers"),
    [(0.0, 2, 4.0, "2"), (0.0, 1, 4.0, None), (1e9, 2, 4.0, None), (0.0, 2, 8.0, None)],
)
def test_workers_take_over_where_it_is_long_and_they_are_faster(
    sample, monkeypatch, capsys, long, fastest, load, workers
):
    monkeypatch.setattr(gradual, "SHORT", long)
    monkeypatch.setattr(gradual, "LONG", long)
    monkeypatch.setattr(gradual, "cores", lambda: 4)
    monkeypatch.setattr(gradual, "free_memory", lambda: 100 * GIB)
    monkeypatch.setattr(devices, "cores", lambda: 4)
    monkeypatch.setattr(devices.os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(gradual, "known_workers", lambda plan, place, most: None)
    monkeypatch.setattr(gradual, "best_workers", lambda plan, place, most: min(most, fastest))
    assert sweep.main(SWEEP) == 0, capsys.readouterr().err
    found = sorted(runs(), key=lambda run: run.info.start_time)
    found = [*of_kind(found, names.TRIAL_RUN), *of_kind(found, names.FINAL_RUN)]
    used = [run.data.tags.get(names.WORKERS, "") for run in found]
    said = [line for line in capsys.readouterr().out.splitlines() if "side by side" in line]
    assert len(used) == 4
    if workers is None:
        assert set(used) == {used[0]}
        assert not said
    else:
        assert set(used[1:]) == {workers} != {used[0]}
        assert said == [
            f"{workers} workers train side by side from now on; --workers 1 keeps to one run at a time"
        ]


@pytest.mark.parametrize(
    ("given", "workers"),
    [
        ({}, 4),
        ({"memory": 4.5 * GIB}, 3),  # a margin, and one for each
        ({"memory": 2.5 * GIB}, None),
        ({"fastest": 1}, None),
        ({"known": 2}, 2),
        ({"left": gradual.LONG - 1}, 2),  # too little to measure
        ({"left": gradual.LONG - 1, "physical": 1}, None),
        ({"left": gradual.LONG - 1, "known": 3}, 3),
        ({"left": gradual.LONG - 1, "known": 1}, None),
    ],
)
def test_how_many_workers_there_are(monkeypatch, given, workers):
    told = {"memory": 100 * GIB, "fastest": 4, "known": None, "left": gradual.LONG, "physical": 4, **given}
    monkeypatch.setattr(gradual, "cores", lambda: 4)
    monkeypatch.setattr(gradual, "physical_cores", lambda: told["physical"])
    monkeypatch.setattr(gradual, "free_memory", lambda: int(told["memory"]))
    monkeypatch.setattr(gradual, "known_workers", lambda plan, place, most: told["known"])
    monkeypatch.setattr(gradual, "best_workers", lambda plan, place, most: min(most, told["fastest"]))
    monkeypatch.setattr(gradual, "InlineEngine", lambda place: None)
    monkeypatch.setattr(gradual, "ProcessEngine", lambda place, number: number)
    plan = SimpleNamespace(model=SimpleNamespace(label="Guess"))
    engine = GradualEngine(SimpleNamespace(device="cpu"), lambda line: None)
    assert engine._chosen(plan, told["left"]) == workers
