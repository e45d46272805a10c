"""The code of every served model (MLflow "models from code"): raw texts in, probabilities out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd


class TextClassifier(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Labels raw texts with class names and probabilities."""

    def load_context(self, context: Any) -> None:
        """Load the Keras model and its text processing."""
        from benchmark.training.servable import Servable

        self._servable = Servable(Path(context.artifacts["servable"]))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return a table with ``label`` and one ``probability_<class>`` column a class.

        The input may be any that MLflow takes: a table of one column, a series, an array or list of texts,
        rows of one text each, or a dictionary of one such. (Annotated as a list, MLflow would take no other.)
        """
        probabilities = self._servable.predict(_texts(model_input))
        classes = self._servable.class_names
        table = pd.DataFrame(probabilities, columns=[f"probability_{name}" for name in classes])
        table.insert(0, "label", [classes[number] for number in probabilities.argmax(axis=1)])
        return table


def _texts(given: Any) -> list[str]:
    """Return the texts of a request.

    Raises
    ------
    mlflow.MlflowException
        For anything else; a server answers it with status 400.
    """
    if isinstance(given, pd.DataFrame):
        given = given.to_dict("list") if len(given) else []
    if isinstance(given, dict):
        if len(given) != 1:
            raise _wrong(f"{len(given)} columns")
        (given,) = given.values()
    if isinstance(given, pd.Series | np.ndarray):
        given = given.tolist()
    rows = [given] if isinstance(given, str) else given
    if not isinstance(rows, list | tuple):
        raise _wrong(f"{type(given).__name__} {given!r:.50}")
    texts = []
    for number, row in enumerate(rows, 1):
        cells = list(row.values()) if isinstance(row, dict) else row
        text = cells[0] if isinstance(cells, list | tuple) and len(cells) == 1 else cells
        if not isinstance(text, str):
            raise _wrong(f"{text!r:.50} in row {number}")
        texts.append(text)
    return texts


def _wrong(got: str) -> mlflow.MlflowException:
    return mlflow.MlflowException.invalid_parameter_value(f"expected texts, one a row; got {got}")


mlflow.models.set_model(TextClassifier())
