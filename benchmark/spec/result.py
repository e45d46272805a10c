"""What comes out of a run; free of TensorFlow, so that any process can hold it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.metric import Predictions, finite_values

Status = Literal["ok", "pruned", "diverged", "timeout", "oom", "failed", "interrupted"]

BEST_VALUE, TEST_VALUE = "best_val_{}", "test_{}"
"""Names of a metric's values: on the validation split at the restored epoch, and on the test split."""


def figures_on_test(test: Predictions) -> dict[str, float]:
    """Return every metric that has a finite value on a test split, and how many classes are answered."""
    figures = {TEST_VALUE.format(name): value for name, value in finite_values(test).items()}
    return {**figures, "test_answered_classes": float(len(np.unique(test.answers)))}


class EpochReport(NamedTuple):
    """What is known at the end of an epoch.

    Attributes
    ----------
    epoch, epochs : int
        Number of this epoch, from 1, and the most there can be.
    metrics : dict of str to float
        ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``, ``learning_rate``, ``epoch_seconds``, and
        ``val_<metric>`` of the run's metric.
    best_value : float
        The run's metric on the validation split in the best epoch so far, which is what the run would end
        with; NaN where it had none yet.
    """

    epoch: int
    epochs: int
    metrics: dict[str, float]
    best_value: float


@dataclass(frozen=True)
class TrialEnd:
    """What the search needs to know of a result, also when it learns of it later.

    Attributes
    ----------
    status : str
        As in `Result`.
    value : float or None
        The metric on the validation split at the restored epoch.
    seconds : float
        Training time.
    config_id : str or None
        Its configuration, where that is known.
    """

    status: str
    value: float | None
    seconds: float
    config_id: str | None = None


@dataclass
class Result:
    """A finished run.

    Attributes
    ----------
    status : str
        ``ok``, ``pruned``, ``diverged`` (a loss that is not finite), ``failed``, …
    history : dict of str to list of float
        Metrics by epoch.
    best_epoch : int or None
        The epoch whose weights were restored, from 1.
    best_val_accuracy, best_val_loss : float or None
        At that epoch.
    test_accuracy, test_loss : float or None
        Final runs only.
    test_probabilities : ndarray of float32, shape [n, classes], or None
        Of every test text, in the order of the split.
    test_labels : ndarray of int32, shape [n], or None
        True classes.
    val_probabilities, val_labels : ndarray, or None
        The same of the validation split at the restored epoch; final runs only.
    figures : dict of str to float
        What is measured beside the accuracy: ``best_val_<metric>`` of the run's metric; of final runs
        ``test_<metric>`` of every registered one that has a finite value, how many different classes are
        answered (``test_answered_classes``), and whether the curve was still ``rising`` at the last epoch;
        the ``decision_threshold``; on how many texts a pipeline was fitted again (``refit_texts``); of a
        stored model ``predict_ms`` (a text at a time) and ``predict_texts_per_second`` (256 texts at a time).
    parameters : int or None
        Trainable and frozen weights.
    train_seconds : float
        Wall time of the epochs, compilation included.
    examples_per_second : float or None
        Training examples a second in the median epoch, compilation left out where possible.
    threshold : float or None
        Of two classes the second is answered from this probability on, where that was chosen (`decision`).
    reports : dict of str to float
        Figures that the architecture's builder gave about itself.
    device : str
        ``cpu`` or the GPU's name.
    machine : str
        The processor, with the cores that may be used: seconds are compared on one machine only.
    compile : str
        How the epochs were run: ``fit``, ``graph``, ``numpy`` or ``xla``.
    compile_failures : str
        Ways that failed when it was measured which is the fastest, each with its error.
    deterministic : {"on", "off", ""}
        Whether a network's operations were deterministic; empty for pipelines, and where that is unknown.
    threads : int or None
        Threads that an operation used.
    workers : int
        Runs that may have been under way side by side.
    error : str
        Traceback of a failed run, or of the storing of a model that could not be stored.
    servable : Path or None
        Folder of the servable model, if one was asked for.
    """

    status: Status
    history: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int | None = None
    best_val_accuracy: float | None = None
    best_val_loss: float | None = None
    test_accuracy: float | None = None
    test_loss: float | None = None
    test_probabilities: NDArray[np.float32] | None = None
    test_labels: NDArray[np.int32] | None = None
    val_probabilities: NDArray[np.float32] | None = None
    val_labels: NDArray[np.int32] | None = None
    figures: dict[str, float] = field(default_factory=dict)
    parameters: int | None = None
    train_seconds: float = 0.0
    examples_per_second: float | None = None
    threshold: float | None = None
    reports: dict[str, float] = field(default_factory=dict)
    device: str = ""
    machine: str = ""
    compile: str = ""
    compile_failures: str = ""
    deterministic: str = ""
    threads: int | None = None
    workers: int = 1
    error: str = ""
    servable: Path | None = None

    def figure(self, name: str) -> float | None:
        """Return a figure by the name that MLflow has for it, such as ``best_val_macro_f1``."""
        return self.figures.get(name, getattr(self, name, None))

    @property
    def error_line(self) -> str:
        """The line of the traceback that names the error; Keras lets others follow it."""
        lines = self.error.strip().splitlines()
        named = [line for line in lines if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt): ", line)]
        return (named or lines or [""])[-1]

    @property
    def epochs_run(self) -> int:
        """Epochs that came to their end."""
        return len(self.history.get("loss", ()))
