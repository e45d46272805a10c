"""Plots: real PNG files with something on them, whatever the data."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from matplotlib.axes import Axes
from pictures import BLUE, ORANGE, count, ink, pixels

from benchmark.metrics.metric import get_metric
from benchmark.report import plot_style
from benchmark.report.plots import confusion_png, curves_png, search_png

HISTORY = {
    "loss": [0.6, 0.4, 0.3],
    "val_loss": [0.5, 0.45, 0.5],
    "accuracy": [0.7, 0.8, 0.9],
    "val_accuracy": [0.75, 0.82, 0.81],
}


def test_curves(tmp_path):
    path = tmp_path / "new folder" / "curves.png"
    curves_png([HISTORY], path, "lstm, trial 3", best_epoch=2)
    picture = pixels(path)
    assert 300 < picture.shape[0] < 800 < picture.shape[1] < 1500
    assert count(picture, BLUE) > 200  # validation
    with_best = count(picture, ORANGE)
    curves_png([HISTORY], path, "lstm, trial 3")
    assert with_best > count(pixels(path), ORANGE) + 50
    assert [file.name for file in path.parent.iterdir()] == ["curves.png"]  # no temporary file stays


def test_curves_show_the_data(tmp_path):
    curves_png([HISTORY], tmp_path / "a.png", "t", best_epoch=2)
    curves_png([{**HISTORY, "val_loss": [0.5, 0.45, 0.9]}], tmp_path / "b.png", "t", best_epoch=2)
    assert (pixels(tmp_path / "a.png") != pixels(tmp_path / "b.png")).any()


@pytest.mark.parametrize(
    "history",
    [
        {},
        {
            "loss": [float("nan")],
            "val_loss": [float("inf")],
            "accuracy": [0.5],
            "val_accuracy": [sys.float_info.max],
        },
        {"loss": [0.5], "val_loss": [0.4], "accuracy": [0.5], "val_accuracy": [0.5]},
    ],
)
def test_curves_of_odd_runs(tmp_path, history):
    curves_png([history], tmp_path / "c.png", "not mathematics: $\\frac{$", best_epoch=1)
    assert ink(pixels(tmp_path / "c.png")) > 0.002


def test_infinity_does_not_flatten_the_rest(tmp_path):
    for number, value in enumerate(
        (float("nan"), float("inf"), sys.float_info.max)
    ):  # the last is MLflow's infinity
        curves_png([{**HISTORY, "val_loss": [0.5, 0.45, value]}], tmp_path / f"{number}.png", "t")
    without = (tmp_path / "0.png").read_bytes()
    assert (tmp_path / "1.png").read_bytes() == without
    assert (tmp_path / "2.png").read_bytes() == without


def test_curves_without_data_say_so(tmp_path):
    curves_png([{}], tmp_path / "none.png", "t")
    curves_png([{"loss": [], "accuracy": []}], tmp_path / "empty.png", "t")
    assert (pixels(tmp_path / "none.png") == pixels(tmp_path / "empty.png")).all()
    centre = pixels(tmp_path / "none.png")[150:230, 150:350]
    assert ink(centre) > 0.005


def test_confusion(tmp_path):
    path = tmp_path / "confusion.png"
    confusion_png(np.array([[90, 10], [5, 95]]), ["negative", "positive"], path)
    right = pixels(path)
    confusion_png(np.array([[10, 90], [95, 5]]), ["negative", "positive"], path)
    wrong = pixels(path)
    assert 300 < right.shape[0] < 900
    assert right.shape == wrong.shape
    dark = lambda picture: picture.min(axis=-1) < 60  # noqa: E731
    # The dark cells have changed sides.
    assert (dark(right) != dark(wrong)).mean() > 0.1


@pytest.mark.parametrize("size", [1, 40])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_confusion_of_many_classes(tmp_path, size):
    counts = np.eye(size, dtype=int) * 50
    counts[0] = 0  # a class without examples must not divide by zero
    confusion_png(
        counts,
        [rf"class $\frac{{$ {i} with a very long name indeed" for i in range(size)],
        tmp_path / "c.png",
    )
    height, width, _ = pixels(tmp_path / "c.png").shape
    assert 200 < height < 2_000
    assert 200 < width < 2_000


def test_of_twenty_classes_the_shares_that_matter_are_written(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(Axes, "text", lambda axes, x, y, text, **style: written.append((y, x, text)))
    counts = np.eye(20, dtype=int) * 80
    counts[3, 7], counts[3, 8] = 19, 1
    confusion_png(counts, [f"class {k}" for k in range(20)], tmp_path / "c.png")
    shown = {(row, column): text for row, column, text in written if text}
    assert shown == {(k, k): "80" if k == 3 else "100" for k in range(20)} | {(3, 7): "19"}


def test_confusion_refuses_what_does_not_fit(tmp_path):
    with pytest.raises(ValueError, match=r"got shape \(2, 3\), expected \(2, 2\)"):
        confusion_png(np.ones((2, 3)), ["a", "b"], tmp_path / "c.png")
    assert list(tmp_path.iterdir()) == []


def test_search(tmp_path):
    path = tmp_path / "search.png"
    values = [0.80, 0.84, None, 0.70, 0.86]
    search_png(values, [False] * 5, path)
    everything = pixels(path)
    assert count(everything, BLUE) > 50
    assert count(everything, ORANGE) > 100  # the running best
    search_png(values, [False, True, False, True, True], path)
    # A pruned trial is no blue dot.
    assert count(pixels(path), BLUE) < count(everything, BLUE) / 2


def test_the_best_so_far_of_a_loss_is_the_least(tmp_path):
    path, heights = tmp_path / "search.png", {}
    for name, values in (("falling", [0.9, 0.5, 0.1]), ("rising", [0.1, 0.5, 0.9])):
        search_png(values, [False] * 3, path, get_metric("log_loss"))
        picture = pixels(path)
        plot = picture[int(0.17 * len(picture)) : int(0.84 * len(picture))]  # without the legend
        heights[name] = np.ptp(np.flatnonzero([count(row[None], ORANGE) for row in plot]))
    assert heights["falling"] > 100
    assert heights["rising"] < 20  # no trial after the first is better: a level line


def test_search_without_a_result(tmp_path):
    for values in ([], [None, float("nan")]):
        search_png(values, [False] * len(values), tmp_path / "s.png")
        assert count(pixels(tmp_path / "s.png"), BLUE) < 50
        assert ink(pixels(tmp_path / "s.png")) > 0.002


def test_search_refuses_flags_that_do_not_fit(tmp_path):
    with pytest.raises(ValueError, match="got 1 flags, expected 2"):
        search_png([0.5, 0.6], [False], tmp_path / "s.png")


def test_a_failed_write_leaves_the_old_picture(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    path = tmp_path / "curves.png"
    curves_png([HISTORY], path, "t", best_epoch=2)
    before = path.read_bytes()

    def half(self, target, **named):
        target.write_bytes(b"half a pic")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(OSError, match="disk full"):
        curves_png([HISTORY], path, "other", best_epoch=2)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.long
def test_threads_draw_at_once(tmp_path):
    curves_png([HISTORY], tmp_path / "alone.png", "t")
    threads = [
        threading.Thread(target=curves_png, args=([HISTORY], tmp_path / f"{i}.png", "t")) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = (tmp_path / "alone.png").read_bytes()
    assert all((tmp_path / f"{i}.png").read_bytes() == alone for i in range(4))


def test_pyplot_stays_out(tmp_path):
    code = (
        "import sys\n"
        "from benchmark.report.plots import curves_png\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"curves_png([{HISTORY!r}], {str(tmp_path / 'c.png')!r}, 't', best_epoch=1)\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_names_in_scripts_without_a_font_are_boxes_and_no_warnings(tmp_path, recwarn, caplog):
    fig = plot_style.figure(4, 3, "差 и")
    fig.subplots().set_xticks([0, 1], labels=["\U0010fffd", "好"])
    plot_style.save(fig, tmp_path / "names.png")
    assert not [str(one.message) for one in recwarn if "Glyph" in str(one.message)]
    assert not caplog.records
    assert ink(pixels(tmp_path / "names.png")) > 0
