"""Journals that a crash has cut off, damaged ones, and locks that nobody holds any more."""

import json
import os
import time

import optuna
import pytest

from benchmark.search.storage import open_journal
from benchmark.support.errors import UserError


@pytest.fixture
def journal(tmp_path):
    """A journal with a study of three trials."""
    path = tmp_path / "study.journal"
    study = optuna.create_study(study_name="study", storage=open_journal(path))
    for number in range(3):
        trial = study.ask()
        trial.suggest_int("units", 1, 8)
        study.tell(trial, float(number))
    return path


def trials(path):
    return optuna.load_study(study_name="study", storage=open_journal(path)).trials


def test_a_new_journal(tmp_path):
    assert open_journal(tmp_path / "new.journal").get_all_studies() == []


def test_a_journal_cut_off_anywhere_opens_with_what_was_whole(journal):
    whole = journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    for size in range(0, len(whole), 7):
        journal.write_bytes(whole[:size])
        kept = whole[: whole.rfind(b"\n", 0, size) + 1]
        open_journal(journal)
        assert journal.read_bytes() == kept
    journal.write_bytes(b"".join(lines)[:-3])
    found = trials(journal)
    assert [trial.state.name for trial in found] == ["COMPLETE", "COMPLETE", "RUNNING"]
    study = optuna.load_study(study_name="study", storage=open_journal(journal))
    study.tell(2, 2.0)
    assert [trial.value for trial in trials(journal)] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    "line",
    [b'{"op_co\n', b"\n", b"[]\n", b'{"op": 1}\n', b"\xff\xfe\n", b"\x00\x00\n", b"[" * 20_000 + b"\n"],
)
def test_a_line_in_the_middle_that_is_no_operation_is_named(journal, line):
    lines = journal.read_bytes().splitlines(keepends=True)
    damaged = b"".join([*lines[:2], line, *lines[2:]])[:-3]
    journal.write_bytes(damaged)
    with pytest.raises(UserError, match=r"journal .*study\.journal, line 3 is damaged") as caught:
        open_journal(journal)
    assert "\n" not in str(caught.value)
    assert journal.read_bytes() == damaged


def test_an_operation_that_makes_no_sense_is_named(journal):
    lines = journal.read_bytes().splitlines(keepends=True)
    operation = json.loads(lines[3])
    journal.write_bytes(
        b"".join([*lines[:3], json.dumps({**operation, "op_code": 99}).encode() + b"\n", *lines[3:]])
    )
    with pytest.raises(UserError, match="line 4 is damaged"):
        open_journal(journal)


@pytest.mark.parametrize("age", [0.0, 0.9, 5.0, -3600.0])
def test_a_lock_left_over_is_removed_at_once(journal, age):
    lock = journal.with_name("study.journal.lock")
    lock.symlink_to(journal)
    when = time.time() - age
    os.utime(lock, (when, when), follow_symlinks=False)
    renamed = journal.with_name("study.journal.lock1234.rename")
    renamed.symlink_to(journal)
    storage = open_journal(journal)
    assert not lock.is_symlink()  # Optuna would wait for it for 30 seconds
    assert not renamed.is_symlink()
    optuna.load_study(study_name="study", storage=storage).ask()


def test_a_lock_of_another_program_is_waited_for(journal, start_python):
    """A dashboard that writes a note holds the lock for the time of one line."""
    holder = start_python(
        "import os, sys, time\n"
        "os.symlink(sys.argv[1], sys.argv[1] + '.lock')\nprint('held', flush=True)\ntime.sleep(0.3)\n"
        "print(os.path.islink(sys.argv[1] + '.lock'))\nos.unlink(sys.argv[1] + '.lock')",
        journal,
    )
    assert holder.stdout.readline() == "held\n"
    optuna.load_study(study_name="study", storage=open_journal(journal)).ask()
    output, errors = holder.communicate(timeout=60)
    assert (output, errors) == ("True\n", "")


def test_a_file_that_is_no_lock_of_optunas_stays(journal):
    lock = journal.with_name("study.journal.lock")
    lock.write_text("of a study named study.journal")
    open_journal(journal)
    assert lock.exists()
