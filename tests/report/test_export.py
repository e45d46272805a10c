"""Exports: the same rows as a table, Markdown, CSV and JSON, and names that try to break out."""

import csv
import io
import json
import re

import pytest
from board_samples import runs

from benchmark.report.board import build_board
from benchmark.report.export import to_csv, to_json, to_markdown, to_table
from benchmark.report.rows import WATERMARK, BoardRow

REQUIRED = {
    "model",
    "tier",
    "budget",
    "test_accuracy_mean",
    "test_accuracy_ci_low",
    "test_accuracy_ci_high",
    "n_seeds",
    "val_accuracy_mean",
    "parameters",
    "train_seconds_median",
}
CAPTION = "mean over seeds with 95 % interval (spread over seeds, not sampling error of the test set)"


@pytest.fixture
def rows():
    finals = (
        runs(0.873, 0.869, 0.877, model="cnn")
        + runs(0.80, 0.81, 0.82, seeds_expected=5)
        + runs(0.99, 0.99, 0.99, model="quickie", budget="smoke")
    )
    return build_board(finals, {"cnn": 4, "lstm": 3})


def hostile(name):
    return build_board(runs(0.8, 0.8, 0.8, model=name), {})


def test_table(rows):
    lines = to_table(rows).splitlines()
    assert lines[0] == "imdb, budget standard"
    assert lines[2].split() == "rank model tier accuracy % seeds % parameters s trials".split()  # noqa: SIM905
    assert re.split(r"\s{2,}", lines[4].strip()) == [
        *("1", "cnn", "tuned", "87.3 [86.3, 88.3]", "3", "88.3", "160,033", "11.0", "20")
    ]
    assert lines[5].split()[:3] == ["2", "lstm", "tuned"]
    assert "3 of 5" in lines[5]
    assert "! lstm (tuned): 2 of 5 seeds missing" in lines


def test_table_caption_names_data_and_looks(rows):
    assert f"imdb (digest d1): {CAPTION}; 7 looks at the test part" in to_table(rows).splitlines()


def test_smoke_stands_below_under_a_banner(rows):
    text = to_table(rows)
    ranked, smoke = text.split(f"*** {WATERMARK} ***")
    assert "quickie" not in ranked
    assert "lstm" in ranked
    (line,) = [line for line in smoke.splitlines() if "quickie" in line and not line.startswith("!")]
    assert WATERMARK in line
    assert line.split()[0] == "-"


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
def test_table_fits_the_terminal(rows, width):
    text = to_table(rows, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "cnn" in text
    if width >= 40:
        assert "87.3 [86.3, 88.3]" in text


def test_narrow_table_says_what_it_leaves_out(rows):
    assert "no room for" not in to_table(rows, width=120)
    narrow = " ".join(to_table(rows, width=45).split())
    assert "no room for:" in narrow
    assert "parameters" in narrow.split("no room for:")[1]
    assert "160,033" not in narrow


def test_wide_table_has_the_rest(rows):
    assert "tensorflow 2.21.0" in to_table(rows, wide=True)
    assert "tensorflow 2.21.0" not in to_table(rows)


def test_color_only_when_asked(rows, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in to_table(rows, color=True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in to_table(rows)


def test_shared_rank_is_explained():
    finals = runs(0.85, 0.86, 0.87, model="a") + runs(0.85, 0.86, 0.865, model="b")
    text = to_table(build_board(finals, {}))
    assert text.count(" 1= ") == 2
    assert "Rows that share a rank (=) are not separated" in text
    assert "share a rank" not in to_table(build_board(runs(0.8, 0.8, 0.8), {}))


def test_unequal_search_budgets_are_told():
    finals = runs(0.8, 0.8, 0.8) + runs(0.7, 0.7, 0.7, model="gru", search_trials=5)
    assert "Search budgets differ: 5 to 20 trials" in to_table(build_board(finals, {}))
    assert "Search budgets" not in to_table(build_board(finals[:3], {}))


def test_study_is_shown_where_a_row_would_be_ambiguous():
    finals = runs(0.8, 0.8, 0.8) + runs(0.7, 0.7, 0.7, study="study-2")
    assert "study-2" in to_table(build_board(finals, {}))
    assert "study-1" not in to_table(build_board(finals[:3], {}))


def test_protocols_stand_in_sections():
    finals = runs(0.8, 0.8, 0.8) + runs(0.9, 0.9, 0.9, model="hub", protocol="pretrained")
    text = to_markdown(build_board(finals, {}))
    assert "### imdb, budget standard, protocol pretrained" in text
    assert "### imdb, budget standard, protocol inductive" in text


def test_terminal_escapes_in_names_are_harmless():
    assert "\x1b" not in to_table(hostile("evil\x1b[2J"))
    assert "\x1b" not in to_markdown(hostile("evil\x1b[2J"))


def test_markup_in_names_is_text():
    assert "[red]x[/red]" in to_table(hostile("[red]x[/red]"))


def test_markdown(rows):
    lines = to_markdown(rows).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert table[0] == (
        "| rank | model | tier | test accuracy % | seeds | val % | parameters | train s | search trials |"
    )
    assert table[2] == "| 1 | cnn | tuned | 87.3 [86.3, 88.3] | 3 | 88.3 | 160,033 | 11.0 | 20 |"
    assert table[3].startswith("| 2 | lstm | tuned | 81.0 [78.5, 83.5] | 3 of 5 |")
    assert "- lstm (tuned): 2 of 5 seeds missing" in lines
    assert f"*imdb (digest d1): {CAPTION}; 7 looks at the test part.*" in lines


def test_markdown_smoke(rows):
    ranked, smoke = to_markdown(rows).split(f"> **{WATERMARK}**")
    assert "quickie" not in ranked
    assert f"| - | quickie | tuned | {WATERMARK} |" in smoke


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a|b", r"a\|b"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("a&b", "a&amp;b"),
        ("[x](http://evil)", r"[x\](http://evil)"),
        ("`code` *bold*", r"\`code\` \*bold\*"),
        ("a\\|b", r"a\\\|b"),
        ("two\nlines", "two lines"),
        ("avg_pool", "avg_pool"),
    ],
)
def test_markdown_escapes_names(name, written):
    table = [line for line in to_markdown(hostile(name)).splitlines() if line.startswith("|")]
    assert len(table) == 3
    assert table[2].startswith(f"| 1 | {written} | tuned | 80.0 [80.0, 80.0] |")


def test_json_is_a_list_with_every_field(rows):
    records = json.loads(to_json(rows))
    assert isinstance(records, list)
    assert all(list(record) == list(BoardRow.model_fields) for record in records)
    assert set(records[0]) >= REQUIRED
    assert records[0]["test_accuracy_mean"] == rows[0].test_accuracy_mean
    assert records[0]["test_accuracy_ci_low"] == rows[0].test_accuracy_ci_low
    assert records[0]["run_ids"] == list(rows[0].run_ids)
    assert [record["watermark"] for record in records] == [None, None, WATERMARK]


def test_json_never_holds_nan(rows):
    # `model_copy` does not validate, so this is how a NaN could get in.
    broken = rows[0].model_copy(update={"test_loss_mean": float("nan"), "search_seconds": float("inf")})
    (record,) = json.loads(to_json([broken]), parse_constant=pytest.fail)
    assert record["test_loss_mean"] is None
    assert record["search_seconds"] is None


def test_csv(rows):
    records = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert list(records[0]) == list(BoardRow.model_fields)
    assert float(records[0]["test_accuracy_mean"]) == rows[0].test_accuracy_mean
    assert records[0]["versions"] == "tensorflow 2.21.0, keras 3.15.1"
    assert records[0]["watermark"] == ""
    assert records[2]["watermark"] == WATERMARK
    assert records[2]["rank"] == ""
    assert records[1]["notes"] == "2 of 5 seeds missing"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_csv_names_are_not_formulas(name):
    (record,) = csv.DictReader(io.StringIO(to_csv(hostile(name))))
    assert record["model"] == "'" + re.sub(r"\s", " ", name)


def test_csv_leaves_other_names_and_numbers_alone():
    (row,) = hostile("a=b")
    text = to_csv([row.model_copy(update={"test_loss_mean": -0.5})])
    (record,) = csv.DictReader(io.StringIO(text))
    assert record["model"] == "a=b"
    assert record["test_loss_mean"] == "-0.5"


def test_empty_board_says_how_to_make_one():
    assert "python -m benchmark.sweep --model lstm" in to_table([])
    assert "python -m benchmark.sweep --model lstm" in to_markdown([])
    assert json.loads(to_json([])) == []
    assert to_csv([]) == ",".join(BoardRow.model_fields) + "\n"


def test_rows_with_the_same_note_share_a_line():
    names = ("cnn", "gru", "lstm")
    two_seeds = [run for name in names for run in runs(0.8, 0.81, model=name, seeds_expected=2)]
    note = "no interval: needs 3 seeds, has 2"
    assert f"- every row: {note}\n" in to_markdown(build_board(two_seeds, {}))
    mixed = build_board([*two_seeds, *runs(0.9, 0.91, 0.92, model="nbsvm")], {})
    assert f"- {', '.join(f'{name} (tuned)' for name in names)}: {note}\n" in to_markdown(mixed)
    assert f"! nbsvm (tuned): {note}" not in to_table(mixed)
