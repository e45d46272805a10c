"""What is fuzzed: for any input a correct result or a `UserError` of one line, and nothing half-written."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
import zipfile
from array import array
from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
import yaml
from fuzz_commands import check_line, command_lines, is_harmless
from fuzz_mutations import damaged, reshaped
from hypothesis import strategies as st
from ledgers import reads

from benchmark.cli import error_line
from benchmark.data.archive import unpack
from benchmark.data.data_profile import describe, to_text
from benchmark.data.imdb_int import NpzFile
from benchmark.data.ledger_chain import append, examine, read_entries
from benchmark.data.prepare import cached, prepare
from benchmark.data.source import SourceOptions, get_source
from benchmark.plan.space import load_budgets, load_space, spaces_folder
from benchmark.search.storage import open_journal
from benchmark.support.errors import UserError
from benchmark.tracking.record import Point, Record
from benchmark.tracking.spool import Spool
from benchmark.vectors import text_files


class Target(NamedTuple):
    """A kind of input, and what must hold of each."""

    inputs: st.SearchStrategy[Any]
    check: Callable[[Any, Path], None]


def refused(error: UserError) -> None:
    """Hold an error against what users are promised."""
    assert str(error)
    line = error_line(error)
    assert len(line.splitlines()) == 1, line
    assert is_harmless(line), line
    assert len(line) < 2000, line


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder but for locks."""
    return {
        os.fsdecode(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.suffix != ".lock"
    }


# Configuration.


def _space(content: bytes, folder: Path) -> None:
    path = folder / "space.yaml"
    path.write_bytes(content)
    try:
        space = load_space(path)
        trial = optuna.trial.FixedTrial(space.enqueue_params())
        assert space.suggest(trial) == space.default
    except UserError as error:
        refused(error)


def _budgets(content: bytes, folder: Path) -> None:
    path = folder / "budgets.yaml"
    path.write_bytes(content)
    try:
        budgets = load_budgets(path)
        assert all(budget.trials >= 1 for budget in budgets.values())
    except UserError as error:
        refused(error)


# Data sets.


def _prepared(spelling: str, folder: Path) -> None:
    """Prepare a data set: it holds what its source says, or the cache is left as it was."""
    cache = Path(os.environ["BENCHMARK_CACHE_DIR"])
    try:
        source = get_source(spelling, SourceOptions())
        dataset = prepare(source)
        rows = list(source.rows())
    except UserError as error:
        refused(error)
        assert tree(cache) == {}
        return
    splits = Counter(row.split for row in rows)
    assert dataset.sizes["test"] == splits["test"]
    assert dataset.sizes["train"] + dataset.sizes["validation"] == splits["train"] + splits["validation"]
    found = Counter()
    for split in ("train", "validation"):
        view = dataset.view(split, None)  # type: ignore[arg-type]
        found.update(zip(view.texts(), view.y.tolist(), strict=True))
    assert found == Counter((_stored(row.text), row.label) for row in rows if row.split != "test")
    assert cached(source) == dataset
    facts = describe(dataset)
    json.dumps(facts)
    to_text(facts)
    shutil.rmtree(cache)


def _stored(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _table(ending: str) -> Callable[[bytes, Path], None]:
    def check(content: bytes, folder: Path) -> None:
        path = folder / f"reviews{ending}"
        path.write_bytes(content)
        _prepared(f"csv:{path}", folder)

    return check


def _delimited(separator: str) -> list[bytes]:
    rows = [f'"a ""{word}"", film\n{n}"{separator}{word}' for n in range(6) for word in ("good", "bad")]
    plain = [f"a film {n}{separator}{n % 2}{separator}{'test' if n > 7 else 'train'}" for n in range(12)]
    return [
        "\n".join([f"text{separator}label", *rows]).encode(),
        "\r\n".join([f"text{separator}label{separator}split", *plain]).encode(),
        (
            "\ufeff" + f"review{separator}stars\n" + "".join(f"ä {n}{separator}{n % 3}\n" for n in range(15))
        ).encode(),
    ]


def _json_lines() -> list[bytes]:
    return [
        "".join(json.dumps({"text": f"film {n}", "label": n % 2}) + "\n" for n in range(12)).encode(),
        "".join(
            json.dumps({"text": f"ä\n{n}", "label": "ab"[n % 2], "split": "train"}) + "\n" for n in range(12)
        ).encode(),
    ]


def _parquet() -> list[bytes]:
    import pyarrow
    import pyarrow.parquet

    files = []
    for compression in ("none", "snappy"):
        table = pyarrow.table({"text": [f"film {n}" for n in range(12)], "label": [n % 2 for n in range(12)]})
        file = io.BytesIO()
        pyarrow.parquet.write_table(table, file, compression=compression)
        files.append(file.getvalue())
    return files


def _two_classes(texts: list[str]) -> list[tuple[bytes, bytes, bytes, bytes]]:
    return [
        (b"", (b"pos", b"neg")[number % 2], b"%d.txt" % number, text.encode("utf-8", "replace"))
        for number, text in enumerate(texts)
    ]


_NAME = st.binary(min_size=1, max_size=12).map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_"))
_NAME = _NAME.filter(lambda name: name not in (b".", b".."))
_PART = st.sampled_from([b"", b"train", b"test", b"val", b"x-train", b"x-test", b"unsup", b".hidden"])
_CLASS = st.one_of(st.sampled_from([b"pos", b"neg", "\u00e9".encode(), "e\u0301".encode(), b"Pos"]), _NAME)
_NAME = st.one_of(_NAME, st.sampled_from([b"Thumbs.db", b".DS_Store", b"._1.txt", b"desktop.ini"]))
_LINK = b"link to "
_TEXT = st.one_of(
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace")),
    st.binary(max_size=20),
    st.sampled_from([b"../neg", b".", b"..", b"1.txt", b"missing", b"/dev/zero", b"/"]).map(_LINK.__add__),
)
_FOLDERS = st.one_of(
    st.lists(st.tuples(_PART, _CLASS, _NAME, _TEXT), max_size=12),
    st.lists(
        st.tuples(st.sampled_from([b"train", b"test"]), st.sampled_from([b"pos", b"neg"]), _NAME, _TEXT),
        min_size=10,
        max_size=20,
    ),
    st.lists(st.text(max_size=20).filter(lambda text: "\0" not in text), min_size=20, max_size=30).map(
        _two_classes
    ),
)


def _folder(files: list[tuple[bytes, bytes, bytes, bytes]], folder: Path) -> None:
    root = folder / "texts"
    root.mkdir()
    for split, class_name, name, content in files:
        place = root / os.fsdecode(split) / os.fsdecode(class_name)
        try:
            place.mkdir(parents=True, exist_ok=True)
            path = place / os.fsdecode(name)
            if content.startswith(_LINK):
                path.symlink_to(os.fsdecode(content.removeprefix(_LINK)))
            else:
                path.write_bytes(content)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue
    _prepared(f"dir:{root}", folder)


def _vector_files() -> list[bytes]:
    rows = [b"good 0.25 -1e-3 2", b"bad 1 2 3", b"a b 4 5 6", "ä 7 8 9".encode()]
    return [b"\n".join(rows) + b"\n", b"4 3\n" + b"\n".join(rows), b"\r\n".join(rows)]


def _zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("v.txt", content)
    return file.getvalue()


def _vectors(content: bytes, folder: Path) -> None:
    ending = {b"\x1f\x8b": ".gz", b"PK": ".zip"}.get(content[:2], "")
    path = folder / f"v.txt{ending}"
    path.write_bytes(content)
    try:
        text_files.identify(str(path))
        rows, found = text_files.read_vectors(str(path), ["good", "bad", "none"])
    except UserError as error:
        refused(error)
        assert tree(folder / "cache") == {}
        return
    assert rows.shape[0] == 3
    assert np.isfinite(rows).all()
    assert not rows[~found].any()


def _array_file(name: str = "x_train", content: bytes | None = None) -> bytes:
    """Return an archive of arrays as NumPy and Keras write it, one of them with another content."""
    lists = np.empty(3, dtype=object)
    lists[:] = [[1, 14, 22], [1, 5], []]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for own, values in (("x_train", lists), ("y_train", np.array([0, 1, 1]))):
            one = io.BytesIO()
            np.save(one, values)
            archive.writestr(f"{own}.npy", content if own == name and content is not None else one.getvalue())
    return file.getvalue()


def _array_inputs() -> st.SearchStrategy[bytes]:
    inside = []
    with zipfile.ZipFile(io.BytesIO(_array_file())) as archive:
        for name in ("x_train", "y_train"):
            content = damaged([archive.read(f"{name}.npy")])
            inside.append(content.map(partial(_array_file, name)))
    return st.one_of(damaged([_array_file()]), *inside)


def _arrays(content: bytes, folder: Path) -> None:
    path = folder / "imdb.npz"
    path.write_bytes(content)
    for read in (NpzFile(path).lists, NpzFile(path).integers):
        for name in ("x_train", "y_train"):
            try:
                assert all(isinstance(item, array | np.integer) for item in read(name))
            except UserError as error:
                refused(error)


def _archive_file(**options: Any) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, format=tarfile.PAX_FORMAT, **options) as tar:
        for name in ("train/pos/1.txt", "train/neg/ä" * 20 + ".txt"):
            member = tarfile.TarInfo(name)
            member.size = 5
            tar.addfile(member, io.BytesIO(b"films"))
        link = tarfile.TarInfo("train/link")
        link.type, link.linkname = tarfile.SYMTYPE, "pos/1.txt"
        tar.addfile(link)
    return file.getvalue()


def _archive(content: bytes, folder: Path) -> None:
    path, target = folder / "a.tar", folder / "inside"
    path.write_bytes(content)
    target.mkdir()
    try:
        unpack(path, target)
    except UserError as error:
        refused(error)
    assert {found.name for found in folder.iterdir()} == {"a.tar", "inside", "cache"}


def _cache_entry() -> st.SearchStrategy[tuple[int, bytes]]:
    return st.tuples(
        st.integers(0, 100), st.integers(0, 10**6).map(lambda number: number.to_bytes(3, "little"))
    )


def _entry(damage: tuple[int, bytes], folder: Path) -> None:
    path = folder / "reviews.csv"
    path.write_bytes(_delimited(",")[1])
    source = get_source(f"csv:{path}", SourceOptions())
    dataset = prepare(source)
    files = sorted(found for found in dataset.folder.rglob("*") if found.is_file())
    chosen = files[damage[0] % len(files)]
    content = bytearray(chosen.read_bytes())
    place = int.from_bytes(damage[1], "little")
    content[place // 8 % len(content)] ^= 1 << place % 8
    chosen.write_bytes(content)
    assert cached(source) in ((None, dataset) if chosen.name == "meta.json" else (None,))
    assert prepare(source) == dataset


# What a sweep leaves behind.


def _ledger_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.jsonl"
        for number in range(4):
            append(
                path, {"who": "ä", "spec_id": f"{number}", "model": "lstm", "dataset_digest": "d", "n": 1.5}
            )
        return path.read_bytes()


def _ledger(content: bytes, folder: Path) -> None:
    path = folder / "ledger.jsonl"
    path.write_bytes(content)
    examine(path)
    try:
        before = reads(path)
    except UserError as error:
        refused(error)
        before = None
    assert path.read_bytes() == content
    try:
        append(path, {"model": "next", "dataset_digest": "d"})
    except UserError as error:
        refused(error)
        assert before is None
        assert path.read_bytes() == content
        return
    assert before is not None
    assert reads(path) == before + Counter({"next": 1})
    assert read_entries(path)[-1]["model"] == "next"
    assert examine(path)[1] == []


def _journal_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.journal"
        study = optuna.create_study(study_name="study", storage=open_journal(path))
        study.enqueue_trial({"units": 3}, user_attrs={"slot": 0})
        for number in range(3):
            trial = study.ask()
            trial.suggest_int("units", 1, 8)
            trial.suggest_categorical("side", ["pre", "post"])
            trial.report(0.5, 1)
            trial.set_user_attr("slot", number)
            study.tell(trial, float(number))
        return path.read_bytes()


def _journal(content: bytes, folder: Path) -> None:
    path = folder / "study.journal"
    path.write_bytes(content)
    try:
        storage = open_journal(path)
    except UserError as error:
        refused(error)
        left = path.read_bytes()
        assert content.startswith(left)
        return
    left = path.read_bytes()
    assert left == content[: content.rfind(b"\n") + 1]
    for study in storage.get_all_studies():
        storage.get_all_trials(study._study_id)
    optuna.create_study(study_name="another", storage=storage)


_STORE = "sqlite:///store.db"


def _json_file(records: Any) -> bytes:
    """Return records as JSON Lines."""
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def _chained(entries: Any) -> bytes:
    """Return entries as a ledger whose hashes are right, whatever they say."""
    lines, previous = [], "0" * 64
    for entry in entries:
        if isinstance(entry, dict):
            body = {"previous": previous, **{name: value for name, value in entry.items() if name != "hash"}}
            previous = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
            entry = {**body, "hash": previous}
        lines.append(json.dumps(entry, sort_keys=True) + "\n")
    return "".join(lines).encode()


def _spool_record(number: int) -> Record:
    return Record(
        key=f"{number:032x}",
        experiment="ä",
        run_name=f"run {number}",
        start_time=number,
        end_time=number + 1,
        params={"units": "16"},
        tags={"benchmark.status": "ok"},
        metrics=(Point("loss", float("nan"), 1, 1), Point("loss", 0.25, 2, 2)),
        status="FINISHED",
    )


def _spool_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), _STORE)
        name = spool.commit(_spool_record(1))
        return (spool.home / f"{name}.json").read_bytes()


def _spool(content: bytes, folder: Path) -> None:
    """One of three records is damaged: the others are read in order, and nothing is deleted."""
    spool = Spool(folder, _STORE)
    names = [spool.commit(_spool_record(number)) for number in range(3)]
    whole = (spool.home / f"{names[1]}.json").read_bytes()
    (spool.home / f"{names[1]}.json").write_bytes(content)
    told: list[str] = []
    again = Spool(folder, _STORE, told.append)
    found = again.records()
    # Another record may be whole, too: the one that the inputs are made of.
    read = [record.run_name for record in found]
    damaged_one = len(read) == 2
    assert read == (["run 0", "run 2"] if damaged_one else ["run 0", "run 1", "run 2"])
    assert len(told) == damaged_one
    kept = spool.home / f"{names[1]}.{'damaged' if damaged_one else 'json'}"
    assert kept.read_bytes() == content
    if content == whole:
        assert not damaged_one
    last = again.commit(_spool_record(9))
    assert again.names()[-1] == last


def _yaml(tree: Any) -> bytes:
    return yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass")


@cache
def targets() -> dict[str, Target]:
    """Return all targets by name."""
    spaces = [path.read_bytes() for path in sorted(spaces_folder().glob("*.yaml")) if path.stem != "budgets"]
    budgets = [(spaces_folder() / "budgets.yaml").read_bytes()]
    packed = [pack(content) for pack in (bytes, gzip.compress, _zipped) for content in _vector_files()]
    archives = [_archive_file(mode=mode) for mode in ("w", "w:gz", "w:xz", "w:bz2")]
    records = [[json.loads(line) for line in content.splitlines()] for content in _json_lines()]
    entries = [
        {name: value for name, value in json.loads(line).items() if name not in ("hash", "previous")}
        for line in _ledger_file().splitlines()
    ]
    operations = [[json.loads(line) for line in _journal_file().splitlines()]]
    return {
        "space": Target(_either(spaces, [*map(yaml.safe_load, spaces)], _yaml), _space),
        "budgets": Target(_either(budgets, [*map(yaml.safe_load, budgets)], _yaml), _budgets),
        "csv": Target(damaged(_delimited(",")), _table(".csv")),
        "tsv": Target(damaged(_delimited("\t")), _table(".tsv")),
        "jsonl": Target(_either(_json_lines(), records, _json_file), _table(".jsonl")),
        "parquet": Target(damaged(_parquet()), _table(".parquet")),
        "dir": Target(_FOLDERS, _folder),
        "vectors": Target(
            st.one_of(
                damaged(packed), *(damaged(_vector_files()).map(pack) for pack in (gzip.compress, _zipped))
            ),
            _vectors,
        ),
        "arrays": Target(_array_inputs(), _arrays),
        "archive": Target(st.one_of(damaged(archives), damaged(archives[:1]).map(gzip.compress)), _archive),
        "cache entry": Target(_cache_entry(), _entry),
        "ledger": Target(_either([_ledger_file()], [entries], _chained), _ledger),
        "journal": Target(_either([_journal_file()], operations, _json_file), _journal),
        "spool": Target(damaged([_spool_file()]), _spool),
        "command": Target(command_lines(), check_line),
    }


def _either(files: list[bytes], trees: list[Any], write: Callable[[Any], bytes]) -> st.SearchStrategy[bytes]:
    """Files of which bytes were changed, and files of which what they say was changed."""
    return st.one_of(damaged(files), reshaped(trees).map(write))
