"""Training of scikit-learn pipelines: raw texts in, the same kind of result out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.dataset import View
from benchmark.models import load_builder
from benchmark.models.example_weights import fit_weighted
from benchmark.models.task import Task
from benchmark.spec.config import RunSpec
from benchmark.spec.result import Result
from benchmark.training.saving_pipelines import save_pipeline
from benchmark.training.scores import log_probabilities, score


class PipelineLearner:
    """A pipeline that is fitted in one step, which counts as one epoch.

    Parameters
    ----------
    spec : RunSpec
        Model, hyper-parameters and seeds; every ``random_state`` of the pipeline is set from them.
    task : Task
        Classes.
    train : View
        Training texts.
    result : Result
        Receives what is known of the pipeline.
    """

    def __init__(self, spec: RunSpec, task: Task, train: View, result: Result) -> None:
        self.class_names, self.train, self.result = task.class_names, train, result
        self.balanced = spec.class_weight == "balanced"
        self.model = load_builder(spec.model, spec.model_digest)(task, **spec.hparams)
        state = np.random.RandomState(spec.seeds.init)
        seeded = {
            name: int(state.randint(2**31 - 1))
            for name in sorted(self.model.get_params())
            if name.endswith("random_state")
        }
        self.model.set_params(**seeded)
        result.compile, result.device = "scikit-learn", "cpu"

    def epoch(self) -> dict[str, float]:
        """Fit the pipeline; return its scores on the training texts."""
        texts = self.train.texts()
        started = time.perf_counter()
        if self.balanced:
            fit_weighted(self.model, texts, self.train.y, len(self.class_names))
        else:
            self.model.fit(texts, self.train.y)
        seconds = time.perf_counter() - started
        self.result.parameters = _weights(self.model)
        loss, accuracy = score(self.logits(self.train), self.train.y)
        return {"loss": loss, "accuracy": accuracy, "epoch_seconds": seconds}

    def logits(self, view: View) -> NDArray[np.float32]:
        """Return log probabilities, [n, classes]."""
        return log_probabilities(self.model, view.texts(), len(self.class_names))

    def save(self, folder: Path, threshold: float | None) -> None:
        """Write the pipeline, which brings its text processing."""
        save_pipeline(folder, self.model, self.class_names, threshold)


def _weights(pipeline: Any) -> int:
    """Count the weights of all linear models in a pipeline."""
    last = pipeline.steps[-1][1]
    linear = [
        getattr(member, "steps", [(None, member)])[-1][1] for member in getattr(last, "estimators_", [last])
    ]
    return sum(int(model.coef_.size + model.intercept_.size) for model in linear if hasattr(model, "coef_"))
