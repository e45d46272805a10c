"""The test split's one door: reading it appends an entry to a hash-chained ledger."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from benchmark.support.files import guard, write_whole
from benchmark.support.registry import label_of

SHOWN = "(examples shown)"
"""Stands in the ledger for a model where test texts were shown to people."""

EXPORTED = "(texts exported)"
"""Stands there where the texts of a test split were written to a file."""

IMPORTED = "(imported ledger)"
"""Stands there where results with a ledger of their own were imported."""

_FIRST = "0" * 64

Recorder: TypeAlias = Path | Callable[[RunSpec], None]
"""The ledger, or where it is another process's, what has that process record the test read of a run there."""


def read_test_split(dataset: Dataset, spec: RunSpec, ledger: Recorder) -> View:
    """Read the test split for one final run, after that has been recorded.

    This function, `read_test_texts` and `true_classes` are the only ones of the project that open the test
    split, but for preparation, which makes token ids of its texts (`Dataset.texts_to_tokenise`).

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


def read_test_texts(dataset: Dataset, rows: NDArray[np.int64], ledger: Path, what: str = SHOWN) -> list[str]:
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
    what : str
        `SHOWN`, or `EXPORTED` where they become a file.
    """
    append(ledger, _entry("", what, dataset.name, dataset.digest) | {"examples": len(rows)})
    return MappedTexts(dataset.folder / "test").texts(rows)


def text_ids(dataset: Dataset) -> list[str]:
    """Return the ids of the test texts for people, in order; they name the data set's content, too."""
    return [f"{dataset.digest[:8]}-{number}" for number in range(dataset.sizes["test"])]


def true_classes(dataset: Dataset) -> NDArray[np.int32]:
    """Return the classes of the test texts, without the texts, to hold what others say of them against."""
    labels: NDArray[np.int32] = np.load(dataset.folder / "test" / "labels.npy")
    return labels


def read_true_classes(dataset: Dataset, spec_id: str, model: str, ledger: Path) -> NDArray[np.int32]:
    """Return them to measure predictions that were made elsewhere, after that has been recorded."""
    append(ledger, _entry(spec_id, model, dataset.name, dataset.digest))
    return true_classes(dataset)


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
    """Return the entries of a ledger that is whole, and of those that were imported, each once.

    None where there is no file. Two ledgers that start with the same entries, as an older and a newer copy of
    one do, have these in common: the hash of an entry covers all that came before it.

    Raises
    ------
    UserError
        When a chain of hashes is broken.
    """
    found = {entry["hash"]: entry for entry in _entries(ledger)[0]}
    for line, path, chain in _imported(ledger, list(found.values())):
        if chain is None:
            raise UserError(f"{ledger}, line {line}: {_lost(path)}")
        found |= {entry["hash"]: entry for entry in chain if entry["hash"] not in found}
    return list(found.values())


def _imported(
    ledger: Path, entries: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[int, Path, list[dict[str, Any]] | None]]:
    """Yield the ledgers that entries are anchors of: line, file, and entries, None where it is damaged."""
    for line, entry in enumerate(entries, 1):
        heads = entry.get("imported")
        for head in heads if isinstance(heads, list) else ():
            path = _chain_file(ledger, str(head))
            try:
                chain = chain_of(path.read_bytes())
            except (OSError, ValueError):
                chain = []
            yield line, path, chain if chain and chain[-1]["hash"] == head else None


def _chain_file(ledger: Path, head: str) -> Path:
    return ledger.with_name("ledgers") / f"{head}.jsonl"


def _lost(path: Path) -> str:
    return f"the imported ledger {path} is missing or damaged; import its results file again"


def chain_of(content: bytes) -> list[dict[str, Any]]:
    """Return the entries of a whole chain.

    Raises
    ------
    ValueError
        When it is not one, with the line.
    """
    entries, damage = _chain(content.splitlines(keepends=True))
    if damage or not entries:
        found = damage[0] if damage else Damage(1, "there are no entries")
        raise ValueError(f"line {found.line}: {found.what}")
    return entries


def all_chains(ledger: Path) -> list[bytes]:
    """Return the content of a ledger and of those that were imported, as `add_chains` takes them.

    Raises
    ------
    UserError
        When a chain of hashes is broken.
    """
    read_entries(ledger)
    own = _entries(ledger)[0]
    content = b"".join(_line(entry) for entry in own)
    return [*([content] if own else []), *(path.read_bytes() for _, path, _ in _imported(ledger, own))]


def add_chains(ledger: Path, chains: Sequence[bytes], dataset: str, digest: str) -> int:
    """Keep the ledgers of others, unchanged, each anchored by an entry here that names its last hash.

    Parameters
    ----------
    ledger : Path
        ``mlruns/ledger.jsonl``; the others are kept in ``mlruns/ledgers``.
    chains : sequence of bytes
        Whole chains (`chain_of`).
    dataset, digest : str
        With whose results they came.

    Returns
    -------
    int
        Entries that were not known here.
    """
    own = _entries(ledger)[0]
    known = {entry["hash"] for entry in own}
    anchored = {head for entry in own for head in entry.get("imported", ())}
    imported = list(_imported(ledger, own))
    known |= {e["hash"] for _, _, chain in imported for e in chain or ()}
    lost = {path for _, path, chain in imported if chain is None}
    before, heads = len(known), []
    for content in chains:
        entries = chain_of(content)
        head = entries[-1]["hash"]
        path = _chain_file(ledger, head)
        if head in known and path not in lost:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content, durable=True)
        known |= {entry["hash"] for entry in entries}
        heads += [head] if head not in anchored else []
    if heads:
        append(ledger, _entry("", IMPORTED, dataset, digest) | {"imported": heads})
    return len(known) - before


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
        All entries that can be read, those of imported ledgers included, and what is wrong, by line. Whole
        entries that were cut off at the end leave no damage.
    """
    lines, rest = _lines(ledger)
    entries, damage = _chain([*lines, rest] if rest else lines)
    known = {str(entry["hash"]) for entry in entries}
    for line, path, chain in _imported(ledger, list(entries)):
        entries += [entry for entry in chain or () if entry["hash"] not in known]
        known |= {entry["hash"] for entry in chain or ()}
        damage += [Damage(line, _lost(path))] if chain is None else []
    return entries, damage


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
