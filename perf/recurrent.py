"""Recurrent layers in NumPy and Keras's: ``python perf/recurrent.py [--rounds R] [--length N] [MODEL ...]``.

A training step of 64 texts at the published settings (length 500, without ``--length``), by `fit`, as a
graph, and with recurrent layers in NumPy, with and without dropout, in alternating rounds. The vocabulary is
small, so that a step is its recurrent layers. Of each way the least of all rounds counts, which other work on
the machine disturbs least: seconds of a step and, in brackets, of the processor's time; how many times as
fast as `fit` and as the graph NumPy is; and how many times as long as the floor, the products of the layers'
matrices at the speed of `perf/limits.py`, measured in the same rounds.
"""

from __future__ import annotations

import argparse
import math
import platform
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from limits import operations_a_second

from benchmark.models import bilstm, gru, lstm
from benchmark.models.task import Task
from benchmark.spec.config import Mode
from benchmark.training.batches import make_epoch, prepare, shuffled
from benchmark.training.devices import cores, set_up_device

BATCH, WORDS = 64, 2000
WAYS: tuple[Mode, ...] = ("fit", "graph", "numpy")
RATES = ((0.0, 0.0), (0.2, 0.0), (0.0, 0.2), (0.2, 0.2))
BUILD = {"lstm": lstm.build, "gru": gru.build, "bilstm": bilstm.build}


def epochs(
    model: str, length: int, dropout: float, recurrent_dropout: float
) -> dict[Mode, Callable[[], object]]:
    """Return for each way what trains a step."""
    x = tf.constant(np.random.default_rng(0).integers(1, WORDS, (BATCH, length), dtype=np.int32))
    y, batches = tf.range(BATCH) % 2, shuffled(np.random.default_rng(0), BATCH, BATCH)
    rates = {"dropout": dropout} | ({} if model == "bilstm" else {"recurrent_dropout": recurrent_dropout})
    found: dict[Mode, Callable[[], object]] = {}
    for way in WAYS:
        network = BUILD[model](Task(("neg", "pos"), WORDS, length), **rates)
        network.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True), metrics=["accuracy"])
        prepare(network, x, y)
        epoch = make_epoch(network, way)
        epoch(x, y, batches)
        found[way] = lambda epoch=epoch: epoch(x, y, batches)  # type: ignore[misc]
    return found


def operations(model: str, length: int) -> float:
    """Return the floating-point operations of a step's matrix products, forwards and twice that backwards."""
    layers = {"lstm": [(228, 400)], "gru": [(256, 384)], "bilstm": 2 * [(192, 256)] + 2 * [(192, 256)]}[model]
    return float(sum(3 * 2 * BATCH * length * inner * columns for inner, columns in layers))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=[*BUILD], metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--length", type=int, default=500)
    options = parser.parse_args()
    set_up_device("cpu")
    keras.utils.set_random_seed(0)
    print(f"{platform.machine()}, {cores()} cores, TensorFlow {tf.__version__}, NumPy {np.__version__}\n")
    print("| architecture | dropout | recurrent | fit, s (CPU) | graph, s (CPU) | NumPy, s (CPU) |", end="")
    print(" times as fast as fit (CPU) | as graph (CPU) | times the floor |")
    print("| --- " * 9 + "|")
    for model in options.models:
        for rates in RATES:
            if model == "bilstm" and rates[1]:
                continue
            ways = epochs(model, options.length, *rates)
            least = dict.fromkeys(ways, (math.inf, math.inf))
            speed = 0.0
            for _ in range(options.rounds):
                for way, epoch in ways.items():
                    started, used = time.perf_counter(), time.process_time()
                    epoch()
                    took = time.perf_counter() - started, time.process_time() - used
                    least[way] = min(least[way][0], took[0]), min(least[way][1], took[1])
                speed = max(speed, operations_a_second(BATCH, 228, 400))
            numpy = least["numpy"]
            cells = [model, *(f"{rate:.1f}" for rate in rates)]
            cells += [f"{elapsed:.3f} ({used:.3f})" for elapsed, used in least.values()]
            cells += [f"{least[way][0] / numpy[0]:.1f} ({least[way][1] / numpy[1]:.1f})" for way in WAYS[:2]]
            cells.append(f"{numpy[0] * speed / operations(model, options.length):.1f}")
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
