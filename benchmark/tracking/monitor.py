"""System metrics of a sweep: MLflow's own monitor on the parent run."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

_INTERVAL = 5.0


@contextlib.contextmanager
def system_metrics(client: Any, run_id: str) -> Iterator[None]:
    """Log processor, memory, disk and GPU use of this machine every five seconds.

    Parameters
    ----------
    client : mlflow.MlflowClient
        Tells where the store is.
    run_id : str
        The sweep's run.
    """
    logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(
        run_id, sampling_interval=_INTERVAL, samples_before_logging=1, tracking_uri=client.tracking_uri
    )
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()
