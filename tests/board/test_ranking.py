"""Comparisons of a board: which ranks are open, what is corrected, and the baseline."""

import board_samples
import numpy as np
import pytest
from board_samples import EXAMPLES, Reading, answers_of, board, changed, rows, run, runs

from benchmark.board.ranking import baseline_of
from benchmark.stats.differences import borrowing, differences, runs_of
from benchmark.stats.verdicts import family

EVEN = np.arange(EXAMPLES) % 2


def ranks(finals, **options):
    return [(row.model, row.rank, row.rank_worst) for row in rows(finals, **options)]


def test_separated_rows_take_their_place_and_others_leave_it_open():
    finals = (
        runs(0.899, 0.9, 0.901, model="a")
        + runs(0.896, 0.9, 0.899, model="b")  # within the margin of a
        + runs(0.85, 0.851, 0.849, model="c")
        + runs(0.80, 0.88, 0.84, model="d")  # its seeds are far apart
        + runs(0.70, 0.70, 0.70, model="e")
    )
    # Seeds of d are so far apart that it may have any rank, and e the last but one.
    expected = [("a", 1, 3), ("b", 1, 3), ("c", 3, 4), ("d", 1, 5), ("e", 4, 5)]
    assert ranks(finals[::-1]) == expected


def test_equal_rows_may_have_any_rank():
    generator = np.random.default_rng(1)
    finals = [
        run(round(2 * (0.87 + generator.normal(0, 0.004)), 3) / 2, seed, model=model)
        for model in "abcdefghij"
        for seed in range(5)
    ]
    assert {(best, worst) for _, best, worst in ranks(finals)} == {(1, 10)}


def test_the_margin_decides_what_is_worth_talking_about():
    finals = runs(0.9, 0.9, 0.9, model="a") + runs(0.89, 0.89, 0.89, model="b")
    assert ranks(finals) == [("a", 1, 1), ("b", 2, 2)]
    assert ranks(finals, margin=0.02) == [("a", 1, 2), ("b", 1, 2)]
    assert board(finals, margin=0.02).comparisons[0].outcome == "equivalent"


def test_a_row_with_too_few_seeds_is_compared_with_nothing():
    finals = runs(0.9, 0.9, 0.9, model="a") + runs(0.5, 0.5, model="b") + runs(0.4, 0.4, 0.4, model="c")
    found = board(finals)
    assert ranks(finals) == [("a", 1, 1), ("b", None, None), ("c", 2, 2)]
    assert [(pair.a, pair.b) for pair in found.comparisons] == [(0, 2)]
    assert found.rows[1].difference is None


def tables(finals, found):
    answers = answers_of(finals)
    return [runs_of(np.stack([answers(run_id) for run_id in row.run_ids])) for row in found.rows]


def test_pairs_are_one_family_and_the_column_is_another():
    finals = [
        one
        for place, model in enumerate("abcde")
        for one in runs(0.9 - place / 200, 0.91 - place / 200, 0.9, model=model)
    ]
    found = board(finals, baseline="e")
    rows = borrowing(tables(finals, found))
    pairs = [(pair.a, pair.b) for pair in found.comparisons]
    assert len(pairs) == 10
    alone = family(differences(rows, *zip(*pairs, strict=True)), [(3, 3)] * 10)
    for pair, one in zip(found.comparisons, alone, strict=True):
        assert pair.difference == pytest.approx(one.difference, abs=1e-12)
        assert (pair.ci_low, pair.ci_high, pair.ci_level) == pytest.approx(
            (one.interval.low, one.interval.high, one.interval.level)
        )
        assert (pair.p_value, pair.p_corrected) == pytest.approx((one.p_value, one.p_corrected))
        assert pair.outcome == one.outcome
    base = next(place for place, row in enumerate(found.rows) if row.model == "e")
    others = [place for place in range(5) if place != base]
    column = family(differences(rows, others, [base] * 4), [(3, 3)] * 4)
    for place, one in zip(others, column, strict=True):
        row = found.rows[place]
        assert (row.difference_ci_low, row.difference_ci_high) == pytest.approx(
            (one.interval.low, one.interval.high)
        )
        assert row.difference_p == pytest.approx(one.p_corrected)
        assert row.detectable == pytest.approx(one.detectable)


def test_rows_of_other_sections_have_no_say():
    finals = runs(0.9, 0.91, 0.9, model="a") + runs(0.88, 0.9, 0.89, model="b")
    others = [
        one
        for place, model in enumerate("cdefg")
        for one in (
            *runs(0.8, 0.81 + place / 99, 0.8, model=model, budget="full"),
            *runs(0.8, 0.81 + place / 99, 0.8, model=model, protocol="pretrained"),
        )
    ]
    (pair,) = board(finals).comparisons
    found = board(finals + others)
    (same,) = [one for one in found.comparisons if found.rows[one.a].model in "ab"]
    assert (same.ci_low, same.p_corrected) == (pair.ci_low, pair.p_corrected)


def test_all_seeds_of_both_rows_count_whichever_they_are():
    a = [run(0.9 + seed / 1000, seed, model="a", seeds_expected=8) for seed in range(5)]
    b = [run(0.8 + seed / 1000, seed, model="b", seeds_expected=8) for seed in (5, 6, 7)]
    (pair,) = board(a + b).comparisons
    assert pair.difference == pytest.approx(0.902 - 0.806)


@pytest.mark.parametrize("lost", ["diverged", "at chance"])
def test_a_row_that_fails_at_times_is_better_than_none(lost):
    bad = run(None, 3, model="a", status="diverged", seeds_expected=4) if lost == "diverged" else None
    bad = bad or run(0.5, 3, model="a", seeds_expected=4)
    a = [run(0.9, seed, model="a", seeds_expected=4) for seed in range(3)] + [bad]
    finals = a + runs(0.8, 0.8, 0.8, model="b") + runs(0.95, 0.95, 0.95, model="c")
    c, first, b = board(finals, reading=Reading(answers_of(finals), labels=EVEN)).rows
    assert (first.test_mean, first.n_seeds) == (pytest.approx(0.9), 3)
    assert first.n_diverged + first.n_unlearned == 1
    assert first.failure_bound == pytest.approx(0.7514, abs=1e-3)  # 1 of 4
    assert any(note.startswith("1 of 4 seeds") for note in first.notes)
    assert (c.rank, c.rank_worst) == (1, 1)  # it is shown to be better than both
    assert (first.rank, first.rank_worst) == (2, 3)
    assert (b.rank, b.rank_worst) == (2, 3)


def test_a_row_that_never_learns_is_what_it_is():
    finals = runs(0.5, 0.51, 0.5, model="a") + runs(0.8, 0.8, 0.8, model="b")
    _, row = board(finals, reading=Reading(answers_of(finals), labels=EVEN)).rows
    assert (row.n_seeds, row.n_unlearned, row.rank) == (3, 0, 2)


def test_a_few_test_examples_decide_nothing():
    finals = runs(0.9, 0.9, 0.9, model="a") + runs(0.1, 0.1, 0.1, model="b")
    few = {"a": np.arange(10) < 9, "b": np.arange(10) < 1}
    found = board(finals, reading=Reading(lambda run_id: few[run_id.split("-")[1]]))
    assert found.comparisons[0].outcome == "undecided"
    assert {(row.rank, row.rank_worst) for row in found.rows} == {(1, 2)}


def test_the_same_runs_in_two_tiers_are_one_system():
    both = runs(0.9, 0.9, 0.9, model="a", tiers=("default", "tuned"))
    found = board(both + runs(0.8, 0.8, 0.8, model="b", tiers=("default",)))
    assert len(found.comparisons) == 1
    assert [(row.model, row.rank, row.rank_worst) for row in found.rows] == [("a", 1, 1)] * 2 + [("b", 2, 2)]


def test_the_same_runs_on_another_budget_are_another_race():
    found = board(runs(0.9, 0.9, 0.9, model="a") + runs(0.8, 0.8, 0.8, model="b", budget="full"))
    assert found.comparisons == ()
    assert {row.rank for row in found.rows} == {1}


def test_each_row_tells_its_difference_to_the_baseline():
    finals = (
        runs(0.9, 0.9, 0.9, model="a", tiers=("default",))
        + runs(0.88, 0.88, 0.88, model="avg-pool", tiers=("default",))
        + runs(0.86, 0.86, 0.86, model="c", tiers=("default",))
        + runs(0.75, 0.85, 0.8, model="d", tiers=("default",))
        + runs(0.3, 0.9, 0.6, model="e", tiers=("default",))
    )
    a, base, c, d, e = rows(finals)
    assert base.model == "avg-pool"
    assert (base.baseline, base.difference) == (None, None)
    assert a.baseline == c.baseline == "avg-pool (default)"
    assert (a.difference, c.difference) == pytest.approx((0.02, -0.02))
    assert (a.difference_outcome, c.difference_outcome) == ("better", "worse")
    assert a.difference_ci_low < a.difference < a.difference_ci_high
    assert c.difference_ci_low < c.difference < c.difference_ci_high < 0
    assert a.difference_p < 0.05
    assert d.difference_outcome == "undecided"
    assert 1 > d.detectable > d.detectable_by_more > 0
    assert e.detectable is None  # more than all there is


def test_too_few_test_examples_are_a_note_of_each_row_that_is_compared(monkeypatch):
    monkeypatch.setattr(board_samples, "EXAMPLES", 60)
    a, base = rows(runs(0.9, 0.9, 0.9, model="a") + runs(0.6, 0.6, 0.6, model="avg-pool"))
    assert "60 test examples are too few for a verdict, which needs 100" in a.notes
    assert (a.difference_outcome, a.detectable, base.notes) == ("undecided", None, ())


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
    linear = made(("linear-words", default), ("linear-characters", default), ("tfidf-logreg", default))
    assert baseline_of(linear).model == "linear-words"
    by_validation = [row.model_copy(update={"val_mean": 0.8 + n / 100}) for n, row in enumerate(linear)]
    assert baseline_of(by_validation).model == "linear-characters"
    assert baseline_of(by_validation[2:]).model == "tfidf-logreg"
    own = made(("mine", ("tuned",)), ("mine", default), ("other", ("tuned",)))
    assert (baseline_of(own).model, baseline_of(own).tier) == ("mine", "default")
    assert baseline_of(own[2:]).model == "other"
    assert baseline_of(own, "mine").tier == "default"
    assert baseline_of(own, "mine:tuned").tier == "tuned"
    assert baseline_of(own, "other:default") is None


def test_a_row_that_cannot_be_compared_is_the_baseline_only_where_there_is_no_other():
    finals = (
        runs(0.9, model="linear-words", tiers=("default",))
        + runs(0.88, 0.88, 0.88, model="tfidf-logreg", tiers=("default",))
        + runs(0.86, 0.86, 0.86, model="c", tiers=("default",))
    )
    linear, tfidf, c = rows(finals)
    assert {linear.baseline, c.baseline} == {"tfidf-logreg (default)"}
    assert (tfidf.baseline, linear.difference) == (None, None)
    assert c.difference == pytest.approx(-0.02)
    linear, tfidf, _ = rows(finals, baseline="linear-words")
    assert (linear.baseline, tfidf.baseline) == (None, "linear-words (default)")


def test_unknown_answers_leave_the_row_without_comparison():
    finals = runs(0.9, 0.9, 0.9, model="a") + runs(0.8, 0.8, 0.8, model="b")
    read = answers_of(finals)
    found = board(finals, reading=Reading(lambda run_id: None if "-b-" in run_id else read(run_id)))
    assert found.comparisons == ()
    assert [row.rank for row in found.rows] == [1, None]


def test_data_of_the_same_name_has_no_say_in_a_p_value():
    near = runs(0.9, 0.91, 0.9, model="a") + runs(0.89, 0.89, 0.88, model="b")
    others = [changed(run, dataset_digest="d2", run_id=f"{run.run_id} d2") for run in near]
    alone, both = board(near), board(near + others)
    assert [pair.p_corrected for pair in both.comparisons] == [alone.comparisons[0].p_corrected] * 2


def test_a_difference_is_not_beyond_what_is_possible():
    far = board(runs(1.0, 0.4, 0.99, model="a") + runs(0.02, 0.3, 0.0, model="b"))
    (pair,) = far.comparisons
    assert -1 <= pair.ci_low < pair.difference < pair.ci_high == 1
