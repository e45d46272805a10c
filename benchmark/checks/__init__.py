"""What `doctor` checks: each check asks the code that a sweep uses, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Literal

from benchmark.spec.config import Device
from benchmark.support.errors import UserError, one_line, spelled
from benchmark.support.printable import redacted

_LIMIT = 180.0  # seconds; beside many other programs an import of TensorFlow was seen to take a minute

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
        Name of the check; filled in by `run_checks`.
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


def all_checks() -> tuple[Check, ...]:
    """Return the checks in the order in which they are shown."""
    from benchmark.checks import machine, stores

    return (
        machine.packages,
        machine.processors,
        machine.memory,
        machine.device,
        stores.runs_folder,
        stores.cache_folder,
        stores.room,
        stores.file_locks,
        stores.tracking_store,
        stores.search_store,
        stores.data_sets,
        stores.spaces,
    )


def run_checks(setup: Setup, checks: Sequence[Check] | None = None, limit: float = _LIMIT) -> list[Finding]:
    """Carry out checks and return what they found, in their order.

    Parameters
    ----------
    setup : Setup
        What is checked.
    checks : sequence of callable, optional
        All by default. A `UserError` of the code that a sweep uses is a problem that is found, as any other
        error is.
    limit : float
        Seconds after which a check that hangs is left alone.
    """
    return [finding for check in checks or all_checks() for finding in _run(setup, check, limit)]


def _run(setup: Setup, check: Check, limit: float) -> list[Finding]:
    found: list[Finding] = []

    def carry_out() -> None:
        try:
            for finding in check(setup):
                found.append(finding)
        except UserError as error:
            found.append(refusal(error))
        except Exception as error:
            found.append(problem(f"this check failed ({one_line(error, named=True)})", "report it"))

    thread = Thread(target=carry_out, daemon=True)
    thread.start()
    thread.join(limit)
    if thread.is_alive():
        found.append(problem(f"this check has not finished after {limit:.0f} s", "see what it waits for"))
    return [replace(finding, check=check.__name__.replace("_", " ")) for finding in found]
