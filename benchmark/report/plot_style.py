"""What the plots share: colours, axes, and writing a file."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart with every common colour vision.
BLUE, ORANGE = "#0072B2", "#D55E00"
INK, GREY, PALE = "#1F2933", "#6B7280", "#E5E7EB"


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


def whole_ticks(axes: Axes) -> None:
    """Number epochs and trials by whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))


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
    """Write a PNG under a temporary name and rename it, so that no reader sees half of one."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        fig.savefig(temporary, format="png", metadata={"Software": None})
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
