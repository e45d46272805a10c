"""What a person sees during a sweep: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

import io
import os
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from benchmark.display.events import (
    Display,
    Event,
    RunEnded,
    RunStarted,
    RunState,
    SuiteState,
    SweepEnded,
    SweepStarted,
    SweepState,
    duration,
    roughly,
    sparkline,
)
from benchmark.support.errors import spelled
from benchmark.support.printable import printable

if TYPE_CHECKING:
    from rich.console import Console, Group, OverflowMethod, RenderableType
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

_COLORS = {"ok": "green", "pruned": "dim", "running": "cyan"}
_TITLES = {"search": ("search", "val"), "final": ("final runs", "test")}
_SHORT = {"accuracy": "acc."}
_LEAST_OF_A_SWEEP = 8  # lines that are shown of it before there is a table of all sweeps


class PlainDisplay(Display):
    """One line for each run that ends: for log files, pipes and simple terminals.

    Parameters
    ----------
    stream : text file
        What is written to it has no control characters.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._state: SweepState | None = None

    def notice(self, text: str) -> None:
        """Write the text between two rules, each line of it marked."""
        rule = "=" * 78
        lines = [wrapped for line in text.splitlines() for wrapped in textwrap.wrap(line, 74) or [""]]
        self.line("\n".join([rule, *(f"!!  {line}" for line in lines), rule]))

    def line(self, text: str) -> None:
        """Write a line, at once."""
        self._stream.write(printable(self.wording(text), keep="\n") + "\n")
        self._stream.flush()

    def show(self, event: Event) -> None:
        """Write what is to be done, a line for each run that ends, and how long all took."""
        super().show(event)
        if isinstance(event, SweepStarted):
            self._state = SweepState(event)
            total, done = event.total, event.done
            trials = f"{_to_do(total['search'], done['search'])} trials, " if total["search"] else ""
            finals = f"{_to_do(total['final'], done['final'])} final runs to do"
            by = "" if event.metric == "accuracy" else f", by {event.metric}"
            self.line(f"{event.model} on {event.dataset} (study {event.study}{by}): {trials}{finals}")
        elif isinstance(event, SweepEnded):
            suite = "" if self.suite is None else f" ({self.suite.text()})"
            self.line(f"{event.model}: done in {duration(event.seconds)}{suite}")
            self._state = None
        elif self._state is not None:
            self._state.update(event)
            if isinstance(event, RunEnded):
                self.line(_ended(self._state, event))


def _to_do(total: int, done: int) -> str:
    return f"{max(0, total - done)} of {total}" if done else str(total)


def _ended(state: SweepState, end: RunEnded) -> str:
    """Write a line such as ``trial 4: ok 0.8731 in 12.3 s, best 0.8802 | 5/20 trials, 3 min left``."""
    run, phase = state.runs[end.label], end.phase
    result = f"{end.label}: {end.status}" + ("" if end.value is None else f" {end.value:.4f}")
    result += f" in {duration(end.seconds)}" + ("" if end.best is None else f", best {end.best:.4f}")
    count = f"{state.done[phase]}/{state.total[phase]} {'trials' if phase == 'search' else 'final runs'}"
    left = state.seconds_left()
    count += f", {roughly(left)} left" if left else ""
    # All final runs of a tier have the same parameters, and their label names the tier.
    params = run.params if phase == "search" else ""
    return " | ".join(part for part in (result, count, params, run.detail) if part)


class LiveDisplay(Display):
    """A table that is renewed in place: latest trials, final runs, curves, progress and time left.

    Parameters
    ----------
    console : rich.console.Console
        A terminal. What other code prints while the table stands appears above it.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._state: SweepState | None = None
        # The table is drawn by a thread of rich while the driver changes what it shows.
        self._lock = threading.Lock()

    def notice(self, text: str) -> None:
        """Show the text in a frame."""
        from rich.panel import Panel
        from rich.text import Text

        self._console.print(
            Panel(
                Text(printable(self.wording(text), keep="\n"), style="bold"),
                title="NOTICE",
                border_style="bold yellow",
                expand=False,
            )
        )

    def line(self, text: str) -> None:
        """Print a line, above the table where there is one."""
        from rich.text import Text

        self._console.print(Text(printable(self.wording(text), keep="\n")))

    def show(self, event: Event) -> None:
        """Renew the table; it appears with the first run, as there may be none.

        That of a sweep stays when it ends; on several data sets there is one for all sweeps.
        """
        with self._lock:
            super().show(event)
        if isinstance(event, SweepStarted):
            if self.suite is None:
                self.close()
            with self._lock:
                self._state = SweepState(event)
        elif isinstance(event, SweepEnded):
            if self.suite is None:
                self.close()
                self.line(f"{event.model}: done in {duration(event.seconds)}")
        elif self._state is not None:
            with self._lock:
                self._state.update(event)
            if isinstance(event, RunStarted) and self._live is None:
                self._start()

    def close(self) -> None:
        """Stop drawing and give the cursor back."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()
        self._state = None

    def _start(self) -> None:
        from rich.live import Live

        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=4,
            vertical_overflow="crop",
        )
        self._live.start()

    def _render(self) -> RenderableType:
        if self._state is None:
            return ""
        width, height = self._console.size
        ascii_only = not self._console.encoding.lower().startswith("utf")
        with self._lock:
            return view(self._state, width, height, ascii_only=ascii_only, suite=self.suite)


class NotebookDisplay(LiveDisplay):
    """The same table below a notebook's cell, where it stays; it needs no widgets."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._shown: Any = None
        self._drawn = 0.0

    def show(self, event: Event) -> None:
        """Renew the table, four times a second at most, and whenever a sweep ends."""
        if isinstance(event, SweepEnded):
            self._draw()
        super().show(event)
        if self._shown is not None and time.monotonic() - self._drawn > 0.25:
            self._draw()

    def close(self) -> None:
        """Leave the table as it is."""
        if self._state is not None:
            self._draw()
        self._shown = self._state = None

    def _start(self) -> None:
        if self._shown is None:
            import IPython.display

            show: Any = IPython.display.display
            self._shown = show({}, raw=True, display_id=True)

    def _draw(self) -> None:
        if self._shown is None or self._state is None:
            return
        from rich.console import Console

        console = Console(file=io.StringIO(), width=100, record=True, force_jupyter=False)
        console.print(view(self._state, 100, 24, suite=self.suite))
        text = console.export_text(clear=False)
        page = console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")
        self._shown.update({"text/plain": text, "text/html": page}, raw=True)
        self._drawn = time.monotonic()


def make_display(json: bool = False, wording: Callable[[str], str] = spelled) -> Display:
    """Choose how a sweep is shown.

    Parameters
    ----------
    json : bool
        Whether standard output is kept for one JSON document; the display then goes to standard
        error.
    wording : callable
        Says how settings are named that texts have in backticks; by default as options.

    Returns
    -------
    Display
        `LiveDisplay` on a terminal, `NotebookDisplay` in a notebook, `PlainDisplay` anywhere else and where
        ``TERM`` is ``dumb``.
    """
    display = _display(sys.stderr if json else sys.stdout, json)
    display.wording = wording
    return display


def _in_notebook() -> bool:
    """Whether a kernel runs this code; packages that come with notebooks may be imported anywhere."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None) is not None


def _display(stream: TextIO, json: bool) -> Display:
    if stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown"):
        from rich.console import Console

        return LiveDisplay(Console(file=stream, highlight=False))
    if _in_notebook() and not json:
        from rich.console import Console

        console = Console(file=stream, highlight=False, width=100, force_jupyter=False)
        return NotebookDisplay(console)
    return PlainDisplay(stream)


def view(
    state: SweepState, width: int, height: int, *, ascii_only: bool = False, suite: SuiteState | None = None
) -> Group:
    """Lay out a sweep in at most `height` - 1 lines, however small the terminal.

    Parameters
    ----------
    state : SweepState
        What is known of the sweep.
    width, height : int
        Of the terminal, in characters.
    ascii_only : bool
        Draw curves without block characters, and cut without an ellipsis.
    suite : SuiteState, optional
        What is left of all sweeps, where there are several data sets.

    Returns
    -------
    rich.console.Group
        Every part of it is one line high and cut at the edge: a picture that is higher than the
        terminal, or wraps, makes it flicker.
    """
    from rich.console import Group
    from rich.text import Text

    cut: OverflowMethod = "crop" if ascii_only else "ellipsis"
    parts: list[Text | Table] = [_progress(state, width, cut)]
    room = max(1, height - 1) - len(parts)
    if suite is not None and room > 1:
        of_all = [Text(suite.text(), style="bold", no_wrap=True, overflow=cut)]
        rows = len({dataset for _, dataset in suite.left}) + 1
        grid = [_grid(suite, width, cut)] if room - 1 >= rows + _LEAST_OF_A_SWEEP else []
        parts += [*grid, *of_all]
        room -= 1 + rows * len(grid)
    trials, finals = state.of("search"), state.of("final")
    for phase, runs, share in (("final", finals, 0.5 if trials else 1.0), ("search", trials, 1.0)):
        # One line is the heading of the table.
        rows = min(len(runs), 10 if phase == "search" else 6, int(room * share) - 1)
        if rows > 0:
            parts.insert(0, _runs(state, phase, runs[-rows:], width, ascii_only))
            room -= rows + 1
    if room > 0:
        heading = Text(f"{state.model} on {state.dataset}", style="bold", no_wrap=True, overflow=cut)
        heading.append(f"  study {state.study}", style="dim")
        parts.insert(0, heading)
    return Group(*parts)


def _grid(suite: SuiteState, width: int, cut: OverflowMethod) -> Table:
    """Show the runs that are left, a row for each data set and a column for each model."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim", width=max(1, width))
    models, datasets = (list(dict.fromkeys(names)) for names in zip(*suite.left, strict=True))
    table.add_column("runs left", no_wrap=True, overflow=cut, ratio=2)
    for model in models:
        table.add_column(Text(model), no_wrap=True, overflow=cut, justify="right", ratio=1)
    for dataset in datasets:
        left = [suite.left.get((model, dataset)) for model in models]
        cells = ["" if runs is None else f"{runs}" if runs else "[green]done[/]" for runs in left]
        table.add_row(Text(dataset), *cells)
    return table


def _runs(state: SweepState, phase: str, runs: list[RunState], width: int, ascii_only: bool) -> Table:
    from rich.table import Table
    from rich.text import Text

    title, split = _TITLES[phase]
    value = f"{split} {_SHORT.get(state.metric, state.metric)}"
    cut: OverflowMethod = "crop" if ascii_only else "ellipsis"
    spark = 20 if width >= 100 else 10
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", width=max(1, width))
    cells: list[Callable[[RunState], Text]] = []

    def add(least_width: int, heading: str, cell: Callable[[RunState], Text], **options: Any) -> None:
        if width >= least_width:
            table.add_column(heading, no_wrap=True, overflow=cut, **options)
            cells.append(cell)

    add(0, title, lambda run: Text(run.label))
    least = 11 if width >= 50 else None
    add(0, "status", lambda run: Text(_status(run), _COLORS.get(run.status, "red")), min_width=least)
    add(36, value, lambda run: Text(_value(run), "bold" if _is_best(state, run) else ""), justify="right")
    add(60, "time", lambda run: Text("" if run.seconds is None else duration(run.seconds)), justify="right")
    add(50, "curve", lambda run: Text(sparkline(run.curve, spark, ascii_only), "cyan"), min_width=spark)
    add(72, "parameters", lambda run: Text(run.detail or run.params, "red" if run.detail else "dim"), ratio=1)
    for run in runs:
        table.add_row(*(cell(run) for cell in cells))
    return table


def _status(run: RunState) -> str:
    if run.status == "running" and run.epochs:
        return f"epoch {len(run.curve)}/{run.epochs}"
    return run.status


def _value(run: RunState) -> str:
    value = run.value
    if run.status == "running" and run.phase == "search" and run.curve:
        value = run.curve[-1]
    return "" if value is None else f"{value:.4f}"


def _is_best(state: SweepState, run: RunState) -> bool:
    return run.phase == "search" and run.status == "ok" and run.value is not None and run.value == state.best


def _progress(state: SweepState, width: int, cut: OverflowMethod) -> Table:
    """One line: a bar over all runs, both counts, the best, and the time left."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    done, total = sum(state.done.values()), sum(state.total.values())
    words = [f"{state.done['search']}/{state.total['search']} trials"] if state.total["search"] else []
    words.append(f"{state.done['final']}/{state.total['final']} finals")
    if state.best is not None:
        words.append(f"best {state.best:.4f}")
    left = state.seconds_left()
    if left is not None and done < total:
        words.insert(0, f"{roughly(left)} left")
    text = Text(", ".join(words), no_wrap=True, overflow=cut)
    line = Table.grid(padding=(0, 1, 0, 0))
    bar = min(30, width - len(text) - 2)
    if bar >= 5:
        line.add_row(ProgressBar(total=max(1, total), completed=done, width=bar), text)
    else:
        line.add_row(text)
    return line
