"""Training of scikit-learn pipelines: raw texts in, the same kind of result out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.dataset import View
from benchmark.models import load_builder
from benchmark.models.task import Task
from benchmark.spec.config import RunSpec
from benchmark.spec.result import EpochReport, Result, Status
from benchmark.training.saving import save_pipeline
from benchmark.training.scores import log_probabilities, score


def fit_pipeline(
    spec: RunSpec,
    task: Task,
    train: View,
    validation: View,
    result: Result,
    on_epoch: Callable[[EpochReport], Status | None],
) -> tuple[Callable[[View], NDArray[np.float32]], Callable[[Path], None]]:
    """Fit a pipeline in one step, which counts as one epoch, and note its scores.

    Parameters
    ----------
    spec : RunSpec
        Model, hyper-parameters and seeds; every ``random_state`` of the pipeline is set from them.
    task : Task
        Classes.
    train, validation : View
        Parts with their texts.
    result : Result
        Receives history and summaries.
    on_epoch : callable
        Told about the only epoch; its answer is of no use any more.

    Returns
    -------
    answer, save : callable
        How the pipeline answers a view, and how it is written into a folder.
    """
    pipeline = load_builder(spec.model, spec.model_digest)(task, **spec.hparams)
    state = np.random.RandomState(spec.seeds.init)
    seeded = {
        name: int(state.randint(2**31 - 1))
        for name in sorted(pipeline.get_params())
        if name.endswith("random_state")
    }
    pipeline.set_params(**seeded)
    texts = train.texts()
    started = time.perf_counter()
    pipeline.fit(texts, train.y)
    seconds = time.perf_counter() - started

    def answer(view: View) -> NDArray[np.float32]:
        return log_probabilities(pipeline, view.texts(), len(task.class_names))

    loss, accuracy = score(answer(train), train.y)
    val_loss, val_accuracy = score(answer(validation), validation.y)
    if not (math.isfinite(loss) and math.isfinite(val_loss)):
        result.status = "diverged"
    metrics = {
        "loss": loss,
        "accuracy": accuracy,
        "val_loss": val_loss,
        "val_accuracy": val_accuracy,
        "epoch_seconds": seconds,
    }
    result.history = {name: [value] for name, value in metrics.items()}
    result.best_epoch, result.best_val_accuracy, result.best_val_loss = 1, val_accuracy, val_loss
    result.train_seconds = time.perf_counter() - started
    result.examples_per_second = len(train.y) / seconds
    result.parameters = _weights(pipeline)
    result.compile, result.device = "scikit-learn", "cpu"
    on_epoch(EpochReport(1, 1, metrics, val_accuracy))
    return answer, lambda folder: save_pipeline(folder, pipeline, task.class_names)


def _weights(pipeline: Any) -> int:
    """Count the weights of all linear models in a pipeline."""
    last = pipeline.steps[-1][1]
    linear = [
        getattr(member, "steps", [(None, member)])[-1][1] for member in getattr(last, "estimators_", [last])
    ]
    return sum(int(model.coef_.size + model.intercept_.size) for model in linear if hasattr(model, "coef_"))
