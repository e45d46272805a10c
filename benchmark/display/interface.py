"""The interface between the driver of a sweep and whoever watches it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Display(Protocol):
    """Where the driver of a sweep reports what happens; sweeps follow one another."""

    def notice(self, text: str) -> None:
        """Say something that cannot be missed."""

    def line(self, text: str) -> None:
        """Say something."""

    def sweep_started(
        self,
        model: str,
        dataset: str,
        study: str,
        trials_total: int,
        trials_done: int,
        finals_total: int,
        finals_done: int,
    ) -> None:
        """Begin a sweep; what an earlier process has done counts as done."""

    def finals_planned(self, total: int, done: int) -> None:
        """Say how many final runs there are in all, and done, once the search has its winner."""

    def run_started(self, label: str, number: int, phase: str, params: Mapping[str, object]) -> None:
        """Begin a run.

        Parameters
        ----------
        label : str
            Names the run within its sweep.
        number : int
            Number 0 of the search is the published default, which other parameters are compared with.
        phase : {"search", "final"}
            Of the sweep.
        params : mapping of str to object
            Every hyper-parameter and training setting.
        """

    def epoch(
        self,
        label: str,
        epoch: int,
        epochs: int,
        loss: float,
        accuracy: float,
        val_loss: float,
        val_accuracy: float,
        seconds: float,
    ) -> None:
        """Report an epoch of a run, counted from 1."""

    def run_ended(
        self,
        label: str,
        phase: str,
        status: str,
        value: float | None,
        seconds: float,
        best: float | None,
        detail: str,
    ) -> None:
        """End a run.

        Parameters
        ----------
        value : float or None
            Validation accuracy of a trial, test accuracy of a final run.
        best : float or None
            Best value of the phase so far.
        detail : str
            Why it failed, in one line, or nothing.
        """

    def sweep_ended(self, model: str, seconds: float) -> None:
        """End a sweep; not called for one that had nothing to do."""

    def close(self) -> None:
        """Leave the terminal as it was; may be called twice."""


class SilentDisplay:
    """Shows nothing: for tests and for use as a library. The other displays begin from it."""

    def _ignore(self, *arguments: Any, **named: Any) -> None:
        """Take what any method of `Display` takes, and drop it."""

    notice = line = sweep_started = finals_planned = run_started = epoch = run_ended = sweep_ended = close = (
        _ignore
    )
