"""What a check finds, and what it may know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from benchmark.checkup.tensorflow_probe import probe
from benchmark.config import Device

Level = Literal["ok", "note", "problem"]
_one_at_a_time = Lock()


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    level : {"ok", "note", "problem"}
        A note is worth knowing; a problem makes runs fail, or makes them wrong.
    message : str
        One sentence.
    mend : str
        A command or an edit; "" where nothing is to be done.
    check : str
        Name of the check; filled in by `benchmark.checkup.run.run_checks`.
    """

    level: Level
    message: str
    mend: str = ""
    check: str = ""


@dataclass(frozen=True)
class Place:
    """What is looked at.

    Attributes
    ----------
    runs : Path
        ``mlruns``; need not be there.
    data_dir : str or None
        ``--data-dir``.
    tracking_uri, storage : str or None
        The options of these names.
    device : {"auto", "cpu", "gpu"}
        Where runs would be trained.
    """

    runs: Path
    data_dir: str | None = None
    tracking_uri: str | None = None
    storage: str | None = None
    device: Device = "auto"

    @cached_property
    def tensorflow(self) -> dict[str, Any]:
        """What TensorFlow says of itself in a process of its own; see `tensorflow_probe.probe`."""
        with _one_at_a_time:  # checks are carried out side by side, and only the first one asks
            answer: dict[str, Any] = vars(self).get("tensorflow") or probe()
            vars(self)["tensorflow"] = answer
            return answer


Check = Callable[[Place], Iterator[Finding]]


def ok(message: str) -> Finding:
    """Return a finding that asks for nothing."""
    return Finding("ok", message)


def note(message: str, mend: str = "") -> Finding:
    """Return a finding that is worth knowing."""
    return Finding("note", message, mend)


def problem(message: str, mend: str) -> Finding:
    """Return a finding that has to be mended."""
    return Finding("problem", message, mend)
