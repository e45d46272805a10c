"""Packing a servable folder as an MLflow model that needs nothing but its own files."""

from __future__ import annotations

import logging
import warnings
from importlib.metadata import version
from pathlib import Path

import benchmark


def pack_model(servable: Path, target: Path) -> None:
    """Write an MLflow model (python_function) that takes raw text.

    The package's own code travels with the model, so it is served where Textbench is not installed.

    Parameters
    ----------
    servable : Path
        Folder that `benchmark.training.servable.save_servable` wrote.
    target : Path
        Folder of the MLflow model; must not exist.
    """
    package = Path(benchmark.__file__).parent
    needs = (
        "skops",
        "tensorflow",
        "keras",
        "numpy",
        "pandas",
        "pydantic",
        "filelock",
        "platformdirs",
        "scikit-learn",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        mlflow.pyfunc.save_model(
            path=str(target),
            python_model=str(package / "tracking" / "pyfunc_model.py"),
            artifacts={"servable": str(servable)},
            code_paths=[str(package)],
            pip_requirements=[f"{name}=={version(name)}" for name in needs],
        )
