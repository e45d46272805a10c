"""Exports: the same board as a table, Markdown, CSV and JSON, and names that try to break out."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from export_samples import board, hostile, row, usual, versus, with_margin

from benchmark.board.rows import WATERMARK, Board, BoardRow, Pair
from benchmark.report.latex import to_latex
from benchmark.report.tables import json_schema, to_csv, to_json, to_markdown, to_table

SCHEMA = Path(__file__).parents[2] / "docs" / "board.schema.json"


def cells(text, start):
    """Cells of the only line of a table whose model is `start`."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]
    (found,) = [line for line in lines if line[1:2] == [start]]
    return found


def test_table():
    lines = to_table(usual()).splitlines()
    assert lines[0] == "imdb, budget standard"
    assert lines[2].split() == (
        "rank model tier accuracy % error nbsvm (default) seeds % parameters s trials".split()  # noqa: SIM905
    )
    first = ["1", "cnn", "tuned", "89.3 [88.3, 90.3]", "±0.2", "+1.8 [1.2, 2.4] p<0.001"]
    assert cells(to_table(usual()), "cnn") == [*first, "3", "90.3", "160,033", "11.0", "20"]
    second = ["2-4", "lstm", "tuned", "87.9 [86.9, 88.9]", "±0.2", "+0.4 [-0.2, 1.0] undecided (0.9)"]
    assert cells(to_table(usual()), "lstm")[:6] == second
    assert cells(to_table(usual()), "nbsvm")[4:7] == ["±0.2", "baseline", "3"]
    assert cells(to_table(usual()), "gru")[5:7] == ["-1.5 [-4.0, 1.0] undecided", "3 of 5"]
    assert "! gru (tuned): 1 of 5 seeds missing; 1 of 5 seeds diverged" in lines


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (versus(0.018, 0.012, 0.024, "better", p=0.0009), "+1.8 [1.2, 2.4] p<0.001"),
        (versus(-0.018, -0.024, -0.012, "worse", p=0.0124), "-1.8 [-2.4, -1.2] p=0.012"),
        (versus(0.001, -0.003, 0.004, "equivalent"), "+0.1 [-0.3, 0.4] equivalent"),
        (versus(0.004, -0.002, 0.010, "undecided", finds=0.009), "+0.4 [-0.2, 1.0] undecided (0.9)"),
        (versus(0.004, -0.002, 0.010, "undecided"), "+0.4 [-0.2, 1.0] undecided"),
        (versus(0.004, None, None, None, p=None), "+0.4"),
        (versus(-0.0001, -0.0004, 0.0002, "equivalent"), "0.0 [0.0, 0.0] equivalent"),
        (versus(0.0001, -0.0004, 0.0002, "equivalent"), "0.0 [0.0, 0.0] equivalent"),
        (versus(None, None, None, None, p=None), "-"),
    ],
)
def test_the_difference_says_no_more_than_is_known(fields, told):
    assert cells(to_table(board(row("a", 0.8, **fields))), "a")[5] == told


def test_baselines_that_differ_are_not_named_above_the_column():
    text = to_table(board(row("a", 0.8, baseline="x (default)"), row("b", 0.8, baseline="y (default)")))
    assert "x (default)" not in text
    assert "baseline" in text.splitlines()[2]


def test_columns_that_nothing_is_known_for_are_left_out():
    text = to_table(board(row("a", 0.8, sampling_error=None)))
    assert "vs" not in text
    assert "error" not in text.lower()


def test_captions_keep_the_two_uncertainties_apart_and_count_looks_by_model():
    lines = to_table(usual()).splitlines()
    reads = "imdb (digest d1): reads of the test split: lstm 9, cnn 6, gru 5, nbsvm 3, quickie 3"
    assert reads in lines
    assert "Test accuracy: mean over seeds with its 95 % interval for other seeds on this test set" in lines
    (sampling,) = [line for line in lines if line.startswith("Sampling error: standard error, in points,")]
    assert "on other examples" in sampling
    assert "the spread over seeds is not part of it" in sampling
    (versus_line,) = [
        line
        for line in lines
        if line.startswith("vs: difference in points with its interval for new seeds and new examples")
    ]
    assert "corrected for the whole column (95 % interval); equivalent: within 0.5 points" in versus_line


def test_captions_tell_the_margin_and_the_level_of_the_board():
    unusual = with_margin(usual(), 0.0125).model_copy(update={"level": 0.9})
    text = to_table(unusual)
    assert "with its 90 % interval for other seeds" in text
    assert "equivalent: within 1.25 points" in text
    assert "error 10 % for all pairs" in text
    assert "95 %" not in text
    assert "0.5 points" not in text
    assert "within 1.0 points" in to_table(with_margin(usual(), 0.01))


def test_ranks_are_explained_where_there_are_any():
    text = to_table(usual())
    assert text.count("2-4 ") == 3
    assert "Rank: all places that the comparisons leave open" in text
    assert "Rank:" in to_table(board(row("a", 0.9), row("b", 0.8, rank=2)))
    assert "Rank:" not in to_table(board(row("a", 0.9)))


def test_smoke_stands_below_under_a_banner():
    ranked, smoke = to_table(usual()).split(f"*** {WATERMARK} ***")
    assert "quickie" not in ranked
    assert "lstm" in ranked
    (line,) = [line for line in smoke.splitlines() if "quickie  " in line]
    assert WATERMARK in line
    assert line.split()[0] == "-"


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
def test_table_fits_the_terminal(width):
    text = to_table(usual(), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "cnn" in text
    if width >= 40:
        assert "89.3 [88.3, 90.3]" in text
    if width >= 80:
        assert "+1.8 [1.2, 2.4] p<0.001" in text


def test_narrow_table_says_what_it_leaves_out():
    assert "no room for" not in to_table(usual(), width=140)
    narrow = " ".join(to_table(usual(), width=60).split())
    assert "parameters, train s" in narrow.split("no room for:")[1]
    assert "160,033" not in narrow


def test_of_equally_important_columns_the_last_goes_first():
    text = to_table(usual(), width=250, wide=True)
    assert "no room for: " in text
    assert "runs" in text.split("no room for: ")[1].splitlines()[0]
    assert "search s" not in text.split("no room for: ")[1].splitlines()[0]


def test_a_row_of_another_study_is_no_baseline():
    fields = versus(0.018, 0.012, 0.024, "better", p=0.0004, baseline="a (tuned)")
    text = to_table(board(row("a", 0.8), row("a", 0.9, study="study-2", **fields)))
    assert [cells(line, "a")[6] for line in text.splitlines() if "study-" in line] == [
        "baseline",
        "+1.8 [1.2, 2.4] p<0.001",
    ]


def test_wide_table_has_the_rest():
    found = board(
        row("lstm", 0.87, val_test_gap=-0.012, **versus(0.018, 0.012, 0.024, "better", p=0.0004)),
        row("gru", 0.86, n_seeds=3, seeds_expected=6, n_failed=1, n_diverged=1, n_missing=1),
    )
    narrow, wide = to_table(found), to_table(found, wide=True)
    for only_wide in (
        *("tensorflow 2.21.0", "d083e72", "87.0 [86.6, 87.4]", "[86.6, 87.4]", "-1.2", "0.0004", "0.40"),
        *("3 of 6 (1 failed, 1 diverged, 1 missing)", "study-1", "0lstm___"),
    ):
        assert only_wide not in narrow
        assert only_wide in wide
    (heading,) = [line for line in wide.splitlines() if line.startswith("rank")]
    assert "digest" in heading
    assert "reads" in heading


def test_color_only_when_asked(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in to_table(usual(), color=True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in to_table(usual())


def test_unequal_search_budgets_are_told():
    unequal = (row("a", 0.8), row("b", 0.7, search_trials=5), row("c", 0.6, tier="default", search_trials=0))
    assert "Search budgets differ: one search of 5 to 20 trials" in to_table(board(*unequal))
    assert "Search (imdb, budget standard): one search of 20 trials for each tuned row" in to_table(usual())
    assert "Search: one search of 20 trials for each tuned row" in to_table(board(row("a", 0.8)))
    assert "Search" not in to_table(board(unequal[2]))
    other = row("d", 0.7, budget="quick", search_trials=8)
    assert "Search budgets" not in to_table(board(row("a", 0.8), other))
    assert "differ (imdb, budget standard): one search of 5 to 20 trials" in to_table(board(*unequal, other))


def test_study_is_shown_where_a_row_would_be_ambiguous():
    assert "study-2" in to_table(board(row("a", 0.8), row("a", 0.7, study="study-2")))
    assert "study-1" not in to_table(usual())


def test_protocols_stand_in_sections():
    text = to_markdown(board(row("lstm", 0.8), row("hub", 0.9, protocol="pretrained")))
    assert "### imdb, budget standard, protocol pretrained" in text
    assert "### imdb, budget standard, protocol inductive" in text


def test_terminal_escapes_in_names_are_harmless():
    for write in (to_table, to_markdown, to_csv):
        text = write(hostile("evil\x1b[2J\x9b2J\u202e\u2028 \U0001f468\u200d\U0001f469"))
        assert not {"\x1b", "\x9b", "\u202e", "\u2028"} & set(text)
        assert "\U0001f468\u200d\U0001f469" in text


def test_markup_in_names_is_text():
    assert "[red]x[/red]" in to_table(hostile("[red]x[/red]"))


def test_markdown():
    lines = to_markdown(usual()).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert table[0] == (
        "| rank | model | tier | test accuracy % | sampling error | vs nbsvm (default) | seeds | val % "
        "| parameters | train s | search trials |"
    )
    assert table[2] == (
        "| 1 | cnn | tuned | 89.3 [88.3, 90.3] | ±0.2 | +1.8 [1.2, 2.4] p&lt;0.001 | 3 | 90.3 | 160,033 "
        "| 11.0 | 20 |"
    )
    assert "| 3 of 5 |" in table[5]
    assert "- gru (tuned): 1 of 5 seeds missing; 1 of 5 seeds diverged" in lines
    assert "*imdb (digest d1): reads of the test split: lstm 9, cnn 6, gru 5, nbsvm 3, quickie 3.*" in lines


def test_markdown_smoke():
    ranked, smoke = to_markdown(usual()).split(f"> **{WATERMARK}**")
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
        ("two\nlines", r"two\\nlines"),
        ("avg_pool", "avg_pool"),
    ],
)
def test_markdown_escapes_names(name, written):
    table = [line for line in to_markdown(hostile(name)).splitlines() if line.startswith("|")]
    assert len(table) == 3
    assert table[2].startswith(f"| 1 | {written} | tuned | 80.0 [79.0, 81.0] |")


def test_the_baseline_above_a_column_is_escaped_too():
    fields = versus(0.018, 0.012, 0.024, "better", baseline="a|b <i> (default)")
    assert r"| vs a\|b &lt;i&gt; (default) |" in to_markdown(board(row("x", 0.8, **fields)))
    assert "\x1b" not in to_table(board(row("x", 0.8, **{**fields, "baseline": "\x1b[2J"})))


def test_json_is_the_board():
    pair = Pair(
        a=0, b=2, difference=0.1 / 3, ci_low=0.01, ci_high=0.05, ci_level=0.99, p_value=1e-7,
        p_corrected=6e-7, outcome="better",
    )  # fmt: skip
    whole = usual().model_copy(update={"comparisons": (pair,)})
    text = to_json(whole)
    assert Board.model_validate_json(text) == whole
    content = json.loads(text)
    assert content == whole.model_dump(mode="json")
    assert list(content) == [*Board.model_fields]
    assert all(list(record) == list(BoardRow.model_fields) for record in content["rows"])
    assert [record["watermark"] for record in content["rows"]] == [None] * 4 + [WATERMARK]
    assert content["comparisons"][0]["difference"] == 0.1 / 3


def test_json_never_holds_nan():
    # `model_copy` does not validate, so this is how a NaN could get in.
    broken = row().model_copy(update={"test_loss_mean": float("nan"), "search_seconds": float("inf")})
    holding = board().model_copy(update={"rows": (broken,)})
    (record,) = json.loads(to_json(holding), parse_constant=pytest.fail)["rows"]
    assert record["test_loss_mean"] is None
    assert record["search_seconds"] is None


def test_the_published_schema_is_current():
    command = "python -c 'from benchmark.report.tables import json_schema; print(json_schema(), end=\"\")'"
    assert SCHEMA.read_text("utf-8") == json_schema(), f"run: {command} > docs/board.schema.json"


def test_the_schema_describes_what_is_written():
    schema, content = json.loads(json_schema()), json.loads(to_json(usual()))
    parts = ((schema, content), (schema["$defs"]["BoardRow"], content["rows"][0]))
    for part, record in parts:
        assert part["additionalProperties"] is False
        assert set(part["required"]) == set(part["properties"]) == set(record)
    types = {
        name: {kind.get("type") for kind in entry.get("anyOf", [entry])}
        for name, entry in schema["$defs"]["BoardRow"]["properties"].items()
    }
    words = {str: "string", int: "integer", float: "number", type(None): "null", list: "array"}
    for record in content["rows"]:
        for name, value in record.items():
            enumerated = name == "difference_outcome" and isinstance(value, str)
            assert enumerated or words[type(value)] in types[name], name


def test_csv():
    found = usual()
    records = list(csv.DictReader(io.StringIO(to_csv(found))))
    assert list(records[0]) == list(BoardRow.model_fields)
    assert float(records[0]["test_mean"]) == found.rows[0].test_mean
    assert float(records[0]["difference_p"]) == 0.0004
    assert [float(value) for value in records[0]["test_values"].split("; ")] == list(
        found.rows[0].test_values
    )
    assert records[0]["versions"] == "tensorflow 2.21.0, keras 3.15.1"
    assert records[0]["watermark"] == ""
    assert records[4]["watermark"] == WATERMARK
    assert records[4]["rank"] == ""
    assert records[3]["notes"] == "1 of 5 seeds missing; 1 of 5 seeds diverged"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\r=1"])
def test_csv_names_are_not_formulas(name):
    (record,) = csv.DictReader(io.StringIO(to_csv(hostile(name))))
    assert record["model"] == (rf"{name!r}"[1:-1] if name.startswith(("\t", "\r")) else f"'{name}")


def test_csv_leaves_other_names_and_numbers_alone():
    (record,) = csv.DictReader(io.StringIO(to_csv(board(row("a=b", test_loss_mean=-0.5)))))
    assert record["model"] == "a=b"
    assert record["test_loss_mean"] == "-0.5"


def test_empty_board_says_how_to_make_one():
    assert "python -m benchmark.sweep --model lstm" in to_table(board())
    assert "python -m benchmark.sweep --model lstm" in to_markdown(board())
    assert json.loads(to_json(board()))["rows"] == []
    assert to_csv(board()) == ",".join(BoardRow.model_fields) + "\n"


def test_rows_with_the_same_note_share_a_line():
    note = "no interval: needs 3 seeds, has 2"
    two_seeds = [row(name, 0.8, n_seeds=2, notes=(note,)) for name in ("cnn", "gru", "lstm")]
    assert f"- every row: {note}\n" in to_markdown(board(*two_seeds))
    mixed = board(row("nbsvm", 0.91), *two_seeds)
    assert f"- cnn (tuned), gru (tuned), lstm (tuned): {note}\n" in to_markdown(mixed)
    assert f"! nbsvm (tuned): {note}" not in to_table(mixed)


@pytest.mark.parametrize("write", [to_table, to_markdown, to_latex])
def test_a_default_that_won_its_search_is_one_line(write):
    won = row("cnn", 0.9, search_trials=8)
    text = write(board(won.model_copy(update={"tier": "default", "search_trials": 0}), won))
    assert text.count("90.0") == 1
    assert "default+tuned" in text
