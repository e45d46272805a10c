"""Optuna's storage: what it may be, and what happens while it is away."""

import sqlite3
import threading
from importlib.util import find_spec
from pathlib import Path

import optuna
import pytest
from postgres import running
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from benchmark.search.storage import open_storage, patiently
from benchmark.support.databases import driver_url, engine_url, parse, reason
from benchmark.support.errors import Unfinished, UserError


@pytest.fixture(scope="module")
def server():
    with running() as server:
        yield server


def test_without_a_url_it_is_the_journal(tmp_path):
    study = optuna.create_study(storage=open_storage(None, tmp_path / "a.journal"), study_name="a")
    study.ask()
    assert (
        len(optuna.load_study(storage=open_storage(None, tmp_path / "a.journal"), study_name="a").trials) == 1
    )


def test_a_sqlite_file(tmp_path):
    optuna.create_study(storage=open_storage("sqlite:///with space.db", Path()), study_name="a")
    assert [path.name for path in tmp_path.iterdir()] == ["with space.db"]  # no lock is left


def test_the_database_of_mlflow_is_left_alone():
    with sqlite3.connect("mlflow.db") as database:
        database.executescript("CREATE TABLE experiments (id TEXT); CREATE TABLE runs (id TEXT)")
    before = Path("mlflow.db").read_bytes()
    with pytest.raises(UserError, match="MLflow's database; Optuna needs one of its own"):
        open_storage("sqlite:///mlflow.db", Path())
    assert Path("mlflow.db").read_bytes() == before


def test_a_file_that_is_no_database():
    Path("text.db").write_text("this is a text, and quite a long one" * 100)
    with pytest.raises(UserError, match="file is not a database"):
        open_storage("sqlite:///text.db", Path())


@pytest.mark.skipif(find_spec("psycopg") is None, reason="psycopg is not installed")
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://host/name", "postgresql+psycopg://host/name"),
        ("postgresql://me:pw@host:1/name?x=1", "postgresql+psycopg://me:pw@host:1/name?x=1"),
        ("postgresql+pg8000://host/name", "postgresql+pg8000://host/name"),
        ("sqlite:///file.db", "sqlite:///file.db"),
        ("http://host", "http://host"),
    ],
)
def test_postgresql_gets_the_driver_that_is_there(url, expected):
    assert driver_url(url) == expected


def test_a_lost_connection_is_noticed_unless_the_url_says_otherwise():
    query = parse(engine_url("postgresql://host/name?connect_timeout=3")).query
    assert query["connect_timeout"] == "3"
    assert query["tcp_user_timeout"] == "30000"
    assert engine_url("sqlite:////a path/x.db") == "sqlite:////a path/x.db"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret/name",
        "postgresql://me:se@secret@host/name",
        "postgresql://me:se@secret/x@host/name",
        "me:secret@host/name",
    ],
)
def test_a_misspelt_url_does_not_show_its_password(url):
    with pytest.raises(UserError) as caught:
        open_storage(url, Path())
    assert str(caught.value).startswith("`storage`: ")
    assert "secret" not in str(caught.value)
    assert "me:" not in str(caught.value)


def test_a_missing_driver_says_how_to_install_one():
    assert "textbench[postgres]" in reason(ModuleNotFoundError("No module named 'psycopg'"))


def test_a_locked_database_is_waited_for():
    create = create_engine("sqlite:///locked.db", connect_args={"timeout": 0})
    with create.begin() as connection:
        connection.execute(text("CREATE TABLE numbers (number INTEGER)"))
    holder = sqlite3.connect("locked.db", check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")

    def write():
        with create.begin() as connection:
            return connection.execute(text("INSERT INTO numbers VALUES (1)")).rowcount

    with pytest.raises(Unfinished, match=r"away for 0 s \(database is locked.*same command") as caught:
        patiently(write, seconds=0)
    assert "\n" not in str(caught.value)
    timer = threading.Timer(0.5, holder.rollback)
    timer.start()
    assert patiently(write) == 1
    timer.join()
    holder.close()


def test_a_mistake_is_not_repeated():
    asked = []

    def question():
        asked.append(1)
        with create_engine("sqlite:///").connect() as connection:
            connection.execute(text("SELECT * FROM missing"))

    with pytest.raises(OperationalError, match="no such table"):
        patiently(question)
    assert len(asked) == 1


@pytest.mark.long
def test_four_that_open_a_new_database_together(server):
    url, opened = server.url("fresh"), []
    threads = [threading.Thread(target=lambda: opened.append(open_storage(url, Path()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    for storage in opened:
        optuna.create_study(storage=storage, study_name="a", load_if_exists=True).ask()
    assert len(optuna.load_study(storage=opened[0], study_name="a").trials) == 4


@pytest.mark.long
def test_a_study_goes_on_when_the_server_comes_back(server):
    storage = open_storage(server.url("restarted", scheme="postgres"), Path())
    study = optuna.create_study(storage=storage, study_name="a")
    study.ask()
    server.stop()
    with pytest.raises(Unfinished, match="the database has been away for 1 s") as caught:
        patiently(study.ask, seconds=1)
    assert "s3cret" not in str(caught.value)
    timer = threading.Timer(2, server.start)
    timer.start()
    assert patiently(study.ask).number == 1
    timer.join()


@pytest.mark.long
def test_a_user_who_may_not_make_tables_is_told_so(server):
    url = server.url("locked up")
    server.ask("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    with pytest.raises(UserError, match="make the user the owner"):
        open_storage(url.replace(url.partition("//")[2].partition("@")[0], "guest:guest"), Path())


@pytest.mark.long
def test_the_password_may_come_from_the_environment(server, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "s3cret/p@ss")
    study = optuna.create_study(storage=open_storage(server.url("quiet", credentials=False), Path()))
    assert study.trials == []
