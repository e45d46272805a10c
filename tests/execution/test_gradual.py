"""The engine of a sweep without ``--workers``: this process, then workers."""

import pytest
from processes import of_kind, runs

from benchmark import sweep
from benchmark.execution import gradual
from benchmark.tracking import names

SWEEP = ["--model", "majority", "--dataset", "sample", "--seeds", "3", "--device", "cpu"]
GIB = 1 << 30


def swept(monkeypatch, capsys, *, long, fastest, memory, load):
    """Sweep; return the workers of each run in the order they started, and what was said of them."""
    monkeypatch.setattr(gradual, "LONG", long)
    monkeypatch.setattr(gradual, "cores", lambda: 4)
    monkeypatch.setattr(gradual, "free_memory", lambda: memory)
    monkeypatch.setattr(gradual.os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(gradual, "best_workers", lambda plan, place, most: min(most, fastest))
    assert sweep.main(SWEEP) == 0, capsys.readouterr().err
    found = sorted(runs(), key=lambda run: run.info.start_time)
    found = [*of_kind(found, names.TRIAL_RUN), *of_kind(found, names.FINAL_RUN)]
    said = [line for line in capsys.readouterr().out.splitlines() if "side by side" in line]
    return [run.data.tags.get(names.WORKERS, "") for run in found], said


@pytest.mark.parametrize(
    ("long", "fastest", "memory", "load", "workers"),
    [
        (0.0, 2, 100 * GIB, 4.0, "2"),
        (0.0, 4, 4.5 * GIB, 4.0, "3"),  # a margin, and one for each
        (0.0, 4, 2.5 * GIB, 4.0, None),
        (0.0, 1, 100 * GIB, 4.0, None),
        (1e9, 4, 100 * GIB, 4.0, None),
        (0.0, 4, 100 * GIB, 8.0, None),
    ],
)
def test_workers_take_over_where_it_is_long_pays_and_fits(
    sample, monkeypatch, capsys, long, fastest, memory, load, workers
):
    used, said = swept(monkeypatch, capsys, long=long, fastest=fastest, memory=int(memory), load=load)
    first = used[0]
    assert len(used) == 4
    if workers is None:
        assert set(used) == {first}
        assert not said
    else:
        assert set(used[1:]) == {workers} != {first}
        assert said == [
            f"{workers} workers train side by side from now on; --workers 1 keeps to one run at a time"
        ]
