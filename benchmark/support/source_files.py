"""Python files that users name, and the files beside them that they import: read, digested, imported.

A file is imported as it was read: what happens to it later, or on another machine, makes no difference.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.abc
import importlib.util
import json
import linecache
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

from benchmark.support.errors import UserError, did_you_mean

_INSTALLED = frozenset(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


@dataclass(frozen=True)
class Source:
    """A Python file and its helpers, as they were read.

    Attributes
    ----------
    file : Path
        The file, as it was named.
    folder : Path
        Where `files` are; for a module of an installed package, where its outermost package is.
    files : dict of str to bytes
        Content by path below the folder; the file itself comes first.
    helpers : frozenset of str
        Those of them that an import statement names.
    tops : frozenset of str
        Modules that absolute imports name; relative ones may have the name of an installed package.
    """

    file: Path
    folder: Path
    files: dict[str, bytes]
    helpers: frozenset[str] = frozenset()
    tops: frozenset[str] = frozenset()

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits: of the file's content alone where it has no helpers."""
        if not self.helpers:
            return hashlib.sha256(next(iter(self.files.values()))).hexdigest()[:16]
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()}
        return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()[:16]


def read_source(file: Path, module: str = "") -> Source:
    """Read a file and, as far as import statements show, the files below its folder that it imports.

    Statements anywhere in a file count, and ``import_module`` of a literal name; so does what such a file
    imports. Other files that a model reads are to be named by its ``RESOURCES``.

    Parameters
    ----------
    file : Path
        The file.
    module : str
        Its full name where it belongs to an installed package: then that package's files are its helpers.

    Raises
    ------
    UserError
        Where a file cannot be read or parsed, an import cannot be found, or two modules have its name.
    """
    place = file.resolve()
    depth = module.count(".") + (1 if module and place.name == "__init__.py" else 0)
    folder = place.parents[depth]
    main = place.relative_to(folder).as_posix()
    files: dict[str, bytes] = {main: place.read_bytes()}
    helpers: set[str] = set()
    tops: set[str] = set()
    waiting = [main]
    while waiting:
        name = waiting.pop(0)
        shown = file if name == main else folder / name
        for wanted in _imports(files[name], name, shown):
            for found in _resolve(wanted, folder, main, module, shown):
                helpers.add(found)
                tops |= set() if wanted.relative else {wanted.parts[0]}
                if found not in files:
                    files[found] = (folder / found).read_bytes()
                    waiting.append(found)
    return Source(file, folder, files, frozenset(helpers), frozenset(tops))


@dataclass(frozen=True)
class _Import:
    """An import: the module's parts below the folder if it is relative, and names that may be modules."""

    parts: tuple[str, ...]
    names: tuple[str, ...]
    relative: bool
    required: bool
    line: int


def parse_python(content: bytes, shown: object) -> ast.Module:
    """Return the syntax tree of a Python file, or raise `UserError` with the line that is not valid."""
    try:
        return ast.parse(content)
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise UserError(f"{shown}{line}: not valid Python ({getattr(error, 'msg', error)})") from error


def _imports(content: bytes, name: str, shown: Path) -> Iterator[_Import]:
    tree = parse_python(content, shown)
    package, body = tuple(name.split("/")[:-1]), set(map(id, tree.body))
    for node in ast.walk(tree):
        required = id(node) in body
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _Import(tuple(alias.name.split(".")), (), False, required, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            if node.level - 1 > len(package):
                raise UserError(
                    f"{shown}, line {node.lineno}: imports from above the folder of the model file, of which "
                    "only files beside and below it are a part"
                )
            base = package[: len(package) - node.level + 1] if node.level else ()
            parts = (*base, *(node.module.split(".") if node.module else ()))
            names = tuple(alias.name for alias in node.names)
            yield _Import(parts, names, bool(node.level), required, node.lineno)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            text = node.args[0].value
            if called in ("import_module", "__import__") and isinstance(text, str):
                relative = text.startswith(".")
                parts = tuple(part for part in text.split(".") if part)
                yield _Import((*package, *parts) if relative else parts, (), relative, False, node.lineno)


def _resolve(wanted: _Import, folder: Path, main: str, module: str, shown: Path) -> list[str]:
    """Return the files below the folder that an import executes."""
    parts, where = wanted.parts, f"{shown}, line {wanted.line}"
    found = _files(folder, parts)
    for name in wanted.names if found is not None else ():
        found = [*(found or ()), *(_files(folder, (*parts, name)) or ())]
    missing = f"{where}: there is no module '{'.'.join(parts or wanted.names)}' beside it"
    if module:
        return found or [] if wanted.relative or parts[0] == module.partition(".")[0] != module else []
    if wanted.relative:
        if wanted.required and not found:
            raise UserError(missing)
        return found or []
    top = parts[0]
    if top == "benchmark" or (main == f"{top}.py" and _is_elsewhere(top)) or str(folder) in _INSTALLED:
        return []
    beside = _files(folder, (top,))
    if _is_elsewhere(top):
        if beside:
            raise UserError(
                f"{where}: '{top}' is a file beside it and also a module of Python or of an installed "
                "package; rename the file"
            )
        return []  # which a folder without __init__.py comes after
    if beside is None:
        spec = PathFinder.find_spec(top)
        if spec is not None and (place := _loose(spec)):
            raise UserError(
                f"{where}: '{top}' is {place}, neither beside the model file nor an installed package, so a "
                "change of it would go unnoticed; put it beside the model file"
            )
        known = spec is not None or top in sys.modules or not wanted.required
        if not known and importlib.util.find_spec(top) is None:
            hint = did_you_mean(top, [path.stem for path in folder.glob("*.py")])
            raise UserError(f"{missing}, and none is installed; {hint}")
    elif beside and found is None and wanted.required:
        raise UserError(missing)
    return found or []


def _files(folder: Path, parts: Sequence[str]) -> list[str] | None:
    """Return the files that the import of a module below a folder executes, or None where there is none."""
    found = []
    for end in range(1, len(parts) + 1):
        base = "/".join(parts[:end])
        if (folder / base / "__init__.py").is_file():
            found.append(f"{base}/__init__.py")
        elif end == len(parts) and (folder / f"{base}.py").is_file():
            found.append(f"{base}.py")
        elif not (folder / base).is_dir():
            return None
    return found


def _is_elsewhere(top: str) -> bool:
    """Whether a module is Python's, or that of an installed package."""
    return top in sys.stdlib_module_names or PathFinder.find_spec(top, sorted(_INSTALLED)) is not None


def _loose(spec: ModuleSpec) -> str:
    """Return where a module is that is neither Python's nor an installed package's; "" for others."""
    top, *below = spec.name.split(".")
    for place in spec.submodule_search_locations or [spec.origin or ""]:
        folder = Path(place).parents[len(below)]
        if not _is_installed(place) and not _is_linked(top, folder.resolve()):
            return place
    return ""


def _is_installed(place: str) -> bool:
    parents = {place, *map(str, Path(place).parents)}
    return bool(_INSTALLED & parents or {"site-packages", "dist-packages"} & set(Path(place).parts))


@cache
def _is_linked(top: str, folder: Path) -> bool:
    """Whether a module in a folder is that of a package which is installed there, or editable from there."""
    if top in packages_distributions() and (any(folder.glob("*.dist-info")) or not _is_elsewhere(top)):
        return True
    users = {Path(place).resolve() for place in ("", *os.environ.get("PYTHONPATH", "").split(os.pathsep))}
    files = (file for site in sys.path if _is_installed(site) for file in Path(site).glob("*.pth"))
    lines = (file.parent / line for file in files for line in file.read_text("utf-8", "replace").splitlines())
    return top == "benchmark" or (folder not in users and folder in map(Path.resolve, lines))


_kept: dict[str, dict[str, Source]] = {}
_imported: dict[str, _Helpers] = {}


def keep(source: Source) -> None:
    """Let a file be imported as it was read, here or on the machine that has it."""
    known = _kept.setdefault(str(source.file), {})
    known.pop(source.digest, None)
    known[source.digest] = source


def source_of(file: Path, digest: str = "", kind: str = "model") -> Source:
    """Return a file as it was kept or is now.

    Parameters
    ----------
    file : Path
        The file.
    digest : str
        Which content is meant; by default that which it has now, or where it is not here, had last.
    kind : str
        What the file holds, for messages.

    Raises
    ------
    UserError
        When it is not here, or has another content.
    """
    known = _kept.get(str(file), {})
    if digest in known:
        return known[digest]
    if not file.is_file():
        if known and not digest:
            return list(known.values())[-1]
        raise UserError("there is no such file", setting=kind, value=file)
    source = read_source(file)
    if digest and source.digest != digest:
        raise UserError(
            f"{file} or a file that it imports was changed since this was planned; the same command again "
            "plans with what is there now"
        )
    return source


def helpers_of(source: Source, kind: str) -> _Helpers:
    """Return what lets a file and its helpers be imported."""
    identity = hashlib.sha256(f"{source.file.resolve().as_posix()} {source.digest}".encode()).hexdigest()[:12]
    name = f"textbench_{kind}_{source.file.stem}_{identity}"
    return _imported.setdefault(name, _Helpers(source, name))


class _Helpers(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """A context in which the helpers of one file can be imported, under the names by which it knows them.

    Outside of it they are not in ``sys.modules``: files in two folders may have helpers of the same name.
    """

    def __init__(self, source: Source, name: str) -> None:
        self.source, self.name = source, name
        self._others: dict[str, ModuleType] = {}
        self._depth = 0

    def __enter__(self) -> None:
        self._depth += 1
        if self._depth == 1:
            self._swap()
            sys.meta_path.insert(0, self)

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            sys.meta_path.remove(self)
            self._swap()

    def _swap(self) -> None:
        tops = self.source.tops
        others = {name: sys.modules.pop(name) for name in [*sys.modules] if name.partition(".")[0] in tops}
        sys.modules.update(self._others)
        self._others = others

    def module(self) -> ModuleType:
        """Return the file as a module, which is executed once."""
        if self.name in sys.modules:
            return sys.modules[self.name]
        place = self.source.folder / next(iter(self.source.files))
        # A package, so that it may import helpers by relative names, too.
        spec = importlib.util.spec_from_file_location(
            self.name, place, loader=self, submodule_search_locations=[str(place.parent)]
        )
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        module.__file__ = str(self.source.file)
        sys.modules[self.name] = module
        try:
            with self:
                self.exec_module(module)
        except BaseException:
            for name in [name for name in sys.modules if f"{name}.".startswith(f"{self.name}.")]:
                del sys.modules[name]
            self._others.clear()
            raise
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Execute a file as it was read, not as it is now, nor cached byte code of a second before."""
        assert module.__spec__ is not None
        origin = str(module.__spec__.origin)
        content = self.source.files[Path(origin).relative_to(self.source.folder).as_posix()]
        shown = str(module.__file__)
        lines = content.decode("utf-8", "replace").splitlines(keepends=True)
        linecache.cache[shown] = (len(content), None, lines, shown)
        exec(compile(content, shown, "exec"), vars(module))

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a helper; refuse other files that are not installed: nobody would notice their changes."""
        base = fullname.removeprefix(f"{self.name}.").replace(".", "/")
        ours = fullname.startswith(f"{self.name}.") or base.partition("/")[0] in self.source.tops
        folder, helpers = self.source.folder, self.source.helpers if ours else frozenset[str]()
        for place, inside in ((f"{base}/__init__.py", [str(folder / base)]), (f"{base}.py", None)):
            if place in helpers:
                return importlib.util.spec_from_file_location(
                    fullname, folder / place, loader=self, submodule_search_locations=inside
                )
        if any(name.startswith(f"{base}/") for name in helpers):
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(folder / base)]
            return spec
        other = PathFinder.find_spec(fullname, [*sys.path, str(folder)] if path is None else path)
        if other is not None and other.has_location and (ours or _loose(other)):
            raise ImportError(
                f"'{fullname}' is {other.origin}, which is not a part of what the model is; put it beside or "
                "below the model file and import it by a statement",
                name=fullname,
            )
        return None
