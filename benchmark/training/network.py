"""A model with its compiled epoch, kept while runs repeat its shapes, so that it is compiled once."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf

from benchmark.spec.config import Mode, RunSpec
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
