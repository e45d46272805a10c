"""Majority: the class frequencies of the training split, whatever the text. The floor of every board.

Source: scikit-learn, `sklearn.dummy.DummyClassifier` with strategy "prior".
"""

from __future__ import annotations

from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline

from benchmark.models.task import Task

INPUT = "texts"
DETERMINISTIC = True


def build(task: Task) -> Pipeline:
    """Learn the frequency of each class.

    Parameters
    ----------
    task : Task
        Not needed.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Raw texts to probabilities.
    """
    return Pipeline([("prior", DummyClassifier(strategy="prior"))])
