"""Deterministic operations: on, off, or what a GPU was measured to pay for them; there is no GPU here."""

import json
import os

import numpy as np
import pytest
from board_samples import rows as rows_of
from board_samples import run, runs
from run_specs import make_spec

from benchmark import sweep
from benchmark.data.cache import cache_root
from benchmark.spec.result import Result
from benchmark.tracking.record import Record
from benchmark.training import determinism
from benchmark.training.determinism import SCATTER_FLAG, flag_is_known, set_determinism
from benchmark.training.devices import is_deterministic
from benchmark.training.train import train


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    """Leave the process as other tests expect it; a GPU's flag and cost are asked for again in each test."""
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    for known in (determinism._add_scatter_flag, determinism.cost):
        known.cache_clear()
    yield
    set_determinism("on", "cpu")
    for known in (determinism._add_scatter_flag, determinism.cost):
        known.cache_clear()


def costing(times, monkeypatch):
    monkeypatch.setattr(determinism, "_measure", lambda: {"times": times})
    monkeypatch.setattr(determinism, "flag_is_known", lambda flag: False)


@pytest.mark.parametrize(("asked", "grade"), [("auto", "on"), ("on", "on"), ("off", "off")])
def test_on_a_cpu_it_is_on_unless_it_is_not_wanted(asked, grade, monkeypatch):
    costing(9.0, monkeypatch)
    assert set_determinism(asked, "cpu") == grade
    assert is_deterministic() == (grade == "on")
    assert "XLA_FLAGS" not in os.environ


@pytest.mark.parametrize(
    ("asked", "times", "grade"),
    [
        ("auto", 1.9, "on"),
        ("auto", 7.5, "off"),
        ("auto", float("inf"), "off"),  # it cannot be trained with them at all
        ("auto", float("nan"), "on"),  # nor without
        ("on", 7.5, "on"),
        ("off", 1.0, "off"),
    ],
)
def test_on_a_gpu_what_it_costs_decides(asked, times, grade, own_cache, monkeypatch):
    costing(times, monkeypatch)
    assert set_determinism(asked, "NVIDIA T4") == grade


def test_what_it_costs_is_measured_once_for_a_gpu(own_cache, monkeypatch):
    costing(7.5, monkeypatch)
    set_determinism("auto", "NVIDIA T4")
    costing(1.0, monkeypatch)
    determinism.cost.cache_clear()  # as in another process
    assert set_determinism("auto", "NVIDIA T4") == "off"
    assert set_determinism("auto", "NVIDIA H200") == "on"


@pytest.mark.parametrize(
    ("known", "before", "after"),
    [
        (True, None, SCATTER_FLAG),
        (True, "--xla_dump_to=x", f"--xla_dump_to=x {SCATTER_FLAG}"),
        (True, SCATTER_FLAG.replace("true", "false"), SCATTER_FLAG.replace("true", "false")),
        (True, "flags.txt", "flags.txt"),  # a file of flags
        (False, None, None),
    ],
)
def test_the_flag_of_scatter_is_added_on_a_gpu_where_it_is_known(
    known, before, after, own_cache, monkeypatch
):
    costing(1.0, monkeypatch)
    monkeypatch.setattr(determinism, "flag_is_known", lambda flag: known)
    if before is not None:
        monkeypatch.setenv("XLA_FLAGS", before)
    set_determinism("off", "NVIDIA T4")
    assert os.environ.get("XLA_FLAGS") == before
    set_determinism("auto", "NVIDIA T4")
    assert os.environ.get("XLA_FLAGS") == after


@pytest.mark.long
def test_a_flag_is_tried_in_another_process_once(own_cache, monkeypatch):
    assert flag_is_known(SCATTER_FLAG) is True
    assert flag_is_known("--xla_no_such_flag=1") is False
    monkeypatch.setattr(determinism.subprocess, "run", None)
    assert flag_is_known("--xla_no_such_flag=1") is False


@pytest.mark.long
def test_what_it_costs_is_measured_in_both_ways(own_cache):
    """On a CPU, where it costs next to nothing; that this works on a GPU is for perf/gpu.py to show."""
    assert determinism.cost("a GPU that is none") > 0
    (file,) = (cache_root() / "determinism").glob("*.json")
    content = json.loads(file.read_text())
    assert content["device"] == "a GPU that is none"
    assert set(content["result"]) == {"on", "off", "times"}
    assert {"graph", "xla"} <= set(content["result"]["on"])


def test_the_grade_of_a_run_is_recorded(sample):
    result = train(make_spec(sample, epochs=1), sample, deterministic="off")
    again = train(make_spec(sample, epochs=1), sample)
    assert (result.deterministic, again.deterministic) == ("off", "on")
    np.testing.assert_allclose(result.history["loss"], again.history["loss"], rtol=1e-5)
    tags = Record(experiment="sample").with_result(result).tags
    assert tags["benchmark.deterministic"] == "off"
    assert "benchmark.deterministic" not in Record(experiment="sample").with_result(Result("ok")).tags


def test_the_board_says_where_a_row_is_not_deterministic():
    (row,) = rows_of([*runs(0.8, 0.8), run(0.8, 2, deterministic="off")])
    assert row.notes == ("1 of 3 seeds were trained without deterministic operations",)
    (row,) = rows_of(runs(0.8, 0.8, 0.8, deterministic="on"))
    assert row.notes == ()


def test_a_word_that_is_wrong_is_named(capsys):
    assert sweep.main(["--model", "lstm", "--deterministic", "of"]) == 2
    assert (
        "--deterministic: 'of' is not a grade of determinism; did you mean 'off'" in capsys.readouterr().err
    )
