"""A model with its compiled epoch, kept while runs repeat its shapes, so that it is compiled once."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmark.models import load_builder
from benchmark.models.task import Task
from benchmark.spec.config import Mode, Precision, RunSpec, TrainSettings
from benchmark.support.tensorflow_setup import quiet_stderr
from benchmark.training.epochs import TrainEpoch, make_epoch, prepare
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
        As `benchmark.training.epochs.make_epoch` and `benchmark.training.scores.make_predict` give them.
    """

    key: str
    model: keras.Model
    epoch: TrainEpoch
    predict: Predict


def make_network(
    spec: RunSpec, mode: Mode, build: Callable[[], keras.Model], x: tf.Tensor, y: tf.Tensor
) -> Network:
    """Return the network of a run, as fresh as if it had just been built.

    Where the run before had the same shapes, its compiled functions are used again, with the weights,
    the optimizer's state and the random states of a model built for this run.

    Parameters
    ----------
    spec : RunSpec
        The run.
    mode : {"fit", "graph", "xla"}
        How epochs are run.
    build : callable
        Returns a model compiled for the run.
    x : tf.Tensor, int32 [n, length] or strings [n]
        Training inputs.
    y : tf.Tensor, int32 [n]
        Labels.
    """
    model = build()
    prepare(model, x, y)
    key = _key(spec, mode, model, x)
    if _kept and _kept[0].key == key:
        _take_over(_kept[0].model, model)
        return _kept[0]
    release()
    network = Network(key, model, make_epoch(model, mode), make_predict(model))
    if _is_plain(model):
        _kept.append(network)
    return network


def release() -> None:
    """Give back what is kept, and what Keras remembers of earlier models."""
    _kept.clear()
    keras.backend.clear_session()
    gc.collect()


def _key(spec: RunSpec, mode: Mode, model: keras.Model, x: tf.Tensor) -> str:
    """Return all that the compiled functions depend on."""
    training = spec.training
    assert training is not None
    parts = [spec.model, spec.model_digest, spec.hparams, mode, training.optimizer, training.batch_size]
    parts += [training.trim, training.precision, x.shape.as_list(), x.dtype.name]
    parts += [[list(variable.shape) for variable in model.variables]]
    if training.schedule != "constant":  # then the learning rate is a part of the graph
        parts += [training.schedule, training.learning_rate, training.epochs]
    return json.dumps(parts)


def _take_over(kept: keras.Model, fresh: keras.Model) -> None:
    """Give a kept model the whole state of a fresh one of the same key."""
    for old, new in zip(_state(kept), _state(fresh), strict=True):
        old.assign(new.value)


def _state(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]


def _is_plain(model: keras.Model) -> bool:
    """Whether all that a model remembers is in Keras's variables: its layers are Keras's or ours."""
    layers = model._flatten_layers(include_self=False)
    return all(
        type(layer).__module__.startswith(("keras.", "benchmark.models.")) and not isinstance(layer, _FOREIGN)
        for layer in layers
    )


_FOREIGN = (keras.layers.Lambda, keras.layers.TFSMLayer)


_OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "nadam": keras.optimizers.Nadam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}


def build_model(spec: RunSpec, task: Task, steps_per_epoch: int) -> keras.Model:
    """Build the spec's architecture, seed its streams, and compile it for the task.

    Parameters
    ----------
    spec : RunSpec
        Model, hyper-parameters, training settings and seeds.
    task : Task
        Shapes and classes.
    steps_per_epoch : int
        For the learning-rate schedule.

    Returns
    -------
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
    _seed_dropout(model, spec.seeds.dropout)
    binary = task.n_outputs == 1
    model.compile(
        optimizer=_OPTIMIZERS[spec.training.optimizer](_learning_rate(spec.training, steps_per_epoch)),
        loss=keras.losses.BinaryCrossentropy(from_logits=True)
        if binary
        else keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[
            keras.metrics.BinaryAccuracy(threshold=0.0, name="accuracy")
            if binary
            else keras.metrics.SparseCategoricalAccuracy(name="accuracy")
        ],
    )
    return model


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
    """Give every random layer its own state from the dropout stream, apart from initialisation."""
    states = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    for state, child in zip(states, np.random.SeedSequence(seed).spawn(len(states)), strict=True):
        state.assign(child.generate_state(2).astype(state.dtype))


def _learning_rate(
    settings: TrainSettings, steps_per_epoch: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    steps = settings.epochs * steps_per_epoch
    if settings.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    if settings.schedule == "exponential":
        return keras.optimizers.schedules.ExponentialDecay(settings.learning_rate, steps, 0.1)
    return settings.learning_rate
