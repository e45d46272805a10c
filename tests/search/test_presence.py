"""Locks of living processes: on files, and (marked long) in PostgreSQL with lost connections and restarts."""

import fcntl
import threading
import time
from pathlib import Path

import pytest
from postgres import running
from waiting import until

from benchmark.search import presence as module
from benchmark.search.presence import open_presence
from benchmark.support import files
from benchmark.support.errors import UserError

WAIT = """
import sys, time
from pathlib import Path
from benchmark.search.presence import open_presence

storage, folder = sys.argv[1:]
presence = open_presence(storage or None, Path(folder), "study")
assert presence.take("slot")
print(presence.token, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def server():
    with running() as server:
        yield server


@pytest.fixture(params=["files", pytest.param("postgres", marks=pytest.mark.long)])
def storage(request):
    """The storage whose locks are tested."""
    if request.param == "files":
        return None
    return request.getfixturevalue("server").url("locks")


@pytest.fixture
def meet(storage, tmp_path):
    """``meet(study)`` opens one more presence, as another process would."""
    opened = []

    def open_one(study="study"):
        opened.append(open_presence(storage, tmp_path / "studies", study))
        return opened[-1]

    yield open_one
    for presence in opened:
        presence.close()


def test_a_name_belongs_to_one(meet):
    first, second = meet(), meet()
    assert first.take("slot 3")
    assert first.take("slot 3")
    assert not second.take("slot 3")
    assert second.take("slot 4")
    second.release("slot 3")  # not theirs
    assert not second.take("slot 3")
    first.release("slot 3")
    assert second.take("slot 3")
    assert not first.take("slot 3")


def test_studies_and_names_that_look_alike_are_apart(meet):
    first, second, other = meet("a b"), meet("a b"), meet("a-b")
    assert first.take("x y")
    assert second.take("x-y")
    assert other.take("x y")
    assert not second.take("x y")


def test_who_has_closed_is_gone(meet):
    first, second = meet(), meet()
    second.take("slot")
    assert first.alive(second.token)
    assert second.alive(first.token)
    assert first.alive(first.token)
    second.close()
    assert first.take("slot")
    until(lambda: not first.alive(second.token))


def test_a_killed_process_is_gone_and_leaves_what_it_had(meet, storage, start_python, tmp_path):
    process = start_python(WAIT, storage or "", tmp_path / "studies")
    token = process.stdout.readline().strip()
    here = meet()
    assert here.alive(token)
    assert not here.take("slot")
    process.kill()
    process.wait()
    until(lambda: not here.alive(token))
    until(lambda: here.take("slot"))


def test_released_locks_leave_no_files(tmp_path):
    presence = open_presence(None, tmp_path / "studies", "study")
    presence.take("slot")
    assert len(list((tmp_path / "studies").iterdir())) == 2
    presence.close()
    assert not list((tmp_path / "studies").iterdir())


def test_files_of_killed_processes_are_deleted_when_the_study_is_opened(start_python, tmp_path):
    process = start_python(WAIT, "", tmp_path)
    token = process.stdout.readline().strip()
    process.kill()
    process.wait()
    assert [path for path in tmp_path.iterdir() if token in path.name]
    presence = open_presence(None, tmp_path, "study")
    assert not [path for path in tmp_path.iterdir() if token in path.name]
    presence.close()


def test_names_do_not_leave_their_folder(tmp_path):
    folder = tmp_path / "studies"
    presence = open_presence(None, folder, "../../study")
    assert presence.take("../../slot")
    assert presence.take("x" * 500)
    assert not presence.alive("../../nobody")
    assert len(list(folder.iterdir())) == 3
    assert list(tmp_path.iterdir()) == [folder]
    presence.close()


def test_locks_of_sqlite_lie_beside_the_database_wherever_the_sweep_was_started(tmp_path):
    first = open_presence("sqlite:///shared.db", Path("here"), "study")
    second = open_presence(f"sqlite:///{tmp_path}/shared.db", Path("there"), "study")
    assert first.take("study")
    assert not second.take("study")
    first.close()
    second.close()


def test_a_folder_that_cannot_be_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="locks are unavailable") as caught:
        open_presence(None, tmp_path / "file", "study")
    assert "\n" not in str(caught.value)


def test_a_file_that_changes_hands_while_it_is_opened_is_not_locked_twice(tmp_path, monkeypatch):
    path, flock, taken = tmp_path / "lock", fcntl.flock, []
    first = files.lock(path)

    def after_a_change(descriptor, how):
        if first not in taken:  # the second has opened the file and not locked it yet
            taken.append(first)
            files.unlock(first)
            taken.append(files.lock(path))
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", after_a_change)
    assert files.lock(path) is None
    assert None not in taken
    files.unlock(taken[1])
    assert not path.exists()


@pytest.fixture
def two(server):
    """Two processes' presences on PostgreSQL."""
    pair = [open_presence(server.url("locks"), Path(), "two") for _ in range(2)]
    yield pair
    for presence in pair:
        presence.close()


@pytest.mark.long
def test_locks_are_taken_again_when_the_server_comes_back(server, two):
    first, second = two
    assert first.take("slot")
    server.stop()
    server.start()
    assert first.alive(second.token)
    assert second.alive(first.token)
    assert first.take("slot")
    assert not second.take("slot")
    assert second.take("another")


@pytest.mark.long
def test_after_a_restart_nobody_takes_what_another_is_about_to_take_again(server, two):
    first, second = two
    assert first.take("slot")
    with first._guard:  # the first is slow to notice
        server.stop()
        server.start()
        answers = []
        asking = threading.Thread(target=lambda: answers.append(second.take("slot")))
        asking.start()
        asking.join(timeout=3)
        assert not answers
    asking.join(timeout=60)
    assert answers == [False]


@pytest.mark.long
def test_what_another_has_taken_meanwhile_is_lost_until_it_is_released(server, two):
    first, second = two
    assert first.take("slot")
    assert second.take("own")  # its connection is there already
    with first._guard:
        end_connection(server, first)
        until(lambda: second.take("slot"))
    assert not first.take("slot")
    second.release("slot")
    assert not first.take("slot")
    first.release("slot")
    assert first.take("slot")


@pytest.mark.long
def test_an_own_connection_that_only_the_server_believes_in_does_not_keep_the_locks(server, two):
    first, second = two
    assert first.take("slot")
    with first._guard:
        ghost, first._connection = first._connection, None
    assert first.take("slot")
    assert not second.take("slot")
    assert second.alive(first.token)
    with pytest.raises(Exception, match=r"terminat|closed"):
        ghost.exec_driver_sql("SELECT 1")


@pytest.mark.long
def test_a_lost_connection_is_no_death(server, two):
    first, second = two
    time.sleep(module._GRACE_SECONDS)  # the second has watched for long enough to be sure at once
    assert not second.alive("nobody")
    with first._guard:
        end_connection(server, first)
        until(lambda: module.lock_key("two", f"process {first.token}") not in seen_now(second))
        assert second.alive(first.token)
    first.close()
    until(lambda: not second.alive(first.token))


def seen_now(presence):
    presence._look()
    return presence._present


def end_connection(server, presence):
    server.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE application_name = 'textbench {presence.token}'"
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("s3cret", "wrong"), "PGPASSWORD"),
        (("/locks", "/nothere"), "createdb"),
        (("127.0.0.1", "127.0.0.2"), "start the server"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line(server, change, words):
    url = server.url("locks").replace(*change)
    with pytest.raises(UserError, match=words) as caught:
        open_presence(url, Path(), "study")
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "wrong" not in str(caught.value)
