"""The way to run epochs is measured once, where that is worth it, and kept."""

import json

import numpy as np
import pytest
from run_specs import make_spec

from benchmark.data.cache import cache_root
from benchmark.tracking.record import Record
from benchmark.training import compile_mode
from benchmark.training.compile_mode import fastest_mode, modes_of
from benchmark.training.train import train


def choose(sample, seconds, monkeypatch, *, epochs=400, count=2000):
    """The way chosen for a run when measuring gives these seconds, and how often it was measured."""
    calls = []
    monkeypatch.setattr(compile_mode, "measure_speeds", lambda *words: calls.append(words) or seconds)
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
    monkeypatch.setattr(compile_mode, "crowded", lambda: False)
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


def test_a_choice_made_beside_other_work_is_made_again_once_there_is_none(sample, own_cache, monkeypatch):
    load = [True]
    monkeypatch.setattr(compile_mode, "crowded", lambda: load[0])
    doubtful = {"graph": [1, 1], "xla": [1, 0.1], "crowded": "a load of 9.0"}
    assert choose(sample, doubtful, monkeypatch) == ("xla", 1)
    assert choose(sample, {"graph": [1, 0.1], "xla": [1, 1]}, monkeypatch) == (
        "xla",
        0,
    )  # it still is crowded
    load[0] = False
    assert choose(sample, {"graph": [1, 0.1], "xla": [1, 1]}, monkeypatch) == ("graph", 1)
    assert choose(sample, {"graph": [1, 1], "xla": [1, 0.1]}, monkeypatch) == ("graph", 0)


class Clock:
    """Ways that take the seconds they are given, one after another, in place of `make_epoch`."""

    def __init__(self, seconds):
        self.left = {mode: iter(values) for mode, values in seconds.items()}
        self.order = []

    def make_epoch(self, model, mode):
        def epoch(data, labels, batches):
            self.order.append(mode)
            value = next(self.left[mode])
            if isinstance(value, Exception):
                raise value
            self.now = value
            return {}

        return epoch

    def timeit(self, run, number):
        run()
        return self.now


def timed(seconds, monkeypatch, crowded=False):
    """What is measured of ways that take these seconds, and the order in which they were run."""
    clock = Clock(seconds)
    for name in ("make_epoch", "timeit"):
        monkeypatch.setattr(compile_mode, name, getattr(clock, name))
    monkeypatch.setattr(compile_mode, "prepare", lambda *words: None)
    monkeypatch.setattr(compile_mode, "cudnn_layers", lambda model: [])
    monkeypatch.setattr(compile_mode, "crowded", lambda: crowded)
    x, y = np.zeros((640, 8), dtype=np.int32), np.zeros(640, dtype=np.int32)
    return compile_mode.measure_speeds(lambda: None, x, y, 128, list(seconds)), clock.order


def test_ways_take_turns_and_a_burst_of_other_work_decides_nothing(monkeypatch):
    seconds = {
        "graph": [2.0, 0.5, 0.5, *[0.5] * 6],
        "xla": [3.0, 5.0, 0.25, *[0.25] * 6],  # something else ran during its first turn
        "fit": [2.0, 1.0, 1.0],
    }
    speeds, order = timed(seconds, monkeypatch)
    assert order[:9] == ["graph", "xla", "fit"] * 3
    assert set(order[9:]) <= {"xla"}  # the others have lost
    assert speeds["xla"] == [pytest.approx(2.95), pytest.approx(0.05)]
    assert speeds["graph"] == [pytest.approx(1.9), pytest.approx(0.1)]


def test_ways_that_are_near_each_other_have_more_turns(monkeypatch):
    speeds, order = timed({"graph": [1.0] * 9, "xla": [1.0] * 8 + [0.9]}, monkeypatch)
    assert order == ["graph", "xla"] * 9
    assert speeds["xla"][1] == pytest.approx(0.18)


def test_a_way_that_fails_is_left_out_and_named(sample, own_cache, monkeypatch):
    """As XLA's convolutions do with some versions of cuDNN."""
    error = RuntimeError("INTERNAL: cudnn$convForward\nfailed")
    speeds, _ = timed({"graph": [1.0] * 9, "xla": [error], "fit": [2.0] * 9}, monkeypatch, crowded=True)
    assert speeds["xla"] == "INTERNAL: cudnn$convForward failed"
    assert set(speeds) == {"graph", "xla", "fit", "crowded"}
    said = []
    monkeypatch.setattr(compile_mode, "measure_speeds", lambda *words: speeds)
    x, y = np.zeros((2000, 32), dtype=np.int32), np.zeros(2000, dtype=np.int32)
    spec = make_spec(sample, epochs=400)
    assert fastest_mode(spec, "cpu", lambda: None, x, y, said.append) == "graph"
    assert said == ["xla: INTERNAL: cudnn$convForward failed"]


def test_where_a_graph_fails_a_different_way_is_taken(sample, own_cache, monkeypatch):
    nothing, _ = timed({"graph": [RuntimeError("a")], "fit": [RuntimeError("b")]}, monkeypatch)
    assert nothing == {}
    speeds, _ = timed({"graph": [RuntimeError("no kernel")], "fit": [2.0] * 9}, monkeypatch)
    assert choose(sample, speeds, monkeypatch) == ("fit", 1)


def test_that_nothing_works_is_found_out_again(sample, own_cache, monkeypatch):
    assert choose(sample, {}, monkeypatch) == ("graph", 1)
    assert choose(sample, {"fit": [1, 1]}, monkeypatch) == ("fit", 1)


def test_failures_of_ways_are_recorded_with_the_run(sample, own_cache, monkeypatch):
    monkeypatch.setattr(compile_mode, "_WORTH_MEASURING", 0)
    speeds = {"graph": [1, 0.1], "xla": "no kernel"}
    monkeypatch.setattr(compile_mode, "measure_speeds", lambda *words: speeds)
    result = train(make_spec(sample, epochs=1), sample)
    assert (result.status, result.compile, result.compile_failures) == ("ok", "graph", "xla: no kernel")
    tags = Record(experiment="sample").with_result(result).tags
    assert tags["benchmark.compile_failures"] == "xla: no kernel"
