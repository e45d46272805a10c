"""What is asked of a model: a builder with its hyper-parameters, as `docs/adding.md` describes it."""

from __future__ import annotations

import inspect
import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

import numpy as np
from numpy.typing import NDArray

from benchmark.data.dataset import MappedTexts
from benchmark.models import importing, load_builder
from benchmark.models.source_description import Description, describe
from benchmark.models.task import Task
from benchmark.plan.run_specs import Plan, make_plan
from benchmark.spec.config import (
    TRAIN_KEYS,
    VIEW_KEYS,
    CompileMode,
    RunSpec,
    Scalar,
    SweepConfig,
    seed_bundle,
)
from benchmark.spec.result import Result
from benchmark.testing.suite import Suite, last_line, name_of

_SHAPES = tuple(product((2, 3), (1, 12)))  # classes, words
_CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")
_LEARNING_RATE = 0.01  # of the short runs; the model's may need many epochs
_EPOCHS = 30
_LARGE = 30.0  # times as large as they were made, weights give logits beyond 0 and 1
_ANSWER = """
import json, sys
from pathlib import Path
from benchmark.support.tensorflow_setup import quiet_tensorflow
quiet_tensorflow()
from benchmark.serving.mlflow_model import Servable
texts = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
print("\\n" + json.dumps(Servable(Path(sys.argv[1])).predict(texts).tolist()))
"""


class ModelSuite(Suite):
    """What is asked of a model.

    Attributes
    ----------
    model : str or callable
        A registered name, ``path/to/file.py:build``, or the builder itself, a function of a module.
    hparams : mapping of str to scalar
        Values instead of the defaults.
    """

    model: ClassVar[str | Callable[..., Any]]
    hparams: ClassVar[Mapping[str, Scalar]] = {}
    basic = ("test_signature", "test_space", "test_builds")

    @classmethod
    @cache
    def description(cls) -> Description:
        """Return what the model's source says."""
        return describe(name_of(cls.model))

    @classmethod
    @cache
    def builder(cls) -> Callable[..., Any]:
        """Return the function."""
        from benchmark.training.devices import set_up_device

        set_up_device("auto")  # before the model's file imports Keras
        return load_builder(name_of(cls.model))

    @classmethod
    @cache
    def plan(cls) -> Plan:
        """Return the plan of a sweep of the model, with `hparams` for its defaults."""
        config = SweepConfig(
            budget="suite", trials=1, seeds=1, epochs=_EPOCHS, train_share=1, overrides=dict(cls.hparams)
        )
        return make_plan(name_of(cls.model), cls.toy_data(), config)

    @classmethod
    def build(cls, classes: int, length: int, trim: bool = False, **hparams: Scalar) -> Any:
        """Build the model for a made-up task."""
        import keras

        builder = cls.builder()
        keras.backend.clear_session()
        keras.utils.set_random_seed(0)
        words = tuple(f"word{number}" for number in range(48))
        task = Task(tuple(f"class {n}" for n in range(classes)), 50, length, words, trim=trim)
        with importing(name_of(cls.model)):
            return builder(task, **{**cls.spec().hparams, **hparams})

    @classmethod
    def inputs(cls, length: int, count: int = 64) -> NDArray[Any]:
        """Return made-up inputs: ids int32 [count, length], or texts as UTF-8."""
        ids = np.random.default_rng(0).integers(2, 50, (count, length), dtype=np.int32)
        if cls.description().input == "ids":
            ids[0] = 0  # a text without words
            return ids
        texts = [" ".join(f"word{number - 2}" for number in row) for row in ids]
        return np.array([text.encode() for text in texts], dtype=object)

    @classmethod
    def spec(cls, kind: str = "trial", **training: Scalar) -> RunSpec:
        """Return a short run."""
        short = {"batch_size": 32, "learning_rate": _LEARNING_RATE, "patience": None, "epochs": 2, **training}
        values = {name: value for name, value in cls.plan().default.items() if name not in TRAIN_KEYS}
        return cls.plan().spec({**values, **short}, kind, seed_bundle(0, "search", 0))

    @classmethod
    def train(
        cls,
        spec: RunSpec,
        compile: CompileMode = "graph",
        servable: Path | None = None,
        enough: float = math.inf,
    ) -> Result:
        """Train a run, which must come to its end, or to a validation accuracy that is enough."""
        from benchmark.training.network import release
        from benchmark.training.train import train

        release()  # a network that was kept would hide what differs between two
        result = train(
            spec,
            cls.toy_data(),
            on_epoch=lambda report: "pruned" if report.best_value > enough else None,
            compile=compile,
            ledger=cls.folder / "ledger.jsonl",
            servable=servable,
        )
        why = last_line(result.error or "its loss is not finite")
        assert result.status in ("ok", "pruned"), (
            f"a run ({compile}) finished with status {result.status}: {why}"
        )
        return result

    @classmethod
    @cache
    def trial(cls) -> tuple[dict[str, list[float]], list[Path]]:
        """Return the history of two epochs as a graph, and the files that were opened meanwhile."""
        spec, paths = cls.spec(), _record_opened_files()
        first = len(paths)
        history = cls.train(spec).history
        return history, [Path(os.path.realpath(path)) for path in paths[first:]]

    def test_signature(self) -> None:
        """The builder takes a task, and plain hyper-parameters by keyword."""
        description = self.description()
        parameters = list(inspect.signature(self.builder()).parameters.values())
        takes_task = parameters and parameters[0].kind.name != "KEYWORD_ONLY"
        assert takes_task, "the function takes no task; def build(task, *, units: int = 16):"
        for parameter in parameters[1:]:
            needed = parameter.default is parameter.empty and "VAR_" not in parameter.kind.name
            assert not needed, f"'{parameter.name}' has no default; give it one"
        free = (
            {"tokens"} if description.input == "texts" else set()
        )  # which a pipeline cuts texts into itself
        taken = sorted(description.parameters.keys() & (VIEW_KEYS | TRAIN_KEYS) - free)
        assert not taken, f"'{taken[0]}' is the name of a setting of all models; choose a different name"
        kinds = ("ids", "texts", "strings")
        assert description.input in kinds, f"INPUT is '{description.input}'; expected one of {kinds}"

    def test_space(self) -> None:
        """The space is readable, and its default lies in the ranges."""
        self.plan()

    def test_builds(self) -> None:
        """Models are built for two and three classes, for texts of any length."""
        import keras
        from sklearn.pipeline import Pipeline

        wanted = Pipeline if self.description().input == "texts" else keras.Model
        for classes, length in _SHAPES:
            built = self.build(classes, length)
            kind = type(built).__name__
            assert isinstance(built, wanted), f"it returns a {kind}; expected a {wanted.__name__}"
            if wanted is keras.Model:
                shape, logits = tuple(built.output_shape), (None, 1 if classes == 2 else classes)
                message = f"for {classes} classes its output has the shape {shape}, expected {logits}"
                assert shape == logits, f"{message}; end with keras.layers.Dense(task.n_outputs)"
                columns = built.input_shape[-1] if self.description().input == "ids" else None
                message = f"its input has {columns} columns, expected {length}"
                assert columns in (None, length), f"{message}; keras.Input((task.columns,), dtype='int32')"
                assert built.count_params(), "it has no weights; see that its layers are part of the model"

    def test_logits(self) -> None:
        """Outputs are finite logits, not probabilities, and depend on the text."""
        self._needs_network()
        for classes, length in _SHAPES:
            built, x = self.build(classes, length), self.inputs(length)
            logits = _logits(built, x)
            which = "some texts" if np.isfinite(logits[0]).all() else "a text without words"
            assert np.isfinite(logits).all(), f"outputs are not finite for {which}"
            varies = np.ptp(logits[1:], axis=0).max() > 0
            assert varies, "the same logits for every text: the input is not used"
        built.set_weights([_LARGE * weight for weight in built.get_weights()])
        logits = _logits(built, x)[1:]
        message = "outputs are probabilities, not logits; leave softmax and sigmoid out"
        assert logits.min() < 0 or logits.max() > 1, message

    def test_padding(self) -> None:
        """Where IGNORES_PADDING is claimed, outputs do not depend on padding."""
        claim = self.description().ignores_padding
        if not claim:
            raise SkipTest("IGNORES_PADDING is not claimed")
        known = claim is True or claim in self.description().parameters
        assert known, f"IGNORES_PADDING names '{claim}', which is not a hyper-parameter; name one, or True"
        built = self.build(3, 20, trim=True, **({} if claim is True else {str(claim): True}))
        columns = built.input_shape[-1]
        assert columns is None, f"with trim its input has {columns} columns; keras.Input((task.columns,), …)"
        for side, masked, width in (("post", slice(5, None), (0, 11)), ("pre", slice(None, 4), (11, 0))):
            short = self.inputs(9)
            short[1, masked] = 0
            logits, padded = _logits(built, short), _logits(built, np.pad(short, ((0, 0), width)))
            message = f"IGNORES_PADDING is claimed, but padding ({side}) changes the outputs"
            assert np.allclose(logits, padded, rtol=1e-4, atol=1e-5), f"{message}; use mask_zero=True"

    def test_modes(self) -> None:
        """Training as a graph and by fit gives the same curves."""
        self._needs_network()
        graph, fit = self.trial()[0], self.train(self.spec(), "fit").history
        for curve in _CURVES:
            message = f"as a graph {curve} is {graph[curve]}, by fit {fit[curve]}"
            same = np.allclose(graph[curve], fit[curve], rtol=2e-3)
            assert same, f"{message}; Python code runs just once, when the graph is made"

    def test_repeatable(self) -> None:
        """The same seeds give the same curves, bit by bit."""
        first, again = self.trial()[0], self.train(self.spec()).history
        for curve in _CURVES:
            message = f"two runs with the same seeds differ: {curve} is {first[curve]}, then {again[curve]}"
            assert first[curve] == again[curve], f"{message}; draw random numbers by Keras"

    def test_learns(self) -> None:
        """It learns the toy data beyond the most frequent class."""
        labels = self.toy_data().view("validation", None).y
        majority = np.bincount(labels).max() / len(labels)
        needed = majority + 3 * math.sqrt(majority * (1 - majority) / len(labels))
        best = 0.0
        for rate in {_LEARNING_RATE, self.plan().default.get("learning_rate") or _LEARNING_RATE}:
            if best <= needed:
                spec = self.spec(epochs=_EPOCHS, learning_rate=rate)
                best = max(self.train(spec, enough=needed).history["val_accuracy"])
        message = f"validation accuracy {best:.3f} after {_EPOCHS} epochs, expected more than {needed:.3f}"
        assert best > needed, f"{message}, as the most frequent class has {majority:.3f}"

    def test_trial_does_not_read_test(self) -> None:
        """Trials do not read the test split."""
        test = (self.toy_data().folder / "test").resolve()
        read = {path.name for path in self.trial()[1] if path.is_relative_to(test)}
        assert not read, f"the test split was read while a trial was trained ({', '.join(sorted(read))})"

    def test_stored(self) -> None:
        """Stored, and loaded in another process, it gives the probabilities that were evaluated."""
        result = self.train(self.spec("final"), servable=self.folder / "servable")
        assert result.servable is not None, f"the model cannot be stored ({last_line(result.error)})"
        mapped, texts = MappedTexts(self.toy_data().folder / "test"), self.folder / "texts.json"
        texts.write_text(json.dumps(mapped.texts(np.arange(self.toy_data().sizes["test"]))))
        loaded = self.run_python(_ANSWER, result.servable, texts)
        difference = np.abs(np.array(loaded) - result.test_probabilities).max()
        assert difference < 1e-4, f"loaded again its probabilities differ by up to {difference:.2g}"

    def _needs_network(self) -> None:
        if self.description().input == "texts":
            raise SkipTest("it is a scikit-learn pipeline")


@cache
def _record_opened_files() -> list[str]:
    """Return a list to which the name of every file that is opened from now on is added."""
    paths: list[str] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes):
            paths.append(os.fsdecode(arguments[0]))

    sys.addaudithook(note)  # which cannot be removed
    return paths


def _logits(built: Any, x: NDArray[Any]) -> NDArray[np.float32]:
    import tensorflow as tf

    return np.asarray(built(tf.constant(x), training=False), dtype=np.float32)
