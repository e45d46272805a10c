"""Packing a servable folder as an MLflow model that needs nothing but its own files."""

from __future__ import annotations

import ast
import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import benchmark

_ROOT = Path(benchmark.__file__).parents[1]
# What was not packed is found where Textbench is installed, should a process need both.
_EXTENDED = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"
_NEEDS = ("skops", "tensorflow", "keras", "numpy", "pandas", "pydantic", "scikit-learn")


def pack_model(servable: Path, target: Path) -> None:
    """Write an MLflow model (python_function) that takes raw text.

    The modules that answer travel with the model, so it is served where Textbench is not installed.

    Parameters
    ----------
    servable : Path
        Folder that `benchmark.training.servable` wrote.
    target : Path
        Folder of the MLflow model; must not exist.
    """
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        import mlflow.pyfunc

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        layers = json.loads((servable / "text.json").read_bytes()).get("modules", ())
        for file in _closure(["benchmark.training.servable", *layers]):
            copy = Path(folder) / file.relative_to(_ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        for package in Path(folder).rglob("__init__.py"):
            package.write_text(package.read_text(encoding="utf-8") + _EXTENDED, encoding="utf-8")
        mlflow.pyfunc.save_model(
            path=str(target),
            python_model=str(Path(__file__).with_name("pyfunc_model.py")),
            artifacts={"servable": str(servable)},
            code_paths=[str(Path(folder) / "benchmark")],
            pip_requirements=[f"{name}=={version(name)}" for name in _NEEDS],
        )


def _closure(modules: list[str]) -> set[Path]:
    """Return the files of modules of this package, and of all that they import, at any time."""
    files: set[Path] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        place = _ROOT / name.replace(".", "/")
        file = next(
            (path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None
        )
        if file is not None and file not in files:
            files.add(file)
            waiting += [name.rpartition(".")[0], *_imports(ast.parse(file.read_bytes()))]
    return files


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
