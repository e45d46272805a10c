"""Nothing from outside is run or believed, names stay in their folders, and passwords stay secret."""

import ast
import gzip
import json
import os
import re
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
import zipfile
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import psutil
import pytest

import benchmark
from benchmark import cli, sweep
from benchmark.data import archive as archives
from benchmark.data import vectors
from benchmark.data.archive import download, unpack
from benchmark.data.prepare import cached, find_prepared, prepare
from benchmark.errors import UserError
from benchmark.models.describe import describe
from benchmark.search.folders import spaces_folder
from benchmark.tracking.store import connect, ensure_runs_folder

PACKAGE = Path(benchmark.__file__).parent
SECRET = "planted-secret"

# What may stand in the package, and why.
ALLOWED = {
    ("data/object_arrays.py", "import pickle"): "an Unpickler that knows four names, of functions of its own",
    ("registry.py", "exec"): "a model's file that the user names is a program of the user's",
    ("registry.py", "compile"): "the same",
    ("training/servable.py", "skops.io.load"): "with a list of types: scikit-learn's and our own",
    ("training/servable.py", "tf.saved_model.load"): "a model that the user names; docs say what it can do",
    ("training/export.py", "tf.saved_model.load"): "the same model, and the one that was just written",
    ("models/hub_layer.py", "tf.saved_model.load"): "a module that the user names",
}
PICKLING = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "shelve"}
CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "yaml.load",
    "yaml.load_all",
    "torch.load",
    "skops.io.load",
    "tf.saved_model.load",
    "os.system",
    "os.popen",
}
ATTRIBUTES = {
    "unsafe_load",
    "full_load",
    "UnsafeLoader",
    "FullLoader",
    "read_pickle",
    "get_unpickler",
    "enable_unsafe_deserialization",
    "unpack_archive",
    "Listener",  # pipes between machines, which carry pickles
    "BaseManager",
}


def suspects(source):
    """Yield what could run or unfold something from outside, by name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (
                f"import {alias.name}" for alias in node.names if alias.name.split(".")[0] in PICKLING
            )
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] in PICKLING:
                yield f"import {node.module}"
            yield from (alias.name for alias in node.names if alias.name in ATTRIBUTES)
        elif isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
            yield node.attr
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if name in CALLS:
                yield name
            if given.get("allow_pickle", "False") != "False" or given.get("shell", "False") != "False":
                yield f"{name} of anything"
            if name.endswith(".load_model") and given.get("safe_mode", "True") != "True":
                yield f"{name} without safe mode"
            if name.endswith((".extract", ".extractall")) and given.get("filter") != "'data'":
                yield f"{name} without the data filter"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", ["import pickle"]),
        ("from joblib import load", ["import joblib"]),
        ("eval(x)", ["eval"]),
        ("yaml.load(x, Loader=yaml.FullLoader)", ["yaml.load", "FullLoader"]),
        ("from yaml import unsafe_load", ["unsafe_load"]),
        ("np.load(x, allow_pickle=True)", ["np.load of anything"]),
        ("np.load(x, allow_pickle=a)", ["np.load of anything"]),
        ("subprocess.run(x, shell=True)", ["subprocess.run of anything"]),
        ("keras.saving.load_model(x, safe_mode=False)", ["keras.saving.load_model without safe mode"]),
        ("tar.extractall(x)", ["tar.extractall without the data filter"]),
        ("archive.extract(x, filter='tar')", ["archive.extract without the data filter"]),
        ("model.compile(x); np.load(x); keras.saving.load_model(x, safe_mode=True)", []),
        ("tar.extract(x, filter='data'); yaml.safe_load(x); json.load(x); ast.literal_eval(x)", []),
    ],
)
def test_what_is_looked_for(source, found):
    assert sorted(suspects(source)) == sorted(found)


def test_nothing_runs_what_comes_from_outside():
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 100
    found = {
        (path.relative_to(PACKAGE).as_posix(), name) for path in files for name in suspects(path.read_bytes())
    }
    assert found == set(ALLOWED)


# Archives: see also tests/data/test_stack_overflow.py.


def tar_of(path, *members, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["../out.txt", "/etc/out.txt", "a/../../out.txt"])
def test_an_archive_stays_in_its_folder(tmp_path, name):
    path = tar_of(tmp_path / "a.tar.gz", ("in.txt", b"in"), (name, b"out"))
    (tmp_path / "folder").mkdir()
    with suppress(UserError):  # a leading slash is dropped instead
        unpack(path, tmp_path / "folder")
    outside = [found for found in tmp_path.rglob("*") if found.is_file() and found.parent == tmp_path]
    assert outside == [path]
    assert not Path("/etc/out.txt").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_out_of_the_folder_and_devices_are_refused(tmp_path, kind):
    (tmp_path / "secret").write_text("of the user")
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("inside")
        member.type, member.linkname = kind, "../secret"
        tar.addfile(member)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="is not safe to unpack"):
        unpack(path, tmp_path / "folder")
    assert list((tmp_path / "folder").iterdir()) == []


def test_an_archive_that_unfolds_into_too_much_is_refused_before_it_does(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_MOST_BYTES", 1 << 20)
    zeros = bytes(1 << 19)
    path = tar_of(tmp_path / "a.tar.gz", *((f"{number}.bin", zeros) for number in range(5)))
    assert path.stat().st_size < 10_000
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="holds more than 1 MiB"):
        unpack(path, tmp_path / "folder")
    assert sum(found.stat().st_size for found in (tmp_path / "folder").iterdir()) <= 1 << 20


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_damaged_archive_is_one_line(tmp_path, mode):
    path = tar_of(tmp_path / "a.tar", ("in.txt", os.urandom(50_000)), mode=mode)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="cannot be unpacked") as caught:
        unpack(path, tmp_path / "folder")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["gz", "zip"])
def test_vectors_that_unfold_into_too_much_are_refused(tmp_path, monkeypatch, own_cache, ending):
    monkeypatch.setattr(vectors, "_MOST_BYTES", 1 << 16)
    lines = b"".join(b"word%d 0 0 0\n" % number for number in range(10_000))
    if ending == "gz":
        (tmp_path / "v.txt.gz").write_bytes(gzip.compress(lines))
    else:
        with zipfile.ZipFile(tmp_path / "v.txt.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("v.txt", lines)
    with pytest.raises(UserError, match="expected vectors of words"):
        vectors.identify(str(tmp_path / f"v.txt.{ending}"))


# Models.


@pytest.mark.long
@pytest.mark.parametrize("function", [os.path.join, describe], ids=["foreign", "ours, but no estimator"])
def test_a_stored_pipeline_names_estimators_alone(tmp_path, function):
    """scikit-learn's transformers call functions that a file names."""
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    from benchmark.training.servable import Servable, save_pipeline

    save_pipeline(tmp_path / "model", Pipeline([("call", FunctionTransformer(function))]), ["a", "b"])
    with pytest.raises(ValueError, match="not to be trusted"):
        Servable(tmp_path / "model")


# Names that become paths.

ROWS = [*(("train", "a b", number % 2) for number in range(10)), ("test", "a", 1)]


@pytest.mark.parametrize(
    "name", ["../out", "..", "a/b", "/etc/x", ".hidden", "", "a b", "a'b", "a\nb", "a\x00b"]
)
def test_a_data_set_of_a_plug_in_cannot_leave_the_cache(make_source, own_cache, name):
    with pytest.raises(UserError, match="expected a name of letters, digits"):
        prepare(make_source(ROWS, name=name))
    assert not own_cache.exists()


@pytest.mark.parametrize(
    "name", ["../../out", "..", "a/b", "/etc/x", ".hidden", "", "a b", "a'b", "a\nb", "-x"]
)
def test_a_study_cannot_leave_its_folder(capsys, tmp_path, name):
    assert sweep.main(["--model", "majority", "--dataset", "sample", f"--study={name}"]) == 2
    errors = capsys.readouterr().err
    assert "--study" in errors
    assert len(errors.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_cache_entry_of_somebody_else_is_passed_over(make_source, own_cache):
    dataset = prepare(make_source(ROWS))
    for number, content in enumerate(("[]", "1", '"digest"', "{", "[" * 100_000, '{"digest": []}')):
        (own_cache / "datasets" / f"another{number}").mkdir()
        (own_cache / "datasets" / f"another{number}" / "meta.json").write_text(content)
    assert find_prepared(dataset.digest) == dataset
    assert find_prepared("none") is None


# Passwords.


def test_the_place_of_a_data_set_is_kept_without_its_password(make_source, own_cache):
    source = make_source(ROWS, home=f"https://me:{SECRET}@host/texts?token={SECRET}")
    dataset = prepare(source)
    assert dataset.home == "https://host/texts?token=***"
    assert cached(source) == dataset
    for path in own_cache.rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes()


def test_a_download_that_fails_does_not_show_the_password(tmp_path):
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1:9/a\.tar") as caught:
        download(f"http://me:{SECRET}@127.0.0.1:9/a.tar?key={SECRET}", tmp_path / "a.tar", 100, "do without")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("words", [[], ["--debug"]])
def test_an_error_does_not_show_the_password(capsys, words):
    def run(given):
        try:
            raise ValueError(f"http://me:{SECRET}@host/ does not answer")
        except ValueError as error:
            raise UserError(f"--tracking-uri http://me:{SECRET}@host/: {error}") from error

    assert cli.run_command(run, words) == 2
    errors = capsys.readouterr().err
    assert "--tracking-uri http://host/: http://host/ does not answer" in errors
    assert SECRET not in errors


DEFECT = """
import sys
from benchmark import cli
def run(words):
    raise RuntimeError("API request to http://me:planted-secret@host/api failed")
sys.exit(cli.run_command(run, []))
"""


def test_a_traceback_does_not_show_the_password(start_python):
    process = start_python(DEFECT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith("Traceback")
    assert errors.splitlines()[-1] == "RuntimeError: API request to http://host/api failed"


def main_of(command):
    import importlib

    return importlib.import_module(f"benchmark.{command}").main


_POSTGRES = f"postgresql://me:{SECRET}@127.0.0.1:9/name"


@pytest.mark.parametrize(
    ("command", "words", "uri"),
    [
        ("leaderboard", [], _POSTGRES),
        ("leaderboard", [], f"postgresql://127.0.0.1:9/name?user=me&password={SECRET}"),
        ("leaderboard", [], f"http://me:{SECRET}@127.0.0.1:9"),
        ("leaderboard", [], f"http://me:{SECRET}@127.0.0.1"),
        ("leaderboard", [], f"http://127.0.0.1:9?token={SECRET}"),
        ("leaderboard", [], f"nosuchdb://me:{SECRET}@host/name"),
        ("compare", ["a", "b"], _POSTGRES),
        ("ledger", ["verify"], _POSTGRES),
        ("predict", ["--best", "sample", "text"], _POSTGRES),
        ("ui", [], _POSTGRES),
    ],
)
@pytest.mark.parametrize("by_environment", [False, True])
def test_a_store_that_does_not_answer_is_named_without_its_password(
    capsys, monkeypatch, command, words, uri, by_environment
):
    if by_environment:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    else:
        words = [*words, "--tracking-uri", uri]
    assert main_of(command)(words) == 2
    output, errors = capsys.readouterr()
    assert len(errors.splitlines()) == 1
    assert SECRET not in output + errors


@pytest.mark.parametrize("address", [f"https://me:{SECRET}@tfhub.dev/x/2", f"https://host/x?sig={SECRET}"])
@pytest.mark.parametrize("by_file", [False, True])
def test_an_address_with_a_password_is_no_hyper_parameter(capsys, sample, tmp_path, address, by_file):
    """Hyper-parameters are stored in Optuna, MLflow and the run's spec."""
    words = ["--set", f"handle={address}"]
    if by_file:
        space = (spaces_folder() / "hub.yaml").read_text()
        (tmp_path / "own.yaml").write_text(re.sub("handle: .*", f"handle: {address}", space))
        words = ["--space", "own.yaml"]
    assert sweep.main(["--model", "hub", "--dataset", "sample", *words]) == 2
    output, errors = capsys.readouterr()
    assert "a user name or password" in errors
    assert SECRET not in output + errors
    assert not Path("mlruns").exists()


@pytest.mark.long
def test_a_model_that_cannot_be_had_is_named_without_its_password(capsys):
    make_store()
    assert main_of("predict")(["--model-uri", f"https://me:{SECRET}@127.0.0.1:9/model", "text"]) == 2
    output, errors = capsys.readouterr()
    assert SECRET not in output + errors
    assert json.dumps(errors).count("\\n") == 1


# Real servers. Each takes a while to start.


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def answering(words, port, **environment):
    """Run a server until the block ends."""
    with Path("server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, **environment},
        )
    try:
        for _ in range(240):
            assert process.poll() is None, Path("server.log").read_text()
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                break
            time.sleep(0.5)
        else:
            pytest.fail(Path("server.log").read_text())
        yield process
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def make_store():
    ensure_runs_folder(cli.RUNS)
    connect(f"sqlite:///{Path('mlruns/mlflow.db').resolve()}").create_experiment("sample")


@pytest.mark.long
def test_our_server_listens_on_loopback_whatever_the_environment_says():
    make_store()
    port, other = free_port(), free_port()
    given = {"MLFLOW_HOST": "0.0.0.0", "MLFLOW_GUNICORN_OPTS": f"-b 0.0.0.0:{other} -w 1"}
    with answering(["benchmark.ui", "--port", str(port)], port, **given) as process:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        addresses = {
            connection.laddr.ip
            for member in family
            for connection in member.net_connections()
            if connection.status == psutil.CONN_LISTEN
        }
    assert addresses == {"127.0.0.1"}


@pytest.mark.long
def test_the_password_of_a_tracking_server_is_nowhere(sample, tmp_path, monkeypatch, capfd):
    """A whole sweep, boards and a model on a server whose address holds a password."""
    port = free_port()
    words = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db"]
    words += ["--artifacts-destination", str(tmp_path / "store")]
    address = f"http://me:{SECRET}@127.0.0.1:{port}"
    run = [
        "--model",
        "tfidf-logreg",
        "--dataset",
        "sample",
        "--trials",
        "2",
        "--seeds",
        "1",
        "--workers",
        "1",
    ]
    with answering(words, port):
        assert sweep.main([*run, "--tracking-uri", address]) == 0
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        assert main_of("leaderboard")(["--format", "html", "--output", "board.html"]) == 0
        assert main_of("ledger")(["verify"]) == 0
        assert main_of("predict")(["--best", "sample", "a fine film"]) == 0
        assert main_of("ui")([]) == 0
    output, errors = capfd.readouterr()
    assert f"http://127.0.0.1:{port}" in output
    files = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {"server.db", "board.html", "ledger.jsonl"} <= {path.name for path in files}
    assert SECRET not in output + errors
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
