"""A board of what goes wrong: a diverged run, a missing seed and a smoke test are seen for what they are."""

import json
from pathlib import Path

import pytest

from benchmark import leaderboard, sweep
from benchmark.board.rows import WATERMARK

pytestmark = pytest.mark.long

# A weight whose logarithm is not a number in the seeds that draw a negative one.
UNLUCKY = """
import keras


class Logarithm(keras.layers.Layer):
    def build(self, shape):
        chance = keras.initializers.RandomUniform(-0.24, 2.76)
        self.scale = self.add_weight(shape=(), initializer=chance)

    def call(self, x):
        return x * keras.ops.log(self.scale)


def build(task):
    ids = keras.Input((task.sequence_length,), dtype="int32")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(task.vocabulary_size, 4)(ids))
    return keras.Model(ids, keras.layers.Dense(task.n_outputs)(Logarithm()(x)))
"""

# Its second final run is stopped by hand, as it were.
STOPPED = """
import keras

built = []


def build(task):
    built.append(task)
    if len(built) == 4:
        raise KeyboardInterrupt
    ids = keras.Input((task.sequence_length,), dtype="int32")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(task.vocabulary_size, 4)(ids))
    return keras.Model(ids, keras.layers.Dense(task.n_outputs)(x))
"""

COMMON = ["--dataset", "sample", "--trials", "1", "--epochs", "1", "--json"]


@pytest.fixture(scope="module")
def folder(sample, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("unlucky.py").write_text(UNLUCKY)
        Path("stopped.py").write_text(STOPPED)
        assert sweep.main(["--model", "unlucky.py:build", *COMMON, "--seeds", "4"]) == 1
        assert sweep.main(["--model", "stopped.py:build", *COMMON, "--seeds", "3"]) == 130
        assert sweep.main(["--model", "majority", *COMMON, "--seeds", "3"]) == 0
        assert sweep.main(["--model", "majority", *COMMON, "--budget", "smoke"]) == 0
    return folder


@pytest.fixture
def exported(folder, monkeypatch, capsys):
    """``exported("md")`` is what ``leaderboard --format md`` prints."""
    monkeypatch.chdir(folder)

    def export(form, *more):
        assert leaderboard.main(["--dataset", "sample", "--format", form, *more]) == 0
        return capsys.readouterr().out

    return export


def test_each_is_counted_for_what_it_is(exported):
    rows = json.loads(exported("json"))["rows"]
    found = {(row["model"], row["budget"]): row for row in rows if row["tier"] == "default"}
    unlucky, stopped = found["unlucky", "quick"], found["stopped", "quick"]
    counts = ("n_seeds", "n_diverged", "n_missing", "n_failed", "seeds_expected")
    assert [unlucky[name] for name in counts] == [3, 1, 0, 0, 4]
    assert [stopped[name] for name in counts] == [2, 0, 1, 0, 3]
    assert stopped["test_ci_low"] is None
    smoke = found["majority", "smoke"]
    assert (smoke["rank"], smoke["watermark"]) == (None, WATERMARK)
    assert all(row["watermark"] is None for row in rows if row["budget"] == "quick")


@pytest.mark.parametrize("form", ["table", "md", "tex", "html"])
def test_every_export_shows_it(exported, form):
    text = exported(form)
    assert "1 of 4 seeds diverged" in text
    assert "1 of 3 seeds missing" in text
    assert "no interval: needs 3 seeds, has 2" in text
    assert WATERMARK in text.replace("--", "-")
