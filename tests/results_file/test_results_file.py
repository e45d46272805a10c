"""A results file: the same board elsewhere, no training, no belief, and nothing of a damaged one."""

import hashlib
import io
import json
import random
import re
import shutil
import signal
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import PIPELINE, SWEEP

import benchmark
from benchmark import leaderboard, ledger, results, sweep
from benchmark.data.ledger_chain import IMPORTED, read_entries
from benchmark.data.prepare import find_prepared
from benchmark.results_file.reader import open_results
from benchmark.results_file.writer import _add_array
from benchmark.support.errors import UserError
from benchmark.tracking import names
from benchmark.tracking.runs import find_runs
from benchmark.tracking.store import StoreClient

OF_TIME = ("train_seconds_median", "search_seconds", "predict_ms", "predict_texts_per_second")


def board(*words, timeless=False):
    """The board of this folder as JSON, but for the numbers that MLflow gives to runs."""
    assert (
        leaderboard.main(["--dataset", "sample", "--format", "json", "--output", "board.json", *words]) == 0
    )
    found = json.loads(Path("board.json").read_text())
    for row in found["rows"]:
        for name in ("run_ids", *(OF_TIME if timeless else ())):
            del row[name]
    if timeless:
        del found["summary"]  # which names the cheapest
    return json.dumps(found)


@pytest.fixture(scope="module")
def exported(exported_sweep):
    """The results file of the finished sweep, and its board."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(exported_sweep.parent)
        return exported_sweep, board()


def members(file):
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(content, file, *, sealed=True):
    """Write a file of members; with `sealed`, the manifest has the checksums that these have."""
    if sealed:
        manifest = json.loads(content["manifest.json"])
        manifest["files"] = {
            name: hashlib.sha256(data).hexdigest()
            for name, data in content.items()
            if name != "manifest.json"
        }
        content = {**content, "manifest.json": json.dumps(manifest).encode()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return file


def changed_runs(content, change, kind="final"):
    """The members with the first run of a kind changed."""
    lines = [json.loads(line) for line in content["runs.jsonl"].splitlines()]
    change(next(line for line in lines if line["kind"] == kind))
    return {**content, "runs.jsonl": b"".join(json.dumps(line).encode() + b"\n" for line in lines)}


def changed_array(content, change, which="probabilities"):
    """The members with one array of the last final run changed."""
    lines = [json.loads(line) for line in content["runs.jsonl"].splitlines()]
    run = [line for line in lines if line["kind"] == "final"][-1]
    array = np.load(io.BytesIO(content[f"arrays/{run['arrays'][which]}.npy"])).copy()
    array = change(array)
    saved = io.BytesIO()
    np.save(saved, array, allow_pickle=True)
    digest = hashlib.sha256(saved.getvalue()).hexdigest()
    old, run["arrays"][which] = run["arrays"][which], digest
    found = {**content, f"arrays/{digest}.npy": saved.getvalue()}
    if not any(old in line["arrays"].values() for line in lines):
        del found[f"arrays/{old}.npy"]
    return {**found, "runs.jsonl": b"".join(json.dumps(line).encode() + b"\n" for line in lines)}


def test_a_shipped_file_is_named_and_not_searched(exported, monkeypatch, tmp_path, capsys):
    boards = tmp_path / "docs" / "boards"
    boards.mkdir(parents=True)
    shutil.copy(exported[0], boards / "first.zip")
    monkeypatch.setattr(benchmark, "__file__", str(tmp_path / "benchmark" / "__init__.py"))
    monkeypatch.chdir(tmp_path)
    assert results.main(["import", "reference:frist"]) == 2
    said = capsys.readouterr().err
    assert said == "error: reference:frist: there is no shipped board 'frist'; did you mean 'first'?\n"
    assert not Path("mlruns").exists()
    assert results.main(["import", "reference:first"]) == 0
    assert board() == exported[1]
    assert all(row["machine"] for row in json.loads(board())["rows"])


def test_imports_once_and_gives_the_same_board_and_leaves_nothing_to_train(exported, capsys):
    """Twice the same file adds nothing; the sweep's command trains nothing, and reads no test split."""
    file, expected = exported
    assert results.main(["import", str(file), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)[0]
    assert first["runs"] == {"sweep": 3, "trial": first["trials"], "final": 12}
    assert board() == expected
    assert results.main(["import", str(file), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)[0]
    assert (again["runs"]["final"], again["trials"], again["reads"]) == (0, 0, 0)
    assert again["known"] == sum(first["runs"].values())
    entries = read_entries(Path("mlruns/ledger.jsonl"))
    assert sum(entry["model"] == IMPORTED for entry in entries) == 1
    capsys.readouterr()
    for words in (PIPELINE, SWEEP):
        assert sweep.main([*words]) == 0
    assert capsys.readouterr().out.count("nothing to do") == 3
    assert len(read_entries(Path("mlruns/ledger.jsonl"))) == len(entries)
    assert board() == expected
    assert ledger.main(["verify"]) == 0
    assert results.main(["export", "--dataset", "sample", "--output", "again.zip"]) == 0
    with open_results(file) as one, open_results(Path("again.zip")) as other:
        assert {run.key: run for run in one.runs} == {run.key: run for run in other.runs}
        assert {s.study: s for s in one.searches} == {s.study: s for s in other.searches}
        assert set(one.chains) < set(other.chains)


def test_figures_are_computed_and_not_believed(exported):
    """A file that says 99 % gives the board that its predictions give; rounding alone is left as it was."""
    file, expected = exported

    def lie(run):
        for point in run["metrics"]:
            if point[0].startswith("test_") or point[0] == "best_val_accuracy":
                point[1] = 0.99
        run["tags"][names.SPEC_ID] = "0" * 16

    content = changed_runs(members(file), lie)
    with pytest.raises(UserError, match=names.SPEC_ID), open_results(pack(content, Path("id.zip"))):
        pass

    def believable(run):
        lie(run)
        del run["tags"][names.SPEC_ID]

    pack(changed_runs(members(file), believable), Path("lie.zip"))
    assert results.main(["import", "lie.zip"]) == 0
    ours, theirs = json.loads(board()), json.loads(expected)
    for one, other in zip(ours["rows"], theirs["rows"], strict=True):
        for name in ("test_values", "test_mean", "val_mean", "sampling_error", "difference", "rank"):
            assert one[name] == pytest.approx(other[name], nan_ok=True), (one["model"], name)


@pytest.mark.parametrize("known_by", ["prepared data", "runs"])
def test_true_classes_are_those_of_the_data_here(exported, capsys, monkeypatch, known_by):
    """Flipped labels would make a bad model a good one."""
    if known_by == "runs":
        assert results.main(["import", str(exported[0])]) == 0
        monkeypatch.setattr("benchmark.results_file.importer.find_prepared", lambda digest: None)
    content = members(exported[0])
    lines = [json.loads(line) for line in content["runs.jsonl"].splitlines()]
    digest = next(line["arrays"]["labels"] for line in lines if line["arrays"])
    saved = io.BytesIO()
    np.save(saved, 1 - np.load(io.BytesIO(content.pop(f"arrays/{digest}.npy"))))
    new = hashlib.sha256(saved.getvalue()).hexdigest()
    content["runs.jsonl"] = content["runs.jsonl"].replace(digest.encode(), new.encode())
    file = pack({**content, f"arrays/{new}.npy": saved.getvalue()}, Path("flipped.zip"))
    before = board() if known_by == "runs" else None
    capsys.readouterr()
    assert results.main(["import", str(file)]) == 2
    assert "true classes of the test split" in capsys.readouterr().err
    assert before == (board() if known_by == "runs" else None)
    assert known_by == "runs" or not Path("mlruns/ledger.jsonl").exists()


def test_other_data_of_the_same_name_are_refused(exported, capsys):
    """A board of two versions of the data would compare nothing."""
    assert results.main(["import", str(exported[0])]) == 0
    content = members(exported[0])
    digest = json.loads(content["manifest.json"])["dataset"]["digest"]
    other = "f" * len(digest)
    names_of_text = ("runs.jsonl", "manifest.json", "searches.jsonl")
    content |= {name: content[name].replace(digest.encode(), other.encode()) for name in names_of_text}
    assert results.main(["import", str(pack(content, Path("other.zip")))]) == 2
    said = capsys.readouterr().err
    assert digest in said
    assert other in said
    client = StoreClient(f"sqlite:///{Path('mlruns/mlflow.db').resolve()}")
    assert {run.dataset_digest for run in find_runs(client, "sample")} == {digest}


def test_half_precision_only_where_it_loses_nothing():
    """Certain answers fit; others would change the log loss that a board prints."""
    files: dict[str, bytes] = {}
    for values, kept in (([[0.25, 0.75], [1, 0]], np.float16), ([[0.3, 0.7], [0.1, 0.9]], np.float32)):
        digest = _add_array(files, np.array(values, dtype=np.float32))
        stored = np.load(io.BytesIO(files[f"arrays/{digest}.npy"]))
        assert stored.dtype == kept
        assert np.array_equal(stored.astype(np.float32), np.array(values, dtype=np.float32))


def test_an_older_and_a_newer_file_of_one_folder_count_each_read_once(exported, copied_sweep):
    """The newer ledger starts with the older one."""
    from benchmark.data.ledger_chain import add_chains, all_chains

    own = Path("mlruns/ledger.jsonl")
    (newer,) = all_chains(own)
    older = b"".join(newer.splitlines(keepends=True)[:4])
    here = Path("here.jsonl")
    assert add_chains(here, [older], "sample", "d") == 4
    assert add_chains(here, [newer], "sample", "d") == len(read_entries(own)) - 4
    assert add_chains(here, [newer, older], "sample", "d") == 0
    reads = [entry for entry in read_entries(here) if entry["model"] != IMPORTED]
    assert sorted(entry["hash"] for entry in reads) == sorted(entry["hash"] for entry in read_entries(own))
    for file in Path("ledgers").iterdir():
        file.write_bytes(file.read_bytes().replace(b"sample", b"simple", 1))
        with pytest.raises(UserError, match="is missing or damaged"):
            read_entries(here)
        add_chains(here, [older, newer], "sample", "d")  # brings it back
        assert len(read_entries(here)) == len(reads) + 2


def test_a_study_of_the_same_name_that_is_another_search_is_refused(exported, capsys):
    """Before anything of the file is added."""
    file, expected = exported
    assert results.main(["import", str(file)]) == 0
    content = members(file)
    lines = [{**json.loads(line), "identity": "0" * 64} for line in content["searches.jsonl"].splitlines()]
    content["searches.jsonl"] = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    assert results.main(["import", str(pack(content, Path("other.zip")))]) == 2
    assert "has another model, data set, space" in capsys.readouterr().err
    assert board() == expected


def damages(content):
    """Yield names of damages and functions that write a damaged file of good members."""
    runs, arrays = content["runs.jsonl"], sorted(name for name in content if name.startswith("arrays/"))
    manifest = json.loads(content["manifest.json"])

    def said(**more):
        return {**content, "manifest.json": json.dumps({**manifest, **more}).encode()}

    def of_data(**more):
        return said(dataset={**manifest["dataset"], **more})

    for name in (
        "../evil",
        "/etc/evil",
        "a\\..\\b",
        "runs.jsonl/../x",
        "arrays/x.npy",
        "arrays/../runs.jsonl",
    ):
        yield f"name {name}", {**content, name: b"x"}, True
    yield "version", said(version=99), True
    yield "no version", said(version=None), True
    yield "format", said(format="zip"), True
    yield "name of the data set", of_data(name="../sample"), True
    yield "digest", of_data(digest="0" * 32), True
    yield "classes", of_data(profile='{"test": 1000, "classes": ["a", "b", "c"]}'), True
    yield "size", of_data(profile='{"test": 999, "classes": ["a", "b"]}'), True
    yield "deep", {**content, "manifest.json": b"[" * 200_000}, False
    yield "no manifest", {name: data for name, data in content.items() if name != "manifest.json"}, False
    yield "no runs", {name: data for name, data in content.items() if name != "runs.jsonl"}, True
    yield "array missing", {name: data for name, data in content.items() if name != arrays[0]}, True
    yield "array of nobody", {**content, f"arrays/{'0' * 64}.npy": content[arrays[0]]}, True
    yield "checksum", {**content, "runs.jsonl": runs.replace(b"quick", b"brisk", 1)}, False
    yield "a run twice", {**content, "runs.jsonl": runs + runs.splitlines(keepends=True)[-1]}, True
    yield "cut off", {**content, "runs.jsonl": runs[:-40]}, True
    yield "unknown key", changed_runs(content, lambda run: run.update(more=1)), True
    yield "unknown tag", changed_runs(content, lambda run: run["tags"].update({"mlflow.note": "x"})), True
    yield "seed", changed_runs(content, lambda run: run["spec"]["seeds"].update(index="x")), True
    yield "status", changed_runs(content, lambda run: run["tags"].update({names.STATUS: "fine"})), True
    yield "tier", changed_runs(content, lambda run: run["tags"].update({names.TIER: "best"})), True
    yield "running", changed_runs(content, lambda run: run.update(status="RUNNING")), True
    yield "no sweep", changed_runs(content, lambda run: run["tags"].update({names.STUDY: "x"})), True
    yield (
        "NaN",
        changed_runs(content, lambda run: run["metrics"].append(["train_seconds", float("nan"), 1, 0])),
        True,
    )
    yield "other data", changed_runs(content, lambda run: run["spec"].update(dataset_digest="1" * 32)), True
    yield "no predictions", changed_runs(content, lambda run: run.update(arrays={})), True
    yield "source", of_data(source="x" * 70_000), True
    yield "classes alike", of_data(profile='{"test": 1000, "classes": ["a", "a"]}'), True
    for point in (
        *((name, 1.0, 1, 0) for name in ("a\nb", "a=b", "../x", "/x", "a//b", "", "a" * 300)),
        *(("x", 1.0, -5, 0), ("x", 1.0, 1 << 70, 0), ("x", 1.0, 1, -1), ("x", 1.0, 1, 1 << 70)),
    ):
        named = changed_runs(content, lambda run, point=point: run["metrics"].append(point), "trial")
        yield f"metric {point}", named, True
    for params in ({"a=b": "x"}, {"../x": "x"}, {"": "x"}, {"a": "x" * 7000}, {"a": "x\0"}):
        yield (
            f"param {params}",
            changed_runs(content, lambda run, p=params: run.update(params=p), "sweep"),
            True,
        )
    yield "name", changed_runs(content, lambda run: run.update(name="a\0b")), True
    yield "trial", changed_runs(content, lambda run: run["tags"].update({names.TRIAL: "-1"}), "trial"), True
    for what, change in (
        ("NaN", lambda array: array * np.nan),
        ("sum", lambda array: array * 1.2),
        ("negative", lambda array: array - 1),
        ("fewer", lambda array: array[:-1]),
        ("three classes", lambda array: np.hstack([array, array[:, :1]])),
        ("pickles", lambda array: array.astype(object)),
        ("one column", lambda array: array[:, 0]),
    ):
        yield f"probabilities: {what}", changed_array(content, change), True
    yield "labels of class 2", changed_array(content, lambda array: array + 1, "labels"), True
    yield "labels as floats", changed_array(content, lambda array: array.astype(float), "labels"), True
    yield "labels differ", changed_array(content, lambda array: 1 - array, "labels"), True
    chain = content["ledgers/0.jsonl"].splitlines(keepends=True)
    yield "ledger in the middle", {**content, "ledgers/0.jsonl": b"".join(chain[1:])}, True
    yield "ledger changed", {**content, "ledgers/0.jsonl": b"".join(chain).replace(b"pool", b"loop", 1)}, True
    yield "ledger empty", {**content, "ledgers/0.jsonl": b""}, True
    searches = [json.loads(line) for line in content["searches.jsonl"].splitlines()]
    for what, change in (
        ("slot", lambda trial: trial.update(slot=-1)),
        ("status", lambda trial: trial.update(status="interrupted")),
        ("value", lambda trial: trial.update(value=None)),
        ("told", lambda trial: trial.update(told=0.999)),
        ("distribution", lambda trial: trial.update(distributions={"x": '{"name": "Evil"}'})),
        ("params", lambda trial: trial.update(params={"x": 1})),
    ):
        copied = json.loads(json.dumps(searches))
        change(copied[-1]["trials"][0])
        lines = b"".join(json.dumps(one).encode() + b"\n" for one in copied)
        yield f"search: {what}", {**content, "searches.jsonl": lines}, True
    header = re.sub(rb"\((\d+),", lambda size: b"(" + b"9" * len(size[1]) + b",", content[arrays[0]], count=1)
    yield "a header that lies", {**content, arrays[0]: header}, True


def raw_damages(good, seed):
    """Yield names and contents of files that are damaged as bytes."""
    generator = random.Random(seed)
    yield "empty", b""
    yield "not a zip", b"PK but not really" * 50
    for _ in range(8):
        yield "cut off", good[: generator.randrange(1, len(good) - 1)]
    for _ in range(8):
        place = generator.randrange(100, len(good) * 3 // 4)  # among the content, before the table of members
        yield f"bytes at {place}", good[:place] + generator.randbytes(8) + good[place + 8 :]


def test_more_than_fifty_damaged_files_are_refused_with_one_line_and_nothing_is_left(exported, capsys):
    """Nothing is made before all of a file is checked."""
    content = members(exported[0])
    tried = 0

    def refuse(what):
        capsys.readouterr()
        code = results.main(["import", "damaged.zip"])
        printed = capsys.readouterr()
        assert code == 2, what
        assert printed.err.count("\n") == 1, (what, printed.err)
        assert "nothing was imported" in printed.err, what
        assert sorted(path.name for path in Path().iterdir()) == ["damaged.zip"], what
        return 1

    for what, damaged, sealed in damages(content):
        tried += refuse((what, pack(damaged, Path("damaged.zip"), sealed=sealed)))
    for what, data in raw_damages(exported[0].read_bytes(), seed=23):
        Path("damaged.zip").write_bytes(data)
        tried += refuse(what)
    # What is of the container: a name twice, a link, a bomb, another way of packing.
    for what in ("twice", "link", "bomb", "lzma"):
        pack(content, Path("damaged.zip"))
        way = zipfile.ZIP_LZMA if what == "lzma" else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile("damaged.zip", "a", way) as archive:
            info = zipfile.ZipInfo(f"ledgers/{9 if what != 'twice' else 0}.jsonl")
            info.external_attr = (0o120777 if what == "link" else 0o100644) << 16
            info.compress_type = way
            data = b"/etc/passwd" if what == "link" else bytes(1 << 20)
            if what == "bomb":
                with archive.open(info, "w", force_zip64=True) as member:
                    for _ in range(1100):
                        member.write(data)
            else:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr("warnings.warn", lambda *words, **more: None)
                    archive.writestr(info, data)
        tried += refuse(what)
    assert tried > 70
    assert find_prepared("0" * 32) is None


KILLED = """
import importlib, os, signal, sys
from benchmark import results
module, owner, name, number, after, file = sys.argv[1:]
place = importlib.import_module(module)
place = getattr(place, owner) if owner else place
real, left = getattr(place, name), int(number)

def deadly(*words, **more):
    global left
    left -= 1
    if left == 0 and after == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    found = real(*words, **more)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

setattr(place, name, deadly)
results.main(["import", file])
"""
LEDGER, SPOOL, DELIVERY = (
    "benchmark.data.ledger_chain",
    "benchmark.tracking.spool",
    "benchmark.tracking.delivery",
)
DEATHS = (
    (LEDGER, "", "append", 1, "before"),  # the chain is written, and not anchored
    (LEDGER, "", "append", 1, "after"),
    ("optuna", "Study", "add_trial", 1, "after"),
    ("optuna", "Study", "add_trial", 2, "before"),
    (SPOOL, "Spool", "commit", 1, "after"),
    (SPOOL, "Spool", "commit", 5, "before"),
    (DELIVERY, "Delivery", "_do", 3, "after"),
    (DELIVERY, "Delivery", "_do", 20, "before"),
    (DELIVERY, "Delivery", "deliver", 2, "after"),  # MLflow has it, and so has the spool
    (SPOOL, "Spool", "remove", 2, "before"),
)


@pytest.mark.long
def test_killed_ten_times_an_import_ends_with_the_same_board(exported, start_python):
    """At ten points of its way, from the ledger to MLflow; the last process is left alone."""
    file, expected = exported
    for death in DEATHS:
        process = start_python(KILLED, *death, file)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, death
    assert results.main(["import", str(file)]) == 0
    assert board() == expected
    assert sweep.main([*PIPELINE]) == 0
    assert sweep.main([*SWEEP]) == 0
    assert board() == expected
    assert ledger.main(["verify"]) == 0


@pytest.mark.long
def test_three_folders_joined_give_the_board_of_one(tmp_path, monkeypatch):
    """One of them on a tracking server with PostgreSQL, its searches there, too."""
    import outages
    import postgres

    models = {"one": "majority", "two": "tfidf-logreg", "three": "avg-pool"}
    rest = ["--dataset", "sample", "--trials", "2", "--seeds", "3", "--epochs", "2"]
    for folder in (*models, "all", "joined"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "all")
    assert sweep.main([word for model in models.values() for word in ("--model", model)] + rest) == 0
    expected = board(timeless=True)
    with postgres.running() as database:
        server = outages.Server(tmp_path, postgres.free_port(), database.url("mlflow"))
        server.start()
        try:
            files = []
            for folder, model in models.items():
                monkeypatch.chdir(tmp_path / folder)
                where = ["--tracking-uri", server.address, "--storage", database.url("optuna")]
                where = where if folder == "three" else []
                assert sweep.main(["--model", model, *rest, *where]) == 0
                files.append(str(tmp_path / f"{folder}.zip"))
                words = ["export", "--dataset", "sample", "--output", files[-1]]
                assert results.main([*words, *where]) == 0
            monkeypatch.chdir(tmp_path / "joined")
            assert results.main(["import", *files]) == 0
            assert board(timeless=True) == expected
            # And onto a server: the board there, from a folder that has only the ledgers.
            second = ["--tracking-uri", server.address]
            assert results.main(["import", *files, *second]) == 0
            assert board(*second, timeless=True) == expected
        finally:
            server.stop()
    before = len(read_entries(Path("mlruns/ledger.jsonl")))
    command = [word for model in models.values() for word in ("--model", model)] + rest
    assert sweep.main(command) == 0
    assert len(read_entries(Path("mlruns/ledger.jsonl"))) == before
