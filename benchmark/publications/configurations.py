"""Published configurations: the data files of the command ``reproduce``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from benchmark.models.source_description import describe
from benchmark.plan.ranges import Value
from benchmark.plan.run_specs import shared_settings
from benchmark.plan.space import Count, Positive, Space
from benchmark.spec.config import Frozen, Scalar, without_later
from benchmark.support.errors import UserError, did_you_mean
from benchmark.support.yaml_file import Located, first_problem, problem, read_yaml, validate
from benchmark.support.yaml_file import describe as describe_value

SEEDS = 5
"""Seeds of a configuration where neither the user nor its file says more."""

Metric = Literal["test_accuracy", "test_loss", "val_accuracy"]
Text = Annotated[str, StringConstraints(strict=True, min_length=1)]
Name = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Url = Annotated[str, StringConstraints(strict=True, pattern=r"^https?://\S+$")]
Share = Annotated[Positive, Field(lt=1)]
Finite = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]


class _Part(Frozen):
    """Base of the parts of a file; the docstring below a field says what it is."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Reference(_Part):
    """Where a configuration was published."""

    title: Text
    """As the page has it."""
    url: Url | None
    """Its address; null where there is no one address."""


class Data(_Part):
    """The data set: a registered name, or a folder of texts in an archive."""

    name: Text | None = None
    """As after ``--dataset``."""
    archive: Text | None = None
    """A tar archive below the data folder."""
    folder: Text | None = None
    """The folder of texts in the archive."""
    url: Url | None = None
    """Where the archive can be fetched."""
    without: tuple[Text, ...] = ()
    """Folders of the archive that are left out."""
    validation_share: Share | None = None
    """Share of train that becomes validation; null for the data set's way."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.name is None) == (self.archive is None):
            raise problem("expected either 'name' or 'archive'")
        if (self.archive is None) != (self.folder is None):
            raise problem("'archive' and 'folder' go together")
        return self

    @property
    def label(self) -> str:
        """The data set for people, before it is prepared."""
        return self.name or f"dir:{self.folder}"


class _Bounds(_Part):
    metric: Metric
    """Which figure: of the test split, or of the validation split at the last epoch."""

    def _check(self, **bounds: float | None) -> None:
        for name, bound in bounds.items():
            if bound is not None and bound > 1 and self.metric != "test_loss":
                raise problem(f"'{name}' is {bound}; expected a share, at most 1", name)
        low, high = bounds["low"], bounds["high"]
        if low is not None and high is not None and not low < high:
            raise problem(f"'low' is {low}, expected less than 'high', {high}", "low")


class Figure(_Bounds):
    """A published figure: one value, or a range."""

    value: Finite | None = None
    """One run's, of unknown luck."""
    about: Positive | None = None
    """How far the exact value may be from `value`, where the source has rounded it."""
    low: Finite | None = None
    """Least of several published values."""
    high: Finite | None = None
    """Greatest of several published values."""
    note: str = ""
    """How the source says it."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.low is None) != (self.high is None) or (self.value is None) == (self.low is None):
            raise problem("expected either 'value' or both 'low' and 'high'")
        if self.about is not None and self.value is None:
            raise problem("'about' belongs to 'value'", "about")
        self._check(value=self.value, low=self.low, high=self.high)
        return self

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest that the source can mean."""
        if self.value is None:
            assert self.low is not None
            assert self.high is not None
            return self.low, self.high
        return self.value - (self.about or 0.0), self.value + (self.about or 0.0)


class Band(_Bounds):
    """Where the mean over seeds is expected here, so that a change that moves results is noticed."""

    low: Finite
    """Lower end."""
    high: Finite
    """Upper end."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        self._check(low=self.low, high=self.high)
        return self


class Publication(_Part):
    """One published configuration; nothing of it is left to defaults."""

    name: Name
    """What it is called on the command line; the file has the same name."""
    title: Text
    """What it is, in a few words."""
    source: Reference
    """Where it was published."""
    dataset: Data
    """What it is trained and measured on."""
    model: Text
    """Registered name of the architecture."""
    settings: dict[str, Value]
    """Every hyper-parameter and training setting."""
    train_examples: Count | None = None
    """Number of training texts, drawn again for each run; null for all."""
    seeds: Count = 1
    """Least number of runs from which a figure is given."""
    published: tuple[Figure, ...]
    """The published figures; empty where there is none."""
    band: Band | None = None
    """Where the mean is expected here."""
    differs: tuple[Text, ...]
    """What is not exactly as published."""
    own_vectors: dict[str, Text] = Field(default_factory=dict)
    """Settings that name vectors or a module, and what takes their place below ``--vectors``."""
    cost: Literal["quick", "slow"]
    """A slow one is run with its least number of seeds, unless it is asked for by name."""
    seconds: Count
    """About what a run takes on two cores; the cheapest is run first."""

    @model_validator(mode="after")
    def _settings_are_possible(self) -> Self:
        try:
            _ = self.space
        except ValidationError as error:
            message, keys = first_problem(error, TypeAdapter(Space))
            raise problem(message, "settings", *keys[1:]) from None
        for name in self.own_vectors:
            if name not in self.settings:
                hint = did_you_mean(name, self.settings)
                raise problem(f"'{name}' is not one of the settings; {hint}", "own_vectors", name)
        return self

    @property
    def space(self) -> Space:
        """The configuration as a space with nothing to search."""
        return Space(model=self.model, source=self.source.title, default=dict(self.settings))

    def runs(self, asked: int | None, named: bool) -> int:
        """Return the number of runs.

        Parameters
        ----------
        asked : int or None
            ``--seeds``.
        named : bool
            Whether the user has named this configuration, rather than wanting all of them.
        """
        if self.cost == "slow" and not (named and asked):
            return self.seeds
        return max(asked or SEEDS, self.seeds)

    def with_vectors(self, folder: Path) -> Publication:
        """Return the same configuration with the user's vectors."""
        own = {name: str((folder / place).resolve()) for name, place in self.own_vectors.items()}
        return self.model_copy(update={"settings": {**self.settings, **own}})


@dataclass(frozen=True)
class Case:
    """A configuration that is to be measured: as published, or with the user's vectors.

    Attributes
    ----------
    publication : Publication
        The configuration.
    seeds : int
        Runs in total.
    own_vectors : bool
        Whether the vectors are the user's.
    """

    publication: Publication
    seeds: int
    own_vectors: bool = False

    @property
    def name(self) -> str:
        """What it is called."""
        return self.publication.name + (" (own vectors)" if self.own_vectors else "")

    @property
    def study(self) -> str:
        """Name of the parent run in MLflow."""
        return f"reproduce {self.name}"


def load_publications(folder: Path | None = None) -> dict[str, Publication]:
    """Read all published configurations.

    Parameters
    ----------
    folder : Path, optional
        Folder of YAML files; by default the packaged one.

    Returns
    -------
    dict of str to Publication
        By name: the quick ones before the slow ones, the cheapest first.

    Raises
    ------
    UserError
        One line with file and line.
    """
    folder = folder or Path(__file__).parent / "data"
    if not folder.is_dir():
        raise UserError("there is no such folder", setting="published", value=folder)
    found = [load_publication(path) for path in sorted(folder.glob("*.yaml"))]
    if not found:
        raise UserError("there are no .yaml files in it", setting="published", value=folder)
    found.sort(key=lambda item: (item.cost == "slow", item.seconds, item.name))
    return {item.name: item for item in found}


def load_publication(path: Path) -> Publication:
    """Read one published configuration; it must say every setting of its model.

    Raises
    ------
    UserError
        One line with file and line.
    """
    located = read_yaml(path)
    publication = validate(located, Publication)
    if publication.name != path.stem:
        raise located.error(f"'name' is '{publication.name}', expected '{path.stem}' as the file", "name")
    try:
        description = describe(publication.model)
    except UserError as error:
        raise located.error(str(error), "model") from error
    _check_settings(located, publication.settings, shared_settings(description))
    return publication


def _check_settings(located: Located, given: Mapping[str, Scalar], known: Mapping[str, Scalar]) -> None:
    for name, value in given.items():
        if name not in known:
            raise located.error(f"'{name}' is not a known key; {did_you_mean(name, known)}", "settings", name)
        if not _same_kind(value, known[name]):
            raise located.error(
                f"'{name}' is {describe_value(value)}; expected a value like {describe_value(known[name])}",
                *("settings", name),
            )
    missing = [name for name in without_later(known) if name not in given]
    if missing:
        raise located.error(f"'{missing[0]}' is missing; nothing is left to defaults here", "settings")


def _same_kind(value: Scalar, default: Scalar) -> bool:
    """Whether a value may take the place of a default: null may on either side, and 1 for 1.0."""
    if value is None or default is None:
        return True
    return type(value) is type(default) or (type(value), type(default)) == (int, float)
