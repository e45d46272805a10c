"""The plan of a sweep: pure functions from configuration to run specs."""

from __future__ import annotations

import errno
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from benchmark.data.dataset import Dataset
from benchmark.data.subwords import need_tokenizers
from benchmark.metrics.metric import ACCURACY, get_metric
from benchmark.models import importing, load_builder
from benchmark.models.example_weights import check_takes_weights
from benchmark.models.source_description import Description, describe
from benchmark.models.task import LONGEST_NAME, LONGEST_VALUE, Task, nearest_name
from benchmark.plan.ranges import options
from benchmark.plan.space import Space, find_space, load_space
from benchmark.spec.config import (
    COMMON_KEYS,
    CONFIRMING,
    OWN_FIRST,
    TRAIN_KEYS,
    VIEW_KEYS,
    CommonSettings,
    Confirmation,
    Frozen,
    Resource,
    RunSpec,
    Scalar,
    SeedBundle,
    SweepConfig,
    TrainSettings,
    ViewSettings,
    seed_bundle,
    without_later,
)
from benchmark.support.errors import MissingResource, UserError, did_you_mean
from benchmark.support.registry import load_target
from benchmark.support.yaml_file import first_problem

# Settings that make a different search.
_SEARCH = {"budget", "epochs", "epochs_exact", "train_share", "train_examples", "sampler", "pruner", "seed"}

_AS_PUBLISHED = "sample"  # built in, small by design, and with rows that documents show


@dataclass(frozen=True)
class Plan:
    """One sweep: a model, on a data set, within a budget.

    Attributes
    ----------
    model : Description
        The architecture.
    dataset : Dataset
        The prepared data set.
    space : Space
        Published default and ranges, ``--set`` applied.
    config : SweepConfig
        Trials, seeds, limits.
    """

    model: Description
    dataset: Dataset
    space: Space
    config: SweepConfig

    @cached_property
    def identity(self) -> str:
        """Digest of all that makes two sweeps the same search; totals and machines are not part of it."""
        content = {
            "model": [self.model.label, self.model.digest],
            "dataset": fold.digest if (fold := self.dataset.fold) else self.dataset.digest,
            "space": {
                **self.space.model_dump(mode="json", exclude={"source", "note", "metric", "made_for"}),
                "default": without_later(self.space.default, self.model.parameters),
            },
            "config": self.config.model_dump(mode="json", include=_SEARCH),
        }
        if resources := self._resources(self.default):
            content["resources"] = {name: resource.digest for name, resource in resources.items()}
        if self.config.precision and self.is_network:
            content["precision"] = self.config.precision
        content |= without_later({"metric": self.metric})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def metric(self) -> str:
        """What the sweep follows: as asked for, or as the space or the data set says, otherwise accuracy."""
        return self.config.metric or self.space.metric or self.dataset.metric or ACCURACY

    @property
    def is_network(self) -> bool:
        """Whether the model is a network, which needs TensorFlow; else it is a scikit-learn pipeline."""
        return self.model.input != "texts"

    @property
    def study(self) -> str:
        """Name of the Optuna study: ``--study``, or one that says what is searched; then the fold."""
        parts = (self.model.label, self.dataset.name, self.config.budget, self.identity[:8])
        name = self.config.study or re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join(parts))
        return name + (self.dataset.fold.suffix if self.dataset.fold else "")

    @property
    def default(self) -> dict[str, Scalar]:
        """The published configuration."""
        return dict(self.space.default)

    @cached_property
    def searched(self) -> Space:
        """The space of all trials but the first; on small data one that is scaled to them."""
        config = self.config
        if config.small_data is None or not self.is_network or not self.space.search:
            return self.space
        fixed = own_overrides(self.model, config.overrides)
        texts, grow = self.dataset.sizes["train"], not config.epochs_exact
        return self.space.scaled(texts, config.small_data, config.epochs, fixed, grow=grow)

    @property
    def is_scaled(self) -> bool:
        """Whether the search starts from a default that is scaled to small data."""
        return self.searched is not self.space

    def space_of(self, slot: int) -> Space:
        """Return what the trial of a slot is proposed from.

        The published default, slot 0, may lie outside of ranges that are bounded; there it is given.
        """
        if slot % CONFIRMING or not self.is_scaled:
            return self.searched
        there = {n: one for n, one in self.searched.search.items() if one.holds(self.default[n])}
        return self.space.model_copy(update={"search": there})

    @property
    def starts(self) -> list[dict[str, Scalar]]:
        """Parameters of the first trials: the published default, and the one scaled to small data."""
        scaled = [self.searched.enqueue_params()] if self.is_scaled else []
        return [self.space_of(0).enqueue_params(), *scaled]

    @property
    def made_for(self) -> str:
        """On small data, the training texts, and those that the default was made for: ``2413 of 25000``."""
        small = self.config.small_data is not None
        return f"{self.dataset.sizes['train']} of {self.space.made_for}" if small else ""

    @property
    def scaling(self) -> str:
        """On small data, what the search starts from, for people; "" where it is the published default."""
        if not self.is_scaled:
            return ""
        scaled = self.searched.default
        changed = ", ".join(
            f"{name} {value}" for name, value in scaled.items() if value != self.default[name]
        )
        return (
            f"{self.model.label}: its default was made for {self.space.made_for:,} texts, here are "
            f"{self.dataset.sizes['train']:,}; the search starts from it, then with {changed or 'less'}"
        )

    @property
    def protocol(self) -> str:
        """What the published configuration has seen beside the training split."""
        return self.trial_spec(self.default, 0).protocol

    def spec(self, hparams: Mapping[str, Scalar], kind: str, seeds: SeedBundle) -> RunSpec:
        """Return the run spec of a configuration with a seed bundle."""
        values = dict(hparams)
        if self.is_network:
            own = values.pop("epochs", TrainSettings().epochs)
            limit, grown = self.config.epochs, self.searched.default.get("epochs")
            assert isinstance(own, int)
            if self.is_scaled and isinstance(grown, int) and dict(hparams) != self.default:
                limit = max(limit, grown)
            values["epochs"] = self.config.epochs if self.config.epochs_exact else min(own, limit)
            if self.config.precision:
                values["precision"] = self.config.precision
        parameters = self.model.parameters.keys()
        common_keys, view_keys = COMMON_KEYS - parameters, VIEW_KEYS - (parameters & {"tokens"})
        if self.model.prepare:  # it has token ids of its own
            view_keys -= parameters
        train_keys = TRAIN_KEYS - (OWN_FIRST & parameters)
        view, training, common = (
            {k: v for k, v in values.items() if k in keys} for keys in (view_keys, train_keys, common_keys)
        )
        return RunSpec.model_validate(
            {
                **common,
                "model": self.model.name,
                "model_digest": self.model.digest,
                "dataset": self.dataset.name,
                "dataset_digest": self.dataset.digest,
                "kind": kind,
                "view": view if self.model.input == "ids" else None,
                "training": training if self.is_network else None,
                "hparams": {k: v for k, v in values.items() if k not in view_keys | train_keys | common_keys},
                "seeds": seeds,
                "train_share": self.config.train_share,
                "train_examples": self.config.train_examples,
                "resources": self._resources(values),
                "metric": self.metric,
            }
        )

    def _resources(self, values: Mapping[str, Scalar]) -> dict[str, Resource] | None:
        """Find the files and modules that a configuration names."""
        found = {name: _identify(self.model, name, values[name]) for name in self.model.resources}
        foreign = {
            name: resource.model_copy(update={"protocol": "pretrained"})
            for name, resource in found.items()
            if resource.dataset != self.dataset.digest
        }
        return {**found, **foreign} or None

    def trial_spec(self, hparams: Mapping[str, Scalar], slot: int) -> RunSpec:
        """Return the spec of a trial; each trial has a different search seed."""
        return self.spec(hparams, "trial", seed_bundle(self.config.seed, "search", slot))

    def final_specs(self, hparams: Mapping[str, Scalar]) -> list[RunSpec]:
        """Return the specs of a tier's final runs, on the bundles that every model gets."""
        bundles = (seed_bundle(self.config.seed, "final", index) for index in range(self.config.seeds))
        return [self.spec(hparams, "final", bundle) for bundle in bundles]

    @property
    def trials(self) -> int:
        """Trials of the search: the default is all there is where nothing is searched."""
        return self.config.trials if self.space.search else 1

    @property
    def deterministic(self) -> bool:
        """Whether seeds change nothing: neither the model, nor which texts it is trained on."""
        config = self.config
        examples = config.train_examples or round(config.train_share * self.dataset.sizes["train"])
        return self.model.deterministic and examples >= self.dataset.sizes["train"]

    @property
    def confirm(self) -> Confirmation | None:
        """Which configurations are trained again; none where that would give what is known."""
        return None if self.deterministic else self.config.confirm

    @property
    def confirming(self) -> int:
        """Further runs of the best configurations, after as many trials."""
        return self.confirm.total(self.trials) if self.confirm else 0

    @property
    def max_epochs(self) -> int:
        """Most epochs that a run of the default configuration may take, as published or scaled."""
        defaults = [self.default, *([self.searched.default] if self.is_scaled else [])]
        runs = [self.trial_spec(one, 0).training for one in defaults]
        return max(training.epochs if training else 1 for training in runs)


def make_plan(model: str, dataset: Dataset, config: SweepConfig, space_file: Path | None = None) -> Plan:
    """Plan the sweep of one model.

    Parameters
    ----------
    model : str
        Registered name, or ``path/to/file.py:build``.
    dataset : Dataset
        The prepared data set.
    config : SweepConfig
        Budget, limits and overrides.
    space_file : Path, optional
        A different space than the model's.

    Raises
    ------
    UserError
        When the model, its space, an override or the metric is wrong, or unavailable for the data or model.
    MissingResource
        When word vectors or a module that the model needs is unavailable.
    """
    description = describe(model)
    own = own_overrides(description, config.overrides)
    if own.get("tokens") == "auto":
        own["tokens"] = dataset.auto_tokens
    space = resolve_space(description, space_file, dataset.auto_tokens).fix(own)
    if not _is_small(space, dataset, config):
        config = config.model_copy(update={"small_data": None})
    plan = Plan(description, dataset, space, config)
    if description.input == "strings" and config.compile == "xla":
        raise UserError(
            f"`compile` xla: '{model}' reads raw texts, which XLA cannot; expected auto, fit or graph"
        )
    _check_trim(description, space, config)
    _check_storable(description, space)
    wanted, there = config.train_examples, dataset.sizes["train"]
    if wanted is not None and not len(dataset.class_names) <= wanted <= there:
        raise UserError(
            f"`train_examples`: got {wanted}, expected {len(dataset.class_names)} (one a class) to {there}"
        )
    for name in description.resources.keys() & space.search.keys():
        for value in space.search[name].samples():  # found out now, not in the middle of the search
            _identify(description, name, value)
    try:
        spec = plan.trial_spec(plan.default, 0)
    except ValidationError as error:
        message = first_problem(error, TypeAdapter(RunSpec))[0]
        raise UserError(f"default configuration of '{model}': {message}") from error
    _check_metric(plan.metric, dataset)
    _check_common(plan, spec)
    _check_tokens(plan)
    if description.check:
        load_target(description.check, "model")({name: _asked(plan, name) for name in plan.default})
    return plan


def plan_finals(model: str, dataset: Dataset, config: SweepConfig) -> tuple[Plan, dict[str, Scalar]]:
    """Plan final runs alone, of the published default, or of one that is scaled to few training texts.

    Parameters
    ----------
    model, dataset
        As `make_plan` takes them.
    config : SweepConfig
        Its number of training texts is what the default is scaled to, where `small_data` says so.

    Returns
    -------
    plan : Plan
        With nothing to search.
    scaled : dict
        What is not as in the published default.
    """
    small, texts = config.small_data, config.train_examples or dataset.sizes["train"]
    plan = make_plan(model, dataset, config.model_copy(update={"small_data": None}))
    space, made_for = plan.space, plan.space.made_for
    if small and made_for and plan.is_network and texts < small.below * made_for:
        fixed = own_overrides(plan.model, config.overrides)
        space = space.scaled(texts, small, config.epochs, fixed)
    scaled = {name: value for name, value in space.default.items() if value != plan.default[name]}
    epochs = max(config.epochs, int(scaled.get("epochs") or 0))
    only = space.model_copy(update={"search": {}})
    return replace(plan, space=only, config=plan.config.model_copy(update={"epochs": epochs})), scaled


def _is_small(space: Space, dataset: Dataset, config: SweepConfig) -> bool:
    """Whether data are far smaller than what the default was made for, and the budget allows for it.

    Who draws few of many texts asks what a search for many texts makes of them.
    """
    if config.small_data is None or space.made_for is None or config.train_examples is not None:
        return False
    small = dataset.sizes["train"] < config.small_data.below * space.made_for
    return small and dataset.name != _AS_PUBLISHED


def _check_common(plan: Plan, spec: RunSpec) -> None:
    """Find out what the settings of all models ask for that the data set or the model cannot have."""
    own = plan.model.parameters
    asked = {key: _asked(plan, key) for key in (COMMON_KEYS - own.keys()) & plan.default.keys()}
    for key in asked:
        _check_values(plan, CommonSettings, key)
    classes = len(plan.dataset.class_names)
    if "tuned" in asked.get("decision", ()) and classes != 2:
        raise UserError(
            f"decision tuned: a threshold is between two classes, and '{plan.dataset.name}' has {classes}; "
            "expected argmax"
        )
    if True in asked.get("refit", ()):
        _check_refit(plan)
    if plan.model.input == "texts" and plan.model.digest:  # those that are built in have all that is asked
        _check_pipeline(plan, spec, weighted="balanced" in asked.get("class_weight", ()))


def _check_refit(plan: Plan) -> None:
    """Find out whether final runs cannot be trained on the validation texts, too."""
    reason = ""
    if plan.is_network:
        reason = f"'{plan.model.name}' is a network, whose training is followed on the validation split"
    elif plan.config.train_examples is not None:
        reason = "`train_examples` says how many texts there are to train on"
    if reason:
        raise UserError(f"refit true: {reason}; expected false")


def _asked(plan: Plan, name: str) -> set[Scalar]:
    """Return the values of a setting that runs may have, some of them where there are many."""
    searched = plan.space.search[name].samples() if name in plan.space.search else ()
    return {plan.default[name], *searched} if name in plan.default else set()


def _check_values(plan: Plan, settings: type[Frozen], name: str) -> None:
    """Find out whether a setting has a value that it cannot have."""
    for value in _asked(plan, name):
        try:
            settings.model_validate({name: value})
        except ValidationError as error:
            message = first_problem(error, TypeAdapter(settings))[0]
            raise UserError(f"{plan.model.name}: {message}") from error


def _check_tokens(plan: Plan) -> None:
    """Find out whether the forms of tokens are known, and can be made here; other choices, too."""
    for name, known in plan.model.choices.items():
        for value in _asked(plan, name) - {*known}:
            raise UserError(
                f"{plan.model.name}: {name} is '{value}'; {did_you_mean(str(value), map(str, known))}"
            )
    own = "tokens" in plan.model.parameters
    if plan.model.input == "ids" and not own:
        _check_values(plan, ViewSettings, "tokens")
    if (plan.model.input == "ids" or own) and "subwords" in _asked(plan, "tokens"):
        need_tokenizers()


def _check_metric(name: str, dataset: Dataset) -> None:
    """Find out whether a metric is unavailable on a data set."""
    metric = get_metric(name, to_rank=True)
    for split in ("validation", "test"):
        if reason := metric.unavailable(dataset.class_names, dataset.class_counts.get(split, ()), split):
            raise UserError(reason, setting="metric", value=name)


def _check_pipeline(plan: Plan, spec: RunSpec, weighted: bool) -> None:
    """Find out whether a pipeline gives no probabilities, which are stored, or cannot weigh classes."""
    try:
        with importing(spec.model, spec.model_digest):
            task = Task(plan.dataset.class_names, 0, 0)
            pipeline = load_builder(spec.model, spec.model_digest)(task, **spec.hparams)
    except Exception:  # the first run reports it in full
        return
    if not hasattr(pipeline, "predict_proba"):
        last = type(pipeline.steps[-1][1] if hasattr(pipeline, "steps") else pipeline).__name__
        raise UserError(
            f"{spec.model}: {last}, its last step, has no predict_proba, and what is measured and stored are "
            "probabilities; expected one that has, or CalibratedClassifierCV around it"
        )
    if weighted:
        check_takes_weights(pipeline, spec.model)


def _check_storable(model: Description, space: Space) -> None:
    """Find out what the tracking store would refuse, or cut off, after a run was trained."""
    for name, value in space.default.items():
        if nearest_name(name) != name:
            raise UserError(
                f"{model.name}: the hyper-parameter '{name:.300}' has a name that MLflow refuses; expected "
                f"at most {LONGEST_NAME} letters, digits, '_', '-' and '.', as '{nearest_name(name)}'"
            )
        for one in (value, *(space.search[name].samples() if name in space.search else ())):
            if len(str(one)) > LONGEST_VALUE:
                raise UserError(
                    f"{model.name}: {name}={str(one)[:40]}… has {len(str(one))} characters; MLflow keeps at "
                    f"most {LONGEST_VALUE} of a parameter; put a long text into a file that RESOURCES names"
                )


def _check_trim(model: Description, space: Space, config: SweepConfig) -> None:
    """Find out whether batches would be cut to their longest text for a model that reads padding."""
    searched = space.search.get("trim")
    if not (space.default.get("trim") or (searched and True in searched.samples())):
        return
    if config.compile == "xla":
        raise UserError(
            "`compile` xla: batches of changing width (trim) are not for XLA; expected auto, fit or graph"
        )
    if not model.ignores_padding:
        raise UserError(
            f"trim: '{model.name}' gives different answers when padding is left off; expected false, or a "
            "model that ignores padding, with IGNORES_PADDING in its file"
        )
    name = model.ignores_padding
    if isinstance(name, str) and not (space.default.get(name) is True and name not in space.search):
        needed = searched.when.get(name) if searched and not space.default.get("trim") else None
        if needed is None or options(needed) != (True,):
            raise UserError(
                f"trim: '{model.name}' ignores padding only when {name} is true; "
                f"add `set` {name}=true, or 'when: {{{name}: true}}' to the search of trim"
            )


def own_overrides(model: Description, overrides: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return what ``--set`` says to one model: ``name`` is for all of a sweep, ``model.name`` for one."""
    own: dict[str, Scalar] = {}
    for name, value in overrides.items():
        prefix, dot, rest = name.rpartition(".")
        if not dot or prefix == model.label:
            own[rest] = value
    return own


def _identify(model: Description, name: str, value: Scalar) -> Resource:
    """Find what a hyper-parameter names."""
    try:
        resource: Resource = load_target(model.resources[name], "resource")(str(value))
    except UserError as error:
        raise MissingResource(f"{model.name}: {error}") from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise UserError(f"`set` {name}={str(value)[:60]}…: too long for a path or address") from error
    return resource


def resolve_space(model: Description, space_file: Path | None = None, tokens: str = "words") -> Space:
    """Return the space of a model: the given file, the shipped one, or one made from its defaults.

    Where a file does not say the form of tokens, it is `tokens`.
    """
    own_file = model.file.with_suffix(".yaml")
    shipped = find_space(model.name)
    path = space_file or shipped or (own_file if model.digest and own_file.is_file() else None)
    known = shared_settings(model)
    if known.get("tokens") == ViewSettings().tokens:
        known["tokens"] = tokens
    if path is None:
        return generic_space(model, known)
    names = None if model.open_ended else set(known)
    space = load_space(path, names=names)
    return space.model_copy(update={"default": {**known, **space.default}})


def shared_settings(model: Description) -> dict[str, Scalar]:
    """Return every hyper-parameter of a model with its default, the settings of views and training too."""
    view = ViewSettings().model_dump() if model.input == "ids" else {}
    training = TrainSettings().model_dump() if model.input != "texts" else {}
    return {**view, **training, **CommonSettings().model_dump(), **model.parameters}


def generic_space(model: Description, settings: dict[str, Scalar]) -> Space:
    """Make a space for a model without one: its defaults, and the settings that matter to all."""
    search = {
        "sequence_length": {"type": "int", "low": 64, "high": 512, "step": 64},
        "vocabulary_size": {"type": "categorical", "choices": [5000, 10000, 20000, 30000]},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
        "batch_size": {"type": "categorical", "choices": [32, 64, 128, 256, 512]},
    }
    return Space.model_validate(
        {
            "model": model.name,
            "source": f"defaults of {model.file.name}",
            "default": settings,
            "search": {name: searched for name, searched in search.items() if name in settings},
        }
    )
