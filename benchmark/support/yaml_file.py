"""YAML files read safely and validated with pydantic; every mistake is one line with file and line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedBase, CommentedMap
from ruamel.yaml.constructor import BaseConstructor, ConstructorError, RoundTripConstructor, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import Node, ScalarNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.resolver import BaseResolver

from benchmark.support.errors import UserError, did_you_mean, one_line
from benchmark.support.printable import printable

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

T = TypeVar("T")
LIMIT = 1_000_000  # bytes; a configuration file is never this long, and YAML is slow to read
_CORE = "tag:yaml.org,2002:"
_EXPECTED = {
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "should be a mapping"),
    "tuple_type": "should be a list",
    "too_short": "needs at least one value",
}


class _Resolver(BaseResolver):
    """Which plain scalars are not text: those of YAML 1.2, whatever version a file declares.

    The library's rules take ``.5e3`` for text, ``0b11`` and ``1._5`` for numbers, and dates for dates.
    """

    processing_version = (1, 2)

    def __init__(self, version: None = None, loader: Any = None) -> None:
        super().__init__(loader)


for _tag, _pattern in {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf)|\.(nan|NaN)",
}.items():
    _Resolver.add_implicit_resolver_base(_CORE + _tag, re.compile(rf"^(?:{_pattern})$"), None)


class _Constructor(RoundTripConstructor):
    """Mappings and lists that know their lines, of plain values: no tags, no key twice, no circles."""

    yaml_constructors = {  # noqa: RUF012  # typed by its base class
        None: SafeConstructor.construct_undefined,
        **{
            _CORE + kind: getattr(base, f"construct_yaml_{kind}")
            for base, kinds in (
                (RoundTripConstructor, ("map", "seq")),
                (SafeConstructor, ("str", "int", "float", "bool", "null")),
            )
            for kind in kinds
        },
    }
    construct_scalar = BaseConstructor.construct_scalar

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        if node in self.recursive_objects:
            raise ConstructorError(None, None, "an alias contains itself", node.start_mark)
        return super().construct_object(node, deep=True)

    def check_mapping_key(self, node: Node, key_node: Node, mapping: Any, key: Any, value: Any) -> bool:
        if not isinstance(key, str):
            wrong = f"the key ({describe(key)}) is not text; put it in quotes"
        elif key in mapping:
            wrong = f"'{key}' is given twice, first in line {mapping.lc.key(key)[0] + 1}"
        else:
            return True
        raise ConstructorError(None, None, wrong, key_node.start_mark)


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor, yaml.Resolver = _Constructor, _Resolver
    return yaml


@dataclass(frozen=True)
class Located:
    """The content of a YAML file, and where each key of it stands.

    Attributes
    ----------
    path : Path
        The file.
    data : dict
        Its content.
    """

    path: Path
    data: CommentedMap

    def find(self, *keys: str | int) -> tuple[tuple[str | int, ...], int]:
        """Return the part of a location that is in the file, and its line, counted from 1.

        What the file does not have is skipped: pydantic puts the tags of unions into its locations.
        """
        node, found, line = self.data, [], self.data.lc.line
        for key in keys:
            lines = node.lc.data if isinstance(node, CommentedBase) else None
            if lines and key in lines:
                node, line = node[key], lines[key][0]
                found.append(key)
        return tuple(found), line + 1

    def error(self, message: str, *keys: str | int) -> UserError:
        """Return the error to raise about a key: ``search_spaces/lstm.yaml, line 12: …``."""
        return _error(self.path, message, self.find(*keys)[1])


def read_yaml(path: str | Path) -> Located:
    """Read a YAML mapping safely, keeping the line of each key.

    Parameters
    ----------
    path : str or Path
        The file: UTF-8, at most 1 MB.

    Returns
    -------
    Located
        Content and positions.

    Raises
    ------
    UserError
        When the file cannot be read, is not a YAML mapping, has a key twice or a key that is not text,
        or contains itself. The message is one line.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
    except (OSError, ValueError) as error:
        raise _error(path, f"cannot be read: {one_line(error)}") from None
    if len(content) > LIMIT:
        raise _error(path, "is longer than 1 MB; expected a short YAML file")
    text = content.decode("utf-8", "surrogateescape")
    try:
        data = _yaml().load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = ", ".join(part for part in (error.context, error.problem) if part)
        raise _error(path, f"not valid YAML: {why}", mark.line + 1 if mark else None) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _error(path, "not valid YAML: a control character, or not UTF-8", line) from None
    except RecursionError:
        raise _error(path, "is nested too deeply") from None
    except (ValueError, KeyError) as error:  # !!int x, or a number of 5,000 digits
        raise _error(path, f"not valid YAML: {error}") from None
    if not isinstance(data, CommentedMap):
        raise _error(path, f"expected keys and values, got {describe(data)}")
    return Located(path, data)


def parse_scalar(text: str) -> str | int | float | bool | None:
    """Read one plain value as a YAML file would: ``--set dropout=1e-4`` gives a float.

    Parameters
    ----------
    text : str
        What stands after the ``=``.

    Returns
    -------
    str, int, float, bool or None
        The value; whatever is not a number, ``true``, ``false`` or ``null`` is text.
    """
    yaml = _yaml()
    tag = yaml.resolver.resolve(ScalarNode, text, (True, False))
    try:
        value: str | int | float | bool | None = yaml.constructor.construct_object(ScalarNode(tag, text))
    except ValueError:  # more digits than Python converts
        return text
    return value


def problem(message: str, *keys: str | int) -> PydanticCustomError:
    """Return what a pydantic validator raises so that the message gets the line of a key.

    Parameters
    ----------
    message : str
        The whole message; nothing is put before or after it.
    *keys : str or int
        The location, relative to the model that is validated.
    """
    return PydanticCustomError("problem", "{message}", {"message": message, "at": keys})


def validate(located: Located, kind: type[T]) -> T:
    """Validate the content of a file.

    Parameters
    ----------
    located : Located
        What `read_yaml` returned.
    kind : type
        A pydantic model, or any type that pydantic validates: ``dict[str, Limits]``.

    Returns
    -------
    object of that type
        The validated content.

    Raises
    ------
    UserError
        The first mistake, with file and line, and how many more there are.
    """
    adapter = TypeAdapter(kind)
    try:
        return adapter.validate_python(located.data)
    except ValidationError as error:
        message, keys = first_problem(error, adapter, located)
    raise located.error(message, *keys)


def first_problem(
    error: ValidationError, adapter: TypeAdapter[Any], located: Located | None = None
) -> tuple[str, tuple[str | int, ...]]:
    """Return the message and the location of the first mistake, unknown keys before all others.

    A misspelt key is both unknown and missing under its right name; the former explains the latter.
    """
    found: dict[tuple[str | int, ...], list[str]] = {}
    unknown_first = sorted(
        error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden"
    )
    schema = adapter.json_schema()
    for detail in unknown_first:
        keys = (*detail["loc"], *detail.get("ctx", {}).get("at", ()))
        place = located.find(*keys)[0] if located else keys
        found.setdefault(place, []).append(_message(detail, schema))
    place, messages = next(iter(found.items()))
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return " or ".join(dict.fromkeys(messages)) + more, place


def describe(value: object) -> str:
    """Return a value as YAML writes it, in short: ``true``, ``'post'``, ``a list``."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python converts
        return "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _message(detail: ErrorDetails, schema: dict[str, Any]) -> str:
    loc, kind, context = detail["loc"], detail["type"], detail.get("ctx", {})
    key = next((part for part in reversed(loc) if isinstance(part, str)), "value")
    if kind == "problem":
        return str(context["message"])
    if kind == "extra_forbidden":
        return f"'{key}' is not a known key; {did_you_mean(key, _schema_at(schema, loc[:-1])['properties'])}"
    if kind == "missing":
        return f"'{key}' is missing"
    if kind.startswith("union_tag"):
        name, tag = context["discriminator"].strip("'"), context.get("tag")
        wrong = f"'{key}' has no '{name}'" if tag is None else f"'{tag}' is not a known {name}"
        return f"{wrong}; {did_you_mean(tag or '', _schema_at(schema, loc)['discriminator']['mapping'])}"
    if kind == "value_error":
        return f"'{key}': {context['error']}"
    expected = _EXPECTED.get(kind, detail["msg"].removeprefix("Input "))
    return f"'{key}' {expected}, got {describe(detail['input'])}"


def _schema_at(schema: dict[str, Any], loc: tuple[str | int, ...]) -> dict[str, Any]:
    """Return the part of a JSON schema that stands at the location of a pydantic error."""

    def resolve(part: dict[str, Any]) -> dict[str, Any]:
        # What may also be null: the first of the two is what it is otherwise.
        part = next((one for one in part.get("anyOf", ()) if one.get("type") != "null"), part)
        return schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part

    here = resolve(schema)
    for key in loc:
        tags = here.get("discriminator", {}).get("mapping", {})
        inner = here.get("properties", {}).get(key) or here.get("additionalProperties") or here.get("items")
        inner = {"$ref": tags[key]} if key in tags else inner
        here = resolve(inner if isinstance(inner, dict) else {})
    return here


def _error(path: Path, message: str, line: int | None = None) -> UserError:
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    place = f"{shown}, line {line}" if line is not None else f"{shown}"
    return UserError(printable(f"{place}: {message}"))
