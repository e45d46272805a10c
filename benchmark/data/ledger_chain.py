"""The test split's one door: reading it appends an entry to a hash-chained ledger."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmark.data.cache import storage_failure
from benchmark.data.dataset import Dataset, MappedTexts, View
from benchmark.spec.config import RunSpec
from benchmark.support.errors import Unfinished, UserError, one_line
from benchmark.support.files import guard
from benchmark.support.registry import label_of

SHOWN = "(examples shown)"
"""Stands in the ledger for a model where test texts were shown to people."""

_FIRST = "0" * 64

Recorder: TypeAlias = Path | Callable[[RunSpec], None]
"""The ledger, or where it is another process's, what has that process record the test read of a run there."""


def read_test_split(dataset: Dataset, spec: RunSpec, ledger: Recorder) -> View:
    """Read the test split for one final run, after that has been recorded.

    This function and `read_test_texts` are the only ones of the project that open the test split, but for
    preparation, which makes token ids of its texts (`Dataset.texts_to_tokenise`).

    Parameters
    ----------
    dataset : Dataset
        The prepared data set.
    spec : RunSpec
        The final run that is to be measured.
    ledger : Path or callable
        ``mlruns/ledger.jsonl``, or what has the read of this run recorded there before it returns.

    Returns
    -------
    View
        The test split as the run's view settings cut it.

    Raises
    ------
    ValueError
        For a trial: the search never sees the test split.
    """
    if spec.kind != "final":
        raise ValueError("a trial of the search may not read the test split")
    if spec.dataset_digest != dataset.digest:
        raise ValueError(f"the run is on data {spec.dataset_digest}, not on {dataset.digest}")
    if callable(ledger):
        ledger(spec)
    else:
        record_test_read(spec, ledger)
    rows = np.arange(dataset.sizes["test"])
    length = dataset.length(spec.view) if spec.view else 0
    ids = dataset.tokenised(spec.view).folder / "test" if spec.view else None
    return MappedTexts(dataset.folder / "test", ids).view(rows, spec.view, length)


def record_test_read(spec: RunSpec, ledger: Path) -> None:
    """Record that a final run reads its test split; only what asks for it may open that split then.

    Parameters
    ----------
    spec : RunSpec
        The final run.
    ledger : Path
        ``mlruns/ledger.jsonl``.

    Raises
    ------
    Unfinished
        When it cannot be written, as on a full disk: no run could be measured then.
    UserError
        When the chain of hashes is broken.
    """
    try:
        append(ledger, _entry(spec.spec_id, label_of(spec.model), spec.dataset, spec.dataset_digest))
    except OSError as error:
        raise Unfinished(storage_failure(error) or f"{ledger} cannot be written ({error})") from error


def read_test_texts(dataset: Dataset, rows: NDArray[np.int64], ledger: Path) -> list[str]:
    """Read some test texts to be shown to people, after that has been recorded.

    Whoever sees test examples may be led by them, so this is a test read like any other, under the name
    `SHOWN` in place of a model's.

    Parameters
    ----------
    dataset : Dataset
        The prepared data set.
    rows : ndarray of int64, shape (n,)
        Places in the test split.
    ledger : Path
        ``mlruns/ledger.jsonl``.
    """
    append(ledger, _entry("", SHOWN, dataset.name, dataset.digest) | {"examples": len(rows)})
    return MappedTexts(dataset.folder / "test").texts(rows)


def _entry(spec_id: str, model: str, dataset: str, digest: str) -> dict[str, Any]:
    return {
        "who": user_name(),
        "spec_id": spec_id,
        "model": model,
        "dataset": dataset,
        "dataset_digest": digest,
    }


def append(ledger: Path, entry: dict[str, Any]) -> None:
    """Append an entry that carries the hash of the one before; it is on the disk when this returns.

    Half an entry at the end, as a machine that loses its power may leave, stands for a read that never took
    place. It is cut off, and its text is kept in the new entry under ``torn``.

    Raises
    ------
    OSError
        When it cannot be written, as on a full disk; the file is then as long as it was.
    UserError
        When the chain of hashes is broken.
    """
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with guard(ledger):
        entries, torn = _entries(ledger, locked=True)
        previous = entries[-1]["hash"] if entries else _FIRST
        body = {"when": datetime.now(UTC).isoformat(timespec="seconds"), **entry, "previous": previous}
        if torn:
            body["torn"] = torn.decode("utf-8", "backslashreplace")
        _write(ledger, len(torn), _line({**body, "hash": _hash(body)}))


def _write(ledger: Path, torn: int, line: bytes) -> None:
    """Write a line in place of the torn bytes at the end; on an error, leave the file without either."""
    # Not buffered: a buffer would be written once more when the file is closed after an error.
    with ledger.open("a+b", buffering=0) as file:
        size = file.truncate(file.seek(0, os.SEEK_END) - torn)
        file.seek(max(0, size - 1))
        if size and file.read(1) != b"\n":
            line = b"\n" + line
        try:
            while line:
                line = line[file.write(line) :]
            os.fsync(file.fileno())
        except BaseException:
            with contextlib.suppress(OSError):  # the first error is the one to be shown
                file.truncate(size)
            raise


def read_entries(ledger: Path) -> list[dict[str, Any]]:
    """Return the entries of a ledger that is whole; none where there is no file.

    Raises
    ------
    UserError
        When the chain of hashes is broken.
    """
    return _entries(ledger)[0]


@dataclass(frozen=True)
class Damage:
    """What is wrong with one line of a ledger, counted from 1."""

    line: int
    what: str


def examine(ledger: Path) -> tuple[list[dict[str, Any]], list[Damage]]:
    """Read a ledger that may be damaged.

    Parameters
    ----------
    ledger : Path
        ``mlruns/ledger.jsonl``; missing means no entries.

    Returns
    -------
    list of dict, list of Damage
        All entries that can be read, and what is wrong, by line. Whole entries that were cut off at the
        end leave no damage.
    """
    lines, rest = _lines(ledger)
    return _chain([*lines, rest] if rest else lines)


def _entries(ledger: Path, locked: bool = False) -> tuple[list[dict[str, Any]], bytes]:
    """Return the entries, each checked against its hash and the one before, and half an entry at the end.

    A last entry that lacks nothing but the end of its line is whole: some editors take that away.
    """
    lines, rest = _lines(ledger, locked)
    closed = rest + b"\n"
    if rest and not _chain([*lines, closed])[1]:
        lines, rest = [*lines, closed], b""
    entries, damage = _chain(lines)
    if damage:
        raise UserError(f"{ledger}, line {damage[0].line}: the ledger is damaged; restore it from a copy")
    return entries, rest


def _lines(ledger: Path, locked: bool = False) -> tuple[list[bytes], bytes]:
    """Return the lines with their ends, and what stands behind the last end.

    Others are kept from writing where that is possible: a ledger that cannot be written can be read.
    """
    with contextlib.ExitStack() as stack:
        if ledger.exists() and not locked:
            with contextlib.suppress(OSError):
                stack.enter_context(guard(ledger))
        try:
            content = ledger.read_bytes()
        except FileNotFoundError:
            content = b""
        except OSError as error:
            raise UserError(f"{ledger} cannot be read: {one_line(error)}") from error
    *lines, rest = content.split(b"\n")
    return [line + b"\n" for line in lines], rest


def _chain(lines: Iterable[bytes]) -> tuple[list[dict[str, Any]], list[Damage]]:
    entries, damage = [], []
    previous = _FIRST
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            body = {name: value for name, value in entry.items() if name != "hash"}
            own, before = str(entry["hash"]), entry["previous"]
            if not isinstance(entry["model"], str) or not isinstance(entry["dataset_digest"], str):
                raise ValueError("names are text")
        except (ValueError, KeyError, AttributeError, RecursionError):
            damage.append(Damage(number, "this is not an entry"))
            continue
        if own != _hash(body):
            damage.append(Damage(number, "this entry was changed: its hash is of a different one"))
        elif line != _line(entry):
            damage.append(Damage(number, "this entry was written again or cut off"))
        if before != previous:
            place = "comes first" if number == 1 else f"follows line {number - 1}"
            damage.append(Damage(number, f"this entry {place}, but was written after a different one"))
        entries.append(entry)
        previous = own
    return entries, damage


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, sort_keys=True).encode() + b"\n"


def _hash(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def user_name() -> str:
    """Return the name of the account, or "unknown" where the system has none for it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no account of that number, as in some containers
        return "unknown"
