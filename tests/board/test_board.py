"""The board: what is averaged, what is only counted, and who may outrank whom."""

import math

import numpy as np
import pytest
from board_samples import EXAMPLES, Reading, answers_of, board, changed, run, runs
from board_samples import rows as rows_of

from benchmark.board.rows import WATERMARK
from benchmark.board.stored_board import find_pair
from benchmark.data.ledger_chain import SHOWN
from benchmark.report.columns import captions, score
from benchmark.stats.intervals import mean_interval
from benchmark.support.errors import UserError


def one(finals, reads=None, **options):
    (row,) = rows_of(finals, reads, **options)
    return row


def test_a_complete_row():
    row = one(runs(0.86, 0.88, 0.87), {("d1", "lstm"): 6, ("d1", "gru"): 9, ("d2", "lstm"): 4})
    interval = mean_interval([0.86, 0.88, 0.87])
    assert row.rank == 1
    assert row.test_mean == pytest.approx(0.87)
    assert (row.test_ci_low, row.test_ci_high) == (interval.low, interval.high)
    assert row.test_std == pytest.approx(0.01)
    assert (row.test_min, row.test_median, row.test_max) == (0.86, 0.87, 0.88)
    assert row.val_mean == pytest.approx(0.88)
    assert row.train_seconds_median == 11.0
    assert (row.n_seeds, row.seeds_expected, row.n_failed, row.n_diverged, row.n_missing) == (3, 3, 0, 0, 0)
    assert (row.search_trials, row.search_seconds, row.test_reads) == (20, 300.5, 6)
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
    assert row.test_mean == pytest.approx(0.87)
    assert row.test_ci_low is None
    assert row.test_ci_high is None
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
    assert row.test_mean == 0.9
    assert row.notes[:3] == ("1 of 5 seeds missing", "2 of 5 seeds failed", "1 of 5 seeds diverged")


def test_the_latest_ok_run_of_a_seed_counts():
    again = [
        run(0.5, 0, run_id="old", ended_at=1),
        run(0.9, 0, run_id="new", ended_at=2),
        run(seed=0, run_id="failed later", status="failed", ended_at=3),
    ]
    for finals in (again, again[::-1]):
        row = one(finals + runs(0, 0.9, 0.9)[1:])
        assert row.test_mean == pytest.approx(0.9)
        assert row.run_ids[0] == "new"
        assert (row.n_seeds, row.n_failed) == (3, 0)


def test_no_finished_seed_is_a_row_without_rank():
    rows = rows_of(runs(0, 0, 0, status="failed", model="gru") + runs(0.1, 0.1, 0.1))
    assert [(row.model, row.rank) for row in rows] == [("lstm", 1), ("gru", None)]
    assert rows[1].test_mean is None
    assert rows[1].n_failed == 3
    assert rows[1].git_commit == "d083e72"


def test_a_run_of_both_tiers_makes_two_rows():
    rows = rows_of(runs(0.86, 0.88, 0.87, tiers=("default", "tuned")))
    assert {row.tier: (row.search_trials, row.search_seconds) for row in rows} == {
        "default": (0, 0.0),  # the published configuration needed no search
        "tuned": (20, 300.5),
    }
    assert rows[0].test_mean == rows[1].test_mean


@pytest.mark.parametrize("field", ["dataset_digest", "model", "budget", "study", "protocol"])
def test_what_differs_is_never_averaged(field):
    rows = rows_of(runs(0.8, 0.8, 0.8) + runs(0.9, 0.9, 0.9, **{field: "other"}))
    assert sorted(row.test_mean for row in rows) == pytest.approx([0.8, 0.9])


def test_smoke_comes_last_without_a_rank():
    smoke = runs(0.99, 0.99, 0.99, budget="smoke", model="a")
    rows = rows_of(smoke + runs(0.6, 0.6, 0.6, model="z"))
    assert [(row.model, row.rank, row.watermark) for row in rows] == [("z", 1, None), ("a", None, WATERMARK)]


def test_protocols_and_budgets_are_ranked_apart():
    finals = (
        runs(0.95, 0.95, 0.95, protocol="pretrained", model="hub")
        + runs(0.9, 0.9, 0.9, budget="full", model="big")
        + runs(0.8, 0.8, 0.8)
    )
    rows = rows_of(finals)
    assert [(row.model, row.rank) for row in rows] == [("hub", 1), ("big", 1), ("lstm", 1)]
    assert rows[0].notes == ("protocol pretrained: ranked within this protocol only",)
    assert rows[2].notes == ()


def test_a_default_that_was_made_for_far_more_texts_is_marked_in_every_tier_that_it_is():
    note = "made for 25,000 texts; here 2,413"
    for tiers, expected in (
        (("default",), [(note,)]),
        (("tuned",), [()]),
        (("default", "tuned"), [(note,), (note,)]),
    ):
        found = rows_of(runs(0.6, 0.61, 0.62, tiers=tiers, made_for="2413 of 25000"))
        assert [row.notes for row in found] == expected
    for damaged in ("2413", "many of 25000", "-1 of 2"):
        assert one(runs(0.6, 0.61, 0.62, tiers=("default",), made_for=damaged)).notes == ()


def test_mixed_machines_are_noted():
    row = one([*runs(0.8, 0.8), run(0.8, 2, device="gpu")])
    assert row.device == "cpu / gpu"
    assert row.notes == ("seeds differ in device: cpu / gpu",)
    row = one([*runs(0.8, 0.8), run(0.8, 2, git_commit="")])
    assert row.notes == ("seeds differ in git commit: unknown / d083e72",)


def test_interval_stays_among_accuracies():
    row = one(runs(1.0, 0.9, 1.0))
    assert row.test_ci_high == 1.0
    assert row.test_ci_low < 0.9


def test_a_mean_never_skips_what_a_seed_lacks():
    row = one([*runs(0.8, 0.8), run(0.8, 2, test_loss=math.inf, val_accuracy=None)])
    assert row.test_loss_mean is None
    assert row.val_mean is None
    assert row.n_seeds == 3


def test_sampling_error_is_told_beside_the_interval_over_seeds():
    row = one(runs(0.9, 0.9, 0.9))
    assert row.test_ci_low == row.test_ci_high == 0.9
    assert row.sampling_ci_low < 0.9 < row.sampling_ci_high
    assert row.sampling_error == pytest.approx(np.sqrt(0.9 * 0.1 / EXAMPLES), rel=0.2)
    assert row.val_test_gap == pytest.approx(0.01)


def test_examples_shown_to_people_are_told():
    finals = runs(0.9, 0.9, 0.9)
    reads = {("d1", "lstm"): 3, ("d1", SHOWN): 2, ("d2", SHOWN): 7}
    made = board(finals, reads)
    assert captions(made)[0].endswith("reads of the test split: lstm 3; examples shown to people 2")
    assert "shown" not in captions(board(finals))[0]


def test_one_seed_has_a_sampling_error_too():
    assert one(runs(0.9)).sampling_error > 0


def test_predictions_that_do_not_give_the_accuracy_are_not_used():
    finals = runs(0.9, 0.9, 0.9)
    wrong = Reading(lambda run_id: np.arange(EXAMPLES) < 1799, ties=1)
    for reading in (Reading(lambda run_id: None), wrong):
        (row,) = rows_of(finals, reading=reading)
        assert row.sampling_error is None
        assert row.test_mean == pytest.approx(0.9)
        assert row.notes == ("not compared: its predictions are missing or do not give its test accuracy",)


def test_an_accuracy_that_predictions_contradict_is_withheld():
    finals = runs(0.6, 0.6, 0.6) + runs(0.5, 0.5, 0.5, model="gru", tiers=("default", "tuned"))
    read = answers_of(finals)
    altered = [
        changed(final, test_accuracy=0.99) if final.model == "gru" and final.seed else final
        for final in finals
    ]
    first, *others = rows_of(altered, reading=Reading(read, ties=EXAMPLES))
    assert (first.model, first.rank) == ("lstm", 1)
    assert [row.tier for row in others] == ["default", "tuned"]
    for row in others:
        assert (row.rank, row.test_values, score(row), row.sampling_error) == (None, (), "-", None)
        assert not any(getattr(row, f"test_{name}") for name in ("mean", "ci_low", "std", "median", "max"))
        (note,) = row.notes
        assert note.startswith("seed 1: its test accuracy is 0.99, but its predictions give 0.5:")
    with pytest.raises(UserError, match=r"'gru' has no finished run that counts; seed 1: .*0\.99"):
        find_pair([first, *others], "lstm", "gru", None)


def test_predictions_are_read_only_for_what_is_compared():
    asked = []
    finals = runs(0.9, 0.8, 0.7, budget="smoke") + runs(0, seeds_expected=1, status="failed", model="gru")
    rows_of(finals, reading=Reading(asked.append))
    assert asked == []


def test_order_does_not_depend_on_the_order_of_runs():
    generator = np.random.default_rng(0)
    finals = [
        run(round(float(generator.uniform()), 3), seed, model=model, run_id=f"{model}{seed}")
        for model in "abcd"
        for seed in range(3)
    ]
    shuffled = [finals[i] for i in generator.permutation(len(finals))]
    assert rows_of(finals) == rows_of(shuffled)


def test_empty():
    assert rows_of([]) == ()
