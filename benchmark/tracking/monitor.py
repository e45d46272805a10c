"""System metrics of a sweep: what MLflow's own monitor measures, on the parent run."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

_INTERVAL = 5.0
_PATIENCE = 1.0


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
    ended = threading.Event()
    thread = threading.Thread(target=_log, args=(monitor, client, run_id, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_PATIENCE)


def _log(monitor: Any, client: Any, run_id: str, ended: threading.Event) -> None:
    from mlflow.entities import Metric

    step = 0
    while not ended.wait(_INTERVAL):
        monitor.collect_metrics()
        values, now = monitor.aggregate_metrics(), int(time.time() * 1000)
        for source in monitor.monitors:
            source.clear_metrics()
        metrics = [Metric(f"system/{name}", value, now, step) for name, value in values.items()]
        with contextlib.suppress(Exception):
            client.log_batch(run_id, metrics=metrics)
        step += 1
