"""Whether operations give the same bits every time, which a GPU pays for where embeddings are trained."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism

from benchmark.data.cache import remembered
from benchmark.models import avg_pool
from benchmark.models.task import Task
from benchmark.spec.config import Deterministic
from benchmark.training.compile_mode import Speeds, measure_speeds
from benchmark.training.devices import cudnn_version, is_deterministic

SCATTER_FLAG = "--xla_gpu_enable_scatter_determinism_expander=true"
"""Without it, XLA's deterministic scatter is a loop over all rows, one after another."""

_WORTH = 2.0  # times as long as without may a step of an embedding network take
_WORDS, _LENGTH, _BATCH, _STEPS = 10_000, 256, 512, 5  # as of the published average pooling
_PROBE = "import tensorflow as tf; tf.function(lambda x: x + 1, jit_compile=True)(tf.constant(1))"
_PROBE_SECONDS = 120.0


def set_determinism(asked: Deterministic, device: str) -> str:
    """Make operations of this process deterministic, or let them be fast, and return which.

    Parameters
    ----------
    asked : {"auto", "on", "off"}
        ``auto`` is on; on a GPU it is off where a step of an embedding network was measured to take more
        than twice as long (once a GPU and versions, some seconds).
    device : str
        From `benchmark.training.devices.set_up_device`.

    Returns
    -------
    str
        ``"on"``, or ``"off"``.
    """
    if device != "cpu" and asked != "off":
        _add_scatter_flag()
    _switch(asked == "on" or (asked == "auto" and not (device != "cpu" and cost(device) > _WORTH)))
    return "on" if is_deterministic() else "off"


def _switch(on: bool) -> None:
    if on:
        tf.config.experimental.enable_op_determinism()
    else:
        disable_op_determinism()


@cache
def _add_scatter_flag() -> None:
    """Add the flag to ``XLA_FLAGS``, which XLA reads at its first use, where it is known and nobody did."""
    flags = os.environ.get("XLA_FLAGS", "")
    given = SCATTER_FLAG.partition("=")[0] in flags
    if given or (flags and not flags.startswith("--")):  # it may be the name of a file
        return
    if flag_is_known(SCATTER_FLAG):
        os.environ["XLA_FLAGS"] = f"{flags} {SCATTER_FLAG}".strip()


def flag_is_known(flag: str) -> bool:
    """Whether XLA takes a flag: an unknown one ends the process, so a separate one tries it, once."""

    def attempt() -> dict[str, Any]:
        environment = {**os.environ, "XLA_FLAGS": flag, "CUDA_VISIBLE_DEVICES": ""}
        try:
            done = subprocess.run(
                [sys.executable, "-c", _PROBE], capture_output=True, env=environment, timeout=_PROBE_SECONDS
            )
        except subprocess.TimeoutExpired:
            return {"known": None}
        return {"known": done.returncode == 0}

    identity = {"flag": flag, "tensorflow": tf.__version__}
    kept = remembered("xla-flags", identity, attempt, lambda kept: kept.get("known") is not None)
    return bool(kept["known"])


@cache
def cost(device: str) -> float:
    """Return how many times as long an embedding network's step takes with deterministic operations here."""
    identity = {
        "device": device,
        "versions": [tf.__version__, keras.__version__, cudnn_version()],
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
    }
    return float(
        remembered("determinism", identity, _measure, lambda kept: kept.get("times", 0) > 0)["times"]
    )


def _measure() -> dict[str, Any]:
    """Train average pooling for a few steps with and without, each in its fastest way."""
    x = np.random.default_rng(0).integers(2, _WORDS, (_STEPS * _BATCH, _LENGTH), dtype=np.int32)
    y = np.arange(len(x), dtype=np.int32) % 2
    found: dict[str, Speeds] = {}
    for name, on in (("off", False), ("on", True)):
        _switch(on)
        found[name] = measure_speeds(_network, x, y, _BATCH, ["graph", "xla"])
    least = {
        name: min((one[1] for one in speeds.values() if not isinstance(one, str)), default=math.inf)
        for name, speeds in found.items()
    }
    return {**found, "times": least["on"] / least["off"]}


def _network() -> keras.Model:
    model = avg_pool.build(Task(("a", "b"), _WORDS, _LENGTH))
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True), metrics=["accuracy"])
    return model
