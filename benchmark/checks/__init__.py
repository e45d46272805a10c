"""What `doctor` checks: each check asks the code that a sweep uses, and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import Thread

from benchmark.checks import machine, stores
from benchmark.checks.findings import Check, Finding, Setup, problem, refusal
from benchmark.support.errors import UserError, one_line

_LIMIT = 180.0  # seconds; beside many other programs an import of TensorFlow was seen to take a minute

CHECKS: tuple[Check, ...] = (
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


def run_checks(setup: Setup, checks: Sequence[Check] = CHECKS, limit: float = _LIMIT) -> list[Finding]:
    """Carry out checks and return what they found, in their order.

    Parameters
    ----------
    setup : Setup
        What is checked.
    checks : sequence of callable
        A `UserError` of the code that a sweep uses is a problem that is found, as any other error is.
    limit : float
        Seconds after which a check that hangs is left alone.
    """
    return [finding for check in checks for finding in _run(setup, check, limit)]


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
        found.append(problem(f"this check has not ended after {limit:.0f} s", "see what it waits for"))
    return [replace(finding, check=check.__name__.replace("_", " ")) for finding in found]
