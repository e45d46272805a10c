"""The parser of a command, types of values, and options that mean the same in all commands."""

from __future__ import annotations

import argparse
import errno
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from benchmark.support.errors import UserError, did_you_mean
from benchmark.support.printable import redacted

if TYPE_CHECKING:
    from benchmark.data.source import SourceOptions

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line that names the nearest valid choice."""

    def error(self, message: str) -> NoReturn:
        """Raise `UserError` instead of printing the usage."""
        if message.startswith("unrecognized arguments:"):
            unknown = message.removeprefix("unrecognized arguments:").strip().split(" ")[0].partition("=")[0]
            message = f"there is no option '{unknown}'"
            known = [option for action in self._actions for option in action.option_strings]
            if unknown.startswith("-"):
                message += f"; {did_you_mean(unknown, [o for o in known if o.startswith('--')])}"
        raise UserError(message)


Option = tuple[str, dict[str, Any]]
"""Name and settings of an argument, as `argparse.ArgumentParser.add_argument` takes them."""


def option(name: str, help: str, type: Callable[[str], Any] | None = None, **settings: Any) -> Option:
    """Return an argument that has a value.

    Parameters
    ----------
    name : str
        Of the form ``--name VALUE``; without dashes the argument is positional.
    help : str
        What ``--help`` says of it.
    type : callable, optional
        Converts the value; by default what VALUE stands for in all commands, otherwise it is any text.
    **settings
        More of `argparse.ArgumentParser.add_argument`.
    """
    name, metavar = name.split(" ")
    return name, {"metavar": metavar, "type": type or _TYPES.get(metavar, str), "help": help, **settings}


def one_of(name: str, what: str, choices: tuple[str, ...], default: str) -> Option:
    """Return an option whose value is one of some words, all of which ``--help`` lists."""
    return option(name, f"{', '.join(choices)} (default: {default})", Choice(what, choices), default=default)


def was_given(options: argparse.Namespace, name: str) -> bool:
    """Return whether an option was typed, or given as a keyword, whatever its value."""
    flag = f"--{name.replace('_', '-')}"
    return any(word.partition("=")[0] == flag for word in options.arguments)


def switch(name: str, help: str) -> Option:
    """Return an option without a value."""
    return name, {"action": "store_true", "help": help}


def make_parser(command: str, description: str, *options: Option, epilog: str = "") -> Parser:
    """Return the parser of a command, ``--debug`` included."""
    parser = Parser(
        prog=f"python -m benchmark.{command}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for name, settings in (switch("--debug", "show tracebacks"), *options):
        parser.add_argument(name, **settings)
    return parser


@dataclass(frozen=True)
class Choice:
    """An argument type that accepts one of some words, with did-you-mean."""

    name: str
    choices: tuple[str, ...]

    def __call__(self, value: str) -> str:
        """Return the word, or say which is the nearest."""
        if value not in self.choices:
            hint = did_you_mean(value, self.choices)
            raise argparse.ArgumentTypeError(f"'{value}' is not a {self.name}; {hint}")
        return value


def whole_number(low: int) -> Callable[[str], int]:
    """Return an argument type for whole numbers from ``low`` upwards."""

    def convert(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{value}' is not a whole number") from None
        if number < low:
            raise argparse.ArgumentTypeError(f"got {number}, expected {low} or more")
        return number

    return convert


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{value}' is not a number") from None


def positive_number(value: str) -> float:
    """Convert an option to a number above 0."""
    number = _number(value)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"got {value}, expected a number above 0")
    return number


def possible_path(value: str) -> str:
    """Check an option that may name a file or folder: the system must be able to hold such a name."""
    try:
        os.lstat(value)
    except (OSError, ValueError) as error:  # a ValueError is a NUL
        if isinstance(error, ValueError) or error.errno == errno.ENAMETOOLONG:
            reason = "there is a NUL in it" if isinstance(error, ValueError) else "it is too long"
            shown = redacted(value)[:60]
            raise argparse.ArgumentTypeError(f"'{shown}…' cannot be a path: {reason}") from None
    return value


def local_path(value: str) -> str:
    """Check an option that names a file or folder of this machine, in UTF-8 as TensorFlow wants it."""
    if not value:
        raise argparse.ArgumentTypeError("expected the path of a file or folder, got nothing")
    if _ADDRESS.match(value):
        raise argparse.ArgumentTypeError(
            f"'{value}' is an address; expected the path of a file or folder here"
        )
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise argparse.ArgumentTypeError(f"'{value}' is not UTF-8; expected a path in UTF-8")
    return possible_path(value)


def data_set(value: str) -> str:
    """Check an option that names a data set, which may be a file or folder of this machine."""
    kind, _, path = value.partition(":")
    if kind in ("csv", "dir") and _ADDRESS.match(path):
        raise argparse.ArgumentTypeError(f"'{value}' is an address; expected {kind}:PATH, a path here")
    return possible_path(value)


def fixed_settings(texts: Sequence[str]) -> dict[str, str]:
    """Return the names and values of ``--set NAME=VALUE``, which may be given several times."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UserError("expected NAME=VALUE, for example `set` units=64", setting="set", value=text)
        found[name.strip()] = value
    return found


def _points(value: str) -> float:
    """Convert points to a share."""
    points = _number(value)
    if not 0 <= points < 100:
        raise argparse.ArgumentTypeError(f"got {value}, expected points from 0 to below 100")
    return points / 100


def metric_name(value: str) -> str:
    """Check the name of a metric by which boards are ranked."""
    from benchmark.metrics.metric import get_metric

    return get_metric(value, to_rank=True).name


_TYPES: dict[str, Callable[[str], Any]] = {
    "DIR": local_path,
    "FILE": local_path,
    "URI": possible_path,
    "URL": possible_path,
    "D": data_set,
}
JSON = switch("--json", "print JSON")
JSON_AT_END = switch("--json", "print one JSON document at the end; progress goes to stderr")
SEED = option("--seed S", "root of all seeds (default: 0)", whole_number(0), default=0)
DEVICE = option(
    "--device X", "auto (default), cpu or gpu", Choice("device", ("auto", "cpu", "gpu")), default="auto"
)
BOARD_DATASET = option(
    "--dataset D", "data set, or NAME@DIGEST where several have its name (default: that of the newest sweep)"
)
FOLDS = option(
    "--folds K",
    "divide data without a test split into K folds, 5 or more, each of which is tested once; the board is "
    "over folds",
    whole_number(5),
)
METRIC = option(
    "--metric M",
    "rank and compare by accuracy, balanced_accuracy, macro_f1, mcc, roc_auc, average_precision, log_loss or "
    "brier, from stored predictions (default: what the runs were optimised for)",
    metric_name,
)
MARGIN = option(
    "--margin POINTS",
    "smallest difference worth talking about, in points, or as the metric is written where it has none "
    "(default: 0.5 points; log_loss and brier have none)",
    _points,
)
TRACKING_URI = option(
    "--tracking-uri URI", "MLflow store (default: MLFLOW_TRACKING_URI, otherwise sqlite:///mlruns/mlflow.db)"
)
DATA_DIR = option(
    "--data-dir DIR",
    "folder with tensorflow_datasets/ and other data that need not be fetched (default: BENCHMARK_DATA_DIR)",
)
_USES = ("text", "label", "split", "group")
_COLUMN = "column that is the {}, for csv:PATH, hf:NAME and tfds:NAME (default: found by its name)"
DATA_OPTIONS = (
    DATA_DIR,
    option(
        "--validation-share X",
        "share of train that becomes validation, below 1 (default: 0.2; part of the data digest)",
        positive_number,
    ),
    option("--encoding X", "of text files, for example latin-1 (default: utf-8)"),
    option("--text-column NAME", _COLUMN.format("text")),
    option("--label-column NAME", _COLUMN.format("label")),
    option(
        "--quoting X",
        "of CSV and TSV: minimal, a field may stand in quotes; none, quotes are text "
        "(default: minimal, unless quotes seem to be text, which is an error)",
        Choice("way to quote", ("minimal", "none")),
    ),
    option(
        "--columns NAMES",
        "columns of csv:PATH, hf:NAME, as text=body,label=stars,split=part,group=author: split says train, "
        "validation or test (split= is none); texts of a group stay in one split where splits are drawn",
    ),
    switch(
        "--drop-missing",
        "leave out rows of csv:PATH and hf:NAME without a label or a text (otherwise an error)",
    ),
    option(
        "--min-per-class N", "leave out classes of fewer texts (csv:PATH, dir:PATH, hf:NAME)", whole_number(1)
    ),
)
"""They say where data is and how it is read; see `source_options`."""
MODEL_OPTIONS = (
    option(
        "--best D",
        "use the first row of this data set's board; NAME@DIGEST where several data sets have its name",
    ),
    option("--model M", "with --best: the first row of this architecture"),
    option("--model-uri URI", "use this MLflow model, or folder"),
    switch("--trust", "run the program of a model that no sweep of this store has made"),
    TRACKING_URI,
)
"""They name one stored model, and its store; see `check_model_options`."""


def check_model_options(options: argparse.Namespace) -> None:
    """Refuse no model and two models."""
    if (options.best is None) == (options.model_uri is None):
        raise UserError("name one model: `best` DATASET or `model_uri` URI")
    if options.model and options.best is None:
        raise UserError(
            "goes with `best` DATASET, not with `model_uri`", setting="model", value=options.model
        )


def check_picture(name: str | None) -> None:
    """Refuse a file that is neither a PNG nor an SVG."""
    if name is not None and Path(name).suffix not in (".png", ".svg"):
        raise UserError("expected a name that ends in .png or .svg", setting="picture", value=name)


def source_options(options: argparse.Namespace) -> SourceOptions:
    """Return what was said by `DATA_OPTIONS`."""
    from benchmark.data.source import SourceOptions

    names = ("validation_share", "encoding", "text_column", "label_column", "quoting")
    given = {name: getattr(options, name) for name in (*names, "drop_missing", "min_per_class")}
    for name, column in _columns(options.columns).items():
        if given.get(name) not in (None, column):
            raise UserError(f"`{name}` says '{given[name]}'", setting="columns", value=options.columns)
        given[name] = column
    return SourceOptions(data_dir(options.data_dir), **given)


def _columns(value: str | None) -> dict[str, str]:
    """Return the settings that ``--columns`` stands for; a name may hold commas."""
    found: dict[str, str] = {}
    for text in re.split(rf",\s*(?=(?:{'|'.join(_USES)})=)", value) if value is not None else ():
        use, equals, column = text.partition("=")
        if use not in _USES or not equals:
            hint = did_you_mean(use, _USES) if equals else "expected for example text=body,label=stars"
            raise UserError(f"'{text}': {hint}", setting="columns", value=value)
        if not column and use != "split":
            raise UserError(f"expected the name of a column after {use}=", setting="columns", value=value)
        if found.setdefault(f"{use}_column", column) != column:
            raise UserError(f"'{use}' has two columns", setting="columns", value=value)
    return found


def data_dir(option: str | None) -> Path | None:
    """Return the data folder of the option or of ``BENCHMARK_DATA_DIR``, which must exist."""
    value = option or os.environ.get("BENCHMARK_DATA_DIR")
    if not value:
        return None
    where, path = "`data_dir`" if option else "BENCHMARK_DATA_DIR", Path(value)
    try:
        local_path(value)
    except argparse.ArgumentTypeError as error:
        raise UserError(f"{where}: {error}") from None
    if not path.is_dir():
        raise UserError(f"{where} {path}: there is no such folder")
    os.environ["BENCHMARK_DATA_DIR"] = str(path)  # word vectors and modules are looked for there, too
    return path
