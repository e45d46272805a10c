"""Comparisons of a board: who shares a rank, what is corrected, and the baseline."""

import numpy as np
import pytest
from board_samples import answers_of, board, changed, rows, run, runs

from benchmark.board.board import build_board
from benchmark.board.ranking import baseline_of
from benchmark.stats.comparisons import compare
from benchmark.stats.verdicts import holm


def ranks(finals, **options):
    return [(row.model, row.rank) for row in rows(finals, **options)]


def test_separated_rows_take_their_place_and_others_share():
    finals = (
        runs(0.899, 0.9, 0.901, model="a")
        + runs(0.896, 0.9, 0.899, model="b")  # within the margin of a
        + runs(0.85, 0.851, 0.849, model="c")
        + runs(0.80, 0.88, 0.84, model="d")  # its seeds are far apart
        + runs(0.70, 0.70, 0.70, model="e")
    )
    # Three rows are shown to be better than e; d is not among them.
    assert ranks(finals[::-1]) == [("a", 1), ("b", 1), ("c", 3), ("d", 3), ("e", 4)]


def test_equal_rows_share_the_first_rank():
    generator = np.random.default_rng(1)
    finals = [
        run(round(2 * (0.87 + generator.normal(0, 0.004)), 3) / 2, seed, model=model)
        for model in "abcdefghij"
        for seed in range(5)
    ]
    assert {rank for _, rank in ranks(finals)} == {1}


def test_the_margin_decides_what_is_worth_talking_about():
    finals = runs(0.9, 0.9, 0.9, model="a") + runs(0.89, 0.89, 0.89, model="b")
    assert ranks(finals) == [("a", 1), ("b", 2)]
    assert ranks(finals, margin=0.02) == [("a", 1), ("b", 1)]
    assert board(finals, margin=0.02).comparisons[0].outcome == "equivalent"


def test_a_row_with_too_few_seeds_is_compared_with_nothing():
    finals = runs(0.9, 0.9, 0.9, model="a") + runs(0.5, 0.5, model="b") + runs(0.4, 0.4, 0.4, model="c")
    found = board(finals)
    assert [(row.model, row.rank) for row in found.rows] == [("a", 1), ("b", 1), ("c", 2)]
    assert [(pair.a, pair.b) for pair in found.comparisons] == [(0, 2)]
    assert (found.rows[1].seeds_needed, found.rows[1].difference) == (3, None)


def test_pairs_are_what_compare_finds_and_corrected_together():
    finals = (
        runs(0.9, 0.91, 0.9, model="a") + runs(0.88, 0.9, 0.89, model="b") + runs(0.89, 0.88, 0.9, model="c")
    )
    found = board(finals)
    answers = answers_of(finals)
    tables = [np.stack([answers(run_id) for run_id in row.run_ids]) for row in found.rows]
    singles = [compare(tables[pair.a], tables[pair.b]) for pair in found.comparisons]
    assert len(singles) == 3
    for pair, single in zip(found.comparisons, singles, strict=True):
        assert pair.difference == pytest.approx(single.difference, abs=1e-12)
        assert (pair.ci_low, pair.ci_high) == pytest.approx((single.interval.low, single.interval.high))
        assert pair.p_value == pytest.approx(single.p_value)
        assert pair.n_seeds == 3
    assert [pair.p_corrected for pair in found.comparisons] == pytest.approx(
        holm([single.p_value for single in singles])
    )


def test_only_shared_seeds_are_compared():
    a = [run(0.9, seed, model="a", seeds_expected=5) for seed in range(5)]
    b = [run(0.8, seed, model="b", seeds_expected=5) for seed in (1, 2, 3, 4, 7)]
    (pair,) = board(a + b).comparisons
    assert pair.n_seeds == 4


def test_shared_seeds_that_contradict_the_means_separate_nothing():
    # b is better on each seed that both have; a has two more, on which it shines.
    a = [run(accuracy, seed, model="a") for seed, accuracy in enumerate((0.8, 0.8, 0.8, 0.99, 0.99))]
    b = runs(0.85, 0.85, 0.85, model="b")
    found = board(a + b)
    assert [(row.model, row.rank) for row in found.rows] == [("a", 1), ("b", 1)]
    assert found.comparisons[0].outcome == "worse"


def test_the_same_runs_in_two_tiers_are_one_system():
    both = runs(0.9, 0.9, 0.9, model="a", tiers=("default", "tuned"))
    found = board(both + runs(0.8, 0.8, 0.8, model="b", tiers=("default",)))
    assert len(found.comparisons) == 1
    assert [(row.model, row.rank) for row in found.rows] == [("a", 1), ("a", 1), ("b", 2)]


def test_the_same_runs_on_another_budget_are_another_race():
    found = board(runs(0.9, 0.9, 0.9, model="a") + runs(0.8, 0.8, 0.8, model="b", budget="full"))
    assert found.comparisons == ()
    assert {row.rank for row in found.rows} == {1}


def test_each_row_tells_its_difference_to_the_baseline():
    finals = (
        runs(0.9, 0.9, 0.9, model="a", tiers=("default",))
        + runs(0.88, 0.88, 0.88, model="avg-pool", tiers=("default",))
        + runs(0.86, 0.86, 0.86, model="c", tiers=("default",))
        + runs(0.6, 0.95, 0.8, model="d", tiers=("default",))
    )
    a, base, c, d = rows(finals)
    assert base.model == "avg-pool"
    assert (base.baseline, base.difference) == (None, None)
    assert a.baseline == c.baseline == "avg-pool (default)"
    assert (a.difference, c.difference) == pytest.approx((0.02, -0.02))
    assert (a.difference_outcome, c.difference_outcome) == ("better", "worse")
    assert a.difference_ci_low < a.difference < a.difference_ci_high
    assert c.difference_ci_low < c.difference < c.difference_ci_high < 0
    assert a.difference_p < 0.05
    assert d.difference_outcome == "undecided"
    assert d.seeds_needed > 3


def test_which_row_is_the_baseline():
    def made(*named):
        finals = [
            one
            for place, (model, tiers) in enumerate(named)
            for one in runs(*[0.9 - place / 100] * 3, model=model, tiers=tiers)
        ]
        return rows(finals)

    default = ("default",)
    known = made(("lstm", default), ("avg-pool", default), ("tfidf-logreg", default), ("majority", default))
    assert baseline_of(known).model == "tfidf-logreg"
    assert baseline_of(known[:2]).model == "avg-pool"
    own = made(("mine", ("tuned",)), ("mine", default), ("other", ("tuned",)))
    assert (baseline_of(own).model, baseline_of(own).tier) == ("mine", "default")
    assert baseline_of(own[2:]).model == "other"
    assert baseline_of(own, "mine").tier == "default"
    assert baseline_of(own, "mine:tuned").tier == "tuned"
    assert baseline_of(own, "other:default") is None


def test_unknown_answers_leave_the_row_without_comparison():
    finals = runs(0.9, 0.9, 0.9, model="a") + runs(0.8, 0.8, 0.8, model="b")
    read = answers_of(finals)
    found = build_board(finals, {}, lambda run_id: None if "-b-" in run_id else read(run_id))
    assert found.comparisons == ()
    assert [row.rank for row in found.rows] == [1, 1]


def test_data_of_the_same_name_has_no_say_in_a_p_value():
    near = runs(0.9, 0.91, 0.9, model="a") + runs(0.89, 0.89, 0.88, model="b")
    others = [changed(run, dataset_digest="d2", run_id=f"{run.run_id} d2") for run in near]
    alone, both = board(near), board(near + others)
    assert [pair.p_corrected for pair in both.comparisons] == [alone.comparisons[0].p_corrected] * 2


def test_a_difference_is_not_beyond_what_is_possible():
    far = board(runs(1.0, 0.4, 0.99, model="a") + runs(0.02, 0.3, 0.0, model="b"))
    (pair,) = far.comparisons
    assert -1 <= pair.ci_low < pair.difference < pair.ci_high == 1
