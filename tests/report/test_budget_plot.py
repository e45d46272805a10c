"""The picture of budget curves: what a search can be expected to find."""

import numpy as np
import pytest
from export_samples import board, row, searches
from pictures import BLUE, ORANGE, count, ink, pixels, texts

from benchmark.board.rows import Details
from benchmark.report import plot_style
from benchmark.report.budget_plot import budget_picture

STEADY = [(0.80, 10.0)] * 6
RISKY = [(0.70, 10.0), (0.72, 12.0), (0.71, 11.0), (0.90, 10.0), (0.73, 10.0), (0.69, 9.0)]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were drawn, so that a test can read their data and not guess by colours."""
    figures = []
    save = plot_style.save
    monkeypatch.setattr(plot_style, "save", lambda fig, path: (figures.append(fig), save(fig, path)))
    return figures


def test_curves_and_the_change_of_the_lead(tmp_path, drawn):
    two = board(row("steady", 0.8), row("risky", 0.85))
    budget_picture(two, searches(STEADY, RISKY), tmp_path / "b.png")
    trials, seconds = drawn[0].axes
    steady, risky = trials.lines[:2]
    assert list(steady.get_xdata()) == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(steady.get_ydata(), 80)
    # The mean of all single trials, and the best of all.
    np.testing.assert_allclose(risky.get_ydata()[[0, -1]], [74.1666, 90], rtol=1e-4)
    rings = [point for collection in trials.collections[2:] for point in collection.get_offsets()]
    assert len(rings) == 1
    assert 1 < rings[0][0] < 6
    assert rings[0][1] == pytest.approx(80, abs=0.01)
    assert seconds.get_xscale() == "log"
    assert trials.get_ylim() == seconds.get_ylim()
    picture = pixels(tmp_path / "b.png")
    assert count(picture, BLUE) > 300
    assert count(picture, ORANGE) > 300


def test_legend_names_searches_from_the_best_down(tmp_path):
    two = board(row("steady", 0.8), row("risky $\\frac{$", 0.85))
    budget_picture(two, searches(STEADY, RISKY), tmp_path / "b.svg")
    written = texts(tmp_path / "b.svg")
    order = [text for text in written if text.endswith(", 6 trials")]
    assert order == [r"risky $\frac{$, 6 trials", "steady, 6 trials"]
    assert any(text in ("the lead may change", "the lead changes") for text in written)
    assert "What a search can be expected to find on imdb, budget standard" in written
    assert any("says nothing of the test split" in text for text in written)


def test_failed_trials_are_counted(tmp_path):
    failed = [*STEADY[:3], (None, 1.0), (None, 0.0)]
    budget_picture(board(row("lstm", 0.8)), searches(failed), tmp_path / "b.svg")
    told = "Trials without a value, which count as the worst of their search: 2"
    assert told in texts(tmp_path / "b.svg")
    assert "lstm, 5 trials" in texts(tmp_path / "b.svg")


def test_sections_have_panels_of_their_own(tmp_path, drawn):
    rows = (row("lstm", 0.8), row("nbsvm", 0.8, tier="default"), row("hub", 0.9, protocol="pretrained"))
    details = Details(searches={0: searches(STEADY).searches[0], 2: searches(RISKY).searches[0]})
    budget_picture(board(*rows), details, tmp_path / "b.svg")
    assert len(drawn[0].axes) == 4
    assert "imdb, budget standard, protocol pretrained" in texts(tmp_path / "b.svg")


def test_smoke_tests_are_not_drawn(tmp_path):
    rows = (row("lstm", 0.8), row("quickie", 0.8, budget="smoke"))
    budget_picture(board(*rows), searches(STEADY, RISKY), tmp_path / "b.svg")
    assert not any("quickie" in text for text in texts(tmp_path / "b.svg"))
    assert "Smoke tests, not results, not drawn: 1" in texts(tmp_path / "b.svg")


def test_more_searches_than_colours_are_told_apart(tmp_path, drawn):
    rows = [row(f"m{number}", 0.8) for number in range(9)]
    details = searches(*[[(0.7 + number / 100, 1.0), (0.71, 2.0)] for number in range(9)])
    budget_picture(board(*rows), details, tmp_path / "b.png")
    looks = {(line.get_color(), str(line._dash_pattern)) for line in drawn[0].axes[0].lines}
    assert len(looks) == 9


@pytest.mark.parametrize(
    "details", [Details(), searches([]), searches([(None, 1.0)]), searches([(0.5, 0.0)]), searches(STEADY)]
)
def test_odd_searches(tmp_path, details):
    budget_picture(board(row("a", 0.8)), details, tmp_path / "b.png")
    assert ink(pixels(tmp_path / "b.png")) > 0.002


def test_no_search_is_told(tmp_path):
    budget_picture(board(), Details(), tmp_path / "b.svg")
    assert "no search with a result" in texts(tmp_path / "b.svg")


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected \.png or \.svg"):
        budget_picture(board(), Details(), tmp_path / "b.pdf")
    assert list(tmp_path.iterdir()) == []
