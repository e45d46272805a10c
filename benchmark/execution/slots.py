"""Slots: where there is room for a run, by the CPUs and GPUs that it takes."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence

from benchmark.training.devices import nvidia_smi

_SLACK = 1e-6  # three times a third of a GPU is one


def visible_gpus() -> list[str]:
    """Return the NVIDIA GPUs that this process may use, by the names ``CUDA_VISIBLE_DEVICES`` takes."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        names = [name.strip() for name in named.split(",")]
        return names[: next((i for i, name in enumerate(names) if name in ("", "-1")), None)]
    return [str(number) for number, _ in enumerate(nvidia_smi("--list-gpus"))]


def freest_gpu(gpus: Sequence[str], taken: Iterable[str | None]) -> str | None:
    """Return the GPU with the fewest workers, the first of equals; None where there is no GPU.

    Parameters
    ----------
    gpus : sequence of str
        All there are.
    taken : iterable of str or None
        The one that each worker has; one that two workers share stands there twice.
    """
    users = list(taken)
    return min(gpus, key=users.count, default=None)


def room(node: Mapping[str, float], cpus: float, gpus: float) -> int:
    """Return how many runs a node has room for.

    Parameters
    ----------
    node : mapping of str to float
        What the node has in all: ``CPU`` and ``GPU``, as Ray counts them.
    cpus, gpus : float
        What one run takes, at least one of them above 0. Several runs share a GPU where it is below 1; one
        run never gets parts of two.
    """
    by_cpu = math.floor(node.get("CPU", 0.0) / cpus + _SLACK) if cpus else math.inf
    if not gpus:
        return int(by_cpu)
    whole = math.floor(node.get("GPU", 0.0) + _SLACK)
    by_gpu = whole * math.floor(1 / gpus + _SLACK) if gpus <= 1 else math.floor(whole / gpus)
    return int(min(by_cpu, by_gpu))
