"""The doctor on machines with planted faults: each is named with its fix, and nothing is left behind."""

import fcntl
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from postgres import free_port, running

import benchmark
from benchmark import doctor
from benchmark.checks import Setup, all_checks, machine, ok, run_checks, stores
from benchmark.support import databases
from benchmark.support.errors import UserError
from benchmark.training import devices

ROOT = Path(benchmark.__file__).parents[1]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setattr("benchmark.data.tfds_source.reachable", lambda *host: False)


@pytest.fixture
def tensorflow(monkeypatch):
    """Let TensorFlow say what is given, instead of being imported."""

    def says(device="cpu", floatx="float32"):
        monkeypatch.setattr(machine, "probe", lambda asked: [floatx, device])

    says()
    return says


def look(check, **options):
    """What a check finds."""
    return run_checks(Setup(Path("mlruns"), **options), [check])


def the_problem(findings):
    (found,) = (finding for finding in findings if finding.level == "problem")
    assert found.fix
    assert len(found.message.splitlines()) == 1
    return found


def everything():
    return sorted(str(path) for path in Path().rglob("*"))


def write_package(folder, name, version):
    info = Path(folder) / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.mark.long
def test_planted_faults_are_all_named_with_their_fixes():
    """As a user runs it: in a separate process, TensorFlow imported and all."""
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
    assert set(found) == {"packages", "runs folder", "search store", "processors", "tracking store"}
    assert all(item["fix"] for item in found.values())
    assert "optuna 1.0 is installed, but Textbench needs optuna" in found["packages"]["message"]
    assert found["packages"]["fix"].startswith("pip install -c constraints.txt 'optuna")
    assert "mlruns" in found["runs folder"]["message"]
    assert "studies.db" in found["search store"]["message"]
    assert "move it away" in found["search store"]["fix"]
    assert "TF_NUM_INTRAOP_THREADS=two" in found["processors"]["message"]
    assert f"http://127.0.0.1:{port} does not answer" in found["tracking store"]["message"]
    assert found["tracking store"]["fix"].startswith("start it")
    assert "secret" not in done.stdout
    assert everything() == before


def test_a_healthy_machine_has_no_problem_and_keeps_nothing(tensorflow, capsys):
    before = everything()
    assert doctor.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "no problems"
    assert not [line for line in lines if line.startswith("problem")]
    assert everything() == before


def test_wrong_arguments_are_2(capsys):
    assert doctor.main(["--data-dir", "nowhere"]) == 2
    assert "--data-dir nowhere" in capsys.readouterr().err
    assert doctor.main(["--jsno"]) == 2


def test_a_check_that_fails_is_a_finding():
    def half_way(setup):
        yield ok("started")
        raise ZeroDivisionError("planted at postgresql://me:secret@host/name")

    first, second = look(half_way)
    assert (first.check, first.message) == ("half way", "started")
    assert second.level == "problem"
    assert "ZeroDivisionError: planted" in second.message
    assert "secret" not in second.message


def test_a_check_that_hangs_is_a_finding():
    def hangs(setup):
        time.sleep(60)
        yield ok("at last")

    started = time.monotonic()
    hung, fine = run_checks(Setup(Path("mlruns")), [hangs, machine.memory], limit=0.2)
    assert time.monotonic() - started < 20
    assert (hung.check, hung.level) == ("hangs", "problem")
    assert fine.check == "memory"


def test_every_check_says_something_on_any_machine(tensorflow):
    said = {finding.check for finding in run_checks(Setup(Path("mlruns")))}
    assert said == {check.__name__.replace("_", " ") for check in all_checks()}


# The machine


def test_a_different_python(monkeypatch):
    monkeypatch.setattr(machine.platform, "python_version", lambda: "3.10.2")
    assert "Python 3.10.2" in the_problem(look(machine.packages)).message


@pytest.mark.parametrize(
    "group", ["", "pod/container", "pod"]
)  # of the limit; the process is in the middle one
@pytest.mark.parametrize(
    ("line", "folder", "names", "unlimited"),
    [
        ("4:cpu,memory:", "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes"), 9223372036854771712),
        ("0::", ".", ("memory.max", "memory.current"), "max"),
    ],
)
def test_a_container_with_little_memory(tmp_path, monkeypatch, line, folder, names, unlimited, group):
    monkeypatch.setattr(devices, "_CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(devices, "_MEMBERSHIP", tmp_path / "cgroup")
    (tmp_path / "cgroup").write_text(f"9:name=systemd:/elsewhere\n{line}/pod/container\n")
    place = tmp_path / folder / group
    place.mkdir(parents=True, exist_ok=True)
    limit, taken = (place / name for name in names)
    limit.write_text(f"{unlimited}\n")
    taken.write_text(f"{2 << 30}\n")
    assert not any("only 1.0 GiB" in finding.message for finding in look(machine.memory))
    limit.write_text(f"{3 << 30}\n")
    (found,) = look(machine.memory)
    assert (found.level, "only 1.0 GiB" in found.message) == ("note", True)


@pytest.mark.parametrize("there", [True, False])
def test_without_control_groups_the_memory_is_that_of_the_machine(tmp_path, monkeypatch, there):
    monkeypatch.setattr(devices, "_CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(devices, "_MEMBERSHIP", tmp_path / "cgroup")
    if there:
        (tmp_path / "cgroup").write_text("0::/\n")
    free = psutil.virtual_memory()._replace(available=5 << 30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    assert [finding.message for finding in look(machine.memory)] == ["5.0 GiB of memory are free"]


def test_settings_of_keras_that_change_results(tensorflow, monkeypatch):
    tensorflow(floatx="float16")
    assert "float16" in the_problem(look(machine.device)).message
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    found = the_problem(look(machine.device))
    assert ("KERAS_BACKEND=jax" in found.message, found.fix) == (True, "unset KERAS_BACKEND")


@pytest.mark.long
def test_the_floatx_of_keras_is_seen(tmp_path, monkeypatch):
    (tmp_path / "keras.json").write_text('{"floatx": "float16"}')
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert machine.probe("cpu") == ["float16", "cpu"]


def test_tensorflow_that_hangs_or_breaks(tmp_path, monkeypatch):
    (tmp_path / "keras.py").write_text("raise ImportError('libcudart.so.12: planted')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    assert "ImportError: libcudart.so.12: planted" in the_problem(look(machine.device)).message
    (tmp_path / "keras.py").write_text("import time; time.sleep(60)")
    started = time.monotonic()
    with pytest.raises(UserError, match="no answer after 1 s"):
        machine.probe("cpu", 1)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("there", "used", "device", "level", "says"),
    [
        ([], "cpu", "auto", "ok", "cpu"),
        (["H200"], "NVIDIA H200", "gpu", "ok", "NVIDIA H200"),
        (["H200"], "cpu", "auto", "note", "H200 is here, but TensorFlow does not see it"),
        (["H200"], "cpu", "cpu", "ok", "cpu"),
    ],
)
def test_gpus(tensorflow, monkeypatch, there, used, device, level, says):
    monkeypatch.setattr(machine, "nvidia_smi", lambda *words: there)
    tensorflow(used)
    (found,) = look(machine.device, device=device)
    assert found.level == level
    assert says in found.message


@pytest.mark.long
def test_a_gpu_that_is_asked_for_and_not_there(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert "--device gpu" in the_problem(look(machine.device, device="gpu")).message


# Folders


def test_folders_that_cannot_be_made(monkeypatch):
    Path("file").touch()
    monkeypatch.setenv("BENCHMARK_CACHE_DIR", "file/cache")
    found = the_problem(look(stores.cache_folder))
    assert "file/cache" in found.message
    assert "BENCHMARK_CACHE_DIR" in found.fix


def test_locks_that_have_no_effect(monkeypatch):
    assert {finding.level for finding in look(stores.file_locks)} == {"ok"}
    before = everything()
    monkeypatch.setattr(fcntl, "flock", lambda descriptor, how: None)
    found = look(stores.file_locks)
    assert {finding.level for finding in found} == {"problem"}
    assert str(Path().resolve()) in found[1].message
    assert everything() == before


def test_a_full_disk(monkeypatch):
    usage = type("usage", (), {"free": 10_000_000})
    monkeypatch.setattr(stores.shutil, "disk_usage", lambda folder: usage)
    found = look(stores.room)[0]
    assert (found.level, "only 0.0 GB" in found.message) == ("problem", True)


def test_a_damaged_ledger():
    Path("mlruns").mkdir()
    Path("mlruns/ledger.jsonl").write_text("this is not an entry\n")
    assert "ledger.jsonl" in the_problem(look(stores.runs_folder)).message


# Stores


@pytest.mark.long
def test_a_store_that_is_whole_and_one_that_is_damaged(uri):
    file = Path("mlruns/mlflow.db")
    before = file.read_bytes()
    assert [finding.level for finding in look(stores.tracking_store)] == ["ok"]
    assert [finding.level for finding in look(stores.search_store, storage="sqlite:///new.db")] == ["ok"]
    assert file.read_bytes() == before
    content = bytearray(before)
    content[4096:8192] = bytes(4096)
    file.write_bytes(content)
    assert "mlflow.db" in the_problem(look(stores.tracking_store)).message
    assert sorted(path.name for path in Path("mlruns").glob("mlflow*")) == ["mlflow.db"]
    assert not Path("new.db").exists()


@pytest.mark.parametrize(
    ("revision", "says", "fix"),
    [
        ("451aebb31d03", "those of an older MLflow", "mlflow db upgrade"),  # of 2019
        ("0123456789ab", "those of a newer MLflow than", "pip install -U mlflow"),
    ],
)
def test_tables_of_a_different_version(uri, revision, says, fix):
    with sqlite3.connect("mlruns/mlflow.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
    connection.close()
    found = the_problem(look(stores.tracking_store))
    assert says in found.message
    assert fix in found.fix


def test_one_database_for_both(uri):
    found = the_problem(look(stores.search_store, storage=uri))
    assert "MLflow's database" in found.message
    assert "different database" in found.fix


def test_a_store_that_is_being_written(uri, monkeypatch):
    monkeypatch.setattr(databases, "_LOCKED_SECONDS", 0.1)
    connection = sqlite3.connect("mlruns/mlflow.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    assert the_problem(look(stores.tracking_store)).fix == "wait for it"
    connection.close()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tracking_uri": "mlruns"}, "MLflow no longer keeps runs in plain folders"),
        ({"tracking_uri": "postgresql://me:a@b@host/name"}, "characters such as @"),
    ],
)
def test_addresses_that_are_none(options, says):
    assert says in the_problem(look(stores.tracking_store, **options)).message


@pytest.mark.long
def test_a_server_that_is_not_mlflow():
    command = [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            port = server.stdout.readline().split("port ")[1].split()[0]
            found = the_problem(look(stores.tracking_store, tracking_uri=f"http://127.0.0.1:{port}"))
        finally:
            server.kill()
    assert f"127.0.0.1:{port} cannot be used" in found.message


def test_a_database_server_that_does_not_answer():
    url = f"postgresql://me:secret@127.0.0.1:{free_port()}/name"
    found = the_problem(look(stores.search_store, storage=url))
    assert found.fix == "start the server, or correct host and port"
    assert "secret" not in found.message


@pytest.mark.long
def test_a_database_that_may_be_read_only():
    with running() as server:
        url = server.url("searches")
        for check, option in ((stores.search_store, "storage"), (stores.tracking_store, "tracking_uri")):
            (found,) = look(check, **{option: url})
            assert (found.level, "is empty" in found.message) == ("ok", True)
        assert server.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "searches") == "0"
        server.ask("ALTER DATABASE searches SET default_transaction_read_only = on")
        found = the_problem(look(stores.search_store, storage=url))
        assert "read-only" in found.message
        assert "writable" in found.fix


# Data


def test_data_sets_tell_where_they_come_from(own_cache, tmp_path, monkeypatch):
    (tmp_path / "data" / "keras").mkdir(parents=True)
    for name in ("imdb.npz", "imdb_word_index.json"):
        (tmp_path / "data" / "keras" / name).touch()
    found = look(stores.data_sets, data_dir=str(tmp_path / "data"))
    told = {finding.message.split("'")[1]: finding for finding in found}
    assert "can be read from this machine" in told["imdb-int"].message
    assert "can be read from this machine" in told["sample"].message
    for name in ("imdb", "stack-overflow"):
        assert told[name].level == "note"
        assert told[name].message.endswith("is not on this machine, and there is no network")
    monkeypatch.delenv("BENCHMARK_DATA_DIR")
    monkeypatch.setattr("benchmark.data.tfds_source.reachable", lambda *host: True)
    told = {finding.message.split("'")[1]: finding for finding in look(stores.data_sets)}
    assert "would be fetched" in told["imdb"].message
    assert told["imdb-int"].level == "note"


def test_a_prepared_data_set_and_a_folder_that_is_gone(sample, monkeypatch):
    assert "data set 'sample' is prepared" in [finding.message for finding in look(stores.data_sets)]
    monkeypatch.setenv("BENCHMARK_DATA_DIR", "gone")
    assert "BENCHMARK_DATA_DIR gone" in the_problem(look(stores.data_sets)).message


def test_a_damaged_space(tmp_path, monkeypatch):
    (tmp_path / "lstm.yaml").write_text("model: lstm\nunitz: 3\n")
    monkeypatch.setattr("benchmark.plan.run_specs.find_space", lambda name: tmp_path / "lstm.yaml")
    assert "lstm.yaml, line 2" in the_problem(look(stores.spaces)).message
