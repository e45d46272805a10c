"""What a person sees during a sweep: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

import os
import sys
import textwrap
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from benchmark.display.interface import Display, RunEnd
from benchmark.display.progress import SweepState, duration, roughly
from benchmark.support.printable import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

__all__ = ["Display", "LiveDisplay", "PlainDisplay", "make_display"]


class _StateDisplay(Display):
    """Keeps what is known of the sweep under way."""

    _state: SweepState | None = None

    def sweep_started(
        self, model: str, dataset: str, study: str, total: Mapping[str, int], done: Mapping[str, int]
    ) -> None:
        self._state = SweepState(model, dataset, study, total, done)

    def finals_planned(self, total: int, done: int) -> None:
        """Correct the numbers of final runs: those of an earlier winner count no more."""
        if self._state is not None:
            self._state.total["final"], self._state.done["final"] = total, done


class PlainDisplay(_StateDisplay):
    """One line for each run that ends: for log files, pipes and simple terminals.

    Parameters
    ----------
    stream : text file
        What is written to it has no control characters.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def notice(self, text: str) -> None:
        """Write the text between two rules, each line of it marked."""
        rule = "=" * 78
        lines = [wrapped for line in text.splitlines() for wrapped in textwrap.wrap(line, 74) or [""]]
        self.line("\n".join([rule, *(f"!!  {line}" for line in lines), rule]))

    def line(self, text: str) -> None:
        """Write a line, at once."""
        self._stream.write(printable(text, keep="\n") + "\n")
        self._stream.flush()

    def sweep_started(
        self, model: str, dataset: str, study: str, total: Mapping[str, int], done: Mapping[str, int]
    ) -> None:
        """Write what is to be done."""
        super().sweep_started(model, dataset, study, total, done)
        trials = f"{_to_do(total['search'], done['search'])} trials, " if total["search"] else ""
        finals = f"{_to_do(total['final'], done['final'])} final runs to do"
        self.line(f"{model} on {dataset} (study {study}): {trials}{finals}")

    def run_started(self, label: str, number: int, phase: str, params: Mapping[str, object]) -> None:
        """Remember the parameters for the line at the run's end."""
        if self._state is not None:
            self._state.start(label, number, phase, params)

    def run_ended(self, end: RunEnd) -> None:
        """Write a line such as ``trial 4: ok 0.8731 in 12.3 s, best 0.8802 | 5/20 trials, 3 min left``."""
        state = self._state
        if state is None:
            return
        run, phase = state.end(end), end.phase
        result = f"{end.label}: {end.status}" + ("" if end.value is None else f" {end.value:.4f}")
        result += f" in {duration(end.seconds)}" + ("" if end.best is None else f", best {end.best:.4f}")
        count = f"{state.done[phase]}/{state.total[phase]} {'trials' if phase == 'search' else 'final runs'}"
        left = state.seconds_left()
        count += f", {roughly(left)} left" if left else ""
        # All final runs of a tier have the same parameters, and their label names the tier.
        params = run.params if phase == "search" else ""
        self.line(" | ".join(part for part in (result, count, params, run.detail) if part))

    def sweep_ended(self, model: str, seconds: float) -> None:
        """Write how long it took."""
        self.line(f"{model}: done in {duration(seconds)}")
        self._state = None


class LiveDisplay(_StateDisplay):
    """A table that is renewed in place: latest trials, final runs, curves, progress and time left.

    Parameters
    ----------
    console : rich.console.Console
        A terminal. What other code prints while the table stands appears above it.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        # The table is drawn by a thread of rich while the driver changes what it shows.
        self._lock = threading.Lock()

    def notice(self, text: str) -> None:
        """Show the text in a frame."""
        from rich.panel import Panel
        from rich.text import Text

        self._console.print(
            Panel(
                Text(printable(text, keep="\n"), style="bold"),
                title="NOTICE",
                border_style="bold yellow",
                expand=False,
            )
        )

    def line(self, text: str) -> None:
        """Print a line, above the table where there is one."""
        from rich.text import Text

        self._console.print(Text(printable(text, keep="\n")))

    def sweep_started(
        self, model: str, dataset: str, study: str, total: Mapping[str, int], done: Mapping[str, int]
    ) -> None:
        """Begin a new table; it appears with the first run, as there may be none."""
        self._stop()
        super().sweep_started(model, dataset, study, total, done)

    def run_started(self, label: str, number: int, phase: str, params: Mapping[str, object]) -> None:
        """Add a row."""
        if self._state is None:
            return
        with self._lock:
            self._state.start(label, number, phase, params)
        if self._live is None:
            from rich.live import Live

            self._live = Live(
                console=self._console,
                get_renderable=self._render,
                refresh_per_second=4,
                vertical_overflow="crop",
            )
            self._live.start()

    def epoch(self, label: str, epoch: int, epochs: int, val_accuracy: float) -> None:
        """Prolong the run's curve."""
        if self._state is not None:
            with self._lock:
                self._state.epoch(label, epoch, epochs, val_accuracy)

    def run_ended(self, end: RunEnd) -> None:
        """Fill in the row."""
        if self._state is not None:
            with self._lock:
                self._state.end(end)

    def sweep_ended(self, model: str, seconds: float) -> None:
        """Leave the last table standing and print how long it took."""
        self._stop()
        self.line(f"{model}: done in {duration(seconds)}")

    def close(self) -> None:
        """Stop drawing and give the cursor back."""
        self._stop()

    def _stop(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()
        self._state = None

    def _render(self) -> RenderableType:
        from benchmark.display.live_view import view

        if self._state is None:
            return ""
        width, height = self._console.size
        ascii_only = not self._console.encoding.lower().startswith("utf")
        with self._lock:
            return view(self._state, width, height, ascii_only=ascii_only)


def make_display(json: bool, stream: TextIO) -> Display:
    """Choose how a sweep is shown.

    Parameters
    ----------
    json : bool
        Whether standard output is kept for one JSON document; the display then goes to standard
        error.
    stream : text file
        Where to show it.

    Returns
    -------
    Display
        `LiveDisplay` on a terminal, `PlainDisplay` anywhere else and where ``TERM`` is ``dumb``.
    """
    if json and stream is sys.stdout:
        stream = sys.stderr
    if stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown"):
        from rich.console import Console

        return LiveDisplay(Console(file=stream, highlight=False))
    return PlainDisplay(stream)


def _to_do(total: int, done: int) -> str:
    return f"{max(0, total - done)} of {total}" if done else str(total)
