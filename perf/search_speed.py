"""Seconds until a search is near the best: ``python perf/search_speed.py [--trials N] [MODEL ...]``.

For each architecture on IMDB (BENCHMARK_DATA_DIR): a search by each sampler with and without each pruner,
each from nothing and with the same seed. The best validation accuracy of them all is the best that is
known; the table has, for each, the training seconds and trials until a configuration came within 0.2
points of it, and the best it found.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

SAMPLERS, PRUNERS = ("random", "tpe", "gp"), ("none", "median", "hyperband")
NEAR = 0.002


def search(model: str, sampler: str, pruner: str, trials: int) -> list[tuple[float, float]]:
    """Carry out a search; return seconds and validation accuracy of its trials, in their order."""
    words = ["--model", model, "--dataset", "imdb", "--trials", str(trials), "--seeds", "1"]
    words += ["--sampler", sampler, "--pruner", pruner, "--timeout", "1000000"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmark.sweep", *words]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (table,) = Path(folder).rglob("trials.csv")
        with table.open(newline="") as file:
            rows = list(csv.DictReader(file))
    return [
        (float(row["seconds"]), float(row["val_accuracy"]) if row["status"] == "ok" else 0.0) for row in rows
    ]


def main() -> None:
    """Measure and print a table for each architecture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=["avg-pool"], metavar="MODEL")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--sampler", action="append", metavar="SAMPLER")
    parser.add_argument("--pruner", action="append", metavar="PRUNER")
    options = parser.parse_args()
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores; {options.trials} trials each")
    for model in options.models:
        found = {
            (sampler, pruner): search(model, sampler, pruner, options.trials)
            for sampler in options.sampler or SAMPLERS
            for pruner in options.pruner or PRUNERS
        }
        best = max(value for trials in found.values() for _, value in trials)
        print(f"\n{model}: best validation accuracy {best:.4f}\n")
        print("| sampler | pruner | seconds until within 0.2 points | trials | best | all seconds |")
        print("| --- | --- | --- | --- | --- | --- |")
        for (sampler, pruner), trials in found.items():
            seconds, until, count = 0.0, "never", "-"
            for number, (cost, value) in enumerate(trials, 1):
                seconds += cost
                if value >= best - NEAR:
                    until, count = f"{seconds:.0f}", str(number)
                    break
            highest, total = max(value for _, value in trials), sum(cost for cost, _ in trials)
            print(f"| {sampler} | {pruner} | {until} | {count} | {highest:.4f} | {total:.0f} |", flush=True)


if __name__ == "__main__":
    main()
