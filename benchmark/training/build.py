"""A compiled, seeded Keras model from a run spec."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from benchmark.models import load_builder
from benchmark.models.task import Task
from benchmark.spec.config import Precision, RunSpec, TrainSettings
from benchmark.support.tensorflow_setup import quiet_stderr

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
