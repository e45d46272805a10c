"""The threshold with the best value on the validation split, and nothing random about it."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from benchmark.metrics.metric import Predictions, get_metric
from benchmark.metrics.thresholds import MOST_CANDIDATES, best_threshold, metric_of_answers


def predictions(scores, labels):
    scores = np.array(scores, np.float32)
    return Predictions(np.array(labels, np.int32), np.stack([1 - scores, scores], axis=1))


def rare(size, share=0.05):
    generator = np.random.default_rng(0)
    labels = (generator.random(size) < share).astype(int)
    return predictions(1 / (1 + np.exp(4 - generator.normal(2 * labels))), labels)


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "macro_f1", "mcc"])
def test_it_is_the_best_of_all_that_differ(name):
    found, metric = rare(150), get_metric(name)
    every = [metric.value(replace(found, threshold=one)) for one in [*found.probabilities[:, 1], 0.5]]
    best = metric.value(replace(found, threshold=best_threshold(found, metric)))
    assert best == pytest.approx(max(every))
    assert best >= metric.value(found)


def test_of_many_texts_few_are_tried_and_the_rare_class_is_looked_at_closely(monkeypatch):
    found, metric = rare(20_000, 0.01), get_metric("macro_f1")
    scores, labels = found.probabilities[:, 1], found.labels
    tried = []
    counting = replace(metric, of_predictions=lambda one: tried.append(1) or metric.of_predictions(one))
    chosen = metric.value(replace(found, threshold=best_threshold(found, counting)))
    assert len(tried) <= MOST_CANDIDATES + 1
    grid = np.quantile(scores, np.linspace(0.9, 1, 300))
    best = max(f1_score(labels, scores >= one, average="macro") for one in grid)
    assert metric.value(found) < 0.6 < best - 0.02 < chosen


def test_equal_values_are_decided_by_the_distance_to_a_half():
    assert best_threshold(predictions([0.1, 0.3, 0.7, 0.9], [0, 0, 1, 1]), get_metric("accuracy")) == 0.5
    found = best_threshold(predictions([0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1]), get_metric("accuracy"))
    assert found == pytest.approx(0.25)
    assert best_threshold(predictions([0.2, 0.2], [0, 1]), get_metric("macro_f1")) == 0.5
    # Neighbours in single precision have nothing between them.
    low = np.float32(0.1)
    near = predictions([low, np.nextafter(low, np.float32(1))], [0, 1])
    one = best_threshold(near, get_metric("accuracy"))
    assert replace(near, threshold=one).answers.tolist() == [0, 1]


def test_a_metric_of_probabilities_has_none_of_its_own():
    assert metric_of_answers("macro_f1").name == "macro_f1"
    assert metric_of_answers("roc_auc").name == metric_of_answers("log_loss").name == "balanced_accuracy"
