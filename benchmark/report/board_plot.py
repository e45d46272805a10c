"""The board as a dot plot: mean, interval and seeds of each row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.board.rows import Board, BoardRow
from benchmark.report.columns import EMPTY, Section, accuracy, rank, sections, seeds, shared
from benchmark.report.plot_style import (
    GREY,
    INK,
    ORANGE,
    PALE,
    TIERS,
    figure,
    footnote,
    heading,
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
    from matplotlib.transforms import Transform

_BAND = "#F3F5F8"
# Inches.
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM, _LINE = 9.0, 2.5, 2.25, 1.0, 0.6, 0.36
_AXES = _WIDTH - _LEFT - _RIGHT


def board_picture(board: Board, path: Path | str) -> None:
    """Draw the board: one line for each row, the best at the top.

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
    Small dots are the seeds. A hollow mark means that seeds are missing or too few for an interval.
    Smoke tests are left out and counted below; where there is nothing else they are drawn in grey, under
    their watermark.
    """
    board, _ = as_printed(board)
    shown = [row for row in board.rows if not row.watermark] or list(board.rows)
    parts = sections(shown)
    lines = len(shown) + (len(parts) if len(parts) > 1 else 0)
    height = _TOP + _BOTTOM + _LINE * max(lines, 2)
    fig = figure(_WIDTH, height, dpi=150)
    axes = fig.add_axes((_LEFT / _WIDTH, _BOTTOM / height, _AXES / _WIDTH, 1 - (_TOP + _BOTTOM) / height))
    heading(fig, f"Test accuracy on {parts[0].title}" if len(parts) == 1 else "Test accuracy")
    subtitle(
        fig,
        f"Mean over seeds with {100 * board.level:g} % interval for other seeds on this test set",
    )
    if shown:
        _sections(axes, parts, max(lines, 2))
        _legend(axes, shown, 1 + 0.08 / (height - _TOP - _BOTTOM))
    else:
        axes.set_axis_off()
        say(axes, EMPTY)
    footnote(fig, smoke_left_out(board, shown))
    save(fig, path)


def _sections(axes: Axes, parts: Sequence[Section], lines: int) -> None:
    style(axes)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(lines - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xlabel("test accuracy (%)", fontsize=9)
    place = axes.get_yaxis_transform()
    line = 0
    for part in parts:
        if len(parts) > 1:
            # The white ground keeps the grid out of the words.
            axes.text(
                *(_at(0.12), line + 0.1, part.title), transform=place, va="center", fontsize=9, color=GREY,
                parse_math=False, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )  # fmt: skip
            line += 1
        ranks = sorted({row.rank for row in part.rows if row.rank is not None})
        for row in part.rows:
            # Bands across the whole picture make the rows of one rank read as one group.
            if row.rank is not None and ranks.index(row.rank) % 2 == 0:
                axes.axhspan(
                    *(line - 0.5, line + 0.5, _at(0), _at(_WIDTH)), color=_BAND, clip_on=False, zorder=0, lw=0
                )
            _marks(axes, line, row)
            _texts(axes, line, row, rank(row, shared(part.rows)), place)
            line += 1
    axes.margins(x=0.05)


def _marks(axes: Axes, line: int, row: BoardRow) -> None:
    color, marker = TIERS.get(row.tier, TIERS["tuned"])
    color = GREY if row.watermark else color
    mean, low, high = row.test_accuracy_mean, row.test_accuracy_ci_low, row.test_accuracy_ci_high
    # Seeds stand a little lower, where neither the mark nor the interval hides them.
    axes.plot(
        *([100 * value for value in row.test_accuracies], [line + 0.3] * len(row.test_accuracies), "o"),
        color=color, markersize=3.4, alpha=0.55, markeredgewidth=0,
    )  # fmt: skip
    if low is not None and high is not None:
        axes.plot([100 * low, 100 * high], [line, line], color=color, linewidth=2.2, solid_capstyle="butt")
    if mean is not None:
        face = color if row.complete and low is not None else "white"
        axes.plot([100 * mean], [line], marker, color=color, markersize=7, markerfacecolor=face, zorder=5)


def _texts(axes: Axes, line: int, row: BoardRow, place_text: str, place: Transform) -> None:
    def write(inches: float, text: str, color: str, size: float = 9, align: str = "left") -> None:
        axes.text(
            _at(inches), line, text, transform=place, va="center", ha=align, fontsize=size, color=color,
            parse_math=False,
        )  # fmt: skip

    write(0.42, "" if row.rank is None else place_text, GREY, align="right")
    write(0.55, short(row.model, 18), INK)
    tier = "both" if "+" in row.tier else row.tier
    write(_LEFT - 0.1, tier, TIERS.get(row.tier, TIERS["tuned"])[0], size=8.5, align="right")
    result = "withheld" if row.run_ids else "no seed finished"
    result = accuracy(row) if row.test_accuracy_mean is not None else result
    write(_WIDTH - _RIGHT + 0.12, row.watermark or result, ORANGE if row.watermark else INK)
    if not row.watermark:
        write(_WIDTH - 0.1, f"n = {seeds(row)}", GREY, size=8, align="right")


def _at(inches: float) -> float:
    """Turn inches from the left edge of the picture into a share of the axes' width."""
    return (inches - _LEFT) / _AXES


def _legend(axes: Axes, rows: Sequence[BoardRow], y: float) -> None:
    from matplotlib.lines import Line2D

    def mark(label: str, marker: str, color: str, face: str, size: float = 7) -> Line2D:
        return Line2D([], [], ls="", marker=marker, color=color, mfc=face, markersize=size, label=label)

    tiers = [tier for tier in TIERS if any(row.tier == tier and not row.watermark for row in rows)]
    marks = [mark(tier, TIERS[tier][1], TIERS[tier][0], TIERS[tier][0]) for tier in tiers]
    drawn = [row for row in rows if row.test_accuracy_mean is not None]
    if any(not row.complete or row.test_accuracy_ci_low is None for row in drawn):
        marks.append(mark("seeds missing or too few", "o", GREY, "white"))
    if any(row.test_accuracies for row in rows):
        marks.append(mark("one seed", "o", PALE, "#9CA3AF", 4))
    axes.legend(
        handles=marks, loc="lower left", bbox_to_anchor=(0, y), ncols=4, frameon=False, fontsize=8,
        labelcolor=INK, handletextpad=0.2, columnspacing=1.2, borderaxespad=0, borderpad=0,
    )  # fmt: skip
