"""Families of comparisons, Holm's correction, ranks, what seeds can show, and the sentences."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
from answer_tables import two_systems
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmark.stats.differences import Differences, differences, runs_of
from benchmark.stats.intervals import Interval
from benchmark.stats.verdicts import (
    Comparison,
    detectable,
    family,
    holm,
    rank_ranges,
    reach,
    sentence,
)


def known(centre, *, seeds=1e-6, freedom=8.0, examples=1e-6, n_examples=10_000):
    """Differences of pairs whose variances are given, each a number or one for each pair."""
    centre = np.atleast_1d(np.asarray(centre, dtype=float))
    full = np.ones((2, centre.size))
    return Differences(
        mean=centre,
        centre=centre,
        seeds=full * seeds,
        freedom=full * freedom,
        examples=full[0] * examples,
        n_examples=n_examples,
    )


def decided(found, n_seeds=9, **options):
    return family(found, [(n_seeds, n_seeds)] * found.mean.size, **options)


def outcomes(found, **options):
    return [one.outcome for one in decided(found, **options)]


# Outcomes.


@pytest.mark.parametrize(
    ("centre", "seeds", "expected"),  # the half-width at 5 % is 0.0037, with 4e-6 it is 0.0066
    [
        (0.05, 1e-6, "better"),
        (-0.05, 1e-6, "worse"),
        (0.0045, 1e-6, "better"),
        (0.0, 1e-6, "equivalent"),
        (-0.001, 1e-6, "equivalent"),
        (0.003, 1e-6, "undecided"),  # neither 0 nor the margin of 0.005 is excluded
        (-0.003, 1e-6, "undecided"),
        (0.0045, 4e-6, "undecided"),
        (0.0, 4e-6, "undecided"),
    ],
)
def test_outcomes(centre, seeds, expected):
    assert outcomes(known(centre, seeds=seeds)) == [expected]


def test_equivalent_goes_first_where_0_is_excluded_too():
    found = known([0.002, -0.002], seeds=1e-8, examples=1e-8)
    for one in decided(found):
        assert one.outcome == "equivalent"
        assert one.p_corrected < 1e-6
        assert one.interval.low * one.interval.high > 0  # 0 lies outside
    assert outcomes(found, margin=0.001) == ["better", "worse"]
    assert outcomes(found, margin=0.0) == ["better", "worse"]


def test_each_claim_has_the_level_of_the_family():
    p = known(0.005).p_values()[0]
    assert 0.001 < p < 0.05
    strict, lax = 1 - p / 1.01, 1 - p * 1.01
    assert outcomes(known(0.005), level=strict, margin=0) == ["undecided"]
    assert outcomes(known(0.005), level=lax, margin=0) == ["better"]
    equal = known(0.001).equivalence_p_values(0.005)[0]
    assert outcomes(known(0.001), level=1 - equal / 1.01) == ["undecided"]
    assert outcomes(known(0.001), level=1 - equal * 1.01) == ["equivalent"]


def test_a_larger_family_needs_more():
    p, equal = known(0.005).p_values()[0], known(0.001).equivalence_p_values(0.005)[0]
    beside = max(2, math.ceil(0.05 / min(p, equal)))  # so many that are undecided
    assert decided(known([0.005, *[0.0] * beside]), margin=0)[0].outcome == "undecided"
    assert decided(known([0.001, *[0.01] * beside]))[0].outcome == "undecided"
    assert decided(known([0.005]), margin=0)[0].outcome == "better"
    assert decided(known([0.001]))[0].outcome == "equivalent"


@pytest.mark.parametrize(
    ("unsteady", "expected"),
    [
        ((False, False), ["better", "worse", "equivalent"]),
        ((True, False), ["undecided", "worse", "undecided"]),
        ((False, True), ["better", "undecided", "undecided"]),
        ((True, True), ["undecided", "undecided", "undecided"]),
    ],
)
def test_rows_whose_runs_failed_are_neither_better_nor_equivalent(unsteady, expected):
    found = known([0.05, -0.05, 0.0])
    assert outcomes(found, unsteady=[unsteady] * 3) == expected


def test_an_unsteady_row_that_is_equivalent_may_still_be_worse():
    found = known(-0.002, seeds=1e-8, examples=1e-8)
    assert outcomes(found, unsteady=[(True, False)]) == ["worse"]
    assert outcomes(found, unsteady=[(False, True)]) == ["undecided"]


@pytest.mark.parametrize(
    ("n_examples", "expected"), [(99, ["undecided"] * 2), (100, ["better", "equivalent"])]
)
def test_too_few_examples_allow_no_verdict(n_examples, expected):
    found = known([0.3, 0.0], n_examples=n_examples)
    assert outcomes(found, margin=0.1) == expected
    assert decided(found)[0].p_corrected < 0.001  # which is said nonetheless


def test_all_figures_of_a_comparison():
    a, b = two_systems(n_seeds=8, gap=0.04)
    found = differences([runs_of(a[:5]), runs_of(b)], [0, 1], [1, 0])
    one, turned = family(found, [(5, 8), (8, 5)], margin=0.01, level=0.9)
    assert (one.n_seeds, one.n_examples, one.comparisons) == ((5, 8), 600, 2)
    assert one.difference == pytest.approx(a[:5].mean() - b.mean())
    assert one.p_value == found.p_values()[0]
    assert one.p_corrected == pytest.approx(min(1, 2 * one.p_value))
    assert one.equivalence_p == pytest.approx(min(1, 2 * found.equivalence_p_values(0.01)[0]))
    half = found.half_width(0.05)[0]
    assert one.interval.level == pytest.approx(0.95)
    assert (one.interval.low, one.interval.high) == pytest.approx(
        (found.centre[0] - half, found.centre[0] + half)
    )
    record = dataclasses.asdict(turned.turned())
    assert json.loads(json.dumps(record))["n_seeds"] == [5, 8]  # plain numbers
    for name in ("difference", "p_value", "p_corrected", "detectable", "detectable_by_more"):
        assert record[name] == pytest.approx(getattr(one, name))
    assert record["n_seeds"] == (5, 8)
    assert record["interval"]["low"] == -turned.interval.high
    assert record["outcome"] == one.outcome


@pytest.mark.parametrize(
    ("outcome", "other"), [("better", "worse"), ("worse", "better"), ("equivalent",) * 2, ("undecided",) * 2]
)
def test_the_other_side_of_a_comparison(outcome, other):
    one = dataclasses.replace(ANY, outcome=outcome, n_seeds=(3, 7))
    turned = one.turned()
    assert (turned.outcome, turned.n_seeds, turned.difference) == (other, (7, 3), -one.difference)
    assert (turned.interval.low, turned.interval.high) == (-one.interval.high, -one.interval.low)
    assert turned.turned() == one


def test_intervals_end_at_what_is_possible():
    (one,) = decided(known(0.9, seeds=0.1))
    assert one.interval.high == 1
    assert one.interval.low < 0


def test_no_pairs():
    assert family(known([]), []) == []


@pytest.mark.parametrize(
    ("options", "message"), [({"level": 95}, "level: got 95"), ({"margin": -0.1}, "margin: got -0.1")]
)
def test_refuses_other_options(options, message):
    with pytest.raises(ValueError, match=message):
        decided(known(0.0), **options)


sizes = st.one_of(st.just(0.0), st.floats(1e-9, 1e-2))
pairs = st.tuples(st.floats(-1, 1), sizes, sizes, st.floats(2, 60), st.floats(2, 60), st.floats(1e-9, 1e-3))
free = settings(
    derandomize=True,
    deadline=None,
    max_examples=100,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@free
@given(st.lists(pairs, min_size=1, max_size=8), st.sampled_from([0.05, 0.2, 0.5]), st.floats(0, 0.1))
def test_intervals_exclude_0_exactly_where_the_corrected_p_value_is_below_the_error(rows, error, margin):
    centre, a, b, free_a, free_b, examples = np.array(rows).T
    found = Differences(centre, centre, np.stack([a, b]), np.stack([free_a, free_b]), examples, 5000)
    result = decided(found, level=1 - error, margin=margin)
    for one in result:
        if abs(one.p_corrected / error - 1) < 1e-9:  # on the edge, rounding decides
            continue
        outside = one.interval.low > 0 or one.interval.high < 0
        assert outside == (one.p_corrected < error)
        if one.outcome in ("better", "worse"):
            assert outside
            assert (one.outcome == "better") == (one.interval.low > 0)
        elif one.outcome == "equivalent":
            assert one.equivalence_p < error
            assert abs(one.difference) < margin
        else:
            assert not outside
            assert one.equivalence_p >= error
        assert one.p_value <= one.p_corrected <= min(1, one.p_value * len(rows) * (1 + 1e-12))
        assert 1 - error <= one.interval.level <= 1 - error / len(rows) + 1e-12
        assert one.comparisons == len(rows)


# Holm's correction.


def test_holm_by_hand():
    corrected, alphas = holm(np.array([0.01, 0.04, 0.03]))
    assert corrected == pytest.approx([0.03, 0.06, 0.06])
    assert alphas == pytest.approx([0.05 / 3, 0.05 / 2, 0.05 / 2])  # 0.03 is the first that is not rejected
    corrected, alphas = holm(np.array([0.001, 0.5, 0.9]), 0.1)
    assert corrected == pytest.approx([0.003, 1, 1])
    assert alphas == pytest.approx([0.1 / 3, 0.05, 0.05])
    assert [part.size for part in holm(np.zeros(0))] == [0, 0]


def test_holm_where_all_are_rejected():
    corrected, alphas = holm(np.array([0.0, 1e-9, 0.02]))
    assert corrected.tolist() == pytest.approx([0, 2e-9, 0.02])
    assert alphas == pytest.approx([0.05 / 3, 0.05 / 2, 0.05])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_holm_agrees_with_statsmodels_and_tests_each_at_its_level(seed, alpha):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(seed).beta(0.3, 2, size=45).round(3)  # with ties
    rejected, expected, *_ = multitest.multipletests(p, alpha=alpha, method="holm")
    corrected, alphas = holm(p, alpha)
    assert corrected == pytest.approx(expected)
    assert ((p < alphas) == rejected).all()
    assert set(np.rint(alpha / alphas).astype(int)) <= set(range(1, 46))
    assert ((alphas >= alpha / 45 * (1 - 1e-12)) & (alphas <= alpha)).all()


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_holm_refuses_what_is_not_a_probability(bad):
    with pytest.raises(ValueError, match="p_values"):
        holm(np.array([0.1, bad]))


# Ranks.


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], [(1, 3), (1, 3), (1, 3)]),
        ([(0, 1), (0, 2), (1, 2)], [(1, 1), (2, 2), (3, 3)]),
        ([(0, 1), (0, 2)], [(1, 1), (2, 3), (2, 3)]),
        ([(0, 2)], [(1, 2), (1, 3), (2, 3)]),  # a chain: 1 is separated from neither
        ([(2, 0)], [(2, 3), (1, 3), (1, 2)]),
    ],
)
def test_ranks(pairs, expected):
    better = np.zeros((3, 3), dtype=bool)
    for i, j in pairs:
        better[i, j] = True
    assert rank_ranges(better) == expected


def test_ranks_are_all_places_that_the_verdicts_leave_open():
    generator = np.random.default_rng(0)
    for _ in range(40):
        order = generator.permutation(5)
        better = np.zeros((5, 5), dtype=bool)
        groups = np.sort(generator.integers(0, 3, 5))  # rows of an earlier group are better
        for i, j in itertools.combinations(range(5), 2):
            better[order[i], order[j]] = groups[i] < groups[j]
        places = [set() for _ in range(5)]
        for ranking in itertools.permutations(range(5)):
            place = {row: number for number, row in enumerate(ranking, start=1)}
            if all(place[i] < place[j] for i, j in zip(*np.nonzero(better), strict=True)):
                for row, number in place.items():
                    places[row].add(number)
        assert rank_ranges(better) == [(min(found), max(found)) for found in places]


def test_ranks_of_no_rows_and_of_one():
    assert rank_ranges(np.zeros((0, 0), dtype=bool)) == []
    assert rank_ranges(np.zeros((1, 1), dtype=bool)) == [(1, 1)]


# What seeds can show.


@pytest.mark.parametrize("freedom", [(2, 2), (2, 20), (4, 4), (9, 9), (24, 24)])
@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.0), (0.4, 0.2, 0.4), (0.05, 0.05, 0.9), (0.0, 0.0, 1.0)])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_a_detectable_difference_is_found_with_80_percent(freedom, shares, alpha):
    generator = np.random.default_rng(7)
    true, freedom = 1e-4 * np.array(shares)[:, None], np.array(freedom, dtype=float)[:, None]
    needed = detectable(known(0.0, seeds=true[:2], freedom=freedom, examples=true[2]), np.array([alpha]))
    seen = needed + generator.normal(0, 0.01, 20_000)
    estimates = true[:2] * generator.chisquare(freedom, (2, 20_000)) / freedom
    studies = known(seen, seeds=estimates, freedom=freedom, examples=true[2])
    assert np.mean(studies.half_width(alpha) < seen) == pytest.approx(0.8, abs=0.03)


def test_what_more_seeds_can_show():
    now = known([0.0, 0.0], seeds=np.array([[3e-4], [1e-4]]), freedom=np.array([[2.0], [6.0]]))
    pairs, by = np.array([[3.0, 3.0], [7.0, 7.0]]), np.array([[10.0, 12.0], [10.0, 12.0]])
    found = detectable(now, np.array([0.05, 0.01]), pairs, by)
    for place, (seeds, alpha) in enumerate([(10, 0.05), (12, 0.01)]):
        later = known(
            0.0,
            seeds=np.array([[9e-4 / seeds], [7e-4 / seeds]]),
            freedom=np.array([[2.0 + seeds - 3], [6.0 + seeds - 7]]),
        )
        assert found[place] == pytest.approx(detectable(later, np.array([alpha]))[0])
    assert (found < detectable(now, np.array([0.05, 0.01]))).all()


def test_a_comparison_says_what_its_family_can_show():
    found = known([0.0, 0.1, 0.0], seeds=1e-4, freedom=2.0)
    three = family(found, [(3, 3), (12, 3), (12, 15)])
    for place, one in enumerate(three):
        assert one.detectable == pytest.approx(detectable(found, np.full(3, 0.05 / 3))[place])
    first, second, third = three
    expected = detectable(found, np.full(3, 0.05 / 3), np.full((2, 3), 3.0), np.full((2, 3), 10.0))
    assert first.detectable_by_more == pytest.approx(expected[0])
    assert first.detectable_by_more < second.detectable_by_more < first.detectable
    assert third.detectable_by_more == third.detectable


def test_further_examples_are_all_that_helps_where_nothing_is_random():
    (one,) = decided(known(0.0, seeds=0.0, examples=1e-4), n_seeds=3)
    expected = 0.01 * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8))
    assert one.detectable == pytest.approx(expected)
    assert one.detectable_by_more == pytest.approx(expected)


# Sentences.

ANY = Comparison(
    n_seeds=(3, 3),
    n_examples=1000,
    comparisons=1,
    margin=0.005,
    difference=0.034,
    interval=Interval(0.029, 0.039, 0.95),
    p_value=0.01,
    p_corrected=0.02,
    equivalence_p=1.0,
    outcome="better",
    detectable=0.0312,
    detectable_by_more=0.0149,
)


@pytest.mark.parametrize(
    ("outcome", "difference", "low", "high", "expected"),
    [
        ("better", 0.034, 0.029, 0.039, "nbsvm is better than avg-pool by 3.4 points (2.9 to 3.9)"),
        ("worse", -0.034, -0.039, -0.029, "nbsvm is worse than avg-pool by 3.4 points (2.9 to 3.9)"),
        (
            "equivalent",
            -0.001,
            -0.004,
            0.002,
            "nbsvm and avg-pool are equivalent within 0.5 points: "
            "avg-pool is ahead of nbsvm by 0.1 points (-0.2 to 0.4)",
        ),
        (
            "equivalent",
            0.0,
            -0.0004,
            0.0004,
            "nbsvm and avg-pool are equivalent within 0.5 points: the difference is 0.0 points (0.0 to 0.0)",
        ),
        (
            "undecided",
            0.004,
            -0.003,
            0.011,
            "nbsvm and avg-pool: undecided, nbsvm is ahead of avg-pool by 0.4 points (-0.3 to 1.1); "
            "3 seeds find 3.1 points with 80 %, 10 seeds 1.5",
        ),
    ],
)
def test_sentences(outcome, difference, low, high, expected):
    found = dataclasses.replace(
        ANY, outcome=outcome, difference=difference, interval=Interval(low, high, 0.95)
    )
    assert sentence(found, "nbsvm", "avg-pool") == expected
    if difference and outcome in ("better", "worse"):
        other = {"better": "worse", "worse": "better"}[outcome]
        assert sentence(found.turned(), "avg-pool", "nbsvm").startswith(
            f"avg-pool is {other} than nbsvm by 3.4"
        )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "3 seeds find 3.1 points with 80 %, 10 seeds 1.5"),
        ({"n_seeds": (3, 6)}, "3 and 6 seeds find 3.1 points with 80 %, 10 seeds 1.5"),
        ({"n_seeds": (12, 3)}, "12 and 3 seeds find 3.1 points with 80 %, 10 seeds 1.5"),
        ({"n_seeds": (10, 10)}, "10 seeds find 3.1 points with 80 %"),
        ({"n_seeds": (10, 15)}, "10 and 15 seeds find 3.1 points with 80 %"),
        ({"n_examples": 99}, "99 test examples are too few for a verdict, which needs 100"),
    ],
)
def test_what_the_runs_can_show_in_words(changes, expected):
    found = dataclasses.replace(ANY, **changes)
    assert reach(found) == expected
    assert sentence(dataclasses.replace(found, outcome="undecided"), "a", "b").endswith(f"; {expected}")
