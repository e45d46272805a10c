"""A sweep by a metric on data with a rare class, as a user runs it, with real stores."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from sklearn import metrics as sk

from benchmark import sweep
from benchmark.board.stored_board import read_board
from benchmark.driver.further_seeds import plan_further
from benchmark.support.files import RunsFolder
from benchmark.tracking import names
from benchmark.tracking.runs import find_runs

FEW = ["--dataset", "csv:rare.csv", "--budget", "quick", "--trials", "3", "--seeds", "3", "--epochs", "3"]


def write_rare(rare=20):
    """Write 400 texts of which one in `rare` is of the second class."""
    generator = np.random.default_rng(5)
    lines = ["text,label"]
    for number in range(400):
        is_rare = number % rare == 0
        words = [f"w{n}" for n in generator.integers(0, 60, 8)]
        words[0] = "alarm" if generator.random() < (0.7 if is_rare else 0.1) else "calm"
        lines.append(f"{' '.join(words)},{'rare' if is_rare else 'normal'}")
    Path("rare.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_rare()


def client():
    return MlflowClient(tracking_uri=f"sqlite:///{Path('mlruns/mlflow.db').resolve()}")


def runs_of(kind, **tags):
    return find_runs(client(), None, (kind,), **tags)


def by_scikit_learn(labels, probabilities):
    """All metrics of stored predictions; the first class is the frequent one."""
    answers, of_rare = probabilities.argmax(axis=1), probabilities[:, 1]
    return {
        "test_accuracy": sk.accuracy_score(labels, answers),
        "test_balanced_accuracy": sk.balanced_accuracy_score(labels, answers),
        "test_macro_f1": sk.f1_score(labels, answers, average="macro"),
        "test_mcc": sk.matthews_corrcoef(labels, answers),
        "test_roc_auc": sk.roc_auc_score(labels, of_rare),
        "test_average_precision": sk.average_precision_score(labels, of_rare),
        "test_log_loss": sk.log_loss(labels, probabilities),
        "test_brier": sk.brier_score_loss(labels, of_rare),
    }


def check_runs(metric, of_validation):
    """Hold what MLflow has of all runs against scikit-learn's figures of the stored predictions."""
    finals, sweeps = runs_of(names.FINAL_RUN), runs_of(names.SWEEP)
    for run in (*finals, *sweeps, *runs_of(names.TRIAL_RUN)):
        assert run.tags[names.METRIC] == metric
    for run in finals:
        with np.load(client().download_artifacts(run.run_id, names.PREDICTIONS)) as stored:
            expected = by_scikit_learn(stored["labels"], stored["probabilities"])
            best = of_validation(stored["val_labels"], stored["val_probabilities"])
            answered = len(np.unique(stored["probabilities"].argmax(axis=1)))
        assert {name: run.metrics[name] for name in expected} == expected
        assert run.metrics[f"best_val_{metric}"] == run.best_value == best
        curve = [point.value for point in client().get_metric_history(run.run_id, f"val_{metric}")]
        assert curve[int(run.metrics["best_epoch"]) - 1] == best
        assert run.metrics["rising"] == float(run.model == "avg-pool" and run.metrics["best_epoch"] == 3)
        assert run.metrics["test_answered_classes"] == answered
    board = read_board(client(), sweeps[0].dataset, RunsFolder(Path("mlruns")).ledger)
    for row in board.rows:
        (parent,) = [run for run in sweeps if run.study == row.study]
        counted = [run for run in finals if run.run_id in row.run_ids]
        for tier in row.tier.split("+"):
            assert parent.metrics[f"{tier}_seeds"] == 3.0
            for name in (f"test_{metric}", "test_accuracy"):
                mean = parent.metrics[f"{tier}_{name}_mean"]
                assert mean == pytest.approx(np.mean([run.metrics[name] for run in counted]))
                low, high = (parent.metrics[f"{tier}_{name}_ci_{end}"] for end in ("low", "high"))
                assert low <= mean <= high
    return board


@pytest.mark.long
def test_a_sweep_by_average_precision_in_a_worker(capsys):
    wanted = ["--model", "nbsvm", "--model", "avg-pool", *FEW, "--metric", "average_precision"]
    wanted += ["--workers", "1"]  # its results come from there with their figures
    assert sweep.main(wanted) == 0
    assert "by average precision" in capsys.readouterr().out
    assert {run.model for run in runs_of(names.FINAL_RUN)} == {"nbsvm", "avg-pool"}
    check_runs("average_precision", lambda labels, given: sk.average_precision_score(labels, given[:, 1]))


def test_a_sweep_by_log_loss_takes_the_trial_with_the_least(capsys):
    wanted = ["--model", "nbsvm", *FEW, "--metric", "log_loss"]
    assert sweep.main(wanted) == 0
    board = check_runs("log_loss", sk.log_loss)
    values = defaultdict(list)
    for run in runs_of(names.TRIAL_RUN):
        values[run.tags[names.CONFIG_ID]].append(run.best_value)
    assert len(values) == 3
    tuned = next(run for run in runs_of(names.FINAL_RUN) if "tuned" in run.tiers)
    assert tuned.tags[names.CONFIG_ID] == min(values, key=lambda one: np.mean(values[one]))
    artifacts = runs_of(names.SWEEP)[0].run_id, names.TRIALS_CSV
    assert "val_log_loss" in Path(client().download_artifacts(*artifacts)).read_text().splitlines()[0]

    # Further seeds are trained as the row's were: `plan_further` refuses anything else.
    plan, _ = plan_further(board.rows[0], 4, client())
    assert [spec.metric for spec in plan.final_specs(plan.default)] == ["log_loss"] * 4

    capsys.readouterr()
    assert sweep.main([*wanted, "--seeds", "4"]) == 0
    said = capsys.readouterr().out
    assert "cannot tell models apart" not in said
    assert runs_of(names.SWEEP)[0].metrics["default_seeds"] == 4.0


def test_a_misspelt_metric_is_refused_before_any_data_is_read(capsys):
    assert sweep.main(["--model", "nbsvm", *FEW, "--metric", "makro_f1"]) == 2
    assert (
        "error: --metric makro_f1: there is none of this name; did you mean 'macro_f1'?"
        in capsys.readouterr().err
    )
    assert not Path("mlruns").exists()


def test_lopsided_classes_are_said_once_where_the_metric_is_accuracy(capsys):
    dry = ["--model", "nbsvm", "--model", "majority", *FEW, "--dry-run"]
    assert sweep.main(dry) == 0
    said = capsys.readouterr().out
    assert said.count("95 % are of class 'normal': accuracy cannot tell models apart here") == 1
    assert "consider --metric macro_f1" in said
    assert "hyper-parameters by accuracy" in said
    assert sweep.main([*dry, "--metric", "macro_f1", "--json"]) == 0
    said = capsys.readouterr()
    assert "cannot tell models apart" not in said.out + said.err
    assert [plan["metric"] for plan in json.loads(said.out)["plan"]] == ["macro_f1"] * 2
    write_rare(rare=9)
    assert sweep.main(dry) == 0
    assert "cannot tell models apart" not in capsys.readouterr().out
