"""All pairs at once: the same figures as one pair at a time."""

import numpy as np
import pytest

from benchmark.stats.comparisons import compare
from benchmark.stats.pairwise import differences


def systems(*accuracies, seeds=(0, 1, 2, 3), examples=300, seed=0):
    generator = np.random.default_rng(seed)
    ease = generator.normal(size=examples)
    return [
        {
            one: ease + generator.normal(0, 0.5, examples) + generator.normal(0, 0.1)
            < np.quantile(ease, accuracy)
            for one in seeds
        }
        for accuracy in accuracies
    ]


@pytest.mark.parametrize(("level", "margin"), [(0.95, 0.005), (0.8, 0.05)])
def test_each_pair_is_what_compare_finds(level, margin):
    known = systems(0.8, 0.85, 0.85, 0.6)
    found = differences(known, level=level, margin=margin)
    assert list(found) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    for (i, j), difference in found.items():
        single = compare(*(np.stack(list(known[k].values())) for k in (i, j)), level=level, margin=margin)
        assert difference.interval == pytest.approx(single.interval) or (
            difference.interval.low == pytest.approx(single.interval.low)
            and difference.interval.high == pytest.approx(single.interval.high)
        )
        assert difference.difference == pytest.approx(single.difference, abs=1e-15)
        assert difference.p_value == pytest.approx(single.p_value)
        for name in ("seeds", "examples", "interaction"):
            expected = getattr(single.components, name)
            assert getattr(difference.components, name) == pytest.approx(expected, abs=1e-15)
        for name in ("n_seeds", "n_examples", "margin", "level", "reason"):
            assert getattr(difference, name) == getattr(single, name)


def test_seeds_are_matched_by_number():
    a, b = systems(0.8, 0.7, seeds=(0, 1, 2, 3, 4))
    some = {seed: b[seed] for seed in (4, 1, 3)}
    (difference,) = differences([a, some]).values()
    single = compare(np.stack([a[s] for s in (1, 3, 4)]), np.stack([b[s] for s in (1, 3, 4)]))
    assert difference.n_seeds == 3
    assert difference.p_value == pytest.approx(single.p_value)


def test_pairs_with_other_seeds_in_common_do_not_mix():
    full = systems(0.9, 0.8, 0.7, seeds=tuple(range(6)))
    known = [full[0], {s: full[1][s] for s in (0, 1, 2)}, {s: full[2][s] for s in (2, 3, 4, 5)}]
    found = differences(known)
    assert {pair: one.n_seeds for pair, one in found.items()} == {(0, 1): 3, (0, 2): 4}  # 1 and 2 share one


def test_large_counts_stay_exact():
    # 10 seeds of 300,000 examples: sums of squares lie beyond what single precision counts exactly.
    generator = np.random.default_rng(0)
    a, b = ({seed: generator.random(300_000) < 0.9 for seed in range(10)} for _ in range(2))
    (difference,) = differences([a, b]).values()
    single = compare(np.stack(list(a.values())), np.stack(list(b.values())))
    assert difference.interval.high == pytest.approx(single.interval.high, rel=1e-12)
    assert difference.components.examples == pytest.approx(single.components.examples, rel=1e-9, abs=1e-15)


def test_nothing_to_compare():
    assert differences([]) == {}
    assert differences(systems(0.8)) == {}
    assert differences(systems(0.8, 0.9, seeds=(0, 1))) == {}
