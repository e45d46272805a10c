"""Verdicts on published figures, worked out by hand, and the rows that carry them."""

import math

import pytest

from benchmark.publications.configurations import Band, Case, Figure, Publication
from benchmark.publications.reproduction import (
    Measurement,
    best_epoch,
    expected_of_one_run,
    published_text,
    reproduction_rows,
    verdict,
)

THREE = (0.86, 0.87, 0.88)  # mean 0.87, s 0.01, t = 4.3027 at two degrees of freedom
HALF = 4.302653 * 0.01 * math.sqrt(1 + 1 / 3)  # 0.04968


def accuracy(value=None, **named):
    return Figure(metric="test_accuracy", value=value, **named)


def publication(*figures, **changes):
    fields = {
        "name": "tiny",
        "title": "a tiny one",
        "source": {"title": "A tutorial", "url": "https://example.org/"},
        "dataset": {"name": "sample"},
        "model": "flatten",
        "settings": {"epochs": 2},
        "published": figures,
        "differs": ("the data",),
        "cost": "quick",
        "seconds": 1,
    }
    return Publication.model_validate({**fields, **changes})


def test_the_range_in_which_one_more_run_is_expected():
    expected = expected_of_one_run(THREE)
    assert (expected.low, expected.high) == pytest.approx((0.87 - HALF, 0.87 + HALF), abs=1e-6)
    assert expected_of_one_run(THREE[:2]) is None


def test_many_runs_narrow_the_range_to_their_spread_and_not_to_nothing():
    values = [0.87 + 0.01 * (-1) ** number for number in range(1000)]
    expected = expected_of_one_run(values)
    assert expected.high - 0.87 == pytest.approx(1.96 * 0.01, rel=0.01)


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (accuracy(0.873), "agrees"),
        (accuracy(0.9196), "agrees"),  # 0.87 + 0.04968 = 0.91968
        (accuracy(0.9198), "differs by -5.0 points"),
        (accuracy(0.82), "differs by +5.0 points"),
        (accuracy(0.815, about=0.005), "differs by +5.0 points"),  # from its nearer end, 0.82
        (accuracy(0.815, about=0.006), "agrees"),
        (accuracy(low=0.80, high=0.82), "differs by +5.0 points"),
        (accuracy(low=0.80, high=0.8204), "agrees"),
        (accuracy(low=0.5, high=0.99), "agrees"),
        (None, "no published figure"),
    ],
)
def test_verdicts_with_three_runs(figure, said):
    assert verdict(figure, THREE) == said


def test_small_differences_are_not_written_as_none():
    values = (0.87, 0.8701, 0.8702)
    assert verdict(accuracy(0.8705), values) == "agrees"  # 0.8701 ± 4.303 * 0.0001 * 1.155
    assert verdict(accuracy(0.8707), values) == "differs by -0.1 points"
    assert verdict(accuracy(0.8703), (0.87, 0.87, 0.87)) == "differs by -0.03 points"


def test_a_loss_differs_by_no_points():
    figure = Figure(metric="test_loss", value=0.5)
    assert verdict(figure, (0.30, 0.31, 0.32)) == "differs by -0.190"


def test_no_verdict_below_three_runs():
    assert verdict(accuracy(0.1), (0.87,)) == "one run; no verdict"
    assert verdict(accuracy(0.1), (0.87, 0.88)) == "two runs; no verdict"


def test_published_figures_are_written_as_they_were_published():
    assert published_text(accuracy(0.873)) == "87.3"
    assert published_text(accuracy(0.8736)) == "87.36"
    assert published_text(accuracy(0.76, about=0.005)) == "about 76"
    assert published_text(accuracy(low=0.5366, high=0.56)) == "53.66 to 56"
    assert published_text(Figure(metric="test_loss", value=0.3225)) == "0.3225"
    assert published_text(None) == "-"


def test_a_row_for_each_figure():
    case = Case(publication(accuracy(0.873), Figure(metric="test_loss", value=0.3)), 3)
    measured = Measurement(
        "sample", "inductive", {"test_accuracy": THREE, "test_loss": (0.3, 0.31, 0.32)}, ("a note",)
    )
    first, second = reproduction_rows(case, measured)
    assert (first.metric, first.verdict, first.mean) == ("test_accuracy", "agrees", pytest.approx(0.87))
    half = 4.302653 * 0.01 / math.sqrt(3)
    assert (first.ci_low, first.ci_high) == pytest.approx((0.87 - half, 0.87 + half), abs=1e-6)
    assert (second.metric, second.published_low, second.published_high) == ("test_loss", 0.3, 0.3)
    assert first.notes == second.notes == ("a note",)
    assert (first.study, first.label, first.seeds_expected) == ("reproduce tiny", "tiny", 3)
    assert not first.incomplete


def test_how_the_source_says_it_is_told():
    case = Case(publication(accuracy(0.873, note="in its text")), 3)
    for measured in (
        Measurement("sample", "inductive", {"test_accuracy": THREE}),
        Measurement("sample", notes=("y",), needs="x"),
    ):
        (row,) = reproduction_rows(case, measured)
        assert row.notes[-1] == "the published figure: in its text"


def test_without_a_published_figure_there_is_one_row():
    measured = Measurement("sample", "inductive", {"test_accuracy": THREE})
    (row,) = reproduction_rows(Case(publication(), 3), measured)
    assert (row.metric, row.published, row.verdict) == ("test_accuracy", "-", "no published figure")
    assert row.mean == pytest.approx(0.87)


def test_runs_that_failed_are_counted():
    measured = Measurement("sample", "inductive", {"test_accuracy": THREE})
    (row,) = reproduction_rows(Case(publication(accuracy(0.873)), 5), measured)
    assert row.incomplete
    (row,) = reproduction_rows(
        Case(publication(accuracy(0.873)), 5), Measurement("sample", "inductive", {"test_accuracy": ()})
    )
    assert row.verdict.startswith("failed")
    assert row.incomplete


def test_what_is_not_measured_is_not_incomplete():
    rows = reproduction_rows(
        Case(publication(accuracy(0.873)), 5), Measurement("sample", notes=("bring x.txt",), needs="x.txt")
    )
    (row,) = rows
    assert (row.verdict, row.notes) == ("not measured: needs x.txt", ("bring x.txt",))
    assert (row.mean, row.values, row.dataset, row.incomplete) == (None, (), "sample", False)


def test_a_mean_outside_its_band_is_noted():
    band = Band(metric="test_accuracy", low=0.88, high=0.9)
    item = publication(accuracy(0.873), band=band)
    measured = Measurement("sample", "inductive", {"test_accuracy": THREE})
    (row,) = reproduction_rows(Case(item, 3), measured)
    assert row.notes == ("the mean, 87.0, is outside the band expected here, 88.0 to 90.0",)
    assert row.verdict == "agrees"
    (inside,) = reproduction_rows(
        Case(publication(accuracy(0.873), band=band.model_copy(update={"low": 0.86})), 3), measured
    )
    assert inside.notes == ()


def test_own_vectors_get_no_verdict():
    item = publication(accuracy(0.88), band=Band(metric="test_accuracy", low=0.88, high=0.9))
    measured = Measurement("sample", "unlabelled", {"test_accuracy": THREE})
    (row,) = reproduction_rows(Case(item, 3, own_vectors=True), measured)
    assert row.verdict == "other vectors, no verdict (-1.0 points)"
    assert row.label == "tiny (own vectors, protocol unlabelled)"
    (within,) = reproduction_rows(
        Case(publication(accuracy(low=0.8, high=0.9)), 3, own_vectors=True), measured
    )
    assert within.verdict == "other vectors, no verdict (no difference)"
    assert row.notes == ()


def test_the_best_epoch():
    curves = [{"val_accuracy": [0.7, 0.9, 0.8]}, {"val_accuracy": [0.7, 0.8, 0.8]}]
    assert best_epoch(curves) == ("validation accuracy is best at epoch 2 of 3, 85.0 % (at the last 80.0 %)")
    assert best_epoch([{"val_accuracy": [0.7, 0.8, 0.9]}]) == ""
    assert best_epoch([{}]) == best_epoch([]) == ""
