"""Tables of right and wrong answers for the tests of the statistics."""

import numpy as np


def two_systems(n_seeds=4, n_examples=600, seed=1, gap=0.02, seed_sd=0.02):
    """Two systems that find the same examples hard; B is worse by about `gap`."""
    generator = np.random.default_rng(seed)
    ease = generator.beta(4, 0.8, n_examples)

    def runs(shift):
        seeds = generator.normal(0, seed_sd, (n_seeds, 1))
        return generator.random((n_seeds, n_examples)) < np.clip(ease + seeds - shift, 0, 1)

    return runs(0.0), runs(gap)


def answers(*right, n_examples):
    """One row for each seed: the first `right[k]` examples are right."""
    return np.arange(n_examples)[None, :] < np.array(right)[:, None]
