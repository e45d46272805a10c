"""What a target is: a model, a data set or an engine; found out without importing it."""

from __future__ import annotations

import ast
from pathlib import Path

from benchmark.conformance.check import SUITES, Kind
from benchmark.data.source import DATASETS, PREFIXES
from benchmark.models import MODELS
from benchmark.support.errors import UserError, did_you_mean
from benchmark.support.registry import is_file_target

FUNCTIONS: dict[str, Kind] = {"build": "model", "source": "dataset", "engine": "engine"}
"""What the function of a file is called, and what the file then is."""


def resolve(target: str, kind: Kind | None = None) -> tuple[str, Kind]:
    """Return a target with its attribute, and what it is.

    Parameters
    ----------
    target : str
        A file, ``FILE:NAME``, ``package.module:NAME``, or the name of a model or data set.
    kind : {"model", "dataset", "engine"}, optional
        What it is, where that is known.

    Raises
    ------
    UserError
        Where there is no such thing, or it cannot be told what it is.
    """
    if not is_file_target(target):
        return target, kind or _registered(target)
    file, _, attribute = target.rpartition(":") if ".py:" in target else (target, "", "")
    if attribute:
        found = kind or FUNCTIONS.get(attribute)
        if found is None:
            raise UserError(f"{target}: say what '{attribute}' is: --kind model, dataset or engine")
        _defined(Path(file))
        return target, found
    defined = [name for name in FUNCTIONS if name in _defined(Path(file))]
    wanted = [name for name in defined if kind in (None, FUNCTIONS[name])]
    if len(wanted) != 1:
        there = f"has {' and '.join(defined)}" if defined else f"has no {', '.join(FUNCTIONS)}"
        raise UserError(f"{file} {there}; name one function, as {file}:build, and its --kind")
    return f"{file}:{wanted[0]}", FUNCTIONS[wanted[0]]


def _registered(name: str) -> Kind:
    if name in MODELS:
        return "model"
    if name in DATASETS or name.partition(":")[0] in PREFIXES:
        return "dataset"
    if ":" in name:
        raise UserError(f"{name}: say what it is: --kind {', '.join(SUITES)}")
    hint = did_you_mean(name, [*MODELS, *DATASETS])
    raise UserError(f"there is no file, model or data set '{name}'; {hint}")


def _defined(file: Path) -> set[str]:
    """Return the names that a file defines."""
    try:
        tree = ast.parse(file.read_bytes())
    except OSError as error:
        raise UserError(f"{file}: {(error.strerror or str(error)).lower()}") from error
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise UserError(f"{file}{line}: not valid Python ({error})") from error
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names
