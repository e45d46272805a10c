"""Pictures of runs as PNG files: curves, a confusion matrix, a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.metrics.metric import Metric
from benchmark.metrics.of_answers import ACCURACY
from benchmark.report import plot_style as style
from benchmark.report.plot_style import BLUE, GREY, INK, ORANGE, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CELLS_WITH_TEXT = 15
_CELLS_WITH_NUMBERS = 30
_SHARE_WITH_NUMBER = 0.015  # less is read from the colour


def curves_png(
    histories: Sequence[Mapping[str, Sequence[float]]],
    path: Path | str,
    title: str,
    *,
    best_epoch: int | None = None,
) -> None:
    """Draw loss and accuracy by epoch side by side, for training and validation.

    Parameters
    ----------
    histories : sequence of mapping of str to sequence of float
        One of each run: ``loss``, ``val_loss``, ``accuracy`` (shares in [0, 1]) and ``val_accuracy``, each
        with a value for each epoch; absent and not finite ones are not drawn. Several are thin lines around
        their mean.
    path : path-like
        Where the PNG goes.
    title : str
        Shown as it is.
    best_epoch : int, optional
        Epoch whose weights were restored, counted from 1, of a single run.
    """
    fig = style.figure(9, 3.6, title)
    fig.subplots_adjust(left=0.075, right=0.985, top=0.82, bottom=0.15, wspace=0.2)
    panels = (("loss", "loss", 1.0), ("accuracy", "accuracy (%)", 100.0))
    for axes, (name, label, scale) in zip(fig.subplots(1, 2), panels, strict=True):
        style.plain_axes(axes)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        training, validation = (
            [scale * drawable(history.get(one, ())) for history in histories] for one in (name, f"val_{name}")
        )
        _draw_lines(axes, training, "training", color=GREY, dashes=(4, 2))
        _draw_lines(axes, validation, "validation", color=BLUE, dashes=(1, 0))
        if best_epoch is not None:
            _mark_best(axes, best_epoch, validation[0])
        style.whole_ticks(axes)
        if axes.lines:
            axes.legend(frameon=False, fontsize=8)
        else:
            style.say(axes, "nothing recorded")
    style.save(fig, path)


def _draw_lines(
    axes: Axes, curves: Sequence[np.ndarray], label: str, color: str, dashes: tuple[float, float]
) -> None:
    """Draw the curves of all runs thin, and their mean as far as all of them reach."""
    curves = [curve for curve in curves if np.isfinite(curve).any()]
    if not curves:
        return
    if len(curves) > 1:
        for curve in curves:
            axes.plot(np.arange(1, len(curve) + 1), curve, color=color, linewidth=0.6, alpha=0.45)
        label = f"{label}, mean of {len(curves)} seeds"
    mean = np.mean([curve[: min(map(len, curves))] for curve in curves], axis=0)
    size = 3 if len(curves) == 1 else 2.5
    axes.plot(
        *(np.arange(1, len(mean) + 1), mean), color=color, dashes=dashes, label=label, marker="o",
        markersize=size, linewidth=1.6,
    )  # fmt: skip


def _mark_best(axes: Axes, best_epoch: int, validation: np.ndarray) -> None:
    if not 1 <= best_epoch <= len(validation):
        return
    value = validation[best_epoch - 1]
    if np.isfinite(value):
        axes.axvline(best_epoch, color=ORANGE, linewidth=1, linestyle=":")
        label = f"best epoch: {best_epoch}"
        axes.plot([best_epoch], [value], "o", color=ORANGE, markersize=7, label=label, zorder=5)


def confusion_png(counts: np.ndarray, class_names: Sequence[str], path: Path | str) -> None:
    """Draw a confusion matrix.

    Parameters
    ----------
    counts : ndarray of int, shape (C, C)
        ``counts[i, j]`` examples of class `i` were labelled `j`.
    class_names : sequence of str, length C
        By class.
    path : path-like
        Where the PNG goes.

    Raises
    ------
    ValueError
        When the shapes do not fit.
    """
    counts = np.asarray(counts)
    size = len(class_names)
    if counts.shape != (size, size):
        raise ValueError(
            f"counts: got shape {counts.shape}, expected ({size}, {size}) for {size} class names"
        )
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    names = [style.short(name) for name in class_names]
    cell, longest = _cell(size), max(map(len, names))
    slanted = longest * 0.09 > cell
    left = 0.6 + 0.075 * longest
    fig, axes, bar_axes = _square(cell * size, left, bottom=left if slanted else 0.6)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(size), names, parse_math=False)
    axes.set_yticks(range(size), names, parse_math=False)
    axes.tick_params(length=0, labelsize=9 if size <= 30 else 5, labelcolor=INK)
    if slanted:
        for label in axes.get_xticklabels():
            label.set(rotation=45, horizontalalignment="right", rotation_mode="anchor")
    axes.set_xlabel("predicted", color=INK)
    axes.set_ylabel("true", color=INK)
    axes.spines[:].set_visible(False)
    unit = ", %" if _CELLS_WITH_TEXT < size <= _CELLS_WITH_NUMBERS else ""
    axes.set_title(f"Share of each true class{unit}", fontsize=10, color=INK, loc="left")
    for i, j in np.ndindex(size, size) if size <= _CELLS_WITH_NUMBERS else ():
        text, points = f"{100 * shares[i, j]:.1f}%\n{counts[i, j]:,}", 9 if size <= 4 else 6
        if size > _CELLS_WITH_TEXT:
            text, points = f"{100 * shares[i, j]:.0f}" if shares[i, j] >= _SHARE_WITH_NUMBER else "", 8
        color = "white" if shares[i, j] > 0.5 else INK
        axes.text(j, i, text, ha="center", va="center", color=color, fontsize=points)
    bar = fig.colorbar(image, cax=bar_axes)
    bar.outline.set_visible(False)
    bar.set_ticks([0, 0.5, 1], labels=["0%", "50%", "100%"])
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=GREY)
    style.save(fig, path)


def _cell(size: int) -> float:
    """Inches of a cell: room for the text in it, as long as there is text."""
    if size <= _CELLS_WITH_TEXT:
        return max(0.55, 2.6 / size)
    return max(0.06, min(0.3, 10 / size))


def _square(side: float, left: float, bottom: float) -> tuple[Figure, Axes, Axes]:
    """Square axes with room for the class names, and narrow ones for the colour bar; in inches."""
    fig = style.figure(left + side + 0.9, bottom + side + 0.4, "")
    axes = style.add_panel(fig, left, bottom, side, side)
    return fig, axes, style.add_panel(fig, left + side + 0.15, bottom, 0.12, side)


def search_png(
    values: Sequence[float | None], pruned: Sequence[bool], path: Path | str, metric: Metric = ACCURACY
) -> None:
    """Draw the trials of a search and the best value so far.

    Parameters
    ----------
    values : sequence of float or None, shape (n,)
        The metric on the validation split by trial number; of a pruned trial the last it reached; None (or
        NaN) where there is none.
    pruned : sequence of bool, shape (n,)
        Which trials were stopped early; they are marked and cannot be the best.
    path : path-like
        Where the PNG goes.
    metric : Metric
        What the values are of; says whether they are drawn in percent, and which is the best.

    Raises
    ------
    ValueError
        When the two differ in length.
    """
    if len(values) != len(pruned):
        raise ValueError(f"pruned: got {len(pruned)} flags, expected {len(values)}: one for each value")
    fig = style.figure(8, 3.8, f"Search: validation {metric.title} by trial")
    fig.subplots_adjust(left=0.09, right=0.98, top=0.84, bottom=0.15)
    axes = fig.subplots()
    style.plain_axes(axes)
    axes.set_xlabel("trial")
    axes.set_ylabel(f"validation {metric.title}" + (" (%)" if metric.percent else ""))
    scale = 100 if metric.percent else 1
    trials, stopped = scale * drawable(values), np.array(pruned, dtype=bool)
    nothing = np.isnan(trials)
    finished = ~nothing & ~stopped
    numbers = np.arange(len(trials))
    axes.plot(numbers[finished], trials[finished], "o", color=BLUE, markersize=5, label="finished")
    if finished.any():
        better = np.fmax if metric.larger_is_better else np.fmin
        best = better.accumulate(np.where(finished, trials, np.nan))
        axes.step(numbers, best, where="post", color=ORANGE, linewidth=1.8, label="best so far", zorder=1)
    else:
        style.say(axes, "no trial finished")
    early = stopped & ~nothing
    if early.any():
        axes.plot(numbers[early], trials[early], "x", color=GREY, markersize=6, label="pruned")
    if nothing.any():
        # In axes units: there is no value, so the mark stands on the floor.
        floor, place = np.full(int(nothing.sum()), 0.03), axes.get_xaxis_transform()
        axes.plot(numbers[nothing], floor, "|", color=GREY, markersize=8, transform=place, label="no value")
    axes.margins(y=0.12)
    axes.set_xlim(-0.5, max(len(trials), 1) - 0.5)
    style.whole_ticks(axes)
    axes.legend(
        frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=4, borderaxespad=0.2
    )
    style.save(fig, path)


def classes_figure(facts: Mapping[str, Any]) -> Figure:
    """Draw how many texts each class of a data set has in train, by the facts of `describe`."""
    names, counts = facts["classes"], facts["class_counts"]["train"]
    height = 1.4 + 0.3 * len(names)
    fig = style.figure(7.5, height, f"Classes of {facts['name']}", "texts in train", dpi=150)
    axes = fig.add_axes((0.25, 0.3 / height, 0.7, 1 - 0.9 / height))
    style.plain_axes(axes)
    axes.barh([style.short(name) for name in names], counts, color=style.BLUE)
    axes.invert_yaxis()
    return fig
