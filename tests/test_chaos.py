"""A sweep that is killed again and again ends like an undisturbed one: nothing lost, nothing twice."""

import random
import time
from pathlib import Path

import pytest
from processes import check_slots, kill, of_kind, outcome, repeated, runs, start_sweep, workers_of

from benchmark import sweep
from benchmark.tracking import names

pytestmark = pytest.mark.long

TRIALS, SEEDS, KILLS = 16, 3, 8
WORDS = ["--model", "avg-pool", "--dataset", "sample", "--workers", "2", "--trials", str(TRIALS)]
WORDS += ["--seeds", str(SEEDS), "--epochs", "2", "--sampler", "random", "--pruner", "none"]
WORDS += ["--timeout", "100000"]  # not the budget's limit, which goes by the clock
WORDS += ["--set", "embedding_dropout=0.0", "--set", "batch_size=256", "--train-examples", "800"]
WORDS += ["--compile", "graph"]


def test_a_sweep_killed_at_random_moments(sample, tmp_path, monkeypatch, capsys):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    monkeypatch.chdir(tmp_path / "whole")
    assert sweep.main(WORDS) == 0
    expected = outcome(runs())

    monkeypatch.chdir(tmp_path / "killed")
    chance = random.Random(20261121)
    kills = {"parent": 0, "worker": 0, "both": 0}
    process = start_sweep(*WORDS)
    while sum(kills.values()) < KILLS:
        # At any moment of its life, the start included; but mostly when runs are under way.
        early = chance.random() < 0.2
        while not early and not workers_of(process) and process.poll() is None:
            time.sleep(0.2)
        time.sleep(chance.uniform(0, 12))
        if process.poll() is not None:
            assert process.returncode in (0, -9), Path("sweep.log").read_text()
            process = start_sweep(*WORDS)
            continue
        workers = workers_of(process)
        victim = chance.choice(["parent", "worker", "both"] if workers else ["parent"])
        kills[victim] += 1
        if victim in ("worker", "both"):
            kill(chance.choice(workers).pid)
        if victim in ("parent", "both"):
            kill(process.pid)
            process.wait(30)
            process = start_sweep(*WORDS)
    kill(process.pid)
    process.wait(30)
    time.sleep(1)
    assert sweep.main(WORDS) == 0

    found = runs()
    trials, finals = (of_kind(found, kind, "ok") for kind in (names.TRIAL_RUN, names.FINAL_RUN))
    lost = [f"{run.data.tags[names.KIND]} {run.info.run_id}" for run in found if run.info.status == "RUNNING"]
    twice = {**repeated(found, names.TRIAL_RUN), **repeated(found, names.FINAL_RUN)}
    interrupted = [run for run in found if run.data.tags.get(names.STATUS) == "interrupted"]
    same = outcome(found) == expected
    with capsys.disabled():
        print(
            f"\nkills: {kills}; trials: {len(trials)} of {TRIALS + 2}; "
            f"final runs: {len(finals)} of {2 * SEEDS}; "
            f"interrupted runs: {len(interrupted)}; duplicates: {len(twice)}; left running: {len(lost)}; "
            f"results equal: {same}"
        )
    assert not lost
    assert not twice
    check_slots(trials, TRIALS, further=2)
    assert len(finals) == 2 * SEEDS
    assert same
    assert not list(Path("mlruns/spool").glob("*/*.json"))  # what a kill left half-written has no such name
    # Nothing is left to do, and nothing is done again.
    count = len(found)
    assert sweep.main(WORDS) == 0
    assert len(runs()) == count
