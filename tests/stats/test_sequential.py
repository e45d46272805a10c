"""Looks after each added seed."""

import numpy as np
import pytest
from answer_tables import answers, two_systems

from benchmark.stats.comparisons import compare
from benchmark.stats.verdicts import SequentialPlan, take_look


@pytest.mark.parametrize(
    ("plan", "looks"),
    [
        (SequentialPlan(10), (3, 4, 5, 6, 7, 8, 9, 10)),
        (SequentialPlan(10, first=4, step=4), (4, 8, 10)),
        (SequentialPlan(3), (3,)),
        (SequentialPlan(9, first=3, step=3), (3, 6, 9)),
    ],
)
def test_looks(plan, looks):
    assert plan.looks == looks


@pytest.mark.parametrize("plan", [SequentialPlan(10), SequentialPlan(20, first=5, step=4, level=0.9)])
def test_the_errors_of_all_looks_add_up_to_what_is_allowed(plan):
    errors = [1 - plan.level_at(look) for look in range(len(plan.looks))]
    assert sum(errors) == pytest.approx(1 - plan.level)
    assert min(errors) > 0


def test_the_spending_of_three_looks_by_hand():
    plan = SequentialPlan(9, first=3, step=3)
    # A ninth, four ninths and nine ninths of 0.05 may be gone.
    assert [1 - plan.level_at(look) for look in range(3)] == pytest.approx([0.05 / 9, 0.15 / 9, 0.25 / 9])


def until_stopped(a, b, plan, **options):
    for look, seeds in enumerate(plan.looks):
        comparison, found, stop = take_look(a[:seeds], b[:seeds], plan, look, **options)
        assert comparison.n_seeds == seeds
        if stop:
            return seeds, found
    raise AssertionError("the last look must stop")


def test_stops_early_where_the_difference_is_clear():
    a, b = two_systems(n_seeds=10, n_examples=3000, gap=0.15, seed_sd=0.005)
    seeds, found = until_stopped(a, b, SequentialPlan(10))
    assert seeds < 10
    assert found.outcome == "better"


def test_stops_where_the_two_are_equivalent():
    generator = np.random.default_rng(0)
    a = generator.random((10, 4000)) < 0.9
    b = np.where(generator.random((10, 4000)) < 0.005, ~a, a)
    seeds, found = until_stopped(a, b, SequentialPlan(10), margin=0.01)
    assert seeds < 10
    assert found.outcome == "equivalent"


def test_goes_on_to_the_last_look_and_stops_there():
    a, b = two_systems(n_seeds=6, gap=0.0, n_examples=500)
    seeds, found = until_stopped(a, b, SequentialPlan(6))
    assert seeds == 6
    assert found.outcome == "undecided"


def test_a_look_is_stricter_than_a_single_comparison():
    a, b = two_systems(n_seeds=10)
    comparison, *_ = take_look(a, b, SequentialPlan(10), 2)  # further rows are not read
    assert comparison == compare(a[:5], b[:5], level=SequentialPlan(10).level_at(2))
    assert comparison.interval.low < compare(a[:5], b[:5]).interval.low


def test_a_look_needs_its_seeds():
    a = answers(5, 6, 7, n_examples=10)
    with pytest.raises(ValueError, match="look 1: got 3 seeds, expected 4"):
        take_look(a, a, SequentialPlan(10), 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_seeds": 10, "first": 2}, "first: got 2, expected at least 3"),
        ({"max_seeds": 4, "first": 5}, "max_seeds: got 4"),
        ({"max_seeds": 10, "step": 0}, "step: got 0"),
        ({"max_seeds": 10, "level": 1.0}, "level: got 1.0"),
    ],
)
def test_refuses_impossible_plans(options, message):
    with pytest.raises(ValueError, match=message):
        SequentialPlan(**options)
