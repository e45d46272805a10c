"""Damage as a user meets it: a command goes on, or says in one line what is wrong; never a traceback."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from _thread import interrupt_main
from collections import Counter
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmark import datasets, leaderboard, ledger, sweep
from benchmark.board.stored_board import read_board
from benchmark.data.cache import cache_root
from benchmark.data.prepare import cached, prepare
from benchmark.data.source import SourceOptions, get_source
from benchmark.tracking.predictions import PredictionReader
from benchmark.tracking.store import StoreClient

SWEEP = ["--model", "tfidf-logreg", "--dataset", "sample", "--study", "mine", "--sampler", "random"]
SWEEP += ["--pruner", "none", "--trials", "2", "--seeds"]
JOURNAL, LEDGER = Path("mlruns/studies/mine.journal"), Path("mlruns/ledger.jsonl")
DATABASE = Path("mlruns/mlflow.db")


@contextmanager
def mounted(folder, *words):
    """Mount something over a folder, which only root may; others skip."""
    try:
        done = subprocess.run(["mount", *words, str(folder)], capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no mount: {error}")
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def small_disk(folder, kilobytes):
    folder.mkdir(exist_ok=True)
    return mounted(folder, "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs")


@contextmanager
def read_only(folder):
    """Show a folder through a mount that is read-only from its first moment: files may be open in it."""
    with (
        tempfile.TemporaryDirectory() as side,
        mounted(side, "--bind", str(folder)),
    ):
        subprocess.run(["mount", "-o", "remount,ro,bind", side], check=True)
        with mounted(folder, "--bind", side):
            yield


def told(capsys, command, *words):
    """Run a command; return its exit code, its output, and its errors, which are a line at most."""
    capsys.readouterr()
    code = command.main(list(words))
    output, errors = capsys.readouterr()
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in errors
    assert len(lines) == (code in (1, 2))
    assert lines == errors.splitlines()[-len(lines) :] or not lines
    return code, output, "".join(lines)


# The cache.

REVIEWS = "text,label\n" + "".join(f"a {'good' if n % 2 else 'bad'} film {n},{n % 2}\n" for n in range(40))


@pytest.fixture
def reviews(own_cache, tmp_path):
    """A data set of a file, prepared in a separate cache."""
    (tmp_path / "reviews.csv").write_text(REVIEWS)
    return prepare(get_source("csv:reviews.csv", SourceOptions()))


def files_below(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_flipped_bit_anywhere_in_a_cache_entry_is_noticed(reviews):
    source = get_source("csv:reviews.csv", SourceOptions())
    names = {path.relative_to(reviews.folder).as_posix() for path in files_below(reviews.folder)}
    parts = ("texts.bin", "tokens.npy", "labels.npy", "text_ends.npy", "token_ends.npy")
    assert names == {
        *(f"{part}/{name}" for part in ("open", "test") for name in parts),
        *("vocabulary.txt", "train_rows.npy", "validation_rows.npy", "meta.json"),
    }
    for path in files_below(reviews.folder):
        content = path.read_bytes()
        every = range(len(content)) if path.name == "meta.json" else ()
        for place in {0, len(content) // 3, len(content) // 2, len(content) - 1, *every}:
            damaged = bytearray(content)
            damaged[place] ^= 1 << place % 8
            path.write_bytes(damaged)
            found = cached(source)
            # White space of the description may change without any harm.
            assert found is None or (path.name == "meta.json" and found == reviews), (path, place)
        path.write_bytes(content)
    assert cached(source) == reviews


def test_a_damaged_cache_entry_is_made_again_as_it_was(reviews, capsys):
    code, shown, _ = told(capsys, datasets, "show", "csv:reviews.csv", "--json")
    assert code == 0
    before = {path: path.read_bytes() for path in files_below(reviews.folder)}
    for path in before:
        os.truncate(path, path.stat().st_size // 2)
    assert told(capsys, datasets, "show", "csv:reviews.csv", "--json") == (0, shown, "")
    assert {path: path.read_bytes() for path in files_below(reviews.folder)} == before


def test_a_cache_that_cannot_be_written_is_one_line(own_cache, tmp_path, capsys):
    (tmp_path / "reviews.csv").write_text(REVIEWS)
    own_cache.mkdir()
    with read_only(own_cache):
        code, _, error = told(capsys, datasets, "prepare", "csv:reviews.csv")
        assert code == 2
        assert "cannot be written (read-only file system); set BENCHMARK_CACHE_DIR" in error or (
            "cannot be written (permission denied); set BENCHMARK_CACHE_DIR" in error
        )


def test_a_prepared_data_set_can_be_used_from_a_cache_that_cannot_be_written(reviews, own_cache, capsys):
    with read_only(own_cache):
        assert told(capsys, datasets, "show", "csv:reviews.csv")[0] == 0


PREPARE = "import sys\nfrom benchmark import datasets\nsys.exit(datasets.main(sys.argv[1:]))"


@pytest.mark.long
def test_a_disk_that_fills_up_while_data_is_prepared(own_cache, tmp_path, start_python):
    """In a process of its own: the kernel ends one that writes to a full disk through a memory map."""
    words = "".join(f"{' '.join(f'w{n}x{k}' for k in range(40))},{n % 2}\n" for n in range(300))
    (tmp_path / "reviews.csv").write_text("text,label\n" + words)
    whole = prepare(get_source("csv:reviews.csv", SourceOptions()))
    size = sum(path.stat().st_size for path in files_below(whole.folder)) // 1024
    # The last one has room for all but the token ids in their final form.
    for kilobytes in (16, size // 2, size * 5 // 4):
        cache = tmp_path / f"cache{kilobytes}"
        with small_disk(cache, kilobytes):
            os.environ["BENCHMARK_CACHE_DIR"] = str(cache)  # own_cache puts it back
            process = start_python(PREPARE, "prepare", "csv:reviews.csv")
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 1, (kilobytes, process.returncode, errors)
            assert errors.startswith("error: the disk is full (")
            assert errors.endswith("free some room and run the same command again\n")
            assert len(errors.splitlines()) == 1
            assert [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


# The stores. A sweep of two trials and one final run a tier.


@pytest.fixture(scope="module")
def swept(_hermetic_session, tmp_path_factory):
    """A folder with a finished sweep."""
    folder = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert sweep.main([*SWEEP, "1"]) == 0
    return folder


@pytest.fixture
def copy(swept, tmp_path):
    """A copy of it that the test may damage."""
    shutil.copytree(swept / "mlruns", tmp_path / "mlruns")
    return tmp_path / "mlruns"


def trials():
    """Names of the operations of the journal that end a trial as complete."""
    lines = [json.loads(line) for line in JOURNAL.read_bytes().splitlines()]
    return [line for line in lines if line["op_code"] == 6 and line.get("state") == 1]


@pytest.mark.long
def test_a_journal_cut_off_at_its_end_goes_on(copy, capsys):
    whole = JOURNAL.read_bytes()
    JOURNAL.write_bytes(whole[: len(whole) * 3 // 4 - 1])
    JOURNAL.with_name("mine.journal.lock").symlink_to(JOURNAL)  # left by the same kill
    assert told(capsys, sweep, *SWEEP, "1")[0] == 0
    assert JOURNAL.read_bytes().endswith(b"\n")
    assert not JOURNAL.with_name("mine.journal.lock").is_symlink()
    assert len(trials()) == 2


@pytest.mark.long
def test_a_journal_damaged_in_the_middle_is_one_line(copy, capsys):
    lines = JOURNAL.read_bytes().splitlines(keepends=True)
    damaged = b"".join([*lines[:3], lines[3][:10] + b"\n", *lines[4:]])
    JOURNAL.write_bytes(damaged)
    code, _, error = told(capsys, sweep, *SWEEP, "1")
    assert code == 2
    assert "mine.journal, line 4 is damaged" in error
    assert JOURNAL.read_bytes() == damaged
    assert told(capsys, leaderboard)[0] == 0  # which does not need it


@pytest.mark.long
def test_a_ledger_cut_off_in_its_last_line_goes_on(copy, capsys):
    board = told(capsys, leaderboard, "--format", "json")
    LEDGER.write_bytes(LEDGER.read_bytes()[:-30])
    code, output, _ = told(capsys, leaderboard, "--format", "json")
    assert code == 0
    assert json.loads(output)["rows"][0]["run_ids"] == json.loads(board[1])["rows"][0]["run_ids"]
    assert told(capsys, sweep, *SWEEP, "2")[0] == 0
    # The look was one: a run of it is in the store.
    code, output, _ = told_damage(capsys)
    assert code == 1
    assert output.count("0 entries, not 1") == 1


def told_damage(capsys):
    capsys.readouterr()
    code = ledger.main(["verify"])
    return code, *capsys.readouterr()


@pytest.mark.long
def test_half_a_database_is_one_line(copy, capsys):
    os.truncate(DATABASE, DATABASE.stat().st_size // 2)
    for command, *words in ((leaderboard,), (sweep, *SWEEP, "2"), (ledger, "verify")):
        code, _, error = told(capsys, command, *words)
        assert code == 2, command
        assert "malformed" in error or "mlflow.db" in error


@pytest.mark.long
def test_a_flipped_bit_in_answers_that_were_kept_is_noticed(copy):
    """What a board knows of the test split, example by example, is kept in the cache."""
    database = f"sqlite:///{DATABASE.resolve()}"
    run_id = read_board(StoreClient(database), "sample", LEDGER).rows[0].run_ids[0]
    right = PredictionReader(StoreClient(database)).right(run_id)
    kept = cache_root() / "answers" / f"{run_id}.bits"
    content = kept.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        kept.write_bytes(damaged)
        assert np.array_equal(PredictionReader(StoreClient(database)).right(run_id), right), place
        assert kept.read_bytes() == content


@contextmanager
def locked(path):
    """Hold a database as another process does that writes into it."""
    code = (
        "import sqlite3, sys, time\ndatabase = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "database.execute('BEGIN EXCLUSIVE')\nprint('held', flush=True)\ntime.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    try:
        yield
    finally:
        process.kill()
        process.communicate()


@pytest.mark.long
def test_a_database_that_another_process_holds_is_not_waited_for_for_ever(copy, capsys):
    with locked(DATABASE):
        for command, *words in ((leaderboard,), (sweep, *SWEEP, "2")):
            code, _, error = told(capsys, command, *words)
            assert code == 2
            assert "database is locked" in error
    assert told(capsys, sweep, *SWEEP, "2")[0] == 0
    with sqlite3.connect(DATABASE) as database:
        assert database.execute("SELECT count(*) FROM runs WHERE status = 'RUNNING'").fetchone() == (0,)


@pytest.mark.long
def test_a_folder_that_cannot_be_written_can_be_read(copy, capsys):
    expected = told(capsys, leaderboard, "--format", "json")
    looks = told(capsys, ledger)
    (copy / "ledger.jsonl.lock").unlink(missing_ok=True)
    with read_only(copy):
        assert told(capsys, leaderboard, "--format", "json") == expected
        assert told(capsys, ledger) == looks
        code, _, error = told(capsys, sweep, *SWEEP, "2")
        assert code == 2
        assert "mlruns cannot be written (read-only file system)" in error


@contextmanager
def once_a_trial_has_ended(act):
    """Do something in mid-sweep."""
    ended = threading.Event()

    def watch():
        while not ended.wait(0.05):
            if JOURNAL.exists() and JOURNAL.read_bytes().count(b'"state":1') > 1:
                try:
                    act()
                except BaseException:
                    interrupt_main()
                    raise
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.long
@pytest.mark.parametrize("place", [".", "away"])
def test_a_folder_that_cannot_be_written_any_more_ends_the_sweep_and_loses_nothing(tmp_path, capsys, place):
    folder, words = tmp_path / "mlruns", [*SWEEP, "1"]
    with ExitStack() as stack:
        if place == "away":
            act = partial(folder.rename, tmp_path / "away")
            stack.callback(
                lambda: (shutil.rmtree(folder, ignore_errors=True), (tmp_path / "away").rename(folder))
            )
        else:
            act = lambda: stack.enter_context(read_only(folder / place))  # noqa: E731
        with once_a_trial_has_ended(act):
            code, _, error = told(capsys, sweep, *words, "--trials", "5000")
        assert code == 1
        assert ("is gone (" if place == "away" else "read-only file system: ") in error.lower()
        assert "mlruns/" in error
    done = len(trials())
    assert told(capsys, sweep, *words, "--trials", str(done + 1))[0] == 0
    found = runs()
    assert sum(status == "ok" for _, _, status in found.elements()) >= done + 1
    assert {n for (_, _, status), n in found.items() if status == "ok"} == {1}


@pytest.mark.parametrize("place", ["spool", "studies", "artifacts"])
def test_a_folder_that_cannot_be_written_is_found_before_anything_is_trained(sample, tmp_path, capsys, place):
    (tmp_path / "mlruns" / place).mkdir(parents=True)
    with read_only(tmp_path / "mlruns" / place):
        code, output, error = told(capsys, sweep, *SWEEP, "1")
        assert code == 2
        assert f"mlruns/{place} cannot be written (read-only file system)" in error
        assert "trial" not in output


def fill(folder, left):
    """Leave so many bytes of room on a disk."""
    room = shutil.disk_usage(folder).free
    (folder / "filler").write_bytes(bytes(max(0, room - left)))


def runs():
    """Spec ids and statuses of the runs of the store that are no sweeps."""
    from processes import runs as stored

    tags = [run.data.tags for run in stored()]
    return Counter(
        (run["benchmark.kind"], run["benchmark.spec_id"], run.get("benchmark.status"))
        for run in tags
        if run["benchmark.kind"] != "sweep"
    )


@pytest.mark.long
@pytest.mark.parametrize("left", [0, 60_000])
def test_a_disk_that_fills_up_ends_the_sweep_and_loses_nothing(tmp_path, capsys, left):
    folder = tmp_path / "mlruns"
    with small_disk(folder, 60_000):
        assert told(capsys, sweep, *SWEEP, "1")[0] == 0
        before, looks = runs(), LEDGER.read_bytes()
        fill(folder, left)
        code, _, error = told(capsys, sweep, *SWEEP, "4")
        assert code == 1
        assert error.startswith("error: the disk is full (")
        (folder / "filler").unlink()
        assert LEDGER.read_bytes().startswith(looks)
        assert before <= runs()
        assert told(capsys, sweep, *SWEEP, "4")[0] == 0
        found = runs()
        assert before <= found
        successful = Counter(
            spec for (_, spec, status), n in found.items() for _ in range(n) if status == "ok"
        )
        assert set(successful.values()) == {1}
        assert sum(kind == "final" and status == "ok" for kind, _, status in found) in (4, 8)
        assert ledger.main(["verify"]) == 0
