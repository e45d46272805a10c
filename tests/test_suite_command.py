"""Sweeps of several data sets, as a user meets them: the same runs as one by one, a whole picture early."""

import json
from itertools import groupby
from pathlib import Path

import pytest
from mlflow import MlflowClient
from processes import kill, outcome, repeated, runs, start_sweep
from tiny_models import NETWORK
from waiting import until

from benchmark import api, sweep
from benchmark.tracking import names

SUITE = """\
datasets:
  - sample:size=200,classes=3
  - {dataset: "csv:reviews.csv", name: reviews, label_column: stars}
models: [nbsvm, tiny.py:build]
budget: quick
trials: 2
seeds: 2
epochs: 2
set: {tiny.units: 0}
"""
SETS = ("sample-classes-3-size-200", "csv-reviews")


@pytest.fixture(autouse=True)
def _files(tmp_path):
    make_files(tmp_path)


def make_files(folder):
    (folder / "tiny.py").write_text(NETWORK)
    (folder / "suite.yaml").write_text(SUITE)
    lines = ["text,stars"]
    for number in range(200):
        word = ("dull", "fine")[number % 2] if number % 5 else "odd"
        lines.append(f"a {word} film number {number} of many,{'no' if number % 2 else 'yes'}")
    (folder / "reviews.csv").write_text("\n".join(lines))


def run(*words, code=0):
    assert sweep.main([*map(str, words)]) == code


def all_runs_of(folder=Path()):
    return {name: runs(folder, name) for name in SETS}


def sweeps(found):
    """The runs of sweeps by study, without what depends on time."""
    return {
        run.data.tags[names.STUDY]: (run.info.status, run.data.tags[names.SEEDS_EXPECTED], run.data.params)
        for run in found
        if run.data.tags[names.KIND] == names.SWEEP
    }


def test_a_suite_has_the_runs_of_its_sweeps_one_by_one_and_goes_round_them(tmp_path, monkeypatch, capsys):
    run("--suite", "suite.yaml")
    printed = capsys.readouterr().out
    assert "(4 of 4 sweeps, " in printed
    (line,) = (line for line in printed.splitlines() if line.startswith("reviews: "))
    assert "2 rows" in line
    together = all_runs_of()
    found = [one for of_data in together.values() for one in of_data]
    finals = [one for one in found if one.data.tags[names.KIND] == names.FINAL_RUN]
    order = sorted(finals, key=lambda one: one.info.start_time)
    seeds = [seed for seed, _ in groupby(order, key=lambda one: one.data.tags[names.SEED])]
    assert seeds == ["0", "1"]

    alone = tmp_path / "alone"
    alone.mkdir()
    make_files(alone)
    monkeypatch.chdir(alone)
    shared = ["--trials", 2, "--seeds", 2, "--epochs", 2]
    for model, extra in (("nbsvm", []), ("tiny.py:build", ["--set", "units=0"])):
        run("--model", model, "--dataset", "sample:classes=3,size=200", *shared, *extra)
        run("--model", model, "--dataset", "csv:reviews.csv", "--label-column", "stars", *shared, *extra)
    for name, of_data in all_runs_of().items():
        assert outcome(of_data) == outcome(together[name])
        assert len(outcome(of_data)) >= 6
        assert sweeps(of_data) == sweeps(together[name])


def test_the_same_command_again_trains_nothing_and_a_further_model_alone_is_trained(capsys):
    run("--suite", "suite.yaml", "--model", "nbsvm", "--seeds", 1)
    before = {name: len(found) for name, found in all_runs_of().items()}
    capsys.readouterr()
    run("--suite", "suite.yaml", "--model", "nbsvm", "--seeds", 1, "--json")
    record = json.loads(capsys.readouterr().out)
    assert {name: len(found) for name, found in all_runs_of().items()} == before
    assert [one["name"] for one in record["datasets"]] == [SETS[0], "reviews"]
    assert all(row["trials"] + row["finals"] == 0 for one in record["datasets"] for row in one["sweeps"])
    run("--suite", "suite.yaml", "--model", "nbsvm", "--model", "majority", "--seeds", 1)
    for name, found in all_runs_of().items():
        new = sorted(found, key=lambda one: one.info.start_time)[before[name] :]
        assert {one.data.tags[names.MODEL] for one in new} == {"majority"}


def test_data_sets_may_be_named_one_by_one_and_sizes_of_folds_are_theirs(capsys):
    words = ["--model", "majority", "--dataset", "sample:size=100", "--dataset", "sample:size=200"]
    run(*words, "--trials", 1, "--seeds", 1)
    out = capsys.readouterr().out
    assert "sample-size-100: " in out
    assert "sample-size-200: " in out
    assert [len(runs(dataset=f"sample-size-{size}")) for size in (100, 200)] == [3, 3]


def test_a_data_set_that_is_unavailable_is_left_out_with_a_notice(capsys):
    Path("reviews.csv").unlink()
    run("--suite", "suite.yaml", "--model", "majority", "--seeds", 1)
    out = " ".join(capsys.readouterr().out.replace("!!", "").split())
    assert "left out of the suite: csv:reviews.csv: there is no such file" in out
    assert "reviews: left out, csv:reviews.csv: there is no such file" in out
    assert (len(runs(dataset=SETS[0])), runs(dataset=SETS[1])) == (3, [])


@pytest.mark.parametrize(
    ("old", "new", "words", "message"),
    [
        (
            "column: stars",
            "column: star",
            "",
            "suite.yaml, line 3: --label-column: csv:reviews.csv has no column",
        ),
        ("tiny.units", "tinny.units", "", "suite.yaml, line 9: --set tinny.units: no model 'tinny'"),
        ("tiny.py:build", "tinny.py:build", "", "suite.yaml, line 4: model file tinny.py: "),
        (
            "sample:size=200,classes=3",
            "csv:none.csv",
            "--dataset=sample",
            "--dataset sample: --suite names the",
        ),
        ("[nbsvm, tiny.py:build]", "[nbsvm]\nset: {}", "", "suite.yaml, line 10: not valid YAML: "),
        (
            "models:",
            "  - {dataset: csv:./reviews.csv, name: twice, label_column: stars}\nmodels:",
            "",
            "suite.yaml, line 4: csv:./reviews.csv: its texts are those of 'reviews'",
        ),
        ("", "", "--study=mine", "--study mine: a study has one model and one data set"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_started(capsys, old, new, words, message):
    Path("suite.yaml").write_text(SUITE.replace(old, new) if old else SUITE)
    run("--suite", "suite.yaml", *words.split(), code=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {message}")
    assert not Path("mlruns").exists()


def test_where_no_data_set_is_there_nothing_is_started(capsys):
    Path("suite.yaml").write_text("datasets: [csv:none.csv, dir:nowhere]\nmodels: [majority]\n")
    run("--suite", "suite.yaml", code=2)
    reasons = "csv:none.csv: there is no such file; dir:nowhere: there is no such folder"
    assert f"--suite suite.yaml: none of its data sets is available: {reasons}\n" in capsys.readouterr().err
    assert not Path("mlruns").exists()


def test_a_metric_that_one_of_them_cannot_have_is_one_line_and_nothing_is_started(capsys):
    Path("suite.yaml").write_text(f"{SUITE}metric: roc_auc\n")
    with Path("reviews.csv").open("a") as file:
        file.write("\nthe only film of its kind,maybe")
    run("--suite", "suite.yaml", code=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: suite.yaml, line 3: --metric roc_auc: ")
    assert line.endswith("the validation split has none of maybe")
    assert not Path("mlruns").exists()


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        (["csv:reviews.csv", "csv:other/reviews.csv"], "two data sets are called 'csv-reviews'"),
        (["sample", "csv:none.csv"], "csv:none.csv: there is no such file"),
        (["sample", "sampel"], "there is no data set named 'sampel'; did you mean 'sample'?"),
    ],
)
def test_data_sets_that_are_named_are_there_and_differ(capsys, datasets, message):
    named = [word for one in datasets for word in ("--dataset", one)]
    run("--model", "majority", *named, code=2)
    assert message in capsys.readouterr().err
    assert not Path("mlruns").exists()


def test_a_plan_is_of_all_sweeps(capsys):
    run("--suite", "suite.yaml", "--dry-run", "--model", "majority", "--model", "nbsvm")
    out = capsys.readouterr().out
    for name in SETS:
        assert f"nbsvm on {name} " in out
    assert "all 4 sweeps: at most " in out
    assert not Path("mlruns").exists()


def test_a_suite_is_swept_from_a_program():
    result = api.sweep(suite="suite.yaml", model="majority", seeds=1)
    assert isinstance(result, api.SuiteResult)
    assert [*result.results] == [SETS[0], "reviews"]
    assert list(result.to_frame()["name"]) == [*result.results]
    assert "majority" in result.results["reviews"].board.text
    assert (result.failed, result.left_out) == (0, {})


@pytest.mark.long
@pytest.mark.parametrize("workers", [[], ["--workers", 2]])
def test_a_killed_suite_goes_on_and_trains_nothing_twice(tmp_path, workers, monkeypatch):
    whole = tmp_path / "whole"
    whole.mkdir()
    make_files(whole)
    monkeypatch.chdir(whole)
    run("--suite", "suite.yaml")
    monkeypatch.chdir(tmp_path)
    process = start_sweep("--suite", "suite.yaml", *workers)
    log = Path("sweep.log")
    until(lambda: log.read_text().count(": ok ") >= 5 or process.poll() is not None)
    kill(process.pid)
    process.wait()
    killed_after = log.read_text().count(": ok ")
    run("--suite", "suite.yaml", *workers)
    for name, found in all_runs_of().items():
        assert outcome(found) == outcome(runs(whole, name))
        for kind in (names.TRIAL_RUN, names.FINAL_RUN):
            assert repeated(found, kind) == {}
    assert 5 <= killed_after < sum(len(outcome(found)) for found in all_runs_of().values())


@pytest.mark.long
def test_ray_trains_a_suite_by_the_same_workers(monkeypatch, tmp_path, capsys):
    run("--suite", "suite.yaml", "--engine", "ray", "--workers", 1)
    client = MlflowClient(f"sqlite:///{Path('mlruns/mlflow.db').resolve()}")
    assert {one.name for one in client.search_experiments()} >= {*SETS}
    with_ray = {name: outcome(found) for name, found in all_runs_of().items()}
    folder = tmp_path / "plain"
    folder.mkdir()
    make_files(folder)
    monkeypatch.chdir(folder)
    run("--suite", "suite.yaml")
    assert {name: len(found) for name, found in with_ray.items()} == {
        name: len(outcome(found)) for name, found in all_runs_of().items()
    }
