"""The picture of the board, as PNG and SVG."""

import numpy as np
import pytest
from export_samples import board, row, usual
from pictures import BLUE, ORANGE, count, ink, pixels, texts

from benchmark.board.rows import WATERMARK
from benchmark.report.board_plots import board_picture


def test_board(tmp_path):
    rows = (row("cnn", 0.88), row("lstm", 0.85, tier="default"))
    bare = [one.model_copy(update={"test_values": ()}) for one in rows]
    board_picture(board(*rows), tmp_path / "seeds.png")
    board_picture(board(*bare), tmp_path / "plain.png")
    plain, seeds = pixels(tmp_path / "plain.png"), pixels(tmp_path / "seeds.png")
    assert 1_000 < plain.shape[1] < 2_000
    assert count(plain, BLUE) > 500
    assert count(plain, ORANGE) > 500
    assert (plain != seeds).any()


def test_board_grows_with_its_rows(tmp_path):
    heights = []
    for models in (3, 12):
        board_picture(board(*(row(f"m{number}", 0.8) for number in range(models))), tmp_path / "b.png")
        heights.append(pixels(tmp_path / "b.png").shape[0])
    assert heights[1] > heights[0] + 300


def test_smoke_tests_are_not_drawn_among_results(tmp_path):
    good, smoke = row("lstm", 0.88), row("quickie", 0.3, budget="smoke")
    board_picture(board(good), tmp_path / "good.png")
    board_picture(board(good, smoke), tmp_path / "both.png")
    one, both = pixels(tmp_path / "good.png"), pixels(tmp_path / "both.png")
    assert one.shape == both.shape
    changed = np.flatnonzero((one != both).any(axis=(1, 2)))
    assert changed.size  # the line that counts them
    assert changed.min() > 0.85 * one.shape[0]


def test_only_smoke_tests_carry_their_watermark(tmp_path):
    board_picture(board(row("quickie", 0.3, budget="smoke")), tmp_path / "s.png")
    picture = pixels(tmp_path / "s.png")
    right_side = picture[:, int(0.75 * picture.shape[1]) :]
    assert count(right_side, ORANGE) > 200
    assert count(picture, BLUE) < 100
    board_picture(board(row("quickie", 0.3, budget="smoke")), tmp_path / "s.svg")
    assert WATERMARK in texts(tmp_path / "s.svg")


def test_the_same_as_svg(tmp_path):
    board_picture(usual().model_copy(update={"level": 0.9}), tmp_path / "b.svg")
    written = texts(tmp_path / "b.svg")
    assert {"cnn", "lstm", "2-4", "89.3 [88.3, 90.3]", "n = 3 of 5"} <= set(written)
    assert "quickie" not in written
    assert "Smoke tests, not results, not drawn: 1" in written
    assert any("90 % interval" in text for text in written)


def test_an_svg_is_the_same_each_time(tmp_path):
    for name in ("a.svg", "b.svg"):
        board_picture(usual(), tmp_path / name)
    first = (tmp_path / "a.svg").read_bytes()
    assert first == (tmp_path / "b.svg").read_bytes()
    assert b"<dc:date>" not in first


def test_names_are_text(tmp_path):
    name = "$x^2$ <b>&"
    board_picture(board(row(name, 0.8)), tmp_path / "b.svg")
    content = (tmp_path / "b.svg").read_text("utf-8")
    assert any("x^2" in text for text in texts(tmp_path / "b.svg"))
    assert "<b>" not in content.replace(f"<!-- {name} -->", "")


@pytest.mark.parametrize("name", ["b.pdf", "b", "b.png.gz", ".png"])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"expected \.png or \.svg"):
        board_picture(usual(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row("lstm", None, n_failed=3, n_missing=0)],
        [row("lstm", 0.8, n_seeds=1, seeds_expected=1)],
        [row("$\\frac{$ \u4e2d name that is rather too long to be shown in full", 0.8)],
        [row("lstm", 0.8, tier="other")],
    ],
)
@pytest.mark.filterwarnings("ignore:Glyph")
def test_odd_boards(tmp_path, rows):
    board_picture(board(*rows), tmp_path / "b.png")
    assert ink(pixels(tmp_path / "b.png")) > 0.002
