"""The interval of a mean over seeds and examples: its parts by hand, and its error rate by integration."""

import numpy as np
import pytest
from answer_tables import two_systems

from benchmark.stats.crossed import (
    critical_value,
    interval_of_mean,
    mean_squares,
    mean_squares_from_sums,
    p_values,
)


def difference(**options):
    a, b = two_systems(**options)
    return a.astype(np.int64) - b


def test_mean_squares_by_hand():
    # Rows 1 1 0 / 1 0 -1: row means 2/3 and 0, column means 1, 1/2, -1/2, mean 1/3.
    squares = mean_squares(np.array([[1, 1, 0], [1, 0, -1]]))
    assert squares.mean == pytest.approx(1 / 3)
    assert squares.seeds == pytest.approx(3 * 2 * (1 / 3) ** 2)
    assert squares.examples == pytest.approx(2 * ((2 / 3) ** 2 + (1 / 6) ** 2 + (5 / 6) ** 2) / 2)
    # All squares: 4 less 6 times a ninth; what rows (2/3) and columns (7/3) leave has 2 degrees of freedom.
    assert squares.interaction == pytest.approx((4 - 6 / 9 - 2 / 3 - 7 / 3) / 2)


def test_agrees_with_an_analysis_of_variance_by_least_squares():
    ols = pytest.importorskip("statsmodels.formula.api").ols
    from statsmodels.stats.anova import anova_lm

    table = difference(n_seeds=3, n_examples=15)
    rows, columns = np.indices(table.shape)
    data = {"y": table.ravel(), "seed": rows.ravel(), "example": columns.ravel()}
    expected = anova_lm(ols("y ~ C(seed) + C(example)", data).fit())["mean_sq"]
    squares = mean_squares(table)
    assert squares.seeds == pytest.approx(expected["C(seed)"])
    assert squares.examples == pytest.approx(expected["C(example)"])
    assert squares.interaction == pytest.approx(expected["Residual"])


def test_components_of_a_large_table_are_those_it_was_made_with():
    generator = np.random.default_rng(3)
    seeds, examples = generator.normal(0, 10, (400, 1)), generator.normal(0, 30, (1, 400))
    table = np.rint(seeds + examples + generator.normal(0, 50, (400, 400))).astype(int)
    assert mean_squares(table).components == pytest.approx((100, 900, 2500), rel=0.15)


def test_noise_of_single_answers_is_counted_once():
    generator = np.random.default_rng(4)
    tables = generator.integers(-1, 2, (300, 10, 500))
    variances = [mean_squares(table).variance for table in tables]
    assert np.mean(variances) == pytest.approx((2 / 3) / 5000, rel=0.1)
    assert np.mean(variances) == pytest.approx(tables.mean(axis=(1, 2)).var(), rel=0.25)


def test_is_student_t_where_only_seeds_differ():
    from scipy import stats

    table = np.repeat([[3], [5], [10]], 50, axis=1)  # all examples alike
    interval = interval_of_mean(mean_squares(table), 0.9)
    low, high = stats.t.interval(0.9, 2, loc=6, scale=stats.sem([3, 5, 10]))
    assert interval == (pytest.approx(low), pytest.approx(high))
    assert p_values(mean_squares(table)) == pytest.approx(stats.ttest_1samp([3, 5, 10], 0).pvalue)


def test_is_normal_where_only_examples_differ():
    from scipy import stats

    row = np.arange(1000) % 7 - 2
    squares = mean_squares(np.tile(row, (3, 1)))  # a system without anything random
    interval = interval_of_mean(squares, 0.95)
    low, high = stats.norm.interval(0.95, loc=row.mean(), scale=stats.sem(row))
    assert interval == (pytest.approx(low), pytest.approx(high))


@pytest.mark.parametrize("n_seeds", [3, 4, 6, 10, 20])
@pytest.mark.parametrize(("alpha", "most", "least"), [(0.05, 1.004, 0.62), (0.001, 1.055, 0.04)])
def test_error_rate_by_integration_over_the_seeds_variance(n_seeds, alpha, most, least):
    """A mean whose variance is known from seeds in one part and exactly in the other.

    Satterthwaite's degrees of freedom fail this at three seeds (1.6 and 17 times alpha), as does Student's
    t of the seeds alone.
    """
    from scipy.special import chdtri, ndtr

    nodes = (np.arange(2000) + 0.5) / 2000
    tail, weights = nodes**3, 3 * nodes**2 / 2000  # more nodes where the estimate is near 0
    estimate = chdtri(n_seeds - 1, 1 - tail) / (n_seeds - 1)
    share = np.linspace(0, 1, 41)[:, None]
    variance = share * estimate + 1 - share
    factor = critical_value(alpha, n_seeds, share * estimate / variance)
    rates = (weights * 2 * ndtr(-factor * np.sqrt(variance))).sum(axis=1) / alpha
    assert rates.max() <= most
    assert rates.min() >= least


def test_p_value_and_interval_never_disagree():
    for seed in range(40):
        squares = mean_squares(difference(seed=seed, n_seeds=3, gap=0.03))
        p = float(p_values(squares))
        assert (p < 0.05) == (interval_of_mean(squares, 0.95)[0] > 0)
        touching = interval_of_mean(squares, 1 - p)
        assert min(map(abs, touching)) < 1e-9


def test_tiny_p_values_are_numbers():
    table = np.array([[1] * 999 + [0]] * 3)
    assert 0 < p_values(mean_squares(table)) <= 1e-200


def test_many_tables_at_once_are_each_alone():
    tables = np.stack([difference(seed=seed, n_examples=200) for seed in range(5)])
    columns = tables.sum(axis=1)
    many = mean_squares_from_sums(
        tables.sum(axis=2), (columns**2).sum(axis=1), (tables**2).sum(axis=(1, 2)), 200
    )
    for place, table in enumerate(tables):
        one = mean_squares(table)
        assert many.seeds[place] == one.seeds
        assert many.interaction[place] == one.interaction
        assert p_values(many)[place] == p_values(one)


def test_agreement_of_few_seeds_does_not_make_the_interval_vanish():
    # Equal row totals by chance: the seeds show no spread at all, the single answers do.
    table = np.array([[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1]])
    squares = mean_squares(np.tile(table, 50))
    assert squares.seeds == squares.examples == 0
    assert squares.variance == pytest.approx(squares.interaction / 900 / 2)
    assert p_values(squares) < 0.05


def test_the_order_of_seeds_and_examples_plays_no_part():
    table = difference()
    generator = np.random.default_rng(0)
    turned = generator.permutation(generator.permutation(table, axis=0), axis=1)
    assert interval_of_mean(mean_squares(turned), 0.95) == interval_of_mean(mean_squares(table), 0.95)


@pytest.mark.parametrize(("value", "p"), [(0, 1), (1, 0), (-1, 0)])
def test_constant_tables(value, p):
    squares = mean_squares(np.full((3, 10), value))
    interval = interval_of_mean(squares, 0.95)
    assert interval == (value, value)
    assert p_values(squares) == p


@pytest.mark.filterwarnings("error")
def test_p_values_near_1_give_no_warnings():
    share = np.array([0.0, 0.3, 1.0])
    for n_seeds in range(2, 12):  # SciPy's quantile is 0 at some of these
        for alpha in (1e-200, 0.5, 1 - 1e-9, 1 - 1e-12, 1.0):
            found = critical_value(alpha, n_seeds, share)
            assert (np.diff(found) >= 0).all()
            assert np.isfinite(found).all()
        table = np.zeros((n_seeds, 40), dtype=np.int64)
        table[0, :3], table[-1, 3:6], table[0, 10] = 1, -1, 1
        assert 0.5 < p_values(mean_squares(table)) <= 1
