"""The published default on the real reviews, so that a new version that changes results is noticed."""

import json

import pytest

from benchmark import leaderboard, sweep

pytestmark = pytest.mark.imdb


def test_average_pooling_is_in_its_band(real_data, capsys):
    arguments = ["--model", "avg-pool", "--dataset", "imdb", "--data-dir", str(real_data)]
    assert sweep.main([*arguments, "--trials", "1", "--seeds", "3"]) == 0
    capsys.readouterr()
    assert leaderboard.main(["--dataset", "imdb", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    (default,) = [row for row in rows if row["tier"] == "default"]
    assert default["n_seeds"] == 3
    assert 0.86 <= default["test_accuracy_mean"] <= 0.885
    assert default["parameters"] == 160_289  # 10,000 x 16, 16 x 16 + 16, 16 + 1
