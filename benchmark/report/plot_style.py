"""What the plots share: colours, axes, legends, and writing a PNG or SVG."""

from __future__ import annotations

import io
import logging
import math
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.support.files import written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from benchmark.board.rows import Board, BoardRow

# Okabe and Ito's palette: distinct with every common colour vision.
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
INK, GREY, PALE = "#1F2933", "#6B7280", "#E5E7EB"
LINES = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", INK)
TIERS = {"default": (ORANGE, "s"), "tuned": (BLUE, "o"), "default+tuned": (GREEN, "D")}
"""Colour and mark of each tier."""

_MANY_SCRIPTS = (
    *("Noto Sans", "Arial Unicode", "Segoe UI", "Microsoft YaHei", "SimHei", "PingFang", "Hiragino"),
    *("WenQuanYi", "Source Han Sans", "Droid Sans Fallback", "Malgun Gothic", "Unifont"),
)
FORMATS = (".png", ".svg")
"""How a picture's file name may end."""

# Inches: the height of a panel, the room between two, and that below the last.
_PANEL, _APART, _BOTTOM = 3.6, 0.85, 0.75

_svg_lock = threading.Lock()


def figure(width: float, height: float, title: str, subtitle: str = "", *, dpi: int = 100) -> Figure:
    """Make a figure without pyplot: no global state, so any thread may draw.

    Parameters
    ----------
    width, height : float
        In inches.
    title : str
        Written at the upper left, where it is not empty; a dollar sign is not mathematics.
    subtitle : str
        What the picture shows, below its title.
    dpi : int
        Pixels of an inch.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A figure that a notebook shows although pyplot does not know it."""

        def _repr_png_(self) -> bytes:
            stream = io.BytesIO()
            self.savefig(stream, format="png", dpi=min(dpi, 100))
            return stream.getvalue()

    fig = Picture(figsize=(width, height), dpi=dpi, facecolor="white")
    FigureCanvasAgg(fig)
    if title:
        heading: dict[str, Any] = {"fontsize": 12, "fontweight": "bold", "color": INK, "parse_math": False}
        fig.text(0.012, 1 - 0.12 / height, short(title, 110), va="top", **heading)
    if subtitle:
        fig.text(0.012, 1 - 0.4 / height, subtitle, va="top", fontsize=9, color=GREY)
    return fig


def panels_figure(
    width: float, top: float, count: int, title: str, subtitle: str
) -> tuple[Figure, list[float]]:
    """Make a figure with room for panels below each other; return it and the bottom of each, in inches."""
    height = top + _BOTTOM + _PANEL + (_PANEL + _APART) * (count - 1)
    bottoms = [height - top - _PANEL - number * (_PANEL + _APART) for number in range(count)]
    return figure(width, height, title, subtitle, dpi=150), bottoms


def add_panel(fig: Figure, left: float, bottom: float, width: float, height: float = _PANEL) -> Axes:
    """Add axes to a figure, by their place in inches."""
    across, up = fig.get_figwidth(), fig.get_figheight()
    return fig.add_axes((left / across, bottom / up, width / across, height / up))


def plain_axes(axes: Axes, title: str = "") -> None:
    """Leave of the frame only the two sides with numbers, with a pale grid behind, and add a title."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(PALE)
    axes.grid(color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=GREY, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    if title:
        axes.set_title(title, loc="left", fontsize=9, color=GREY, parse_math=False)


def say(axes: Axes, text: str) -> None:
    """Write one line where there is nothing to draw."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)


def say_alone(axes: Axes, text: str) -> None:
    """Write one line in place of the axes."""
    axes.set_axis_off()
    say(axes, text)


def footnote(fig: Figure, board: Board, shown: Sequence[BoardRow], *notes: str) -> None:
    """Write notes at the lower left, and how many smoke tests are not among the rows that are drawn."""
    count = len(board.rows) - len(shown)
    smoke = f"Smoke tests, not results, not drawn: {count}" if count else ""
    text = ". ".join(filter(None, (*notes, smoke)))
    fig.text(0.012, 0.1 / fig.get_figheight(), text, fontsize=8, color=GREY)


def tier_style(row: BoardRow) -> tuple[str, str]:
    """Return colour and mark of a row's tier."""
    return TIERS.get(row.tier, TIERS["tuned"])


def hollow(row: BoardRow) -> bool:
    """Whether seeds are missing or too few for an interval."""
    return not row.complete or row.test_ci_low is None


def mark(label: str, marker: str, color: str, size: float = 6, face: str | None = None) -> Line2D:
    """Make a mark for a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], ls="", marker=marker, color=color, mfc=face or color, markersize=size, label=label)


def tier_marks(rows: Sequence[BoardRow], size: float) -> list[Line2D]:
    """Make the marks of the tiers that are among some rows, for a legend."""
    there = {row.tier for row in rows if not row.watermark}
    return [mark(tier, marker, color, size) for tier, (color, marker) in TIERS.items() if tier in there]


def legend(axes: Axes, marks: Sequence[Line2D], **layout: Any) -> None:
    """Add a legend without a frame; a dollar sign in it is not mathematics."""
    found = axes.legend(
        handles=marks, frameon=False, fontsize=8, labelcolor=INK, **{"borderaxespad": 0, **layout}
    )
    for text in found.get_texts():
        text.set_parse_math(False)


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


def drawable(values: Sequence[float | None]) -> np.ndarray:
    """Return floats with NaN for what cannot be drawn; MLflow stores infinity as the greatest float."""
    array = np.array(values, dtype=np.float64)
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
    import matplotlib

    target = Path(path)
    if target.suffix not in FORMATS:
        raise ValueError(
            f"{target}: got a picture that ends in '{target.suffix}', expected {' or '.join(FORMATS)}"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    _find_fonts(fig)
    with written_whole(target) as temporary:
        if target.suffix == ".png":
            fig.savefig(temporary, format="png", metadata={"Software": None})
            return
        # Names inside an SVG come from random numbers unless a global setting says otherwise.
        with _svg_lock, matplotlib.rc_context({"svg.hashsalt": "textbench"}):
            fig.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})


def _find_fonts(fig: Figure) -> None:
    """Draw letters that Matplotlib's own font lacks, as in Chinese names, by others that are installed."""
    from matplotlib.font_manager import fontManager
    from matplotlib.text import Text

    texts = [text for text in fig.findobj(Text) if not text.get_text().isascii()]
    if texts:
        # Where none is installed for a script, a box is what can be drawn, without a line for each letter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # such fonts may not be bold
        known = sorted({font.name for font in fontManager.ttflist if font.name.startswith(_MANY_SCRIPTS)})
        for text in texts:
            text.set_fontfamily(["DejaVu Sans", *known])
