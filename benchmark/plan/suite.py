"""A suite: data sets that the same models are swept on, read from a YAML file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from benchmark.data.source import check_spelling, experiment_name, is_path
from benchmark.metrics.metric import ranking_metrics
from benchmark.models import MODELS
from benchmark.plan.ranges import Value
from benchmark.plan.space import Count, Positive, get_budget
from benchmark.spec.config import Frozen, Precision, Pruner, Sampler
from benchmark.support.errors import MissingResource, UserError, did_you_mean
from benchmark.support.registry import is_file_target
from benchmark.support.yaml_file import Located, problem, read_yaml, validate

_Text = Annotated[str, StringConstraints(strict=True, min_length=1)]
_Title = Annotated[_Text, StringConstraints(max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$")]


class _DataOptions(Frozen):
    """A data set of a suite; text alone is its `dataset`."""

    model_config = ConfigDict(use_attribute_docstrings=True)
    dataset: _Text
    """A registered name, dir:PATH, csv:PATH, hf:NAME, tfds:NAME or sample:SETTINGS; a path is relative to the
    suite's file."""
    name: _Title | None = None
    """Title of its column, by default the name of its results."""
    train_examples: Count | None = None
    """Texts to train on, stratified and drawn again for each run."""
    validation_share: Annotated[Positive, Field(lt=1)] | None = None
    """Share of train that becomes validation."""
    encoding: _Text | None = None
    """Of text files."""
    text_column: _Text | None = None
    """Column that is the text."""
    label_column: _Text | None = None
    """Column that is the label."""
    quoting: Literal["minimal", "none"] | None = None
    """Of CSV and TSV."""
    columns: _Text | None = None
    """Columns by their use, as text=body,label=stars,split=part,group=author."""
    drop_missing: bool = False
    """Leave out rows without a label or a text."""
    min_per_class: Count | None = None
    """Leave out classes of fewer texts."""

    @property
    def title(self) -> str:
        """Title of its column."""
        return self.name or experiment_name(self.dataset)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, content: Any) -> Any:
        return {"dataset": content} if isinstance(content, str) else content


class _SuiteFile(Frozen):
    """Data sets that the same models are swept on, with the same budget."""

    model_config = ConfigDict(use_attribute_docstrings=True)
    name: _Title | None = None
    """What the suite is called, by default the name of its file."""
    datasets: Annotated[list[_DataOptions], Field(min_length=1)]
    """Data sets, each by its name or with settings."""
    models: Annotated[list[_Text], Field(min_length=1)]
    """Registered names, all, or path/to/file.py:build; a path is relative to the suite's file."""
    metric: _Text | None = None
    """What searches and tables follow, by default what each space or data set names, otherwise accuracy."""
    budget: _Text | None = None
    """smoke, quick (default), standard or full."""
    trials: Count | None = None
    """Trials of each search in total; without the budget's time limit."""
    seeds: Count | None = None
    """Final runs of each tier in total."""
    epochs: Count | None = None
    """Most epochs of a run."""
    train_examples: Count | None = None
    """Texts to train on, stratified and drawn again for each run."""
    timeout: Positive | None = None
    """Training seconds of a search after which no trial is started."""
    folds: Annotated[Count, Field(ge=5)] | None = None
    """Folds that each data set is divided into, which must not have a test split."""
    sampler: Sampler | None = None
    """Of the search; tpe by default."""
    pruner: Pruner | None = None
    """Of the search; median by default."""
    precision: Precision | Literal["auto"] | None = None
    """What networks compute in."""
    seed: Annotated[int, Field(strict=True, ge=0)] | None = None
    """Root of all seeds; 0 by default."""
    set: dict[str, Value] = Field(default_factory=dict)
    """Hyper-parameters that are fixed, by name, or by MODEL.NAME for one model."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.metric is not None and self.metric not in (known := ranking_metrics()):
            hint = did_you_mean(self.metric, known)
            raise problem(f"'{self.metric}' is not a metric that drives a search; {hint}", "metric")
        if self.budget is not None:
            _check(get_budget, self.budget, "budget")
        for number, model in enumerate(self.models):
            if model != "all" and not is_file_target(model):
                _check(MODELS.target, model, "models", number)
        for number, one in enumerate(self.datasets):
            _check(check_spelling, one.dataset, "datasets", number, "dataset")
        titles: dict[str, str] = {}
        for number, one in enumerate(self.datasets):
            if one.title in titles:
                raise problem(
                    f"two data sets are called '{one.title}' ({titles[one.title]} and {one.dataset}); give "
                    "one of them another name, as {dataset: …, name: …}",
                    *("datasets", number, "name"),
                )
            titles[one.title] = one.dataset
        return self


@dataclass(frozen=True)
class SuiteDataset:
    """A data set of a suite.

    Attributes
    ----------
    name : str
        Title of its column, unique within the suite.
    dataset : str
        What ``--dataset`` takes; paths are relative to the current folder.
    options : mapping of str to object
        Options of `benchmark.sweep` for this data set alone, by name: how its files are read, and
        ``train_examples``.
    """

    name: str
    dataset: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    """Data sets that the same models are swept on, with the same budget.

    Attributes
    ----------
    name : str
        What it is called.
    datasets : tuple of SuiteDataset
        In the order of the file.
    models : tuple of str
        What ``--model`` takes, in the order of the file; paths are relative to the current folder.
    metric : str or None
        What searches and tables follow; None for what each space or data set names.
    options : mapping of str to object
        Further options of `benchmark.sweep` by name, such as ``budget``, ``seeds`` or ``folds``: those that
        the file gives, as the command has them.
    located : Located or None
        The file, None where there is none.
    """

    name: str
    datasets: tuple[SuiteDataset, ...]
    models: tuple[str, ...]
    metric: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    located: Located | None = field(default=None, repr=False, compare=False)

    @contextmanager
    def at(self, *keys: str | int) -> Iterator[None]:
        """Let an error of the block name the file and the line of a key, but for what is missing here."""
        try:
            yield
        except MissingResource:
            raise
        except UserError as error:
            if self.located is None:
                raise
            raise self.located.error(str(error), *keys) from error


def read_suite(path: str | Path) -> Suite:
    """Read the file of a suite.

    Parameters
    ----------
    path : str or Path
        The YAML file; ``docs/suite.schema.json`` is its schema.

    Returns
    -------
    Suite
        Its names of models, data sets, metric and budget are known; whether the data are there is not asked.

    Raises
    ------
    UserError
        One line with file and line.
    """
    located = read_yaml(path)
    content = validate(located, _SuiteFile)
    folder = Path(path).parent
    datasets = tuple(
        SuiteDataset(
            one.title,
            _dataset_beside(folder, one.dataset),
            one.model_dump(exclude={"dataset", "name"}, exclude_defaults=True),
        )
        for one in content.datasets
    )
    models = tuple(_beside(folder, one) if is_file_target(one) else one for one in content.models)
    options = content.model_dump(exclude={"name", "datasets", "models", "metric"}, exclude_defaults=True)
    return Suite(content.name or Path(path).stem, datasets, models, content.metric, options, located)


def suite_schema() -> str:
    """Return the JSON schema of a suite's file: the content of ``docs/suite.schema.json``."""
    schema = _SuiteFile.model_json_schema()
    entry = schema["properties"]["datasets"]["items"]
    schema["properties"]["datasets"]["items"] = {"anyOf": [entry, {"type": "string", "minLength": 1}]}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps({**head, **schema, "title": "Textbench suite"}, indent=2) + "\n"


def _check(check: Callable[[str], object], value: str, *keys: str | int) -> None:
    try:
        check(value)
    except UserError as error:
        raise problem(str(error), *keys) from None


def _dataset_beside(folder: Path, dataset: str) -> str:
    kind, _, path = dataset.partition(":")
    is_local = kind in ("csv", "dir") or (kind == "hf" and is_path(path))
    return f"{kind}:{_beside(folder, path)}" if is_local else dataset


def _beside(folder: Path, path: str) -> str:
    """Return a path of a file in a folder as it is from here."""
    return path if folder == Path() or path.startswith(("/", "~")) else f"{folder}/{path}"
