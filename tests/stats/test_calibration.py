"""A quick calibration of verdicts, on simulated boards of which the truth is known.

``python perf/calibration.py`` measures the same with many more boards; here the bounds are loose, and a
broken method still fails them: one of the tests breaks it.
"""

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).resolve().parents[2] / "perf" / "calibration.py"


@pytest.fixture(scope="module")
def calibration():
    spec = importlib.util.spec_from_file_location("calibration", FILE)
    module = sys.modules["calibration"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.CHECKED = 1  # it takes most of the time
    yield module
    del sys.modules["calibration"]


@pytest.fixture(scope="module")
def measured(calibration):
    """Results of some cells, by name and number of seeds; each also holds boards against `family`."""
    names = (
        "normal/500/10",
        "normal/25000/10",
        "unequal-0.5/25000/10",
        "stable-rows/25000/2",
        "chance/500/10",
    )
    found = {}
    for name in names:
        boards = 60 if "/500/" in name else 250
        found |= {(name, one["seeds"]): one for one in calibration.results(name, boards, 3)}
    return found


def test_equal_rows_are_rarely_called_different(measured):
    for result in measured.values():
        assert result["column: false at 0"] <= 10
        assert result["ranks: false at 0"] <= 10
        assert result["column: false equivalent"] <= 10


def test_intervals_cover(measured):
    coverage = [result["coverage"] for result in measured.values()]
    assert min(coverage) > 91
    assert np.mean(coverage) == pytest.approx(95.5, abs=1.5)


def test_the_goals_of_power_are_met_and_the_old_method_was_far_from_them(measured):
    three, five = (measured["normal/25000/10", seeds] for seeds in (3, 5))
    assert three["column: finds 4"] > 75 > 25 > three["before: finds 4"]
    assert five["column: finds 2"] > 40 > 20 > five["before: finds 2"]
    assert three["ranks: finds 4"] > three["ranks: alone at 4"] > 20


def test_a_method_that_trusts_few_seeds_is_found_out(calibration, monkeypatch):
    def trusting(rows):
        return [dataclasses.replace(row, freedom=1e6) for row in rows]

    monkeypatch.setattr(calibration, "borrowing", trusting)
    three = next(calibration.results("normal/25000/10", 100, 3))
    assert three["column: false at 0"] > 20
    assert three["coverage"] < 92


def test_verdicts_that_differ_from_those_of_a_board_are_noticed(calibration, monkeypatch):
    monkeypatch.setattr(calibration, "ALPHA", 0.5)
    with pytest.raises(AssertionError):
        list(calibration.results("normal/25000/10", 5, 3))


def test_boards_with_a_failure_that_was_seen_are_counted_apart(measured):
    for seeds in (3, 5, 10):
        result = measured["chance/500/10", seeds]
        assert result["failure seen"] > 80
        assert result["column: false, failure seen"] <= 10
    assert measured["chance/500/10", 10]["column: finds 4"] < measured["normal/500/10", 10]["column: finds 4"]


def test_the_old_method_is_a_two_way_analysis_of_paired_runs(calibration):
    cell = calibration.Cell("down-5", 400, 4, tables=True)
    correct = calibration.simulate(cell, np.random.default_rng(1))
    systems = np.arange(4)
    old = calibration.old_of_tables(correct, [systems])[5][0]
    i, j = calibration.pairs_of(systems)
    tables = correct[i, :5].astype(float) - correct[j, :5]
    mean = tables.mean(axis=(1, 2))
    rows, columns = tables.mean(axis=2) - mean[:, None], tables.mean(axis=1) - mean[:, None]
    rest = tables - mean[:, None, None] - rows[:, :, None] - columns[:, None]
    seeds = 400 * (rows**2).sum(axis=1) / 4
    examples = 5 * (columns**2).sum(axis=1) / 399
    single = (rest**2).sum(axis=(1, 2)) / 4 / 399
    assert old.mean == pytest.approx(mean)
    assert old.variance == pytest.approx((seeds + examples - single) / 2000)
    assert old.share == pytest.approx(seeds / (seeds + examples - single))


def test_the_simulated_truth_is_the_average_of_simulations(calibration):
    cell = calibration.Cell("skewed+stable-rows", 2_000, 4, tables=True)
    generator = np.random.default_rng(2)
    boards = [calibration.simulate(cell, generator) for _ in range(100)]
    accuracy = np.mean([board.mean(axis=(1, 2)) for board in boards], axis=0)
    assert accuracy == pytest.approx([0.8, 0.8, 0.8, 0.8, 0.805, 0.81, 0.82, 0.84], abs=0.004)
    assert all((board[1] == board[1, 0]).all() for board in boards)
    # What is drawn for 25,000 examples has the variances of tables.
    random, fixed, common, single = calibration.covariances()
    means = np.concatenate([board[[0, 2]].mean(axis=1) for board in boards], axis=1)
    noise = np.mean([board[0].var(axis=0, ddof=1).mean() for board in boards])
    assert noise == pytest.approx(single, rel=0.02)
    assert np.cov(means) == pytest.approx(
        np.array([[random + single / 10, common], [common, random + single / 10]]), rel=0.03
    )
    assert fixed == pytest.approx(0.16)


def test_pairs_that_rarely_disagree(calibration):
    found = list(calibration.measure_small())
    equal = [one for one in found if one["what"] == "equal" and one["examples"] >= 100]
    assert max(one["false, family of 1"] for one in equal) < 6
    agree = {one["examples"]: one["equivalent"] for one in found if one["what"] == "agree"}
    assert agree[40] == agree[100] == agree[500] == "no"
    assert agree[2_000] == "yes"
    a, b = np.array([3, 0, 7]), np.array([1, 0, 0])
    together = calibration.stable_pairs(200, a, b)
    assert together.mean == pytest.approx((a - b) / 200)
    alone = [calibration.stable_pairs(200, a[[n]], b[[n]]).p_values()[0] for n in range(3)]
    assert together.p_values() == pytest.approx(alone)


def test_seeds_until_decided(calibration):
    none, _, one, two = calibration.results("until-decided/1", 150, 3)
    assert none["new: better"] + none["new: worse"] <= 8
    assert none["new: futile"] > 80
    assert none["new: seeds"] < none["old: seeds"] - 3
    assert two["new: better"] > 95
    assert one["fixed: better"] >= one["new: better"] > one["old: better"] - 10


def test_a_failure_that_has_not_happened_is_not_seen(calibration):
    three, _, ten = calibration.results("unseen", 300, 3)
    assert three["no failure seen"] == pytest.approx(73, abs=9)  # 0.9 to the power of 3
    assert three["then better"] > 40
    assert three["better"] <= three["no failure seen"]  # never after one that was seen
    assert ten["better"] <= ten["no failure seen"] < 50


def test_the_command_goes_on_with_its_file(calibration, tmp_path, monkeypatch, capsys):
    file = tmp_path / "results.jsonl"
    arguments = ["calibration.py", "--cells", "small", "normal/500/2", "--boards", "4", "--output", str(file)]
    monkeypatch.setattr(sys, "argv", arguments)
    calibration.main()
    first, lines = capsys.readouterr().out, file.read_text().splitlines()
    assert {json.loads(line)["cell"] for line in lines} == {"small", "normal/500/2"}
    assert "Any false verdict among equal rows" in first
    monkeypatch.setattr(calibration, "results", None)  # nothing is measured again
    calibration.main()
    assert capsys.readouterr().out == first
    assert file.read_text().splitlines() == lines


@pytest.mark.parametrize(
    ("share", "boards", "missed"), [(6.5, 2_000, True), (6.5, 200, False), (5, 2_000, False)]
)
def test_goals_allow_for_chance(calibration, measured, share, boards, missed):
    result = measured["normal/500/10", 3] | {"ranks: false at 0": share, "boards": boards}
    assert bool(calibration.misses([result])) is missed
    lopsided = result | {"cell": "skewed/500/10"}
    assert not calibration.misses([lopsided])


def test_power_below_its_goal_is_missed(calibration, measured):
    result = measured["normal/25000/10", 3] | {"column: finds 4": 84.0}
    assert calibration.misses([result]) == ["finds 4 points with 3 seeds: 84.0, goal 85"]
