"""Asking again what may be answered later, and whether a host can be reached at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

T = TypeVar("T")
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


def retried(
    ask: Callable[[], T], again: Callable[[Exception], bool], seconds: float, *, longest_pause: float = 1.0
) -> T:
    """Ask until there is an answer, or some seconds have passed; the pauses grow.

    Parameters
    ----------
    ask : callable
        May be called several times.
    again : callable
        Whether an error may be gone the next time.
    seconds : float
        How long to go on.
    longest_pause : float
        Seconds between two attempts, at most.

    Raises
    ------
    Exception
        The last one; at once where asking again is of no use.
    """
    from tenacity import Retrying, retry_if_exception, stop_before_delay, wait_exponential

    retrying = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, Exception) and again(error)),
        wait=wait_exponential(multiplier=longest_pause / 10, max=longest_pause),
        stop=stop_before_delay(seconds),
        reraise=True,
    )
    return retrying(ask)


def awaited(ask: Callable[[], T | None], pause: float, seconds: float | None = None) -> T | None:
    """Ask until the answer is not None, or, where they are given, some seconds have passed."""
    from tenacity import Retrying, retry_if_result, stop_after_delay, stop_never, wait_fixed

    retrying = Retrying(
        retry=retry_if_result(lambda answer: answer is None),
        wait=wait_fixed(pause),
        stop=stop_never if seconds is None else stop_after_delay(seconds),
        retry_error_callback=lambda _: None,
    )
    return retrying(ask)
