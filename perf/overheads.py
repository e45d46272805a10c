"""What a sweep costs beside training: ``python perf/overheads.py [WORDS of a sweep]``.

Carries out a search of avg-pool on IMDB (BENCHMARK_DATA_DIR; 6 trials), and again twice in the same
folder, as other studies: the data set is prepared then, the stores are there. Prints the seconds from the
start of the command to the first training step, what importing TensorFlow takes of them, and the share of
the search's wall time in which no epoch was under way: proposing, building, reading views, recording.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

from sweeps import RANDOM_SEARCH, runs_of_kind, sweep

from benchmark.tracking import names

ROUNDS, TRIALS = 2, 6
IMPORT = "from benchmark.support.tensorflow_setup import quiet_tensorflow; quiet_tensorflow()"


def measure(words: list[str], folder: str) -> tuple[float, float, float]:
    """Sweep; return seconds to the first step and of an import, and the share outside of epochs."""
    importing = time.time()
    subprocess.run([sys.executable, "-c", IMPORT], check=True)
    started = time.time()
    asked = ["--model", "avg-pool", "--dataset", "imdb", "--trials", str(TRIALS), *RANDOM_SEARCH]
    sweep(folder, *asked, "--study", f"at-{started}", *words)
    runs = [run for run in runs_of_kind(folder, names.TRIAL_RUN) if run.info.start_time > 1000 * started]
    runs.sort(key=lambda run: run.info.start_time)
    trained = [run.data.metrics[names.TRAIN_SECONDS] for run in runs]
    # A run ends right after its last epoch.
    first_step = runs[0].info.end_time / 1000 - trained[0] - started
    wall = (runs[-1].info.end_time - runs[0].info.start_time) / 1000
    return first_step, started - importing, 1 - sum(trained) / wall


def main() -> None:
    """Measure and print."""
    words = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        measure(words, folder)  # the data set is prepared, and the way to compile measured
        found = [measure(words, folder) for _ in range(ROUNDS)]
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores; {' '.join(words)}")
    for place, name in enumerate(
        (
            "seconds to the first training step",
            "seconds of a process that imports TensorFlow",
            "share of the search outside of epochs",
        )
    ):
        values = [one[place] for one in found]
        print(
            f"{name}: median {statistics.median(values):.3g} of {', '.join(f'{one:.3g}' for one in values)}"
        )


if __name__ == "__main__":
    main()
