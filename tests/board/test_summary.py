"""A board in a sentence."""

import pytest
from board_samples import board, runs

from benchmark.report.latex import to_latex
from benchmark.report.tables import to_json, to_markdown, to_table

CHEAP = {"train_seconds": 2.0}


def of(*finals, **options):
    return board([one for some in finals for one in some], **options).summary


def test_the_cheapest_of_those_that_are_not_shown_to_be_worse():
    best, cheap = runs(0.9, 0.901, 0.9, model="cnn"), runs(0.9, 0.899, 0.9, model="avg-pool", **CHEAP)
    (line,) = of(best, cheap, runs(0.8, 0.8, 0.8, model="gru", train_seconds=0.1))
    assert line.startswith(
        "avg-pool (tuned) is the cheapest of 2 rows that are not shown to be worse than the best"
    )
    assert (
        "90.0 %, 2.0 s a run, 5.5 times cheaper; the highest mean has cnn (tuned), 90.0 %, 11.0 s a run"
        in line
    )


def test_costs_of_different_machines_are_not_compared():
    best = runs(0.9, 0.901, 0.9, model="cnn", machine="a Xeon (2 cores)")
    cheap = runs(0.9, 0.899, 0.9, model="avg-pool", machine="an EPYC (2 cores)", **CHEAP)
    (line,) = of(best, cheap)
    assert line.startswith("cnn (tuned) has the highest mean: 90.0 %, 11.0 s a run; one of 2 rows")
    assert "their costs are not compared, as they are of different machines" in line
    (line,) = of(best, runs(0.9, 0.899, 0.9, model="avg-pool", **CHEAP))  # from before it was recorded
    assert "5.5 times cheaper" in line


def test_one_that_is_better_than_all():
    (line,) = of(runs(0.9, 0.9, 0.9, model="cnn"), runs(0.8, 0.8, 0.8, model="gru", **CHEAP))
    assert line == "cnn (tuned) is better than the other row: 90.0 %, 11.0 s a run"


def test_the_best_that_is_the_cheapest_too():
    (line,) = of(runs(0.9, 0.91, 0.92, model="cnn", **CHEAP), runs(0.9, 0.905, 0.9, model="gru"))
    assert line.startswith("cnn (tuned) has the highest mean and is the cheapest of 2 rows")
    assert line.endswith("1 row undecided against cnn (tuned)")


def test_what_cannot_be_compared_is_counted():
    three, one = runs(0.9, 0.9, 0.9, model="cnn"), runs(0.95, model="gru")
    (line,) = of(three, one)
    assert line == "2 rows, and nothing to compare: that takes two rows of three seeds"
    (line,) = of(three, one, runs(0.8, 0.8, 0.8, model="lstm"))
    assert line.endswith("; 1 row cannot be compared")


def test_a_sentence_for_each_section_and_none_for_smoke_tests():
    lines = of(
        runs(0.9, 0.9, model="cnn"), runs(0.9, 0.9, model="cnn", budget="full"), runs(0.9, budget="smoke")
    )
    assert [line.partition(":")[0] for line in lines] == [
        "imdb, full, inductive",
        "imdb, standard, inductive",
    ]
    assert of(runs(0.9, budget="smoke")) == ()


def test_the_baselines_column_counts_where_it_is_the_best():
    steady = runs(0.9, 0.9, 0.9, model="tfidf-logreg", tiers=("default",))
    others = [
        one
        for place, model in enumerate("abcdefg")
        for one in runs(0.859, 0.87 - place / 1000, 0.881, model=model, **CHEAP)
    ]
    found = board(steady + others)
    worse = [row for row in found.rows if row.difference_outcome == "worse"]
    still_open = {pair.b for pair in found.comparisons if pair.a == 0 and pair.outcome == "undecided"}
    assert len(worse) == 7
    assert still_open, "pairs find less than the column"
    assert found.summary == ("tfidf-logreg (default) is better than all 7 other rows: 90.0 %, 11.0 s a run",)


@pytest.mark.parametrize("write", [to_table, to_markdown, to_latex, to_json])
def test_it_stands_at_the_head_of_every_format(write):
    found = board(runs(0.9, 0.9, 0.9, model="cnn") + runs(0.8, 0.8, 0.8, model="gru"))
    text = write(found)
    sentence = found.summary[0].replace("%", r"\%") if write is to_latex else found.summary[0]
    assert sentence in text
    if write is not to_json:
        assert text.index(sentence) < text.index("gru")
