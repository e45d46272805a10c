"""How long a plan will take, from a short measurement on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmark.plan import Plan
from benchmark.seeds import seed_bundle
from benchmark.training.train import train

_EXAMPLES = 1024


@dataclass(frozen=True)
class Estimate:
    """Cost of the default configuration.

    Attributes
    ----------
    epoch_seconds : float
        One epoch of all training texts the budget uses.
    run_seconds : float
        One run of the most epochs, start-up included.
    """

    epoch_seconds: float
    run_seconds: float


def estimate(plan: Plan) -> Estimate:
    """Train the default configuration for two short epochs and scale to the whole.

    Parameters
    ----------
    plan : Plan
        The sweep.

    Returns
    -------
    Estimate
        An upper bound in that early stopping and pruning are left out; other configurations may be
        cheaper or dearer than the default.
    """
    spec = plan.spec(plan.default, "trial", seed_bundle(plan.config.seed, "search", 0))
    total = plan.config.train_examples or plan.dataset.sizes["train"] * plan.config.train_share
    share = min(1.0, _EXAMPLES / plan.dataset.sizes["train"])
    training = spec.training.model_copy(update={"epochs": 2, "patience": 2}) if spec.training else None
    short = spec.model_copy(update={"train_share": share, "train_examples": None, "training": training})
    began = time.perf_counter()
    result = train(short, plan.dataset, device=plan.config.device, compile=plan.config.compile)
    wall = time.perf_counter() - began
    if result.status not in ("ok", "diverged"):
        raise RuntimeError(result.error)
    epochs = result.history["epoch_seconds"]
    epoch = epochs[-1] * total / (share * plan.dataset.sizes["train"])
    validation = max(0.0, result.train_seconds - sum(epochs)) / len(epochs)
    start_up = max(0.0, wall - result.train_seconds) + max(0.0, epochs[0] - epochs[-1])
    return Estimate(epoch, start_up + plan.max_epochs * (epoch + validation))
