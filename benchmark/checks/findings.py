"""What a check finds, and what it is asked about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.spec.config import Device
from benchmark.support.errors import spelled
from benchmark.support.printable import redacted

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    level : {"ok", "note", "problem"}
        A note is worth knowing; a problem makes runs fail, or makes them wrong.
    message : str
        One sentence.
    fix : str
        A command or an edit; "" where nothing is to be done.
    check : str
        Name of the check; filled in by `benchmark.checks.run.run_checks`.
    """

    level: Level
    message: str
    fix: str = ""
    check: str = ""


@dataclass(frozen=True)
class Setup:
    """What a sweep would be started with; the attributes are named as its options are.

    Attributes
    ----------
    runs : Path
        ``mlruns``; need not be there.
    data_dir, tracking_uri, storage : str or None
        None means the default.
    device : {"auto", "cpu", "gpu"}
        Where runs would be trained.
    """

    runs: Path
    data_dir: str | None = None
    tracking_uri: str | None = None
    storage: str | None = None
    device: Device = "auto"


Check = Callable[[Setup], Iterator[Finding]]


def ok(message: str) -> Finding:
    """Return a finding that asks for nothing."""
    return Finding("ok", message)


def problem(message: str, fix: str) -> Finding:
    """Return a finding that has to be fixed."""
    return Finding("problem", message, fix)


def refusal(error: Exception) -> Finding:
    """Return what a sweep would say; its messages end with what to do."""
    message, separator, fix = redacted(" ".join(spelled(error).split())).rpartition("; ")
    return problem(message, fix) if separator else problem(fix, "correct what is named here")
