"""What is asked of a model: a builder with its hyper-parameters, as `docs/adding.md` describes it."""

from __future__ import annotations

import inspect
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import benchmark
from benchmark.conformance.check import Check, Failed, NotMeant, Options
from benchmark.conformance.model import LEARNING_RATE, Model
from benchmark.conformance.opened import opened
from benchmark.data.dataset import Store
from benchmark.spec.config import TRAIN_KEYS, VIEW_KEYS
from benchmark.support.errors import UserError

_LENGTHS = (1, 12)
_CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")
_LARGE = 30.0  # times as large as they were made, weights give logits beyond 0 and 1
_EPOCHS = 6
_PATIENCE = 300  # seconds until a stored model has answered
_ANSWER = """
import json, sys
from pathlib import Path
from benchmark.support.tensorflow_setup import quiet_tensorflow
quiet_tensorflow()
from benchmark.serving.mlflow_model import Servable
texts = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
print("\\n" + json.dumps(Servable(Path(sys.argv[1])).predict(texts).tolist()))
"""


def signature(model: Model) -> str:
    """The builder takes a task, and plain hyper-parameters by keyword."""
    description = model.description
    parameters = list(inspect.signature(model.builder).parameters.values())
    if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise Failed("the function takes no task", "def build(task, *, units: int = 16):")
    for parameter in parameters[1:]:
        if parameter.kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL):
            continue
        if parameter.default is inspect.Parameter.empty:
            raise Failed(f"'{parameter.name}' has no default", f"give it one, as {parameter.name}: int = 16")
    if taken := sorted(description.parameters.keys() & (VIEW_KEYS | TRAIN_KEYS)):
        raise Failed(
            f"'{taken[0]}' is the name of a setting of all models, so the function would never get it",
            f"give the hyper-parameter another name than {', '.join(taken)}",
        )
    if description.input not in ("ids", "texts", "strings"):
        raise Failed(f"INPUT is '{description.input}'", 'INPUT = "ids", "texts" or "strings"')
    told = ", ".join(f"{name}={value!r}" for name, value in description.parameters.items())
    return f"hyper-parameters: {told or 'none'}"


def space(model: Model) -> str:
    """The space can be read, and its default lies in the ranges."""
    try:
        searched = model.space.search
    except UserError as error:
        raise Failed(str(error), "mend the space file; docs/adding.md shows one") from error
    return f"searched: {', '.join(searched) or 'nothing'}"


def builds(model: Model) -> str:
    """Models are built for two and three classes, for texts of any length."""
    for classes in (2, 3):
        for length in _LENGTHS:
            built = model.build(classes, length)
            if model.is_pipeline:
                _check_pipeline(built)
            else:
                _check_network(built, model, classes, length)
    return "for two and three classes"


def _check_pipeline(built: Any) -> None:
    for name in ("fit", "predict_proba", "get_params", "steps"):
        if not hasattr(built, name):
            raise Failed(
                f"what is built has no '{name}'",
                "return a sklearn.pipeline.Pipeline that ends in a classifier",
            )


def _check_network(built: Any, model: Model, classes: int, length: int) -> None:
    import keras

    if not isinstance(built, keras.Model):
        raise Failed(f"it returns a {type(built).__name__}", "return keras.Model(ids, logits)")
    wanted = 1 if classes == 2 else classes
    shape = tuple(built.output_shape)
    if shape != (None, wanted):
        raise Failed(
            f"for {classes} classes its output has the shape {shape}, expected (None, {wanted})",
            "end with keras.layers.Dense(task.n_outputs): one logit for two classes, otherwise one a class",
        )
    if model.description.input == "ids" and built.input_shape[-1] not in (None, length):
        raise Failed(
            f"its input has {built.input_shape[-1]} columns, expected {length}",
            'keras.Input((task.columns,), dtype="int32")',
        )


def logits(model: Model) -> str:
    """Outputs are finite logits, not probabilities, and depend on the text."""
    _needs_network(model)
    for classes in (2, 3):
        for length in _LENGTHS:
            built, x = model.build(classes, length), model.inputs(length)
            if model.description.input == "ids":
                x[0] = 0  # a text without words
            answers = _answers(built, x)
            if not np.isfinite(answers).all():
                which = "some texts" if np.isfinite(answers[0]).all() else "a text without words"
                raise Failed(
                    f"outputs are not finite for {which}",
                    "look for divisions by a count that may be 0, and for logarithms",
                )
            if np.ptp(answers[1:], axis=0).max() == 0:
                raise Failed("the same answer for every text: the input is not used", "use the ids")
    built.set_weights([_LARGE * weight for weight in built.get_weights()])
    answers = _answers(built, x)[1:]
    if answers.min() >= 0 and answers.max() <= 1:
        raise Failed(
            "outputs are probabilities, not logits: however large the weights, they stay between 0 and 1",
            "leave softmax and sigmoid away: end with keras.layers.Dense(task.n_outputs)",
        )
    return "finite, and different for different texts"


def every_mode(model: Model) -> str:
    """Training works as a graph and by fit, with the same curves."""
    _needs_network(model)
    fit = model.train(model.spec(model.drinks, epochs=2), "fit").history
    for curve in _CURVES:
        if not np.allclose(model.graph.history[curve], fit[curve], rtol=2e-3):
            raise Failed(
                f"as a graph {curve} is {model.graph.history[curve]}, by fit {fit[curve]}",
                "use Keras's layers and operations alone: Python code runs once only, when the graph is made",
            )
    return "graph and fit give the same curves"


def deterministic(model: Model) -> str:
    """The same seeds give the same curves."""
    again = model.train(model.spec(model.drinks, epochs=2))
    for curve in _CURVES:
        if model.graph.history[curve] != again.history[curve]:
            raise Failed(
                f"two runs with the same seeds differ: {curve} is {model.graph.history[curve]}, then "
                f"{again.history[curve]}",
                "draw random numbers by Keras's layers and initializers, which are seeded",
            )
    return "two runs with the same seeds are equal, bit by bit"


def learns(model: Model) -> str:
    """It learns `sample` beyond the most frequent class."""
    dataset = model.sample
    labels = dataset.view("validation", None).y
    majority = np.bincount(labels).max() / len(labels)
    needed = majority + 3 * math.sqrt(majority * (1 - majority) / len(labels))
    best = 0.0
    rates = {LEARNING_RATE, float(model.space.default.get("learning_rate") or LEARNING_RATE)}
    for rate in sorted(rates, reverse=True):
        result = model.train(model.spec(dataset, epochs=_EPOCHS, learning_rate=rate), enough=needed)
        best = max(best, *result.history["val_accuracy"])
        if best > needed:
            return (
                f"validation accuracy {best:.3f} on sample after {result.epochs_run} of {_EPOCHS} epochs; "
                f"the most frequent class has {majority:.3f}"
            )
    raise Failed(
        f"validation accuracy {best:.3f} on sample after {_EPOCHS} epochs, expected more than {needed:.3f} "
        f"(the most frequent class has {majority:.3f}, and 3 standard errors)",
        "see that the ids reach the logits, and that all weights are trained",
    )


def padding(model: Model) -> str:
    """Where IGNORES_PADDING is claimed, answers do not depend on padding."""
    claim = model.description.ignores_padding
    if not claim:
        raise NotMeant("IGNORES_PADDING is not claimed")
    if isinstance(claim, str) and claim not in model.description.parameters:
        raise Failed(
            f"IGNORES_PADDING names '{claim}', which is no hyper-parameter", "name one, or write True"
        )
    built = model.build(3, 20, trim=True, **({claim: True} if isinstance(claim, str) else {}))
    ids = model.inputs(9)
    mend = "leave padding out (mask_zero=True and layers that know masks), or take IGNORES_PADDING away"
    if built.input_shape[-1] is not None:
        raise Failed(
            f"with trim its input has {built.input_shape[-1]} columns, expected any number",
            'keras.Input((task.columns,), dtype="int32")',
        )
    for side in ("post", "pre"):
        short = np.array(ids)
        short[1, slice(5, None) if side == "post" else slice(None, 4)] = 0
        width = (0, 11) if side == "post" else (11, 0)
        padded = np.pad(short, ((0, 0), width))
        if not np.allclose(_answers(built, short), _answers(built, padded), rtol=1e-4, atol=1e-5):
            raise Failed(f"IGNORES_PADDING is claimed, but padding ({side}) changes the answers", mend)
    return "answers are the same with more padding and less"


def no_look_at_test(model: Model) -> str:
    """Trials do not read the test part."""
    spec = model.spec(model.drinks, epochs=1)
    with opened(model.drinks.folder / "test") as read:
        model.train(spec)
    if read:
        raise Failed(
            f"the test part was read while a trial was trained ({Path(read[0]).name})",
            "take away what reads it: only final runs see it, after their training",
        )
    return "a trial did not touch it"


def stored(model: Model) -> str:
    """What is stored and loaded in a fresh process answers as what was evaluated."""
    folder = model.folder / "servable"
    result = model.train(model.spec(model.drinks, kind="final", epochs=2), servable=folder)
    mend = (
        "use keras.ops or TensorFlow's operations; Python's own code is not there where the model is loaded"
    )
    if result.servable is None:
        last = (result.error.strip().splitlines() or ["no reason given"])[-1]
        raise Failed(f"the trained model cannot be stored ({last[:200]})", mend)
    store = Store(model.drinks.folder / "test")
    texts = model.folder / "texts.json"
    texts.write_text(json.dumps(store.texts(np.arange(model.drinks.sizes["test"]))), encoding="utf-8")
    root = str(Path(benchmark.__file__).parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", _ANSWER, str(folder), str(texts)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "Error" in line] or [done.stderr]
        raise Failed(f"the stored model cannot be loaded ({' '.join(lines[-1].split())[:200]})", mend)
    answers = np.array(json.loads(done.stdout.strip().splitlines()[-1]))
    assert result.test_probabilities is not None
    difference = float(np.abs(answers - result.test_probabilities).max())
    if difference > 1e-4:
        raise Failed(f"loaded again its probabilities differ by up to {difference:.2g}", mend)
    return "a fresh process gives the same answers"


def size_and_time(model: Model) -> str:
    """Size and speed are told."""
    result = model.graph
    if not result.parameters and not model.is_pipeline:
        raise Failed("it has no weights", "see that its layers are part of the model")
    return f"{result.parameters:,} parameters, {result.examples_per_second:,.0f} short texts a second"


def _needs_network(model: Model) -> None:
    if model.is_pipeline:
        raise NotMeant("it is a scikit-learn pipeline")


def _answers(built: Any, x: NDArray[Any]) -> NDArray[np.float32]:
    import tensorflow as tf

    return np.asarray(built(tf.constant(x), training=False), dtype=np.float32)


CHECKS = (
    Check(signature, basic=True),
    Check(space, basic=True),
    Check(builds, basic=True),
    Check(logits),
    Check(padding),
    Check(size_and_time, basic=True),  # the first that trains
    Check(every_mode),
    Check(deterministic),
    Check(learns),
    Check(no_look_at_test),
    Check(stored),
)


def open_subject(target: str, options: Options) -> Model:
    """Return the model of a target."""
    from benchmark.training.devices import set_up_device

    set_up_device("auto")  # before the model's file imports Keras
    return Model(target, dict(options.settings))
