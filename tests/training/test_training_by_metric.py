"""Training by a metric: the epoch that is kept, what final runs measure, and accuracy as it always was."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from run_specs import make_spec
from sklearn.metrics import f1_score, log_loss

from benchmark.data.prepare import prepare
from benchmark.metrics.metric import METRICS, Predictions, all_metrics
from benchmark.training.train import train

PLUGIN = """
from benchmark.metrics.metric import Metric
seen = []
def of(predictions):
    seen.append(1)
    return float("nan") if len(seen) in (1, 3) else 0.1 * len(seen)
ODD = Metric("odd", "odd", of)
NONE = Metric("none", "none", lambda predictions: float("nan"))
"""
CURVES = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
TUNED = {"epochs": 8, "learning_rate": 0.05, "batch_size": 32}


def rows():
    generator = np.random.default_rng(3)
    for split, size in (("train", 400), ("test", 100)):
        for number in range(size):
            label = int(number % 10 == 0)
            words = [f"w{n}" for n in generator.integers(0, 60, 8)]
            words[0] = "alarm" if generator.random() < (0.8 if label else 0.1) else "calm"
            yield split, " ".join(words), label


@pytest.fixture
def rare(make_source):
    return prepare(make_source(list(rows()), name="rare", class_names=("normal", "rare")))


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    Path(tmp_path, "odd_metric.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "odd_metric", raising=False)
    for name in ("odd", "none"):
        monkeypatch.setitem(METRICS._targets, name, f"odd_metric:{name.upper()}")


def by(dataset, metric, **settings):
    return make_spec(dataset, **{**TUNED, **settings}).model_copy(update={"metric": metric})


def test_the_lowest_loss_is_kept_and_not_the_best_accuracy(rare, tmp_path):
    reports = []
    spec = by(rare, "log_loss", patience=3).model_copy(update={"kind": "final"})
    result = train(spec, rare, on_epoch=reports.append, ledger=tmp_path / "ledger.jsonl")
    curve = result.history["val_log_loss"]
    assert len(curve) == len(result.history["val_accuracy"]) == result.epochs_run
    assert result.best_epoch == 1 + int(np.argmin(curve))
    assert result.figures["best_val_log_loss"] == min(curve) == result.figure("best_val_log_loss")
    assert [report.best_value for report in reports] == np.minimum.accumulate(curve).tolist()
    assert log_loss(result.val_labels, result.val_probabilities) == min(curve)
    assert result.best_val_accuracy == result.history["val_accuracy"][result.best_epoch - 1]


def test_another_metric_changes_which_epoch_is_kept_and_nothing_else(rare):
    by_f1, by_accuracy = (train(by(rare, metric, patience=None), rare) for metric in ("macro_f1", "accuracy"))
    assert set(by_f1.history) - set(by_accuracy.history) == {"val_macro_f1"}
    for name in CURVES:
        assert by_f1.history[name] == by_accuracy.history[name]
    assert by_accuracy.figures == {}
    assert by_accuracy.figure("best_val_accuracy") == by_accuracy.history["val_accuracy"][-1]


def test_a_final_run_has_every_metric_of_its_predictions(rare, tmp_path):
    spec = by(rare, "accuracy", epochs=3, patience=3).model_copy(update={"kind": "final"})
    result = train(spec, rare, ledger=tmp_path / "ledger.jsonl")
    stored = Predictions(result.test_labels, result.test_probabilities)
    for metric in all_metrics():
        assert result.figure(f"test_{metric.name}") == metric.value(stored), metric.name
    answers = result.test_probabilities.argmax(axis=1)
    assert result.figures["test_macro_f1"] == f1_score(result.test_labels, answers, average="macro")
    assert result.figures["test_answered_classes"] == len(np.unique(answers))
    assert result.val_probabilities.shape == (rare.sizes["validation"], 2)
    right = result.val_probabilities.argmax(axis=1) == result.val_labels
    assert right.mean() == result.best_val_accuracy


def test_a_curve_that_rises_at_the_limit_of_epochs_is_said_to_rise(rare, tmp_path):
    def final(**settings):
        spec = by(rare, "log_loss", **settings).model_copy(update={"kind": "final"})
        return train(spec, rare, ledger=tmp_path / "ledger.jsonl")

    short = final(epochs=2, learning_rate=0.001)
    assert short.history["val_log_loss"][1] < short.history["val_log_loss"][0]
    assert short.figures["rising"] == 1.0
    falling = final(epochs=30, learning_rate=0.1, patience=None)  # trained far beyond its best epoch
    assert falling.figures["rising"] == 0.0
    assert falling.best_epoch == 30
    spec = by(rare, "accuracy").model_copy(
        update={"kind": "final", "model": "nbsvm", "training": None, "view": None}
    )
    assert train(spec, rare, ledger=tmp_path / "ledger.jsonl").figures["rising"] == 0.0


def test_an_epoch_without_a_value_is_the_worst(rare, plugin):
    reports = []
    result = train(by(rare, "odd", epochs=4, patience=4), rare, on_epoch=reports.append)
    assert (result.status, result.best_epoch) == ("ok", 4)
    values = [report.best_value for report in reports]
    assert math.isnan(values[0])
    assert values[1:] == [0.2, 0.2, 0.4]
    assert math.isnan(result.history["val_odd"][2])
    assert train(by(rare, "none", epochs=2), rare).status == "diverged"
