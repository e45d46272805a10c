"""Ctrl-C and SIGTERM while runs are under way: first a request to stop, then an end at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

INTERRUPTED = 130
MESSAGE = "interrupted: what was done is recorded; the same command continues it"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GRACE = 6.0
_ends_process = ContextVar("_ends_process", default=True)


def interrupt_on_terminate() -> None:
    """Treat SIGTERM like Ctrl-C; only a main thread may say so."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        signal.signal(signal.SIGTERM, interrupt)
    except ValueError:
        return


@contextmanager
def caller_survives() -> Iterator[None]:
    """Let no signal end the process of this block: it is a notebook's, or the program's that called."""
    token = _ends_process.set(False)
    try:
        yield
    finally:
        _ends_process.reset(token)


@contextmanager
def stoppable(give_up: Callable[[], None]) -> Iterator[threading.Event]:
    """Turn the first signal into a request, and the second into an end of the process at once.

    In a block of `caller_survives` only Ctrl-C is one, and the second is an exception.

    Python runs signal handlers between two of its instructions. An epoch is one call into TensorFlow,
    which may take minutes, so a thread receives the signals: it waits for the main thread for some
    seconds, then records what is to be recorded itself, and ends the process.

    Parameters
    ----------
    give_up : callable
        Called in that thread when the main thread does not stop in time.

    Yields
    ------
    threading.Event
        Set from the first signal on; to be read between epochs.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    if not _ends_process.get():

        def ask(*_: object) -> None:
            if stop.is_set():
                raise KeyboardInterrupt
            stop.set()

        before = signal.signal(signal.SIGINT, ask)
        try:
            yield stop
        finally:
            signal.signal(signal.SIGINT, before)
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    previous = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(reader, stop, done, give_up), daemon=True)
    watcher.start()
    try:
        yield stop
    finally:
        done.set()
        signal.set_wakeup_fd(wakeup)
        for number, handler in previous.items():
            signal.signal(number, handler)
        os.close(writer)
        watcher.join()


def _watch(reader: int, stop: threading.Event, done: threading.Event, give_up: Callable[[], None]) -> None:
    """Wait for signals until the pipe is closed at its other end."""
    with open(reader, "rb", buffering=0) as pipe:
        while numbers := pipe.read(1):
            if numbers[0] not in _SIGNALS:
                continue
            if stop.is_set():
                os._exit(INTERRUPTED)
            stop.set()
            threading.Thread(target=_insist, args=(done, give_up), daemon=True).start()


def _insist(done: threading.Event, give_up: Callable[[], None]) -> None:
    if not done.wait(_GRACE):
        try:
            give_up()
        finally:
            os._exit(INTERRUPTED)
