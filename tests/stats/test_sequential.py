"""Comparisons while seeds are added: when they are made, their error, and whether more could decide."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from answer_tables import two_systems
from scipy import stats

from benchmark.stats.differences import Differences, differences, runs_of
from benchmark.stats.verdicts import SequentialPlan, family


@pytest.mark.parametrize(
    ("plan", "analyses"),
    [
        (SequentialPlan(10), (3, 5, 8, 10)),
        (SequentialPlan(20), (3, 5, 8, 12, 18, 20)),
        (SequentialPlan(10, first=4), (4, 6, 9, 10)),
        (SequentialPlan(5), (3, 5)),
        (SequentialPlan(4), (3, 4)),
        (SequentialPlan(3), (3,)),
        (SequentialPlan(10, first=10), (10,)),
    ],
)
def test_analyses(plan, analyses):
    assert plan.analyses == analyses


PLANS = [SequentialPlan(most, first=first) for most in (3, 4, 10, 57) for first in (3, 4, 9) if first <= most]


@pytest.mark.parametrize("plan", [*PLANS, SequentialPlan(20, first=5, level=0.9)])
def test_the_errors_of_all_analyses_add_up_to_what_is_allowed(plan):
    errors = [1 - plan.level_at(number) for number in range(len(plan.analyses))]
    assert sum(errors) == pytest.approx(1 - plan.level)
    assert min(errors) > 0


@pytest.mark.parametrize("plan", PLANS)
def test_analyses_grow_from_the_first_to_the_last(plan):
    assert (plan.analyses[0], plan.analyses[-1]) == (plan.first, plan.max_seeds)
    assert (np.diff(plan.analyses) > 0).all()
    assert len(plan.analyses) <= 3 + math.log(plan.max_seeds / plan.first, 1.5)


def test_the_spending_of_four_analyses_by_hand():
    plan = SequentialPlan(10)
    # 9, 25, 64 and 100 hundredths of 0.05 may be gone after 3, 5, 8 and 10 seeds.
    expected = [0.05 * share for share in (0.09, 0.16, 0.39, 0.36)]
    assert [1 - plan.level_at(number) for number in range(4)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_seeds": 10, "first": 2}, "first: got 2, expected at least 3"),
        ({"max_seeds": 4, "first": 5}, "max_seeds: got 4"),
        ({"max_seeds": 10, "level": 1.0}, "level: got 1.0"),
    ],
)
def test_refuses_impossible_plans(options, message):
    with pytest.raises(ValueError, match=message):
        SequentialPlan(**options)


def until_stopped(a, b, plan, **options):
    """Return the seeds at the analysis that decides, and its outcome; as the command does."""
    for number, seeds in enumerate(plan.analyses):
        pair = differences([runs_of(a[:seeds]), runs_of(b[:seeds])], [0], [1])
        (found,) = family(pair, [(seeds, seeds)], level=plan.level_at(number), **options)
        if found.outcome != "undecided":
            break
    return seeds, found.outcome


def test_stops_early_where_the_difference_is_clear():
    a, b = two_systems(n_seeds=10, n_examples=3000, gap=0.15, seed_sd=0.005)
    seeds, outcome = until_stopped(a, b, SequentialPlan(10))
    assert seeds < 10
    assert outcome == "better"


def test_stops_where_the_two_are_equivalent():
    generator = np.random.default_rng(0)
    one = np.tile(generator.random(4000) < 0.9, (10, 1))
    a, b = (one ^ (generator.random((10, 4000)) < 0.005) for _ in range(2))
    seeds, outcome = until_stopped(a, b, SequentialPlan(10), margin=0.01)
    assert seeds < 10
    assert outcome == "equivalent"


def test_equal_rows_are_called_different_no_more_often_than_allowed():
    """Seeds alone are random, and each analysis uses those of the ones before."""
    scores = np.random.default_rng(3).normal(size=(2, 10, 20_000))
    different = {}
    for kept in (True, False):
        plan, ever = SequentialPlan(10), np.zeros(20_000, dtype=bool)
        for number, seeds in enumerate(plan.analyses):
            means, variances = scores[:, :seeds].mean(axis=1), scores[:, :seeds].var(axis=1, ddof=1)
            gap, freedom = means[0] - means[1], np.full((2, 1), seeds - 1.0)
            pair = Differences(gap, gap, variances / seeds, freedom, np.zeros(20_000), 1000)
            ever |= np.abs(gap) > pair.half_width(1 - plan.level_at(number) if kept else 0.05)
        different[kept] = ever.mean()
    assert 0.01 < different[True] <= 0.05
    assert different[False] > 0.06


# Whether more seeds could decide.


def pair_of(centre, *, seeds, examples, k=3):
    """A pair with k seeds each, whose scores vary with variance `seeds` from run to run."""
    return Differences(
        mean=np.array([centre]),
        centre=np.array([centre]),
        seeds=np.full((2, 1), seeds / k),
        freedom=np.full((2, 1), k - 1.0),
        examples=np.array([examples]),
        n_examples=10_000,
    )


def half_width(alpha, k, seeds, examples):
    z, t = stats.norm.isf(alpha / 2), stats.t.isf(alpha / 2, k - 1)
    part = seeds / k
    whole = 2 * part + examples
    return math.sqrt(z**2 * whole + 2 * (t**2 - z**2) * (part / whole) ** (2 * z / (3 * t)) * part)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_the_outlook_by_hand(number):
    plan, margin, seen = SequentialPlan(10), 0.005, set()
    k = plan.analyses[number]
    grid = ([0.0, 0.001, -0.004, 0.01, 0.02, -0.05], [0.0, 1e-6, 1e-5, 1e-4], [1e-8, 1e-6, 1e-5])
    for centre, seeds, examples in itertools.product(*grid):
        could, first = False, None
        for later, alpha in zip((3, 5, 8, 10), (0.0045, 0.008, 0.0195, 0.018), strict=True):
            if later <= k:
                continue
            half = half_width(alpha, later, seeds, examples)
            # The mean over `later` seeds less that over k has this variance.
            moves = 1.96 * math.sqrt(2 * seeds * (1 / k - 1 / later))
            nearest, farthest = max(0, abs(centre) - moves), abs(centre) + moves
            could = could or farthest > half or nearest + half < margin
            if first is None and (abs(centre) > half or abs(centre) + half < margin):
                first = later
        pair = pair_of(centre, seeds=seeds, examples=examples, k=k)
        assert plan.outlook(pair, number, margin) == (could, first)
        seen.add((could, first))
    expected = {
        0: {(False, None), (True, None), (True, 5), (True, 8)},
        1: {(False, None), (True, 8)},
        3: set(),
    }
    assert seen >= expected[number]


def test_in_vain_where_the_test_set_is_the_limit():
    plan, pair = SequentialPlan(10), pair_of(0.006, seeds=1e-6, examples=1e-4)
    assert plan.outlook(pair, 0, 0.005) == (False, None)
    assert plan.outlook(pair, 0, 0.5) == (True, 5)  # equivalence within so much is near


def test_not_in_vain_where_seeds_are_the_limit():
    plan = SequentialPlan(20)
    assert plan.outlook(pair_of(0.03, seeds=1e-4, examples=1e-6), 0, 0.005) == (True, 8)
    assert plan.outlook(pair_of(0.013, seeds=1e-4, examples=1e-6), 0, 0.005) == (True, 12)
    assert plan.outlook(pair_of(0.006, seeds=1e-4, examples=1e-6), 0, 0.005) == (True, None)  # it may change


def test_after_the_last_analysis_nothing_follows():
    assert SequentialPlan(3).outlook(pair_of(0.03, seeds=1e-4, examples=0.0), 0, 0.005) == (False, None)


def test_what_is_called_in_vain_is_seldom_decided_later():
    """Rows that three seeds do not tell apart are trained on to the end, whatever the outlook."""
    generator, plan, examples = np.random.default_rng(5), SequentialPlan(10), 6e-6
    scores = generator.normal(0, 0.003, (2, 10, 500))
    gaps = 0.004 + generator.normal(0, math.sqrt(examples), 500)
    verdicts = []
    for number, k in enumerate(plan.analyses):
        gap = gaps + scores[0, :k].mean(axis=0) - scores[1, :k].mean(axis=0)
        variances = scores[:, :k].var(axis=1, ddof=1) / k
        pairs = Differences(gap, gap, variances, np.full((2, 500), k - 1.0), np.full(500, examples), 10_000)
        half = pairs.half_width(1 - plan.level_at(number))
        verdicts.append((np.abs(gap) > half) | (np.abs(gap) + half < 0.005))
        if number == 0:
            alone = [
                Differences(*(part[..., one : one + 1] for part in dataclasses.astuple(pairs)[:5]), 10_000)
                for one in range(500)
            ]
            vain = ~verdicts[0] & [not plan.outlook(pair, 0, 0.005)[0] for pair in alone]
    assert 50 < vain.sum() < 450
    assert np.any(verdicts[1:], axis=0)[vain].mean() <= 0.1
