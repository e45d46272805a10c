"""What the plots share: colours, axes, and writing a PNG or SVG."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.support.files import written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmark.board.rows import Board, BoardRow

# Okabe and Ito's palette: told apart with every common colour vision.
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
INK, GREY, PALE = "#1F2933", "#6B7280", "#E5E7EB"
LINES = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", INK)
TIERS = {"default": (ORANGE, "s"), "tuned": (BLUE, "o"), "default+tuned": (GREEN, "D")}
"""Colour and mark of each tier."""

FORMATS = (".png", ".svg")
"""How a picture's file name may end."""

_svg_lock = threading.Lock()


def figure(width: float, height: float, dpi: int = 100) -> Figure:
    """Make a figure without pyplot: no global state, so any thread may draw."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height), dpi=dpi, facecolor="white")
    FigureCanvasAgg(fig)
    return fig


def style(axes: Axes) -> None:
    """Quiet axes: no frame but the two sides with numbers, a pale grid behind."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(PALE)
    axes.grid(color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=GREY, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)


def heading(fig: Figure, text: str) -> None:
    """Write a title at the upper left; a dollar sign is not mathematics."""
    top = 1 - 0.12 / fig.get_figheight()
    fig.text(
        *(0.012, top, short(text, 110)), va="top", fontsize=12, fontweight="bold", color=INK, parse_math=False
    )


def subtitle(fig: Figure, text: str) -> None:
    """Write what the picture shows below its title."""
    fig.text(0.012, 1 - 0.4 / fig.get_figheight(), text, va="top", fontsize=9, color=GREY)


def footnote(fig: Figure, text: str) -> None:
    """Write what is to be known at the lower left."""
    fig.text(0.012, 0.1 / fig.get_figheight(), text, fontsize=8, color=GREY)


def smoke_left_out(board: Board, shown: Sequence[BoardRow]) -> str:
    """Say how many smoke tests are not among the rows that are drawn."""
    count = len(board.rows) - len(shown)
    return f"Smoke tests, not results, not drawn: {count}" if count else ""


def curves_figure(path: Path | str, title: str, draw: Callable[[Axes, str, float], None]) -> None:
    """Draw loss and accuracy by epoch side by side: `draw` gets the axes, the name and the scale of each."""
    fig = figure(9, 3.6)
    fig.subplots_adjust(left=0.075, right=0.985, top=0.82, bottom=0.15, wspace=0.2)
    heading(fig, title)
    panels = (("loss", "loss", 1.0), ("accuracy", "accuracy (%)", 100.0))
    for axes, (name, label, scale) in zip(fig.subplots(1, 2), panels, strict=True):
        style(axes)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        draw(axes, name, scale)
        whole_ticks(axes)
        if axes.lines:
            axes.legend(frameon=False, fontsize=8)
        else:
            say(axes, "nothing recorded")
    save(fig, path)


def whole_ticks(axes: Axes) -> None:
    """Number epochs and trials by whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))


def log_seconds(axes: Axes, seconds: Sequence[float]) -> None:
    """Put seconds on a logarithmic axis with plain numbers, and room on both sides."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.set_xlim(min(seconds) / 1.5, max(seconds) * 1.5)
    decades = math.log10(max(seconds) / min(seconds))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 3 else (1,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def say(axes: Axes, text: str) -> None:
    """Write one line where there is nothing to draw."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)


def drawable(values: Sequence[float | None]) -> np.ndarray:
    """Return floats with NaN for what cannot be drawn; MLflow stores infinity as the greatest float."""
    array = np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    return np.where(np.abs(array) < 1e30, array, math.nan)


def short(text: str, limit: int = 24) -> str:
    """Cut a long name."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def save(fig: Figure, path: Path | str) -> None:
    """Write a PNG or SVG, as the name ends, with the same bytes each time.

    It is written under a temporary name and renamed, so that no reader sees half of one.

    Raises
    ------
    ValueError
        When the name ends in something else.
    """
    target = Path(path)
    if target.suffix not in FORMATS:
        raise ValueError(
            f"{target}: got a picture that ends in '{target.suffix}', expected {' or '.join(FORMATS)}"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(target) as temporary:
        if target.suffix == ".svg":
            _save_svg(fig, temporary)
        else:
            fig.savefig(temporary, format="png", metadata={"Software": None})


def _save_svg(fig: Figure, path: Path) -> None:
    import matplotlib

    # Names inside an SVG come from random numbers unless a global setting says otherwise.
    with _svg_lock, matplotlib.rc_context({"svg.hashsalt": "textbench"}):
        fig.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
