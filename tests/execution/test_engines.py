"""What every engine does: in this process, in worker processes and on Ray."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest
from processes import outcome, runs
from tiny_encoders import needs_keras_hub, with_preset

from benchmark import sweep
from benchmark.data.cache import cache_root
from benchmark.data.prepare import prepare
from benchmark.execution.engine import Job, Workplace
from benchmark.execution.inline import InlineEngine
from benchmark.execution.processes import ProcessEngine
from benchmark.spec.config import RunSpec, TrainSettings, ViewSettings, seed_bundle
from benchmark.support.errors import UserError
from benchmark.testing import EngineSuite

MODEL = '''
"""A model that does what it is told."""
import os
import signal
import time
from pathlib import Path

import keras


def others(folder):
    """Processes beside this one that have built a model."""
    pids = {path.name for path in Path(folder).iterdir()} - {"tried", str(os.getpid())}
    return [pid for pid in pids if is_alive(pid)]


def is_alive(pid):
    try:
        return bool(Path("/proc", pid, "cmdline").read_bytes())  # empty when nobody has asked how it ended
    except OSError:
        return False


def build(task, *, do: str = "train", folder: str = ""):
    if do == "hang":
        time.sleep(3600)
    if do == "tell":
        raise RuntimeError(f"GPU {os.environ.get('CUDA_VISIBLE_DEVICES')}")
    if do == "raise":
        raise RuntimeError("planted")
    if do == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if folder:
        Path(folder, str(os.getpid())).touch()
    if do == "crowd":  # room for one process on the GPU
        first, deadline = not Path(folder, "tried").exists(), time.monotonic() + 10
        Path(folder, "tried").touch()
        while others(folder) if not first and time.monotonic() < deadline else first and not others(folder):
            time.sleep(0.1)
        if others(folder):
            raise MemoryError("planted")
    ids = keras.Input((task.sequence_length,), dtype="int32")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(task.vocabulary_size, 4)(ids))
    return keras.Model(ids, keras.layers.Dense(task.n_outputs)(x))
'''
TIMEOUT = 40.0  # seconds, of which an honest run takes few on an idle machine


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "mishaps.py"
    path.write_text(MODEL)
    return f"{path}:build"


@pytest.fixture(scope="module")
def cluster(_hermetic_session):
    """A Ray of this machine, with a GPU that Ray believes in, for all tests here; gives its cache folder."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'textbench[ray]'")
    from benchmark.execution.cluster import RayOptions, connected

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        "local", num_cpus=8, num_gpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
    )
    with connected(RayOptions(gpus=0.5)):
        yield cache_root()
    ray.shutdown()


def make_engine(kind, request, place, workers=2, gpus=0.0):
    if kind == "processes":
        return ProcessEngine(place, workers)
    if request:
        request.getfixturevalue("cluster")
    from benchmark.execution.cluster import RayOptions
    from benchmark.execution.ray import RayEngine

    return RayEngine(place, RayOptions(gpus=gpus), workers)


class Handler:
    """Asks for runs, and does with them what a phase does: one that was interrupted is tried again.

    Parameters
    ----------
    specs : list of RunSpec
        The runs.
    stop_at : int, optional
        Reports after which everything is to stop.
    """

    def __init__(self, specs, *, stop_at=None):
        self.waiting, self.stop_at, self.reports, self.stopping = list(specs), stop_at, 0, False
        self.results, self.begun, self.under_way = [], [], set()

    @property
    def finished(self):
        return self.stopping or not self.waiting

    def next(self):
        if self.stopping or not self.waiting:
            return None
        return Job(len(self.begun), self.waiting.pop(0))

    def started(self, job):
        self.begun.append(job.spec)
        self.under_way.add(job.number)

    def epoch(self, job, report):
        assert job.number in self.under_way
        self.reports += 1
        self.stopping |= self.reports == self.stop_at
        return "interrupted" if self.stopping else None

    def ended(self, job, result):
        self.under_way.remove(job.number)
        self.results.append((job.spec, result))
        if result.status == "interrupted" and not self.stopping and self.begun.count(job.spec) < 2:
            self.waiting.insert(0, job.spec)

    def statuses(self):
        found = [(spec.hparams.get("do"), result.status) for spec, result in self.results]
        return {way: [status for other, status in found if other == way] for way, _ in found}


def spec_of(dataset, model, do="train", seed=0, **hparams):
    return RunSpec(
        model=model,
        dataset=dataset.name,
        dataset_digest=dataset.digest,
        kind="trial",
        view=ViewSettings(vocabulary_size=500, sequence_length=32),
        training=TrainSettings(batch_size=128, epochs=2, learning_rate=0.01),
        hparams={"do": do, **hparams},
        seeds=seed_bundle(0, "search", seed),
    )


class TestInline(EngineSuite):
    engine = InlineEngine


class TestProcesses(EngineSuite):
    engine = staticmethod(lambda place: ProcessEngine(place, 2))


@pytest.mark.long
@pytest.mark.usefixtures("cluster")
class TestRay(EngineSuite):
    engine = staticmethod(lambda place: make_engine("ray", None, place))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["processes", "ray"])
def test_runs_that_hang_or_lose_their_worker(kind, request, sample, model, tmp_path):
    place = Workplace(sample, tmp_path / "ledger.jsonl", run_timeout=TIMEOUT)
    engine = make_engine(kind, request, place)
    try:
        handler = Handler([spec_of(sample, model, do) for do in ("hang", "die", "train", "raise")])
        engine.run(handler)
        assert handler.statuses() == {
            "hang": ["timeout"],
            "die": ["interrupted", "interrupted"],
            "train": ["ok"],
            "raise": ["failed"],
        }
        (hung,) = (result for spec, result in handler.results if spec.hparams["do"] == "hang")
        assert TIMEOUT <= hung.train_seconds < TIMEOUT + 60
        lost = [result.error for spec, result in handler.results if spec.hparams["do"] == "die"]
        assert all("the worker was lost" in error for error in lost)
    finally:
        engine.close()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["processes", "ray"])
def test_a_stop_does_not_wait_for_a_run_in_the_middle_of_an_epoch(kind, request, sample, model, tmp_path):
    # Without a time limit, which the hanging run could reach while the other one's worker still starts.
    engine = make_engine(kind, request, Workplace(sample, tmp_path / "ledger.jsonl"))
    try:
        handler = Handler([spec_of(sample, model, do) for do in ("hang", "train")], stop_at=1)
        started = time.monotonic()
        engine.run(handler)
        assert time.monotonic() - started < 120
        assert handler.statuses() == {"hang": ["interrupted"], "train": ["interrupted"]}
    finally:
        engine.close()


@pytest.mark.long
def test_a_run_without_memory_beside_another_is_tried_alone_on_its_gpu(request, sample, model, tmp_path):
    (tmp_path / "pids").mkdir()
    place = Workplace(sample, tmp_path / "ledger.jsonl")
    engine = make_engine("ray", request, place, gpus=0.5)
    try:
        folder = str(tmp_path / "pids")
        beside = [spec_of(sample, model, seed=seed, folder=folder) for seed in range(3)]
        handler = Handler([beside[0], spec_of(sample, model, "crowd", folder=folder), *beside[1:]])
        engine.run(handler)
        assert handler.statuses() == {"train": ["ok"] * 3, "crowd": ["interrupted", "ok"]}
        assert "tried again alone" in next(result.error for _, result in handler.results if result.error)
    finally:
        engine.close()


@pytest.mark.long
def test_a_node_without_the_data_set_is_sent_it_or_named(cluster, make_source, model, tmp_path, own_cache):
    """Nodes have the cache that was there when they began, this process has another one."""
    from benchmark.execution.cluster import RayOptions
    from benchmark.execution.ray import RayEngine

    rows = [*(("train", f"a b w{number}", number % 2) for number in range(40)), ("test", "a", 1)]
    dataset = prepare(make_source(rows, name="elsewhere"))
    place = Workplace(dataset, tmp_path / "ledger.jsonl")
    for send in (False, True):
        engine = RayEngine(place, RayOptions(send=send, gpus=0.0), 1)
        handler = Handler([spec_of(dataset, model)])
        try:
            if send:
                engine.run(handler)
                assert handler.statuses() == {"train": ["ok"]}
            else:
                with pytest.raises(UserError, match=r"^node .* \(.*\) has no prepared copy .*'elsewhere'"):
                    engine.run(handler)
        finally:
            engine.close()
        copies = [path for path in (cluster / "datasets").glob("elsewhere-*") if path.is_dir()]
        assert len(copies) == send


@pytest.mark.long
@pytest.mark.parametrize(("kind", "gpu"), [("processes", "7"), ("ray", "0")])
def test_a_worker_sees_its_gpu_alone(kind, gpu, request, sample, model, tmp_path, monkeypatch):
    if kind == "processes":
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,8")
    engine = make_engine(kind, request, Workplace(sample, tmp_path / "ledger.jsonl"), 1, gpus=1)
    try:
        handler = Handler([spec_of(sample, model, "tell")])
        engine.run(handler)
        assert f"RuntimeError: GPU {gpu}\n" in handler.results[0][1].error
    finally:
        engine.close()


SEARCH = ["--dataset", "sample", "--sampler", "random", "--pruner", "none"]
ENCODERS = ("encoder-head", "encoder")
SEARCH += ["--trials", "3", "--seeds", "1", "--epochs", "2", "--timeout", "100000", "--compile", "graph"]


@pytest.mark.long
@pytest.mark.parametrize(
    "model", ["avg-pool", *(pytest.param(one, marks=needs_keras_hub) for one in ENCODERS)]
)
def test_a_search_gives_the_same_bits_on_every_engine(
    model, cluster, sample, tiny_preset, tmp_path, monkeypatch
):
    search = ["--model", model, *SEARCH]
    if model in ENCODERS:
        search += [*with_preset(tiny_preset()), "--train-examples", "200"]
    ways = {
        "inline": [],
        "processes": ["--workers", "2"],
        "ray": ["--engine", "ray", "--device", "cpu", "--workers", "2"],
    }
    found, looks = {}, {}
    for way, words in ways.items():
        (tmp_path / way).mkdir()
        monkeypatch.chdir(tmp_path / way)
        if way == "inline":  # one thread, as the others have
            names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
            environment = {**os.environ, **dict.fromkeys(names, "1")}
            command = [sys.executable, "-m", "benchmark.sweep", *search]
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        else:
            with mock.patch("benchmark.execution.processes.cores", return_value=2):
                assert sweep.main([*search, *words]) == 0
        found[way] = outcome(runs())
        looks[way] = sorted(
            json.loads(line)["spec_id"] for line in Path("mlruns/ledger.jsonl").read_text().splitlines()
        )
    assert found["inline"] == found["processes"] == found["ray"]
    assert looks["inline"] == looks["processes"] == looks["ray"]
    assert len(found["ray"]) >= 4


# What is wrong is said in one line, before anything is begun.


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--engine", "rya"], "did you mean 'ray'?"),
        (["--address", "auto"], "--address: only with --engine ray"),
        (["--cpus-per-run", "2"], "--cpus-per-run: only with --engine ray"),
        (["--gpus-per-run", "0.25"], "--gpus-per-run: only with --engine ray"),
        (["--no-send-data"], "--no-send-data: only with --engine ray"),
        (["--engine", "ray", "--gpus-per-run", "1.5"], "expected a share below 1, or a whole number"),
        (["--engine", "ray", "--gpus-per-run", "0"], "expected a number above 0"),
        (["--engine", "ray", "--gpus-per-run", "1", "--device", "cpu"], "not with --device cpu"),
        (["--engine", "ray", "--workers", "auto"], "give a number, or leave it out"),
        (["--engine", "ray", "--address", "rubbish"], "expected HOST:PORT of a Ray cluster"),
        (["--engine", "ray", "--address", "ray://host:10001"], "expected HOST:PORT of a Ray cluster"),
        (["--engine", "ray", "--address", "127.0.0.1:9"], "no Ray cluster answers there"),
    ],
)
def test_a_wrong_request_is_one_line(sample, capsys, words, expected):
    if "ray" in words:
        pytest.importorskip("ray", reason="Ray is not installed: pip install 'textbench[ray]'")
    assert sweep.main(["--model", "majority", "--dataset", "sample", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert not Path("mlruns").exists()


def test_without_ray_the_line_says_how_to_install_it(sample, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert sweep.main(["--model", "majority", "--dataset", "sample", "--engine", "ray"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("install it with: pip install 'textbench[ray]'")


@pytest.mark.parametrize(
    ("options", "device", "expected"),
    [
        ({"gpus": 0.25}, "auto", "`gpus_per_run` 0.25: no node of the Ray cluster has a GPU"),
        ({}, "gpu", "`device` gpu: no node of the Ray cluster has a GPU"),
        ({"cpus": 5}, "auto", "`cpus_per_run` 5: no node .* the largest have 4 CPUs and 0 GPUs"),
    ],
)
def test_what_no_node_can_give_is_refused(options, device, expected):
    from benchmark.execution.cluster import RayOptions, _checked

    with pytest.raises(UserError, match=expected):
        _checked([{"CPU": 2.0}, {"CPU": 4.0}], RayOptions(**options), device)


def test_a_run_takes_a_gpu_where_there_is_one():
    from benchmark.execution.cluster import RayOptions, _checked

    nodes = [{"CPU": 4.0}, {"CPU": 4.0, "GPU": 1.0}]
    assert _checked(nodes, RayOptions(), "auto") == 1
    assert _checked(nodes, RayOptions(), "cpu") == 0
    assert _checked(nodes, RayOptions(gpus=0.5), "auto") == 0.5
    assert _checked(nodes[:1], RayOptions(), "auto") == 0


def test_a_node_with_other_libraries_is_refused():
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'textbench[ray]'")
    from benchmark.execution.ray import check_versions, versions

    check_versions(versions())
    with pytest.raises(UserError, match=r"^it has keras .*, the sweep was started with 0\.1"):
        check_versions({**versions(), "keras": "0.1"})
