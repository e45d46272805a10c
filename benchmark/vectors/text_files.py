"""Word vectors in text files: found by name, identified by content, read for the words that are asked for."""

from __future__ import annotations

import codecs
import difflib
import gzip
import hashlib
import io
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from benchmark.data.cache import cache_root
from benchmark.data.dataset import Dataset
from benchmark.data.files import stamp
from benchmark.data.text import OOV
from benchmark.spec.config import Resource, RunSpec
from benchmark.support.errors import MissingResource, UserError, one_line

_ENDINGS = ("", ".gz", ".zip")
_LONGEST = 1 << 20  # bytes of a line; what is longer is not a text file of vectors
_MOST_BYTES = 1 << 36  # of a file as it unfolds; the largest that are published have a fifth of it
_BUFFER = 1 << 20
_HEADER = re.compile(rb"(\d+) (\d+)")
_NUMBER = re.compile(rb"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_DAMAGE = (OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile)


@dataclass(frozen=True)
class VectorFile:
    """A file of word vectors; `member` is the file in it, for a zip archive."""

    path: Path
    member: str = ""

    def __str__(self) -> str:
        return f"{self.path}#{self.member}" if self.member else str(self.path)


class Sidecar(BaseModel):
    """What the `embeddings` command says of the vectors beside it; other keys are for people."""

    protocol: str
    dataset: str
    dataset_digest: str


def find(value: str) -> VectorFile:
    """Return the file of word vectors that a name stands for.

    Parameters
    ----------
    value : str
        The path of a file, or its name in the folder ``vectors`` of the data folder
        (``BENCHMARK_DATA_DIR``), where ``.gz`` and ``.zip`` may be left out. ``FILE.zip#MEMBER`` is a
        file in an archive.

    Raises
    ------
    MissingResource
        Names the places that were searched, and how to bring one.
    UserError
        For a folder, and for an archive in which the file is not named.
    """
    data = os.environ.get("BENCHMARK_DATA_DIR")
    shelf = Path(data) / "vectors" if data else None
    path, _, member = value.rpartition("#")
    for name, inside in ((value, ""), (path, member)):
        if not name:
            continue
        own = Path(name).expanduser()
        on_shelf = [shelf / f"{name}{ending}" for ending in _ENDINGS] if shelf else []
        for place in (own, *on_shelf):
            if place.is_file():
                return _with_member(place, inside)
        if own.is_dir():
            hint = f"; did you mean '{own / 'vectors.txt'}'?" if (own / "vectors.txt").is_file() else ""
            raise UserError(f"vectors '{value}' is a folder; expected a file{hint}")
    raise _missing(value, shelf)


def identify(value: str) -> Resource:
    """Return the digest of a file of word vectors, and what it was trained on where that is known.

    Parameters
    ----------
    value : str
        As for `find`.

    Returns
    -------
    Resource
        ``unlabelled`` with the data set's digest where ``FILE.json``, written by the `embeddings`
        command, lies beside it, otherwise ``pretrained``.

    Raises
    ------
    UserError
        When there is no such file, or a line of it is not a vector; names the line.
    """
    file = find(value)
    digest = _file_digest(*stamp(file.path))
    if file.member:
        digest = hashlib.sha256(f"{digest}#{file.member}".encode()).hexdigest()
    _check(file, digest[:32])
    return trained_on(digest[:32], file.path.with_name(f"{file.path.name}.json"))


def _check(file: VectorFile, digest: str) -> None:
    """Read every line once; content that was found whole is remembered in the cache."""
    whole = cache_root() / "vectors" / f"{digest}.whole"
    if whole.is_file():
        return
    for line, _, numbers in _records(file):
        _parse(numbers, f"{file}, line {line}")
    whole.parent.mkdir(parents=True, exist_ok=True)
    whole.touch()


def trained_on(digest: str, sidecar: Path) -> Resource:
    """Return the resource of a digest, by the sidecar that the `embeddings` command may have left.

    Raises
    ------
    UserError
        When the sidecar is there and is not one.
    """
    try:
        said = Sidecar.model_validate_json(sidecar.read_bytes())
    except FileNotFoundError:
        return Resource(digest=digest, protocol="pretrained")
    except (OSError, ValidationError):
        said = None
    if said is None or said.protocol != "unlabelled":
        raise UserError(
            f"{sidecar} is not what the embeddings command writes beside its vectors; move it away, or "
            "make the vectors again"
        )
    return Resource(digest=digest, protocol="unlabelled", dataset=said.dataset_digest)


def read_vectors(value: str, words: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Read the vectors of some words, streaming: memory stays near the size of the result.

    The last result of a process is kept for its next run, as long as the file is the same.

    Two forms of text files are read: that of GloVe, a word and its numbers on each line, and that of
    word2vec, whose first line says how many rows and numbers there are. Words may hold spaces, as a few
    of GloVe's do: the numbers are split off from the right. Of a word that occurs twice the first row
    counts.

    Parameters
    ----------
    value : str
        As for `find`: plain text, ``.gz`` or ``.zip``.
    words : sequence of str
        The words.

    Returns
    -------
    vectors : ndarray of float32, shape [n, dim]
        In the order of the words; zeros where the file has no vector. It is not to be changed.
    found : ndarray of bool, shape [n]
        Where it has one.

    Raises
    ------
    UserError
        Names file and line. Every line's width and word are checked, and the numbers of the words
        that were asked for.
    """
    file = find(value)
    return _read(file, stamp(file.path), tuple(words))


@lru_cache(maxsize=1)
def _read(
    file: VectorFile, stamped: tuple[str, int, int], words: tuple[str, ...]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Read a file, which is the same one as long as its stamp is."""
    places = {word.encode("utf-8", errors="replace"): place for place, word in enumerate(words)}
    vectors, found = np.zeros((len(words), 0), dtype=np.float32), np.zeros(len(words), dtype=bool)
    for line, word, numbers in _records(file):
        if not vectors.shape[1]:
            vectors = np.zeros((len(words), numbers.count(b" ") + 1), dtype=np.float32)
        place = places.get(word)
        if place is not None and not found[place]:
            vectors[place], found[place] = _parse(numbers, f"{file}, line {line}"), True
    for kept in (vectors, found):
        kept.flags.writeable = False
    return vectors, found


def report_coverage(specs: Sequence[RunSpec], dataset: Dataset, line: Callable[[str], None]) -> None:
    """Say how many of the words and tokens that runs read have a vector.

    Parameters
    ----------
    specs : sequence of RunSpec
        Runs of one configuration, whose ``vectors`` name a file.
    dataset : Dataset
        Theirs.
    line : callable
        Gets what a person should know.
    """
    view, value = specs[0].view, str(specs[0].hparams["vectors"])
    assert view is not None
    found = read_vectors(value, dataset.vocabulary(view))[1]
    ids = dataset.view("train", view).x
    tokens = np.concatenate([[False] * (OOV + 1), found])[ids].sum() / max(1, np.count_nonzero(ids))
    line(
        f"{specs[0].model}: {value} has vectors of {found.sum() / max(1, len(found)):.1%} of the "
        f"vocabulary's {len(found):,} words, which are {tokens:.1%} of the tokens of the training texts"
    )


def write_vectors(path: Path, words: Sequence[str], vectors: NDArray[np.float32]) -> None:
    """Write vectors, float32 [n, dim], in GloVe's form, with six significant digits."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for word, row in zip(words, vectors, strict=True):
            file.write(f"{word} {' '.join(f'{number:.6g}' for number in row.tolist())}\n")


def _records(file: VectorFile) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield line number, word and numbers of each row."""
    width, promised, rows = 0, None, 0
    for number, line in _lines(file):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
            if header := _HEADER.fullmatch(line):
                promised, width = int(header[1]), int(header[2])
                continue
        spaces, where = line.count(b" "), f"{file}, line {number}"
        width = width or spaces
        if spaces < width or not width:
            wanted = f"{width} numbers" if width else "numbers, separated by spaces"
            raise UserError(f"{where} has {spaces} numbers; expected a word and {wanted}")
        word = line.partition(b" ")[0]
        if spaces > width:  # of the word, or more numbers
            word = line.rsplit(b" ", width)[0]
            if _NUMBER.fullmatch(word.rpartition(b" ")[2]):
                raise UserError(f"{where} has more than {width} numbers; expected a word and {width} numbers")
            _parse(line[len(word) + 1 :], where)
        try:
            word.decode("utf-8")
        except UnicodeDecodeError:
            raise UserError(f"{where} is not UTF-8 text; expected a word and numbers") from None
        rows += 1
        yield number, word, line[len(word) + 1 :]
    if promised not in (None, rows):
        raise UserError(f"{file} has {rows:,} vectors; its first line promises {promised:,}")
    if not rows:
        raise UserError(f"{file} is empty; expected a word and its numbers on each line")


def _parse(numbers: bytes, where: str) -> NDArray[np.float32]:
    fields = numbers.split(b" ")
    try:
        with np.errstate(over="ignore"):  # infinite then, which is refused below
            row = np.array([float(field) for field in fields], dtype=np.float32)
        if np.isfinite(row).all():
            return row
    except ValueError:
        pass
    wrong = next(field for field in fields if not _NUMBER.fullmatch(field) or abs(float(field)) > 3.4e38)
    raise UserError(f"{where}: {wrong.decode('utf-8', 'replace')[:40]!r} is not a finite number")


def _lines(file: VectorFile) -> Iterator[tuple[int, bytes]]:
    """Yield the lines with their numbers, from 1, without their ends; split at the byte 10 alone."""
    number = total = 0
    try:
        with _opened(file) as content:
            for number, line in enumerate(iter(partial(content.readline, _LONGEST), b""), 1):
                total += len(line)
                if total > _MOST_BYTES:
                    raise UserError(
                        f"{file} has more than {_MOST_BYTES >> 30} GiB; expected vectors of words"
                    )
                if len(line) == _LONGEST:
                    raise UserError(f"{file}, line {number} is longer than {_LONGEST >> 20} MiB")
                yield number, line.rstrip(b" \t\r\n")
    except _DAMAGE as error:
        raise UserError(f"{file} cannot be read on from line {number + 1} ({one_line(error)})") from error


@contextmanager
def _opened(file: VectorFile) -> Iterator[io.BufferedIOBase]:
    if file.member:
        with zipfile.ZipFile(file.path) as archive, archive.open(file.member) as member:
            yield io.BufferedReader(member, _BUFFER)  # type: ignore[type-var]  # its readline is slow
    else:
        unpacked = gzip.open if file.path.suffix.lower() == ".gz" else open
        with unpacked(file.path, "rb") as content:
            yield content


def _with_member(path: Path, member: str) -> VectorFile:
    """Return a file, of a zip archive the member that was named or the only one."""
    if path.suffix.lower() != ".zip":
        if member:
            raise UserError(f"{path} is not a .zip archive, so '#{member}' has no meaning")
        return VectorFile(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [item.filename for item in archive.infolist() if not item.is_dir()]
    except _DAMAGE as error:
        raise UserError(f"{path} cannot be read as a zip archive ({error})") from error
    names = [name for name in names if not name.startswith("__MACOSX/")]
    if not member and len(names) == 1:
        return VectorFile(path, names[0])
    if member in names:
        return VectorFile(path, member)
    what = f"holds no '{member}'" if member else f"holds {len(names)} files"
    choices = ", ".join(f"{path}#{name}" for name in names[:8])
    raise UserError(f"{path} {what}; expected {f'one of {choices}' if names else 'a file of vectors'}")


def _missing(value: str, shelf: Path | None) -> MissingResource:
    searched = f", nor in {shelf}" if shelf else ", and BENCHMARK_DATA_DIR (or `data_dir`) is not set"
    beside = sorted(path.name for path in shelf.glob("*")) if shelf else []
    close = difflib.get_close_matches(value, beside, n=1, cutoff=0.6)
    hint = f" (there is '{close[0]}')" if close else ""
    return MissingResource(
        f"vectors '{value}': there is no such file here{searched}{hint}; put a file of GloVe vectors, as "
        "glove.6B.100d.txt from nlp.stanford.edu/projects/glove, into the folder 'vectors' of the data "
        "folder, or make some: python -m benchmark.embeddings --dataset imdb --output DIR, then "
        "`set` vectors=DIR/vectors.txt"
    )


@lru_cache
def _file_digest(path: str, size: int, modified: int) -> str:
    """Return the digest of a file's bytes; size and time (ns) are there to notice that it has changed."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
