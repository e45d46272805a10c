"""Budget curves: the validation accuracy to be expected of a search, by its trials and by its seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.board.rows import Board, BoardRow, Details
from benchmark.report.columns import sections
from benchmark.report.page_searches import section_searches
from benchmark.report.plot_style import (
    GREY,
    INK,
    LINES,
    figure,
    footnote,
    heading,
    log_seconds,
    save,
    say,
    short,
    smoke_left_out,
    style,
    subtitle,
    whole_ticks,
)
from benchmark.report.tiers import as_printed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches.
_WIDTH, _TOP, _BOTTOM, _PANEL, _APART = 11.0, 0.85, 0.75, 3.6, 0.85
_LEFT, _RIGHT, _BETWEEN = 0.8, 2.3, 0.35
_DASHES = ((1, 0), (4, 2), (1, 1.5))


def budget_picture(board: Board, details: Details, path: Path | str) -> None:
    """Draw the expected best validation accuracy of each search, two panels for each section.

    Parameters
    ----------
    board : Board
        Whose rows were searched.
    details : Details
        With the trials of the searches.
    path : path-like
        Where the picture goes; ``.png`` or ``.svg``.

    Raises
    ------
    ValueError
        When the name ends in something else.

    Notes
    -----
    A ring marks where another search takes the lead; it is black where the bands of the two part before
    and after, and grey where the change may be chance. Searches of smoke tests are not drawn.
    """
    board, details = as_printed(board, details)
    places = {id(row): place for place, row in enumerate(board.rows)}
    shown = [row for row in board.rows if not row.watermark]
    parts = []
    for part in sections(shown):
        rows = {places[id(row)]: row for row in part.rows}
        found = section_searches(
            {place: details.searches[place] for place in rows if place in details.searches}
        )
        if found["trials"]["curves"]:
            parts.append((part.title, rows, found))
    height = _TOP + _BOTTOM + _PANEL + (_PANEL + _APART) * (max(len(parts), 1) - 1)
    fig = figure(_WIDTH, height, dpi=150)
    single = f" on {parts[0][0]}" if len(parts) == 1 else ""
    heading(fig, f"What a search can be expected to find{single}")
    subtitle(
        fig,
        "Best validation accuracy among so many of its trials, in random order, with 95 % bands; "
        "it says nothing of the test part",
    )
    panel = (_WIDTH - _LEFT - _RIGHT - _BETWEEN) / 2
    for number in range(max(len(parts), 1)):
        bottom = height - _TOP - _PANEL - number * (_PANEL + _APART)
        for column, unit in enumerate(("trials", "seconds")):
            left = _LEFT + column * (panel + _BETWEEN)
            axes = fig.add_axes((left / _WIDTH, bottom / height, panel / _WIDTH, _PANEL / height))
            if parts:
                title, rows, found = parts[number]
                _panel(axes, found[unit], unit)
                axes.set_ylim(*_limits(found))
                if column == 0 and len(parts) > 1:
                    axes.set_title(title, loc="left", fontsize=9, color=GREY, parse_math=False)
                if column == 1:
                    axes.tick_params(labelleft=False)
                    _legend(axes, rows, found)
            else:
                axes.set_axis_off()
                if column == 0:
                    say(axes, "no search with a result")
    lost = sum(counts[1] for _, _, found in parts for counts in found["counts"].values())
    notes = [f"Trials without a value, which count as the worst of their search: {lost}" if lost else ""]
    footnote(fig, ". ".join(filter(None, (*notes, smoke_left_out(board, shown)))))
    save(fig, path)


def _panel(axes: Axes, found: Mapping[str, Any], unit: str) -> None:
    style(axes)
    curves = found["curves"]
    for place, curve in curves.items():
        color, dashes = _look(place, curves)
        x, mean, low, high = (np.asarray(curve[name]) for name in ("x", "mean", "low", "high"))
        weak = 0.14 if len(curves) < 4 else 0.06
        axes.fill_between(x, 100 * low, 100 * high, color=color, alpha=weak, linewidth=0)
        marker = "o" if len(x) == 1 else ""
        axes.plot(x, 100 * mean, color=color, dashes=dashes, linewidth=1.8, marker=marker, markersize=5)
    for crossing in found["crossings"]:
        if crossing["first_place"]:
            curve = curves[crossing["ahead"]]
            y = 100 * np.interp(crossing["budget"], curve["x"], curve["mean"])
            _ring(axes, crossing["budget"], float(y), sure=_sure(crossing))
    axes.set_ylabel("expected best validation accuracy (%)" if unit == "trials" else "", fontsize=9)
    if unit == "trials":
        axes.set_xlabel("trials", fontsize=9)
        whole_ticks(axes)
    else:
        axes.set_xlabel("seconds of training (logarithmic)", fontsize=9)
        log_seconds(axes, [value for curve in curves.values() for value in curve["x"]])


def _limits(found: Mapping[str, Any]) -> tuple[float, float]:
    """Choose the accuracies that both panels show: all means, and of the bands not more than helps."""
    curves = [curve for unit in ("trials", "seconds") for curve in found[unit]["curves"].values()]
    mean, low, high = (
        100 * np.concatenate([curve[name] for curve in curves]) for name in ("mean", "low", "high")
    )
    # The band of one or two trials may be wider than everything else.
    room = max(float(np.ptp(mean)), 1.0)
    bottom, top = max(low.min(), mean.min() - 0.4 * room), min(high.max(), mean.max() + 0.6 * room)
    return float(bottom) - 0.05 * room, float(top) + 0.05 * room


def _look(place: int, curves: Mapping[int, Any]) -> tuple[str, tuple[float, float]]:
    """Colour and dashes of a curve, by its place among them."""
    number = list(curves).index(place)
    return LINES[number % len(LINES)], _DASHES[number // len(LINES) % len(_DASHES)]


def _sure(crossing: Mapping[str, Any]) -> bool:
    return bool(crossing["apart_before"] and crossing["apart_after"])


def _ring(axes: Axes, x: float, y: float, *, sure: bool) -> None:
    axes.scatter(
        [x], [y], s=70, facecolors="none", edgecolors=INK if sure else GREY, linewidths=1.6 if sure else 0.9,
        zorder=6,
    )  # fmt: skip


def _legend(axes: Axes, rows: Mapping[int, BoardRow], found: Mapping[str, Any]) -> None:
    from matplotlib.lines import Line2D

    curves = found["trials"]["curves"]
    # The highest end first, as the eye meets them.
    order: Sequence[int] = sorted(curves, key=lambda place: -curves[place]["mean"][-1])
    marks = []
    for place in order:
        color, dashes = _look(place, curves)
        name = short(rows[place].model, 22)
        marks.append(
            Line2D(
                [],
                [],
                color=color,
                dashes=dashes,
                linewidth=1.8,
                label=f"{name}, {found['counts'][place][0]} trials",
            )
        )
    leads = [c for unit in ("trials", "seconds") for c in found[unit]["crossings"] if c["first_place"]]
    for sure, words in ((True, "the lead changes"), (False, "the lead may change")):
        if any(_sure(crossing) == sure for crossing in leads):
            marks.append(
                Line2D(
                    [], [], linestyle="", marker="o", markersize=8, markerfacecolor="none",
                    markeredgecolor=INK if sure else GREY, markeredgewidth=1.6 if sure else 0.9, label=words,
                )
            )  # fmt: skip
    legend = axes.legend(
        handles=marks, loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False, fontsize=8, labelcolor=INK,
        borderaxespad=0, handlelength=2.2,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
