"""How fast a stored model answers raw texts, as serving loads it."""

from __future__ import annotations

import time
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.serving.mlflow_model import Servable

BATCH = 256
_SINGLE, _BATCHES = 100, 20  # requests of each kind that are timed at most
_ENOUGH = 1.0  # seconds after which there are no more of a kind


def prediction_speed(folder: Path, texts: list[str]) -> dict[str, float]:
    """Measure a stored model, for at most a few seconds if it is not slow.

    Parameters
    ----------
    folder : Path
        That `benchmark.training.saving` wrote.
    texts : list of str
        At least one.

    Returns
    -------
    dict of str to float
        ``predict_ms``, the median milliseconds of one text at a time, and ``predict_texts_per_second`` of
        256 at a time; text processing included, on the threads and the device of this process.
    """
    from benchmark.serving.mlflow_model import Servable

    model = Servable(folder)
    batch = list(islice(cycle(texts), BATCH))
    single = [[text] for text in batch[:_SINGLE]]
    for request in (single[0], batch):  # both shapes are compiled before either is measured
        model.predict(request)
    return {
        "predict_ms": 1000 * _median_seconds(model, single),
        "predict_texts_per_second": BATCH / _median_seconds(model, [batch] * _BATCHES),
    }


def _median_seconds(model: Servable, requests: list[list[str]]) -> float:
    times: list[float] = []
    for request in requests:
        if sum(times) < _ENOUGH:
            started = time.perf_counter()
            model.predict(request)
            times.append(time.perf_counter() - started)
    return median(times)
