"""Cross-validation as a user runs it: sweep, a kill in the middle, board, comparison."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmark import compare, leaderboard, sweep
from benchmark.driver.phases import SearchPhase
from benchmark.tracking import names
from benchmark.tracking.runs import find_runs
from benchmark.tracking.store import StoreClient

DATA = ["--dataset", "csv:mine.csv", "--folds", "5"]
SWEEP = ["--model", "majority", "--model", "nbsvm", *DATA, "--trials", "1", "--seeds", "1"]


@pytest.fixture(autouse=True)
def _data():
    generator = np.random.default_rng(0)
    lines = ["text,label"]
    for number in range(150):
        words = [f"w{one}" for one in generator.integers(0, 30, 8)]
        words[3] = ["calm", "alarm"][number % 2] if generator.random() < 0.85 else "quiet"
        lines.append(f"{' '.join(words)},{'ab'[number % 2]}")
    Path("mine.csv").write_text("\n".join(lines) + "\n")


def finals():
    client = StoreClient(f"sqlite:///{Path('mlruns/mlflow.db').resolve()}")
    return find_runs(client, "csv-mine--5-folds", (names.FINAL_RUN,))


@pytest.mark.long
def test_a_killed_sweep_goes_on_at_its_fold_and_gives_one_board(monkeypatch, capsys):
    run, calls = SearchPhase.run, []

    def killed(self, engine):
        calls.append(self)
        if len(calls) == 5:  # the first model on the third fold
            raise KeyboardInterrupt
        run(self, engine)

    with monkeypatch.context() as patch:
        patch.setattr(SearchPhase, "run", killed)
        assert sweep.main(SWEEP) == 130
    first = {one.run_id: one.fold for one in finals()}
    assert {fold for fold, _ in first.values()} == {1, 2}
    capsys.readouterr()
    assert sweep.main([*SWEEP, "--json"]) == 0
    board = json.loads(capsys.readouterr().out)["board"]
    after = finals()
    assert first.keys() < {one.run_id for one in after}
    assert sorted(one.fold for one in after) == sorted([(k, 5) for k in range(1, 6)] * 2)
    assert {one.dataset for one in after} == {"csv-mine--5-folds"}
    rows = {row["model"]: row for row in board["rows"] if "default" in row["tier"]}
    assert rows["nbsvm"]["folds"] == [1, 2, 3, 4, 5]
    assert rows["nbsvm"]["test_mean"] > rows["majority"]["test_mean"]
    by_fold = {one.fold[0]: one.test_accuracy for one in after if one.model == "nbsvm"}
    assert rows["nbsvm"]["test_values"] == [by_fold[fold] for fold in range(1, 6)]

    assert leaderboard.main([*DATA, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == board["rows"]
    assert leaderboard.main([*DATA, "--format", "html"]) == 0
    assert "no unbiased variance exists" in capsys.readouterr().out
    assert compare.main(["nbsvm:default", "majority:default", *DATA]) == 0
    printed = capsys.readouterr().out
    assert "nbsvm is better than majority" in printed
    assert "Heuristic: folds share training texts" in printed
    assert compare.main(["nbsvm", "majority", *DATA, "--until-decided"]) == 2
    assert "more seeds do not tell more folds apart" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "csv:mine.csv", "--folds", "4"], "--folds: got 4, expected 5 or more"),
        (
            ["--dataset", "csv:mine.csv", "--folds", "80"],
            "has 75 texts of class 'a'; expected at most 75 folds",
        ),
        (["--dataset", "sample", "--folds", "5"], "'sample' has a test split of its own"),
        (["--folds", "5"], "name the data set to be divided with --dataset"),
    ],
)
def test_what_is_wrong_is_one_line(capsys, words, message):
    assert sweep.main(["--model", "majority", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert not Path("mlruns/mlflow.db").exists()
