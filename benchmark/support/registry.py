"""One registry for models and data sets: lazy targets, entry points, did-you-mean."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from benchmark.support.errors import UserError, did_you_mean, one_line
from benchmark.support.source_files import helpers_of, source_of


class Registry:
    """Names and the ``module:attribute`` targets they stand for; nothing is imported until it is used.

    Parameters
    ----------
    kind : str
        What is registered, for messages: ``"model"``.
    group : str
        Entry-point group through which other packages add theirs: ``"textbench.models"``.
    targets : mapping of str to str
        The built-in names.
    """

    def __init__(self, kind: str, group: str, targets: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._targets = dict(targets)

    def targets(self) -> dict[str, str]:
        """Return every name and its target; built-in names win over entry points of the same name."""
        points = entry_points(group=self.group)
        plugins = {point.name: point.value.partition("[")[0].strip() for point in points}  # without extras
        return {**self._targets, **{name: plugins[name] for name in plugins if name not in self._targets}}

    def __iter__(self) -> Iterator[str]:
        return iter(self.targets())

    def __contains__(self, name: object) -> bool:
        return name in self._targets or name in self.targets()

    def target(self, name: str) -> str:
        """Return the ``module:attribute`` of a name, or raise `UserError` with the nearest name."""
        if name in self._targets:  # to look for entry points takes 10 ms
            return self._targets[name]
        targets = self.targets()
        if name not in targets:
            raise UserError(f"there is no {self.kind} named '{name}'; {did_you_mean(name, targets)}")
        return targets[name]

    def load(self, name: str) -> Any:
        """Import and return what a name stands for."""
        return load_target(self.target(name), self.kind)


def is_file_target(name: str) -> bool:
    """Whether a name means a Python file: ``path/to/file.py:build``."""
    return ".py" in name and file_of(name).suffix == ".py"


def label_of(name: str) -> str:
    """Return a short name that is safe in tables and file names: a file's stem, or the name itself."""
    return file_of(name).stem if is_file_target(name) else name


def file_of(target: str) -> Path:
    """Return the file that ``path/to/file.py:build`` names."""
    return Path(split_target(target)[0])


def split_target(target: str) -> tuple[str, str]:
    """Return the module or file of a target, and the attribute, which is ``build`` where none is named."""
    place, _, attribute = target.rpartition(":") if ":" in target else (target, "", "")
    return place, attribute or "build"


def load_target(target: str, kind: str = "object", digest: str = "") -> Any:
    """Import ``package.module:attribute`` or ``path/to/file.py:attribute``.

    Parameters
    ----------
    target : str
        Where the object is; a file without an attribute means ``build``.
    kind : str
        What is being loaded, for messages.
    digest : str
        Which content of a file is meant; by default that which it has now.

    Returns
    -------
    object
        The attribute.

    Raises
    ------
    UserError
        When the module or the attribute is not there, or the module fails at import.
    """
    place, attribute = split_target(target)
    source = source_of(Path(place), digest, kind) if place.endswith(".py") else None
    try:
        module = helpers_of(source, kind).module() if source else importlib.import_module(place)
    except Exception as error:
        what = f"{place} fails at import" if source else f"the {kind} in '{place}' cannot be imported"
        raise UserError(f"{what}: {one_line(error, named=True)}") from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        public = [name for name in vars(module) if callable(getattr(module, name)) and name[0] != "_"]
        raise UserError(f"{place} has no '{attribute}'; {did_you_mean(attribute, public)}") from None
