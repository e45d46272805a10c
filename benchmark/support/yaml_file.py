"""YAML files read safely and validated with pydantic; every mistake is one line with file and line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from benchmark.support.errors import UserError, did_you_mean
from benchmark.support.printable import printable

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

T = TypeVar("T")
LIMIT = 1_000_000  # bytes; a configuration file is never this long, and YAML is slow to read
_CORE = "tag:yaml.org,2002:"
_KINDS = {_CORE + kind for kind in ("str", "int", "float", "bool", "null", "map", "seq")}
_EXPECTED = {
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "dict_type": "should be a mapping",
    "model_type": "should be a mapping",
    "model_attributes_type": "should be a mapping",
    "string_type": "should be text",
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "bool_type": "should be true or false",
}


class _Loader(yaml.SafeLoader):
    """A safe loader with the scalars of YAML 1.2, as editors read them.

    YAML 1.1, PyYAML's own, reads ``1e-4`` as text, ``no`` as false, ``010`` as 8 and ``1:30`` as 90.
    """

    yaml_implicit_resolvers = {}  # noqa: RUF012  # typed by its base class


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "")
    return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


for _tag, _pattern in {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf)|\.(nan|NaN)",
}.items():
    _Loader.add_implicit_resolver(_CORE + _tag, re.compile(rf"^(?:{_pattern})$"), None)
_Loader.add_constructor(_CORE + "int", _integer)


@dataclass(frozen=True)
class Located:
    """The content of a YAML file, and where each key of it stands.

    Attributes
    ----------
    path : Path
        The file.
    data : dict
        Its content.
    node : yaml.Node
        The same content with positions.
    """

    path: Path
    data: dict[str, Any]
    node: yaml.Node

    def find(self, *keys: str | int) -> tuple[tuple[str | int, ...], int]:
        """Return the part of a location that is in the file, and its line, counted from 1.

        What the file does not have is skipped: pydantic puts the tags of unions into its locations.
        """
        node, found, line = self.node, [], self.node.start_mark.line
        for key in keys:
            for name, child, mark in _children(node):
                if name == key:
                    node, line = child, mark.line
                    found.append(key)
                    break
        return tuple(found), line + 1

    def line(self, *keys: str | int) -> int:
        """Return the line of a key, counted from 1: ``located.line("search", "units", "low")``."""
        return self.find(*keys)[1]

    def error(self, message: str, *keys: str | int) -> UserError:
        """Return the error to raise about a key: ``search_spaces/lstm.yaml, line 12: …``."""
        return _error(self.path, message, self.line(*keys))


def read_yaml(path: str | Path) -> Located:
    """Read a YAML mapping with a safe loader, keeping the line of each key.

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
        When the file cannot be read, is no YAML mapping, has a key twice or a key that is not text,
        or contains itself. The message is one line.
    """
    path = Path(path)
    text = _read_text(path)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise _error(path, "the file is empty; expected keys and values")
        _check(path, node, set(), set())
        data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _error(path, f"not valid YAML: {_explain(error)}", mark.line + 1 if mark else None) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _error(path, "not valid YAML: a control character is not allowed", line) from None
    except RecursionError:
        raise _error(path, "is nested too deeply") from None
    except (ValueError, KeyError) as error:  # !!int x, or a number of 5,000 digits
        raise _error(path, f"not valid YAML: {error}") from None
    if not isinstance(data, dict):
        line = node.start_mark.line + 1
        raise _error(path, f"expected keys and values, got {describe(data)}", line)
    return Located(path, data, node)


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
    loader = _Loader("")
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    node = yaml.ScalarNode(tag, text)
    try:
        value: str | int | float | bool | None = loader.construct_object(node)
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
        choices = re.findall(r"'(\w+)'", context.get("expected_tags", ""))
        name = str(context["discriminator"]).strip("'")
        if kind == "union_tag_not_found":
            tags = _schema_at(schema, loc)["discriminator"]["mapping"]
            return f"'{key}' has no '{name}'; {did_you_mean('', tags)}"
        return f"'{context['tag']}' is not a known {name}; {did_you_mean(context['tag'], choices)}"
    if kind == "value_error":
        return f"'{key}': {context['error']}"
    if kind == "too_short":
        return f"'{key}' needs at least {context['min_length']} value"
    expected = _EXPECTED.get(kind, detail["msg"].removeprefix("Input "))
    return f"'{key}' {expected}, got {describe(detail['input'])}"


def _schema_at(schema: dict[str, Any], loc: tuple[str | int, ...]) -> dict[str, Any]:
    """Return the part of a JSON schema that stands at the location of a pydantic error."""

    def resolve(part: dict[str, Any]) -> dict[str, Any]:
        name = part.get("$ref", "").rpartition("/")[2]
        return resolve(schema["$defs"][name]) if name else part

    here = resolve(schema)
    for key in loc:
        tags = here.get("discriminator", {}).get("mapping", {})
        if key in tags:
            here = resolve({"$ref": tags[key]})
        else:
            inner = here.get("properties", {}).get(key) or here.get("additionalProperties")
            here = resolve(inner if isinstance(inner, dict) else {})
    return here


def _children(node: yaml.Node) -> list[tuple[str | int, yaml.Node, yaml.Mark]]:
    if isinstance(node, yaml.MappingNode):
        return [(key.value, value, key.start_mark) for key, value in node.value]
    if isinstance(node, yaml.SequenceNode):
        return [(index, item, item.start_mark) for index, item in enumerate(node.value)]
    return []


def _check(path: Path, node: yaml.Node, above: set[yaml.Node], done: set[yaml.Node]) -> None:
    """Reject what the loader would let pass, or fail on: aliases make the tree a graph."""
    line = node.start_mark.line + 1
    if node in above:
        raise _error(path, "an alias that contains itself is not allowed", line)
    if node in done:
        return
    if node.tag not in _KINDS:
        raise _error(path, f"the tag '{node.tag.replace(_CORE, '!!')}' is not allowed", line)
    if isinstance(node, yaml.MappingNode):
        _check_keys(path, node)
    for _, child, _ in _children(node):
        _check(path, child, above | {node}, done)
    done.add(node)


def _check_keys(path: Path, node: yaml.MappingNode) -> None:
    first: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if key.tag != _CORE + "str" or not isinstance(key, yaml.ScalarNode):
            shown = f"the key {key.value}" if isinstance(key, yaml.ScalarNode) else "a key"
            raise _error(path, f"{shown} is not text; put it in quotes", line)
        if key.value in first:
            raise _error(path, f"'{key.value}' is given twice, first in line {first[key.value]}", line)
        first[key.value] = line


def _explain(error: yaml.MarkedYAMLError) -> str:
    if "'\\t'" in (error.problem or ""):
        return "indent with spaces, not with tabs"
    return ", ".join(part for part in (error.context, error.problem) if part)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
    except FileNotFoundError:
        raise _error(path, "there is no such file") from None
    except IsADirectoryError:
        raise _error(path, "is a folder; expected a YAML file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise _error(path, f"cannot be read: {reason}") from None
    if len(content) > LIMIT:
        raise _error(path, "is longer than 1 MB; expected a short YAML file")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _error(path, "is not UTF-8; save it with that encoding", line) from None


def _error(path: Path, message: str, line: int | None = None) -> UserError:
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    place = f"{shown}, line {line}" if line is not None else f"{shown}"
    return UserError(printable(f"{place}: {message}"))
