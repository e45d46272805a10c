"""Which way to run epochs is the fastest for a model on this machine: measured once, and kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from timeit import timeit
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmark.data.cache import remembered
from benchmark.spec.config import Mode, RunSpec
from benchmark.support.tensorflow_setup import quiet_stderr
from benchmark.training.batches import make_epoch, prepare, shuffled
from benchmark.training.devices import threads

Speeds = dict[str, list[float]]
"""Of each way that works: seconds until the first step is done, and seconds of a further one."""

_METHOD = 3  # of measuring and of running epochs; a different one makes what was measured worthless
_STEPS = 5
_WORTH_MEASURING = 20_000_000  # ids that a run may read; a smaller one is over before it could pay
_PATIENCE = 10.0  # times as long as the first way; a different one that takes longer is not measured further


def fastest_mode(
    spec: RunSpec, device: str, build: Callable[[], keras.Model], x: NDArray[Any], y: NDArray[np.int32]
) -> Mode:
    """Return the way in which a run takes least time, by what was measured on this machine.

    The measurement is made at the first run that is worth it, takes a few seconds, and is kept in the
    cache: later runs of the same architecture take the same way, and so give the same curves.

    Parameters
    ----------
    spec : RunSpec
        The run.
    device : str
        Where it is trained.
    build : callable
        Returns the run's model, compiled.
    x : ndarray, int32 [n, length] or object [n]
        Training inputs.
    y : ndarray of int32, shape [n]
        Labels.
    """
    training = spec.training
    assert training is not None
    if x.size * training.epochs < _WORTH_MEASURING:
        return "graph"
    steps = training.epochs * -(-len(y) // training.batch_size)
    modes = modes_of(spec, x)
    measure = partial(_measure, build, x, y, training.batch_size, modes)
    speeds: Speeds = remembered("speeds", _identity(spec, device), measure)
    known = [mode for mode in modes if mode in speeds]
    return min(known, key=lambda mode: speeds[mode][0] + steps * speeds[mode][1])


def modes_of(spec: RunSpec, x: NDArray[Any]) -> list[Mode]:
    """Return the ways that are possible: XLA knows neither strings nor batches of changing width."""
    assert spec.training is not None
    fixed = x.dtype != object and not spec.training.trim
    return ["graph", "numpy", "xla", "fit"] if fixed else ["graph", "numpy", "fit"]


def _identity(spec: RunSpec, device: str) -> dict[str, Any]:
    """What the choice depends on: of a rate, whether it is 0, since random numbers cost differently."""
    training = spec.training
    assert training is not None
    return {
        "method": _METHOD,
        "model": [spec.model, spec.model_digest],
        "rates": {name: value > 0 for name, value in spec.hparams.items() if isinstance(value, float)},
        "trim": training.trim,
        "precision": training.precision,
        "device": device,
        "threads": threads(),
        "versions": [tf.__version__, keras.__version__],
    }


def _measure(
    build: Callable[[], keras.Model], x: NDArray[Any], y: NDArray[np.int32], size: int, modes: list[Mode]
) -> Speeds:
    """Run a few steps each way."""
    size = min(size, len(y))
    count = min(_STEPS * size, len(y))
    data, labels = tf.constant(x[:count]), tf.constant(y[:count])
    batches = shuffled(np.random.default_rng(0), count, size)
    speeds: Speeds = {}
    for mode in modes:
        try:
            with quiet_stderr():
                model = build()
                prepare(model, data, labels)
                epoch = partial(make_epoch(model, mode), data, labels, batches)
                first = step = timeit(epoch, number=1)
                if all(first <= _PATIENCE * start for start, _ in speeds.values()):
                    step = min(timeit(epoch, number=1), timeit(epoch, number=1))
        except Exception:
            if mode == "graph":  # then the model itself is wrong, and its run will say so
                return {"graph": [0.0, 0.0]}
            continue
        step /= -(-count // size)
        speeds[mode] = [max(first - step, 0.0), step]
    return speeds
