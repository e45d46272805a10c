"""Sweeps on small data, as a user meets them."""

import csv
import json
import random
from pathlib import Path

import pytest

from benchmark import leaderboard, sweep
from benchmark.plan import space

NOTE = "made for 25,000 texts; here 240"
DATA = ["--dataset", "csv:reviews.csv"]


@pytest.fixture(autouse=True)
def _reviews():
    draw = random.Random(0)
    kinds = {"bad": ["dull", "cold", "awful"], "good": ["fine", "warm", "lovely"]}
    with Path("reviews.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label", "split"))
        for number in range(400):
            label = ("bad", "good")[number % 2]
            words = [draw.choice(kinds[label]), *(f"w{draw.randrange(40)}" for _ in range(5))]
            writer.writerow((" ".join(words), label, "train" if number < 300 else "test"))


def test_the_board_marks_a_default_that_was_made_for_far_more_texts(capsys):
    words = ["--model", "nbsvm", "--model", "tfidf-logreg", "--trials", "1", "--seeds", "3"]
    assert sweep.main([*words, *DATA]) == 0
    assert f"nbsvm (default+tuned): {NOTE}" in capsys.readouterr().out
    for name in ("table", "md", "html", "tex"):
        assert leaderboard.main([*DATA, "--format", name]) == 0
        assert NOTE in capsys.readouterr().out
    assert leaderboard.main([*DATA, "--format", "json"]) == 0
    notes = {row["model"]: NOTE in row["notes"] for row in json.loads(capsys.readouterr().out)["rows"]}
    assert notes == {"nbsvm": True, "tfidf-logreg": False}


@pytest.mark.long
def test_a_sweep_says_what_it_starts_from_and_whether_its_study_is_from_before(capsys, monkeypatch):
    words = ["--model", "flatten", "--seeds", "1", "--epochs", "2", *DATA]
    says = (
        "made for 25,000 texts, here are 240; the search starts from it, then with batch_size 8, patience 16"
    )
    before = space.get_budget("quick").model_copy(update={"small_data": None})
    with monkeypatch.context() as patch:
        patch.setattr(space, "get_budget", lambda name: before)
        assert sweep.main([*words, "--trials", "2"]) == 0
    assert "made for" not in capsys.readouterr().out
    assert sweep.main([*words, "--trials", "3"]) == 0
    out = capsys.readouterr().out
    assert f"{says}; this study is from before that, and goes on as it was" in out
    assert "trial 2: ok" in out
    assert sweep.main([*words, "--trials", "2", "--study", "new"]) == 0
    out = capsys.readouterr().out
    assert f"{says}\n" in out
    (trial,) = (line for line in out.splitlines() if line.startswith("trial 1: ok"))
    assert trial.endswith("batch_size=8 patience=16")
    assert NOTE in " ".join(out.split())  # lines are wrapped
