"""Whether a host can be reached, found out within seconds."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

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
    proxy = "" if proxy_bypass(host) else getproxies().get("https" if port == 443 else "http", "")
    if proxy:
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
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
