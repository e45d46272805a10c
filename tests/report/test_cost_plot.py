"""The picture of accuracy against cost, and its front."""

import pytest
from export_samples import board, row, usual
from matplotlib.figure import Figure
from pictures import BLUE, ORANGE, count, ink, pixels, texts

from benchmark.report import plot_style
from benchmark.report.board_plots import cost_picture

SOME = (
    row("slow", 0.90, train_seconds_median=100.0),
    row("quick", 0.88, train_seconds_median=1.0, tier="default"),
    row("beaten", 0.87, train_seconds_median=2.0),
    row("middle", 0.89, train_seconds_median=10.0),
    row("waste", 0.885, train_seconds_median=1_000.0),
)


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were drawn, so that a test can read their data and not guess by colours."""
    figures = []
    save = plot_style.save
    monkeypatch.setattr(plot_style, "save", lambda fig, path: (figures.append(fig), save(fig, path)))
    return figures


def front(figure: Figure, panel=0):
    """Points of the dashed line but its last, which only leads to the edge."""
    (line,) = [line for line in figure.axes[panel].lines if line.get_drawstyle() == "steps-post"]
    return list(zip(line.get_xdata()[:-1], line.get_ydata()[:-1], strict=True))


def test_front_joins_what_nothing_beats(tmp_path, drawn):
    cost_picture(board(*SOME), tmp_path / "c.png")
    assert front(drawn[0]) == [(1, 88), (10, 89), (100, 90)]
    assert drawn[0].axes[0].get_xscale() == "log"
    picture = pixels(tmp_path / "c.png")
    assert count(picture, BLUE) > 300
    assert count(picture, ORANGE) > 100


def test_equal_rows_and_equal_prices(tmp_path, drawn):
    same_price = (row("a", 0.8, train_seconds_median=5.0), row("b", 0.9, train_seconds_median=5.0))
    cost_picture(board(*same_price, row("c", 0.9, train_seconds_median=6.0)), tmp_path / "c.png")
    assert front(drawn[0]) == [(5, 90)]


def test_each_section_has_its_own_panel_and_front(tmp_path, drawn):
    other = row("hub", 0.95, train_seconds_median=3.0, protocol="pretrained")
    cost_picture(board(*SOME, other), tmp_path / "c.svg")
    assert len(drawn[0].axes) == 2
    assert front(drawn[0], 0) == [(1, 88), (10, 89), (100, 90)]
    assert front(drawn[0], 1) == [(3, 95)]
    assert "imdb, budget standard, protocol pretrained" in texts(tmp_path / "c.svg")


def test_prediction_has_a_panel_of_its_own_where_it_was_timed(tmp_path, drawn):
    timed = [row.model_copy(update={"predict_ms": 4.0 - place}) for place, row in enumerate(SOME[:3])]
    cost_picture(board(*timed, *SOME[3:]), tmp_path / "c.svg")
    assert len(drawn[0].axes) == 2
    assert front(drawn[0], 0) == [(1, 88), (10, 89), (100, 90)]
    assert front(drawn[0], 1) == [(2, 87), (3, 88), (4, 90)]
    assert "milliseconds to predict a text, one by one (logarithmic)" in texts(tmp_path / "c.svg")


def test_a_row_in_both_tiers_is_drawn_once(tmp_path):
    runs = ("r1", "r2", "r3")
    both = [row("lstm", 0.8, tier=tier, run_ids=runs) for tier in ("default", "tuned")]
    cost_picture(board(*both), tmp_path / "c.svg")
    assert texts(tmp_path / "c.svg").count("lstm (both tiers)") == 1
    cost_picture(board(*(row("lstm", 0.8, tier=tier) for tier in ("default", "tuned"))), tmp_path / "d.svg")
    assert texts(tmp_path / "d.svg").count("lstm") == 2


def test_labels_do_not_hide_each_other(tmp_path, drawn):
    crowd = [row(f"model-{number}", 0.80 + 0.0005 * number, train_seconds_median=10.0 + number / 10) for number in range(6)]  # fmt: skip  # noqa: E501
    far = [row("left", 0.7, train_seconds_median=1.0), row("right", 0.9, train_seconds_median=200.0)]
    cost_picture(board(*crowd, *far), tmp_path / "c.png")
    figure = drawn[0]
    renderer = figure.canvas.get_renderer()
    labels = [text for text in figure.axes[0].texts if text.get_text()]
    boxes = [label.get_window_extent(renderer) for label in labels]
    assert len(boxes) == 8
    assert not any(a.overlaps(b) for place, a in enumerate(boxes) for b in boxes[:place])


def test_smoke_tests_and_unequal_devices_are_told(tmp_path):
    cost_picture(board(*usual().rows, row("bert", 0.9, device="gpu")), tmp_path / "c.svg")
    written = texts(tmp_path / "c.svg")
    assert "quickie" not in written
    told = "Seconds are of different devices: cpu, gpu. Smoke tests, not results, not drawn: 1"
    assert told in written


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row("lstm", None)],
        [row("lstm", 0.8, train_seconds_median=None)],
        [row("lstm", 0.8, train_seconds_median=0.0)],
        [row("quickie", 0.3, budget="smoke")],
        [row("$\\frac{$ name that is rather too long to be shown in full", 0.8, n_seeds=2)],
    ],
)
def test_odd_boards(tmp_path, rows):
    cost_picture(board(*rows), tmp_path / "c.png")
    assert ink(pixels(tmp_path / "c.png")) > 0.002


def test_nothing_to_draw_is_told(tmp_path):
    cost_picture(board(), tmp_path / "c.svg")
    assert "no row with an accuracy and a cost" in texts(tmp_path / "c.svg")


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected \.png or \.svg"):
        cost_picture(usual(), tmp_path / "c.pdf")
    assert list(tmp_path.iterdir()) == []
