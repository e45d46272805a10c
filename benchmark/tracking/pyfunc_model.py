"""The code of every served model (MLflow "models from code"): raw texts in, probabilities out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd


class TextClassifier(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Labels raw texts with class names and probabilities."""

    def load_context(self, context: Any) -> None:
        """Load the Keras model and its text processing."""
        from benchmark.training.servable import Servable

        self._servable = Servable(Path(context.artifacts["servable"]))

    def predict(
        self, context: Any, model_input: list[str], params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return a table with ``label`` and one ``probability_<class>`` column a class."""
        probabilities = self._servable.predict([str(text) for text in model_input])
        classes = self._servable.class_names
        table = pd.DataFrame(probabilities, columns=[f"probability_{name}" for name in classes])
        table.insert(0, "label", [classes[number] for number in probabilities.argmax(axis=1)])
        return table


mlflow.models.set_model(TextClassifier())
