"""What a final run has right, and what a metric is on its stored predictions; kept in the cache once read."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from benchmark.data.cache import cache_root
from benchmark.metrics.metric import METRICS, Metric, Predictions
from benchmark.metrics.of_probabilities import unordered
from benchmark.support.files import write_whole
from benchmark.tracking import names
from benchmark.tracking.runs import artifact_path, class_names
from benchmark.tracking.store import of_store


@dataclass(frozen=True, eq=False)
class Measured:
    """A metric of the predictions of a run.

    Attributes
    ----------
    value : float
        Of all test examples.
    pseudo_values : ndarray of float32, shape (N,), or None
        Of each (`benchmark.metrics.metric.Metric.pseudo_values`).
    """

    value: float
    pseudo_values: NDArray[np.float32] | None


@dataclass(frozen=True)
class Usefulness:
    """What a run is good for, whatever its accuracy.

    Attributes
    ----------
    one_class : bool
        Whether it answers the same class to all test examples.
    unordered : bool
        Whether its areas under the ROC curve cannot be told from 0.5.
    """

    one_class: bool
    unordered: bool


class PredictionReader:
    """Reads what a board asks about the predictions of a run, by its id.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store with the runs.
    dataset : str
        Name of their data set, by which the names of its classes are found.

    Notes
    -----
    Predictions of a run never change, so what was read is kept, in ``answers/`` of the cache folder: one bit
    for each test example, and four bytes for each of a metric.
    """

    def __init__(self, client: Any, dataset: str = "") -> None:
        self._client, self._dataset = client, dataset
        self._folder = cache_root() / "answers"

    def right(self, run_id: str) -> NDArray[np.bool_] | None:
        """Return what a run has right, shape (N,), or None where it has no readable predictions."""

        def find(predictions: Predictions) -> bytes:
            found = np.asarray(predictions.answers == predictions.labels)
            return np.array([found.size], dtype=np.int64).tobytes() + np.packbits(found).tobytes()

        content = self._kept(run_id, "bits", find)
        if content is None:
            return None
        size = int(np.frombuffer(content, dtype=np.int64, count=1)[0])
        return np.unpackbits(np.frombuffer(content[8:], dtype=np.uint8), count=size).astype(bool)

    def measured(self, run_id: str, metric: Metric) -> Measured | None:
        """Return a metric of a run, or None where it has no readable predictions."""

        def measure(predictions: Predictions) -> bytes:
            value = metric.value(predictions)
            pseudo_values = metric.pseudo_values(predictions, value)
            each = b"" if pseudo_values is None else pseudo_values.astype(np.float32).tobytes()
            return np.array([value]).tobytes() + each

        # Who changes a metric of their own wants to see it changed.
        ours = METRICS.target(metric.name).startswith("benchmark.")
        content = self._kept(run_id, metric.name if ours else "", measure)
        if content is None:
            return None
        pseudo_values = np.frombuffer(content[8:], dtype=np.float32) if content[8:] else None
        return Measured(float(np.frombuffer(content[:8])[0]), pseudo_values)

    def usefulness(self, run_id: str) -> Usefulness | None:
        """Return what a run is good for, or None where it has no readable predictions."""

        def find(predictions: Predictions) -> bytes:
            return bytes([len(np.unique(predictions.answers)) == 1, unordered(predictions)])

        content = self._kept(run_id, "usefulness", find)
        return None if content is None else Usefulness(*map(bool, content))

    def class_name(self, digest: str, label: int | None) -> str:
        """Return the name of a class of the data set with a digest; its number where that is unknown."""
        known = class_names(self._client, self._dataset) if self._dataset and label is not None else {}
        return f"'{known[digest][label]}'" if label is not None and digest in known else str(label)

    def predictions(self, run_id: str) -> Predictions | None:
        """Return what a run says of the test split, or None where it has no readable predictions."""
        return read_predictions(self._client, run_id)

    def labels(self, run_id: str) -> NDArray[np.int32] | None:
        """Return the true classes of the test split of a run, shape (N,), or None where they are unknown."""
        predictions = self.predictions(run_id)
        return None if predictions is None else predictions.labels

    def _kept(self, run_id: str, what: str, find: Callable[[Predictions], bytes]) -> bytes | None:
        """Return what was found in the predictions of a run, and keep it under a name, if there is one."""
        if not run_id.isalnum():  # it becomes the name of a file, and a server has given it
            return None
        path = self._folder / f"{run_id}.{what}"
        kept = _read(path) if what else None
        if kept is not None:
            return kept
        predictions = self.predictions(run_id)
        if predictions is None:
            return None
        found = find(predictions)
        if what:
            _write(path, found)
        return found

    def ties(self, run_id: str) -> int:
        """Return for how many examples the stored probabilities are too close to know what was answered."""
        predictions = self.predictions(run_id)
        if predictions is None:
            return 0
        if predictions.threshold is not None:
            gaps = np.abs(predictions.probabilities[:, 1] - predictions.threshold)
        else:
            best = np.sort(predictions.probabilities, axis=1)[:, -2:]
            gaps = best[:, -1] - best[:, 0]
        return int(np.count_nonzero(gaps < 1e-6))


def read_predictions(client: Any, run_id: str) -> Predictions | None:
    """Return what a final run says of the test split.

    None where the run has none, or they are unavailable at present.
    """
    try:
        with np.load(artifact_path(client, run_id, names.PREDICTIONS), allow_pickle=False) as stored:
            threshold = float(stored["threshold"]) if "threshold" in stored else None  # older files: none
            return Predictions(stored["labels"], stored["probabilities"], threshold)
    except (TypeError, ValueError, KeyError, BadZipFile):
        return None
    except Exception as error:
        if not of_store(error):
            raise
        return None


def _read(path: Path) -> bytes | None:
    """Return the content of a file that ends with a checksum; None where there is none, or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if len(content) < 6 or zlib.crc32(content[:-4]) != int.from_bytes(content[-4:], "little"):
        return None
    return content[:-4]


def _write(path: Path, content: bytes) -> None:
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, not the answer
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content + zlib.crc32(content).to_bytes(4, "little"))
