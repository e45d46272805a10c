"""Which way to run epochs is the fastest for a model on this machine: measured once, and kept."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from timeit import timeit
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmark.data.cache import remembered
from benchmark.spec.config import Mode, RunSpec
from benchmark.support.errors import UserError, one_line
from benchmark.support.tensorflow_setup import quiet_stderr
from benchmark.training.batches import make_epoch, prepare, shuffled
from benchmark.training.cudnn import cudnn_layers
from benchmark.training.devices import crowded, cudnn_version, is_deterministic, threads

Speeds = dict[str, list[float] | str]
"""Of each way that works: seconds until the first step is done, and seconds of a further one; of one that
fails the error. With ``crowded`` where others used the cores meanwhile: it is worth measuring again."""

_METHOD = 4  # of measuring and of running epochs; a different one makes what was measured worthless
_STEPS = 5
_ROUNDS, _MORE_ROUNDS, _MORE_SECONDS = 2, 8, 2.0  # more only for as long as that takes so few seconds
_CLOSE = 1.5  # times as long as the fastest: a way that takes longer has lost after the first rounds
_CROWDED = "crowded"
_WORTH_MEASURING = 20_000_000  # ids that a run may read; a smaller one is over before it could pay
_PATIENCE = 10.0  # times as long as the first way; a different one that takes longer is not measured further


def fastest_mode(
    spec: RunSpec,
    device: str,
    build: Callable[[], keras.Model],
    x: NDArray[Any],
    y: NDArray[np.int32],
    say: Callable[[str], None] = lambda failure: None,
) -> Mode:
    """Return the way in which a run takes least time, by what was measured on this machine.

    The measurement is made at the first run that is worth it, takes a few seconds, and is kept in the
    cache: later runs of the same architecture take the same way, and so give the same curves. What was
    measured while other work kept the cores busy is measured again once they are not.

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
    say : callable
        Gets a line for each way that failed.
    """
    training = spec.training
    assert training is not None
    if x.size * training.epochs < _WORTH_MEASURING:
        return "graph"
    steps = training.epochs * -(-len(y) // training.batch_size)
    modes = modes_of(spec, x)
    measure = partial(measure_speeds, build, x, y, training.batch_size, modes)
    speeds: Speeds = remembered("speeds", _identity(spec, device), measure, _is_valid)
    seconds: dict[Mode, float] = {}
    for mode in modes:
        found = speeds.get(mode)
        if isinstance(found, str):
            say(f"{mode}: {found}")
        elif found is not None:
            seconds[mode] = found[0] + steps * found[1]
    # Without any the model itself is wrong, and its run will say so.
    return min(seconds, key=lambda mode: seconds[mode], default="graph")


def _is_valid(kept: Speeds) -> bool:
    return bool(kept) and (_CROWDED not in kept or crowded())


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
        "deterministic": is_deterministic(),
        "versions": [tf.__version__, keras.__version__, cudnn_version()],
    }


def measure_speeds(
    build: Callable[[], keras.Model], x: NDArray[Any], y: NDArray[np.int32], size: int, modes: Sequence[Mode]
) -> Speeds:
    """Run a few steps each way, by turns, and take the least seconds of each.

    Ways take turns, so that a burst of other work meets all of them, and those that are near the fastest
    have more turns. cuDNN's recurrent layers are not given to XLA, which cannot compile them.

    Parameters
    ----------
    build : callable
        Returns the model, compiled; one is trained in all ways.
    x, y : ndarray
        Training inputs and labels.
    size : int
        Examples a batch.
    modes : sequence of str
        The ways, the safest first.

    Returns
    -------
    dict
        As `Speeds`; empty where the model cannot be built or trained at all.
    """
    speeds: Speeds = {_CROWDED: f"a load of {os.getloadavg()[0]:.1f}"} if crowded() else {}
    size = min(size, len(y))
    count = min(_STEPS * size, len(y))
    data, labels = tf.constant(x[:count]), tf.constant(y[:count])
    batches = shuffled(np.random.default_rng(0), count, size)
    epochs: dict[Mode, Callable[[], float]] = {}
    first: dict[Mode, float] = {}
    try:
        with quiet_stderr():
            model = build()
            prepare(model, data, labels)
    except Exception:
        return {}
    for mode in modes:
        if mode == "xla" and cudnn_layers(model):
            continue
        try:
            with quiet_stderr():
                epoch = partial(timeit, partial(make_epoch(model, mode), data, labels, batches), number=1)
                first[mode] = epoch()
        except UserError:  # the way is not for this model
            continue
        except Exception as error:
            speeds[mode] = one_line(error)
            continue
        epochs[mode] = epoch
    if not epochs:
        return {}
    slow = {mode: first[mode] for mode in epochs if first[mode] > _PATIENCE * min(first.values())}
    least = {**dict.fromkeys(epochs, math.inf), **slow}
    _take_turns({mode: epoch for mode, epoch in epochs.items() if mode not in slow}, least)
    steps = -(-count // size)
    for mode, seconds in least.items():
        speeds[mode] = [max(first[mode] - seconds / steps, 0.0), seconds / steps]
    return speeds


def _take_turns(epochs: dict[Mode, Callable[[], float]], least: dict[Mode, float]) -> None:
    """Note the least seconds of an epoch in each way."""
    started, rounds = time.perf_counter(), 0
    while rounds < _ROUNDS or (
        len(epochs) > 1 and rounds < _MORE_ROUNDS and time.perf_counter() - started < _MORE_SECONDS
    ):
        for mode, epoch in epochs.items():
            with quiet_stderr():
                least[mode] = min(least[mode], epoch())
        rounds += 1
        if rounds >= _ROUNDS:
            enough = _CLOSE * min(least.values())
            epochs = {mode: epoch for mode, epoch in epochs.items() if least[mode] <= enough}
