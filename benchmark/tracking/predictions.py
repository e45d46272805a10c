"""Which test examples a final run has right, from its stored predictions; kept in the cache once read."""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from benchmark.data.cache import cache_root
from benchmark.metrics.metric import Predictions
from benchmark.support.files import write_whole
from benchmark.tracking import names
from benchmark.tracking.runs import artifact_folder
from benchmark.tracking.store import of_store


class AnswerReader:
    """Reads right and wrong answers by the id of a run.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store with the runs.

    Notes
    -----
    Predictions of a run never change, so what was read is kept: one bit for each test example, in
    ``answers/`` of the cache folder.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._folder = cache_root() / "answers"

    def __call__(self, run_id: str) -> NDArray[np.bool_] | None:
        """Return what a run has right, shape (N,), or None where it has no readable predictions."""
        if not run_id.isalnum():  # it becomes the name of a file, and a server has given it
            return None
        path = self._folder / f"{run_id}.bits"
        kept = _read(path)
        if kept is not None:
            return kept
        predictions = read_predictions(self._client, run_id)
        if predictions is None:
            return None
        right = np.asarray(predictions.answers == predictions.labels)
        _write(path, right)
        return right

    def majority(self, run_id: str) -> float | None:
        """Return the share of the most frequent class in the test split of a run, None where unknown."""
        predictions = read_predictions(self._client, run_id)
        if predictions is None:
            return None
        return float(np.bincount(predictions.labels).max() / len(predictions.labels))

    def ties(self, run_id: str) -> int:
        """Return for how many examples the stored probabilities are too close to know what was answered."""
        predictions = read_predictions(self._client, run_id)
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
    folder = artifact_folder(client, run_id)
    try:
        path = folder / names.PREDICTIONS if folder else client.download_artifacts(run_id, names.PREDICTIONS)
        with np.load(path, allow_pickle=False) as stored:
            threshold = float(stored["threshold"]) if "threshold" in stored else None  # older files: none
            return Predictions(stored["labels"], stored["probabilities"], threshold)
    except (TypeError, ValueError, KeyError, BadZipFile):
        return None
    except Exception as error:
        if not of_store(error):
            raise
        return None


def _read(path: Path) -> NDArray[np.bool_] | None:
    """Return the answers of a file: their number as 8 bytes, a bit for each, and a checksum of all that."""
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError:
        return None
    size = int(content[:8].view(np.int64)[0]) if content.size >= 8 else -1
    if size < 0 or content.size != 12 + (size + 7) // 8:
        return None
    if zlib.crc32(content[:-4].tobytes()) != int.from_bytes(content[-4:].tobytes(), "little"):
        return None
    return np.unpackbits(content[8:-4], count=size).astype(bool)


def _write(path: Path, right: NDArray[np.bool_]) -> None:
    content = np.array([right.size], dtype=np.int64).tobytes() + np.packbits(right).tobytes()
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, not the answer
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content + zlib.crc32(content).to_bytes(4, "little"))
