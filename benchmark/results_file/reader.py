"""A results file, opened: everything in it is checked before anything of it is used."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from benchmark.data.ledger_chain import chain_of
from benchmark.metrics.metric import Predictions
from benchmark.results_file import schema
from benchmark.results_file.schema import Manifest, RunEntry
from benchmark.search.finished_search import FinishedSearch
from benchmark.spec.config import Frozen
from benchmark.support.errors import UserError, did_you_mean, one_line
from benchmark.support.files import shipped_folder
from benchmark.support.yaml_file import first_problem

Line = TypeVar("Line", bound=Frozen)

SHIPPED = "reference:"
_MOST_MEMBERS, _MOST_BYTES = 200_000, 1 << 30
_MOST_EXPANDED = 4 << 30  # bytes in all, beside 100 times the file's own size
_SUM, _SMALLEST = 1e-3, -1e-6  # of probabilities in single precision
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, ValueError, KeyError, TypeError, IndexError, EOFError),
    *(NotImplementedError, RuntimeError, RecursionError, MemoryError, OverflowError, OSError),
)


class ResultsFile:
    """A results file that is whole.

    Attributes
    ----------
    manifest : Manifest
        What it is about.
    runs : tuple of RunEntry
        Sweeps first, so that each comes before its trials and final runs.
    searches : tuple of FinishedSearch
        Of its sweeps.
    chains : tuple of bytes
        The ledger of the folder that it comes from, and those that were imported there.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        members = _members(archive)
        if schema.MANIFEST not in members:
            raise ValueError(f"it has no {schema.MANIFEST}, so it is not a results file")
        self.manifest = _manifest(self._read(schema.MANIFEST))
        listed = {*self.manifest.files, schema.MANIFEST}
        if listed != members or not {schema.RUNS, schema.SEARCHES} <= listed:
            odd = sorted(listed ^ members)[:1] or ["runs.jsonl"]
            raise ValueError(f"{odd[0]} is not both in the manifest and in the file")
        for name in sorted(self.manifest.files):  # all of it before any is used
            if hashlib.sha256(self._read(name)).hexdigest() != self.manifest.files[name]:
                raise ValueError(f"{name}: its checksum is a different one")
        runs = _lines(self._read(schema.RUNS), RunEntry, schema.RUNS)
        self.runs = tuple(sorted(runs, key=lambda run: run.kind != "sweep"))
        self.searches = tuple(_lines(self._read(schema.SEARCHES), FinishedSearch, schema.SEARCHES))
        ledgers = sorted(name for name in members if name.startswith("ledgers/"))
        self.chains = tuple(self._read(name) for name in ledgers)
        self._check_runs(members)
        self._check_searches()
        self._check_chains(ledgers)

    def _read(self, name: str) -> bytes:
        return self._archive.read(name)

    def array(self, digest: str) -> NDArray[Any]:
        """Return an array, without pickles and as long as its header says."""
        content = self._read(schema.ARRAY.format(digest))
        file = io.BytesIO(content)
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"array {digest[:8]}: unknown version")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        size = dtype.itemsize
        for length in shape:
            size *= length
        if dtype.hasobject or len(content) - file.tell() != size:
            raise ValueError(f"array {digest[:8]}: its header and its content do not fit together")
        file.seek(0)
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))

    def predictions(self, run: RunEntry, split: str = "") -> Predictions | None:
        """Return what a run says of the test split, or with ``val_`` of the validation split."""
        if f"{split}probabilities" not in run.arrays:
            return None
        given, labels = (self.array(run.arrays[split + name]) for name in schema.ARRAYS[:2])
        return Predictions(labels, given.astype(np.float32), run.threshold)

    def _check_runs(self, members: set[str]) -> None:
        dataset, keys, used = self.manifest.dataset, set(), set()
        studies = {run.study for run in self.runs if run.kind == "sweep"}
        classes, size = len(self.manifest.classes), self.manifest.profile["test"]
        truth: set[str] = set()
        for run in self.runs:
            if run.key in keys or (run.kind != "sweep" and run.study not in studies):
                raise ValueError(f"run {run.key[:8]}: it is there twice, or its sweep is missing")
            keys.add(run.key)
            spec = run.spec
            if spec and (spec.dataset, spec.dataset_digest) != (dataset["name"], dataset["digest"]):
                raise ValueError(
                    f"run {run.key[:8]}: it is on data {spec.dataset_digest}, not on {dataset['digest']}"
                )
            used |= {schema.ARRAY.format(digest) for digest in run.arrays.values()}
            for split in ("", "val_"):
                predictions = self.predictions(run, split)
                if predictions is not None:
                    where = f"run {run.key[:8]}, {split or 'test_'}predictions"
                    check_predictions(predictions, classes, None if split else size, where)
            truth |= {run.arrays["labels"]} if run.arrays else set()
        if unused := {name for name in members if name.startswith("arrays/")} - used:
            raise ValueError(f"{min(unused)} belongs to no run")
        if len(truth) > 1:
            raise ValueError("its runs differ in the true classes of the test split")

    def _check_searches(self) -> None:
        studies = {run.study for run in self.runs if run.kind == "sweep"}
        seen: set[str] = set()
        for search in self.searches:
            if search.study not in studies or search.study in seen:
                raise ValueError(f"study {search.study}: it is there twice, or its sweep is missing")
            seen.add(search.study)
            search.check()

    def _check_chains(self, ledgers: list[str]) -> None:
        heads, anchors = set(), set()
        for name, content in zip(ledgers, self.chains, strict=True):
            try:
                entries = chain_of(content)
            except ValueError as error:
                raise ValueError(f"{name}, {error}") from error
            heads.add(entries[-1]["hash"])
            for entry in entries:
                found = entry.get("imported", [])
                anchors |= set(found) if isinstance(found, list) else {None}
        if ledgers and not anchors <= heads:
            raise ValueError("a ledger that one of its ledgers names is missing")


def results_path(asked: str) -> Path:
    """Return the path of a results file, or of a shipped one, as ``reference:imdb``.

    Shipped ones are in ``benchmark/boards`` of an installed wheel, in a checkout in ``docs/boards``.

    Raises
    ------
    UserError
        When no shipped one has the name.
    """
    if not asked.startswith(SHIPPED):
        return Path(asked)
    folder = shipped_folder("boards", "docs/boards")
    known = {file.stem: file for file in sorted(folder.glob("*.zip"))} if folder else {}
    name = asked.removeprefix(SHIPPED)
    if name not in known:
        raise UserError(f"{asked}: there is no shipped board '{name}'; {did_you_mean(name, known)}")
    return known[name]


@contextmanager
def open_results(path: Path, consequence: str = "nothing was imported") -> Iterator[ResultsFile]:
    """Open a results file and check all of it.

    Raises
    ------
    UserError
        One line: what is wrong with the file.
    """
    with contextlib.ExitStack() as stack:
        try:
            if not path.is_file():
                raise ValueError("it is not a file" if path.exists() else "there is no such file")
            results = ResultsFile(stack.enter_context(zipfile.ZipFile(path)))
        except UserError as error:
            raise UserError(f"{path}: {error}; {consequence}") from error
        except _DAMAGE as error:
            what = one_line(error, named=not isinstance(error, ValueError))
            raise UserError(f"{path} cannot be read: {what}; {consequence}") from error
        yield results


def check_predictions(predictions: Predictions, classes: int, size: int | None, where: str) -> None:
    """Raise a `ValueError` where labels or probabilities are not what a model can say of so many texts."""
    labels, given = predictions.labels, predictions.probabilities
    if labels.dtype != np.int32 or labels.ndim != 1 or (size is not None and len(labels) != size):
        raise ValueError(f"{where}: labels of shape {labels.shape}, {labels.dtype}; expected {size} of int32")
    if given.shape != (len(labels), classes):
        raise ValueError(f"{where}: probabilities of shape {given.shape}; expected {(len(labels), classes)}")
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(f"{where}: a label is not one of {classes} classes")
    if not np.isfinite(given).all() or (given < _SMALLEST).any():
        raise ValueError(f"{where}: a probability is negative or not a number")
    apart = np.abs(given.sum(axis=1, dtype=np.float64) - 1)
    if (apart > _SUM).any():
        row = int(np.argmax(apart))
        raise ValueError(f"{where}: the probabilities of text {row} sum to {given[row].sum():.6g}, not to 1")


def _members(archive: zipfile.ZipFile) -> set[str]:
    """Return the names of the members, once all may be read."""
    found, infos = set(), archive.infolist()
    size = Path(str(archive.filename)).stat().st_size
    if len(infos) > _MOST_MEMBERS or sum(one.file_size for one in infos) > _MOST_EXPANDED + 100 * size:
        raise ValueError("it unpacks to more than a results file does")
    for info in infos:
        name, kind = info.filename, stat.S_IFMT(info.external_attr >> 16)
        if info.orig_filename != name or not schema.MEMBER.fullmatch(name):
            raise ValueError(f"{name[:80]!r} is not a name that a results file has")
        if name in found:
            raise ValueError(f"{name} is there twice")
        if kind not in (0, stat.S_IFREG) or info.flag_bits & 1:
            raise ValueError(f"{name} is a link, or locked by a password")
        if (
            info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            or info.file_size > _MOST_BYTES
        ):
            raise ValueError(f"{name} is too large, or packed in a way that results files are not")
        found.add(name)
    return found


def _manifest(content: bytes) -> Manifest:
    known = json.loads(content)
    if not isinstance(known, dict) or known.get("format") != schema.FORMAT:
        raise ValueError("this is not a results file")
    if known.get("version") != schema.VERSION:
        raise ValueError(
            f"it has version {str(known.get('version'))[:20]} of the schema, and this program reads "
            f"{schema.VERSION}; export it again, or update"
        )
    return _validated(Manifest, content, schema.MANIFEST)


def _lines(content: bytes, kind: type[Line], name: str) -> list[Line]:
    lines = content.split(b"\n")
    if lines.pop():
        raise ValueError(f"{name}: its last line has no end")
    return [_validated(kind, line, f"{name}, line {number}") for number, line in enumerate(lines, 1)]


def _validated(kind: type[Line], content: bytes, where: str) -> Line:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        message = first_problem(error, TypeAdapter(kind))[0].removeprefix("'value': ")
        raise ValueError(f"{where}: {message}") from error
