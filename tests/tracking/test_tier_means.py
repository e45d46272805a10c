"""Means over seeds in a sweep's run: what is written, when, and what is left out."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import t

from benchmark.tracking import names
from benchmark.tracking.runs import StoredRun
from benchmark.tracking.tier_means import tier_figures, write_means


@dataclass
class Row:
    study: str
    tier: str
    run_ids: list[str]


def stored(**metrics):
    return StoredRun("id", metrics={"train_seconds": 2.0, "test_accuracy": 0.9, **metrics})


def test_means_and_students_interval_from_three_seeds_on():
    values = [0.5, 0.6, 0.75]
    figures = tier_figures([stored(test_macro_f1=v, test_accuracy=v, train_seconds=9 * v) for v in values])
    half = t.ppf(0.975, 2) * np.std(values, ddof=1) / np.sqrt(3)
    assert figures["test_macro_f1_mean"] == pytest.approx(np.mean(values))
    assert figures["test_accuracy_ci_low"] == pytest.approx(np.mean(values) - half)
    assert figures["test_accuracy_ci_high"] == pytest.approx(np.mean(values) + half)
    odds = logit(np.mean(values))
    step = half / (np.mean(values) * (1 - np.mean(values)))  # by the derivative of the logit
    assert figures["test_macro_f1_ci_low"] == pytest.approx(expit(odds - step))
    assert figures["test_macro_f1_ci_high"] == pytest.approx(expit(odds + step))
    assert (figures["seeds"], figures["train_seconds"]) == (3.0, pytest.approx(5.4))
    two = tier_figures([stored(test_macro_f1=value) for value in values[:2]])
    assert "test_macro_f1_mean" in two
    assert "test_macro_f1_ci_low" not in two


def test_an_interval_stays_in_the_range_of_its_metric():
    figures = tier_figures([stored(test_roc_auc=v, test_log_loss=v, test_mcc=-v) for v in (0.8, 0.99, 0.99)])
    assert 0.99 < figures["test_roc_auc_ci_high"] < 1.0
    assert figures["test_log_loss_ci_high"] > 1.0
    assert -1.0 < figures["test_mcc_ci_low"] < -0.99


def test_a_metric_that_one_run_lacks_has_no_mean():
    figures = tier_figures([stored(test_mcc=0.5), stored(), stored(test_mcc=0.5, test_answered_classes=2.0)])
    assert "test_accuracy_mean" in figures
    assert not [name for name in figures if "mcc" in name or "answered" in name]
    assert tier_figures([]) == {}


def test_they_are_written_once_and_again_when_seeds_are_added(client):
    experiment = client.create_experiment("toy")

    def make(kind, **metrics):
        run = client.create_run(experiment, tags={names.KIND: kind, names.STUDY: "s"})
        for name, value in metrics.items():
            client.log_metric(run.info.run_id, name, value)
        return run.info.run_id

    sweep, finals = make(names.SWEEP), [make(names.FINAL_RUN, test_accuracy=0.5) for _ in range(2)]
    other = make(names.FINAL_RUN, test_accuracy=0.9)
    client.set_tag(other, names.STUDY, "another")
    rows = [Row("s", "default+tuned", finals), Row("another", "default", [other])]
    for _ in range(2):
        assert write_means(client, "toy", rows)
    found = client.get_run(sweep).data.metrics
    assert {name: found[name] for name in ("default_seeds", "tuned_seeds", "tuned_test_accuracy_mean")} == {
        "default_seeds": 2.0,
        "tuned_seeds": 2.0,
        "tuned_test_accuracy_mean": 0.5,
    }
    assert len(client.get_metric_history(sweep, "default_seeds")) == 1  # nothing new, nothing written
    third = make(names.FINAL_RUN, test_accuracy=0.8)
    assert write_means(client, "toy", [Row("s", "default", [*finals, third])])
    found = client.get_run(sweep).data.metrics
    assert (found["default_seeds"], found["tuned_seeds"]) == (3.0, 2.0)
    assert found["default_test_accuracy_mean"] == pytest.approx(0.6)
    assert {"default_test_accuracy_ci_low", "default_test_accuracy_ci_high"} <= found.keys()
