"""Whether faster ways change results: ``python perf/same_accuracy.py [--seeds K] [MODEL ...]``.

Final runs of the published configuration on IMDB (BENCHMARK_DATA_DIR), or ``--dataset``, with the same seeds
by two sweeps, each in a separate folder: by Keras's `fit`, and by the way that a sweep chooses by itself, or
with other words of the command `sweep`. Prints the mean test accuracies and the 95 % interval of the
difference of a seed; it includes 0 where nothing has changed.
``--one "--set mask=true" --other "--set mask=true --set trim=true"``
is about trimming, ``--one "--precision float32" --other "--precision bfloat16"`` about precision.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import statistics
import tempfile

from sweeps import runs_of_kind, sweep

from benchmark.stats.intervals import mean_interval
from benchmark.tracking import names


def accuracies(model: str, dataset: str, seeds: int, way: str) -> tuple[dict[str, float], float, str]:
    """Sweep with one trial, the default; return each seed's test accuracy, a run's seconds, and its way."""
    with tempfile.TemporaryDirectory() as folder:
        asked = ["--model", model, "--dataset", dataset, "--trials", "1", "--seeds", str(seeds)]
        sweep(folder, *asked, *shlex.split(way))
        runs = [run.data for run in runs_of_kind(folder, names.FINAL_RUN)]
    found = {run.tags[names.SEED]: run.metrics[names.TEST_ACCURACY] for run in runs}
    seconds = statistics.median(run.metrics[names.TRAIN_SECONDS] for run in runs)
    return found, seconds, runs[0].tags[names.COMPILE]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=["avg-pool"], metavar="MODEL")
    parser.add_argument("--dataset", default="imdb")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--one", default="--compile fit", metavar="WORDS")
    parser.add_argument("--other", default="--compile auto", metavar="WORDS")
    options = parser.parse_args()
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores; {options.seeds} seeds\n")
    ways = (options.one, options.other)
    print(f"| architecture | `{ways[0]}` | `{ways[1]}` | difference, points |\n| --- | --- | --- | --- |")
    for model in options.models:
        (one, *costs), (other, *other_costs) = (
            accuracies(model, options.dataset, options.seeds, way) for way in ways
        )
        differences = [100 * (other[seed] - one[seed]) for seed in sorted(one)]
        interval = mean_interval(differences)
        assert interval is not None
        cells = [
            f"{100 * statistics.fmean(found.values()):.2f} % in {seconds:.1f} s ({way})"
            for found, (seconds, way) in ((one, costs), (other, other_costs))
        ]
        print(
            f"| {model} | {cells[0]} | {cells[1]} | "
            f"{statistics.fmean(differences):+.2f} [{interval.low:.2f}, {interval.high:.2f}] |",
            flush=True,
        )


if __name__ == "__main__":
    main()
