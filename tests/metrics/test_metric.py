"""Metrics: scikit-learn's figures, and influences that are what leaving an example out changes."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as theirs

from benchmark.metrics.metric import METRICS, Predictions, all_metrics, get_metric, ranking_metrics
from benchmark.metrics.of_answers import by_class
from benchmark.metrics.of_probabilities import positive_class, unordered
from benchmark.support.errors import UserError

CLASSES = (2, 3, 12)


def predictions(classes: int, size: int = 500, seed: int = 0) -> Predictions:
    """Answers of some use, with ties among the probabilities, on classes of different sizes."""
    generator = np.random.default_rng(seed)
    shares = np.arange(1, classes + 1) / np.arange(1, classes + 1).sum()
    labels = generator.choice(classes, size, p=shares).astype(np.int32)
    weights = np.exp(generator.normal(size=(size, classes)) + (labels[:, None] == np.arange(classes)))
    rounded = np.round(weights / weights.sum(axis=1, keepdims=True), 2) + 1e-6
    return Predictions(labels, (rounded / rounded.sum(axis=1, keepdims=True)).astype(np.float32))


def expected(name: str, found: Predictions) -> float:
    labels, probabilities = found.labels, found.probabilities
    classes = np.arange(probabilities.shape[1])
    answers = probabilities.argmax(axis=1)
    two, positive = len(classes) == 2, positive_class(found)
    second = probabilities[:, 1] if two else probabilities
    return {
        "accuracy": lambda: theirs.accuracy_score(labels, answers),
        "balanced_accuracy": lambda: theirs.balanced_accuracy_score(labels, answers),
        "macro_f1": lambda: theirs.f1_score(labels, answers, average="macro"),
        "mcc": lambda: theirs.matthews_corrcoef(labels, answers),
        "roc_auc": lambda: theirs.roc_auc_score(labels, second, multi_class="ovr"),
        "average_precision": lambda: (
            theirs.average_precision_score(labels, probabilities[:, positive], pos_label=positive)
            if two
            else theirs.average_precision_score(labels, probabilities, average="macro")
        ),
        "log_loss": lambda: theirs.log_loss(labels, probabilities),
        "brier": lambda: theirs.brier_score_loss(labels, second),
    }[name]()


@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("name", ranking_metrics())
def test_values_are_those_of_scikit_learn_to_the_last_digit(name, classes):
    found = predictions(classes)
    assert get_metric(name).value(found) == expected(name, found)


@pytest.mark.parametrize("classes", CLASSES)
def test_figures_of_each_class_are_those_of_scikit_learn(classes):
    found = predictions(classes, 40)
    labels, answers = found.labels.copy(), found.answers.copy()
    labels[labels == 1], answers[answers == 0] = 0, classes - 1  # no example of one, no answer of another
    counts = theirs.confusion_matrix(labels, answers, labels=range(classes))
    expected = theirs.precision_recall_fscore_support(
        labels, answers, labels=range(classes), zero_division=0.0
    )
    for ours, sklearns in zip(by_class(counts), expected, strict=True):
        assert ours.tolist() == pytest.approx(sklearns.tolist(), abs=0, rel=1e-15)


@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("name", ranking_metrics())
def test_an_influence_is_what_leaving_the_example_out_changes(name, classes):
    found, metric = predictions(classes, 500 * classes), get_metric(name)
    values, n = metric.pseudo_values(found), len(found.labels)
    assert values.mean() == pytest.approx(metric.value(found), abs=1e-6)
    for row in range(0, n, n // 20):
        kept = np.arange(n) != row
        without = metric.value(Predictions(found.labels[kept], found.probabilities[kept]))
        changed = (n - 1) * (metric.value(found) - without)
        assert values[row] - metric.value(found) == pytest.approx(changed, abs=0.02 + 0.05 * abs(changed))


@pytest.mark.parametrize("classes", CLASSES)
def test_pseudo_values_of_accuracy_are_right_and_wrong(classes):
    found = predictions(classes)
    values = get_metric("accuracy").pseudo_values(found)
    np.testing.assert_allclose(values, found.answers == found.labels, atol=1e-12)


def test_the_area_has_the_variance_of_delong():
    """Of the placements of both classes, as in DeLong et al. (1988), by their own sums."""
    found = predictions(2)
    scores, positive = found.probabilities[:, 1].astype(float), found.labels == 1
    above = (scores[positive][:, None] > scores[~positive]) + 0.5 * (
        scores[positive][:, None] == scores[~positive]
    )
    variance = above.mean(axis=1).var() / positive.sum() + above.mean(axis=0).var() / (~positive).sum()
    values = get_metric("roc_auc").pseudo_values(found)
    assert values.var() / len(values) == pytest.approx(variance, rel=1e-9)


def test_a_class_without_examples():
    found = predictions(3)
    kept = found.labels != 1
    without = Predictions(found.labels[kept], found.probabilities[kept])
    for metric in all_metrics():
        defined = np.isfinite(metric.value(without))
        assert defined == (not metric.needs_all_classes), metric.name
        assert metric.absent_class
        if metric.influence is not None:
            assert (metric.pseudo_values(without) is not None) == defined
    problem = get_metric("roc_auc").unavailable(("a", "b", "c"), (5, 0, 5), "test")
    assert problem is not None
    assert problem.endswith("the test split has none of b")
    assert get_metric("macro_f1").unavailable(("a", "b", "c"), (5, 0, 5), "test") is None


def test_average_precision_is_of_the_rare_class():
    rare_first = Predictions(np.array([0, 1, 1, 1, 1], np.int32), np.full((5, 2), 0.5, np.float32))
    assert positive_class(rare_first) == 0
    rare_second = Predictions(np.array([1, 0, 0, 0, 0], np.int32), np.full((5, 2), 0.5, np.float32))
    assert positive_class(rare_second) == 1
    even = Predictions(np.array([1, 0, 1, 0], np.int32), np.full((4, 2), 0.5, np.float32))
    assert positive_class(even) == 1


def test_a_threshold_changes_answers_and_nothing_else():
    found = predictions(2)
    moved = Predictions(found.labels, found.probabilities, threshold=0.3)
    assert moved.answers.sum() > found.answers.sum()
    assert moved.confusion.sum() == len(found.labels)
    assert get_metric("roc_auc").value(moved) == get_metric("roc_auc").value(found)
    assert get_metric("macro_f1").value(moved) != get_metric("macro_f1").value(found)


def test_calibration_error_of_sure_answers_is_their_error():
    labels = np.array([0, 0, 0, 1], np.int32)
    sure = Predictions(labels, np.array([[1, 0]] * 4, np.float32))
    assert get_metric("ece").value(sure) == pytest.approx(0.25)


def test_a_wrong_name_and_one_that_ranks_nothing():
    with pytest.raises(UserError, match="did you mean 'macro_f1'"):
        get_metric("macro_f")
    with pytest.raises(UserError, match="ranks nothing"):
        get_metric("ece", to_rank=True)
    assert set(ranking_metrics()) == set(METRICS) - {"ece"}


@pytest.mark.parametrize("classes", CLASSES)
def test_chance_is_told_from_an_order(classes):
    """As often as a test at 5 % may be wrong, and never of a model that knows something."""
    assert not unordered(predictions(classes, 60))  # also where there are few texts
    blind = []
    for seed in range(100):
        found = predictions(classes, 200, seed)
        mixed = np.random.default_rng(seed).permutation(found.labels).astype(np.int32)
        blind.append(unordered(Predictions(mixed, found.probabilities)))
    assert 0.88 <= np.mean(blind) < 1
    same = np.full((60, classes), 1 / classes, np.float32)
    assert unordered(Predictions(predictions(classes, 60).labels, same))


def test_the_areas_are_those_that_the_test_of_mann_and_whitney_has():
    from scipy.stats import mannwhitneyu

    for seed in range(40):
        found = predictions(2, 40, seed)
        mixed = np.random.default_rng(seed).permutation(found.labels).astype(np.int32)
        scores = found.probabilities[:, 1]
        groups = scores[mixed == 1], scores[mixed == 0]
        p = mannwhitneyu(*groups, method="asymptotic", use_continuity=False).pvalue
        if abs(p - 0.05) > 0.01:  # ties change its variance a little
            assert unordered(Predictions(mixed, found.probabilities)) == (p > 0.05)
