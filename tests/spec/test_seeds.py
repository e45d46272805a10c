"""Seed bundles: independent streams that never change and never cross from search to final runs."""

import pytest
from pydantic import ValidationError

from benchmark.spec.config import SeedBundle, seed_bundle

STREAMS = ("init", "shuffle", "dropout", "fewshot", "split")


def streams(bundle):
    return tuple(getattr(bundle, name) for name in STREAMS)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((0, "search", 0), (2044266242, 306762826, 1633680383, 997155274, 2084419294)),
        ((0, "final", 0), (1976665982, 1343407475, 1134802995, 582520859, 581920696)),
        ((0, "sampler", 0), (980756183, 2071579022, 274377325, 1732247559, 899020879)),
        ((7, "final", 3), (1885052576, 1141259905, 623910344, 543308313, 54874502)),
        ((2**40, "search", 999), (227087142, 1778517733, 893313048, 1895757147, 1631931818)),
    ],
)
def test_seeds_never_change(arguments, expected):
    assert streams(seed_bundle(*arguments)) == expected


def test_a_bundle_says_where_it_stands():
    bundle = seed_bundle(3, "final", 4)
    assert (bundle.branch, bundle.index) == ("final", 4)
    assert set(SeedBundle.model_fields) == {"branch", "index", *STREAMS}


def test_streams_of_all_repetitions_are_distinct_and_in_range():
    bundles = [seed_bundle(0, branch, index) for branch in ("search", "final") for index in range(1000)]
    seeds = [seed for bundle in bundles for seed in streams(bundle)]
    assert len(set(seeds)) == len(seeds) == 10_000
    assert min(seeds) >= 0
    assert 2**30 < max(seeds) < 2**31


@pytest.mark.parametrize("base", [0, 1, 20_240_501])
def test_search_and_final_seeds_have_nothing_in_common(base):
    search, final = (
        {seed for index in range(1000) for seed in streams(seed_bundle(base, branch, index))}
        for branch in ("search", "final")
    )
    assert search.isdisjoint(final)


def test_seed_0_is_a_seed_like_any_other():
    bundles = [streams(seed_bundle(base, "search", 0)) for base in (0, 0, 1, 2)]
    assert bundles[0] == bundles[1]
    assert len(set(bundles)) == 3


def test_bundles_are_frozen_and_complete():
    bundle = seed_bundle(0, "search", 0)
    with pytest.raises(ValidationError):
        bundle.init = 1
    with pytest.raises(ValidationError):
        SeedBundle(**{**bundle.model_dump(), "noise": 1})
    with pytest.raises(ValidationError):
        SeedBundle(branch="search", index=0, init=1)


@pytest.mark.parametrize("arguments", [(-1, "search", 0), (0, "search", -1)])
def test_negative_numbers_are_refused(arguments):
    with pytest.raises(ValueError):
        seed_bundle(*arguments)
