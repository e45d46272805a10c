"""The outbox: a thread that brings results to the tracking store, so that nobody else waits for it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from benchmark.support.files import held
from benchmark.tracking.delivery import Delivery, Refused
from benchmark.tracking.record import Record
from benchmark.tracking.spool import Spool
from benchmark.tracking.store import reason

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.1, 5.0, 1.5
_SILENCE = 10.0  # seconds without success that are worth a word
_REFUSALS = 3  # in a row, after which a record is set aside
_READ_EVERY = 1.0  # seconds: other processes use the spool, too
_STEP = 0.05
_FIRST_LINE, _LINE_EVERY = 2.0, 10.0  # seconds, of those that wait until everything is delivered

Progress: TypeAlias = Callable[[int, float | None], None]
"""Gets the number of records that are left, and the seconds that they take, None where unknown."""


class Outbox:
    """Delivers to MLflow from a separate thread; whoever trains never waits for it.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store.
    spool : Spool
        What lies there is delivered in order, whoever put it there, by one process at a time.
    notice : callable
        Called, from the thread, when the store goes away and comes back, and of records that are set aside.

    Attributes
    ----------
    spool : Spool
        Where records are committed before they are sent.
    refused : int
        Records that the store refused for good in the time of this outbox.
    """

    def __init__(self, client: Any, spool: Spool, notice: Callable[[str], None]) -> None:
        # A creation that MLflow repeats by itself makes a second run; what fails is repeated here.
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        self.spool = spool
        spool.notice = notice
        self._notice = notice
        self._delivery = Delivery(client, self._got_on)
        self._changed = threading.Condition()
        self._live: dict[str, Record] = {}
        self._stopped = False
        self._retry_at = 0.0
        self._failures = 0  # since the last success
        self._failing_since = 0.0
        self._away = False
        self.refused = 0
        self._last_success = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="outbox", daemon=True)
        self._thread.start()

    def run_id(self, key: str) -> str | None:
        """Return MLflow's id of a run, where it is known already."""
        return self._delivery.run_id(key)

    def live(self, record: Record) -> None:
        """Show a run as it is now, if the store is there; its end brings everything again."""
        with self._changed:
            self._live[record.key] = record  # a previous state need not be shown any more
            self._changed.notify_all()

    def send(self, record: Record) -> None:
        """Deliver what was committed to the spool."""
        with self._changed:
            self._live.pop(record.key, None)
            self._changed.notify_all()

    def drain(self, patience: float, progress: Progress = lambda left, seconds: None) -> int:
        """Wait until everything is delivered, or nothing could be for `patience` seconds.

        Parameters
        ----------
        patience : float
            A store that is slow, but answers, is waited for longer.
        progress : callable, optional
            Called every ten seconds; the seconds are what is left to do at the rate of the records before.

        Returns
        -------
        int
            Number of records that are left.
        """
        with self._changed:
            self._retry_at = 0.0
            self._changed.notify_all()
        started = changed = time.monotonic()
        most = before = 0
        next_line = started + _FIRST_LINE
        while left := len(self.spool.names()):
            now, most = time.monotonic(), max(most, left)
            if left != before:  # perhaps another process delivers
                changed, before = now, left
            if now >= next_line:
                known = left < most and not self._failures
                progress(left, left * (changed - started) / (most - left) if known else None)
                next_line += _LINE_EVERY
            if self._stopped or now - max(changed, self._last_success) >= patience:
                break
            time.sleep(_STEP)
        return left

    def close(self, patience: float, progress: Progress = lambda left, seconds: None) -> int:
        """Deliver as `drain` does, then stop; return the number of records that are left."""
        left = self.drain(patience, progress)
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        # A request that hangs is left alone; it ends with the process.
        self._thread.join(min(patience, 1.0))
        return left

    def _got_on(self) -> None:
        self._last_success = time.monotonic()
        self._failures = 0
        if self._away:
            self._away = False
            self._notice("the tracking store answers again; what was kept is being delivered")

    def _failed(self, error: Exception) -> None:
        now = time.monotonic()
        if not self._failures:
            self._failing_since = now
        self._retry_at = now + min(_FIRST_PAUSE * _GROWTH**self._failures, _LONGEST_PAUSE)
        self._failures = min(self._failures + 1, 100)
        if now - self._failing_since >= _SILENCE and not self._away:
            self._away = True
            self._notice(
                f"the tracking store does not answer ({reason(error)}); "
                f"results are kept in mlruns/{self.spool.home.parent.name} until it does"
            )

    def _work(self) -> None:
        while not self._stopped:
            with self._changed:
                pause = self._retry_at - time.monotonic()
                if pause > 0:
                    self._live.clear()
                    self._changed.wait(pause)
                elif not self._live and not self.spool.names():
                    self._changed.wait(_READ_EVERY)
                if self._stopped:
                    return
                if time.monotonic() < self._retry_at:
                    continue
            try:
                self._deliver_all()
            except Exception as error:
                self._failed(error)

    def _deliver_all(self) -> None:
        """Deliver everything that there is, the spool first: a sweep's run comes before those of it."""
        with held(self.spool.home / ".lock") as ours:
            if not ours:  # another process delivers what lies there
                time.sleep(_STEP)
                return
            for name in self.spool.names():
                if self._stopped:
                    return
                self._deliver(name)
            with self._changed:
                live, self._live = list(self._live.values()), {}
            for record in live:
                with contextlib.suppress(Refused):
                    self._delivery.deliver(record)

    def _deliver(self, name: str) -> None:
        """Deliver a record; one that is refused again and again is set aside."""
        record = self.spool.record(name)
        if record is None:
            return
        for attempt in range(1, _REFUSALS + 1):
            try:
                self._delivery.deliver(record)
                self.spool.remove(name)
                return
            except Refused as refusal:
                if attempt == _REFUSALS:
                    self.refused += 1
                    self.spool.set_aside(name, "refused", str(refusal))
                time.sleep(_FIRST_PAUSE)
