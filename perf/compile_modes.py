"""Seconds an epoch of each way to run it: ``python perf/compile_modes.py [--dataset D] [--set X=Y] [MODEL]``.

The published configuration of each architecture by Keras's `fit`, as a graph and by XLA, in alternating
runs. Prints medians over epochs (the first one of a run, which compiles, left out), their ratio to `fit`,
and the best validation accuracy of each way. ``--compile`` leaves ways out; ``--set`` changes settings, as in
a sweep; ``--beside "NAME=VALUE …"`` alternates with a second configuration, which the ratios are to.
BENCHMARK_DATA_DIR is the data's folder.
"""

from __future__ import annotations

import argparse
import platform
import statistics

from sweeps import planned

from benchmark.plan.run_specs import Plan
from benchmark.tracking.record import versions
from benchmark.training.devices import cores
from benchmark.training.train import train

MODES = ("fit", "graph", "xla")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=["avg-pool"], metavar="MODEL")
    parser.add_argument("--dataset", default="sample")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--train-examples", type=int)
    parser.add_argument("--compile", action="append", choices=(*MODES, "numpy"), metavar="WAY")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--beside", default="", metavar="NAME=VALUE …")
    options = parser.parse_args()
    modes = options.compile or MODES
    print(
        f"{options.dataset}; {versions()}; {platform.machine()}, {cores()} cores; {' '.join(options.set)}\n"
    )
    print("| architecture | way | seconds an epoch | times as fast | best validation accuracy |")
    print("| --- | --- | --- | --- | --- |")
    for model in options.models:
        plans = {"": _plan(model, options, options.set)}
        if options.beside:
            plans = {options.beside: _plan(model, options, options.beside.split()), **plans}
        ways = [(settings, mode) for settings in plans for mode in modes]
        seconds: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
        accuracy = dict.fromkeys(ways, 0.0)
        for _ in range(options.rounds):
            for settings, mode in ways:
                plan = plans[settings]
                spec = plan.trial_spec({**plan.default, "patience": options.epochs}, 0)
                result = train(spec, plan.dataset, device="cpu", compile=mode)
                seconds[settings, mode] += result.history["epoch_seconds"][1:]
                accuracy[settings, mode] = result.best_val_accuracy or 0.0
        slowest = statistics.median(seconds[ways[0]])
        for settings, mode in ways:
            median = statistics.median(seconds[settings, mode])
            row = f"{median:.3f} | {slowest / median:.1f} | {accuracy[settings, mode]:.4f}"
            print(f"| {' '.join([model, settings]).strip()} | {mode} | {row} |", flush=True)


def _plan(model: str, options: argparse.Namespace, settings: list[str]) -> Plan:
    return planned(
        model,
        options.dataset,
        epochs=options.epochs,
        epochs_exact=True,
        train_examples=options.train_examples,
        device="cpu",
        overrides=dict(text.split("=", 1) for text in settings),
    )


if __name__ == "__main__":
    main()
