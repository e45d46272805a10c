"""How soon searches come near the best: ``python perf/search_speed.py [--configurations N] [MODEL ...]``.

For each architecture on IMDB (BENCHMARK_DATA_DIR) a random search without pruning, whose runs are trained to
their end, records the curves and the seconds of N configurations (default: 60). Searches of 30 trials, those
of the budget `standard`, are then replayed on these curves, 100 times (`gp` 5 times) under each pruner of
`sweep`, which sees recorded validation accuracies epoch by epoch and ends trials as it would have:

- ``recorded``: 30 of the configurations in a random order. Nothing is guessed here.
- ``random``, ``tpe``, ``gp``: what these samplers propose. A proposal gets one of the recorded curves: that
  of a configuration in the same leaf of a tree, which is drawn from a random forest that was fitted to the
  recorded accuracies and seconds. This is a surrogate benchmark (Eggensperger et al. 2015, "Efficient
  Benchmarking of Hyperparameter Optimizers via Surrogates"); how much of the variance the forest explains of
  configurations that a tree has not seen is printed above the table; below a quarter, these are left out.

Trial 0 is the published default. Prints the seconds of training until a configuration came within 0.2
points of the best of all N (median, and 5 to 95 %), how often none did, by how many points the best one found
is worse than that (mean), the seconds of the whole search, and the time that the sampler takes for a
proposal. ``--folder`` is where the configurations are recorded, and found again another time; ``--words`` are
more words for those sweeps, such as ``"--train-examples 2000"``; ``--sampler`` asks for some samplers only.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import os
import platform
import shlex
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from mlflow import MlflowClient
from optuna.trial import TrialState
from sklearn.ensemble import RandomForestRegressor
from sweeps import RANDOM_SEARCH, runs_of_kind, sweep

from benchmark.driver.sweep_options import PRUNERS
from benchmark.plan.space import Space, find_space, load_space
from benchmark.search.samplers import make_pruner, make_sampler
from benchmark.tracking import names

TRIALS, NEAR, TREES, UNDERSTOOD = 30, 0.002, 500, 0.25
WAYS: dict[str, Callable[[int], optuna.pruners.BasePruner]] = {
    **{name: functools.partial(make_pruner, name) for name in PRUNERS},
    "median, from epoch 1": lambda epochs: optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
}
"""The pruners of `sweep`, and why `median` leaves the first epochs of a trial alone."""
SEARCHES = {"recorded": 100, "random": 100, "tpe": 100, "gp": 5}
"""How often a search by each sampler is replayed."""
HEAD = ("sampler", "pruner", "seconds until near", "5 to 95 %", "never", "below", "all seconds", "a proposal")


@dataclass(frozen=True)
class Curve:
    """The best validation accuracy after each epoch of a configuration, and the seconds of each."""

    configuration: Mapping[str, Any]
    best: tuple[float, ...]
    seconds: tuple[float, ...]
    epochs: int
    """As many as it might have had."""


def curves(model: str, count: int, folder: Path, words: list[str]) -> list[Curve]:
    """Search without pruning, as far as that has not been done; return the curves, the default's first."""
    sweep(folder, "--model", model, "--dataset", "imdb", "--trials", str(count), *RANDOM_SEARCH, *words)
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    runs = [
        run
        for run in runs_of_kind(folder, names.TRIAL_RUN)
        # Of a search that was killed and went on, some were interrupted, and have been tried again.
        if run.data.tags[names.MODEL] == model and run.data.tags.get(names.STATUS) == "ok"
    ]
    space = space_of(model)
    found = []
    for run in sorted(runs, key=lambda run: int(run.data.tags[names.TRIAL])):
        values, seconds = (
            [point.value for point in client.get_metric_history(run.info.run_id, name)]
            for name in ("val_accuracy", "epoch_seconds")
        )
        # Compilation belongs to the first epoch; validation to each.
        rest = (run.data.metrics[names.TRAIN_SECONDS] - sum(seconds)) / len(seconds)
        texts = {name: run.data.params[name] for name in space.search}
        best, costs = np.maximum.accumulate(values), (second + rest for second in seconds)
        found.append(
            Curve(space.fix(texts).default, tuple(best), tuple(costs), int(run.data.params["epochs"]))
        )
    return found


@functools.cache
def space_of(model: str) -> Space:
    """Return the packaged space of a model."""
    path = find_space(model)
    assert path is not None
    return load_space(path)


class Forest:
    """What a configuration that was not tried would have done, by those that were.

    Parameters
    ----------
    found : list of Curve
        What was recorded.
    space : Space
        Whose searched parameters describe a configuration.
    """

    def __init__(self, found: list[Curve], space: Space) -> None:
        self._found, self._space = found, space
        self._codes: dict[str, list[Any]] = {
            name: sorted({curve.configuration[name] for curve in found}) for name in space.search
        }
        rows = np.array([self._row(curve.configuration) for curve in found])
        accuracies = np.array([curve.best[-1] for curve in found])
        costs = np.log([sum(curve.seconds) for curve in found])
        targets = np.stack([accuracies / accuracies.std(), costs / costs.std()], axis=1)
        self._forest = RandomForestRegressor(TREES, random_state=0, oob_score=True).fit(rows, targets)
        residuals = self._forest.oob_prediction_ - targets
        self.explained = 1 - residuals.var(axis=0) / targets.var(axis=0)
        """Share of the variance of accuracies and of logarithms of seconds."""
        self._leaves = self._forest.apply(rows)

    def _row(self, configuration: Mapping[str, Any]) -> list[float]:
        """Describe a configuration by numbers; words by their place in the alphabet."""
        return [
            float(configuration[name])
            if isinstance(configuration[name], int | float)
            else float(np.searchsorted(codes, configuration[name]))
            for name, codes in self._codes.items()
        ]

    def curve(self, configuration: Mapping[str, Any], generator: np.random.Generator) -> Curve:
        """Draw the curve of a configuration."""
        tree = generator.integers(TREES)
        leaf = self._forest.estimators_[tree].apply(np.array([self._row(configuration)], np.float32))[0]
        return self._found[generator.choice(np.flatnonzero(self._leaves[:, tree] == leaf))]


class Replays:
    """Searches among recorded configurations of an architecture, or what a forest makes of them.

    Parameters
    ----------
    model : str
        The architecture.
    found : list of Curve
        What was recorded, the default's first.
    """

    def __init__(self, model: str, found: list[Curve]) -> None:
        self.model, self.found, self.space = model, found, space_of(model)
        self.forest = Forest(found, self.space)
        self.best = max(curve.best[-1] for curve in found)

    def search(self, sampler: str, pruner: str, number: int) -> tuple[float, float, float, float]:
        """Search; return seconds until a trial was near the best, of all and of a proposal, and the best."""
        study = optuna.create_study(
            study_name=f"{self.model} {number}",  # from which Hyperband derives its brackets
            direction="maximize",
            pruner=WAYS[pruner](max(curve.epochs for curve in self.found)),
        )
        study.enqueue_trial(self.space.enqueue_params())
        generator = np.random.default_rng(number)
        order = [0, *(1 + generator.permutation(len(self.found) - 1))]
        total, until, best, proposing = 0.0, np.inf, 0.0, 0.0
        for slot in range(TRIALS):
            started = time.perf_counter()
            study.sampler = make_sampler("random" if sampler == "recorded" else sampler, number, slot)
            trial = study.ask()
            configuration = {} if sampler == "recorded" else self.space.suggest(trial)
            proposing += time.perf_counter() - started
            if sampler == "recorded":
                curve = self.found[order[slot]]
            else:
                curve = self.forest.curve(configuration, generator) if slot else self.found[0]
            for epoch, (value, seconds) in enumerate(zip(curve.best, curve.seconds, strict=True), 1):
                total += seconds
                trial.report(value, epoch)
                if slot and trial.should_prune():
                    study.tell(trial, state=TrialState.PRUNED)
                    break
            else:
                study.tell(trial, curve.best[-1])
                best = max(best, curve.best[-1])
                if curve.best[-1] >= self.best - NEAR:
                    until = min(until, total)
        return until, total, proposing / TRIALS, best

    def row(self, sampler: str, pruner: str) -> str:
        """Search often; return a row of the table."""
        outcomes = [self.search(sampler, pruner, number) for number in range(SEARCHES[sampler])]
        until, seconds, proposing, best = np.array(outcomes).T
        low, middle, high = np.quantile(until, (0.05, 0.5, 0.95), method="higher")
        never, below = np.mean(np.isinf(until)), 100 * (self.best - best.mean())
        return (
            f"| {sampler} | {pruner} | {middle:.0f} | {low:.0f} to {high:.0f} | {never:.0%} | {below:.2f} | "
            f"{np.median(seconds):.0f} | {1000 * np.mean(proposing):.0f} ms |"
        )


def main() -> None:
    """Measure and print a table for each architecture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=["avg-pool"], metavar="MODEL")
    parser.add_argument("--configurations", type=int, default=60)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--words", default="")
    parser.add_argument("--sampler", action="append", choices=SEARCHES)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Optuna {optuna.__version__}")
    there = [name for name in SEARCHES if name != "gp" or importlib.util.find_spec("torch")]
    samplers = options.sampler or there
    with tempfile.TemporaryDirectory() as place:
        for model in options.models:
            folder = options.folder or Path(place)
            found = curves(model, options.configurations, folder, shlex.split(options.words))
            replays = Replays(model, found)
            near = sum(curve.best[-1] >= replays.best - NEAR for curve in found)
            accuracies, costs = replays.forest.explained
            print(
                f"\n{model}: best validation accuracy of {len(found)} {replays.best:.4f}, {near} within 0.2"
            )
            print(f"points of it; the forest explains {accuracies:.0%} of the variance of accuracies and")
            print(f"{costs:.0%} of that of seconds\n")
            print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}")
            # What a forest makes of curves that it does not understand says nothing about samplers.
            for sampler in samplers if accuracies >= UNDERSTOOD else ["recorded"]:
                for pruner in WAYS:
                    print(replays.row(sampler, pruner), flush=True)


if __name__ == "__main__":
    main()
