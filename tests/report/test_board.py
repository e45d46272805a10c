"""The board: what is averaged, what is only counted, and who may outrank whom."""

import math

import numpy as np
import pytest
from board_samples import run, runs

from benchmark.report.board import build_board
from benchmark.report.rows import WATERMARK
from benchmark.stats.intervals import mean_interval


def one(finals, looks=None):
    (row,) = build_board(finals, looks or {})
    return row


def test_a_complete_row():
    row = one(runs(0.86, 0.88, 0.87), {"lstm": 6, "gru": 9})
    interval = mean_interval([0.86, 0.88, 0.87])
    assert row.rank == 1
    assert row.test_accuracy_mean == pytest.approx(0.87)
    assert (row.test_accuracy_ci_low, row.test_accuracy_ci_high) == (interval.low, interval.high)
    assert row.test_accuracy_std == pytest.approx(0.01)
    assert (row.test_accuracy_min, row.test_accuracy_median, row.test_accuracy_max) == (0.86, 0.87, 0.88)
    assert row.val_accuracy_mean == pytest.approx(0.88)
    assert row.train_seconds_median == 11.0
    assert (row.n_seeds, row.seeds_expected, row.n_failed, row.n_diverged, row.n_missing) == (3, 3, 0, 0, 0)
    assert (row.search_trials, row.search_seconds, row.test_looks) == (20, 300.5, 6)
    assert row.run_ids == ("run-lstm-standard-0", "run-lstm-standard-1", "run-lstm-standard-2")
    assert row.notes == ()
    assert row.complete


def test_missing_seeds_are_marked():
    row = one(runs(0.86, 0.88, 0.87, seeds_expected=5))
    assert (row.n_seeds, row.n_missing, row.rank) == (3, 2, 1)
    assert row.notes == ("2 of 5 seeds missing",)
    assert not row.complete


def test_too_few_seeds_have_no_interval():
    row = one(runs(0.86, 0.88))
    assert row.test_accuracy_mean == pytest.approx(0.87)
    assert row.test_accuracy_ci_low is None
    assert row.test_accuracy_ci_high is None
    assert row.notes == ("1 of 3 seeds missing", "no interval: needs 3 seeds, has 2")


def test_each_lost_seed_is_counted_once_by_its_latest_run():
    row = one(
        [
            run(0.9, 0),
            run(seed=1, status="oom", ended_at=1),
            run(seed=1, status="diverged", ended_at=2),
            run(seed=2, status="timeout"),
            run(seed=3, status="interrupted"),
            run(seed=4, status="ok", accuracy=math.nan),
        ]
    )
    assert (row.n_seeds, row.n_diverged, row.n_failed, row.n_missing) == (1, 1, 2, 1)
    assert row.seeds_expected == 5  # more seeds were run than asked for
    assert row.test_accuracy_mean == 0.9
    assert row.notes[:3] == ("1 of 5 seeds missing", "2 of 5 seeds failed", "1 of 5 seeds diverged")


def test_the_latest_ok_run_of_a_seed_counts():
    again = [
        run(0.5, 0, run_id="old", ended_at=1),
        run(0.9, 0, run_id="new", ended_at=2),
        run(seed=0, run_id="failed later", status="failed", ended_at=3),
    ]
    for finals in (again, again[::-1]):
        row = one(finals + runs(0, 0.9, 0.9)[1:])
        assert row.test_accuracy_mean == pytest.approx(0.9)
        assert row.run_ids[0] == "new"
        assert (row.n_seeds, row.n_failed) == (3, 0)


def test_no_finished_seed_is_a_row_without_rank():
    rows = build_board(runs(0, 0, 0, status="failed", model="gru") + runs(0.1, 0.1, 0.1), {})
    assert [(row.model, row.rank) for row in rows] == [("lstm", 1), ("gru", None)]
    assert rows[1].test_accuracy_mean is None
    assert rows[1].n_failed == 3
    assert rows[1].git_commit == "d083e72"


def test_a_run_of_both_tiers_makes_two_rows():
    rows = build_board(runs(0.86, 0.88, 0.87, tiers=("default", "tuned")), {})
    assert {row.tier: (row.search_trials, row.search_seconds) for row in rows} == {
        "default": (0, 0.0),  # the published configuration needed no search
        "tuned": (20, 300.5),
    }
    assert rows[0].test_accuracy_mean == rows[1].test_accuracy_mean


@pytest.mark.parametrize("field", ["dataset_digest", "model", "budget", "study", "protocol"])
def test_what_differs_is_never_averaged(field):
    rows = build_board(runs(0.8, 0.8, 0.8) + runs(0.9, 0.9, 0.9, **{field: "other"}), {})
    assert sorted(row.test_accuracy_mean for row in rows) == pytest.approx([0.8, 0.9])


def test_separated_rows_take_their_place_and_others_share():
    finals = (
        runs(0.899, 0.9, 0.901, model="a")
        + runs(0.898, 0.9, 0.8995, model="b")  # overlaps a
        + runs(0.85, 0.851, 0.849, model="c")
        + runs(0.80, 0.88, 0.84, model="d")  # wide: overlaps c
        + runs(0.70, 0.70, 0.70, model="e")
    )
    rows = build_board(finals[::-1], {})
    assert [(row.model, row.rank) for row in rows] == [("a", 1), ("b", 1), ("c", 3), ("d", 3), ("e", 5)]


def test_a_rank_is_joined_through_its_top_row_only():
    # b overlaps a, c overlaps b but not a: c is not carried up by b.
    finals = (
        runs(0.900, 0.901, 0.899, model="a")
        + runs(0.890, 0.898, 0.894, model="b")
        + runs(0.888, 0.889, 0.887, model="c")
    )
    assert [row.rank for row in build_board(finals, {})] == [1, 1, 3]


def test_a_row_without_an_interval_is_not_separated():
    finals = runs(0.9, 0.9, 0.9, model="a") + runs(0.5, 0.5, model="b") + runs(0.4, 0.4, 0.4, model="c")
    assert [(row.model, row.rank) for row in build_board(finals, {})] == [("a", 1), ("b", 1), ("c", 3)]


def test_smoke_comes_last_without_a_rank():
    smoke = runs(0.99, 0.99, 0.99, budget="smoke", model="a")
    rows = build_board(smoke + runs(0.6, 0.6, 0.6, model="z"), {})
    assert [(row.model, row.rank, row.watermark) for row in rows] == [("z", 1, None), ("a", None, WATERMARK)]


def test_protocols_and_budgets_are_ranked_apart():
    finals = (
        runs(0.95, 0.95, 0.95, protocol="pretrained", model="hub")
        + runs(0.9, 0.9, 0.9, budget="full", model="big")
        + runs(0.8, 0.8, 0.8)
    )
    rows = build_board(finals, {})
    assert [(row.model, row.rank) for row in rows] == [("hub", 1), ("big", 1), ("lstm", 1)]
    assert rows[0].notes == ("protocol pretrained: ranked among its own kind only",)
    assert rows[2].notes == ()


def test_mixed_machines_are_noted():
    row = one([*runs(0.8, 0.8), run(0.8, 2, device="gpu")])
    assert row.device == "cpu / gpu"
    assert row.notes == ("seeds differ in device: cpu / gpu",)


def test_interval_stays_among_accuracies():
    row = one(runs(1.0, 0.9, 1.0))
    assert row.test_accuracy_ci_high == 1.0
    assert row.test_accuracy_ci_low < 0.9


def test_a_mean_never_skips_what_a_seed_lacks():
    row = one([*runs(0.8, 0.8), run(0.8, 2, test_loss=math.inf, val_accuracy=None)])
    assert row.test_loss_mean is None
    assert row.val_accuracy_mean is None
    assert row.n_seeds == 3


def test_order_does_not_depend_on_the_order_of_runs():
    generator = np.random.default_rng(0)
    finals = [
        run(float(generator.uniform()), seed, model=model, run_id=f"{model}{seed}")
        for model in "abcd"
        for seed in range(3)
    ]
    shuffled = [finals[i] for i in generator.permutation(len(finals))]
    assert build_board(finals, {}) == build_board(shuffled, {})


def test_empty():
    assert build_board([], {}) == []
