"""How a running sweep looks on a terminal: rich renderables made from its state."""

from __future__ import annotations

from rich.console import Group, OverflowMethod
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from benchmark.display.progress import RunState, SweepState, duration, roughly, sparkline

_COLORS = {"ok": "green", "pruned": "dim", "running": "cyan"}
_TITLES = {"search": ("search", "val acc."), "final": ("final runs", "test acc.")}


def view(state: SweepState, width: int, height: int, *, ascii_only: bool = False) -> Group:
    """Lay out a sweep in at most `height` - 1 lines, however small the terminal.

    Parameters
    ----------
    state : SweepState
        What is known of the sweep.
    width, height : int
        Of the terminal, in characters.
    ascii_only : bool
        Draw curves without block characters, and cut without an ellipsis.

    Returns
    -------
    rich.console.Group
        Every part of it is one line high and cut at the edge: a picture that is higher than the
        terminal, or wraps, makes it flicker.
    """
    cut: OverflowMethod = "crop" if ascii_only else "ellipsis"
    parts: list[Text | Table] = [_progress(state, width, cut)]
    room = max(1, height - 1) - len(parts)
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


def _runs(state: SweepState, phase: str, runs: list[RunState], width: int, ascii_only: bool) -> Table:
    title, value = _TITLES[phase]
    cut: OverflowMethod = "crop" if ascii_only else "ellipsis"
    spark = 20 if width >= 100 else 10
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", width=max(1, width))
    table.add_column(title, no_wrap=True, overflow=cut)
    table.add_column("status", no_wrap=True, overflow=cut, min_width=11 if width >= 50 else None)
    if width >= 36:
        table.add_column(value, no_wrap=True, overflow=cut, justify="right")
    if width >= 60:
        table.add_column("time", no_wrap=True, overflow=cut, justify="right")
    if width >= 50:
        table.add_column("curve", no_wrap=True, min_width=spark)
    if width >= 72:
        table.add_column("parameters", no_wrap=True, overflow=cut, ratio=1)
    for run in runs:
        cells = [
            Text(run.label),
            Text(_status(run), style=_COLORS.get(run.status, "red")),
            Text(_value(run), style="bold" if _is_best(state, run) else ""),
            Text("" if run.seconds is None else duration(run.seconds)),
            Text(sparkline(run.curve, spark, ascii_only=ascii_only), style="cyan"),
            Text(run.detail or run.params, style="red" if run.detail else "dim"),
        ]
        order = (True, True, width >= 36, width >= 60, width >= 50, width >= 72)
        table.add_row(*(cell for cell, shown in zip(cells, order, strict=True) if shown))
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
