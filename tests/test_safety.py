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
from benchmark.data.archive import download, unpack
from benchmark.data.prepare import cached, find_prepared, prepare
from benchmark.models.source_description import describe
from benchmark.plan.space import spaces_folder
from benchmark.support.errors import UserError
from benchmark.tracking.store import connect, ensure_runs_folder
from benchmark.vectors import text_files

PACKAGE = Path(benchmark.__file__).parent
SECRET = "planted-secret"

# What may stand in the package, and why.
ALLOWED = {
    (
        "data/imdb_int.py",
        "import pickle",
    ): "an Unpickler that knows five names of a class that does nothing",
    ("support/source_files.py", "exec"): "a model's file that the user names is a program of the user's",
    ("support/source_files.py", "compile"): "the same",
    ("serving/mlflow_model.py", "skops.io.load"): "of scikit-learn's types and one of ours",
    (
        "serving/mlflow_model.py",
        "tf.saved_model.load",
    ): "a model that the user names; docs say what it does",
    ("serving/saved_model.py", "tf.saved_model.load"): "the same model, and the one that was just written",
    ("models/hub.py", "tf.saved_model.load"): "a module that the user names",
    ("training/devices.py", "import joblib"): "for its cpu_count",
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
    monkeypatch.setattr(text_files, "_MOST_BYTES", 1 << 16)
    lines = b"".join(b"word%d 0 0 0\n" % number for number in range(10_000))
    if ending == "gz":
        (tmp_path / "v.txt.gz").write_bytes(gzip.compress(lines))
    else:
        with zipfile.ZipFile(tmp_path / "v.txt.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("v.txt", lines)
    with pytest.raises(UserError, match="expected vectors of words"):
        text_files.identify(str(tmp_path / f"v.txt.{ending}"))


# Models.


@pytest.mark.long
@pytest.mark.parametrize("function", [os.path.join, describe], ids=["foreign", "ours, but no estimator"])
def test_a_stored_pipeline_names_estimators_alone(tmp_path, function):
    """scikit-learn's transformers call functions that a file names."""
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    from benchmark.serving.mlflow_model import Servable
    from benchmark.training.saving_pipelines import save_pipeline

    with pytest.raises(ValueError, match="not to be trusted"):  # so it is not stored
        save_pipeline(tmp_path, Pipeline([("call", FunctionTransformer(function))]), ["a", "b"])
    (tmp_path / "text.json").write_text(TEXT)
    with pytest.raises(ValueError, match="not to be trusted"):
        Servable(tmp_path)


TEXT = json.dumps({"standardizer": 1, "class_names": ["neg", "pos"]})
NETWORK = {"length": 4, "view": {}, "vocabulary": ["good"]}


@pytest.fixture
def stranger(tmp_path):
    """A model whose program writes a file, ``stolen``, when it answers."""
    import tensorflow as tf

    program, stolen = tf.Module(), str(tmp_path / "stolen")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def logits(texts):
        tf.io.write_file(stolen, "yours")
        return tf.zeros([tf.size(texts), 1])

    program.logits = logits
    tf.saved_model.save(program, "stranger/saved_model")
    Path("stranger/text.json").write_text(TEXT)
    return Path("stranger")


PREDICT, EXPORT = ["predict", "great"], ["export", "--output", "out"]


@pytest.mark.parametrize(("command", "words"), [(PREDICT[0], PREDICT[1:]), (EXPORT[0], EXPORT[1:])])
def test_the_program_of_a_stranger_runs_where_it_is_trusted_alone(stranger, capsys, command, words):
    assert main_of(command)(["--model-uri", str(stranger), *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert all(word in error for word in ("stranger", "saved_model", "--trust"))
    assert not Path("stolen").exists()
    assert not Path("out").exists()
    assert not Path("mlruns").exists()
    assert main_of(command)(["--model-uri", str(stranger), "--trust", *words]) == 0
    assert Path("stolen").exists()


@pytest.mark.long
def test_a_program_that_a_sweep_of_the_store_has_recorded_is_trusted_until_it_is_changed(
    stranger, uri, capsys
):
    from benchmark.data.files import folder_digest
    from benchmark.tracking import names

    client = connect(uri)
    experiment = client.create_experiment("sample", artifact_location=Path("kept").resolve().as_uri())
    run = client.create_run(
        experiment, tags={names.KIND: names.FINAL_RUN, names.MODEL_DIGEST: folder_digest(stranger)}
    )
    client.log_artifacts(run.info.run_id, str(stranger), "model")
    words = ["--model-uri", f"runs:/{run.info.run_id}/model", "great"]
    assert main_of("predict")(words) == 0
    (folder,) = Path("kept").glob("*/artifacts/model")
    with (folder / "saved_model" / "fingerprint.pb").open("ab") as file:
        file.write(b"x")
    assert main_of("predict")(words) == 2
    assert main_of("predict")(["--model-uri", str(stranger), "great"]) == 0  # wherever these very files lie
    (stranger / "saved_model" / "more").symlink_to("/")
    assert main_of("predict")(["--model-uri", str(stranger), "great"]) == 2
    assert "more is not a regular file" in capsys.readouterr().err


def unsafe_network(path, layer):
    import keras

    ids = keras.Input((4,), dtype="int32")
    keras.Model(ids, layer(keras.ops.cast(ids, "float32"))).save(path)


def lambda_layer():
    import keras

    return keras.layers.Lambda(lambda x: x[:, :1])


def program_layer():
    import keras
    import tensorflow as tf

    program = tf.Module()
    program.serve = tf.function(lambda x: x[:, :1], input_signature=[tf.TensorSpec([None, 4])])
    tf.saved_model.save(program, "program")
    return keras.layers.TFSMLayer("program", call_endpoint="serve")


@pytest.mark.parametrize("layer", [lambda_layer, program_layer])
def test_a_keras_file_with_code_is_refused_even_if_trusted(tmp_path, capsys, layer):
    Path("model").mkdir()
    unsafe_network("model/model.keras", layer())
    Path("model/text.json").write_text(json.dumps({**json.loads(TEXT), **NETWORK}))
    assert main_of("predict")(["--model-uri", "model", "--trust", "great"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "which could run anything" in error


def test_a_pipeline_that_unfolds_into_too_much_is_refused(capsys):
    Path("model").mkdir()
    Path("model/text.json").write_text(TEXT)
    with (
        zipfile.ZipFile("model/pipeline.skops", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("schema.json", "w") as member,
    ):
        for _ in range(257):
            member.write(bytes(1 << 20))
    assert main_of("predict")(["--model-uri", "model", "great"]) == 2
    assert "pipeline.skops unfolds into 257 MiB" in capsys.readouterr().err


def test_a_pipeline_with_a_pickle_is_refused(capsys, tmp_path):
    import numpy as np
    from sklearn.dummy import DummyClassifier
    from sklearn.pipeline import Pipeline

    from benchmark.training.saving_pipelines import save_pipeline

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "stolen",))

    save_pipeline(Path("model"), Pipeline([("prior", DummyClassifier().fit([[0], [1]], [0, 1]))]), ["a", "b"])
    with zipfile.ZipFile("model/pipeline.skops") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    pickled = BytesIO()
    np.save(pickled, np.array([Bomb()], dtype=object), allow_pickle=True)
    with zipfile.ZipFile("model/pipeline.skops", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, pickled.getvalue() if name.endswith(".npy") else content)
    assert main_of("predict")(["--model-uri", "model", "great"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "allow_pickle" in error
    assert not Path("stolen").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "text.json"),
        ("[]", "text.json"),
        ("{}", "standardizer"),
        ('{"standardizer": 1, "class_names": "ab"}', "class_names"),
        (
            '{"standardizer": 1, "class_names": ["a", "b"], "view": {"sequence_length": -1}}',
            "sequence_length",
        ),
        (TEXT, "model.keras"),
        (json.dumps({**json.loads(TEXT), **NETWORK, "modules": ["benchmark.models.nowhere"]}), "nowhere"),
        (None, "less than 256 MiB"),
    ],
)
def test_a_description_that_is_wrong_is_one_line(capsys, content, message):
    Path("model").mkdir()
    Path("model/text.json").write_text(content or "")
    if content is None:
        os.truncate("model/text.json", (1 << 28) + 1)
    assert main_of("predict")(["--model-uri", "model", "great"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_a_folder_of_pipes_and_links_is_not_waited_for(capsys, tmp_path):
    for name in ("text.json", "model.keras"):
        folder = Path(f"with-{name}")
        folder.mkdir()
        (folder / "text.json").write_text(TEXT)
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
        assert main_of("predict")(["--model-uri", str(folder), "great"]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_the_cache_of_fetched_modules_is_the_users_alone(own_cache, monkeypatch, tmp_path):
    """A folder with a known name in the shared temporary folder could have been put there by anybody."""
    import hashlib
    import tempfile

    from benchmark.vectors import hub_modules

    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "shared"))
    address = "http://127.0.0.1:9/module"
    planted = tmp_path / "shared" / "tfhub_modules" / hashlib.sha1(address.encode()).hexdigest()
    planted.mkdir(parents=True)
    (planted / "saved_model.pb").touch()
    with pytest.raises(UserError, match="cannot be fetched"):
        hub_modules.find(address)
    assert (own_cache / "tfhub_modules").stat().st_mode & 0o777 == 0o700


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
