"""How long a plan will take, from a short measurement on this machine, which is kept."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from benchmark.data.cache import cache_root, remembered
from benchmark.plan.run_specs import Plan
from benchmark.spec.config import RunSpec, seed_bundle
from benchmark.support.errors import UserError
from benchmark.tracking.store import nearest
from benchmark.training.devices import threads

_EXAMPLES = 1024


@dataclass(frozen=True)
class Estimate:
    """Cost of a sweep in which every run costs what the default configuration does.

    Attributes
    ----------
    epoch_seconds : float
        One epoch of all training texts the budget uses.
    search_seconds, final_seconds : float
        The most that each phase takes in one process: runs of all epochs, start-up included. The time limit
        of the search counts; the trial that exceeds it is brought to its end.
    least_seconds : float
        Both, where early stopping ends each run as soon as it may.
    """

    epoch_seconds: float
    search_seconds: float
    final_seconds: float
    least_seconds: float


def estimate(plan: Plan, notice: Callable[[str], None] = lambda text: None) -> Estimate:
    """Train the default configuration for two short epochs, or take what that cost before, and scale it.

    Parameters
    ----------
    plan : Plan
        The sweep.
    notice : callable
        Called before something is measured.

    Returns
    -------
    Estimate
        Pruning is ignored; other configurations may be cheaper or slower than the default.

    Raises
    ------
    UserError
        When the default configuration cannot be trained.
    """
    spec = plan.spec(plan.searched.default, "trial", seed_bundle(plan.config.seed, "search", 0))
    texts = plan.dataset.sizes["train"]
    total = plan.config.train_examples or texts * plan.config.train_share
    share = min(1.0, _EXAMPLES / texts)
    training = spec.training.model_copy(update={"epochs": 2, "patience": 2}) if spec.training else None
    short = spec.model_copy(update={"train_share": share, "train_examples": None, "training": training})
    # Once for each architecture, view of the data and machine, where the cache can be written.
    identity = {
        "configuration": short.config_id,
        "device": plan.config.device,
        "compile": plan.config.compile,
        "deterministic": plan.config.deterministic,
        "threads": threads(),
        "versions": [version("tensorflow"), version("keras")],
    }
    measure = partial(_measure, short, plan, notice)
    writable = os.access(nearest(cache_root() / "epochs"), os.W_OK)
    measured = remembered("epochs", identity, measure) if writable else measure()
    epoch = measured["epoch"] * total / (share * texts)

    def run(epochs: int) -> float:
        return float(measured["start_up"] + epochs * (epoch + measured["validation"]))

    patience = (spec.training.patience if spec.training else None) or plan.max_epochs
    longest, shortest = run(plan.max_epochs), run(min(plan.max_epochs, patience + 1))
    trials, finals = plan.trials + plan.confirming, 2 * plan.config.seeds
    limit = float("inf") if plan.config.timeout is None else plan.config.timeout

    def search(one: float) -> float:
        return min(trials * one, limit + one)

    return Estimate(epoch, search(longest), finals * longest, search(shortest) + finals * shortest)


def _measure(short: RunSpec, plan: Plan, notice: Callable[[str], None]) -> dict[str, float]:
    """Return the seconds of a short epoch, of a validation, and of all that comes before."""
    from benchmark.training.train import train

    notice(f"{plan.model.name}: measuring two short epochs of the default (kept for the next time)")
    started = time.perf_counter()
    config = plan.config
    result = train(
        short,
        plan.dataset,
        device=config.device,
        compile=config.compile,
        deterministic=config.deterministic,
    )
    wall = time.perf_counter() - started
    if result.status not in ("ok", "diverged"):
        raise UserError(
            f"{plan.model.name}: its default configuration finished with status {result.status} "
            f"({result.error_line})"
        )
    epochs = result.history["epoch_seconds"]
    return {
        "epoch": epochs[-1],
        "validation": max(0.0, result.train_seconds - sum(epochs)) / len(epochs),
        "start_up": max(0.0, wall - result.train_seconds) + max(0.0, epochs[0] - epochs[-1]),
    }
