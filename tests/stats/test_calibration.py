"""A quick calibration of everything that verdicts rest on, in simulations of which the truth is known.

``python perf/calibration.py`` measures the same with many more simulations; here the bounds are loose, and a
wrong method still fails them: the simulations show the errors of the usual ones.
"""

import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "perf" / "calibration.py"

pytestmark = pytest.mark.long  # 120 simulated worlds


@pytest.fixture(scope="module")
def calibration():
    spec = importlib.util.spec_from_file_location("calibration", FILE)
    module = sys.modules["calibration"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["calibration"]


@pytest.fixture(scope="module")
def found(calibration):
    return calibration.measure(120, calibration.SMALL, seed=3)


@pytest.fixture(scope="module")
def rows(calibration):
    return [world.row(seeds) for world in calibration.SMALL for seeds in calibration.SEEDS]


@pytest.mark.parametrize(
    ("column", "least"),
    [("row: seeds", 89), ("row: test set", 89), ("difference", 91), ("bootstrap", 85), ("next run", 89)],
)
def test_intervals_cover_what_is_true(found, rows, column, least):
    shares = [found.percent(row, column) for row in rows]
    assert min(shares) >= least
    assert sum(shares) / len(shares) == pytest.approx(95, abs=3)


def test_equal_systems_are_rarely_called_different(found, rows):
    assert max(found.percent(row, "equal called different") for row in rows) <= 6
    assert max(found.percent(row, "any of 45") for row in rows) <= 6.5


def test_boards_of_equal_systems_in_the_limit_of_many_examples(calibration, found):
    for seeds in calibration.SEEDS:
        for share in calibration.SHARES:
            assert found.percent(f"{seeds} | {share}", "any of 45") <= 6.5
            assert found.percent(f"{seeds} | {share}", "equal called different") <= 5.5


def test_looking_after_each_seed_keeps_the_error(calibration, found):
    for world in calibration.SMALL:
        assert found.percent(world.row("3 to 10"), "equal called different") <= 6
        assert found.percent(world.row("3 to 10"), "0.5 called equivalent") <= 6


def test_true_differences_are_found_and_more_seeds_help(found, rows):
    few, many = (found.percent(row, "finds 1.0") for row in (rows[0], rows[2]))
    assert many > few + 5
    assert many > 25


def test_the_simulations_show_what_the_usual_methods_get_wrong(found, rows):
    three_seeds = rows[3]  # at a large spread over seeds
    assert found.percent(three_seeds, "plain bootstrap") < 93
    assert found.percent(three_seeds, "any of 45, Satterthwaite") > 25
    assert found.percent(three_seeds, "McNemar, one seed") > 25


def test_pairs_are_analysed_as_one_by_one(calibration):
    import numpy as np

    from benchmark.stats.crossed import mean_squares, p_values

    board = calibration.simulate(calibration.SMALL[0], calibration.DROPS, 6, np.random.default_rng(1))
    sums = {k: calibration.Sums(2_000) for k in (3, 6)}
    calibration.add_pairs(sums, board.correct, [(0, 1), (3, 2)])
    for k, part in sums.items():
        table = board.correct[3, :k].astype(int) - board.correct[2, :k]
        assert p_values(part.analysed())[0, 1] == p_values(mean_squares(table))


def test_the_simulated_truth_is_the_average_of_simulations(calibration):
    import numpy as np

    world = calibration.World(2_000, 0.9, 0.02)
    generator = np.random.default_rng(2)
    boards = [calibration.simulate(world, np.array([0.0, 0.01]), 40, generator) for _ in range(60)]
    accuracy = np.mean([board.correct.mean(axis=2) for board in boards], axis=(0, 2))
    assert accuracy == pytest.approx([0.9, 0.89], abs=0.004)
    spread = np.mean([board.of_these_seeds.std() for board in boards])
    assert spread == pytest.approx(0.02, rel=0.1)
    first = boards[0].correct[0].mean()
    assert first == pytest.approx(boards[0].on_this_test_set, abs=4 * 0.02 / np.sqrt(40))


def test_the_command_prints_its_tables(calibration, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["perf/calibration.py", "--quick", "--simulations", "4"])
    assert calibration.main() == 0
    printed = capsys.readouterr().out
    assert "4 simulations of each line, seed 1" in printed
    assert printed.count("\n| ---") == 7
    assert "Too few simulations to check targets" in printed


@pytest.mark.parametrize(
    ("column", "percent", "wrong"),
    [
        ("difference", 92.9, True),
        ("difference", 97.1, True),
        ("difference", 95, False),
        ("any of 45", 5.7, True),
        ("any of 45", 5.5, False),
        ("any of 45", 5.0, False),
        ("finds 0.5", 99, False),
    ],
)
def test_targets(calibration, column, percent, wrong):
    assert calibration.missed(calibration.SMALL[0].row(3), column, percent, 0.3) is wrong
