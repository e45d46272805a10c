"""Optuna's samplers and pruners by name; a sweep that goes on proposes what one without a pause would."""

from __future__ import annotations

import importlib.util
import itertools
import json
import warnings
from collections.abc import Mapping

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial

from benchmark.plan.space import Space
from benchmark.spec.config import Scalar, seed_bundle
from benchmark.support.errors import UserError


def make_sampler(
    name: str,
    seed: int,
    slot: int,
    space: Mapping[str, BaseDistribution] | None = None,
    random_start: int = 10,
) -> optuna.samplers.BaseSampler:
    """Return the sampler for one trial.

    A sampler object would start its random stream again each time that a sweep is continued, and repeat
    its first proposals. So each trial gets a sampler with a seed of its own, derived from the sweep's
    seed and the trial's slot. The quasi-random one takes the point of a common sequence that belongs to the
    slot. The points of a grid are enqueued; no sampler is asked.

    Parameters
    ----------
    name : {"tpe", "random", "qmc", "gp", "cmaes", "grid"}
        Which sampler.
    seed : int
        The sweep's ``--seed``.
    slot : int
        Place of the trial in the sweep.
    space : mapping of str to BaseDistribution, optional
        What a quasi-random point is made of: the parameters that no condition leaves out.
    random_start : int
        Trials that have to be there before ``tpe`` and ``gp`` learn from them.

    Raises
    ------
    UserError
        Where a sampler needs a package that is not installed.
    """
    own = seed_bundle(seed, "sampler", slot).init
    common = seed_bundle(seed, "sampler", 0).init
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "experimental"
        if name in ("random", "grid"):
            return optuna.samplers.RandomSampler(seed=own)
        if name == "qmc":
            return _SlotQMCSampler(common, own, slot, dict(space or {}))
        if name == "cmaes":
            return optuna.samplers.CmaEsSampler(seed=own, warn_independent_sampling=False)
        if name == "gp":
            if importlib.util.find_spec("torch") is None:
                raise UserError("`sampler` gp needs PyTorch; install it with: pip install 'textbench[gp]'")
            return optuna.samplers.GPSampler(
                seed=own, n_startup_trials=random_start, warn_independent_sampling=False
            )
        return optuna.samplers.TPESampler(seed=own, n_startup_trials=random_start)


class _SlotQMCSampler(optuna.samplers.QMCSampler):
    """Quasi-random points by slot.

    Optuna's own sampler counts how often it was asked, and learns the space from the first trial that has
    ended: with several workers its points would depend on how long trials take.
    """

    def __init__(self, common: int, own: int, slot: int, space: dict[str, BaseDistribution]) -> None:
        rest = optuna.samplers.RandomSampler(seed=own)
        super().__init__(
            seed=common, scramble=True, independent_sampler=rest, warn_independent_sampling=False
        )
        self._slot, self._space = slot, space

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._space

    def _find_sample_id(self, study: Study, search_space: dict[str, BaseDistribution]) -> int:
        return self._slot


def grid_points(space: Space, seed: int) -> list[dict[str, Scalar]]:
    """Return every point of a grid search: the published default first, the others shuffled by seed.

    Parameters that a condition leaves out do not multiply the points. The trials are enqueued one by
    one rather than left to Optuna's grid sampler, which does not know that the default is a point and
    would try it twice.
    """
    values = space.grid()
    default = optuna.trial.FixedTrial(space.enqueue_params())
    points: dict[str, dict[str, Scalar]] = {}
    for combination in itertools.product(*values.values()):
        params = dict(zip(values, combination, strict=True))
        hparams = space.suggest(optuna.trial.FixedTrial(params))
        points.setdefault(json.dumps(hparams, sort_keys=True), params)
    first = points.pop(json.dumps(space.suggest(default), sort_keys=True))
    order = np.random.default_rng(seed_bundle(seed, "sampler", 0).shuffle).permutation(len(points))
    rest = list(points.values())
    return [first, *(rest[number] for number in order)]


def make_pruner(name: str, epochs: int) -> optuna.pruners.BasePruner:
    """Return the pruner of a study.

    Parameters
    ----------
    name : {"median", "hyperband", "percentile", "none"}
        Which pruner.
    epochs : int
        Most epochs of a trial.

    Notes
    -----
    `median` and `percentile`, which goes on with the best quarter, leave the first 4 trials alone, and the
    first epochs of each: with less patience they end slow starters that come out best
    (``perf/search_speed.py``).
    """
    patience = {"n_startup_trials": 4, "n_warmup_steps": min(5, epochs // 2)}
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=max(epochs, 1))
    if name == "median":
        return optuna.pruners.MedianPruner(**patience)
    if name == "percentile":
        return optuna.pruners.PercentilePruner(25.0, **patience)
    return optuna.pruners.NopPruner()
