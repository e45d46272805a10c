"""One registry for models and data sets: lazy targets, entry points, did-you-mean."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmark.errors import UserError, did_you_mean


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
        return name in self.targets()

    def target(self, name: str) -> str:
        """Return the ``module:attribute`` of a name, or raise `UserError` with the nearest name."""
        targets = self.targets()
        if name not in targets:
            raise UserError(f"there is no {self.kind} named '{name}'; {did_you_mean(name, targets)}")
        return targets[name]

    def load(self, name: str) -> Any:
        """Import and return what a name stands for."""
        return load_target(self.target(name), self.kind)


def is_file_target(name: str) -> bool:
    """Whether a name means a Python file: ``path/to/file.py:build``."""
    return ".py" in name and Path(name.rpartition(":")[0] or name).suffix == ".py"


def label_of(name: str) -> str:
    """Return a short name that is safe in tables and file names: a file's stem, or the name itself."""
    return Path(name.rpartition(":")[0] or name).stem if is_file_target(name) else name


_kept: dict[str, bytes] = {}


def keep_file(target: str, content: bytes) -> None:
    """Let a content stand for the file of a target from now on: it was sent by the machine that has it."""
    _kept[str(Path(target.rpartition(":")[0] or target))] = content


def load_target(target: str, kind: str = "object") -> Any:
    """Import ``package.module:attribute`` or ``path/to/file.py:attribute``.

    Parameters
    ----------
    target : str
        Where the object is; a file without an attribute means ``build``.
    kind : str
        What is being loaded, for messages.

    Returns
    -------
    object
        The attribute.

    Raises
    ------
    UserError
        When the module or the attribute is not there, or the module fails at import.
    """
    place, _, attribute = target.rpartition(":") if ":" in target else (target, "", "build")
    attribute = attribute or "build"
    module = _load_file(Path(place), kind) if place.endswith(".py") else _load_module(place, kind)
    try:
        return getattr(module, attribute)
    except AttributeError:
        public = [name for name in vars(module) if callable(getattr(module, name)) and name[0] != "_"]
        raise UserError(f"{place} has no '{attribute}'; {did_you_mean(attribute, public)}") from None


def _load_module(name: str, kind: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"the {kind} in '{name}' cannot be imported: {reason}") from error


def _load_file(path: Path, kind: str) -> ModuleType:
    kept = _kept.get(str(path))
    if kept is None and not path.is_file():
        raise UserError(f"--{kind} {path}: there is no such file")
    # One module per file content: two files of the same name, or an edited one, do not collide.
    content = path.read_bytes() if kept is None else kept
    identity = hashlib.sha256(path.resolve().as_posix().encode() + content).hexdigest()[:12]
    name = f"textbench_{kind}_{path.stem}_{identity}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        # Not the loader: it takes cached byte code of a file edited twice within a second for the new one.
        exec(compile(content, str(path), "exec"), vars(module))
    except Exception as error:
        del sys.modules[name]
        raise UserError(f"{path} fails at import: {type(error).__name__}: {error}") from error
    return module
