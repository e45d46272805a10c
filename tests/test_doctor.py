"""The doctor on machines with planted faults: each is named with its mend, and nothing is left behind."""

import fcntl
import json
import os
import sqlite3
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from postgres import free_port, running

import benchmark
from benchmark import doctor
from benchmark.checkup import data_sets, environment, folders, machine, packages, stores
from benchmark.checkup.finding import Place, ok
from benchmark.checkup.run import CHECKS, run_checks
from benchmark.checkup.tensorflow_probe import probe

ROOT = Path(benchmark.__file__).parents[1]
HEALTHY = {"gpus": [], "cuda": True, "backend": "tensorflow", "floatx": "float32", "seconds": 4.0}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setattr("benchmark.data.imdb.reachable", lambda *host: False)


def look(check, answer=HEALTHY, **facts):
    """What a check finds, where TensorFlow would say what is given."""
    place = Place(Path("mlruns"), **facts)
    vars(place)["tensorflow"] = answer
    return list(check(place))


def the_problem(findings):
    (found,) = (finding for finding in findings if finding.level == "problem")
    assert found.mend
    assert len(found.message.splitlines()) == 1
    return found


def everything():
    return sorted(str(path) for path in Path().rglob("*"))


def write_package(folder, name, version, *needs):
    info = Path(folder) / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    (info / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {need}" for need in needs), ""]))


def test_planted_faults_are_all_named_with_their_mends():
    """As a user runs it: in a process of its own, TensorFlow imported and all."""
    Path("mlruns").write_text("not a folder")
    Path("studies.db").write_bytes(b"SQLite format 3\0" + b"damaged" * 600)
    write_package("packages", "optuna", "1.0")
    port = free_port()
    words = ["--storage", "sqlite:///studies.db", "--tracking-uri", f"http://me:secret@127.0.0.1:{port}"]
    before = everything()
    done = subprocess.run(
        [sys.executable, "-m", "benchmark.doctor", "--json", *words],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path("packages").resolve()), str(ROOT)]),
            "TF_NUM_INTRAOP_THREADS": "two",
        },
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (1, "")
    answer = json.loads(done.stdout)
    found = {item["check"]: item for item in answer["findings"] if item["level"] == "problem"}
    assert answer["problems"] == len(found)
    assert "optuna 1.0 is installed, but Textbench needs optuna" in found["own requirements"]["message"]
    assert found["own requirements"]["mend"].startswith("pip install -c constraints.txt 'optuna")
    assert "mlruns, where runs are kept, cannot be written: it is a file" in found["runs folder"]["message"]
    assert found["runs folder"]["mend"].startswith("mv ")
    assert "studies.db is damaged or no SQLite database" in found["search store"]["message"]
    assert found["search store"]["mend"].startswith("mv ")
    assert found["threads"]["message"] == "TF_NUM_INTRAOP_THREADS=two is not a whole number"
    assert found["threads"]["mend"].startswith("unset TF_NUM_INTRAOP_THREADS")
    server = found["tracking store"]
    assert server["message"].startswith(f"tracking server http://127.0.0.1:{port} does not answer")
    assert server["mend"].startswith(f"mlflow server --port {port}")
    assert set(found) == {"own requirements", "runs folder", "search store", "threads", "tracking store"}
    assert "secret" not in done.stdout
    assert everything() == before


def test_a_healthy_machine_has_no_problem_and_keeps_nothing(monkeypatch, capsys):
    monkeypatch.setattr("benchmark.checkup.finding.probe", lambda: HEALTHY)
    before = everything()
    assert doctor.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "no problems"
    assert not [line for line in lines if line.startswith("problem")]
    assert everything() == before


def test_wrong_arguments_are_2(capsys):
    assert doctor.main(["--data-dir", "nowhere"]) == 2
    assert capsys.readouterr().err == "error: --data-dir nowhere: there is no such folder\n"
    assert doctor.main(["--jsno"]) == 2


def test_a_check_that_fails_is_a_finding():
    def half_way(place):
        yield ok("begun")
        raise ZeroDivisionError("planted at postgresql://me:secret@host/name")

    first, second = run_checks(Place(Path("mlruns")), [half_way])
    assert (first.check, first.message) == ("half way", "begun")
    assert second.level == "problem"
    assert "ZeroDivisionError: planted" in second.message
    assert "secret" not in second.message


def test_every_check_says_something_on_any_machine(monkeypatch):
    monkeypatch.setattr("benchmark.checkup.finding.probe", lambda: HEALTHY)
    silent = {"their requirements"}  # which has only bad news
    said = {finding.check for finding in run_checks(Place(Path("mlruns")))}
    assert said == {check.__name__.replace("_", " ") for check in CHECKS} - silent


def test_tensorflow_is_asked_once(monkeypatch):
    asked = []

    def answer():
        time.sleep(0.2)
        asked.append(1)
        return HEALTHY

    monkeypatch.setattr("benchmark.checkup.finding.probe", answer)
    run_checks(Place(Path("mlruns")), [environment.tensorflow, environment.combinations, machine.gpus])
    assert len(asked) == 1


# Packages


def test_packages_that_do_not_go_together(tmp_path, monkeypatch):
    assert not look(packages.their_requirements)
    write_package(tmp_path, "scipy", "1.13", "numpy<2", "a-package-that-is-nowhere>=3", 'other; extra == "x"')
    monkeypatch.syspath_prepend(tmp_path)
    first, second = look(packages.their_requirements)
    assert first.message.startswith("numpy 2.")
    assert first.message.endswith(" is installed, but scipy 1.13 needs numpy<2")
    assert (
        second.message
        == "a-package-that-is-nowhere is not installed, but scipy 1.13 needs a-package-that-is-nowhere>=3"
    )


def test_a_package_without_its_files(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == "yaml" else name)
    found = the_problem(look(packages.own_requirements))
    assert found.message.endswith("is on record as installed, but its files are not there")
    assert "PyYAML" in found.mend or "pyyaml" in found.mend


def test_versions_that_were_not_tested(tmp_path, monkeypatch):
    write_package(tmp_path, "tqdm", "4.0")
    monkeypatch.syspath_prepend(tmp_path)
    (found,) = look(packages.tested_versions)
    assert found.level == "note"
    assert "tqdm 4.0 (4." in found.message


def test_another_python(monkeypatch):
    monkeypatch.setattr(packages.platform, "python_version", lambda: "3.10.2")
    assert the_problem(look(packages.python)).message.startswith("Python 3.10.2 is not one of those")


# The environment


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [
        ("OMP_NUM_THREADS", "4,2", "note"),
        ("TF_NUM_INTRAOP_THREADS", "1.5", "problem"),
        ("OMP_NUM_THREADS", "100000", "note"),
        ("OMP_NUM_THREADS", "0", "ok"),
    ],
)
def test_threads(monkeypatch, name, value, level):
    for other in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, value)
    (found,) = look(environment.threads)
    assert found.level == level


def test_known_combinations(monkeypatch):
    assert look(environment.combinations) == [ok("no combination that is known to be bad")]
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    monkeypatch.setattr(environment, "find_spec", lambda name: None if name == "pkg_resources" else name)
    found = look(environment.combinations, {**HEALTHY, "floatx": "float16"})
    assert [finding.level for finding in found] == ["problem", "problem", "note", "problem"]
    assert [finding.mend.split()[0] for finding in found] == ["unset", "set", "unset", "pip"]
    assert found[0].message.startswith("KERAS_BACKEND=jax, but")


@pytest.mark.long
def test_the_floatx_of_keras_is_seen(tmp_path, monkeypatch):
    (tmp_path / "keras.json").write_text('{"floatx": "float16"}')
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert probe()["floatx"] == "float16"


def test_tensorflow_that_hangs_or_breaks(tmp_path, monkeypatch):
    (tmp_path / "tensorflow.py").write_text("raise ImportError('libcudart.so.12: planted')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    # Without this package, beside which TensorFlow may be installed, and found before the planted one.
    monkeypatch.setattr("benchmark.checkup.tensorflow_probe._CODE", "import tensorflow")
    found = the_problem(look(environment.tensorflow, probe()))
    assert found.message.endswith("ImportError: libcudart.so.12: planted")
    (tmp_path / "tensorflow.py").write_text("import time; time.sleep(60)")
    started = time.monotonic()
    assert the_problem(look(environment.tensorflow, probe(1))).message.endswith("not been imported after 1 s")
    assert time.monotonic() - started < 20


# The machine


def test_a_quota_of_time_and_little_memory(monkeypatch):
    monkeypatch.setattr(machine, "visible_cores", lambda: 16)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    monkeypatch.setattr(machine, "cpu_quota", lambda: 1.5)
    (found,) = look(machine.processors)
    assert found.level == "ok"
    assert found.message == "2 of 16 cores are used, since the control group allows the time of 1.5"
    monkeypatch.setattr(machine, "memory_limit", lambda: 3 << 30)
    monkeypatch.setattr(machine, "memory_used", lambda: 2 << 30)
    (found,) = look(machine.memory)
    assert found.level == "note"
    assert found.message.startswith("1.0 of 3.0 GiB of memory are free")


@pytest.mark.parametrize(
    ("there", "seen", "hidden", "device", "level", "says"),
    [
        ([], [], None, "auto", "ok", "no GPU"),
        ([], [], None, "gpu", "problem", "there is no GPU here"),
        (["H200"], ["/gpu:0"], None, "gpu", "ok", "TensorFlow sees 1 GPU: H200"),
        (["H200"], [], None, "auto", "note", "TensorFlow does not see it"),
        (["H200"], [], "", "gpu", "problem", "CUDA_VISIBLE_DEVICES='' hides H200"),
        (["H200"], [], "-1", "auto", "note", "CUDA_VISIBLE_DEVICES='-1' hides H200"),
    ],
)
def test_gpus(monkeypatch, there, seen, hidden, device, level, says):
    monkeypatch.setattr(machine, "nvidia_gpus", lambda: there)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    (found,) = look(machine.gpus, {**HEALTHY, "gpus": seen}, device=device)
    assert found.level == level
    assert says in found.message


def test_the_driver_tells_of_gpus(tmp_path, monkeypatch):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'NVIDIA H200, 143771 MiB'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert machine.nvidia_gpus() == ["NVIDIA H200, 143771 MiB"]


def test_a_clock_that_is_behind(monkeypatch):
    now = time.time
    monkeypatch.setattr(machine.time, "time", lambda: 1e9)
    assert "the clock says 2001-09-09" in the_problem(look(machine.clock)).message
    monkeypatch.setattr(machine.time, "time", lambda: now() + 3600)
    (found,) = look(machine.clock)
    assert found.level == "note"
    assert "s before the time of this machine" in found.message


# Folders


def test_folders_that_cannot_be_made(monkeypatch):
    Path("file").touch()
    monkeypatch.setenv("BENCHMARK_CACHE_DIR", "file/cache")
    found = the_problem(look(folders.cache_folder))
    assert found.message.endswith("/file is a file")
    assert found.mend.startswith("export BENCHMARK_CACHE_DIR=")


def test_results_that_wait_to_be_delivered():
    Path("mlruns/spool/x").mkdir(parents=True)
    Path("mlruns/spool/x/1.json").touch()
    _, found = look(folders.runs_folder)
    assert (found.level, found.mend) == ("note", "python -m benchmark.sync")


def test_locks_that_have_no_effect(monkeypatch):
    assert {finding.level for finding in look(folders.file_locks)} == {"ok"}
    before = everything()
    monkeypatch.setattr(fcntl, "flock", lambda descriptor, how: None)
    found = look(folders.file_locks)
    assert {finding.level for finding in found} == {"problem"}
    assert "two sweeps could do the same runs" in found[0].message
    assert everything() == before


def test_a_full_disk(monkeypatch):
    usage = type("usage", (), {"free": 10_000_000})
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda folder: usage)
    assert "only 0.0 GB are free" in look(folders.room)[0].message
    assert look(folders.room)[0].level == "problem"


# Stores


def test_a_store_that_is_whole_and_one_that_is_damaged(uri):
    file = Path("mlruns/mlflow.db")
    before = file.read_bytes()
    assert [finding.level for finding in look(stores.tracking_store)] == ["ok"]
    assert file.read_bytes() == before
    content = bytearray(before)
    content[4096:8192] = bytes(4096)
    file.write_bytes(content)
    assert "mlflow.db is damaged" in the_problem(look(stores.tracking_store)).message
    assert sorted(path.name for path in Path("mlruns").glob("mlflow*")) == ["mlflow.db"]


@pytest.mark.parametrize(
    ("revision", "says", "mend"),
    [
        ("451aebb31d03", "those of an older MLflow than", "mlflow db upgrade sqlite:///"),  # of 2019
        ("0123456789ab", "those of a newer MLflow than", "pip install -U mlflow"),
    ],
)
def test_tables_of_another_version(uri, revision, says, mend):
    with sqlite3.connect("mlruns/mlflow.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
    connection.close()
    found = the_problem(look(stores.tracking_store))
    assert says in found.message
    assert mend in found.mend


def test_one_database_for_both(uri):
    found = the_problem(look(stores.search_store, storage=uri))
    assert "is the database of MLflow; Optuna needs one of its own" in found.message


def test_a_store_that_is_being_written(uri):
    connection = sqlite3.connect("mlruns/mlflow.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    (found,) = look(stores.tracking_store)
    assert (found.level, found.mend) == ("note", "wait for it")
    connection.close()


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"tracking_uri": "mlruns"}, "MLflow no longer keeps runs in plain folders"),
        ({"tracking_uri": "postgresql://me:a@b@host/name"}, "characters such as @"),
    ],
)
def test_addresses_that_are_none(facts, says):
    assert says in the_problem(look(stores.tracking_store, **facts)).message


@pytest.mark.parametrize(
    ("version", "level", "says"),
    [
        ("3.0.1", "ok", "answers (MLflow 3.0.1)"),
        ("2.9.2", "note", "is MLflow 2.9.2, and here is"),
        ("<html>", "note", "does not say that it is MLflow"),
    ],
)
def test_servers(version, level, says):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"OK" if self.path == "/health" else version.encode())

        def log_message(self, *words):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        (found,) = look(stores.tracking_store, tracking_uri=f"http://127.0.0.1:{server.server_port}/")
    finally:
        server.shutdown()
        server.server_close()
    assert found.level == level
    assert says in found.message


def test_a_database_server_that_does_not_answer():
    found = the_problem(
        look(stores.search_store, storage=f"postgresql://me:secret@127.0.0.1:{free_port()}/name")
    )
    assert found.mend == "start the server, or mend host and port"
    assert "secret" not in found.message


@pytest.mark.long
def test_a_database_that_may_be_read_only():
    with running() as server:
        url = server.url("searches")
        assert [finding.level for finding in look(stores.search_store, storage=url)] == ["ok"]
        assert server.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "searches") == "0"
        server.ask("ALTER DATABASE searches SET default_transaction_read_only = on")
        found = the_problem(look(stores.search_store, storage=url))
        assert "cannot be written" in found.message


# Data


def test_data_sets_tell_how_they_can_be_had(own_cache, tmp_path, monkeypatch):
    (tmp_path / "data" / "keras").mkdir(parents=True)
    for name in ("imdb.npz", "imdb_word_index.json"):
        (tmp_path / "data" / "keras" / name).touch()
    found = look(data_sets.data_sets, data_dir=str(tmp_path / "data"))
    told = {finding.message.split("'")[1]: finding for finding in found}
    assert "can be read from this machine" in told["imdb-int"].message
    assert "can be read from this machine" in told["sample"].message
    for name in ("imdb", "stack-overflow"):
        assert told[name].level == "note"
        assert told[name].message.endswith("is not on this machine, and there is no network")
    monkeypatch.setattr("benchmark.data.imdb.reachable", lambda *host: True)
    told = {finding.message.split("'")[1]: finding for finding in look(data_sets.data_sets)}
    assert "would be fetched" in told["imdb"].message
    assert told["imdb-int"].level == "note"


def test_a_prepared_data_set_and_a_folder_that_is_gone(sample, monkeypatch):
    assert ok("data set 'sample' is prepared") in look(data_sets.data_sets)
    monkeypatch.setenv("BENCHMARK_DATA_DIR", "gone")
    assert (
        the_problem(look(data_sets.data_folder)).message == "BENCHMARK_DATA_DIR gone: there is no such folder"
    )
