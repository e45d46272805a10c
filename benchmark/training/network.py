"""A model with its compiled epoch, kept while runs repeat its shapes, so that it is compiled once."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmark.data.dataset import Dataset, View
from benchmark.models import load_builder
from benchmark.models.example_weights import balanced_weights
from benchmark.models.task import Task
from benchmark.spec.config import CompileMode, Mode, Precision, RunSpec, TrainSettings
from benchmark.spec.result import Result
from benchmark.support.tensorflow_setup import quiet_stderr
from benchmark.training.batches import (
    TrainEpoch,
    bucketed,
    make_epoch,
    prepare,
    shuffled,
    text_lengths,
    trimmed,
)
from benchmark.training.compile_mode import fastest_mode
from benchmark.training.cudnn import cudnn_layers, limit_cudnn, masks_padding
from benchmark.training.devices import is_deterministic
from benchmark.training.kept_inputs import BATCH, Reads, cut
from benchmark.training.saving import is_known, save_servable, without_cudnn
from benchmark.training.scores import Predict, make_predict

_kept: list[Network] = []


@dataclass(frozen=True)
class Network:
    """A model that is ready to be trained.

    Attributes
    ----------
    key : str
        What it depends on beside its weights.
    model : keras.Model
        Compiled and built.
    epoch, predict : callable
        As `benchmark.training.batches.make_epoch` and `benchmark.training.scores.make_predict` give them.
    """

    key: str
    model: keras.Model
    epoch: TrainEpoch
    predict: Predict


class NetworkLearner:
    """A Keras model that is trained on ids, or on raw texts.

    Parameters
    ----------
    spec : RunSpec
        The run.
    task : Task
        Shapes and classes.
    dataset : Dataset
        Where the training texts are from.
    train : View
        Training texts.
    result : Result
        Receives what is known of the network.
    compile : {"auto", "fit", "graph", "numpy", "xla"}
        How epochs are run; ``auto`` is the fastest.
    """

    spared = 0.0

    def __init__(
        self, spec: RunSpec, task: Task, dataset: Dataset, train: View, result: Result, compile: CompileMode
    ) -> None:
        training = spec.training
        assert training is not None
        self.dataset, self.view, self.size = dataset, spec.view, training.batch_size
        self.side = spec.view.padding if spec.view and training.trim else ""
        balanced = spec.class_weight == "balanced"
        weights = balanced_weights(train.y, len(task.class_names)) if balanced else None
        steps = -(-len(train.y) // self.size)
        self.reads: Reads | None = None
        first: list[keras.Model] = []
        if spec.view is None:  # what the trained part reads is known once the network is built
            self.reads, built = build_model(spec, task, steps, weights)
            first.append(built)
        x = self._inputs(train)
        self.lengths = text_lengths(x) if self.side else None

        side = spec.view.padding if spec.view else None

        def build(xla: bool = False) -> keras.Model:
            model = first.pop() if first else build_model(spec, task, steps, weights)[1]
            limit_cudnn(model, x, side, training.precision, xla=xla)
            return model

        failures: list[str] = []
        mode: Mode = compile if compile != "auto" else "graph"
        if compile == "auto" and self.reads is None:
            mode = fastest_mode(spec, result.device, build, x, train.y, failures.append)
        result.compile_failures = "; ".join(failures)
        self.data = tf.constant(x), tf.constant(train.y)
        self.network = make_network(
            spec, mode, partial(build, mode == "xla"), *self.data, size=BATCH if self.reads else 0
        )
        self.model = self.network.model
        fixed = self.reads.model.count_params() if self.reads else 0
        result.parameters, result.compile = int(self.model.count_params() + fixed), mode
        self.shuffle = np.random.default_rng(spec.seeds.shuffle)

    def epoch(self) -> dict[str, float]:
        """Train one epoch; return its loss and accuracy, its learning rate and its seconds."""
        rate = float(self.model.optimizer.learning_rate)
        started = time.perf_counter()
        if self.lengths is None:
            batches = shuffled(self.shuffle, len(self.data[0]), self.size)
        else:
            batches = bucketed(self.shuffle, self.lengths, self.size, self.side)
        logs = self.network.epoch(*self.data, batches)
        seconds = time.perf_counter() - started
        return {
            "loss": logs["loss"],
            "accuracy": logs["accuracy"],
            "learning_rate": rate,
            "epoch_seconds": seconds,
        }

    def logits(self, view: View) -> NDArray[np.float32]:
        """Return the logits of a view's texts, [n, n_outputs]."""
        inputs = self._inputs(view)
        # Another split may have an empty text, which cuDNN refuses where padding is masked.
        masked = cudnn_layers(self.model) and masks_padding(self.model)
        with without_cudnn(self.model) if masked else nullcontext():
            return self._predicted(inputs)

    def _predicted(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        return trimmed(self.network.predict, self.side, inputs) if self.side else self.network.predict(inputs)

    def save(self, folder: Path, threshold: float | None) -> None:
        """Write the network with its text processing."""
        reads = self.reads.model if self.reads else None
        model = keras.Model(reads.input, self.model(reads.output)) if reads else self.model
        save_servable(folder, model, self.dataset, self.view, threshold)

    def _inputs(self, view: View) -> NDArray[Any]:
        """Return what the network reads: ids int32 [n, length], texts as UTF-8, object [n], or kept."""
        if self.view is not None:
            return view.x
        if self.reads is not None:
            return self.reads.of(self.dataset, view.texts())
        return np.array([text.encode("utf-8") for text in view.texts()], dtype=object)


def make_network(
    spec: RunSpec, mode: Mode, build: Callable[[], keras.Model], x: tf.Tensor, y: tf.Tensor, size: int = 0
) -> Network:
    """Return the network of a run, as fresh as if it had just been built.

    Where the run before had the same shapes, its compiled functions are used again, with the weights,
    the optimizer's state and the random states of a model built for this run.

    Parameters
    ----------
    spec : RunSpec
        The run.
    mode : {"fit", "graph", "numpy", "xla"}
        How epochs are run.
    build : callable
        Returns a model compiled for the run.
    x : tf.Tensor, int32 [n, length] or strings [n]
        Training inputs.
    y : tf.Tensor, int32 [n]
        Labels.
    size : int
        Texts that are predicted at a time; 0 for as many as are fastest.
    """
    model = build()
    prepare(model, x, y)
    key = _key(spec, mode, model, x)
    if _kept and _kept[0].key == key:
        for old, new in zip(_state(_kept[0].model), _state(model), strict=True):
            old.assign(new.value)
        return _kept[0]
    release()
    network = Network(key, model, make_epoch(model, mode), make_predict(model, size))
    if all(is_known(layer) for layer in model._flatten_layers(include_self=False)):
        _kept.append(network)
    return network


def release() -> None:
    """Give back what is kept, and what Keras remembers of previous models."""
    _kept.clear()
    keras.backend.clear_session()
    gc.collect()


def _key(spec: RunSpec, mode: Mode, model: keras.Model, x: tf.Tensor) -> str:
    """Return all that the compiled functions depend on."""
    training = spec.training
    assert training is not None
    parts = [spec.model, spec.model_digest, spec.hparams, mode, training.optimizer, training.batch_size]
    parts += [training.trim, training.precision, x.shape.as_list(), x.dtype.name]
    parts += [is_deterministic(), len(cudnn_layers(model))]
    parts += [[list(variable.shape) for variable in model.variables]]
    if isinstance(model.loss, _Weighted):  # its weights are constants of the graph
        parts += [model.loss.weights.tolist()]
    if training.schedule != "constant" or training.warmup:  # then the learning rate is a part of the graph
        parts += [training.schedule, training.learning_rate, training.epochs, training.warmup]
    if training.weight_decay is not None:
        parts += [training.weight_decay]
    return json.dumps(parts)


def _state(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]


class _Weighted(keras.losses.Loss):
    """A loss times the weight of each example's class, as `fit` with ``class_weight`` computes it."""

    def __init__(self, loss: keras.losses.Loss, weights: NDArray[np.float32]) -> None:
        super().__init__()
        self.loss, self.weights = loss, weights

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each example."""
        classes = keras.ops.reshape(keras.ops.cast(y_true, "int32"), [-1])
        return self.loss.call(y_true, y_pred) * keras.ops.take(self.weights, classes)


_OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "nadam": keras.optimizers.Nadam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}


def build_model(
    spec: RunSpec, task: Task, steps_per_epoch: int, weights: NDArray[np.float32] | None = None
) -> tuple[Reads | None, keras.Model]:
    """Build the spec's architecture, seed its streams, and compile what is trained of it for the task.

    Parameters
    ----------
    spec : RunSpec
        Model, hyper-parameters, training settings and seeds.
    task : Task
        Shapes and classes.
    steps_per_epoch : int
        For the learning-rate schedule.
    weights : ndarray of float32, shape [classes], or None
        How much an example of each class counts in the loss; None for all the same.

    Returns
    -------
    Reads or None
        What comes before, where that never changes.
    keras.Model
        With loss and metric by number of classes; for two, logits above 0 mean the second.
    """
    assert spec.training is not None
    keras.utils.set_random_seed(spec.seeds.init)
    with quiet_stderr(), _computed_in(spec.training.precision):
        model = load_builder(spec.model, spec.model_digest)(task, **spec.hparams)
    _check_outputs(model, spec.model, task)
    if isinstance(model.layers[-1], keras.layers.Dense):  # logits are worth all their digits
        model.layers[-1].dtype_policy = "float32"
    reads, model = cut(model)
    _seed_dropout(model, spec.seeds.dropout)
    if task.n_outputs == 1:
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        accuracy = keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        accuracy = keras.metrics.SparseCategoricalAccuracy("accuracy")
    if weights is not None:
        loss = _Weighted(loss, weights)
    optimizer = _optimizer(spec.training, steps_per_epoch)
    if spec.training.weight_decay is not None:
        plain = [weight for weight in model.trainable_variables if weight.name in ("bias", "gamma", "beta")]
        optimizer.exclude_from_weight_decay(var_list=plain)
    # XLA is a way of its own; left to choose, Keras takes it where operations are not deterministic.
    model.compile(optimizer=optimizer, loss=loss, metrics=[accuracy], jit_compile=False)
    return reads, model


def _check_outputs(model: Any, name: str, task: Task) -> None:
    """Refuse what cannot be trained, and probabilities, which would be taken for logits."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"{name} gives {type(model).__name__}, expected a keras.Model")
    shape, expected = model.output_shape, f"{task.n_outputs} logits for {len(task.class_names)} classes"
    if not isinstance(shape, tuple) or len(shape) != 2:
        raise ValueError(
            f"{name} gives outputs of shape {shape}, expected (None, {task.n_outputs}): {expected}"
        )
    if shape[-1] != task.n_outputs:
        raise ValueError(f"{name} gives {shape[-1]} outputs, expected {expected}")
    last = getattr(getattr(model.layers[-1], "activation", None), "__name__", type(model.layers[-1]).__name__)
    if last.lower() in ("sigmoid", "softmax"):
        raise ValueError(
            f"{name} ends with {last}, which gives probabilities; expected {expected}, without it"
        )


@contextmanager
def _computed_in(precision: Precision) -> Iterator[None]:
    """Let layers that are made meanwhile compute in a precision; their weights are float32 in any case."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision if precision == "float32" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _seed_dropout(model: keras.Model, seed: int) -> None:
    """Give every random layer a separate state from the dropout stream, apart from initialisation."""
    states = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    for state, child in zip(states, np.random.SeedSequence(seed).spawn(len(states)), strict=True):
        state.assign(child.generate_state(2).astype(state.dtype))


def _optimizer(settings: TrainSettings, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    rate, steps = settings.learning_rate, settings.epochs * steps_per_epoch
    rising = round(settings.warmup * steps)
    if settings.schedule == "linear":
        rate = keras.optimizers.schedules.PolynomialDecay(rate, steps - rising, 0.0)
    elif settings.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps - rising)
    elif settings.schedule == "exponential":
        rate = keras.optimizers.schedules.ExponentialDecay(rate, steps - rising, 0.1)
    rate = _WarmUp(settings.learning_rate, rising, rate) if rising else rate
    decay = {} if settings.weight_decay is None else {"weight_decay": settings.weight_decay}
    return _OPTIMIZERS[settings.optimizer](rate, **decay)


class _WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises evenly over the first steps, and then is as its schedule says."""

    def __init__(self, rate: float, steps: int, then: Any) -> None:
        self.rate, self.steps, self.then = rate, steps, then

    def __call__(self, step: Any) -> Any:
        """Return the rate of a step, counted from 0."""
        step = keras.ops.cast(step, "float32")
        after = keras.ops.maximum(step - self.steps, 0.0)
        then = self.then(after) if callable(self.then) else self.then
        return keras.ops.where(step < self.steps, self.rate * (step + 1) / self.steps, then)

    def get_config(self) -> dict[str, Any]:
        """Return what makes the schedule again."""
        return {"rate": self.rate, "steps": self.steps, "then": self.then}
