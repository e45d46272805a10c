"""Weights of examples by their class: scikit-learn's, for every kind of last step that takes them."""

import numpy as np
import pytest
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight

from benchmark.models import load_builder
from benchmark.models.example_weights import balanced_weights, check_takes_weights, fit_weighted
from benchmark.models.task import Task
from benchmark.serving.mlflow_model import Servable
from benchmark.support.errors import UserError
from benchmark.training.saving_pipelines import save_pipeline


@pytest.fixture(scope="module")
def rare():
    """Texts of which a tenth are of the second class, and look much like the others."""
    generator = np.random.default_rng(0)
    labels = (np.arange(300) % 10 == 0).astype(np.int32)
    words = np.array([f"word{number}" for number in range(30)])
    texts = [" ".join(generator.choice(words[5:] if label else words[:-5], 6)) for label in labels]
    return texts, labels


def test_they_are_those_of_scikit_learn():
    labels = np.array([0, 0, 0, 1, 3, 3], np.int32)
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=labels)
    np.testing.assert_allclose(balanced_weights(labels, 4)[[0, 1, 3]], expected, rtol=1e-6)
    assert balanced_weights(labels, 4)[2] == 1  # without examples


def steps(*steps):
    return Pipeline([("tfidf", TfidfVectorizer()), *steps])


SCALED = (("scale", StandardScaler(with_mean=False)), ("logistic", LogisticRegression()))
VOTING = [("a", LogisticRegression()), ("b", MultinomialNB())]


@pytest.mark.parametrize(
    ("build", "step"),
    [
        (lambda: steps(("logistic", LogisticRegression())), "logistic"),
        (lambda: steps(*SCALED), "logistic"),  # whose first step would take weights, too
    ],
)
def test_a_last_step_that_takes_weights_gets_them_alone(rare, build, step):
    texts, labels = rare
    weights = balanced_weights(labels, 2)[labels]
    expected = build().fit(texts, labels, **{f"{step}__sample_weight": weights}).predict_proba(texts)
    weighted = build()
    fit_weighted(weighted, texts, labels, 2)
    np.testing.assert_array_equal(weighted.predict_proba(texts), expected)
    assert not np.allclose(build().fit(texts, labels).predict_proba(texts), expected, atol=0.1)


@pytest.mark.parametrize("model", ["majority", "tfidf-logreg", "nbsvm"])
def test_shipped_pipelines_answer_the_rare_class_more_often_and_can_be_stored(rare, tmp_path, model):
    texts, labels = rare
    plain, weighted = (load_builder(model)(Task(("common", "rare"), 0, 0)) for _ in range(2))
    check_takes_weights(weighted, model)
    plain.fit(texts, labels)
    fit_weighted(weighted, texts, labels, 2)
    rare_before, rare_after = (one.predict_proba(texts)[:, 1].mean() for one in (plain, weighted))
    assert rare_after > rare_before + 1e-4
    save_pipeline(tmp_path, weighted, ("common", "rare"))
    served = Servable(tmp_path).predict(texts)
    np.testing.assert_allclose(served, weighted.predict_proba(texts), atol=1e-6)


def test_steps_of_several_models(rare):
    texts, labels = rare
    plain, weighted = (steps(("vote", VotingClassifier(VOTING, voting="soft"))) for _ in range(2))
    plain.fit(texts, labels)
    check_takes_weights(weighted, "vote")
    fit_weighted(weighted, texts, labels, 2)
    assert weighted.predict_proba(texts)[:, 1].mean() > plain.predict_proba(texts)[:, 1].mean() + 0.1


def test_a_last_step_that_takes_none_is_refused(rare):
    near = steps(("near", KNeighborsClassifier()))
    with pytest.raises(UserError, match="KNeighborsClassifier, the last step of near, takes no weights"):
        check_takes_weights(near, "near")
    with pytest.raises(UserError, match="takes no weights"):
        fit_weighted(near, *rare, 2)
