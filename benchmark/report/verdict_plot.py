"""A verdict as a picture: one difference with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.board.ranking import scale_of
from benchmark.metrics.metric import get_metric
from benchmark.report import plot_style as style
from benchmark.report.verdict import Compared, ComparedByExample

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def difference_figure(compared: Compared | ComparedByExample) -> Figure:
    """Draw the difference of two rows with its interval, around 0, and the margin as a band."""
    found = compared.comparison if isinstance(compared, Compared) else compared
    margin = compared.comparison.margin if isinstance(compared, Compared) else None
    scale = scale_of(get_metric(compared.a.metric))
    factor = 100 if scale.percent else 1
    low, middle, high = (
        factor * value for value in (found.interval.low, found.difference, found.interval.high)
    )
    fig = style.figure(7.5, 2.0, f"{compared.a.name} less {compared.b.name}", compared.sentence, dpi=150)
    axes = fig.add_axes((0.06, 0.32, 0.88, 0.34))
    style.plain_axes(axes)
    if margin:
        axes.axvspan(-factor * margin, factor * margin, color=style.PALE)
    axes.axvline(0, color=style.GREY, linewidth=0.8)
    axes.plot([low, high], [0, 0], color=style.INK, linewidth=2)
    axes.plot([middle], [0], "o", color=style.INK)
    axes.set_yticks([])
    unit = "points" if scale.percent else compared.a.metric
    axes.set_xlabel(f"difference in {unit}, with its {100 * found.interval.level:.4g} % interval", fontsize=9)
    return fig
