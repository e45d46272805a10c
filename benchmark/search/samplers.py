"""Optuna's samplers and pruners by name; a sweep that goes on proposes what one without a pause would."""

from __future__ import annotations

import importlib.util
import warnings

import optuna

from benchmark.errors import UserError
from benchmark.seeds import seed_bundle


def make_sampler(name: str, seed: int, slot: int) -> optuna.samplers.BaseSampler:
    """Return the sampler for one trial.

    A sampler object would start its random stream anew each time that a sweep is continued, and repeat
    its first proposals. So each trial gets a sampler with a seed of its own, derived from the sweep's
    seed and the trial's slot. The quasi-random sampler keeps its place in the study instead, and needs
    one seed throughout. The points of a grid are enqueued; no sampler is asked.

    Parameters
    ----------
    name : {"tpe", "random", "qmc", "gp", "cmaes", "grid"}
        Which sampler.
    seed : int
        The sweep's ``--seed``.
    slot : int
        Place of the trial in the sweep.

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
            return optuna.samplers.QMCSampler(seed=common, scramble=True, warn_independent_sampling=False)
        if name == "cmaes":
            return optuna.samplers.CmaEsSampler(seed=own, warn_independent_sampling=False)
        if name == "gp":
            if importlib.util.find_spec("torch") is None:
                raise UserError("--sampler gp needs PyTorch; install it with: pip install 'textbench[gp]'")
            return optuna.samplers.GPSampler(seed=own, warn_independent_sampling=False)
        return optuna.samplers.TPESampler(seed=own)


def make_pruner(name: str, epochs: int) -> optuna.pruners.BasePruner:
    """Return the pruner of a study.

    Parameters
    ----------
    name : {"hyperband", "median", "percentile", "none"}
        Which pruner.
    epochs : int
        Most epochs of a trial.
    """
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=max(epochs, 1))
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)
    if name == "percentile":
        return optuna.pruners.PercentilePruner(25.0, n_startup_trials=4, n_warmup_steps=1)
    return optuna.pruners.NopPruner()
