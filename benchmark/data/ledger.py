"""The test part's one door: reading it appends an entry to a hash-chained ledger."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from benchmark.config import RunSpec
from benchmark.data.dataset import Dataset, Store, View
from benchmark.errors import UserError
from benchmark.registry import label_of

_FIRST = "0" * 64


def read_test(dataset: Dataset, spec: RunSpec, ledger: Path) -> View:
    """Read the test part for one final run, after the look has been recorded.

    This is the only function of the project that opens the test part.

    Parameters
    ----------
    dataset : Dataset
        The prepared data set.
    spec : RunSpec
        The final run that is to be measured.
    ledger : Path
        ``mlruns/ledger.jsonl``.

    Returns
    -------
    View
        The test part as the run's view settings cut it.

    Raises
    ------
    ValueError
        For a trial: the search never sees the test part.
    """
    if spec.kind != "final":
        raise ValueError("a trial of the search may not read the test part")
    if spec.dataset_digest != dataset.digest:
        raise ValueError(f"the run is on data {spec.dataset_digest}, not on {dataset.digest}")
    append(
        ledger,
        {
            "who": user_name(),
            "spec_id": spec.spec_id,
            "model": label_of(spec.model),
            "dataset": spec.dataset,
            "dataset_digest": dataset.digest,
        },
    )
    rows = np.arange(dataset.sizes["test"])
    length = dataset.length(spec.view) if spec.view else 0
    return Store(dataset.folder / "test").view(rows, spec.view, length)


def append(ledger: Path, entry: dict[str, Any]) -> None:
    """Append an entry that carries the hash of the one before."""
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with _lock(ledger):
        entries = _entries(ledger)
        previous = entries[-1]["hash"] if entries else _FIRST
        body = {"when": datetime.now(UTC).isoformat(timespec="seconds"), **entry, "previous": previous}
        line = json.dumps({**body, "hash": _hash(body)}, sort_keys=True)
        with ledger.open("ab") as file:
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def looks(ledger: Path, dataset_digest: str | None = None) -> Counter[str]:
    """Count the looks at the test part by model.

    Parameters
    ----------
    ledger : Path
        ``mlruns/ledger.jsonl``; missing means no looks.
    dataset_digest : str, optional
        Count those at one data set only.

    Raises
    ------
    UserError
        When the chain of hashes is broken: an entry was changed, cut off or taken out.
    """
    if not ledger.exists():
        return Counter()
    with _lock(ledger):
        entries = _entries(ledger)
    return Counter(
        entry["model"]
        for entry in entries
        if dataset_digest is None or entry["dataset_digest"] == dataset_digest
    )


def _entries(ledger: Path) -> list[dict[str, Any]]:
    """Return the entries, each checked against its hash and the one before."""
    try:
        lines = ledger.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    entries: list[dict[str, Any]] = []
    previous = _FIRST
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            body = {name: value for name, value in entry.items() if name != "hash"}
            whole = entry["hash"] == _hash(body) and entry["previous"] == previous
        except (ValueError, KeyError, AttributeError):
            whole = False
        if not whole or not line.endswith(b"\n"):
            raise UserError(f"{ledger}, line {number}: the ledger is damaged; restore it from a copy")
        entries.append(entry)
        previous = entry["hash"]
    return entries


def _lock(ledger: Path) -> filelock.BaseFileLock:
    return filelock.FileLock(f"{ledger}.lock")


def _hash(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def user_name() -> str:
    """Return the name of the account, or "unknown" where the system has none for it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no account of that number, as in some containers
        return "unknown"
