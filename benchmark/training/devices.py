"""The device a run is trained on, set up once a process."""

from __future__ import annotations

import contextlib
import gc
import os
import platform
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmark.spec.config import Device
from benchmark.support.errors import UserError
from benchmark.support.tensorflow_setup import quiet_stderr, quiet_tensorflow

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_PROCESSORS = Path("/proc/cpuinfo")
_CROWDED = 1.5  # programs that want to run, for each core; this process is as many as it has threads


@cache
def set_up_device(device: Device) -> str:
    """Make TensorFlow use a device, deterministically at first, and return its name.

    Whether it stays deterministic is up to `benchmark.training.determinism.set_determinism`.

    Parameters
    ----------
    device : {"auto", "cpu", "gpu"}
        ``auto`` is the GPU where there is one.

    Returns
    -------
    str
        ``"cpu"``, or the name of the GPU.

    Raises
    ------
    UserError
        When a GPU is asked for and there is none.
    """
    # TensorFlow counts the cores that it sees; threads beyond a quota get in each other's way.
    if cores() < visible_cores() and os.environ.get("TF_NUM_INTRAOP_THREADS", "") in ("", "0"):
        limit_threads(cores())
    quiet_tensorflow()
    import tensorflow as tf

    # What the libraries made at import lives for ever: leave it out of the collections between runs.
    gc.collect()
    gc.freeze()
    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise UserError(
            "`device` gpu: TensorFlow sees no GPU here; install the driver and 'textbench[gpu]', "
            "or use `device` cpu"
        )
    with quiet_stderr():
        # The same spec gives the same curves, bit by bit; on two cores this costs nothing measurable.
        tf.config.experimental.enable_op_determinism()
        if device == "cpu" or not gpus:
            tf.config.set_visible_devices([], "GPU")
            return "cpu"
        return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "gpu"))


def check_device(device: Device) -> None:
    """Raise `UserError`, before anything is started, where a GPU is asked for and there is none."""
    if device == "gpu":
        set_up_device(device)


def is_deterministic() -> bool:
    """Whether TensorFlow's operations give the same bits every time in this process, as they are set now."""
    from tensorflow.python.framework.config import is_op_determinism_enabled

    return bool(is_op_determinism_enabled())


def cudnn_version() -> str:
    """Return the version of cuDNN that was installed with TensorFlow, "" where none was."""
    try:
        return version("nvidia-cudnn-cu12")
    except PackageNotFoundError:
        return ""


def crowded() -> bool:
    """Whether others use the cores, too, so that what is measured now would mislead."""
    return os.getloadavg()[0] > _CROWDED * cores()


def visible_cores() -> int:
    """Return the number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def machine() -> str:
    """Name the processor, with the cores that are worth a thread: ``AMD EPYC 9V74 (2 cores)``."""
    named = ""
    with contextlib.suppress(OSError):
        lines = _PROCESSORS.read_text(encoding="utf-8").splitlines()
        named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    named = named or platform.processor() or platform.machine()
    return f"{named} ({cores()} core{'' if cores() == 1 else 's'})"


def cores() -> int:
    """Return the number of cores that are worth a thread: a container may have the time of fewer."""
    import joblib  # and NumPy with it, whose threads a worker limits first

    return int(joblib.cpu_count())


def physical_cores() -> int:
    """Return how many of `cores` share no unit with another."""
    import joblib

    return int(joblib.cpu_count(only_physical_cores=True))


def limit_threads(threads: int) -> None:
    """Let this process use so many cores; to be called before TensorFlow is imported."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = str(threads)


def threads() -> int:
    """Return the number of threads that an operation of TensorFlow uses in this process.

    Raises
    ------
    UserError
        As `threads_asked`.
    """
    return threads_asked() or cores()


def threads_asked() -> int:
    """Return ``TF_NUM_INTRAOP_THREADS``, 0 where it says nothing.

    Raises
    ------
    UserError
        When ``TF_NUM_INTRAOP_THREADS`` is not a whole number.
    """
    text = os.environ.get("TF_NUM_INTRAOP_THREADS") or "0"
    if not (text.isascii() and text.isdigit()):
        raise UserError(f"TF_NUM_INTRAOP_THREADS={text}: expected a whole number, for example {cores()}")
    return int(text)


def computes_bfloat16() -> bool:
    """Whether there is an NVIDIA GPU that computes in bfloat16 (compute capability 8.0); loads nothing."""
    try:
        return float(nvidia_smi("--query-gpu=compute_cap", "--format=csv,noheader")[0]) >= 8
    except (ValueError, IndexError):
        return False


def free_memory() -> int:
    """Return the bytes of memory that are free, and that a container leaves."""
    import psutil

    free = int(psutil.virtual_memory().available)
    with contextlib.suppress(OSError):
        names = ("memory.limit_in_bytes", "memory.max"), ("memory.usage_in_bytes", "memory.current")
        for limit, taken in memory_groups(*names):
            with contextlib.suppress(OSError, ValueError):  # there is none, or it is "max"
                free = min(free, int(limit.read_text()) - int(taken.read_text()))
    return free


def memory_groups(*names: tuple[str, str]) -> Iterator[list[Path]]:
    """Yield files of the control groups that this process's memory counts in, the innermost group first.

    In a container the paths of groups may be those outside, where none of their files exist: then the
    outermost folder alone is that of the container.

    Parameters
    ----------
    *names : tuple of str
        Of each file its names, in version 1 and in version 2 of control groups.

    Yields
    ------
    list of Path
        The files of one group, in the order of `names`; they need not exist.

    Raises
    ------
    OSError
        Where the system has no control groups.
    """
    for line in _MEMBERSHIP.read_text("utf-8").splitlines():
        _, controllers, place = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top = _CONTROL_GROUPS / "memory" if controllers else _CONTROL_GROUPS
        group = top / place.lstrip("/")
        for folder in (group, *group.parents):
            yield [folder / (first if controllers else second) for first, second in names]
            if folder == top:
                break


def nvidia_smi(*words: str) -> list[str]:
    """Return the lines that NVIDIA's tool prints, none where there is no such tool or it fails."""
    try:
        done = subprocess.run(["nvidia-smi", *words], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]
