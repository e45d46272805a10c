"""What pruning saves, and what it loses: ``python perf/pruners.py [--trials N] [--folder DIR] [MODEL ...]``.

For each architecture on IMDB (BENCHMARK_DATA_DIR) a random search without pruning, whose runs are trained to
their end, records the curve and the seconds of each configuration. Those are then replayed: the same
configurations in 200 random orders (trial 0, the published default, stays first) under each pruner of the
command `sweep`, which sees the recorded validation accuracies epoch by epoch and ends trials as it would
have. Prints, over the orders, the seconds of training until a configuration came within 0.2 points of the
best of all (median, and 5 to 95 %), how often none did since each that would have was pruned, and the seconds
of the whole search. ``--folder`` is where the searches are made, and found again another time.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from mlflow import MlflowClient
from recorded import runs_of_kind

from benchmark.search.samplers import make_pruner
from benchmark.sweep import PRUNERS
from benchmark.tracking import names

ORDERS, NEAR = 200, 0.002


@dataclass(frozen=True)
class Curve:
    """The best validation accuracy after each epoch of a trial, and the seconds of each."""

    best: tuple[float, ...]
    seconds: tuple[float, ...]


def curves(model: str, trials: int, folder: Path) -> list[Curve]:
    """Search without pruning, as far as that has not been done; return the curves, the default's first."""
    words = ["--model", model, "--dataset", "imdb", "--trials", str(trials), "--seeds", "1"]
    words += ["--sampler", "random", "--pruner", "none", "--timeout", "1000000"]
    command = [sys.executable, "-m", "benchmark.sweep", *words]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    runs = [
        run
        for run in runs_of_kind(folder, names.TRIAL_RUN)
        # Of a search that was killed and went on, some were interrupted, and have been tried again.
        if run.data.tags[names.MODEL] == model and run.data.tags[names.STATUS] == "ok"
    ]
    found = []
    for run in sorted(runs, key=lambda run: int(run.data.tags[names.TRIAL])):
        values, seconds = (
            [point.value for point in client.get_metric_history(run.info.run_id, name)]
            for name in ("val_accuracy", "epoch_seconds")
        )
        # Compilation belongs to the first epoch; validation to each.
        rest = (run.data.metrics[names.TRAIN_SECONDS] - sum(seconds)) / len(seconds)
        found.append(Curve(tuple(np.maximum.accumulate(values)), tuple(second + rest for second in seconds)))
    return found


def replay(order: list[Curve], pruner: str, name: str, near: float) -> tuple[float | None, float]:
    """Try curves under a pruner; return seconds until one ended at `near` or more, and those of all."""
    study = optuna.create_study(
        study_name=name,  # from which Hyperband derives its brackets
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(0),
        pruner=make_pruner(pruner, max(len(curve.best) for curve in order)),
    )
    total, until = 0.0, None
    for number, curve in enumerate(order):
        trial = study.ask()
        for epoch, (value, seconds) in enumerate(zip(curve.best, curve.seconds, strict=True), 1):
            total += seconds
            trial.report(value, epoch)
            if number and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, curve.best[-1])
            if until is None and curve.best[-1] >= near:
                until = total
    return until, total


def main() -> None:
    """Measure and print a table for each architecture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=["avg-pool"], metavar="MODEL")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores")
    with tempfile.TemporaryDirectory() as place:
        for model in options.models:
            found = curves(model, options.trials, options.folder or Path(place))
            near = max(curve.best[-1] for curve in found) - NEAR
            good = sum(curve.best[-1] >= near for curve in found)
            print(f"\n{model}: best validation accuracy of {len(found)} {near + NEAR:.4f}, ", end="")
            print(f"{good} within 0.2 points of it\n")
            print("| pruner | seconds until within 0.2 points | 5 to 95 % | never | seconds of all |")
            print("| --- | --- | --- | --- | --- |")
            for pruner in PRUNERS:
                generator = np.random.default_rng(0)
                outcomes = []
                for number in range(ORDERS):
                    order = [found[0], *(found[1 + place] for place in generator.permutation(len(found) - 1))]
                    outcomes.append(replay(order, pruner, f"{model} {number}", near))
                until = np.array([np.inf if seconds is None else seconds for seconds, _ in outcomes])
                low, middle, high = np.quantile(until, (0.05, 0.5, 0.95), method="higher")
                print(
                    f"| {pruner} | {middle:.0f} | {low:.0f} to {high:.0f} | {np.mean(np.isinf(until)):.0%} | "
                    f"{statistics.median(seconds for _, seconds in outcomes):.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
