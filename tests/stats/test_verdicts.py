"""Verdicts, sentences, Holm's correction and ranks."""

import dataclasses
import itertools

import numpy as np
import pytest
from answer_tables import two_systems

from benchmark.stats.comparisons import Components, compare
from benchmark.stats.crossed import critical_value
from benchmark.stats.intervals import Interval
from benchmark.stats.verdicts import Verdict, holm, sentence, shared_ranks, verdict

ANY = compare(*two_systems(n_seeds=4))


def comparison(difference, low, high, *, p=0.01, seeds=1e-4, examples=0.04, interaction=0.06, **changes):
    parts = Components(seeds, examples, interaction)
    changes = {"n_examples": 10_000, "margin": 0.005, "p_value": p, "components": parts, **changes}
    return dataclasses.replace(ANY, difference=difference, interval=Interval(low, high, 0.95), **changes)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.001, 0.02, "better"),
        (-0.02, -0.001, "worse"),
        (-0.004, 0.005, "equivalent"),
        (0.001, 0.004, "equivalent"),  # real, but smaller than what matters
        (-0.004, -0.001, "equivalent"),
        (-0.001, 0.02, "undecided"),
        (0.0, 0.02, "undecided"),  # the interval does not exclude 0
        (-0.006, 0.001, "undecided"),
    ],
)
def test_outcomes(low, high, expected):
    assert verdict(comparison((low + high) / 2, low, high)).outcome == expected


def test_a_board_needs_the_corrected_p_value_too():
    found = comparison(0.01, 0.001, 0.02, p=0.01)
    assert verdict(found, 0.04).outcome == "better"
    assert verdict(found, 0.06).outcome == "undecided"
    assert verdict(found, 0.06).more_seeds >= 1
    undecided = comparison(0.01, -0.002, 0.022, p=0.06)
    assert verdict(undecided, 0.5).more_seeds > verdict(undecided).more_seeds


def test_further_seeds_are_those_that_would_decide():
    found = comparison(0.01, -0.002, 0.022)
    result = verdict(found)
    assert result.more_seeds > 0

    def half_width(seeds):
        from_seeds, from_examples = (1e-4 + 0.06 / 10_000) / seeds, 0.04 / 10_000
        variance = from_seeds + from_examples
        return float(critical_value(0.05, seeds, np.array(from_seeds / variance))) * np.sqrt(variance)

    enough = found.n_seeds + result.more_seeds
    assert half_width(enough) < 0.01 <= half_width(enough - 1)


def test_seeds_can_also_show_equivalence():
    result = verdict(comparison(0.0001, -0.006, 0.0062, seeds=1e-5, examples=0.001))
    assert 0 < result.more_seeds < 20


def test_where_the_test_set_is_the_limit():
    found = comparison(0.006, -0.01, 0.022, examples=0.2, n_examples=1_000)
    assert verdict(found) == Verdict("undecided", None, test_set_is_limit=True)
    assert sentence(found, "a", "b").endswith(
        "no number of seeds would decide if this difference stays: 1,000 test examples are too few"
    )


def test_where_it_would_take_more_seeds_than_anyone_has():
    found = comparison(0.0051, -0.2, 0.2, seeds=0.01, examples=0.0)
    assert verdict(found) == Verdict("undecided", None, test_set_is_limit=False)
    assert sentence(found, "a", "b").endswith("more than 1,000 seeds would be needed")


@pytest.mark.parametrize(("n_seeds", "more"), [(1, 2), (2, 1)])
def test_below_three_seeds(n_seeds, more):
    found = compare(*two_systems(n_seeds=n_seeds))
    assert verdict(found) == Verdict("undecided", more)
    assert (
        sentence(found, "lstm", "cnn")
        == f"lstm and cnn: undecided, no interval: needs 3 seeds, has {n_seeds}"
    )


@pytest.mark.parametrize(
    ("difference", "low", "high", "expected"),
    [
        (0.034, 0.029, 0.039, "nbsvm is better than avg-pool by 3.4 points (2.9 to 3.9)"),
        (-0.034, -0.039, -0.029, "nbsvm is worse than avg-pool by 3.4 points (2.9 to 3.9)"),
        (
            -0.001,
            -0.004,
            0.002,
            "nbsvm and avg-pool are equivalent within 0.5 points: "
            "avg-pool is ahead of nbsvm by 0.1 points (-0.2 to 0.4)",
        ),
        (
            0.0,
            0.0,
            0.0,
            "nbsvm and avg-pool are equivalent within 0.5 points: the difference is 0.0 points (0.0 to 0.0)",
        ),
    ],
)
def test_sentences(difference, low, high, expected):
    assert sentence(comparison(difference, low, high), "nbsvm", "avg-pool") == expected


def test_sentence_of_what_is_undecided():
    found = comparison(0.004, -0.003, 0.011)
    more = verdict(found).more_seeds
    assert sentence(found, "a", "b") == (
        f"a and b: undecided, a is ahead of b by 0.4 points (-0.3 to 1.1); "
        f"about {more} more seeds would decide if this difference stays"
    )


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6, None]) == [1.0, 1.0, None]
    assert holm([]) == []


@pytest.mark.parametrize("seed", range(4))
def test_holm_agrees_with_statsmodels(seed):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(seed).beta(0.3, 2, size=45).round(3)
    assert holm(p.tolist()) == pytest.approx(multitest.multipletests(p, method="holm")[1])


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_holm_refuses_what_is_no_probability(bad):
    with pytest.raises(ValueError, match="p_values"):
        holm([0.1, bad])


def matrix(n, *pairs):
    table = np.zeros((n, n), dtype=bool)
    for i, j in pairs:
        table[i, j] = table[j, i] = True
    return table


@pytest.mark.parametrize(
    ("means", "pairs", "expected"),
    [
        ([0.9, 0.8, 0.7], [], [1, 1, 1]),
        ([0.9, 0.8, 0.7], [(0, 1), (0, 2), (1, 2)], [1, 2, 3]),
        ([0.9, 0.8, 0.7], [(0, 1), (0, 2)], [1, 2, 2]),
        ([0.9, 0.8, 0.7], [(0, 2)], [1, 1, 2]),  # a chain: 2 is separated from neither
        ([0.9, 0.8, 0.7], [(0, 2), (1, 2)], [1, 1, 3]),
        ([0.7, 0.9, 0.8], [(0, 1), (0, 2), (1, 2)], [3, 1, 2]),
        ([0.9, 0.8, 0.7], [(0, 1)], [1, 2, 2]),  # the last is noisy: no better rank than the row above it
        ([0.9, 0.9, 0.7], [(0, 2)], [1, 1, 2]),
        ([0.9, 0.9], [(0, 1)], [1, 1]),  # nobody is better
        ([0.9], [], [1]),
        ([], [], []),
    ],
)
def test_ranks(means, pairs, expected):
    assert shared_ranks(means, matrix(len(means), *pairs)) == expected


def test_ranks_do_not_depend_on_the_order_of_rows():
    generator = np.random.default_rng(0)
    for _ in range(50):
        means = generator.integers(80, 84, size=5) / 100  # with ties
        pairs = [pair for pair in itertools.combinations(range(5), 2) if generator.random() < 0.5]
        table = matrix(5, *pairs)
        ranks = shared_ranks(means.tolist(), table)
        order = generator.permutation(5)
        assert shared_ranks(means[order].tolist(), table[np.ix_(order, order)]) == [ranks[i] for i in order]
        by_mean = sorted(zip(-means, ranks, strict=True))
        assert [rank for _, rank in by_mean] == sorted(ranks)
