"""Packing a stored model as an MLflow model: its files, and three of ours that answer with them."""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

from benchmark.data import text
from benchmark.training import scores

_MODEL_CODE = Path(__file__).with_name("mlflow_model.py")
_NEEDS = ("numpy", "pandas", "pydantic")


def pack_model(servable: Path, target: Path) -> None:
    """Write an MLflow model (python_function) that takes raw text, where Textbench is not installed, too.

    Parameters
    ----------
    servable : Path
        Folder that `benchmark.training.saving` wrote.
    target : Path
        Folder of the MLflow model; must not exist.
    """
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        import mlflow.pyfunc

        from benchmark.serving.mlflow_model import is_pipeline

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        beside = [Path(str(module.__file__)) for module in (text, scores)]
        for file in (_MODEL_CODE, *beside):
            shutil.copy(file, folder)
        needs = (*_NEEDS, *(("scikit-learn", "skops") if is_pipeline(servable) else ("tensorflow", "keras")))
        mlflow.pyfunc.save_model(
            path=str(target),
            python_model=str(Path(folder) / _MODEL_CODE.name),
            artifacts={"servable": str(servable)},
            pip_requirements=[f"{name}=={version(name)}" for name in needs],
        )
        for file in beside:
            shutil.copy(file, target)
