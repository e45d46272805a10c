"""Whether faster ways change results: ``python perf/same_accuracy.py [--seeds K] [MODEL ...]``.

Final runs of the published configuration on IMDB (BENCHMARK_DATA_DIR) with the same seeds, once by Keras's
`fit` and once by the way that a sweep chooses by itself, each sweep in a folder of its own. Prints the mean
test accuracies and the 95 % interval of the difference of a seed; it includes 0 where nothing has changed.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from recorded import runs_of_kind

from benchmark.stats.intervals import mean_interval
from benchmark.tracking import names


def accuracies(model: str, seeds: int, way: str) -> tuple[dict[str, float], str]:
    """Sweep with one trial, the default; return the test accuracy of each seed, and the way it went."""
    words = ["--model", model, "--dataset", "imdb", "--trials", "1", "--seeds", str(seeds), "--compile", way]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmark.sweep", *words]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        runs = [run.data for run in runs_of_kind(folder, names.FINAL_RUN)]
    found = {run.tags[names.SEED]: run.metrics[names.TEST_ACCURACY] for run in runs}
    return found, runs[0].tags[names.COMPILE]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=["avg-pool"], metavar="MODEL")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores; {options.seeds} seeds\n")
    print(
        "| architecture | fit % | the chosen way | % | difference, points |\n| --- | --- | --- | --- | --- |"
    )
    for model in options.models:
        fit, _ = accuracies(model, options.seeds, "fit")
        chosen, way = accuracies(model, options.seeds, "auto")
        differences = [100 * (chosen[seed] - fit[seed]) for seed in sorted(fit)]
        interval = mean_interval(differences)
        assert interval is not None
        means = [f"{100 * statistics.fmean(one.values()):.2f}" for one in (fit, chosen)]
        print(
            f"| {model} | {means[0]} | {way} | {means[1]} | "
            f"{statistics.fmean(differences):+.2f} [{interval.low:.2f}, {interval.high:.2f}] |",
            flush=True,
        )


if __name__ == "__main__":
    main()
