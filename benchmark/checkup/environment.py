"""Settings of the environment, and combinations, that are known to spoil runs or to slow them down."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import NamedTuple

from benchmark.checkup.finding import Finding, Level, Place, note, ok, problem
from benchmark.training.devices import cores

_READ_BY_RUNS = "TF_NUM_INTRAOP_THREADS"
_THREADS = (_READ_BY_RUNS, "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


class Combination(NamedTuple):
    """Something known to be bad: whether it is here, what is told, and what to do."""

    level: Level
    holds: Callable[[Place], bool]
    message: str
    mend: str


def _other_backend(place: Place) -> bool:
    return (os.environ.get("KERAS_BACKEND") or "tensorflow") != "tensorflow"


KNOWN = (
    Combination(
        "problem",
        _other_backend,
        "KERAS_BACKEND={KERAS_BACKEND}, but models are trained by Keras on TensorFlow",
        "unset KERAS_BACKEND",
    ),
    Combination(
        "problem",
        lambda place: place.tensorflow.get("floatx", "float32") != "float32",
        "the floatx of Keras (keras.json in KERAS_HOME or ~/.keras) is not float32, so results "
        "differ from those of other machines",
        'set "floatx": "float32" in keras.json, and choose the precision with --precision',
    ),
    Combination(
        "note",
        lambda place: os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true"),
        "TF_USE_LEGACY_KERAS makes tf.keras the old Keras 2, so models of yours that use tf.keras fail here",
        "unset TF_USE_LEGACY_KERAS, or write 'import keras' in your models",
    ),
    Combination(
        "problem",
        lambda place: find_spec("tensorflow_hub") is not None and find_spec("pkg_resources") is None,
        "tensorflow-hub needs pkg_resources, which newer versions of setuptools lack: the model hub fails",
        "pip install 'setuptools<81'",
    ),
)
"""Each was seen to do what its message says; `tests/test_doctor.py` has those that can be planted."""


def combinations(place: Place) -> Iterator[Finding]:
    """Look for combinations that are known to be bad."""
    bad = [known for known in KNOWN if known.holds(place)]
    for known in bad:
        yield Finding(known.level, known.message.format_map(os.environ), known.mend)
    if not bad:
        yield ok("no combination that is known to be bad")


def tensorflow(place: Place) -> Iterator[Finding]:
    """Import TensorFlow and Keras in a process of their own."""
    answer = place.tensorflow
    if "error" in answer and _other_backend(place):
        return  # which is why, and the finding of another check
    if "error" in answer:
        yield problem(
            f"TensorFlow and Keras cannot be imported: {answer['error']}",
            "pip install --force-reinstall -c constraints.txt tensorflow keras",
        )
    else:
        yield ok(f"TensorFlow and Keras are imported in {answer['seconds']:.1f} s")


def threads(place: Place) -> Iterator[Finding]:
    """Look at settings of the number of threads."""
    here, fine = cores(), True
    for name in _THREADS:
        value = os.environ.get(name)
        if value is None or value == "0":  # which says: as many as there are cores
            continue
        if not (value.isascii() and value.isdigit()):
            fine = False
            told = problem if name == _READ_BY_RUNS else note  # others are read by libraries, which ignore it
            yield told(f"{name}={value} is not a whole number", f"unset {name}, or export {name}={here}")
        elif int(value) > here:
            fine = False
            yield note(
                f"{name}={value} is more than the {here} cores, which slows them down", f"unset {name}"
            )
        elif int(value) < here and name == _READ_BY_RUNS:
            fine = False
            yield note(f"{name}={value}: only so many of {here} cores train", f"unset {name}")
    if fine:
        yield ok("as many threads as cores")
