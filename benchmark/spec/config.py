"""Frozen configuration: what a run is (`RunSpec`), its seeds, and what a sweep is (`SweepConfig`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

Scalar = str | int | float | bool | None
Side = Literal["pre", "post"]
Device = Literal["auto", "cpu", "gpu"]
Protocol = Literal["inductive", "unlabelled", "pretrained"]
Mode = Literal["fit", "graph", "numpy", "xla"]
CompileMode = Literal["auto", "fit", "graph", "numpy", "xla"]
Precision = Literal["float32", "bfloat16", "float16"]
Deterministic = Literal["auto", "on", "off"]
Branch = Literal["search", "final", "sampler"]
ClassWeight = Literal["none", "balanced"]
Decision = Literal["argmax", "tuned"]
Tokens = Literal["words", "unicode_words", "characters", "subwords"]
Sampler = Literal["tpe", "random", "qmc", "gp", "cmaes", "grid"]
Pruner = Literal["median", "hyperband", "percentile", "none"]

_BRANCHES: dict[str, int] = {"search": 0, "final": 1, "sampler": 2}


class Frozen(BaseModel):
    """Base of all configuration: immutable, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class ViewSettings(Frozen):
    """How texts become integer arrays.

    Attributes
    ----------
    vocabulary_size : int
        Number of ids, PAD (0) and OOV (1) included, as in `keras.layers.TextVectorization`.
    sequence_length : int
        Tokens per text; a view is never longer than the longest training text.
    padding, truncation : {"pre", "post"}
        On which side short texts are filled, and on which side long ones are cut.
    tokens : {"words", "unicode_words", "characters", "subwords"}
        What a text is cut into: words between white space, as in the tutorials; words by Unicode's rules
        (UAX 29), punctuation and symbols too; characters, with their marks; or parts of words that are
        learned on the training split (byte-pair encoding), as many as the vocabulary has ids.
    """

    vocabulary_size: int = Field(default=10_000, ge=3)
    sequence_length: int = Field(default=256, ge=1, le=100_000)
    padding: Side = "post"
    truncation: Side = "post"
    tokens: Tokens = "words"


class TrainSettings(Frozen):
    """How a model is trained.

    Attributes
    ----------
    optimizer : {"adam", "adamw", "nadam", "rmsprop", "sgd"}
        Keras optimizer, with its defaults but for the learning rate.
    learning_rate : float
        Initial learning rate.
    schedule : {"constant", "linear", "cosine", "exponential"}
        Linear and cosine fall to 0, exponential to a tenth, over all epochs.
    batch_size : int
        Examples per step.
    epochs : int
        Most epochs.
    patience : int or None
        Epochs without a better value of the metric on the validation split after which training stops;
        the best weights are restored in any case. None trains all epochs and keeps the last weights, as
        tutorials do.
    trim : bool
        Whether batches are made of texts of similar length and cut to the longest of each, which is only for
        models that ignore padding.
    precision : {"float32", "bfloat16", "float16"}
        What is computed in; weights are float32 in any case (Keras's mixed policies).
    warmup : float
        Share of all steps in which the learning rate rises from 0, before its schedule begins.
    weight_decay : float or None
        Decay of the weights that are matrices, decoupled from the gradient; None for the optimizer's default.
    """

    optimizer: Literal["adam", "adamw", "nadam", "rmsprop", "sgd"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    schedule: Literal["constant", "linear", "cosine", "exponential"] = "constant"
    batch_size: int = Field(default=64, ge=1)
    epochs: int = Field(default=10, ge=1)
    patience: int | None = Field(default=3, ge=1)
    trim: bool = False
    precision: Precision = "float32"
    warmup: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float | None = Field(default=None, ge=0)


class CommonSettings(Frozen):
    """Settings of every model; where its builder has a parameter of the name, that takes its place.

    Attributes
    ----------
    class_weight : {"none", "balanced"}
        How much an example counts in training: all the same, or the more, the fewer its class has
        (scikit-learn's ``n / (classes * count)`` over the run's training texts). Losses that are measured
        are not weighted, but for a network's training loss.
    decision : {"argmax", "tuned"}
        Which class is answered: the most probable one, or, of two, the second from a threshold on that is
        chosen on the validation split for the metric, see `benchmark.metrics.thresholds.best_threshold`.
    refit : bool
        Whether a pipeline's final run, once it has its value on the validation split, is fitted again on the
        training and validation texts together, and that is what is tested and stored. Networks need the
        validation split until their end.
    """

    class_weight: ClassWeight = "none"
    decision: Decision = "argmax"
    refit: bool = False


class Resource(Frozen):
    """What a run reads beside its data set: word vectors, or a module.

    Attributes
    ----------
    digest : str
        Of the content.
    protocol : {"unlabelled", "pretrained"}
        ``unlabelled`` when it was made from texts of the run's data set, without labels.
    dataset : str or None
        Digest of the data set whose texts it was made from, where that is known.
    """

    digest: str
    protocol: Literal["unlabelled", "pretrained"]
    dataset: str | None = None


class SeedBundle(Frozen):
    """The seeds of one repetition; each stream is independent of the others.

    Attributes
    ----------
    branch : {"search", "final", "sampler"}
        Search and final runs draw from different branches, so a winner cannot win by its seed.
    index : int
        Number of the repetition in its branch, from 0.
    init, shuffle, dropout, fewshot, split : int
        Seeds in [0, 2**31) for weight initialisation, order of examples, dropout masks, the drawing
        of few training examples, and splits.
    """

    branch: Branch
    index: int
    init: int
    shuffle: int
    dropout: int
    fewshot: int
    split: int


def seed_bundle(base: int, branch: Branch, index: int) -> SeedBundle:
    """Derive the seed bundle of one repetition.

    Parameters
    ----------
    base : int
        The user's ``--seed``; 0 is a seed like any other.
    branch : {"search", "final", "sampler"}
        Which branch of the seed tree.
    index : int
        Number of the repetition, from 0.

    Returns
    -------
    SeedBundle
        The same for the same arguments on every machine (`numpy.random.SeedSequence` is stable
        across versions by NumPy's compatibility policy).
    """
    sequence = np.random.SeedSequence(entropy=base, spawn_key=(_BRANCHES[branch], index))
    words = sequence.generate_state(5) >> 1
    init, shuffle, dropout, fewshot, split = (int(word) for word in words)
    return SeedBundle(
        branch=branch, index=index, init=init, shuffle=shuffle, dropout=dropout, fewshot=fewshot, split=split
    )


CONFIRMING = 1_000_000
"""Slot ``n * CONFIRMING + s`` of a search is the n-th further run of the configuration of slot s."""

VIEW_KEYS = frozenset(ViewSettings.model_fields)
TRAIN_KEYS = frozenset(TrainSettings.model_fields)
COMMON_KEYS = frozenset(CommonSettings.model_fields)
LATER: dict[str, Scalar] = {
    "trim": False,
    "precision": "float32",
    "warmup": 0.0,
    "weight_decay": None,
    "mask_zero": False,
    "metric": "accuracy",
    "class_weight": "none",
    "decision": "argmax",
    "refit": False,
    "tokens": "words",
    "analyzer": "words",
    "character_ngrams": 4,
    "token_pattern": "long-words",
}
"""Settings that came after there were runs; where they have these values, they are not part of an id."""

OWN_FIRST = COMMON_KEYS | {"warmup", "weight_decay"}
"""Settings that came later than models of users, whose parameters of these names stay theirs."""

_OWN_TOKENS = "pattern"
"""What ``tokens`` is for a builder that has them as a parameter where it cuts texts as it always did."""


class RunSpec(CommonSettings):
    """Everything that determines one training run.

    Attributes
    ----------
    model : str
        Registered name, or ``path/to/file.py:build``.
    model_digest : str
        Digest of the source of a model from outside the package, so that an edited one is another.
    dataset, dataset_digest : str
        Name and content digest of the data set.
    kind : {"trial", "final"}
        Only a final run reads the test split.
    view : ViewSettings or None
        How texts become ids; None for models that read raw texts.
    training : TrainSettings or None
        How a network is trained; None for scikit-learn pipelines.
    hparams : dict
        The architecture's hyper-parameters, given to its builder.
    seeds : SeedBundle
        Named random streams.
    train_share : float
        Share of the training split that is used, drawn stratified from the ``fewshot`` stream.
    train_examples : int or None
        Number of training texts, drawn likewise; takes the place of the share.
    resources : dict of str to Resource, or None
        What the hyper-parameters that name files stand for.
    metric : str
        What early stopping, the search and the winner follow (`benchmark.metrics.metric.METRICS`).
    class_weight, decision, refit
        As in `CommonSettings`.
    """

    model: str
    model_digest: str = ""
    dataset: str
    dataset_digest: str
    kind: Literal["trial", "final"]
    view: ViewSettings | None
    training: TrainSettings | None
    hparams: dict[str, Scalar]
    seeds: SeedBundle
    train_share: float = Field(default=1.0, gt=0, le=1)
    train_examples: int | None = Field(default=None, ge=1)
    resources: dict[str, Resource] | None = None
    metric: str = "accuracy"

    @property
    def protocol(self) -> Protocol:
        """What the model has seen beside the training split: nothing, or the farthest of its resources."""
        kinds = {resource.protocol for resource in (self.resources or {}).values()}
        return "pretrained" if "pretrained" in kinds else "unlabelled" if kinds else "inductive"

    @property
    def spec_id(self) -> str:
        """16 hexadecimal digits that name this run; equal specs, and only those, have equal ids."""
        return _digest(self._content())

    @property
    def config_id(self) -> str:
        """16 hexadecimal digits that name the configuration: the spec without seeds and kind."""
        return _digest(self._content("seeds", "kind"))

    def _content(self, *without: str) -> dict[str, Any]:
        """Return what makes the run; a setting that came later and is not used leaves old ids alone."""
        content = without_later(self.model_dump(mode="json", exclude=set(without)))
        content["hparams"] = without_later(content["hparams"], self.hparams)
        for part in ("view", "training"):
            if content[part] is not None:
                content[part] = without_later(content[part])
        return {name: value for name, value in content.items() if value is not None}

    def flat(self) -> dict[str, Scalar]:
        """Every hyper-parameter and training setting under its name, as MLflow shows them."""
        shared = [settings.model_dump() for settings in (self.view, self.training) if settings is not None]
        shared.append(self.model_dump(include=set(COMMON_KEYS)))
        return {**{name: value for part in shared for name, value in part.items()}, **self.hparams}


class Confirmation(Frozen):
    """How often the best configurations of a search are trained again before its winner is frozen."""

    model_config = ConfigDict(use_attribute_docstrings=True)
    configurations: int = Field(strict=True, ge=2)
    """How many of the best."""
    runs: int = Field(strict=True, ge=1)
    """Further runs of each, on further search seeds."""

    def total(self, trials: int) -> int:
        """Return the number of further runs after so many trials: none where there is nothing to choose."""
        return self.configurations * self.runs if trials > self.configurations else 0


class SmallData(Frozen):
    """What a budget allows for where data are far smaller than what a default was made for.

    It is version 2 of the budgets; a study keeps the version that it was made with.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)
    version: Literal[2]
    """Of the budgets: which rule scales a default, see `benchmark.plan.space.Space.scaled`."""
    below: float = Field(strict=True, gt=0, le=1)
    """Data are small below this share of the training texts that the default was made for."""
    steps: int = Field(strict=True, ge=1)
    """Steps that an epoch has at least: batches are no larger than that allows."""


class SweepConfig(Frozen):
    """What the user asked for, after the budget has filled in what they left open.

    Attributes
    ----------
    trials, seeds : int
        Totals, not additions: the same command again continues or does nothing.
    epochs : int
        Most epochs of a run.
    epochs_exact : bool
        True when ``--epochs`` was given: it then replaces the configuration's number, otherwise
        the budget's number is a cap.
    timeout : float or None
        Training seconds of all its trials after which the search starts no further one.
    random_start : int
        Trials, the default included, before a sampler learns from them.
    confirm : Confirmation or None
        Which configurations are trained again before the winner is frozen.
    small_data : SmallData or None
        How a search starts on small data; of a `Plan`, None unless its data are.
    precision : {"float32", "bfloat16", "float16"} or None
        What networks compute in; None is what their configurations say.
    overrides : dict
        ``--set name=value``: fixed values, taken out of the search.
    metric : str or None
        What early stopping, the search and the winner follow; None is what the space or the data set names,
        otherwise accuracy.
    """

    budget: str
    trials: int = Field(ge=1)
    seeds: int = Field(ge=1)
    epochs: int = Field(ge=1)
    epochs_exact: bool = False
    train_share: float = Field(gt=0, le=1)
    train_examples: int | None = Field(default=None, ge=1)
    timeout: float | None = Field(default=None, gt=0)
    random_start: int = Field(default=10, ge=1)
    confirm: Confirmation | None = None
    small_data: SmallData | None = None
    sampler: Sampler = "tpe"
    pruner: Pruner = "median"
    precision: Precision | None = None
    overrides: dict[str, Scalar] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0)
    device: Device = "auto"
    compile: CompileMode = "auto"
    deterministic: Deterministic = "auto"
    study: str | None = None
    metric: str | None = None


def without_later(settings: Mapping[str, Any], own: Iterable[str] = ()) -> dict[str, Any]:
    """Return settings without those that came later and are as they were before.

    A builder's own parameters, of which a setting of all models took the name, were there before.
    """
    names = {*own}
    later = {name: value for name, value in LATER.items() if name not in OWN_FIRST & names}
    if "tokens" in names:
        later["tokens"] = _OWN_TOKENS
    return {name: value for name, value in settings.items() if name not in later or later[name] != value}


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
