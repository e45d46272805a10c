"""The way to run epochs is measured once, where that is worth it, and kept."""

import json

import numpy as np
import pytest
from run_specs import make_spec

from benchmark.data.cache import cache_root
from benchmark.training import compile_mode
from benchmark.training.compile_mode import fastest_mode, modes_of
from benchmark.training.train import train


def choose(sample, seconds, monkeypatch, *, epochs=400, count=2000):
    """The way chosen for a run when measuring gives these seconds, and how often it was measured."""
    calls = []
    monkeypatch.setattr(compile_mode, "_measure", lambda *words: calls.append(words) or seconds)
    x, y = np.zeros((count, 32), dtype=np.int32), np.zeros(count, dtype=np.int32)
    return fastest_mode(make_spec(sample, epochs=epochs), "cpu", lambda: None, x, y), len(calls)


def test_start_and_steps_are_weighed_by_the_length_of_the_run(sample, own_cache, monkeypatch):
    # 16 batches an epoch: 6,400 steps, and 16,000.
    seconds = {"graph": [1.0, 0.002], "xla": [10.0, 0.001], "fit": [1.0, 0.01]}
    assert choose(sample, seconds, monkeypatch) == ("graph", 1)
    assert choose(sample, seconds, monkeypatch, epochs=1000) == ("xla", 0)


def test_a_short_run_is_not_measured(sample, own_cache, monkeypatch):
    assert choose(sample, {"fit": [0.0, 0.0]}, monkeypatch, epochs=60) == ("graph", 0)


def test_what_was_measured_is_kept_and_a_damaged_file_is_measured_again(sample, own_cache, monkeypatch):
    assert choose(sample, {"graph": [1, 1], "xla": [1, 0.1]}, monkeypatch) == ("xla", 1)
    assert choose(sample, {"graph": [1, 1], "fit": [1, 0.1]}, monkeypatch) == ("xla", 0)
    (file,) = (cache_root() / "speeds").glob("*.json")
    content = json.loads(file.read_text())
    assert (content["model"], content["device"]) == (["avg-pool", ""], "cpu")
    file.write_text("{")
    assert choose(sample, {"graph": [1, 1], "fit": [1, 0.1]}, monkeypatch) == ("fit", 1)


def test_with_dropout_it_is_measured_anew_and_with_another_size_it_is_not(sample, own_cache, monkeypatch):
    identities = [
        compile_mode._identity(make_spec(sample, hparams=hparams, **training), "cpu")
        for hparams, training in (
            ({"units": 16, "dropout": 0.0}, {}),
            ({"units": 32, "dropout": 0.0}, {"learning_rate": 0.1}),
            ({"units": 16, "dropout": 0.1}, {}),
            ({"units": 16, "dropout": 0.0}, {"precision": "bfloat16"}),
        )
    ]
    assert identities[0] == identities[1]
    assert identities[2] not in identities[:2]
    assert identities[3] not in identities[:3]


def test_ways_that_are_possible(sample):
    ids, texts = np.zeros((1, 2), dtype=np.int32), np.array([b"a"], dtype=object)
    assert modes_of(make_spec(sample), ids) == ["graph", "numpy", "xla", "fit"]
    assert modes_of(make_spec(sample, trim=True), ids) == ["graph", "numpy", "fit"]
    assert modes_of(make_spec(sample), texts) == ["graph", "numpy", "fit"]


@pytest.mark.long
def test_a_real_measurement_decides_and_is_recorded(sample, own_cache, monkeypatch):
    monkeypatch.setattr(compile_mode, "_WORTH_MEASURING", 0)
    result = train(make_spec(sample, epochs=1), sample)
    (file,) = (cache_root() / "speeds").glob("*.json")
    seconds = json.loads(file.read_text())["result"]
    assert set(seconds) == {"graph", "xla", "fit"}  # and none of NumPy, without a recurrent layer
    assert all(start >= 0 and step > 0 for start, step in seconds.values())
    steps = -(-sample.sizes["train"] // 128)
    assert result.compile == min(seconds, key=lambda mode: seconds[mode][0] + steps * seconds[mode][1])


def test_a_model_that_cannot_be_built_fails_as_itself(sample, own_cache, monkeypatch):
    monkeypatch.setattr(compile_mode, "_WORTH_MEASURING", 0)
    result = train(make_spec(sample, epochs=1, hparams={"units": -1}), sample)
    assert result.status == "failed"
    assert "units" in result.error
