"""The board as pictures: a dot plot of its rows, and their accuracy against cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.board.ranking import as_printed
from benchmark.board.rows import Board, BoardRow
from benchmark.metrics.metric import get_metric
from benchmark.report import plot_style as style
from benchmark.report.columns import EMPTY, Section, rank, score, sections, seeds
from benchmark.report.plot_style import GREY, INK, ORANGE, PALE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

_BAND = "#F3F5F8"
# Inches.
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM, _LINE = 9.0, 2.5, 2.25, 1.0, 0.6, 0.36
_AXES = _WIDTH - _LEFT - _RIGHT
# Where a label may stand beside its mark, in points: the first place that is free is taken.
_PLACES = tuple((x, y) for y in (0, 10, -10, 20, -20, 30, -30, 40, -40, 50, -50) for x in (8, -8))

_COSTS = {
    "train_seconds_median": "median seconds of a run",
    "predict_ms": "milliseconds to predict a text, one by one",
}


def board_picture(board: Board, path: Path | str) -> None:
    """Write the picture of a board, `board_figure`, to a file.

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
    """
    style.save(board_figure(board), path)


def board_figure(board: Board) -> Figure:
    """Draw the board: one line for each row, the best at the top.

    Notes
    -----
    Small dots are the seeds. A hollow mark means that seeds are missing or too few for an interval.
    Smoke tests are left out and counted below; where there is nothing else they are drawn in grey, under
    their watermark.
    """
    board = as_printed(board)
    shown = [row for row in board.rows if not row.watermark] or list(board.rows)
    parts = sections(shown)
    lines = max(len(shown) + (len(parts) if len(parts) > 1 else 0), 2)
    title = f"Test accuracy on {parts[0].title}" if len(parts) == 1 else "Test accuracy"
    subtitle = f"Mean over seeds with {100 * board.level:g} % interval for other seeds on this test set"
    if any(row.folds for row in board.rows):
        subtitle = (
            f"Mean over folds with {100 * board.level:g} % interval for other data of this kind (heuristic)"
        )
    height = _TOP + _BOTTOM + _LINE * lines
    fig = style.figure(_WIDTH, height, title, subtitle, dpi=150)
    axes = fig.add_axes((_LEFT / _WIDTH, _BOTTOM / height, _AXES / _WIDTH, 1 - (_TOP + _BOTTOM) / height))
    if shown:
        _draw_sections(axes, parts, lines)
        _board_legend(axes, shown, 1 + 0.08 / (height - _TOP - _BOTTOM))
    else:
        style.say_alone(axes, EMPTY)
    style.footnote(fig, board, shown)
    return fig


def _draw_sections(axes: Axes, parts: Sequence[Section], lines: int) -> None:
    style.plain_axes(axes)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(lines - 0.5, -0.5)
    axes.set_yticks([])
    metrics = dict.fromkeys(get_metric(row.metric).label for part in parts for row in part.rows)
    axes.set_xlabel(f"test {' or '.join(metrics)}", fontsize=9)
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
        for row in part.rows:
            # A band across the whole picture makes the rows that nothing is shown to beat read as one group.
            if row.rank == 1:
                axes.axhspan(
                    *(line - 0.5, line + 0.5, _at(0), _at(_WIDTH)), color=_BAND, clip_on=False, zorder=0, lw=0
                )
            _draw_row(axes, line, row)
            _write_row(axes, line, row, rank(row), place)
            line += 1
    axes.margins(x=0.05)


def _draw_row(axes: Axes, line: int, row: BoardRow) -> None:
    color, marker = style.tier_style(row)
    color = GREY if row.watermark else color
    mean, low, high = row.test_mean, row.test_ci_low, row.test_ci_high
    factor = get_metric(row.metric).factor
    # Seeds stand a little lower, where neither the mark nor the interval hides them.
    axes.plot(
        *([factor * value for value in row.test_values], [line + 0.3] * len(row.test_values), "o"),
        color=color, markersize=3.4, alpha=0.55, markeredgewidth=0,
    )  # fmt: skip
    if low is not None and high is not None:
        axes.plot(
            [factor * low, factor * high], [line, line], color=color, linewidth=2.2, solid_capstyle="butt"
        )
    if mean is not None:
        face = "white" if style.hollow(row) else color
        axes.plot([factor * mean], [line], marker, color=color, markersize=7, markerfacecolor=face, zorder=5)


def _write_row(axes: Axes, line: int, row: BoardRow, rank_text: str, place: Transform) -> None:
    def write(inches: float, text: str, color: str, size: float = 9, align: str = "left") -> None:
        axes.text(
            _at(inches), line, text, transform=place, va="center", ha=align, fontsize=size, color=color,
            parse_math=False,
        )  # fmt: skip

    write(0.42, "" if row.rank is None else rank_text, GREY, align="right")
    write(0.55, style.short(row.model, 18), INK)
    tier = "both" if "+" in row.tier else row.tier
    write(_LEFT - 0.1, tier, style.tier_style(row)[0], size=8.5, align="right")
    result = "withheld" if row.run_ids else "no seed finished"
    result = score(row) if row.test_mean is not None else result
    write(_WIDTH - _RIGHT + 0.12, row.watermark or result, ORANGE if row.watermark else INK)
    if not row.watermark:
        write(_WIDTH - 0.1, f"n = {seeds(row)}", GREY, size=8, align="right")


def _at(inches: float) -> float:
    """Turn inches from the left edge of the picture into a share of the axes' width."""
    return (inches - _LEFT) / _AXES


def _board_legend(axes: Axes, rows: Sequence[BoardRow], y: float) -> None:
    marks = style.tier_marks(rows, 7)
    if any(style.hollow(row) for row in rows if row.test_mean is not None):
        marks.append(style.mark("seeds missing or too few", "o", GREY, 7, "white"))
    if any(row.test_values for row in rows):
        marks.append(style.mark("one seed", "o", PALE, 4, "#9CA3AF"))
    style.legend(
        axes, marks, loc="lower left", bbox_to_anchor=(0, y), ncols=4, handletextpad=0.2, columnspacing=1.2,
        borderpad=0,
    )  # fmt: skip


def cost_picture(board: Board, path: Path | str) -> None:
    """Draw the mean on the test split against what a run and a prediction take, a panel for each section.

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
    Rows that no other row beats in both are joined by a stair, which is the best mean that is available for
    so many seconds. A row in both tiers, whose default has won its search, is drawn once. A hollow mark
    means that seeds are missing or too few for an interval. Smoke tests are not drawn.
    """
    board = as_printed(board)
    shown = [row for row in board.rows if not row.watermark]
    parts = [
        (part, cost)
        for part in sections(shown)
        for cost in _COSTS
        if any(_cost(row, cost) is not None for row in part.rows)
    ]
    titles = list(dict.fromkeys(part.title for part, _ in parts))
    single = f" on {titles[0]}" if len(titles) == 1 else ""
    fig, bottoms = style.panels_figure(
        *(
            _WIDTH,
            0.95,
            max(len(parts), 1),
            f"Test {_titles([part for part, _ in parts])} and its cost{single}",
        ),
        f"Mean with {100 * board.level:g} % interval over seeds; the dashed line joins means and may be luck",
    )
    panels = [style.add_panel(fig, 0.8, bottom, _WIDTH - 1.0) for bottom in bottoms]
    for axes, (part, cost) in zip(panels, parts, strict=False):
        _draw_costs(axes, part, cost, titled=len(titles) > 1)
    if not parts:
        style.say_alone(panels[0], "no row with an accuracy and a cost")
    rows = [row for part, _ in parts for row in part.rows]
    unequal = ""
    for what in ("device", "machine"):
        if len(found := sorted({getattr(row, what) for row in rows} - {""})) > 1:
            unequal = f"Seconds are of different {what}s: {', '.join(found)}"
    style.footnote(fig, board, shown, unequal)
    style.save(fig, path)


def _titles(parts: Sequence[Section]) -> str:
    return (
        " or ".join(dict.fromkeys(get_metric(row.metric).title for part in parts for row in part.rows))
        or "metric"
    )


def _cost(row: BoardRow, cost: str) -> float | None:
    """Return what a row costs; None where it cannot be drawn. A logarithm needs something."""
    value: float | None = getattr(row, cost)
    return None if value is None or row.test_mean is None else max(value, 1e-3)


def _draw_costs(axes: Axes, part: Section, cost: str, *, titled: bool) -> None:
    style.plain_axes(axes, part.title if titled else "")
    metric = get_metric(part.rows[0].metric)
    axes.set_ylabel(f"test {metric.label}", fontsize=9)
    axes.set_xlabel(f"{_COSTS[cost]} (logarithmic)", fontsize=9)
    priced = [(row, price) for row in part.rows if (price := _cost(row, cost)) is not None]
    rows = [row for row, _ in priced]
    points = [(price, metric.factor * (row.test_mean or 0)) for row, price in priced]
    for row, (x, mean) in zip(rows, points, strict=True):
        color, marker = style.tier_style(row)
        low, high = row.test_ci_low, row.test_ci_high
        if low is not None and high is not None:
            axes.plot(
                [x, x], [metric.factor * low, metric.factor * high], color=color, linewidth=1.6, alpha=0.55
            )
        face = "white" if style.hollow(row) else color
        axes.plot([x], [mean], marker, color=color, markersize=6.5, markerfacecolor=face, zorder=5)
    style.log_seconds(axes, [x for x, _ in points])
    axes.margins(y=0.12)
    _draw_front(axes, points, metric.sign)
    axes.autoscale(enable=False)
    names = [style.short(row.model, 22) + (" (both tiers)" if "+" in row.tier else "") for row in rows]
    _draw_labels(axes, points, names)
    _cost_legend(axes, rows)


def _draw_front(axes: Axes, points: Sequence[tuple[float, float]], sign: int) -> None:
    """Join the points that no other beats in both: each is better than all that cost as much or less."""
    best: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -sign * point[1])):
        if not best or sign * y > sign * best[-1][1]:
            best.append((x, y))
    xs, ys = zip(*best, (axes.get_xlim()[1], best[-1][1]), strict=True)
    axes.plot(xs, ys, drawstyle="steps-post", color=GREY, linewidth=1.1, linestyle=(0, (4, 2)), zorder=1)


def _draw_labels(axes: Axes, points: Sequence[tuple[float, float]], names: Sequence[str]) -> None:
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


def _cost_legend(axes: Axes, rows: Sequence[BoardRow]) -> None:
    from matplotlib.lines import Line2D

    marks = style.tier_marks(rows, 6.5)
    if any(map(style.hollow, rows)):
        marks.append(style.mark("seeds missing or too few", "o", GREY, face="white"))
    marks.append(Line2D([], [], color=GREY, lw=1.1, ls=(0, (4, 2)), label="none is faster and better"))
    style.legend(
        axes, marks, loc="lower right", bbox_to_anchor=(1, 1), ncols=4, handletextpad=0.4, columnspacing=1.2,
        borderaxespad=0.3, borderpad=0,
    )  # fmt: skip
