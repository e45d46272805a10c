"""The table of published and measured figures: what it says, and that no name can break it."""

import csv
import io

from benchmark.publications.rendering import to_csv, to_markdown, to_table
from benchmark.publications.reproduction import ReproductionRow


def row(**changes):
    fields = {
        "name": "tiny",
        "label": "tiny",
        "title": "a tiny one",
        "source": "A tutorial",
        "url": "https://example.org/a_b",
        "model": "flatten",
        "dataset": "sample",
        "protocol": "inductive",
        "metric": "test_accuracy",
        "published_low": 0.873,
        "published_high": 0.873,
        "published": "87.3",
        "values": (0.86, 0.87, 0.88),
        "mean": 0.87,
        "ci_low": 0.8452,
        "ci_high": 0.8948,
        "seeds_expected": 3,
        "verdict": "agrees",
        "notes": (),
        "differs": ("the data",),
        "study": "reproduce tiny",
    }
    return ReproductionRow(**{**fields, **changes})


ABSENT = row(
    name="absent",
    label="absent",
    protocol="",
    values=(),
    mean=None,
    ci_low=None,
    ci_high=None,
    verdict="not measured: needs x.txt",
    notes=("bring x.txt",),
)
EVIL = "a|b <b>*c*</b> [x](y) `d` \x1b[31m\n=1"


def cells(line):
    return [cell.strip() for cell in line.strip("|").replace("\\|", "¦").split("|")]


def test_a_table_for_people():
    text = to_table([row(), ABSENT, row(label="few", values=(0.87,), ci_low=None, ci_high=None)], width=200)
    tiny, absent, few = text.splitlines()[2:5]
    assert tiny.split("  ")[0] == "tiny"
    for part in ("A tutorial", "test accuracy %", "87.3", "87.0 [84.5, 89.5]", " 3 ", "agrees"):
        assert part in tiny
    assert "not measured: needs x.txt" in absent
    assert "1 of 3" in few
    assert "absent: bring x.txt" in text.splitlines()[-1]


def test_a_loss_has_three_decimals_and_no_percent():
    text = to_table([row(metric="test_loss", mean=0.3042, ci_low=0.3, ci_high=0.31, published="0.3225")])
    assert "0.304 [0.300, 0.310]" in text
    assert "test loss" in text


def test_long_texts_are_folded_into_the_terminal():
    text = to_table([row(verdict="not measured: needs " + "x" * 300)], width=90)
    assert max(map(len, text.splitlines())) <= 90


def test_a_page_in_markdown():
    page = to_markdown([row(), ABSENT], "python -m benchmark.reproduce", {"tiny": "curves-tiny.png"})
    assert page.startswith("# Published configurations, measured\n")
    assert "Made by `python -m benchmark.reproduce`." in page
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert [len(cells(line)) for line in lines] == [7] * 4
    assert cells(lines[2])[:2] == ["tiny", "[A tutorial](<https://example.org/a_b>)"]
    assert cells(lines[3])[-1] == "not measured: needs x.txt"
    assert "- absent: bring x.txt" in page
    assert "![Loss and accuracy by epoch of tiny](<curves-tiny.png>)" in page
    assert page.count("## ") == 2
    assert "Not as published:\n\n- the data" in page


def test_a_source_without_an_address_is_no_link():
    page = to_markdown([row(url=None)], "c", {})
    assert "| A tutorial |" in page


def test_names_cannot_break_markdown():
    evil = row(label=EVIL, source=EVIL, title=EVIL, verdict=EVIL, notes=(EVIL,), differs=(EVIL,))
    page = to_markdown([evil], f"python `{EVIL}`", {})
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert [len(cells(line)) for line in lines] == [7, 7, 7]
    outside = page.replace(page[page.index("Made by") : page.index("\n", page.index("Made by"))], "")
    for raw in ("<b>", "[x](", "*c*", " `d`", "\x1b"):
        assert raw not in outside
    assert page.count("`") - page.count("\\`") == 2  # around the command, and nothing in it ends it


def test_csv_is_for_programs():
    text = to_csv([row(), ABSENT])
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["mean"], first["values"], first["published"]) == ("0.87", "0.86; 0.87; 0.88", "87.3")
    assert (second["mean"], second["verdict"]) == ("", "not measured: needs x.txt")


def test_names_cannot_break_csv():
    (found,) = csv.DictReader(io.StringIO(to_csv([row(label='=1+2,"x"\n\x1b', verdict="-0.1 points")])))
    assert found["label"].startswith("'=1+2")
    assert found["verdict"] == "'-0.1 points"
    assert "\x1b" not in found["label"]
    assert "\n" not in found["label"]
