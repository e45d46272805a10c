"""The one function that trains: run spec and data set in, result out."""

from __future__ import annotations

import math
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.cache import disk_is_full
from benchmark.data.dataset import Dataset, View
from benchmark.data.ledger_chain import Recorder, read_test
from benchmark.models import importing
from benchmark.models.task import Task, reporter
from benchmark.spec.config import CompileMode, Device, RunSpec, TrainSettings, ViewSettings
from benchmark.spec.result import EpochReport, Result, Status
from benchmark.support.errors import Unfinished
from benchmark.training.devices import set_up_device, threads
from benchmark.training.scores import Score, probabilities, score

OnEpoch = Callable[[EpochReport], Status | None]


def train(
    spec: RunSpec,
    dataset: Dataset,
    *,
    on_epoch: OnEpoch = lambda report: None,
    device: Device = "auto",
    compile: CompileMode = "auto",
    ledger: Recorder | None = None,
    servable: Path | None = None,
) -> Result:
    """Train one run and, for a final run, measure it on the test part.

    The same spec on the same machine gives bit-equal curves.

    Parameters
    ----------
    spec : RunSpec
        Everything that determines the run.
    dataset : Dataset
        The prepared data set of the spec.
    on_epoch : callable
        Told about each epoch; its answer is None, or the status with which the run is to end now, such
        as ``pruned``.
    device : {"auto", "cpu", "gpu"}
        Where to train.
    compile : {"auto", "fit", "graph", "xla"}
        How epochs are run; ``auto`` is the fastest, see `benchmark.training.compile_mode.fastest_mode`.
    ledger : Path or callable, optional
        Ledger of test reads, or what records a read there; needed by final runs.
    servable : Path, optional
        Folder into which the trained model is written with its text processing.

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
    result = Result("ok", device=set_up_device(device), threads=threads())
    try:
        with importing(spec.model, spec.model_digest):
            _train(spec, dataset, result, on_epoch, compile, ledger, servable)
    except Exception as error:
        if disk_is_full(error) or isinstance(error, Unfinished):
            raise
        needed = (dataset.folder, Path(tempfile.gettempdir()))
        if isinstance(error, OSError) and not all(folder.exists() for folder in needed):
            raise
        result.status = "oom" if _out_of_memory(error) else "failed"
        result.error = traceback.format_exc()
        _forget()
    if not result.train_seconds:
        result.train_seconds = time.perf_counter() - started
    return result


def _train(
    spec: RunSpec,
    dataset: Dataset,
    result: Result,
    on_epoch: OnEpoch,
    compile: CompileMode,
    ledger: Recorder | None,
    servable: Path | None,
) -> None:
    train_part = share_of(dataset.view("train", spec.view), spec)
    validation = dataset.view("validation", spec.view)
    if spec.training is None:
        from benchmark.training.estimators import fit_pipeline

        task = _task(dataset, spec, result)
        answer, save = fit_pipeline(spec, task, train_part, validation, result, on_epoch)
    else:
        answer, save = _fit_network(spec, dataset, result, train_part, validation, on_epoch, compile)
    if result.status != "ok":
        return
    if spec.kind == "final":
        if ledger is None:
            raise ValueError("a final run needs the ledger of test reads")
        test = read_test(dataset, spec, ledger)
        logits = answer(test)
        if not np.isfinite(logits).all():  # not a number is not the first class
            result.status = "diverged"
            return
        result.test_loss, result.test_accuracy = score(logits, test.y)
        result.test_probabilities, result.test_labels = probabilities(logits), test.y
    if servable is not None:
        try:
            save(servable)
            result.servable = servable
        except Exception as error:  # a model that cannot be stored has been measured all the same
            if disk_is_full(error):
                raise
            result.error = traceback.format_exc()


Answer = Callable[[View], NDArray[np.float32]]
Save = Callable[[Path], None]


def _fit_network(
    spec: RunSpec,
    dataset: Dataset,
    result: Result,
    train: View,
    validation: View,
    on_epoch: OnEpoch,
    compile: CompileMode,
) -> tuple[Answer, Save]:
    """Train a Keras model; return how it answers a view, and how it is stored."""
    import tensorflow as tf

    from benchmark.training.compile_mode import fastest_mode
    from benchmark.training.epochs import Batches, bucketed, shuffled, text_lengths, trimmed
    from benchmark.training.network import build_model, make_network
    from benchmark.training.saving import save_servable

    settings, training = spec.view, spec.training
    assert training is not None
    count, size = len(train.y), training.batch_size
    side = settings.padding if settings and training.trim else ""
    task = _task(dataset, spec, result)
    x = _inputs(train, settings)

    def build() -> Any:
        return build_model(spec, task, math.ceil(count / size))

    mode = fastest_mode(spec, result.device or "cpu", build, x, train.y) if compile == "auto" else compile
    data, labels = tf.constant(x), tf.constant(train.y)
    network = make_network(spec, mode, build, data, labels)
    result.parameters, result.compile = int(network.model.count_params()), mode
    shuffle = np.random.default_rng(spec.seeds.shuffle)
    lengths = text_lengths(x) if side else None

    def next_batches() -> Batches:
        if lengths is None:
            return shuffled(shuffle, count, size)
        return bucketed(shuffle, lengths, size, side)

    def train_epoch() -> dict[str, float]:
        return network.epoch(data, labels, next_batches())

    def answer(view: View) -> NDArray[np.float32]:
        inputs = _inputs(view, settings)
        return trimmed(network.predict, side, inputs) if side else network.predict(inputs)

    def validate() -> Score:
        return score(answer(validation), validation.y)

    _run_epochs(training, result, network.model, train_epoch, validate, on_epoch)
    speeds = [count / seconds for seconds in result.history.get("epoch_seconds", ())]
    result.examples_per_second = float(np.median(speeds[1:] or speeds)) if speeds else None
    return answer, lambda folder: save_servable(folder, network.model, dataset, settings)


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


def _inputs(view: View, settings: ViewSettings | None) -> NDArray[Any]:
    """Return what a network reads: ids int32 [n, length], or raw texts as UTF-8, object [n]."""
    if settings is not None:
        return view.x
    return np.array([text.encode("utf-8") for text in view.texts()], dtype=object)


def _run_epochs(
    settings: TrainSettings,
    result: Result,
    model: Any,
    train_epoch: Callable[[], dict[str, float]],
    validate: Callable[[], Score],
    on_epoch: OnEpoch,
) -> None:
    """Train; with early stopping (``patience``), the best epoch's weights are restored at the end."""
    best, best_weights = (-math.inf, -math.inf), None
    started = time.perf_counter()
    for number in range(1, settings.epochs + 1):
        rate = float(model.optimizer.learning_rate)
        epoch_started = time.perf_counter()
        logs = train_epoch()
        seconds = time.perf_counter() - epoch_started
        val_loss, val_accuracy = validate()
        metrics = {
            "loss": logs["loss"],
            "accuracy": logs["accuracy"],
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
            "learning_rate": rate,
            "epoch_seconds": seconds,
        }
        for name, value in metrics.items():
            result.history.setdefault(name, []).append(value)
        result.train_seconds = time.perf_counter() - started
        if not (math.isfinite(logs["loss"]) and math.isfinite(val_loss)):
            result.status = "diverged"
            return
        # Accuracy is coarse on a small validation part: the lower loss decides between equal ones.
        if (val_accuracy, -val_loss) > best:
            best, best_weights = (val_accuracy, -val_loss), model.get_weights()
            result.best_epoch, result.best_val_accuracy, result.best_val_loss = number, val_accuracy, val_loss
        end = on_epoch(EpochReport(number, settings.epochs, metrics, best[0]))
        if end is not None:
            result.status = end
            return
        if settings.patience and number - (result.best_epoch or number) >= settings.patience:
            break
    if settings.patience:
        model.set_weights(best_weights)
    else:
        result.best_epoch, result.best_val_accuracy, result.best_val_loss = number, val_accuracy, val_loss


def share_of(part: View, spec: RunSpec) -> View:
    """Draw the spec's share or number of training texts, stratified, from the ``fewshot`` stream."""
    wanted = spec.train_examples or round(spec.train_share * len(part.y))
    if wanted >= len(part.y):
        return part
    generator = np.random.default_rng(spec.seeds.fewshot)
    order = generator.permutation(len(part.y))
    classes, counts = np.unique(part.y, return_counts=True)
    exact = wanted * counts / len(part.y)
    quotas = np.floor(exact).astype(int)
    quotas[np.argsort(quotas - exact, kind="stable")[: wanted - quotas.sum()]] += 1
    chosen = [order[part.y[order] == label][:quota] for label, quota in zip(classes, quotas, strict=True)]
    rows = np.sort(np.concatenate(chosen))
    return View(part.x[rows], part.y[rows], part.rows[rows], part.store)


def _forget() -> None:
    """Give back the memory of a run that failed, and what was kept for the next one."""
    from benchmark.training.network import release

    release()


def _out_of_memory(error: Exception) -> bool:
    import tensorflow as tf

    return isinstance(error, MemoryError | tf.errors.ResourceExhaustedError)
