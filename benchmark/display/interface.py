"""The interface between the driver of a sweep and whoever watches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RunEnd:
    """How a run ended.

    Attributes
    ----------
    label : str
        Names the run within its sweep.
    phase : {"search", "final"}
        Of the sweep.
    status : str
        Such as ``ok`` or ``diverged``.
    value : float or None
        Validation accuracy of a trial, test accuracy of a final run.
    seconds : float
        Of training.
    best : float or None
        Best value of the phase so far.
    detail : str
        Why it failed, or nothing.
    """

    label: str
    phase: str
    status: str
    value: float | None
    seconds: float
    best: float | None
    detail: str = ""


class Display:
    """Where the driver of a sweep reports what happens; sweeps follow one another. This one shows nothing."""

    def notice(self, text: str) -> None:
        """Say something that cannot be missed."""

    def line(self, text: str) -> None:
        """Say something."""

    def sweep_started(
        self, model: str, dataset: str, study: str, total: Mapping[str, int], done: Mapping[str, int]
    ) -> None:
        """Begin a sweep; its runs are counted by phase, those of an earlier process as done."""

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

    def epoch(self, label: str, epoch: int, epochs: int, val_accuracy: float) -> None:
        """Report an epoch of a run, counted from 1."""

    def run_ended(self, end: RunEnd) -> None:
        """End a run."""

    def sweep_ended(self, model: str, seconds: float) -> None:
        """End a sweep; not called for one that had nothing to do."""

    def close(self) -> None:
        """Leave the terminal as it was; may be called twice."""
