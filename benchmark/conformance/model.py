"""A model that is looked at: how the checks build it and train it."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.conformance.check import Failed
from benchmark.conformance.drinks import Drinks
from benchmark.data.dataset import Dataset
from benchmark.data.prepare import prepare
from benchmark.data.source import SourceOptions, get_source
from benchmark.models import importing, load_builder
from benchmark.models.source_description import Description, describe
from benchmark.models.task import Task
from benchmark.plan.space import Space
from benchmark.spec.config import TRAIN_KEYS, VIEW_KEYS, CompileMode, RunSpec, Scalar
from benchmark.spec.result import Result
from benchmark.spec.seeds import seed_bundle
from benchmark.support.errors import UserError

LEARNING_RATE = 0.01
"""Of the short runs; the model's own may need many epochs."""


class Model:
    """A model that is looked at, and what the checks make of it only once."""

    def __init__(self, name: str, settings: dict[str, Scalar]) -> None:
        self.name, self.settings = name, settings
        self._scratch = tempfile.TemporaryDirectory(prefix="textbench-")
        self.folder = Path(self._scratch.name)

    def close(self) -> None:
        """Delete what was trained."""
        self._scratch.cleanup()

    @cached_property
    def description(self) -> Description:
        """The model as its source tells it."""
        try:
            return describe(self.name)
        except UserError as error:
            raise Failed(
                str(error), "give each hyper-parameter a number, text, true, false or None, as widths='3,4,5'"
            ) from error

    @cached_property
    def builder(self) -> Callable[..., Any]:
        """The function."""
        return load_builder(self.name)

    @cached_property
    def space(self) -> Space:
        """Its default configuration, ``--set`` applied."""
        from benchmark.plan.run_specs import resolve_space

        return resolve_space(self.description).fix(self.settings)

    @property
    def hparams(self) -> dict[str, Scalar]:
        """The model's own hyper-parameters."""
        return {k: v for k, v in self.space.default.items() if k not in VIEW_KEYS | TRAIN_KEYS}

    @property
    def is_pipeline(self) -> bool:
        """Whether it is a scikit-learn pipeline."""
        return self.description.input == "texts"

    @cached_property
    def drinks(self) -> Dataset:
        """Three classes, short texts."""
        return prepare(Drinks())

    @cached_property
    def sample(self) -> Dataset:
        """Two classes, as hard as reviews."""
        return prepare(get_source("sample", SourceOptions()))

    def build(self, classes: int, length: int, seed: int = 0, **hparams: Scalar) -> Any:
        """Build the model for a made-up task."""
        import keras

        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        words = tuple(f"word{number}" for number in range(48))
        trim = bool(hparams.pop("trim", False))
        task = Task(tuple(f"class {n}" for n in range(classes)), 50, length, words, trim=trim)
        with importing(self.name):
            return self.builder(task, **{**self.hparams, **hparams})

    def inputs(self, length: int, count: int = 64) -> NDArray[Any]:
        """Make up inputs: ids int32 [count, length], or texts as UTF-8."""
        generator = np.random.default_rng(0)
        ids = generator.integers(2, 50, (count, length), dtype=np.int32)
        if self.description.input == "ids":
            return ids
        texts = [" ".join(f"word{number - 2}" for number in row) for row in ids]
        return np.array([text.encode() for text in texts], dtype=object)

    def spec(self, dataset: Dataset, *, kind: str = "trial", **training: Scalar) -> RunSpec:
        """Return a short run."""
        reads_ids = self.description.input == "ids"
        view = {"vocabulary_size": 4000, "sequence_length": 48, "padding": "post"}
        given = {k: v for k, v in self.space.default.items() if k in VIEW_KEYS - view.keys()}
        settings = {"batch_size": 32, "learning_rate": LEARNING_RATE, "patience": None, **training}
        return RunSpec.model_validate(
            {
                "model": self.name,
                "model_digest": self.description.digest,
                "dataset": dataset.name,
                "dataset_digest": dataset.digest,
                "kind": kind,
                "view": {**given, **view} if reads_ids else None,
                "training": None if self.is_pipeline else settings,
                "hparams": self.hparams,
                "seeds": seed_bundle(0, "search", 0),
            }
        )

    def train(
        self,
        spec: RunSpec,
        compile: CompileMode = "graph",
        servable: Path | None = None,
        enough: float = math.inf,
    ) -> Result:
        """Train a run, which must come to its end, or to a validation accuracy that is enough."""
        from benchmark.training.network import release
        from benchmark.training.train import train

        dataset = self.sample if spec.dataset == self.sample.name else self.drinks
        release()  # each is made anew: a kept network would hide what differs between two
        ledger = self.folder / "ledger.jsonl"
        result = train(
            spec,
            dataset,
            on_epoch=lambda report: "pruned" if report.best_val_accuracy > enough else None,
            compile=compile,
            ledger=ledger,
            servable=servable,
        )
        if result.status not in ("ok", "pruned"):
            last = (result.error.strip().splitlines() or ["its loss is not finite"])[-1]
            raise Failed(
                f"a short run (--compile {compile}) ended as {result.status}: {' '.join(last.split())[:200]}",
                "mend what the message names",
            )
        return result

    @cached_property
    def graph(self) -> Result:
        """Two epochs as a graph."""
        return self.train(self.spec(self.drinks, epochs=2))
