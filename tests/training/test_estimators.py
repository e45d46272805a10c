"""scikit-learn pipelines run in the same sweep, with the same honesty."""

import json

import numpy as np
import pytest
import skops.io
from ledgers import reads
from run_specs import pipeline_spec
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from benchmark.data.dataset import MappedTexts
from benchmark.models import load_builder
from benchmark.models.task import Task
from benchmark.serving.mlflow_model import Servable
from benchmark.training.saving_pipelines import save_pipeline
from benchmark.training.scores import log_probabilities
from benchmark.training.train import train

PIPELINES = ("majority", "tfidf-logreg", "linear-words", "linear-characters", "nbsvm")


@pytest.mark.parametrize("model", PIPELINES)
def test_a_pipeline_is_measured_stored_and_answers_as_it_was_evaluated(sample, tmp_path, model):
    spec = pipeline_spec(sample, model)
    result = train(spec, sample, ledger=tmp_path / "ledger.jsonl", servable=tmp_path / "model")
    assert result.status == "ok", result.error
    assert reads(tmp_path / "ledger.jsonl") == {model: 1}
    assert result.history["val_accuracy"] == [result.best_val_accuracy]
    texts = MappedTexts(sample.folder / "test").texts(np.arange(sample.sizes["test"]))
    answers = Servable(tmp_path / "model").predict(texts)
    np.testing.assert_allclose(answers, result.test_probabilities, rtol=1e-5, atol=1e-7)
    agreed = (answers.argmax(axis=1) == result.test_labels).mean()
    assert result.test_accuracy == pytest.approx(agreed)
    again = train(spec, sample, ledger=tmp_path / "ledger.jsonl")
    assert (again.test_probabilities == result.test_probabilities).all()


@pytest.mark.long
def test_their_order_on_the_built_in_data(sample, tmp_path):
    """Order of words matters there, so pairs of words help; nothing beats the ceiling."""
    from benchmark.data.sample import CEILING

    accuracy = {
        model: train(pipeline_spec(sample, model), sample, ledger=tmp_path / "ledger.jsonl").test_accuracy
        for model in PIPELINES
    }
    assert accuracy["majority"] == pytest.approx(0.5, abs=0.01)
    assert 0.6 < accuracy["tfidf-logreg"] < CEILING
    assert 0.7 < accuracy["nbsvm"] < CEILING


@pytest.mark.parametrize("model", PIPELINES)
def test_three_classes(three_classes, tmp_path, model):
    spec = pipeline_spec(three_classes, model)
    result = train(spec, three_classes, ledger=tmp_path / "ledger.jsonl", servable=tmp_path / "model")
    assert result.status == "ok", result.error
    assert result.test_probabilities.shape == (100, 3)
    assert result.test_accuracy > (0.3 if model == "majority" else 0.95)
    assert Servable(tmp_path / "model").predict(["some tea please"]).shape == (1, 3)


@pytest.mark.parametrize(
    ("model", "hparams"),
    [
        ("tfidf-logreg", {"analyzer": "characters"}),
        ("tfidf-logreg", {"token_pattern": "all"}),
        ("tfidf-logreg", {"tokens": "words"}),
        ("nbsvm", {"tokens": "unicode_words"}),
    ],
)
def test_stored_with_other_tokens_it_answers_as_it_was_evaluated(three_classes, tmp_path, model, hparams):
    spec = pipeline_spec(three_classes, model, **hparams)
    result = train(spec, three_classes, ledger=tmp_path / "l", servable=tmp_path / "model")
    assert result.servable is not None, result.error
    texts = MappedTexts(three_classes.folder / "test").texts(np.arange(three_classes.sizes["test"]))
    answers = Servable(tmp_path / "model").predict(texts)
    np.testing.assert_allclose(answers, result.test_probabilities, rtol=1e-5, atol=1e-7)


def test_short_words_and_symbols_count():
    words = load_builder("linear-words")(Task(("a", "b"), 0, 0), min_count=1)
    words.fit(["I ? 👍", "x y", "I 👍", "y z"], [0, 1, 0, 1])
    assert {"i", "?", "👍", "? 👍"} <= words.steps[0][1].vocabulary_.keys()


def test_parameters_are_counted(three_classes, tmp_path):
    result = train(
        pipeline_spec(three_classes, "tfidf-logreg", ngrams=1, min_count=1),
        three_classes,
        ledger=tmp_path / "l",
    )
    words = {word for row in three_classes.view("train", None).texts() for word in row.split()}
    assert result.parameters == 3 * (len(words) + 1)


def test_few_examples_are_drawn_by_seed(sample, tmp_path):
    accuracies = {
        train(
            pipeline_spec(sample, "tfidf-logreg", examples=100, seed=seed, min_count=1),
            sample,
            ledger=tmp_path / "l",
        ).test_accuracy
        for seed in range(3)
    }
    assert len(accuracies) > 1


def test_a_stored_pipeline_with_foreign_types_is_refused(tmp_path):
    pipeline = Pipeline([("shout", FunctionTransformer(json.dumps))])
    with pytest.raises(ValueError, match="not to be trusted"):  # it could not be loaded
        save_pipeline(tmp_path, pipeline, ("a", "b"))
    (tmp_path / "text.json").write_text('{"standardizer": 1, "class_names": ["a", "b"]}')
    assert skops.io.get_untrusted_types(file=tmp_path / "pipeline.skops")
    with pytest.raises(ValueError, match="not to be trusted"):
        Servable(tmp_path)


class Answering(BaseEstimator, ClassifierMixin):
    """Gives probabilities that a test wants, whatever was learned."""

    def __init__(self, columns=2, value=0.5, classes=(0, 1)):
        self.columns, self.value, self.classes = columns, value, classes

    def fit(self, texts, labels):
        self.classes_ = np.array(self.classes)
        return self

    def predict_proba(self, texts):
        return np.full((len(texts), self.columns), self.value)


@pytest.mark.parametrize("wrong", [{"columns": 3}, {"classes": (1, 0)}])
def test_probabilities_that_are_not_a_column_for_each_class_in_order_are_refused(wrong):
    pipeline = Pipeline([("answering", Answering(**wrong))]).fit(["a", "b"], [0, 1])
    with pytest.raises(ValueError, match="expected"):
        log_probabilities(pipeline, ["a", "b"], 2)


def test_a_pipeline_that_gives_no_numbers_has_diverged(sample, monkeypatch):
    pipeline = Pipeline([("answering", Answering(value=float("nan")))])
    monkeypatch.setattr("benchmark.training.estimators.load_builder", lambda *_: lambda task: pipeline)
    result = train(pipeline_spec(sample, "majority", kind="trial"), sample)
    assert result.status == "diverged"
