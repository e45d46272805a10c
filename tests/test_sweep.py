"""Sweeps as a user runs them: on the built-in data set, with real stores."""

import dataclasses
import itertools
import json
import re
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from processes import check_slots
from tiny_models import NETWORK, READER

from benchmark import leaderboard, sweep
from benchmark.display.live import make_display
from benchmark.driver.estimate import estimate
from benchmark.driver.sweep_options import PRUNERS, SAMPLERS, sweep_config
from benchmark.models import MODELS
from benchmark.plan.run_specs import make_plan
from benchmark.search.presence import open_presence
from benchmark.support.errors import MissingResource
from benchmark.sweep import _duration
from benchmark.tracking import names
from benchmark.tracking.runs import all_runs

FAST = ["--model", "avg-pool", "--dataset", "sample", "--epochs", "2", "--set", "batch_size=512"]
FAST += ["--set", "embedding_dropout=0.0", "--set", "optimizer=adam"]


SPACE = """
model: tiny
source: a test
default: {embedding_dim: 4}
search:
  embedding_dim: {type: categorical, choices: [2, 4, 8]}
"""


def run(*arguments, code=0):
    assert sweep.main([str(argument) for argument in arguments]) == code


def client():
    return MlflowClient(tracking_uri=f"sqlite:///{Path('mlruns/mlflow.db').resolve()}")


def runs_by_kind(dataset="sample", model=None):
    experiment = client().get_experiment_by_name(dataset)
    found = all_runs(client(), [experiment.experiment_id], "")
    return {
        kind: [
            run
            for run in found
            if run.data.tags[names.KIND] == kind and model in (None, run.data.tags[names.MODEL])
        ]
        for kind in (names.SWEEP, names.TRIAL_RUN, names.FINAL_RUN)
    }


def test_a_sweep_from_nothing_to_a_board(sample, finished_sweep, monkeypatch):
    monkeypatch.chdir(finished_sweep)
    out = Path("printed.txt").read_text()
    assert "sample, budget quick" in out
    assert re.search(r"avg-pool\s+default(\+tuned)?\s+\d\d\.\d \[\d\d\.\d, \d\d\.\d\]", out)

    runs = runs_by_kind(model="avg-pool")
    (parent,) = runs[names.SWEEP]
    tiers = [tier for final in runs[names.FINAL_RUN] for tier in final.data.tags[names.TIER].split("+")]
    assert (len(runs[names.TRIAL_RUN]), sorted(tiers)) == (2, ["default"] * 3 + ["tuned"] * 3)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics[names.SEARCH_TRIALS] == 2
    assert any(name.startswith("system/") for name in parent.data.metrics)
    artifacts = {item.path for item in client().list_artifacts(parent.info.run_id)}
    assert {names.TRIALS_CSV, names.SEARCH_PNG} <= artifacts

    for child in (*runs[names.TRIAL_RUN], *runs[names.FINAL_RUN]):
        assert child.data.tags[names.PARENT] == parent.info.run_id
        assert child.info.status == "FINISHED"
        assert {"units", "sequence_length", "learning_rate", "batch_size", "patience"} <= set(
            child.data.params
        )
        assert {names.BEST_VAL_ACCURACY, names.PARAMETERS, names.EPOCHS_RUN} <= set(child.data.metrics)
        (source,) = child.inputs.dataset_inputs
        assert (source.dataset.name, source.dataset.digest) == ("sample", sample.digest)
        for tag in ("MODEL", "STUDY", "SPEC_ID", "STATUS", "DEVICE", "PHASE", "BUDGET", "PROTOCOL", "SEED"):
            assert child.data.tags[getattr(names, tag)]
    # The curve has a value an epoch; the summary is that of the best one.
    final = runs[names.FINAL_RUN][0]
    curve = client().get_metric_history(final.info.run_id, "val_accuracy")
    assert [point.step for point in curve] == [1, 2]
    assert final.data.metrics[names.BEST_VAL_ACCURACY] == max(point.value for point in curve)
    for child in runs[names.FINAL_RUN]:
        folder = Path(client().download_artifacts(child.info.run_id, ""))
        assert json.loads((folder / names.SPEC_JSON).read_text())["kind"] == "final"
        lines = (folder / names.CLASSES_CSV).read_text().splitlines()
        assert [line.partition(",")[0] for line in lines] == ["class", *sample.class_names]
        for picture in (names.CURVES_PNG, names.CONFUSION_PNG):
            assert (folder / picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_a_model_from_a_file_with_every_sampler(tmp_path, capsys):
    (tmp_path / "tiny.py").write_text(NETWORK)
    (tmp_path / "tiny.yaml").write_text(SPACE)
    samplers = [name for name in SAMPLERS if name != "gp" or find_spec("torch")]
    for sampler, pruner in zip(samplers, itertools.cycle(PRUNERS)):
        words = ["--sampler", sampler, "--pruner", pruner, "--trials", 3, "--seeds", 1, "--epochs", 1]
        run("--model", f"{tmp_path / 'tiny.py'}:build", "--dataset", "sample", *words)
    rows = board_json(capsys)
    assert {row["model"] for row in rows} == {"tiny"}
    assert len({row["study"] for row in rows}) == len(samplers) >= 5
    assert all(row["n_seeds"] == 1 and row["test_ci_low"] is None for row in rows)


@pytest.mark.long
def test_a_network_that_reads_raw_texts_and_a_file_of_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("reader.py").write_text(READER.replace("__RESOURCE__", '"reader.py:identify"'))
    wanted = ["--model", "reader.py:build", "--model", "majority", "--dataset", "sample", "--budget", "smoke"]
    run(*wanted, code=2)
    assert "error: reader.py:build: there is no file numbers.txt; bring one" in capsys.readouterr().err
    assert not Path("mlruns").exists()

    Path("numbers.txt").write_text("pretrained")
    run(*wanted, "--set", "readr.units=3", code=2)
    assert "no model 'readr' in this command; did you mean 'reader'?" in capsys.readouterr().err
    run(*wanted, "--set", "reader.units=3")
    finals = [item for item in runs_by_kind()[names.FINAL_RUN] if item.data.tags[names.MODEL] == "reader"]
    assert {item.data.tags[names.STATUS] for item in finals} == {"ok"}
    assert {item.data.tags[names.PROTOCOL] for item in finals} == {"pretrained"}
    assert {item.data.metrics["numbers"] for item in finals} == {10.0}
    assert {item.data.params["units"] for item in finals} == {"3"}
    assert "protocol pretrained" in capsys.readouterr().out


def test_all_leaves_out_what_needs_vectors_that_are_not_there(sample, capsys, monkeypatch):
    monkeypatch.setenv("BENCHMARK_CACHE_DIR", "a-cache-without-vectors")
    display = make_display()
    plan = partial(
        make_plan,
        dataset=sample,
        config=sweep_config(sweep.main.parser().parse_args(["--model", "all"])),
        space_file=None,
    )
    plans = sweep._plans(sweep._model_names(["all"]), ["all"], plan, display)
    left_out = [line for line in capsys.readouterr().out.splitlines() if "left out of 'all'" in line]
    assert len(left_out) == len([*MODELS]) - len(plans)
    assert all(
        any(name in line for line in left_out) for name in {*MODELS} - {plan.model.label for plan in plans}
    )
    assert {"glove", "majority"} & {plan.model.label for plan in plans} == {"majority"}
    with pytest.raises(MissingResource, match="embeddings"):
        sweep._plans(["glove"], ["glove"], plan, display)


def board_json(capsys, *arguments):
    capsys.readouterr()
    assert leaderboard.main(["--dataset", "sample", "--format", "json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)["rows"]


def test_the_board_as_json(finished_sweep, monkeypatch, capsys):
    monkeypatch.chdir(finished_sweep)
    keys = {"model", "tier", "budget", "test_mean", "test_ci_low", "test_ci_high"}
    keys |= {"n_seeds", "val_mean", "parameters", "train_seconds_median"}
    for row in board_json(capsys):
        assert keys <= set(row)
        assert row["test_ci_low"] <= row["test_mean"] <= row["test_ci_high"]
        assert (row["n_seeds"], row["watermark"]) == (3, None)
        assert row["rank"] is not None


@pytest.mark.long
def test_a_winner_that_is_the_default_is_trained_once(capsys):
    run(*FAST, "--trials", 1, "--seeds", 2)
    finals = runs_by_kind()[names.FINAL_RUN]
    assert [final.data.tags[names.TIER] for final in finals] == [names.BOTH_TIERS] * 2
    assert "2/2 final runs" in capsys.readouterr().out
    assert {row["tier"] for row in board_json(capsys)} == {"default", "tuned"}


def test_json_for_programs_leaves_stdout_to_one_document(capsys):
    run("--model", "majority", "--dataset", "sample", "--trials", 1, "--seeds", 1, "--json")
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["dataset"] == "sample"
    assert document["sweeps"][0]["trials"] == 1
    assert {row["model"] for row in document["board"]["rows"]} == {"majority"}
    assert "trial 0" in captured.err


def test_a_dry_run_plans_and_starts_nothing(capsys):
    run(*FAST, "--trials", 7, "--seeds", 4, "--dry-run")
    out = capsys.readouterr().out
    assert "search of 7 trials over " in out
    assert "then 2 further runs of its best, then 4 seeds of each tier" in out
    assert "4 seeds of each tier (8 final runs)" in out
    assert "nothing was started" in out
    assert not Path("mlruns").exists()
    run(*FAST, "--trials", 7, "--dry-run", "--json")
    (plan,) = json.loads(capsys.readouterr().out)["plan"]
    assert (plan["trials"], plan["confirming_runs"], plan["max_epochs"]) == (7, 2, 2)
    assert plan["estimated_seconds_at_most"] >= plan["estimated_seconds_at_least"] > 0


def test_an_estimate_is_measured_once_counts_limits_and_says_so_before(sample, own_cache, capsys):
    config = sweep_config(sweep.main.parser().parse_args([*FAST, "--budget", "quick", "--seeds", "1"]))
    plan = make_plan("avg-pool", sample, config.model_copy(update={"epochs_exact": False, "epochs": 40}))
    said = []
    first = estimate(plan, notice=said.append)
    assert estimate(plan, notice=said.append) == first
    assert len(said) == 1
    assert "avg-pool: measuring" in said[0]
    (kept,) = (own_cache / "epochs").glob("*.json")
    content = json.loads(kept.read_text())
    content["result"] = {"epoch": 100.0, "validation": 10.0, "start_up": 5.0}
    kept.write_text(json.dumps(content))
    slow = estimate(plan)
    share = 1024 / sample.sizes["train"]
    run = 5 + plan.max_epochs * (100 / share + 10)
    assert slow.epoch_seconds == pytest.approx(100 / share)
    assert slow.search_seconds == pytest.approx(120 + run)  # not 8 trials
    assert slow.final_seconds == pytest.approx(2 * run)
    unlimited = dataclasses.replace(plan, config=plan.config.model_copy(update={"timeout": None}))
    assert estimate(unlimited).search_seconds == pytest.approx((8 + 2) * run)
    assert slow.least_seconds < slow.search_seconds + slow.final_seconds
    durations = [_duration(seconds) for seconds in (0.834, 45.2, 95, 68760, 540000)]
    assert durations == ["0.83 s", "45 s", "1.6 min", "19 h", "6.2 d"]


def test_a_dry_run_of_a_model_that_cannot_be_trained_is_one_line(tmp_path, capsys):
    (tmp_path / "broken.py").write_text("def build(task): raise ValueError('no such layer')\n")
    run("--model", "broken.py", "--dataset", "sample", "--dry-run", code=2)
    assert "broken.py: its default configuration finished with status failed (ValueError: no such layer)" in (
        capsys.readouterr().err
    )


def test_a_setting_of_threads_that_is_no_number_is_told_before_anything_is_written(monkeypatch, capsys):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "two")
    run(*FAST, code=2)
    told = capsys.readouterr().err
    assert told.startswith("error: TF_NUM_INTRAOP_THREADS=two: expected a whole number, for example ")
    assert len(told.splitlines()) == 1
    assert not Path("mlruns").exists()


def test_a_failing_model_is_recorded_and_the_exit_code_says_so(tmp_path, capsys):
    (tmp_path / "bad.py").write_text("def build(task):\n    raise RuntimeError('no such layer')\n")
    run("--model", tmp_path / "bad.py", "--dataset", "sample", "--trials", 2, "--seeds", 1, code=1)
    assert "no such layer" in capsys.readouterr().out
    runs = runs_by_kind()
    assert {child.info.status for child in runs[names.TRIAL_RUN] + runs[names.FINAL_RUN]} == {"FAILED"}
    assert runs[names.SWEEP][0].info.status == "FINISHED"
    traceback = client().download_artifacts(runs[names.TRIAL_RUN][0].info.run_id, names.TRACEBACK)
    assert "RuntimeError: no such layer" in Path(traceback).read_text()


@pytest.mark.long
def test_an_interrupt_is_recorded_and_the_same_command_goes_on(monkeypatch, tmp_path, capsys):
    from benchmark.search.study import Search

    report = Search.report

    def interrupt_second_trial(self, number, epoch, value):
        if self._live[number].user_attrs["slot"] == 1:
            raise KeyboardInterrupt
        return report(self, number, epoch, value)

    monkeypatch.setattr(Search, "report", interrupt_second_trial)
    run(*FAST, "--trials", 3, "--seeds", 1, code=130)
    assert "the same command continues it" in capsys.readouterr().err
    statuses = [trial.data.tags[names.STATUS] for trial in runs_by_kind()[names.TRIAL_RUN]]
    assert sorted(statuses) == ["interrupted", "ok"]
    monkeypatch.setattr(Search, "report", report)
    run(*FAST, "--trials", 3, "--seeds", 1)
    trials = runs_by_kind()[names.TRIAL_RUN]
    done = [trial for trial in trials if trial.data.tags[names.STATUS] != "interrupted"]
    check_slots(done, 3, further=2)
    assert not [trial for trial in trials if trial.info.status == "RUNNING"]


def test_a_sweep_under_way_elsewhere_is_refused(capsys):
    elsewhere = open_presence(None, Path("mlruns/studies"), "mine")
    assert elsewhere.take("study")
    run(*FAST, "--trials", 1, "--seeds", 1, "--study", "mine", code=2)
    assert "another process" in capsys.readouterr().err


def test_the_servable_model_takes_raw_text(sample, finished_sweep, monkeypatch):
    monkeypatch.chdir(finished_sweep)
    finals = runs_by_kind(model="avg-pool")[names.FINAL_RUN]
    artifacts = {run.info.run_id: client().list_artifacts(run.info.run_id) for run in finals}
    (final, *_) = [r for r in finals if names.SERVABLE in {item.path for item in artifacts[r.info.run_id]}]
    folder = client().download_artifacts(final.info.run_id, names.SERVABLE)
    from benchmark.data.dataset import MappedTexts

    texts = [MappedTexts(sample.folder / "test").text(row) for row in range(200)]
    answer = mlflow.pyfunc.load_model(folder).predict(texts)
    with np.load(client().download_artifacts(final.info.run_id, names.PREDICTIONS)) as predictions:
        expected = predictions["probabilities"][:200]
    assert list(answer.columns) == ["label", "probability_neg", "probability_pos"]
    np.testing.assert_allclose(answer[["probability_neg", "probability_pos"]], expected, rtol=1e-5, atol=1e-6)
    assert list(answer["label"]) == [("neg", "pos")[number] for number in expected.argmax(axis=1)]


WRONG = [
    (["--model", "lstn"], "there is no model named 'lstn'; did you mean 'lstm'?"),
    (["--model", "lstm", "--dataset", "imbd"], "there is no data set named 'imbd'; did you mean 'imdb'?"),
    (["--model", "lstm", "--trials", "-3"], "argument --trials: got -3, expected 1 or more"),
    (["--model", "lstm", "--trials", "many"], "argument --trials: 'many' is not a whole number"),
    (["--model", "lstm", "--trails", "3"], "there is no option '--trails'; did you mean '--trials'?"),
    (["--model", "lstm", "--budget", "quik"], "there is no budget named 'quik'; did you mean 'quick'?"),
    (["--model", "lstm", "--sampler", "tpa"], "'tpa' is not a sampler; did you mean 'tpe'?"),
    (
        ["--model", "lstm", "--set", "unit=3"],
        "--set unit: 'lstm' has no such parameter; did you mean 'units'?",
    ),
    (["--model", "lstm", "--set", "units"], "--set units: expected NAME=VALUE"),
    (["--model", "lstm", "--join"], "--join: two processes share a study through a database"),
    (
        ["--model", "lstm", "--sampler", "cmaes", "--storage", "sqlite:///a.db"],
        "--sampler cmaes: Optuna keeps its state pickled",
    ),
    (["--model", "lstm", "--model", "gru", "--study", "mine"], "--study mine: a study has one model"),
    (["--model", "lstm", "--study", "../mine"], "'../mine' is not a name of a study"),
    (["--model", "lstm", "--run-timeout", "0"], "got 0, expected a number above 0"),
    (["--model", "lstm", "--workers", "two"], "'two' is not a whole number, or 'auto'"),
    (["--model", "lstm", "--precision", "float8"], "did you mean 'float"),
    (["--model", "lstm", "--set", "trim=true"], "only when mask_zero is true; add --set mask_zero=true"),
    (["--model", "lstm", "--device", "gpu"], "--device gpu: TensorFlow sees no GPU here"),
    (["--model", "lstm", "--data-dir", "nowhere"], "--data-dir nowhere: there is no such folder"),
    (["--model", "lstm", "--space", "nowhere.yaml"], "nowhere.yaml"),
    (["--model", "nowhere.py:build"], "nowhere.py"),
    (["--model", "lstm", "--tracking-uri", "http://127.0.0.1:9"], "does not answer"),
    (["--model", "lstm", "--tracking-uri", "file:///tmp/x"], "MLflow no longer keeps runs in plain folders"),
    (["--model", "lstm", "--timeout", "0"], "expected a number above 0"),
    (["--model", "lstm", "--validation-share", "1.5", "--dataset", "imdb"], "expected less than 1"),
    ([], "name a model by --model, or a file that names models and data sets by --suite"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_wrong_requests_get_one_line_and_leave_nothing(arguments, message, capsys):
    if "--dataset" not in arguments and "--model" in arguments:
        arguments = [*arguments, "--dataset", "sample"]
    run(*arguments, code=2)
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not Path("mlruns/mlflow.db").exists()


def test_a_space_file_error_names_file_and_line(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "model: lstm\nsource: me\ndefault:\n  units: 100\n"
        "search:\n  units: {type: int, low: 200, high: 100}\n"
    )
    run("--model", "lstm", "--dataset", "sample", "--space", path, code=2)
    assert re.search(r"mine\.yaml, line 6: .*200.*100", capsys.readouterr().err)


def test_runs_that_cannot_be_written(capsys):
    Path("mlruns").write_text("a file in the way")
    run(*FAST, code=2)
    assert re.search("mlruns.* cannot be written", capsys.readouterr().err)


@pytest.mark.long
def test_a_damaged_cache_is_rebuilt(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("BENCHMARK_CACHE_DIR", str(tmp_path / "cache"))
    run(*FAST, "--trials", 1, "--seeds", 1)
    (tokens,) = (tmp_path / "cache").glob("datasets/sample-*/open/tokens.npy")
    content = bytearray(tokens.read_bytes())
    content[len(content) // 2] ^= 0xFF
    tokens.write_bytes(content)
    capsys.readouterr()
    run(*FAST, "--trials", 1, "--seeds", 1)
    assert "nothing to do" in capsys.readouterr().out  # the digest, so the study, is the same
    assert tokens.read_bytes() != bytes(content)


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom benchmark import sweep, leaderboard, datasets, ui, __main__\n"
        "[module.main.parser().format_help() for module in (sweep, leaderboard, datasets, ui)]\n"
        "heavy = ('tensorflow', 'keras', 'mlflow', 'optuna', 'numpy', 'pydantic')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_list_of_commands(capsys):
    from benchmark.__main__ import COMMANDS, main

    assert main([]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in COMMANDS)
    assert main(["swep"]) == 2
    assert "did you mean 'sweep'?" in capsys.readouterr().err
    assert main(["models"]) == 0
    assert "lstm" in capsys.readouterr().out
    assert main(["models", "lstm"]) == 0
    assert "recurrent_dropout" in capsys.readouterr().out
    assert main(["datasets", "show", "sample"]) == 0
    assert "4000" in capsys.readouterr().out
    assert main(["datasets"]) == 0
    assert "imdb" in capsys.readouterr().out
    assert main(["leaderboard"]) == 2
    assert "run a sweep first" in capsys.readouterr().err


@pytest.mark.long
def test_what_ends_a_search_early_is_printed_and_tagged(tmp_path, capsys):
    (tmp_path / "tiny.py").write_text(NETWORK)
    command = ["--model", "tiny.py:build", "--dataset", "sample", "--epochs", 1, "--seeds", 1]
    run(*command, "--trials", 2, "--timeout", "0.001")
    assert "after 1 of 2 trials: 0.001 s of training were used up; for more" in capsys.readouterr().out
    run(*command, "--trials", 2, "--timeout", "0.001", "--json")  # nothing to do
    (outcome,) = json.loads(capsys.readouterr().out)["sweeps"]
    (parent,) = runs_by_kind()[names.SWEEP]
    reason = "after 1 of 2 trials: 0.001 s of training were used up"
    assert outcome["search_ended"] == parent.data.tags[names.SEARCH_ENDED] == reason
    run(*command, "--trials", 2)
    (parent,) = runs_by_kind()[names.SWEEP]
    assert len(runs_by_kind()[names.TRIAL_RUN]) == 2
    assert parent.data.tags[names.SEARCH_ENDED] == ""


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [([], 120), (["--trials", "3"], None), (["--trials", "3", "--timeout", "9"], 9), (["--timeout", "9"], 9)],
)
def test_a_number_of_trials_lifts_the_time_limit_of_the_budget(arguments, seconds):
    options = sweep.main.parser().parse_args(["--model", "avg-pool", *arguments])
    assert sweep_config(options).timeout == seconds
