"""A command's options as keyword arguments: the same names, types, defaults and errors."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from inspect import Parameter, Signature
from numbers import Number
from typing import Any

from benchmark.support.errors import UserError, did_you_mean

_PRINTING = ("help", "debug", "json")


def _actions(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """Return the arguments of a command that are of use to a caller."""
    return {action.dest: action for action in parser._actions if action.dest not in _PRINTING}


def signature(parser: argparse.ArgumentParser, first: str) -> Signature:
    """Return the signature of a function that takes a command's options as keywords.

    Parameters
    ----------
    parser : ArgumentParser
        Of the command.
    first : str
        The option that may be given without its name, beside the positional arguments.
    """
    found = []
    for name, action in _actions(parser).items():
        positional = not action.option_strings or name == first
        kind = Parameter.POSITIONAL_OR_KEYWORD if positional else Parameter.KEYWORD_ONLY
        needed = action.required and action.nargs != "?"
        found.append(Parameter(name, kind, default=Parameter.empty if needed else action.default))
    return Signature(sorted(found, key=lambda one: (one.kind, one.default is not Parameter.empty)))


def documentation(parser: argparse.ArgumentParser) -> str:
    """Return the section of a docstring that describes the keywords."""
    lines, help_of = ["Parameters", "----------"], parser._get_formatter()._expand_help
    for name, action in _actions(parser).items():
        kind = "bool" if action.nargs == 0 else "list of str" if _repeats(action) else "optional"
        lines += [f"{name} : {kind}", f"    {help_of(action)}"]
    return "\n".join(lines)


def namespace(parser: argparse.ArgumentParser, given: Mapping[str, Any]) -> argparse.Namespace:
    """Turn keywords into what the parser would have made of the options; None is the default.

    Raises
    ------
    UserError
        Of a keyword that there is not, one that is missing, or a value that is not possible.
    """
    actions = _actions(parser)
    if unknown := next((name for name in given if name not in actions), None):
        raise UserError(f"there is no keyword `{unknown}`; {did_you_mean(unknown, actions)}")
    typed = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    values: dict[str, Any] = dict.fromkeys(("debug", "json"), False) | {"arguments": typed}
    for name, action in actions.items():
        value = given.get(name)
        if value is None and action.required and action.nargs != "?":
            raise UserError(f"the keyword `{name}` is missing")
        values[name] = action.default if value is None else _converted(name, action, value)
    return argparse.Namespace(**values)


def _repeats(action: argparse.Action) -> bool:
    return isinstance(action.default, list) or isinstance(action, argparse._AppendAction)


def _converted(name: str, action: argparse.Action, value: Any) -> Any:
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise UserError("expected True or False", setting=name, value=repr(value))
        return value
    if not _repeats(action):
        return _single(name, action, value)
    if isinstance(value, Mapping):
        value = [f"{key}={one}" for key, one in value.items()]
    values = value if isinstance(value, list | tuple) else [value]
    if not values and action.required:
        raise UserError("expected one at least", setting=name, value="[]")
    return [_single(name, action, one) for one in values]


def _single(name: str, action: argparse.Action, value: Any) -> Any:
    """Convert a value as the parser would have done with what is typed."""
    if isinstance(value, bool) or not isinstance(value, str | Number | os.PathLike):
        kind = "a list" if isinstance(value, list | tuple) else type(value).__name__
        raise UserError(f"expected a text or a number, got {kind}", setting=name, value=repr(value))
    convert: Any = action.type or str
    try:
        if "\x00" in str(value):
            raise argparse.ArgumentTypeError("there is a NUL in it")
        return convert(str(value))
    except argparse.ArgumentTypeError as error:
        raise UserError(error, setting=name) from None
