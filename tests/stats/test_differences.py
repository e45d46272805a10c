"""Differences of rows: their variance example by example, and the error rate of intervals by integration."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from answer_tables import answers, two_systems
from scipy import stats

from benchmark.stats.differences import (
    Differences,
    Runs,
    borrowing,
    differences,
    paired_differences,
    runs_of,
)


def pair_of(a, b):
    return differences([runs_of(a), runs_of(b)], [0], [1])


def known(seeds=(0.0, 0.0), freedom=(2.0, 2.0), examples=0.0, centre=0.0):
    """Differences with the parts of their variance given; any of them may be an array."""
    parts = np.broadcast_arrays(*seeds, examples, centre)
    return Differences(
        mean=np.atleast_1d(parts[3]).astype(float),
        centre=np.atleast_1d(parts[3]).astype(float),
        seeds=np.stack([np.atleast_1d(part) for part in parts[:2]]).astype(float),
        freedom=np.array(freedom, dtype=float)[:, None],
        examples=np.atleast_1d(parts[2]).astype(float),
        n_examples=10**9,
    )


def tables(kind, sizes=(3, 4, 6, 10), n_examples=120):
    generator = np.random.default_rng(len(kind))
    ease = generator.beta(4, 0.8, n_examples)
    found = []
    for number, k in enumerate(sizes):
        shares = np.clip(ease - 0.03 * number + generator.normal(0, 0.02, (k, 1)), 0.001, 0.999)
        right = generator.random((k, n_examples)) < shares
        found.append(right if kind == "answers" else np.where(right, -np.log(shares), -np.log1p(-shares)))
    return found


# One row's runs.


def test_a_row_by_hand():
    # Rows 1 1 0 / 1 0 1 / 0 0 1: scores 2/3, 2/3 and 1/3; examples 2/3, 1/3, 2/3; mean 5/9.
    row = runs_of(np.array([[1, 1, 0], [1, 0, 1], [0, 0, 1]], dtype=bool))
    assert (row.n_seeds, row.freedom) == (3, 2)
    assert row.profile == pytest.approx([2 / 3, 1 / 3, 2 / 3])
    assert row.mean == pytest.approx(5 / 9)
    # All squares 5, less 9 times 25/81, less scores (6/27) and examples (6/27), on 4 degrees of freedom.
    assert row.interaction == pytest.approx((5 - 25 / 9 - 2 / 9 - 2 / 9) / 4)
    assert row.variance == pytest.approx(row.interaction / 3)  # the scores vary less: 1/27


@pytest.mark.parametrize("kind", ["answers", "losses"])
def test_a_row_agrees_with_an_analysis_of_variance_by_least_squares(kind):
    ols = pytest.importorskip("statsmodels.formula.api").ols
    from statsmodels.stats.anova import anova_lm

    table = tables(kind, sizes=(4,), n_examples=15)[0]
    rows, columns = np.indices(table.shape)
    data = {"y": table.astype(float).ravel(), "seed": rows.ravel(), "example": columns.ravel()}
    expected = anova_lm(ols("y ~ C(seed) + C(example)", data).fit())["mean_sq"]
    row = runs_of(table)
    assert row.interaction == pytest.approx(expected["Residual"])
    assert row.variance == pytest.approx(max(expected["C(seed)"], expected["Residual"]) / 15)


def test_runs_that_agree_by_chance_in_their_scores_still_vary():
    row = runs_of(np.tile(np.eye(3), 20))  # each run has a third right, each a different third
    assert row.variance == row.interaction / 60 > 0


def test_runs_without_anything_random_do_not_vary():
    row = runs_of(np.tile(np.random.default_rng(0).random(50), (3, 1)))
    assert (row.interaction, row.variance, row.freedom) == (0, 0, 2)


@pytest.mark.parametrize(
    "table",
    [
        np.ones((2, 10)),
        np.ones((3, 1)),
        np.ones(5),
        np.full((3, 4), np.nan),
        np.where(np.eye(3, 4) > 0, np.inf, 0),
    ],
)
def test_refuses_other_tables(table):
    with pytest.raises(ValueError, match="table: "):
        runs_of(table)


# The variance of a difference.


def mean_square_of_interaction(table):
    k, n = table.shape
    total = 0.0
    for seed, example in itertools.product(range(k), range(n)):
        expected = table[seed].mean() + table[:, example].mean() - table.mean()
        total += (table[seed, example] - expected) ** 2
    return total / ((k - 1) * (n - 1))


def example_by_example(a, b):
    """Centre, variances over seeds, and variance over examples, as the documentation has them."""
    a, b = a.astype(float), b.astype(float)
    n = a.shape[1]
    each = np.array([a[:, example].mean() - b[:, example].mean() for example in range(n)])
    noise = [mean_square_of_interaction(table) for table in (a, b)]
    over_seeds = [
        max(table.mean(axis=1).var(ddof=1), one / n) / len(table)
        for table, one in zip((a, b), noise, strict=True)
    ]
    of_answers = noise[0] / len(a) + noise[1] / len(b)
    kept = max(0.0, each.var(ddof=1) - of_answers) / each.var(ddof=1)
    shrunk = each.mean() + math.sqrt(kept) * (each - each.mean())
    added = np.append(shrunk, [1.0, -1.0])  # an example that each row alone has right
    return added.mean(), over_seeds, added.var() / added.size


@pytest.mark.parametrize("kind", ["answers", "losses"])
def test_all_pairs_at_once_are_each_pair_example_by_example(kind):
    all_tables = tables(kind)
    couples = list(itertools.permutations(range(4), 2))
    found = differences([runs_of(table) for table in all_tables], *zip(*couples, strict=True))
    assert found.n_examples == 120
    for place, (i, j) in enumerate(couples):
        centre, over_seeds, over_examples = example_by_example(all_tables[i], all_tables[j])
        assert found.mean[place] == pytest.approx(all_tables[i].mean() - all_tables[j].mean())
        assert found.centre[place] == pytest.approx(centre)
        assert found.seeds[:, place] == pytest.approx(over_seeds)
        assert found.examples[place] == pytest.approx(over_examples)
        assert found.freedom[:, place].tolist() == [len(all_tables[i]) - 1, len(all_tables[j]) - 1]
        one = pair_of(all_tables[i], all_tables[j])
        assert one.p_values()[0] == pytest.approx(found.p_values()[place], rel=1e-6)
        assert one.half_width(0.01)[0] == pytest.approx(found.half_width(0.01)[place], rel=1e-9)


def test_single_answers_are_not_counted_twice():
    """The variance that is claimed of differences is that which they have, over new seeds and examples."""
    generator = np.random.default_rng(4)
    found = []
    for _ in range(1500):
        ease, apart = generator.choice([0.3, 0.7], 300), generator.choice([-0.1, 0.1], 300)
        luck = generator.normal(0, 0.05, (2, 4, 1))  # seldom below what single answers vary by
        a, b = (generator.random((4, 300)) < ease + sign * apart + luck[(sign + 1) // 2] for sign in (1, -1))
        pair = pair_of(a, b)
        found.append((pair.mean[0], pair.seeds.sum(), pair.examples[0] - 2 / 302**2))
    mean, seeds, examples = np.array(found).T
    assert seeds.mean() + examples.mean() == pytest.approx(mean.var(), rel=0.12)
    assert examples.mean() == pytest.approx(0.04 / 300, rel=0.05)  # of the differences ± 0.2


def test_pairing_matters():
    # Both rows find the same examples hard; with other examples for B, the difference is less sure.
    generator = np.random.default_rng(0)
    ease = np.where(generator.random(4000) < 0.15, 0.1, 0.98)
    a, b = generator.random((2, 5, 4000)) < ease
    assert pair_of(a, generator.permutation(b, axis=1)).half_width(0.05) > 2 * pair_of(a, b).half_width(0.05)


def test_the_other_way_round_is_the_same_mirrored():
    a, b = two_systems(n_seeds=7, gap=0.03)
    one, other = pair_of(a[:4], b), pair_of(b, a[:4])
    assert other.mean == -one.mean
    assert other.centre == -one.centre
    assert other.seeds[::-1].tolist() == one.seeds.tolist()
    assert other.examples == pytest.approx(one.examples, rel=1e-12)
    assert other.p_values() == pytest.approx(one.p_values(), rel=1e-9)
    assert other.equivalence_p_values(0.1) == pytest.approx(one.equivalence_p_values(0.1), rel=1e-9)


def test_the_order_of_seeds_and_examples_plays_no_part():
    a, b = two_systems(n_seeds=6)
    generator = np.random.default_rng(0)
    examples = generator.permutation(a.shape[1])
    one, turned = pair_of(a, b), pair_of(generator.permutation(a, axis=0)[:, examples], b[::-1, examples])
    assert turned.p_values() == pytest.approx(one.p_values(), rel=1e-9)
    assert turned.half_width(0.05) == pytest.approx(one.half_width(0.05), rel=1e-12)


def test_a_row_without_anything_random_takes_no_seeds_from_the_other():
    # All examples have the same difference, so that the seeds of B are all that is random.
    scores = np.array([0.84, 0.81, 0.86, 0.83, 0.82, 0.85, 0.79])
    b = np.tile(scores[:, None], 400)
    pair = differences([runs_of(np.full((3, 400), 0.9)), runs_of(b)], [0], [1])
    assert pair.seeds[:, 0] == pytest.approx([0, scores.var(ddof=1) / 7])
    _, high = stats.t.interval(0.99, 6, scale=stats.sem(scores))
    assert np.sqrt(pair.half_width(0.01) ** 2 - stats.norm.ppf(0.995) ** 2 * pair.examples) == pytest.approx(
        high, rel=0.02
    )


@pytest.mark.parametrize(("only_a", "only_b", "both"), [(30, 12, 140), (3, 0, 197), (0, 0, 100), (7, 7, 0)])
def test_two_rows_without_anything_random_by_the_published_formula(only_a, only_b, both):
    # Bonett and Price (2012), equation 4, with counts of a table of two by two.
    n = 200
    a = np.repeat([True, False, True, False], [only_a, only_b, both, n - only_a - only_b - both])
    b = np.repeat([False, True, True, False], [only_a, only_b, both, n - only_a - only_b - both])
    p12, p21, z = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2), stats.norm.ppf(0.975)
    half = z * math.sqrt((p12 + p21 - (p12 - p21) ** 2) / (n + 2))
    pair = pair_of(np.tile(a, (3, 1)), np.tile(b, (5, 1)))
    assert pair.centre[0] == pytest.approx(p12 - p21)
    assert pair.half_width(0.05)[0] == pytest.approx(half)
    assert pair.p_values()[0] == pytest.approx(2 * stats.norm.sf(abs(p12 - p21) * z / half), abs=1e-12)


def test_large_tables_stay_exact():
    generator = np.random.default_rng(0)
    a = generator.random((3, 200_000)) < 0.9
    b = a ^ (generator.random((3, 200_000)) < 1e-4)
    found, (centre, over_examples) = pair_of(a, b), in_whole_numbers(a, b)
    assert found.centre[0] == pytest.approx(centre, rel=1e-9)
    assert found.examples[0] == pytest.approx(over_examples, rel=1e-9)


def in_whole_numbers(a, b):
    """Centre and variance over examples from sums that are exact; both rows have 3 runs."""
    n = a.shape[1]
    each = a.sum(axis=0).astype(int) - b.sum(axis=0)
    noise = 0.0
    for table in (a, b):
        rows, columns = (int((table.sum(axis=axis).astype(int) ** 2).sum()) for axis in (1, 0))
        total = int(table.sum())
        cells = total - rows / n - columns / 3 + total**2 / (3 * n)
        noise += cells / (2 * (n - 1)) / 3
    spread = (int((each**2).sum()) - int(each.sum()) ** 2 / n) / 9
    spread = max(0.0, spread - (n - 1) * noise)
    mean, size = each.sum() / 3 / n, n + 2
    centre = mean * n / size
    return centre, ((spread + n * mean**2 + 2) / size - centre**2) / size


# The half-width.


@pytest.mark.parametrize("freedom", [1.0, 2.0, 3.7, 20.0, 400.0])
@pytest.mark.parametrize("alpha", [0.05, 0.001, 1e-6])
def test_is_student_t_where_one_row_has_all_of_the_variance(freedom, alpha):
    quantile = stats.t.isf(alpha / 2, freedom)
    for place in (0, 1):
        parts, degrees = [0.0, 0.0], [2.0, 2.0]
        parts[place], degrees[place] = 0.09, freedom
        assert known(parts, degrees).half_width(alpha)[0] == pytest.approx(0.3 * quantile)


@pytest.mark.parametrize("alpha", [0.05, 0.001, 1e-6])
def test_is_normal_where_examples_have_all_of_the_variance(alpha):
    assert known(examples=0.09).half_width(alpha)[0] == pytest.approx(0.3 * stats.norm.isf(alpha / 2))
    many = known((0.04, 0.01), (1e9, 1e9), 0.04)
    assert many.half_width(alpha)[0] == pytest.approx(0.3 * stats.norm.isf(alpha / 2))


def test_the_half_width_by_hand():
    z, t, u = (float(quantile.isf(0.005)) for quantile in (stats.norm, stats.t(2), stats.t(9)))
    expected = z**2 * 10
    expected += (t**2 - z**2) * 0.3 ** (2 * z / (3 * t)) * 3
    expected += (u**2 - z**2) * 0.5 ** (2 * z / (3 * u)) * 5
    assert known((3, 5), (2, 9), 2).half_width(0.01)[0] == pytest.approx(math.sqrt(expected))


def test_is_narrower_than_banerjees_and_wider_than_that_of_known_variances():
    shares = np.linspace(0.05, 0.9, 15)
    for alpha, df in itertools.product((0.05, 0.001), ((2, 2), (3, 12), (20, 20))):
        found = known((0.6 * shares, 0.4 * shares), df, 1 - shares).half_width(alpha)
        z, *ts = (stats.norm.isf(alpha / 2), *(stats.t.isf(alpha / 2, d) for d in df))
        banerjee = np.sqrt(ts[0] ** 2 * 0.6 * shares + ts[1] ** 2 * 0.4 * shares + z**2 * (1 - shares))
        assert (found < banerjee).all()
        assert (found > z).all()


def test_more_seeds_and_an_error_for_each_pair():
    # Two pairs, so that errors by pair could be mistaken for errors by row.
    pair = known((np.array([3.0, 1.0]), np.array([5.0, 1.0])), (2, 9), 2)
    found = pair.half_width(np.array([0.05, 0.001]))
    assert found.tolist() == [pair.half_width(0.05)[0], pair.half_width(0.001)[1]]
    halved = known((np.array([1.5, 0.5]), np.array([2.5, 0.5])), (2, 9), 2)
    assert pair.half_width(0.05, 0.5).tolist() == halved.half_width(0.05).tolist()
    first = known((np.array([1.5, 0.5]), np.array([5.0, 1.0])), (2, 9), 2)
    assert pair.half_width(0.05, np.array([[0.5], [1.0]])).tolist() == first.half_width(0.05).tolist()


def nodes(freedom, count=40):
    """Values and weights of an estimated variance, more of them where it is near 0."""
    x, weights = np.polynomial.legendre.leggauss(count)
    u = (x + 1) / 2
    return stats.chi2.ppf(u**3, freedom) / freedom, 3 * u**2 * weights / 2


def splits():
    """Shares of two rows and of the examples; closest where the error is largest, at few examples."""
    for of_examples in (0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 1):
        for first in (0, 0.01, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 0.99, 1):
            yield first * (1 - of_examples), (1 - first) * (1 - of_examples), of_examples


@pytest.mark.parametrize("freedom", [(2, 2), (2, 4), (2, 20), (3.5, 3.5), (4, 4), (9, 9), (20, 20), (4, 20)])
def test_the_error_by_integration_over_two_estimated_variances(freedom):
    """Two variances are estimated, that over examples is known, whatever their shares.

    Satterthwaite's degrees of freedom fail this with three seeds (some 1.5 and 15 times alpha).
    """
    (one, of_one), (two, of_two) = map(nodes, freedom)
    shares = np.array(list(splits()))[:, :, None, None]
    parts = np.broadcast_arrays(shares[:, 0] * one[:, None], shares[:, 1] * two, shares[:, 2])
    pair = known([part.ravel() for part in parts[:2]], freedom, parts[2].ravel())
    weights = of_one[:, None] * of_two
    for alpha, most in ((0.05, 1.004), (0.005, 1.04), (0.0011, 1.06), (0.0002, 1.08)):
        missed = 2 * stats.norm.sf(pair.half_width(alpha)).reshape(parts[0].shape)
        rates = (missed * weights).sum(axis=(1, 2)) / alpha
        assert rates.max() <= most
        assert rates[shares[:, 2, 0, 0] >= 0.1].max() <= 1 + 1e-6
        assert rates.max() >= 0.999  # exactly alpha where one row alone is random
        assert rates[np.argmin(np.abs(shares[:, 2, 0, 0] - 1))] == pytest.approx(1, abs=1e-6)


# P-values.


def some_pairs(count=60, seed=0):
    generator = np.random.default_rng(seed)
    return known(
        generator.gamma(1, 1e-4, (2, count)) * (generator.random((2, count)) < 0.8),
        (2, 7.5),
        generator.gamma(1, 1e-4, count),
        generator.normal(0, 0.05, count),
    )


def test_the_p_value_is_the_error_at_which_the_interval_touches_0():
    pairs = some_pairs()
    p = pairs.p_values()
    assert ((p > 1e-9) & (p < 1)).sum() > 50
    assert pairs.half_width(p) == pytest.approx(np.abs(pairs.centre), rel=1e-9)
    for alpha in (0.5, 0.05, 0.001):
        assert ((p < alpha) == (np.abs(pairs.centre) > pairs.half_width(alpha))).all()


@pytest.mark.parametrize("margin", [0.01, 0.05, 0.3])
def test_the_p_value_of_equivalence_is_the_error_at_which_the_interval_lies_within_the_margin(margin):
    pairs = some_pairs()
    p = pairs.equivalence_p_values(margin)
    inside = np.abs(pairs.centre) < margin
    assert (p[~inside] == 1).all()
    within = inside & (p > 0)
    assert within.sum() > 8
    halves = pairs.half_width(np.where(within, p, 0.5), few=True)
    assert (np.abs(pairs.centre) + halves)[within] == pytest.approx(margin, rel=1e-9)


def test_the_p_values_are_students_and_normal():
    pair = known((0.04, 0), (3, 2), centre=0.7)
    assert pair.p_values()[0] == pytest.approx(2 * stats.t.sf(3.5, 3))
    assert pair.equivalence_p_values(1.0)[0] == pytest.approx(2 * stats.t.sf(1.5, 3))
    normal = known(examples=0.04, centre=-0.7)
    assert normal.p_values()[0] == pytest.approx(2 * stats.norm.sf(3.5))
    assert normal.equivalence_p_values(1.0)[0] == pytest.approx(2 * stats.norm.sf(1.5))


def test_equivalence_is_tested_from_both_sides_at_half_of_the_error():
    ttost = pytest.importorskip("statsmodels.stats.weightstats").ttost_paired
    scores = np.array([0.1, -0.2, 0.3, 0.05, 0.0])
    pair = known((scores.var(ddof=1) / 5, 0), (4, 2), centre=scores.mean())
    expected = ttost(scores, np.zeros(5), -0.4, 0.4)[0]
    assert pair.equivalence_p_values(0.4)[0] == pytest.approx(2 * expected)


def test_without_an_example_that_differs_equivalence_takes_as_many_as_the_exact_bound():
    # Clopper and Pearson exclude a share of 0.5 % at 97.5 % from 736 examples on, of which none has it.
    for n, expected in ((700, False), (720, False), (770, True), (2000, True)):
        same = np.arange(n)[None, :] < np.full((3, 1), n // 2)
        assert (pair_of(same, same).equivalence_p_values(0.005)[0] < 0.05) == expected


def test_a_margin_of_0_shows_no_equivalence():
    assert some_pairs().equivalence_p_values(0.0).tolist() == [1.0] * 60
    assert known(examples=1e-12).equivalence_p_values(0.0).tolist() == [1.0]


def test_p_values_near_1():
    centre = np.array([0.0, -0.0, 1e-300, 1e-12, 1e-9, 1e-6])
    for freedom in ((2, 2), (2, 3), (5, 11), (40, 7.3)):
        p = known((1e-4, 1e-4), freedom, 1e-4, centre).p_values()
        assert p[:2].tolist() == [1, 1]
        assert (p <= 1).all()
        assert p[2:] == pytest.approx(1, abs=1e-3)
        assert (np.diff(p) <= 0).all()


@pytest.mark.filterwarnings("error")
def test_extreme_differences_give_numbers_and_no_warnings():
    alphas = [1e-300, 1e-200, 1e-30, 1e-12, 0.5, 1 - 1e-9, 1 - 1e-16]
    sizes = (0.0, 1e-300, 1e-12, 1.0, 1e12)
    for one, two, examples in itertools.product(sizes, sizes, sizes):
        for freedom in ((0.5, 1), (2, 2), (2, 1e5), (17.3, 1e12)):
            pair = known((one, two), freedom, examples, np.array([0.0, 1e-200, 1e-3, 1.0, -1.0]))
            widths = np.array([pair.half_width(alpha) for alpha in alphas])
            assert np.isfinite(widths).all()
            assert (np.diff(widths, axis=0) <= 1e-9 * widths[:-1]).all()
    for pair in (known(centre=np.array([0.0, 1.0])), known(examples=1e-9, centre=np.array([0.0, 1.0]))):
        assert pair.p_values().tolist() == [1, 0]
        assert pair.equivalence_p_values(0.1).tolist() == [0, 1]


@pytest.mark.filterwarnings("error")
def test_extreme_tables_give_numbers_and_no_warnings():
    right, wrong = np.ones((3, 2), bool), np.zeros((4, 2), bool)
    generator = np.random.default_rng(0)
    for a, b in itertools.product((right, wrong, np.eye(3, 2) > 0, answers(0, 1, 2, n_examples=2)), repeat=2):
        pair = pair_of(a, b)
        for found in (pair.half_width(0.05), pair.p_values(), pair.equivalence_p_values(0.005)):
            assert np.isfinite(found).all()
            assert (found > 0).all()
    many = [np.tile(generator.random(1_000_000) < share, (3, 1)) for share in (0.9, 0.5)]
    pair = differences([runs_of(table) for table in many], [0, 0], [1, 0])
    assert pair.p_values().tolist() == [0, 1]
    assert pair.equivalence_p_values(0.005).tolist() == [1, 0]


def test_no_pairs():
    row = runs_of(np.eye(3))
    pairs = differences([row, row], [], [])
    assert pairs.p_values().shape == pairs.equivalence_p_values(0.1).shape == (0,)


def test_borrowed_degrees_make_intervals_narrower():
    generator = np.random.default_rng(1)
    rows = [runs_of(generator.random((3, 3000)) < 0.8 + generator.normal(0, 0.02, (3, 1))) for _ in range(12)]
    pairs = list(zip(*itertools.combinations(range(12), 2), strict=True))
    alone, together = differences(rows, *pairs), differences(borrowing(rows), *pairs)
    assert (together.freedom > alone.freedom).all()
    assert (together.freedom <= 24).all()
    assert np.median(together.half_width(0.05 / 66)) < 0.4 * np.median(alone.half_width(0.05 / 66))
    assert (together.examples == alone.examples).all()


def test_runs_may_be_given_by_hand():
    rows = [Runs(5, np.full(100, mean), 0.0, 1e-4, 30.0) for mean in (0.9, 0.85)]
    pair = differences(rows, [0], [1])
    assert pair.seeds.ravel().tolist() == pytest.approx([2e-5, 2e-5])
    assert pair.freedom.ravel().tolist() == [30, 30]


def test_paired_differences_leave_out_what_both_have_in_common():
    generator = np.random.default_rng(0)
    ease, draws = generator.normal(size=400), generator.normal(size=(6, 1))
    a, b = (
        (ease + draws + 0.1 * generator.normal(size=(6, 1)) + level > 0).astype(float) for level in (0.6, 0.4)
    )
    paired, alone = paired_differences([runs_of(a - b)]), pair_of(a, b)
    assert paired.mean[0] == pytest.approx(alone.mean[0])
    scores = (a - b).mean(axis=1)
    assert paired.seeds.sum() == pytest.approx(scores.var(ddof=1) / 6)
    assert paired.seeds.sum() < 0.1 * alone.seeds.sum()
    assert paired.half_width(0.05)[0] < alone.half_width(0.05)[0]
    # With one part that varies, the interval is that of Student's t.
    whole = dataclasses.replace(paired, examples=np.zeros(1))
    expected = stats.t.ppf(0.975, 5) * math.sqrt(scores.var(ddof=1) / 6)
    assert whole.half_width(0.05)[0] == pytest.approx(expected)
