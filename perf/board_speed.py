"""How long a large board takes: ``python perf/board_speed.py``.

Fills an MLflow store with final runs (2,000 by default: 100 models, 20 seeds each, 25,000 test examples), and
times ``python -m benchmark.leaderboard`` on it as a user would start it: the first time, when predictions are
read from the artifacts, and again, when they come from the cache. Beside it stands what people do otherwise:
``mlflow.search_runs`` and means by model, without intervals, comparisons or ranks. Filling takes minutes.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from benchmark.tracking import names

USUAL = """
import mlflow
mlflow.set_tracking_uri("sqlite:///mlruns/mlflow.db")
finals = "tags.`benchmark.kind` = 'final'"
runs = mlflow.search_runs(experiment_names=["big"], filter_string=finals, max_results=50000)
print(runs.groupby("tags.benchmark.model")["metrics.test_accuracy"].agg(["mean", "std"]).sort_values("mean"))
"""


def fill(folder: Path, models: int, seeds: int, examples: int) -> None:
    """Write final runs as a sweep would, with predictions of systems of many strengths."""
    runs = folder / "mlruns"
    runs.mkdir(parents=True)
    client = MlflowClient(f"sqlite:///{runs.resolve() / 'mlflow.db'}")
    experiment = client.create_experiment("big", artifact_location=(runs / "artifacts").resolve().as_uri())
    generator = np.random.default_rng(0)
    ease, labels = generator.normal(size=examples), generator.integers(0, 2, examples)
    now = int(time.time() * 1000)
    for number in range(models):
        model = f"model-{number:03d}"
        shared = {
            names.MODEL: model,
            names.DATASET: "big",
            names.DATASET_DIGEST: "d" * 32,
            names.STUDY: f"{model}-big-full",
            names.BUDGET: "full",
            names.PROTOCOL: "inductive",
            names.VERSIONS: "tensorflow, keras",
        }
        sweep = {**shared, names.KIND: names.SWEEP, names.SEEDS_EXPECTED: str(seeds)}
        parent = client.create_run(experiment, tags=sweep, run_name=model).info.run_id
        client.set_terminated(parent, "FINISHED")
        own = generator.normal(0, 0.4, examples)
        for seed in range(seeds):
            right = ease + own + generator.normal(
                0, 0.4, examples
            ) > -1.2 + 0.004 * number + generator.normal(0, 0.02)
            tags = {
                **shared,
                names.KIND: names.FINAL_RUN,
                names.TIER: "default+tuned",
                names.SEED: str(seed),
                names.STATUS: "ok",
                names.DEVICE: "cpu",
                names.PARENT: parent,
            }
            run = client.create_run(experiment, run_name=f"{model} {seed}")
            metrics = {names.TEST_ACCURACY: right.mean(), names.BEST_VAL_ACCURACY: right.mean()}
            metrics |= {
                names.TRAIN_SECONDS: 10.0,
                names.EPOCHS_RUN: 5,
                names.PARAMETERS: 1e5,
                names.TEST_LOSS: 0.3,
            }
            points = [Metric(name, float(value), now, 0) for name, value in metrics.items()]
            points += [Metric(name, 0.5, now, epoch) for name in names.CURVES for epoch in range(5)]
            params = [Param(f"parameter_{place}", "1") for place in range(20)]
            client.log_batch(run.info.run_id, points, params, [RunTag(*tag) for tag in tags.items()])
            client.set_terminated(run.info.run_id, "FINISHED")
            artifacts = Path(unquote(urlparse(run.info.artifact_uri).path))
            artifacts.mkdir(parents=True)
            answers = np.where(right, labels, 1 - labels)
            probabilities = (
                np.eye(2, dtype=np.float32)[answers] * 0.5 + generator.random((examples, 1)) * 0.2 + 0.1
            )
            np.savez_compressed(
                artifacts / names.PREDICTIONS, probabilities=probabilities.astype(np.float32), labels=labels
            )


def seconds(folder: Path, words: list[str]) -> float:
    """Run a command in the folder, and return how long it took."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "BENCHMARK_CACHE_DIR": str(folder.resolve() / "cache")},
    )
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--examples", type=int, default=25_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="keep the store here, or use the one that is here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "mlruns").exists():
            fill(folder, options.models, options.seeds, options.examples)
        board = ["-m", "benchmark.leaderboard", "--dataset", "big"]
        first = seconds(folder, board)
        timed = [(seconds(folder, board), seconds(folder, ["-c", USUAL])) for _ in range(options.repeats)]
    again, usual = (statistics.median(times) for times in zip(*timed, strict=True))
    ratio = statistics.median(ours / theirs for ours, theirs in timed)
    size = f"{options.models * options.seeds:,} final runs"
    print(f"{size}; Python {platform.python_version()}; {os.cpu_count()} cores")
    print("| what | seconds |\n| --- | ---: |")
    print(f"| `leaderboard`, predictions read for the first time | {first:.1f} |")
    print(f"| `leaderboard` again, median of {options.repeats} | {again:.1f} |")
    print(f"| `mlflow.search_runs` and means, median of {options.repeats} | {usual:.1f} |")
    print(f"\nleaderboard / search_runs: {ratio:.2f} (median of alternating pairs)")


if __name__ == "__main__":
    main()
