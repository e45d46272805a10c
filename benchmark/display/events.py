"""What happens in a sweep, as events, and what is known from them: runs, counts, the time left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from benchmark.support.errors import spelled
from benchmark.support.printable import printable

_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.-=+*#@"


@dataclass(frozen=True)
class SuitePlanned:
    """Sweeps of several data sets follow: the runs that are left, as far as known, by model and data set.

    Each sweep may start and end several times, with more seeds each time.
    """

    left: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class SweepStarted:
    """A sweep has started; its runs are counted by phase, those of a previous process as done.

    Its metric is what the values of its runs are.
    """

    model: str
    dataset: str
    study: str
    total: Mapping[str, int]
    done: Mapping[str, int]
    metric: str = "accuracy"


@dataclass(frozen=True)
class FinalsPlanned:
    """The search has its winner: how many final runs there are in all, and done."""

    total: int
    done: int


@dataclass(frozen=True)
class RunStarted:
    """A run has started.

    Attributes
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

    label: str
    number: int
    phase: str
    params: Mapping[str, object]


@dataclass(frozen=True)
class EpochEnded:
    """An epoch of a run has finished, with a value on the validation split; epochs are counted from 1."""

    label: str
    epoch: int
    epochs: int
    value: float


@dataclass(frozen=True)
class RunEnded:
    """A run has finished.

    Attributes
    ----------
    label : str
        Names the run within its sweep.
    phase : {"search", "final"}
        Of the sweep.
    status : str
        Such as ``ok`` or ``diverged``.
    value : float or None
        Of the metric: on the validation split of a trial, on the test split of a final run.
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


@dataclass(frozen=True)
class SweepEnded:
    """A sweep has finished, but for some runs that are left for later.

    There is no such event for one that had nothing to do.
    """

    model: str
    seconds: float
    left: int = 0


Event = SuitePlanned | SweepStarted | FinalsPlanned | RunStarted | EpochEnded | RunEnded | SweepEnded


class Display:
    """Where the driver of a sweep reports what happens; sweeps follow one another. This one shows nothing."""

    wording: Callable[[str], str] = staticmethod(spelled)
    suite: SuiteState | None = None

    def notice(self, text: str) -> None:
        """Show a text that cannot be missed."""

    def line(self, text: str) -> None:
        """Show a line."""

    def show(self, event: Event) -> None:
        """Show what has happened; here, note what is left of sweeps of several data sets."""
        if isinstance(event, SuitePlanned):
            self.suite = SuiteState(event)
        elif self.suite is not None:
            self.suite.update(event)

    def close(self) -> None:
        """Leave the terminal as it was; may be called twice."""

    def __enter__(self) -> Self:
        """Return itself, to be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class RunState:
    """One run; its curve is the metric on the validation split by epoch."""

    label: str
    phase: str
    params: str
    epochs: int = 0
    curve: list[float] = field(default_factory=list)
    status: str = "running"
    value: float | None = None
    seconds: float | None = None
    detail: str = ""


class SweepState:
    """Runs of one sweep, in the order in which they started.

    Attributes
    ----------
    done, total : dict of str to int
        Runs that have finished and that there are to be, by phase.
    best : float or None
        Best value of the search.
    """

    def __init__(self, sweep: SweepStarted) -> None:
        self.model, self.dataset, self.study = map(printable, (sweep.model, sweep.dataset, sweep.study))
        self.total, self.done, self.metric = dict(sweep.total), dict(sweep.done), printable(sweep.metric)
        self.runs: dict[str, RunState] = {}
        self.best: float | None = None
        self._default: Mapping[str, object] | None = None
        self._seconds: dict[str, list[float]] = {"search": [], "final": []}
        self._workers = 1

    def update(self, event: Event) -> None:
        """Note what has happened; a run that ends and did not start here is added."""
        if isinstance(event, FinalsPlanned):
            # Those of a previous winner count no more.
            self.total["final"], self.done["final"] = event.total, event.done
        elif isinstance(event, RunStarted):
            self._start(event)
        elif isinstance(event, EpochEnded) and (run := self.runs.get(event.label)) is not None:
            run.epochs = event.epochs
            run.curve[event.epoch - 1 :] = [event.value]
        elif isinstance(event, RunEnded):
            self._end(event)

    def _start(self, event: RunStarted) -> None:
        if event.phase == "search" and event.number == 0:
            self._default = dict(event.params)
        self.runs.pop(event.label, None)
        self.runs[event.label] = RunState(event.label, event.phase, params_text(event.params, self._default))
        self._workers = max(self._workers, sum(run.status == "running" for run in self.runs.values()))

    def _end(self, event: RunEnded) -> None:
        phase = event.phase
        run = self.runs.setdefault(event.label, RunState(event.label, phase, ""))
        run.status, run.value, run.seconds = event.status, event.value, event.seconds
        run.detail = single_line(event.detail)
        if phase == "search":
            self.best = event.best
        # An interrupted run is still to be done.
        if event.status != "interrupted":
            self.done[phase] += 1
            self.total[phase] = max(self.total[phase], self.done[phase])
            self._seconds[phase].append(event.seconds)

    def of(self, phase: str) -> list[RunState]:
        """Runs of a phase, the running ones last."""
        runs = [run for run in self.runs.values() if run.phase == phase]
        return sorted(runs, key=lambda run: run.status == "running")

    def seconds_left(self) -> float | None:
        """Estimate the time to the end, None before the first run has finished.

        Notes
        -----
        Runs still to be done times the mean duration of their phase, shared by as many workers as
        were ever seen busy at once. A final run is never pruned, so before the first has finished it
        is taken to last as long as the longest trial. A search that has passed over to final runs
        has finished, whatever its total.
        """
        trials, finals = self._seconds["search"], self._seconds["final"]
        if not trials and not finals:
            return None
        left = {phase: max(0, self.total[phase] - self.done[phase]) for phase in self.total}
        if any(run.phase == "final" for run in self.runs.values()):
            left["search"] = 0
        trial = sum(trials) / len(trials) if trials else 0.0
        final = sum(finals) / len(finals) if finals else max(trials)
        return (left["search"] * trial + left["final"] * final) / self._workers


class SuiteState:
    """What is left of sweeps on several data sets.

    Parameters
    ----------
    planned : SuitePlanned
        The sweeps.
    clock : callable
        Returns seconds.

    Attributes
    ----------
    left : dict of (str, str) to int
        Runs that are still to be done, by model and data set.
    done : int
        Runs that have finished.
    """

    def __init__(self, planned: SuitePlanned, clock: Callable[[], float] = time.monotonic) -> None:
        self.left = {(printable(model), printable(data)): n for (model, data), n in planned.left.items()}
        self.done = 0
        self._clock, self._last, self._current = clock, clock(), ("", "")
        self._seconds: dict[str, list[float]] = {}

    def update(self, event: Event) -> None:
        """Note what has happened."""
        if isinstance(event, SweepStarted):
            self._current = printable(event.model), printable(event.dataset)
        elif isinstance(event, SweepEnded):
            self.left[self._current] = event.left
        elif isinstance(event, RunEnded) and event.status != "interrupted":
            now = self._clock()
            self._seconds.setdefault(self._current[0], []).append(now - self._last)
            self._last, self.done = now, self.done + 1
            self.left[self._current] = max(0, self.left.get(self._current, 0) - 1)

    def seconds_left(self) -> float | None:
        """Estimate the time to the end, None before the first run has finished.

        Notes
        -----
        Runs still to be done times the mean time between two ends of runs of their model, or of any where
        there are none yet: that has the share of workers in it, and what is done beside training.
        """
        if not self.done:
            return None
        anyone = sum(map(sum, self._seconds.values())) / self.done
        means = {model: sum(own) / len(own) for model, own in self._seconds.items()}
        return sum(runs * means.get(model, anyone) for (model, _), runs in self.left.items())

    def text(self) -> str:
        """Write how far all of it is: ``3 of 8 sweeps, 41 of 90 runs, 12 min left of all``."""
        sweeps, complete = len(self.left), sum(not runs for runs in self.left.values())
        runs = self.done + sum(self.left.values())
        text = f"{complete} of {sweeps} sweeps, {self.done} of {runs} runs"
        left = self.seconds_left()
        return f"{text}, {roughly(left)} left of all" if left else text


def params_text(params: Mapping[str, object], default: Mapping[str, object] | None) -> str:
    """Write the parameters that differ from the default, or all where it is not known."""
    if default is None:
        shown = dict(params)
    elif not (shown := {name: value for name, value in params.items() if default.get(name) != value}):
        return "published default"
    return single_line(
        " ".join(
            f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in shown.items()
        )
    )


def single_line(text: str) -> str:
    """Make a text safe for one line; its line breaks become spaces."""
    return printable(" ".join(text.split()))


def duration(seconds: float) -> str:
    """Write a duration in the unit that fits: ``8.3 s``, ``2 min 05 s``, ``1 h 04 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def roughly(seconds: float) -> str:
    """Write an estimate no more exactly than it is known: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def delivery_progress(say: Callable[[str], None]) -> Callable[[int, float | None], None]:
    """Return what says how many results are still to be delivered, and how long that takes, if known."""

    def progress(left: int, seconds: float | None) -> None:
        estimate = "" if seconds is None else f", about {roughly(seconds)}"
        say(
            f"{_results(left)} still to be delivered to the tracking store{estimate}; after Ctrl-C what is "
            "left stays in mlruns/spool"
        )

    return progress


def kept_line(left: int, spool: object) -> str:
    """Write where results are that could not be delivered."""
    return f"{_results(left)} kept in {spool}: the next sweep delivers them, or python -m benchmark.sync"


def _results(number: int) -> str:
    return "1 result is" if number == 1 else f"{number} results are"


def sparkline(values: Iterable[float], width: int, ascii_only: bool = False) -> str:
    """Draw values as a line of bars between their least and greatest.

    Parameters
    ----------
    values : iterable of float
        What is not finite is a gap.
    width : int
        Most characters; longer curves are thinned, the first and last value stay.
    ascii_only : bool
        For terminals without the block characters.
    """
    curve = list(values)
    if width < 1:
        return ""
    if len(curve) > width:
        steps = max(1, width - 1)
        curve = [curve[round(i * (len(curve) - 1) / steps)] for i in range(width)]
    finite = [value for value in curve if math.isfinite(value)]
    if not finite:
        return " " * len(curve)
    bars = _ASCII_BARS if ascii_only else _BARS
    low, spread = min(finite), max(finite) - min(finite)

    def bar(value: float) -> str:
        if not math.isfinite(value):
            return " "
        return bars[round((value - low) / spread * (len(bars) - 1))] if spread else bars[len(bars) // 2]

    return "".join(map(bar, curve))
