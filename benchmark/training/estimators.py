"""Training of scikit-learn pipelines: raw texts in, the same kind of result out."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmark.data.dataset import View
from benchmark.models import load_builder
from benchmark.models.example_weights import fit_weighted
from benchmark.models.task import Task
from benchmark.spec.config import RunSpec
from benchmark.spec.result import Result
from benchmark.training.kept_counts import Counts, is_counted
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

    Attributes
    ----------
    spared : float
        Seconds that runs before have spared this one: counts of n-grams are kept, and the last pipeline
        that is deterministic, which another seed would fit again.
    """

    _last: ClassVar[tuple[object, Any, float]] = (None, None, 0.0)

    def __init__(self, spec: RunSpec, task: Task, train: View, result: Result) -> None:
        self.class_names, self.train, self.result = task.class_names, train, result
        self.balanced = spec.class_weight == "balanced"
        builder = load_builder(spec.model, spec.model_digest)
        self.model = builder(task, **spec.hparams)
        state = np.random.RandomState(spec.seeds.init)
        seeded = {
            name: int(state.randint(2**31 - 1))
            for name in sorted(self.model.get_params())
            if name.endswith("random_state")
        }
        self.model.set_params(**seeded)
        result.compile, result.device = "scikit-learn", "cpu"
        self._counts: Counts | None = None
        self._fitted: object = None
        self._spared = 0.0
        if not spec.model_digest:  # one of ours, which changes no counts that it is given
            if is_counted(self.model.steps[0][1]):
                self._counts = Counts(self.model.steps[0][1], train, spec.dataset_digest)
            if getattr(sys.modules[builder.__module__], "DETERMINISTIC", False):
                self._fitted = spec.config_id, train.rows.tobytes()

    @property
    def spared(self) -> float:
        """Seconds that runs before have spared this one."""
        return self._spared + (self._counts.spared if self._counts else 0.0)

    def epoch(self) -> dict[str, float]:
        """Fit the pipeline; return its scores on the training texts."""
        started, spared = time.perf_counter(), self.spared
        counts = self._counts.learned() if self._counts else None
        counting = time.perf_counter() - started + self.spared - spared
        key, model, seconds = PipelineLearner._last
        if self._fitted is not None and key == self._fitted:
            self.model, self._spared = model, seconds
        else:
            started = time.perf_counter()
            self._fit(self.train.texts() if counts is None else counts)
            seconds = time.perf_counter() - started
            PipelineLearner._last = self._fitted, self.model, seconds
        self.result.parameters = _weights(self.model)
        loss, accuracy = score(self.logits(self.train), self.train.y)
        return {"loss": loss, "accuracy": accuracy, "epoch_seconds": counting + seconds}

    def _fit(self, given: Any) -> None:
        """Fit the pipeline to texts, or what follows its first step to counts."""
        pipeline = self.model
        if self._counts:
            self.model.steps[0] = (self.model.steps[0][0], self._counts.step)
            pipeline = self.model[1:]
        if self.balanced:
            fit_weighted(pipeline, given, self.train.y, len(self.class_names))
        else:
            pipeline.fit(given, self.train.y)

    def logits(self, view: View) -> NDArray[np.float32]:
        """Return log probabilities, [n, classes]."""
        if self._counts:
            return log_probabilities(self.model[1:], self._counts.of(view), len(self.class_names))
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
