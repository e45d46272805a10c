"""TensorFlow's start-up chatter, silenced; errors still reach the user."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what native code writes to standard error; it is shown only if the block fails."""
    try:
        saved = os.dup(2)
    except OSError:  # no standard error, as under some services
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


# What Keras imports where it is installed, for `keras.wrappers` and for drawing pictures: a third of the
# seconds that `import tensorflow` takes, at the start of each process.
_UNUSED = ("matplotlib", "sklearn")


@contextmanager
def _without(*modules: str) -> Iterator[None]:
    """Let modules that have not been imported yet seem not to be installed."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


def quiet_tensorflow() -> None:
    """Import TensorFlow with Keras, and find its devices, without the lines it prints about that.

    `keras.wrappers`, for scikit-learn, is of no use in a process where this was called first.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # Take of a GPU what is needed, not all of it at once: others may train or predict there, too.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if "tensorflow" in sys.modules:
        return
    with quiet_stderr(), warnings.catch_warnings(), _without(*_UNUSED):
        warnings.simplefilter("ignore")
        import keras  # noqa: F401
        import tensorflow as tf

        tf.config.list_physical_devices()
        tf.get_logger().setLevel("ERROR")
