"""Cores, memory, GPUs and the clock."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil

import benchmark
from benchmark.checkup.finding import Finding, Place, note, ok, problem
from benchmark.checkup.folders import nearest
from benchmark.control_groups import cpu_quota, memory_limit, memory_used
from benchmark.training.devices import cores, nvidia_smi, visible_cores

_GIB = 1 << 30
_LITTLE_MEMORY = 2 * _GIB  # TensorFlow alone takes 0.7 GB
_SKEW = 2.0  # seconds


def processors(place: Place) -> Iterator[Finding]:
    """Count the cores, and the time on them that a control group allows."""
    seen, used = visible_cores(), cores()
    limited = f", since the control group allows the time of {cpu_quota():g}" if used < seen else ""
    yield ok(f"{used} cores" if not limited else f"{used} of {seen} cores are used{limited}")


def memory(place: Place) -> Iterator[Finding]:
    """Measure the memory that is left, and that a control group leaves."""
    state = psutil.virtual_memory()
    limit, used = memory_limit(), 0
    total, free = state.total, state.available
    if limit is not None and limit < total:
        used = memory_used() or 0
        total, free = limit, min(free, max(limit - used, 0))
    message = f"{free / _GIB:.1f} of {total / _GIB:.1f} GiB of memory are free"
    if free < _LITTLE_MEMORY:
        yield note(f"{message}; TensorFlow alone takes 0.7", "end other programs, or use fewer --workers")
    else:
        yield ok(message)


def gpus(place: Place) -> Iterator[Finding]:
    """Find GPUs without TensorFlow, and whether TensorFlow finds them."""
    there = nvidia_gpus()
    answer = place.tensorflow
    if "error" in answer:
        return  # which is a finding of another check
    seen, hidden = answer["gpus"], os.environ.get("CUDA_VISIBLE_DEVICES")
    told = problem if place.device == "gpu" else note
    if place.device == "gpu" and not there and not seen:
        yield problem("--device gpu: there is no GPU here", "leave it out, or use --device cpu")
    elif there and not seen and hidden in ("", "-1"):
        yield told(
            f"CUDA_VISIBLE_DEVICES={hidden!r} hides {_names(there)} from TensorFlow",
            "unset CUDA_VISIBLE_DEVICES, where that is not on purpose",
        )
    elif there and not seen:
        yield told(
            f"{_names(there)} is here, but TensorFlow does not see it; runs would be trained by the cores",
            "pip install 'textbench[gpu]', and see that the driver is not older than CUDA asks for",
        )
    elif seen:
        yield ok(f"TensorFlow sees {len(seen)} GPU: {_names(there) or ', '.join(seen)}")
    else:
        yield ok("no GPU; the small models of the board do not need one")


def clock(place: Place) -> Iterator[Finding]:
    """Hold the clock against the files of this program, and against that of the file system."""
    now = time.time()
    made = max(path.stat().st_mtime for path in Path(benchmark.__file__).parent.glob("*.py"))
    if now < made - _SKEW:
        yield problem(
            f"the clock says {_date(now)}, and the files of this program were written later ({_date(made)})",
            "set the clock: timedatectl set-ntp true",
        )
        return
    with tempfile.NamedTemporaryFile(dir=nearest(place.runs), prefix=".textbench-doctor-") as file:
        skew = os.fstat(file.fileno()).st_mtime - time.time()
    if abs(skew) > _SKEW:
        yield note(
            f"files written here are dated {abs(skew):.0f} s {'after' if skew > 0 else 'before'} the time of "
            "this machine: its clock and that of its file server differ",
            "set both by the same time server",
        )
    else:
        yield ok(f"the clock says {_date(now)}")


def nvidia_gpus() -> list[str]:
    """Return the names and memory of NVIDIA GPUs as the driver tells them."""
    return nvidia_smi("--query-gpu=name,memory.total", "--format=csv,noheader")


def _names(gpus: list[str]) -> str:
    return "; ".join(gpus)


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
