"""The hierarchical bootstrap beside the interval of the verdicts."""

import numpy as np
import pytest
from answer_tables import two_systems

from benchmark.stats.crossed import hierarchical_bootstrap, interval_of_mean, mean_squares


def difference(**options):
    a, b = two_systems(**options)
    return a.astype(np.int64) - b


@pytest.mark.parametrize("n_seeds", [6, 10, 20])
@pytest.mark.parametrize("level", [0.9, 0.99])
def test_is_about_as_wide_as_the_interval_of_the_verdicts(n_seeds, level):
    table = difference(n_seeds=n_seeds, n_examples=3000)
    ours, (low, high) = hierarchical_bootstrap(table, level), interval_of_mean(mean_squares(table), level)
    assert ours.high - ours.low == pytest.approx(high - low, rel=0.12)
    assert ours.level == level


def test_reaches_beyond_the_best_of_three_seeds():
    # Whatever is drawn from three seeds lies between the smallest and the largest of them, and one resample
    # in 27 has the largest three times.
    interval = hierarchical_bootstrap(np.repeat([[-1], [0], [1]], 100, axis=1))
    reach = np.sqrt(3 / 2) * 4.302653 / 1.959964
    assert (interval.low, interval.high) == (pytest.approx(-reach), pytest.approx(reach))


def test_same_table_same_interval_whatever_the_order():
    table = difference()
    generator = np.random.default_rng(0)
    turned = generator.permutation(generator.permutation(table, axis=0), axis=1)
    assert hierarchical_bootstrap(turned) == hierarchical_bootstrap(table)
    assert hierarchical_bootstrap(table, seed=1) != hierarchical_bootstrap(table)


@pytest.mark.parametrize("seed", range(5))
def test_is_mirrored_when_the_systems_change_places(seed):
    table = difference(seed=seed, gap=0.0, n_seeds=3)
    one, other = hierarchical_bootstrap(table), hierarchical_bootstrap(-table)
    assert (one.low, one.high) == (-other.high, -other.low)


@pytest.mark.parametrize("value", [0, 1, -1])
def test_constant_tables_have_no_width(value):
    interval = hierarchical_bootstrap(np.full((3, 10), value))
    assert (interval.low, interval.high) == (pytest.approx(value), pytest.approx(value))


def test_a_system_without_anything_random_leaves_the_examples():
    row = np.random.default_rng(2).integers(-1, 2, 2000)
    interval = hierarchical_bootstrap(np.tile(row, (5, 1)))
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * row.std() / np.sqrt(2000), rel=0.05)
