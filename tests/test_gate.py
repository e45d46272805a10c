"""A gate: what is worse fails, what is not passes and says its power, what proves nothing is refused."""

import os
import re
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import PIPELINE, ROOT

from benchmark import compare, leaderboard, sweep
from benchmark.stats.differences import differences, fixed, runs_of
from benchmark.stats.losses import losses
from benchmark.stats.verdicts import ACCURACY, Scale

WORKFLOWS = ROOT / ".github" / "workflows"


@pytest.fixture
def fresh(sample):
    """A pipeline of the finished sweep on fresh seeds, in the folder of the test."""
    assert sweep.main([*PIPELINE, "--seed", "7", "--json"]) == 0


def gate(file, *words):
    return leaderboard.main(["--dataset", "sample", "--against", str(file), "--fail-if-worse", *words])


def test_the_same_on_fresh_seeds_passes_and_says_its_power(exported_sweep, fresh, capsys):
    kept = sorted(Path("mlruns").rglob("*"))
    capsys.readouterr()
    assert gate(exported_sweep, "--format", "json") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("{")
    found = re.search(r"tfidf-logreg .*not shown .*would have seen a loss of ([\d.]+) points", printed.err)
    assert 0.5 < float(found[1]) < 5
    assert re.search("only in results.zip: .*majority", printed.err)
    assert printed.err.splitlines()[-1].startswith("gate passed: ")
    assert [one for one in sorted(Path("mlruns").rglob("*")) if one.suffix != ".db-wal"] == [
        one for one in kept if one.suffix != ".db-wal"
    ]


def test_a_worse_row_fails(exported_sweep, sample, capsys):
    words = [*PIPELINE, "--seed", "7", "--set", "min_count=300", "--json"]
    assert sweep.main(words) == 0
    assert gate(exported_sweep) == 3
    printed = capsys.readouterr().err
    assert re.search(": worse by more than 0.5 points: difference -(.|\n)*gate failed: ", printed)
    assert leaderboard.main(["--dataset", "sample", "--against", str(exported_sweep)]) == 0
    assert gate(exported_sweep, "--margin", "60") == 0


def test_the_same_seeds_prove_nothing(exported_sweep, copied_sweep, capsys):
    assert gate(exported_sweep) == 2
    assert "same seeds on both sides, which proves nothing" in capsys.readouterr().err
    assert sweep.main([*PIPELINE, "--seed", "7", "--json"]) == 0
    assert gate(exported_sweep) == 0
    printed = capsys.readouterr().err
    assert re.search("left out, same seeds .*majority", printed)
    assert printed.splitlines()[-1].startswith("gate passed: ")


def test_wrong_requests(exported_sweep, fresh, capsys, tmp_path):
    (tmp_path / "broken.zip").write_bytes(exported_sweep.read_bytes()[:-100])
    for words, said in (
        (["--fail-if-worse"], "--fail-if-worse: goes with --against FILE"),
        (["--against", "none.zip"], "none.zip cannot be read: there is no such file; nothing was compared"),
        (["--against", "."], ". cannot be read: it is not a file; nothing was compared"),
        (["--against", "broken.zip"], "broken.zip cannot be read: "),
        (["--against", str(exported_sweep), "--folds", "5"], "a results file has no runs on folds"),
    ):
        capsys.readouterr()
        assert leaderboard.main(["--dataset", "sample", *words]) == 2
        assert said in (line := capsys.readouterr().err)
        assert line.count("\n") == 1


def test_other_data_is_refused(exported_sweep, tmp_path, capsys):
    rows = ["text,label,split"]
    for number in range(300):
        split = "test" if number % 3 else "train"
        rows.append(f"{'good' if number % 2 else 'bad'} {number},{number % 2},{split}")
    (tmp_path / "sample.csv").write_text("\n".join(rows))
    data = ["--dataset", "csv:sample.csv"]
    assert sweep.main(["--model", "majority", *data, "--trials", "1", "--seeds", "3", "--json"]) == 0
    capsys.readouterr()
    assert leaderboard.main([*data, "--against", str(exported_sweep)]) == 2
    line = capsys.readouterr().err
    assert "digest" in line or "is on data set" in line
    assert line.count("\n") == 1


def test_compare_as_a_gate(finished_sweep, monkeypatch, capsys):
    monkeypatch.chdir(finished_sweep)
    words = ["--dataset", "sample", "--fail-if-worse"]
    assert compare.main(["majority", "tfidf-logreg", *words]) == 3
    assert "gate failed: 1 row compared, 1 worse" in capsys.readouterr().out
    assert compare.main(["tfidf-logreg", "majority", *words, "--json"]) == 0
    assert '"failed": false' in capsys.readouterr().out
    assert compare.main(["tfidf-logreg", "majority", *words, "--until-decided"]) == 2


def table(generator, lost=0.0):
    right = generator.random((5, 1500)) < np.linspace(0.6, 1, 1500)
    return right & (generator.random(1500) >= lost)


@pytest.mark.parametrize(("rows", "lost"), list(product((1, 4), (0.0, 0.1))))
def test_a_loss_is_one_where_the_interval_lies_beyond_the_margin(rows, lost):
    generator = np.random.default_rng(rows)
    sides = [(runs_of(table(generator, lost)), runs_of(table(generator))) for _ in range(rows)]
    pairs = [(differences(side, [0], [1]), ACCURACY, 0.005) for side in sides]
    for one in losses(pairs):
        assert one.worse == (one.interval.high < -0.005) == bool(lost)
        assert one.detectable > 0.005
    turned = Scale(larger_is_better=False)
    assert not any(one.worse for one in losses([(found, turned, 0.005) for found, _, _ in pairs]))


def test_the_power_is_what_it_says():
    """Of deterministic copies, which agree in all answers, and of models that vary."""
    generator, found = np.random.default_rng(3), 0
    same = generator.random(2000) < 0.8
    pair = differences([fixed(same.astype(float)), fixed(same.astype(float))], [0], [1])
    stated = losses([(pair, ACCURACY, 0.005)])[0].detectable
    for _ in range(300):
        worse = same & (generator.random(2000) >= stated / same.mean())
        pair = differences([fixed(worse.astype(float)), fixed(same.astype(float))], [0], [1])
        found += losses([(pair, ACCURACY, 0.005)])[0].worse
    assert 0.75 <= found / 300 <= 0.99


def steps(name, job):
    """The commands of a job, without the one that installs."""
    found = yaml.safe_load((WORKFLOWS / name).read_text())["jobs"][job]
    commands = [step["run"] for step in found["steps"] if "run" in step]
    return [one for one in commands if not one.startswith("pip ")], found.get("strategy", {})


def run(command, folder, **more):
    """Run a step as a runner does, with the Python of the test."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    if not (tools / "python").exists():
        (tools / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (tools / "python").chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **more}
    return subprocess.run(
        ["bash", "-e", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=600
    )


@pytest.mark.long
def test_the_matrix_workflow_step_by_step(tmp_path):
    train, strategy = steps("matrix.yml", "train")
    models = strategy["matrix"]["model"]
    board = tmp_path / "board"
    board.mkdir()
    for model in models:
        folder = tmp_path / model
        folder.mkdir()
        for command in train:
            done = run(command.replace("${{ matrix.model }}", model), folder)
            assert done.returncode == 0, done.stderr
        shutil.copy(folder / f"{model}.zip", board)
    for command in steps("matrix.yml", "board")[0]:
        done = run(command, board, GITHUB_STEP_SUMMARY=str(board / "summary.md"))
        assert done.returncode == 0, done.stderr
    summary = (board / "summary.md").read_text()
    assert {model for model in models if model in summary} == {"majority", "tfidf-logreg", "nbsvm"}


@pytest.mark.long
def test_the_nightly_gate_step_by_step(tmp_path):
    commands, _ = steps("gate.yml", "gate")
    for night in ("11", "12"):
        folder = tmp_path / night
        folder.mkdir()
        if night == "12":
            shutil.copy(tmp_path / "11" / "reference.zip", folder)
        for command in commands:
            done = run(command, folder, GITHUB_RUN_ID=f"170000000{night}")
            assert done.returncode == 0, done.stderr
    assert "gate passed: " in done.stderr
