"""Size curves as a picture: a line and its band for each model, over the number of training texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.board.ranking import LEVEL
from benchmark.board.size_curves import SizeCurves
from benchmark.report import plot_style as style
from benchmark.report.size_curves import title_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _LEFT, _RIGHT, _TOP = 9.0, 0.8, 2.0, 0.85  # inches
_APART = 0.06  # of the height: between two names
_MARKS = "osD^v"


def size_curves_figure(curves: SizeCurves) -> Figure:
    """Draw the mean of each model with its interval; a hollow mark has missing draws, or too few of them."""
    subtitle = f"Mean over draws of the training texts, with {100 * LEVEL:g} % intervals on this test split"
    fig, (bottom,) = style.panels_figure(_WIDTH, _TOP, 1, title_of(curves), subtitle)
    axes = style.add_panel(fig, _LEFT, bottom, _WIDTH - _LEFT - _RIGHT)
    style.plain_axes(axes)
    ends: list[tuple[float, str, str]] = []
    for number, model in enumerate(curves.models):
        color, factor = style.LINES[number % len(style.LINES)], curves.metric.factor
        rows = {
            n: row for (name, n), row in curves.points.items() if name == model and row.test_mean is not None
        }
        if not rows:
            continue
        low, mean, high = (
            factor * style.drawable([getattr(row, f"test_{name}") for row in rows.values()])
            for name in ("ci_low", "mean", "ci_high")
        )
        axes.fill_between(list(rows), low, high, color=color, alpha=0.14, linewidth=0)
        axes.plot(list(rows), mean, color=color, linewidth=1.8)
        mark = _MARKS[number // len(style.LINES) % len(_MARKS)]
        faces = ["white" if style.hollow(row) else color for row in rows.values()]
        axes.scatter(list(rows), mean, s=26, marker=mark, c=faces, edgecolors=color, zorder=5)
        ends.append((float(mean[-1]), model, color))
    axes.set_xscale("log")
    axes.set_xticks(curves.sizes, [f"{texts:,}" for texts in curves.sizes])
    axes.minorticks_off()
    axes.set_xlabel("training texts (logarithmic)", fontsize=9)
    axes.set_ylabel(f"test {curves.metric.label}", fontsize=9)
    at = -1.0
    for value, model, color in sorted(ends):
        place = axes.transAxes.inverted().transform(axes.transData.transform((curves.sizes[-1], value)))[1]
        at = max(at + _APART, float(place))
        axes.text(
            1.02, at, style.short(model, 22), transform=axes.transAxes, color=color, fontsize=9, va="center",
            parse_math=False,
        )  # fmt: skip
    return fig
