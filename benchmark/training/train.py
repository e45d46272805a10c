"""The one function that trains: run spec and data set in, result out."""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmark.data.cache import disk_is_full
from benchmark.data.dataset import Dataset, View
from benchmark.data.ledger_chain import Recorder, read_test_split
from benchmark.metrics.metric import ACCURACY, Metric, Predictions, get_metric
from benchmark.metrics.thresholds import best_threshold, metric_of_answers
from benchmark.models import importing
from benchmark.models.task import Task, reporter
from benchmark.spec.config import CompileMode, Deterministic, Device, RunSpec, TrainSettings
from benchmark.spec.result import BEST_VALUE, TEST_VALUE, EpochReport, Result, Status, figures_on_test
from benchmark.support.errors import Unfinished
from benchmark.training.devices import machine, set_up_device, threads
from benchmark.training.scores import probabilities, score

OnEpoch = Callable[[EpochReport], Status | None]
Measure = Callable[[Path, list[str]], dict[str, float]]

MOST_TEXTS = 256
"""Texts of the validation split on which a stored model is measured."""


def train(
    spec: RunSpec,
    dataset: Dataset,
    *,
    on_epoch: OnEpoch = lambda report: None,
    device: Device = "auto",
    compile: CompileMode = "auto",
    deterministic: Deterministic = "auto",
    ledger: Recorder | None = None,
    servable: Path | None = None,
    measure: Measure | None = None,
) -> Result:
    """Train one run and, for a final run, measure it on the test split.

    The same spec on the same machine gives bit-equal curves, where operations are deterministic.

    Parameters
    ----------
    spec : RunSpec
        Everything that determines the run.
    dataset : Dataset
        The prepared data set of the spec.
    on_epoch : callable
        Gets a report of each epoch; its answer is None, or the status with which the run is to end now, such
        as ``pruned``.
    device : {"auto", "cpu", "gpu"}
        Where to train.
    compile : {"auto", "fit", "graph", "numpy", "xla"}
        How epochs are run; ``auto`` is the fastest, see `benchmark.training.compile_mode.fastest_mode`.
    deterministic : {"auto", "on", "off"}
        Whether operations are deterministic, see `benchmark.training.determinism.set_determinism`.
    ledger : Path or callable, optional
        Ledger of test reads, or what records a read there; needed by final runs.
    servable : Path, optional
        Folder into which the trained model is written with its text processing.
    measure : callable, optional
        Gets that folder and texts of the validation split; what it returns are figures of the result.

    Returns
    -------
    Result
        With status ``ok``, ``diverged``, ``oom``, ``failed``, or the one that ``on_epoch`` gave. Mistakes
        of the code under test do not raise: they are results, too.

    Raises
    ------
    OSError or Unfinished
        When the disk is full, the ledger is not writable, or the data set or the folder for temporary files
        is gone: no run could end otherwise.
    """
    started = time.perf_counter()
    # Pipelines need no TensorFlow, which takes seconds to import.
    used = set_up_device(device) if spec.training else "cpu"
    result = Result("ok", device=used, machine=machine(), threads=threads())
    if spec.training:
        from benchmark.training.determinism import set_determinism

        result.deterministic = set_determinism(deterministic, result.device)
    try:
        with importing(spec.model, spec.model_digest):
            _train(spec, dataset, result, on_epoch, compile, ledger, servable, measure)
    except Exception as error:
        if disk_is_full(error) or isinstance(error, Unfinished):
            raise
        needed = (dataset.folder, Path(tempfile.gettempdir()))
        if isinstance(error, OSError) and not all(folder.exists() for folder in needed):
            raise
        _record_failure(result, error, spec)
    if not result.train_seconds:
        result.train_seconds = time.perf_counter() - started
    return result


class Learner(Protocol):
    """What is trained: a network or a pipeline, with its training texts.

    Attributes
    ----------
    model : keras.Model or sklearn.pipeline.Pipeline
        The one of both that it is.
    """

    model: Any

    @property
    def spared(self) -> float:
        """Seconds of computing that runs before have spared this one."""

    def epoch(self) -> dict[str, float]:
        """Train one epoch; return its ``loss``, ``accuracy`` and ``epoch_seconds``, a network's rate, too."""

    def logits(self, view: View) -> NDArray[np.float32]:
        """Return the logits of a view's texts, [n, n_outputs]."""

    def save(self, folder: Path, threshold: float | None) -> None:
        """Write it with its text processing, and the threshold of its answers."""


def _train(
    spec: RunSpec,
    dataset: Dataset,
    result: Result,
    on_epoch: OnEpoch,
    compile: CompileMode,
    ledger: Recorder | None,
    servable: Path | None,
    measure: Measure | None,
) -> None:
    train = share_of(dataset.view("train", spec.view), spec)
    validation = dataset.view("validation", spec.view)
    task = _task(dataset, spec, result)
    learner: Learner
    if spec.training is None:
        from benchmark.training.estimators import PipelineLearner

        learner = PipelineLearner(spec, task, train, result)
    else:
        from benchmark.training.network import NetworkLearner

        learner = NetworkLearner(spec, task, dataset, train, result, compile)
    _run_epochs(spec, result, learner, validation, on_epoch)
    speeds = [len(train.y) / seconds for seconds in result.history.get("epoch_seconds", ())]
    result.examples_per_second = float(np.median(speeds[1:] or speeds)) if speeds else None
    if result.status != "ok":
        return
    if spec.decision == "tuned":
        _tune(spec, result)
    if spec.kind == "final":
        if ledger is None:
            raise ValueError("a final run needs the ledger of test reads")
        if spec.refit:
            learner = _refitted(spec, task, train, validation, result)
        test = read_test_split(dataset, spec, ledger)
        logits = learner.logits(test)
        if not np.isfinite(logits).all():  # not a number is not the first class
            result.status = "diverged"
            return
        result.test_loss = score(logits, test.y).loss
        result.test_probabilities, result.test_labels = probabilities(logits), test.y
        # Of what is stored: in single precision, probabilities may be equal where logits are not.
        tested = Predictions(test.y, result.test_probabilities, result.threshold)
        result.test_accuracy = get_metric(ACCURACY).value(tested)
        _measure(result, tested)
    if servable is not None:
        try:
            learner.save(servable, result.threshold)
            result.servable = servable
        except Exception as error:  # a model that cannot be stored has been measured all the same
            if disk_is_full(error):
                raise
            result.error = traceback.format_exc()
    if result.servable is not None and measure is not None:
        with contextlib.suppress(Exception):  # what cannot be measured is worth no run
            result.figures |= measure(result.servable, _first_texts(validation))


def _refitted(spec: RunSpec, task: Task, train: View, validation: View, result: Result) -> Learner:
    """Fit a pipeline on training and validation texts; what was measured on the latter stays."""
    from benchmark.training.estimators import PipelineLearner

    x, y, rows = (
        np.concatenate([getattr(view, name) for view in (train, validation)]) for name in ("x", "y", "rows")
    )
    whole = View(x, y, rows, train.mapped)
    learner = PipelineLearner(spec, task, whole, result)
    result.train_seconds += learner.epoch()["epoch_seconds"]
    result.figures["refit_texts"] = float(len(whole.y))
    return learner


def _first_texts(view: View) -> list[str]:
    rows = view.rows[:MOST_TEXTS]
    return View(view.x[: len(rows)], view.y[: len(rows)], rows, view.mapped).texts()


def _tune(spec: RunSpec, result: Result) -> None:
    """Choose the threshold at the restored epoch; what the search sees of the run is its value there."""
    assert result.val_labels is not None
    assert result.val_probabilities is not None
    validation = Predictions(result.val_labels, result.val_probabilities)
    metric = metric_of_answers(spec.metric)
    result.threshold = best_threshold(validation, metric)
    result.figures["decision_threshold"] = result.threshold
    tuned = replace(validation, threshold=result.threshold)
    result.best_val_accuracy = get_metric(ACCURACY).value(tuned)
    if spec.metric == metric.name != ACCURACY:  # that of probabilities is the same at any threshold
        result.figures[BEST_VALUE.format(spec.metric)] = metric.value(tuned)


def _task(dataset: Dataset, spec: RunSpec, result: Result) -> Task:
    """Describe the data to a builder; what the builder reports goes into the result."""
    report = reporter(result.reports)
    settings = spec.view
    if settings is None:
        return Task(dataset.class_names, 0, 0, report=report)
    return Task(
        dataset.class_names,
        dataset.vocabulary_size(settings),
        dataset.length(settings),
        tuple(dataset.vocabulary(settings)),
        report,
        trim=spec.training is not None and spec.training.trim,
    )


def _measure(result: Result, test: Predictions) -> None:
    """Add every metric of the test predictions but the accuracy, which is there."""
    figures = figures_on_test(test)
    del figures[TEST_VALUE.format(ACCURACY)]
    result.figures |= figures


def _run_epochs(spec: RunSpec, result: Result, learner: Learner, validation: View, on_epoch: OnEpoch) -> None:
    """Train; with early stopping (``patience``), the best epoch's weights are restored at the end."""
    settings, metric = spec.training or TrainSettings(epochs=1, patience=None), get_metric(spec.metric)
    best, best_value, best_weights = (-math.inf, -math.inf), math.nan, None
    started = time.perf_counter()
    for number in range(1, settings.epochs + 1):
        metrics = learner.epoch()
        logits = learner.logits(validation)
        val_loss, val_accuracy = score(logits, validation.y)
        value = val_accuracy
        metrics |= {"val_loss": val_loss, "val_accuracy": val_accuracy}
        if metric.name != ACCURACY and math.isfinite(val_loss):
            value = metric.value(Predictions(validation.y, probabilities(logits)))
            metrics[f"val_{metric.name}"] = value
        for name, figure in metrics.items():
            result.history.setdefault(name, []).append(figure)
        result.train_seconds = time.perf_counter() - started
        if spec.kind == "final":  # what it costs without the runs before; a search counts what it has spent
            result.train_seconds += learner.spared
        if not (math.isfinite(metrics["loss"]) and math.isfinite(val_loss)):
            result.status = "diverged"
            return
        # Accuracy is coarse on a small validation split: the lower loss decides between equal ones.
        rank = (metric.sign * value if math.isfinite(value) else -math.inf, -val_loss)
        if rank > best:
            best, best_value, best_logits = rank, value, logits
            best_weights = learner.model.get_weights() if settings.patience else None
            _keep(result, metric, number, value, val_accuracy, val_loss)
        end = on_epoch(EpochReport(number, settings.epochs, metrics, best_value))
        if end is not None and spec.training is not None:  # a pipeline has nothing left to do
            result.status = end
            return
        if settings.patience and number - (result.best_epoch or number) >= settings.patience:
            break
    rising = spec.training is not None and result.best_epoch == settings.epochs
    if settings.patience:
        learner.model.set_weights(best_weights)
    else:
        best_value, best_logits = value, logits
        _keep(result, metric, number, value, val_accuracy, val_loss)
    if not math.isfinite(best_value):
        result.status = "diverged"
        return
    if spec.kind == "final":
        result.figures["rising"] = float(rising)
    if spec.kind == "final" or spec.decision == "tuned":
        result.val_probabilities, result.val_labels = probabilities(best_logits), validation.y


def _keep(
    result: Result, metric: Metric, number: int, value: float, val_accuracy: float, val_loss: float
) -> None:
    """Let an epoch be the one that the run ends with, as far as is known."""
    result.best_epoch, result.best_val_accuracy, result.best_val_loss = number, val_accuracy, val_loss
    if metric.name != ACCURACY and math.isfinite(value):
        result.figures[BEST_VALUE.format(metric.name)] = value


def share_of(view: View, spec: RunSpec) -> View:
    """Draw the spec's share or number of training texts, stratified, from the ``fewshot`` stream."""
    wanted = spec.train_examples or round(spec.train_share * len(view.y))
    if wanted >= len(view.y):
        return view
    generator = np.random.default_rng(spec.seeds.fewshot)
    order = generator.permutation(len(view.y))
    classes, counts = np.unique(view.y, return_counts=True)
    quotas = class_quotas(wanted, counts)
    chosen = [order[view.y[order] == label][:quota] for label, quota in zip(classes, quotas, strict=True)]
    rows = np.sort(np.concatenate(chosen))
    return View(view.x[rows], view.y[rows], view.rows[rows], view.mapped)


def class_quotas(wanted: int, counts: NDArray[np.integer]) -> NDArray[np.intp]:
    """Return how many of the wanted texts are of each class, given how many there are of each, [classes]."""
    exact = wanted * counts / counts.sum()
    quotas = np.floor(exact).astype(np.intp)
    quotas[np.argsort(quotas - exact, kind="stable")[: wanted - quotas.sum()]] += 1
    return quotas


def _record_failure(result: Result, error: Exception, spec: RunSpec) -> None:
    """Record an error, and give back the memory of the run and what was kept for the next one."""
    out_of_memory = isinstance(error, MemoryError)
    result.error = traceback.format_exc()
    if spec.training is not None:
        import tensorflow as tf

        from benchmark.training.network import release

        out_of_memory = out_of_memory or isinstance(error, tf.errors.ResourceExhaustedError)
        release()
    result.status = "oom" if out_of_memory else "failed"
