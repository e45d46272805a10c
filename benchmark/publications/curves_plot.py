"""Curves of a published configuration as the tutorials plot them, with all of its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.report.plot_style import BLUE, GREY, curves_figure, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def reproduction_png(
    histories: Sequence[Mapping[str, Sequence[float]]], path: Path | str, title: str
) -> None:
    """Draw loss and accuracy by epoch, for training and validation.

    Parameters
    ----------
    histories : sequence of mapping of str to sequence of float
        One of each seed: ``loss``, ``val_loss``, ``accuracy`` (shares in [0, 1]) and ``val_accuracy``,
        each with a value for each epoch. Several are thin lines around their mean.
    path : path-like
        Where the PNG goes.
    title : str
        Shown as it is.
    """

    def draw(axes: Axes, name: str, scale: float) -> None:
        for own, word, color, dashes in (
            (name, "training", GREY, (4, 2)),
            (f"val_{name}", "validation", BLUE, (1, 0)),
        ):
            curves = [scale * drawable(history.get(own, ())) for history in histories]
            _lines(axes, curves, word, color, dashes)

    curves_figure(path, title, draw)


def _lines(axes: Axes, curves: list[np.ndarray], word: str, color: str, dashes: tuple[float, float]) -> None:
    """Draw the curves of all seeds thin, and their mean as far as all of them reach."""
    curves = [curve for curve in curves if np.isfinite(curve).any()]
    if not curves:
        return
    if len(curves) > 1:
        for curve in curves:
            axes.plot(np.arange(1, len(curve) + 1), curve, color=color, linewidth=0.6, alpha=0.45)
        word = f"{word}, mean of {len(curves)} seeds"
    mean = np.mean([curve[: min(map(len, curves))] for curve in curves], axis=0)
    epochs = np.arange(1, len(mean) + 1)
    axes.plot(epochs, mean, color=color, dashes=dashes, label=word, marker="o", markersize=2.5, linewidth=1.6)
