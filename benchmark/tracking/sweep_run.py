"""What a sweep's run has that may be lost: the board as it is now, and how this machine is used."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from benchmark.tracking import names
from benchmark.tracking.record import milliseconds
from benchmark.tracking.store import patiently, tried

_MOST_CHARACTERS = 5000  # of a tag, in the strictest of MLflow's stores
_CUT = "\n\n(The rest is in board.html, among the artifacts.)"
_INTERVAL = 5.0  # seconds between two measurements of the system
_PATIENCE = 1.0


def write_notes(client: Any, dataset: str, sweeps: Iterable[str], markdown: str, page: str) -> bool:
    """Describe a data set's experiment and some of its sweeps by the board as it is now.

    It can be made again at any time, so it is given up where the store does not take it.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store.
    dataset : str
        Name of the data set, which is the name of the experiment.
    sweeps : iterable of str
        Ids of the sweeps' runs.
    markdown : str
        The board; what does not fit into a tag is cut off between lines.
    page : str
        The board as HTML.

    Returns
    -------
    bool
        Whether all of it was written.
    """
    note = _fitting(markdown)

    def write() -> None:
        experiment = patiently(lambda: client.get_experiment_by_name(dataset)).experiment_id
        patiently(lambda: client.set_experiment_tag(experiment, names.NOTE, note))
        for run_id in sweeps:
            patiently(partial(client.set_tag, run_id, names.NOTE, note))
            patiently(partial(client.log_text, run_id, page, names.BOARD_HTML))

    return tried(write)


def _fitting(markdown: str) -> str:
    if len(markdown) <= _MOST_CHARACTERS:
        return markdown
    kept = markdown[: _MOST_CHARACTERS - len(_CUT)]
    return kept[: kept.rindex("\n")] + _CUT


@contextlib.contextmanager
def system_metrics(client: Any, run_id: str) -> Iterator[None]:
    """Log processor, memory, disk and GPU use of this machine every five seconds.

    A measurement that the store does not take is left out, and the end of the block waits for none.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store.
    run_id : str
        The sweep's run; where it is empty, nothing is logged.
    """
    if not run_id:
        yield
        return
    logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run_id, tracking_uri=client.tracking_uri)
    finished = threading.Event()
    thread = threading.Thread(target=_log, args=(monitor, client, run_id, finished), daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join(_PATIENCE)


def _log(monitor: Any, client: Any, run_id: str, finished: threading.Event) -> None:
    from mlflow.entities import Metric

    step = 0
    while not finished.wait(_INTERVAL):
        monitor.collect_metrics()
        values, now = monitor.aggregate_metrics(), milliseconds()
        for source in monitor.monitors:
            source.clear_metrics()
        metrics = [Metric(f"system/{name}", value, now, step) for name, value in values.items()]
        with contextlib.suppress(Exception):
            client.log_batch(run_id, metrics=metrics)
        step += 1
