"""Seconds an epoch of each way to run it, alternating: ``python perf/compile_modes.py [MODEL] [DATASET]``.

Prints the median over runs and the ratio to `fit`; the first epoch of a run, which compiles, is left out.
``--data-dir`` is BENCHMARK_DATA_DIR.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
from pathlib import Path

from benchmark.config import SweepConfig
from benchmark.data.prepare import prepare
from benchmark.data.source import SourceOptions, get_source
from benchmark.plan import make_plan
from benchmark.tracking.environment import versions
from benchmark.training.train import train

MODES, ROUNDS, EPOCHS = ("fit", "graph", "xla"), 3, 4


def main(model: str = "avg-pool", dataset: str = "sample") -> None:
    folder = os.environ.get("BENCHMARK_DATA_DIR")
    data = prepare(get_source(dataset, SourceOptions(Path(folder) if folder else None)))
    config = SweepConfig(
        budget="quick", trials=1, seeds=1, epochs=EPOCHS, epochs_exact=True, train_share=1, device="cpu"
    )
    plan = make_plan(model, data, config)
    spec = plan.trial_spec({**plan.default, "patience": EPOCHS}, 0)
    seconds: dict[str, list[float]] = {mode: [] for mode in MODES}
    for _ in range(ROUNDS):
        for mode in MODES:
            result = train(spec, data, device="cpu", compile=mode)
            seconds[mode] += result.history["epoch_seconds"][1:]
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    print(f"{model} on {dataset}, default configuration; {versions()}; {machine}")
    slowest = statistics.median(seconds["fit"])
    for mode in MODES:
        median = statistics.median(seconds[mode])
        print(f"{mode:<6} {median:8.4f} s an epoch, {slowest / median:6.1f} times as fast as fit")


if __name__ == "__main__":
    main(*sys.argv[1:])
