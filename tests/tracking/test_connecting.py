"""Opening a store: new ones are made once and whole, those of others are left as they are."""

import signal
import sqlite3
import time
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from benchmark.errors import UserError
from benchmark.tracking.delivery import ensure_experiment
from benchmark.tracking.store import connect

CONNECT = """
import sys
from benchmark.tracking.store import connect

client = connect(sys.argv[1])
print(client.create_experiment(f"of {sys.argv[2]}"))
"""


@pytest.fixture
def uri(tmp_path):
    """The store of this test; MLflow remembers what it has opened, so it is named in full."""
    return f"sqlite:///{tmp_path}/store.db"


def files():
    return [path.name for path in Path().iterdir()]


def make_tables(*names, revision=None):
    with sqlite3.connect("store.db") as database:
        for name in names:
            database.execute(f"CREATE TABLE {name} (id TEXT)")
        if revision:
            database.execute("CREATE TABLE alembic_version (version_num TEXT)")
            database.execute("INSERT INTO alembic_version VALUES (?)", (revision,))


@pytest.mark.parametrize(
    ("tables", "revision", "words"),
    [
        (("studies", "trials"), "v3.2.0.a", "Optuna's database; MLflow needs one of its own"),
        (("experiments", "runs"), "451aebb31d03", "older MLflow; make a backup, then: mlflow db upgrade"),
        (("experiments", "runs"), "ffffffffffff", "newer MLflow than .*pip install -U mlflow"),
    ],
)
def test_tables_of_others_are_left_as_they_are(uri, tables, revision, words):
    make_tables(*tables, revision=revision)
    before = Path("store.db").read_bytes()
    with pytest.raises(UserError, match=words) as caught:
        connect(uri)
    assert "\n" not in str(caught.value)
    assert Path("store.db").read_bytes() == before
    assert files() == ["store.db"]


def test_a_file_that_is_no_database(uri):
    Path("store.db").write_text("a text that is long enough to be looked at" * 100)
    with pytest.raises(UserError, match="file is not a database"):
        connect(uri)


def test_a_new_store_is_made_whole_beside_what_a_killed_process_left(uri):
    Path("store.db").touch()
    Path("store.db.unfinished-0").write_bytes(b"half")
    client = connect(uri)
    number = client.create_experiment("sample")
    assert files() == ["store.db"]
    with sqlite3.connect("store.db") as database:
        assert database.execute("SELECT name FROM experiments WHERE experiment_id = ?", (number,)).fetchone()
    assert connect(uri).get_experiment(number).name == "sample"


@pytest.mark.long
def test_processes_that_open_a_new_store_together(uri, start_python):
    started = [start_python(CONNECT, uri.replace("store.db", "new/store.db"), number) for number in range(4)]
    ends = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0] * 4, ends
    assert sorted(output.split() for output, _ in ends) == [["1"], ["2"], ["3"], ["4"]]


@pytest.mark.long
def test_a_store_can_be_made_after_a_process_was_killed_while_making_it(uri, start_python):
    for size in (1, 200_000):  # early and late in the migrations
        process = start_python(CONNECT, uri, "killed")
        deadline = time.monotonic() + 120
        while not any(path.stat().st_size >= size for path in Path().glob("store.db.unfinished-*[!l]")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not Path("store.db").exists()
    assert connect(uri).create_experiment("sample")
    assert files() == ["store.db"]


def test_an_experiment_that_another_process_makes_meanwhile_is_taken(uri):
    client = connect(uri)
    look = client.get_experiment_by_name

    def made_after_the_first_look(name):
        client.get_experiment_by_name = look
        client.create_experiment(name)

    client.get_experiment_by_name = made_after_the_first_look
    assert ensure_experiment(client, "sample", None) == look("sample").experiment_id
    with pytest.raises(MlflowException):  # not every refusal is a race that was lost
        ensure_experiment(client, "", None)
