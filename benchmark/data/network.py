"""Whether a host can be reached, found out within seconds."""

from __future__ import annotations

import os
import socket
import threading
from urllib.parse import urlsplit

PATIENCE = 4.0
"""Seconds before a host that does not answer counts as out of reach."""


def reachable(host: str, port: int) -> bool:
    """Return whether a TCP connection to the host (or to the proxy in use) can be opened.

    Parameters
    ----------
    host, port : str, int
        Where a download would come from.

    Returns
    -------
    bool
        Within `PATIENCE` seconds: a resolver that hangs is not waited for.
    """
    proxy = os.environ.get("http_proxy") or os.environ.get("HTTP_PROXY")
    if proxy:
        parts = urlsplit(proxy)
        host, port = parts.hostname or host, parts.port or port
    answered = threading.Event()

    def knock() -> None:
        try:
            with socket.create_connection((host, port), timeout=PATIENCE):
                answered.set()
        except OSError:
            pass

    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return answered.is_set()
