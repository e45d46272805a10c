"""All checks, carried out side by side."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from benchmark.checkup import data_sets, environment, folders, machine, packages, stores
from benchmark.checkup.finding import Check, Finding, Place, problem
from benchmark.urls import redacted

CHECKS: tuple[Check, ...] = (
    packages.python,
    packages.own_requirements,
    packages.their_requirements,
    packages.tested_versions,
    packages.optional,
    environment.tensorflow,
    environment.combinations,
    environment.threads,
    machine.processors,
    machine.memory,
    machine.gpus,
    machine.clock,
    folders.runs_folder,
    folders.cache_folder,
    folders.room,
    folders.file_locks,
    stores.tracking_store,
    stores.search_store,
    data_sets.data_folder,
    data_sets.data_sets,
)


def run_checks(place: Place, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """Carry out checks and return what they found, in their order.

    Parameters
    ----------
    place : Place
        What is looked at.
    checks : sequence of callable
        One that fails itself is a problem that is found.
    """
    with ThreadPoolExecutor(len(checks)) as pool:
        found = list(pool.map(partial(_run, place), checks))
    return [finding for findings in found for finding in findings]


def _run(place: Place, check: Check) -> list[Finding]:
    name, findings = check.__name__.replace("_", " "), []
    try:
        for finding in check(place):
            findings.append(replace(finding, check=name))
    except Exception as error:
        reason = redacted(" ".join(f"{type(error).__name__}: {error}".split()))[:300]
        failed = problem(f"this could not be looked at ({reason})", "see --debug, and report it")
        findings.append(replace(failed, check=name))
    return findings
