"""What TensorFlow says of itself, asked in another process: it may hang, crash, or take the whole GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import benchmark

_PATIENCE = 120.0  # beside many other programs an import was seen to take a minute
_CODE = """
import json
from benchmark.quiet import quiet_tensorflow
quiet_tensorflow()
import keras, tensorflow as tf
print("\\n" + json.dumps({
    "gpus": [gpu.name for gpu in tf.config.list_physical_devices("GPU")],
    "cuda": tf.test.is_built_with_cuda(),
    "backend": keras.backend.backend(),
    "floatx": keras.config.floatx(),
}))
"""


def probe(seconds: float = _PATIENCE) -> dict[str, Any]:
    """Import TensorFlow and Keras as a run does, and tell what they are set to.

    Returns
    -------
    dict
        ``gpus``, ``cuda``, ``backend``, ``floatx`` and ``seconds``; or ``error``, one line, where they
        cannot be imported in time.
    """
    root = str(Path(benchmark.__file__).parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    started = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CODE],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if done.returncode:
            last = done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"]
            return {"error": last[-1][:300]}
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"error": f"it has not been imported after {seconds:.0f} s"}
    return {**answer, "seconds": time.monotonic() - started}
