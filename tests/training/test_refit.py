"""Pipelines that are fitted again on training and validation texts for what is tested and stored."""

import numpy as np
import pytest

from benchmark.board.board import build_board
from benchmark.driver.further_seeds import changed
from benchmark.models.task import Task
from benchmark.models.tfidf_logreg import build
from benchmark.plan.run_specs import make_plan
from benchmark.serving.mlflow_model import Servable
from benchmark.spec.config import SweepConfig
from benchmark.support.errors import UserError
from benchmark.training.train import train

CONFIG = SweepConfig(budget="quick", trials=1, seeds=1, epochs=1, train_share=1.0)


def planned(dataset, model="tfidf-logreg", **changes):
    return make_plan(model, dataset, CONFIG.model_copy(update={"overrides": {"refit": True}, **changes}))


def test_it_is_trained_on_both_splits_and_its_validation_value_is_of_train_alone(sample, tmp_path):
    plan = planned(sample)
    spec = plan.final_specs(plan.default)[0]
    before = spec.model_copy(update={"refit": False})
    plain = train(before, sample, ledger=tmp_path / "ledger.jsonl")
    again = train(spec, sample, ledger=tmp_path / "ledger.jsonl", servable=tmp_path / "model")
    assert again.status == "ok", again.error
    assert again.best_val_accuracy == plain.best_val_accuracy
    assert (again.val_probabilities == plain.val_probabilities).all()
    assert again.figures["refit_texts"] == sample.sizes["train"] + sample.sizes["validation"]
    assert "refit_texts" not in plain.figures
    views = [sample.view(split, None) for split in ("train", "validation")]
    texts, labels = [text for view in views for text in view.texts()], np.concatenate([v.y for v in views])
    pipeline = build(Task(sample.class_names, 0, 0)).fit(texts, labels)
    few = texts[:50]
    np.testing.assert_allclose(
        Servable(tmp_path / "model").predict(few), pipeline.predict_proba(few), rtol=1e-4
    )
    assert (again.test_probabilities != plain.test_probabilities).any()
    trial = spec.model_copy(update={"kind": "trial"})
    assert "refit_texts" not in train(trial, sample).figures


def test_off_it_leaves_no_trace_and_on_it_is_another_run(sample):
    plain, other = make_plan("nbsvm", sample, CONFIG), planned(sample, "nbsvm")
    first, second = (plan.final_specs(plan.default)[0] for plan in (plain, other))
    assert first.spec_id != second.spec_id
    assert (first.spec_id, plain.study) == (
        make_plan("nbsvm", sample, CONFIG.model_copy(update={"overrides": {"refit": False}}))
        .final_specs(plain.default)[0]
        .spec_id,
        plain.study,
    )
    assert changed(first, second) == "refit was false and is true now"


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        ("avg-pool", {}, "'avg-pool' is a network, whose training is followed on the validation split"),
        ("nbsvm", {"train_examples": 100}, "`train_examples` says how many texts"),
    ],
)
def test_where_it_cannot_be_it_is_refused(sample, model, changes, message):
    with pytest.raises(UserError, match=message):
        planned(sample, model, **changes)


def test_the_board_says_on_how_many_texts():
    from board_samples import Reading, answers_of, runs

    finals = runs(0.8, 0.81, 0.82)
    plain = build_board(finals, {}, Reading(answers_of(finals))).board.rows[0]
    for one in finals:
        one.metrics["refit_texts"] = 25000.0
    row = build_board(finals, {}, Reading(answers_of(finals))).board.rows[0]
    assert (plain.refit_texts, row.refit_texts) == (None, 25000)
    assert "fitted again on training and validation texts, 25,000 in all" in row.notes[0]
    assert plain.notes == ()
