"""Accuracy against cost: what more seconds of training buy, and which rows nothing beats at their price."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.board.rows import Board, BoardRow
from benchmark.report.columns import Section, sections
from benchmark.report.plot_style import (
    GREY,
    INK,
    TIERS,
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
)
from benchmark.report.tiers import as_printed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches.
_WIDTH, _TOP, _BOTTOM, _PANEL, _APART = 9.0, 0.95, 0.75, 3.6, 0.85
# Where a label may stand beside its mark, in points: the first place that is free is taken.
_PLACES = tuple((x, y) for y in (0, 10, -10, 20, -20, 30, -30, 40, -40, 50, -50) for x in (8, -8))


def cost_picture(board: Board, path: Path | str) -> None:
    """Draw mean test accuracy against the median seconds of a run, a panel for each section.

    Parameters
    ----------
    board : Board
        What is to be drawn.
    path : path-like
        Where the picture goes; ``.png`` or ``.svg``.

    Raises
    ------
    ValueError
        When the name ends in something else.

    Notes
    -----
    Rows that no other row beats in both are joined by a stair, which is the best mean that can be had for
    so many seconds. A row in both tiers, whose default has won its search, is drawn once. A hollow mark
    means that seeds are missing or too few for an interval. Smoke tests are not drawn.
    """
    board, _ = as_printed(board)
    shown = [row for row in board.rows if not row.watermark]
    parts = [part for part in sections(shown) if any(map(_drawable, part.rows))]
    height = _TOP + _BOTTOM + _PANEL + (_PANEL + _APART) * (max(len(parts), 1) - 1)
    fig = figure(_WIDTH, height, dpi=150)
    single = f" on {parts[0].title}" if len(parts) == 1 else ""
    heading(fig, f"Test accuracy and its cost{single}")
    subtitle(
        fig,
        f"Mean with {100 * board.level:g} % interval over seeds; the dashed line joins means and may be luck",
    )
    for number in range(max(len(parts), 1)):
        bottom = height - _TOP - _PANEL - number * (_PANEL + _APART)
        axes = fig.add_axes((0.8 / _WIDTH, bottom / height, 1 - 1.0 / _WIDTH, _PANEL / height))
        if parts:
            _panel(axes, parts[number], titled=len(parts) > 1)
        else:
            axes.set_axis_off()
            say(axes, "no row with an accuracy and a cost")
    devices = {row.device for part in parts for row in part.rows}
    notes = [smoke_left_out(board, shown)]
    if len(devices) > 1:
        notes.insert(0, f"Seconds are of different devices: {', '.join(sorted(devices))}")
    footnote(fig, ". ".join(filter(None, notes)))
    save(fig, path)


def _drawable(row: BoardRow) -> bool:
    return row.test_accuracy_mean is not None and row.train_seconds_median is not None


def _panel(axes: Axes, part: Section, *, titled: bool) -> None:
    style(axes)
    if titled:
        axes.set_title(part.title, loc="left", fontsize=9, color=GREY, parse_math=False)
    axes.set_ylabel("test accuracy (%)", fontsize=9)
    axes.set_xlabel("median seconds of a run (logarithmic)", fontsize=9)
    rows = [row for row in part.rows if _drawable(row)]
    for row in rows:
        _mark(axes, row)
    points = [(_seconds(row), 100 * (row.test_accuracy_mean or 0)) for row in rows]
    log_seconds(axes, [x for x, _ in points])
    axes.margins(y=0.12)
    _front(axes, points)
    axes.autoscale(enable=False)
    _labels(
        axes, points, [short(row.model, 22) + (" (both tiers)" if "+" in row.tier else "") for row in rows]
    )
    _legend(axes, rows)


def _seconds(row: BoardRow) -> float:
    return max(row.train_seconds_median or 0, 1e-3)  # a logarithm needs something


def _mark(axes: Axes, row: BoardRow) -> None:
    color, marker = TIERS.get(row.tier, TIERS["tuned"])
    x, mean = _seconds(row), 100 * (row.test_accuracy_mean or 0)
    low, high = row.test_accuracy_ci_low, row.test_accuracy_ci_high
    if low is not None and high is not None:
        axes.plot([x, x], [100 * low, 100 * high], color=color, linewidth=1.6, alpha=0.55)
    face = color if row.complete and low is not None else "white"
    axes.plot([x], [mean], marker, color=color, markersize=6.5, markerfacecolor=face, zorder=5)


def _front(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    """Join the points that no other beats in both: each is better than all that cost as much or less."""
    best: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or y > best[-1][1]:
            best.append((x, y))
    right = axes.get_xlim()[1]
    xs, ys = [*(x for x, _ in best), right], [*(y for _, y in best), best[-1][1]]
    axes.plot(xs, ys, drawstyle="steps-post", color=GREY, linewidth=1.1, linestyle=(0, (4, 2)), zorder=1)


def _labels(axes: Axes, points: Sequence[tuple[float, float]], names: Sequence[str]) -> None:
    """Write the names beside the marks where they hide neither a mark nor another name."""
    from matplotlib.transforms import Bbox

    canvas: Any = axes.figure.canvas  # of Agg, also where an SVG is going to be written
    renderer = canvas.get_renderer()
    inside = axes.get_window_extent(renderer)
    reach = 5 * axes.figure.get_figure(root=True).dpi / 72
    centres = [axes.transData.transform(point) for point in points]
    taken = [Bbox.from_extents(x - reach, y - reach, x + reach, y + reach) for x, y in centres]
    halo = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.4}
    for point, name in zip(points, names, strict=True):
        label = axes.annotate(
            name, point, xytext=_PLACES[0], textcoords="offset points", va="center", fontsize=8, color=INK,
            parse_math=False, bbox=halo, zorder=4,
        )  # fmt: skip
        for place in (*_PLACES, _PLACES[0]):
            label.set_position(place)
            label.set_horizontalalignment("left" if place[0] > 0 else "right")
            box = label.get_window_extent(renderer)
            if inside.x0 <= box.x0 and box.x1 <= inside.x1 and not any(map(box.overlaps, taken)):
                break
        taken.append(box)
        if abs(label.get_position()[1]) > 10:
            axes.annotate(
                "", point, xytext=label.get_position(), textcoords="offset points", zorder=3,
                arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3},
            )  # fmt: skip


def _legend(axes: Axes, rows: Sequence[BoardRow]) -> None:
    from matplotlib.lines import Line2D

    tiers = [tier for tier in TIERS if any(row.tier == tier for row in rows)]
    marks = [
        Line2D([], [], ls="", marker=TIERS[tier][1], color=TIERS[tier][0], markersize=6.5, label=tier)
        for tier in tiers
    ]
    if any(not row.complete or row.test_accuracy_ci_low is None for row in rows):
        hollow = Line2D([], [], ls="", marker="o", color=GREY, mfc="white", label="seeds missing or too few")
        marks.append(hollow)
    marks.append(Line2D([], [], color=GREY, lw=1.1, ls=(0, (4, 2)), label="none is faster and better"))
    axes.legend(
        handles=marks, loc="lower right", bbox_to_anchor=(1, 1), ncols=4, frameon=False, fontsize=8,
        labelcolor=INK, handletextpad=0.4, columnspacing=1.2, borderaxespad=0.3, borderpad=0,
    )  # fmt: skip
