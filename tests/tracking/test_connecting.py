"""Opening a store: new ones are made once and whole, those of others are left as they are."""

import signal
import sqlite3
import time
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from benchmark.support.databases import parse, sqlite_file, sqlite_path, sqlite_uri
from benchmark.support.errors import UserError
from benchmark.tracking import names
from benchmark.tracking.delivery import ensure_experiment
from benchmark.tracking.runs import artifact_folder
from benchmark.tracking.spool import store_name
from benchmark.tracking.store import (
    StoreClient,
    connect,
    default_artifacts,
    ensure_runs_folder,
    resolve_uri,
)

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
        (("studies", "trials"), "v3.2.0.a", "Optuna's database; MLflow needs a separate one"),
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


@pytest.mark.long
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
def test_a_store_can_be_made_after_a_process_was_killed_while_making_it(
    uri, start_python, tmp_path_factory, monkeypatch
):
    # Without a cache there is no copy of the tables, and the migrations take seconds.
    no_folder = tmp_path_factory.mktemp("cache") / "file"
    no_folder.write_text("")
    monkeypatch.setenv("BENCHMARK_CACHE_DIR", str(no_folder))
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


@pytest.mark.parametrize(
    "name",
    [
        "why?",
        "why?mode=ro",
        "100%",
        "a%20b",
        "%3F",
        "a#b",
        "a b&c",
        "it's",
        'q"q',
        "ünï漢",
        "new\nline",
        "a;b",
        "a:b@c",
    ],
)
def test_a_folder_of_any_name_keeps_its_database(tmp_path, name):
    file = tmp_path / name / "mlruns" / "mlflow.db"
    assert sqlite_path(sqlite_uri(file)) == sqlite_file(parse(sqlite_uri(file))) == file


def test_a_name_that_no_url_has_is_refused(tmp_path):
    with pytest.raises(UserError, match="plainer name"):
        sqlite_uri(tmp_path / "\udcff" / "mlflow.db")


def test_runs_in_a_folder_with_a_question_mark(tmp_path, monkeypatch):
    folder = tmp_path / "why? %20" / "here"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    ensure_runs_folder(Path("mlruns"))
    uri = resolve_uri(None, Path("mlruns"))
    client = connect(uri)
    experiment = ensure_experiment(client, "sample", default_artifacts(uri, Path("mlruns"), "sample"))
    assert client.get_experiment(experiment).tags[names.EXPERIMENT_KIND] == names.MODEL_DEVELOPMENT
    run_id = client.create_run(experiment).info.run_id
    client.log_text(run_id, "hello", "note.txt")
    assert artifact_folder(StoreClient(uri), run_id) == folder / f"mlruns/artifacts/sample/{run_id}/artifacts"
    assert Path(client.download_artifacts(run_id, "note.txt")).read_text() == "hello"
    assert Path("mlruns/mlflow.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["why? %20"]
    assert store_name(uri, Path("mlruns")) == "sqlite:///mlruns/mlflow.db"


@pytest.mark.parametrize("url", ["sqlite:////tmp/why?/store.db", "sqlite:////tmp/a?mode=ro/store.db"])
def test_a_url_that_loses_the_rest_of_its_path_is_refused(url):
    with pytest.raises(UserError, match="%3F"):
        parse(url)
    with pytest.raises(UserError, match="%3F"):
        StoreClient(url)
