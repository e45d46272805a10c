"""Search spaces: the default of a model and the ranges around it; budgets: the limits of a sweep.

``python -m benchmark.plan.space`` writes their JSON schemas, which editors read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator

import benchmark
from benchmark.metrics.metric import ranking_metrics
from benchmark.plan.ranges import Range, Value, options
from benchmark.spec.config import (
    COMMON_KEYS,
    OWN_FIRST,
    TRAIN_KEYS,
    VIEW_KEYS,
    Confirmation,
    Frozen,
    Scalar,
    SmallData,
    TrainSettings,
    ViewSettings,
)
from benchmark.support.errors import UserError, did_you_mean
from benchmark.support.files import shipped_folder
from benchmark.support.printable import printable
from benchmark.support.yaml_file import describe, first_problem, parse_scalar, problem, read_yaml, validate

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

Count = Annotated[int, Field(strict=True, ge=1)]
Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


class Space(Frozen):
    """A model's published configuration and the ranges searched around it."""

    model_config = ConfigDict(use_attribute_docstrings=True)
    model: str
    """Registered name of the model."""
    source: str
    """Where the default was published."""
    note: str = ""
    """What else a reader should know."""
    metric: str | None = None
    """What the search and its winner follow where a sweep is given no metric; null for the data set's."""
    made_for: Count | None = None
    """Training texts that the default was made for; null where it is not known, and nothing is scaled."""
    default: dict[str, Value]
    """The published configuration, which is trial 0 of every search."""
    search: dict[str, Range] = Field(default_factory=dict)
    """The ranges that are searched, by parameter."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.metric is not None and self.metric not in (known := ranking_metrics()):
            hint = did_you_mean(self.metric, known)
            raise problem(f"'{self.metric}' is not a metric that drives a search; {hint}", "metric")
        for name, searched in self.search.items():
            if name not in self.default:
                hint = did_you_mean(name, self.default)
                raise problem(f"'{name}' is searched but has no default; {hint}", "search", name)
            value = self.default[name]
            if not searched.holds(value):
                raise problem(
                    f"the default of '{name}', {describe(value)}, is not in its range ({searched}), "
                    "and must be: it is trial 0 of the search",
                    *("default", name),
                )
            self.default[name] = searched.clean(value)  # 0 becomes 0.0 where the range has floats
            self._check_condition(name)
        self._check_shared()
        self._order()
        return self

    def _check_condition(self, name: str) -> None:
        for other, wanted in self.search[name].when.items():
            at = ("search", name, "when", other)
            if other not in self.default:
                raise problem(f"'{other}' is not a parameter; {did_you_mean(other, self.default)}", *at)
            for value in options(wanted):
                if other in self.search and not self.search[other].holds(value):
                    raise problem(
                        f"'{other}' is never {describe(value)}: it is searched in {self.search[other]}", *at
                    )

    def _check_shared(self) -> None:
        """Check the settings that all models share, also at the ends of their ranges.

        Not those of which a model may have a parameter of the name: see `benchmark.plan.run_specs`.
        """
        for kind in (ViewSettings, TrainSettings):
            shared = kind.model_fields.keys() - OWN_FIRST - {"tokens"}
            for name in (name for name in self.default if name in shared):
                _check_setting(kind, name, self.default[name], "default", name)
                for value in self.search[name].samples() if name in self.search else ():
                    _check_setting(kind, name, value, "search", name)

    def _order(self) -> list[str]:
        """Return the searched parameters, each after those its condition names."""
        graph = {
            name: [other for other in searched.when if other in self.search]
            for name, searched in self.search.items()
        }
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            cycle = error.args[1][::-1]
            way = " needs ".join(f"'{name}'" for name in cycle)
            raise problem(
                f"conditions go round in a circle: {way}", "search", cycle[0], "when", cycle[1]
            ) from None

    def suggest(self, trial: BaseTrial) -> dict[str, Scalar]:
        """Ask a trial for a configuration.

        Parameters
        ----------
        trial : optuna.trial.BaseTrial
            A running trial; or a finished one, to get back the configuration it had.

        Returns
        -------
        dict
            Every parameter in the order of `default`. One whose condition does not hold is not
            suggested and has its default.
        """
        values: dict[str, Scalar] = dict(self.default)
        for name in self._order():
            if self.search[name].active(values):
                values[name] = self.search[name].suggest(trial, name)
        return values

    def enqueue_params(self) -> dict[str, Scalar]:
        """Return the parameters for ``study.enqueue_trial``, so that this trial is the default."""
        active = (name for name in self._order() if self.search[name].active(self.default))
        return {name: self.default[name] for name in active}

    def grid(self) -> dict[str, list[Scalar]]:
        """Return the values of every searched parameter.

        Points that differ only in a parameter whose condition does not hold are one configuration.

        Raises
        ------
        UserError
            When a range is continuous, logarithmic or very long.
        """
        return {name: searched.values(name) for name, searched in self.search.items()}

    def fix(self, values: Mapping[str, Scalar]) -> Space:
        """Return the space with some parameters fixed: ``--set name=value``.

        Parameters
        ----------
        values : mapping of str to scalar
            New defaults, which need not lie in the ranges; these parameters are no longer searched.
            The conditions of the others are decided by the new values.

        Raises
        ------
        UserError
            When a name is unknown, or a value has the wrong type or is not allowed.
        """
        default = dict(self.default)
        for name, value in values.items():
            if name not in default:
                hint = did_you_mean(name, default)
                raise UserError(printable(f"`set` {name}: '{self.model}' has no such parameter; {hint}"))
            searched = self.search.get(name)
            known = (*searched.samples(), default[name]) if searched else (default[name],)
            default[name] = _convert(name, value, known)
        search = {name: searched for name, searched in self.search.items() if name not in values}
        content = {**dict(self), "default": default, "search": search}
        try:
            return Space.model_validate(content)
        except ValidationError as error:
            message, keys = first_problem(error, TypeAdapter(Space))
            raise UserError(printable(f"`set` {keys[-1] if keys else ''}: {message}")) from None

    def scaled(
        self, texts: int, small: SmallData, epochs: int, fixed: Collection[str] = (), *, grow: bool = True
    ) -> Space:
        """Return the space whose default is scaled to few texts, and whose batches are bounded.

        Parameters
        ----------
        texts : int
            Training texts.
        small : SmallData
            The fewest steps of an epoch.
        epochs : int
            Most epochs by the budget, of the default as published.
        fixed : collection of str
            Parameters that the user has given; these stay as they are.
        grow : bool
            Whether there may be more epochs; else their number is not the space's, and is left alone.

        Returns
        -------
        Space
            This one where nothing changes.

        Notes
        -----
        With r times fewer steps an epoch than the default had, there are up to sqrt(r) times the epochs and
        the patience: sqrt(r) times fewer steps in all, and sqrt(r) times more passes over the texts. As many
        steps would take as long as the full data do, and few texts are learned by heart long before.
        """
        if self.made_for is None or not isinstance(published := self.default.get("batch_size"), int):
            return self
        default, search, batch = dict(self.default), dict(self.search), published
        most = max(1, int(texts / small.steps))
        if "batch_size" not in fixed:
            bounded = search["batch_size"].up_to(most) if "batch_size" in search else None
            if bounded is not None:
                search["batch_size"] = bounded
            else:
                search.pop("batch_size", None)
            if published > most:
                largest = max(bounded.samples()) if bounded else 2 ** int(math.log2(most))  # type: ignore[type-var]
                assert isinstance(largest, int)
                default["batch_size"] = batch = largest
        growth = math.sqrt(max(1.0, (self.made_for / published) / (texts / batch)))
        for name, cap in (*([("epochs", epochs)] if grow else []), ("patience", None)):
            if isinstance(own := default.get(name), int):
                own = own if cap is None else min(own, cap)
                default[name] = own if name in fixed else math.ceil(own * growth)
        same = default == self.default and search == self.search
        return self if same else self.model_copy(update={"default": default, "search": search})


def load_space(path: str | Path, names: Iterable[str] | None = None) -> Space:
    """Read a space file.

    Parameters
    ----------
    path : str or Path
        The YAML file.
    names : iterable of str, optional
        The model's hyper-parameters. Where given, a default that is neither one of these nor a
        setting all models share is an error.

    Returns
    -------
    Space
        The checked space.

    Raises
    ------
    UserError
        One line with file and line.
    """
    located = read_yaml(path)
    space = validate(located, Space)
    known = space.default.keys() if names is None else {*names, *VIEW_KEYS, *TRAIN_KEYS, *COMMON_KEYS}
    for name in space.default:
        if name not in known:
            hint = did_you_mean(name, known)
            raise located.error(f"'{name}' is not a known key; {hint}", "default", name)
    return space


def spaces_folder() -> Path:
    """Return the folder of the search spaces.

    Returns
    -------
    Path
        ``benchmark/search_spaces`` in an installed wheel, otherwise ``search_spaces`` beside the
        package in a checkout.

    Raises
    ------
    UserError
        When neither is there.
    """
    folder = shipped_folder("search_spaces", "search_spaces")
    if folder is None:
        package = Path(benchmark.__file__).resolve().parent
        raise UserError(f"{package} has no search_spaces folder; install the package again")
    return folder


def find_space(model_name: str) -> Path | None:
    """Return the packaged space file of a model, or None where there is none.

    Parameters
    ----------
    model_name : str
        Registered name. A model from a file (``path/to/file.py:build``) has none.
    """
    path = spaces_folder() / f"{model_name}.yaml"
    if Path(model_name).name != model_name or model_name == "budgets" or not path.is_file():
        return None
    return path


def _check_setting(kind: type[Frozen], name: str, value: Scalar, *at: str) -> None:
    try:
        kind.model_validate({name: value}, strict=True)
    except ValidationError as error:
        raise problem(first_problem(error, TypeAdapter(kind))[0], *at) from None


def _convert(name: str, value: Scalar, known: tuple[Scalar, ...]) -> Scalar:
    """Return a value in a type that the known values of a parameter have; text is read as in YAML."""
    kinds = {type(item) for item in known}
    if isinstance(value, str):
        parsed = parse_scalar(value)
        value = value if str in kinds and type(parsed) not in kinds else parsed
    elif kinds == {str} and type(value) in (int, float):
        return str(value)  # --set widths=3 is the text "3"
    if type(value) in kinds or kinds == {type(None)}:
        return value
    if float in kinds and type(value) is int and abs(value) < 1e300:
        return float(value)
    if int in kinds and type(value) is float and value.is_integer():
        return int(value)
    nouns = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
    expected = " or ".join(noun for kind, noun in nouns.items() if kind in kinds)
    raise UserError(printable(f"`set` {name}={value}: expected {expected}, got {describe(value)}"))


class Budget(Frozen):
    """The limits of a sweep."""

    model_config = ConfigDict(use_attribute_docstrings=True)
    trials: Count
    """Trials of the search, the published default included."""
    seeds: Count
    """Final runs of each tier."""
    epochs: Count
    """Most epochs of any run."""
    train_share: Annotated[Positive, Field(le=1)]
    """Share of the training split that is used."""
    seconds: Positive | None
    """Training seconds of all trials after which the search starts no further one; null for no limit."""
    random_start: Count = 10
    """Trials, the published default included, before the sampler learns from them."""
    small_data: SmallData | None = None
    """How a search starts on data far smaller than what the default was made for; null for as on any."""
    confirm: Confirmation | None = None
    """The best configurations, which are trained again before the winner is frozen; null for none."""
    note: str = ""
    """What the budget is for."""


def load_budgets(path: str | Path | None = None) -> dict[str, Budget]:
    """Read a file of budgets.

    Parameters
    ----------
    path : str or Path, optional
        The YAML file; by default the packaged ``search_spaces/budgets.yaml``.

    Returns
    -------
    dict of str to Budget
        By name, in the order of the file.

    Raises
    ------
    UserError
        One line with file and line.
    """
    located = read_yaml(spaces_folder() / "budgets.yaml" if path is None else path)
    return validate(located, dict[str, Budget])


def get_budget(name: str) -> Budget:
    """Return a packaged budget, or raise `UserError` with the nearest name."""
    budgets = load_budgets()
    if name not in budgets:
        raise UserError(f"there is no budget named '{name}'; {did_you_mean(name, budgets)}")
    return budgets[name]


SCHEMAS: dict[str, tuple[str, Any]] = {
    "schema.json": ("Textbench search space", Space),
    "budgets.schema.json": ("Textbench budgets", dict[str, Budget]),
}


def schema_text(name: str) -> str:
    """Return the content of one of the files in `SCHEMAS`."""
    title, kind = SCHEMAS[name]
    schema = TypeAdapter(kind).json_schema()
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps({**head, **schema, "title": title}, indent=2) + "\n"


def main() -> None:
    """Write the schemas beside the packaged search spaces."""
    for name in SCHEMAS:
        path = spaces_folder() / name
        path.write_text(schema_text(name), encoding="utf-8")
        print(f"{path}: written")


if __name__ == "__main__":
    main()
