"""Fixtures of all tests: no test sees the user's files, settings or data unless it asks for them."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from benchmark.data.prepare import prepare
from benchmark.data.source import Row, SourceOptions, get_source

ROOT = Path(__file__).resolve().parents[1]
# Taken before any fixture unsets it; absolute, since every test runs in a separate folder.
_GIVEN = os.environ.get("BENCHMARK_DATA_DIR")
_REAL_DATA = Path(_GIVEN).resolve() if _GIVEN else ROOT.parent / "shared" / "data"
# Two workers on two cores: each may use one, or they get in each other's way.
if "PYTEST_XDIST_WORKER" in os.environ:
    for _name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(_name, "1")

pytest_plugins = ("tfds_folders", "tiny_encoders")

# The longest first, so that two processes end at about the same time; together with --no-loadscope-reorder.
_LONGEST = (
    "test_fuzz.py",
    "test_real_board.py",
    "test_reproduce_real.py",
    "test_engines.py",
    "test_chaos.py",
    "test_workers.py",
    "test_postgres.py",
)


def pytest_collection_modifyitems(items):
    """Sort the tests of the longest files to the front."""
    items.sort(
        key=lambda item: _LONGEST.index(item.path.name) if item.path.name in _LONGEST else len(_LONGEST)
    )


_UNSET = ("BENCHMARK_DATA_DIR", "MLFLOW_TRACKING_URI")


@pytest.fixture(scope="session", autouse=True)
def _hermetic_session(tmp_path_factory):
    """Keep the cache in a folder of this session, and TensorFlow Datasets' own folder empty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCHMARK_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("TFDS_DATA_DIR", str(tmp_path_factory.mktemp("tensorflow_datasets")))
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hugging-face")))
        for name in _UNSET:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def _hermetic(tmp_path, monkeypatch):
    """Run in an empty folder, without what an earlier test may have left in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in _UNSET:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def sample(_hermetic_session):
    """The built-in data set, prepared once a session."""
    return prepare(get_source("sample", SourceOptions()))


SWEEP = ("--model", "majority", "--model", "avg-pool", "--dataset", "sample")
SWEEP += ("--trials", "2", "--seeds", "3", "--epochs", "2")
PIPELINE = ("--model", "tfidf-logreg", "--dataset", "sample", "--trials", "1", "--seeds", "3")


@pytest.fixture(scope="session")
def finished_sweep(_hermetic_session, sample, tmp_path_factory) -> Path:
    """A folder in which `PIPELINE` and `SWEEP` were run, and printed.txt: what the second printed.

    It is made once for all processes, and each test may look into it with commands. Their locks come and go
    there, so a copy is taken of a second folder, in which nobody stands.

    Who changes it takes a copy.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished-sweep"
    with FileLock(f"{folder}.lock"):
        if not _untouched(folder).exists():
            folder.mkdir()
            from benchmark import sweep

            with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as printed:
                patch.chdir(folder)
                assert sweep.main([*PIPELINE]) == 0
                printed.truncate(printed.seek(0))
                assert sweep.main([*SWEEP]) == 0
            (folder / "printed.txt").write_text(printed.getvalue())
            shutil.copytree(folder, _untouched(folder))
    return folder


@pytest.fixture
def copied_sweep(finished_sweep, tmp_path) -> Path:
    """A copy of that folder, in which the test stands."""
    copy_sweep(finished_sweep, tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def exported_sweep(finished_sweep, tmp_path_factory) -> Path:
    """The results file of the finished sweep, in a folder that is a copy of it."""
    folder = tmp_path_factory.mktemp("exported")
    copy_sweep(finished_sweep, folder)
    from benchmark import results

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert results.main(["export", "--dataset", "sample", "--output", "results.zip"]) == 0
    return folder / "results.zip"


def copy_sweep(finished, folder):
    """Make a folder a copy of the finished sweep."""
    shutil.copytree(_untouched(finished), folder, dirs_exist_ok=True)


def _untouched(finished):
    return finished.with_name(f"{finished.name}-untouched")


class ThreeClasses:
    """Texts of three classes that any model can learn: one word of nine tells, always the seventh."""

    name = "three"
    class_names = ("tea", "coffee", "water")
    validation_share = 0.2
    home = "made by a test"

    def key(self):
        return "three v1"

    def rows(self):
        generator = np.random.default_rng(0)
        filler = [f"word{number}" for number in range(50)]
        for split, size in (("train", 400), ("test", 100)):
            for number in range(size):
                label = number % 3
                words = [*generator.choice(filler, 6), self.class_names[label], *generator.choice(filler, 2)]
                yield Row(split, " ".join(words), label)


@pytest.fixture(scope="session")
def three_classes(_hermetic_session):
    """A data set of three classes that any model can learn, prepared once a session."""
    return prepare(ThreeClasses())


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, for tests marked ``imdb``."""
    if not _REAL_DATA.is_dir():
        pytest.skip(f"no real data: there is no folder {_REAL_DATA}; name it with BENCHMARK_DATA_DIR")
    return _REAL_DATA


@pytest.fixture
def own_cache(tmp_path, monkeypatch) -> Path:
    """An empty cache folder for this test alone."""
    folder = tmp_path / "own-cache"
    monkeypatch.setenv("BENCHMARK_CACHE_DIR", str(folder))
    return folder


@dataclass
class RowsSource:
    """A source made of rows in memory, each (split, text, label)."""

    content: Sequence[tuple[str, str, int]]
    name: str = "tiny"
    class_names: tuple[str, ...] = ("neg", "pos")
    validation_share: float = 0.2
    home: str = "made by a test"
    reads: int = field(default=0, init=False)

    def key(self) -> str:
        facts = (list(self.content), self.class_names, self.validation_share)
        return hashlib.sha256(repr(facts).encode("utf-8", "surrogatepass")).hexdigest()

    def rows(self) -> Iterator[Row]:
        self.reads += 1
        for split, text, label in self.content:
            yield Row(split, text, label)


@pytest.fixture
def make_source() -> type[RowsSource]:
    """``make_source(rows, class_names=…, validation_share=…)`` gives a source for `prepare`."""
    return RowsSource


@pytest.fixture
def start_python():
    """``start_python(code, *arguments)`` starts another Python on this package, as a `Popen`."""
    started = []

    def start(code: str, *arguments: object, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": path},
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run_python(start_python):
    """``run_python(code, *arguments)`` runs another Python to its end and returns what it printed."""

    def run(code: str, *arguments: object) -> str:
        process = start_python(code, *arguments)
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        return output

    return run


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A store without runs; MLflow takes seconds to make one."""
    from benchmark.tracking.store import connect

    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    connect(f"sqlite:///{path}")
    return path


@pytest.fixture
def uri(empty_database):
    """Address of this test's embedded store."""
    from benchmark.tracking.store import ensure_runs_folder, resolve_uri

    runs = Path("mlruns")
    ensure_runs_folder(runs)
    shutil.copy(empty_database, runs / "mlflow.db")
    return resolve_uri(None, runs)
