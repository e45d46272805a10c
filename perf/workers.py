"""What worker processes bring on this machine: ``python perf/workers.py [WORDS of a sweep]``.

Carries out the same search of avg-pool several times, in this order: in one process, by one worker, by two
workers, and so on again. Prints trials per minute of the search phase (the start of processes included, final
runs left out) as medians, and their ratios to one worker. Words given are added to each sweep, such as
``--dataset imdb``.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
from importlib.metadata import version

from sweeps import sweep

ROUNDS = 3
TRIALS = 12
WAYS: dict[str, list[str]] = {
    "in this process": [],
    "--workers 1": ["--workers", "1"],
    "--workers 2": ["--workers", "2"],
}
WORDS = ["--model", "avg-pool", "--dataset", "sample", "--trials", str(TRIALS), "--seeds", "1"]
WORDS += ["--sampler", "random", "--pruner", "none"]


def search_seconds(words: list[str]) -> float:
    """Carry out a sweep in an empty folder; return the seconds from its plan to its last trial."""
    with tempfile.TemporaryDirectory() as folder:
        plan, last = sweep(folder, *WORDS, *words)
    return last - plan


def main() -> None:
    """Measure and print a table."""
    extra = sys.argv[1:]
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way, words in WAYS.items():
            seconds[way].append(search_seconds([*words, *extra]))
            print(f"  {way}: {TRIALS} trials in {seconds[way][-1]:.1f} s", flush=True)
    base = statistics.median(seconds["--workers 1"])
    cores = len(os.sched_getaffinity(0))
    print(
        f"\n{platform.processor() or platform.machine()}, {cores} cores, tensorflow {version('tensorflow')}"
    )
    print(f"{ROUNDS} rounds of {TRIALS} trials: sweep {' '.join([*WORDS, *extra])}\n")
    print("| | trials a minute (median) | ratio to one worker |\n| --- | --- | --- |")
    for way, times in seconds.items():
        median = statistics.median(times)
        print(f"| {way} | {60 * TRIALS / median:.1f} | {base / median:.2f} |")


if __name__ == "__main__":
    main()
