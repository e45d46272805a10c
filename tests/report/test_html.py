"""The HTML page as text: what it embeds, what it escapes, and what its policy admits."""

import base64
import hashlib
import html
import json
import re
from importlib.resources import files

import pytest
from export_samples import board, row
from html_samples import HOSTILE, by_metric, hostile, large, small, switched, trials

from benchmark.board.rows import WATERMARK, BoardRow, Details
from benchmark.report import page_searches
from benchmark.report.html import to_html
from benchmark.report.page_searches import section_searches

_PAGE = files("benchmark.report").joinpath("page")


def data_of(page):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def plain_of(page):
    (text,) = re.findall(r'<div id="plain">(.*?)</div>\n<section id="protocol"', page, re.DOTALL)
    return text


def test_the_page_carries_every_row_comparison_and_detail():
    sample, details = small()
    data = data_of(to_html(sample, details, title="Monday"))
    assert data["title"] == "Monday"
    assert [one["name"] for one in data["rows"]] == [one.name for one in sample.rows]
    assert data["rows"][0]["test_mean"] == 0.88
    assert [one["rank_text"] for one in data["rows"]] == ["1", "2-3", "2-3", "1", "-"]
    assert [one["rows"] for one in data["sections"]] == [[0, 1, 2], [3], [4]]
    assert [one["watermark"] for one in data["sections"]] == [None, None, WATERMARK]
    assert data["pairs"] == [[0, 1, 0.02, 0.01, 0.03, 0.002, "better"]]
    assert data["curves"]["0"][1]["loss"][2] is None
    assert data["curves"]["0"][0]["val_accuracy"] == [0.68, 0.7587, 0.8064, 0.8354, 0.8529]
    assert data["confusions"] == {"0": [[900, 100], [60, 940]]}
    assert data["hardTotal"] == {"d1": 31}
    assert data["hard"]["d1"][1]["text"] is None


def test_boards_by_other_metrics_name_rows_as_the_first_does_and_hold_only_what_differs():
    sample, details, others = switched()
    data = data_of(to_html(sample, details, others=others))
    by_f1, by_loss = data["others"]
    assert (data["label"], by_f1["label"], by_loss["label"]) == ("accuracy", "macro F1", "log loss")
    assert [section["rows"] for section in data["sections"]] == [[0, 1, 2], [3], [4]]
    assert sorted(section["rows"] for section in by_f1["sections"]) == [[1, 2, 0], [3], [4]]
    for view, board_by in zip(data["others"], others, strict=True):
        for row_by in board_by.rows:
            place = [one.identity for one in sample.rows].index(row_by.identity)
            whole = {**data["rows"][place], **view["rows"][place]}
            assert (whole["model"], whole["metric"]) == (row_by.model, row_by.metric)
            assert whole["test_mean"] == pytest.approx(row_by.test_mean, rel=1e-5)
            assert not {"model", "study", "parameters", "versions", "run_ids"} & set(view["rows"][place])
    assert by_f1["pairs"][0][:2] == [0, 1]  # in the order of that board it is the third and the first row
    assert by_f1["metrics"]["accuracy"]["title"] == "accuracy"  # what the search followed
    assert by_loss["metrics"]["log_loss"]["margin"] is None
    assert by_loss["summary"] == ["in a sentence by log_loss"]
    assert "search" not in by_loss["sections"][0]


def test_each_further_metric_costs_little():
    sample, details = large(26, n_trials=1)
    alone = len(to_html(sample, details))
    both = len(to_html(sample, details, others=[by_metric(sample, "macro_f1", lambda value: value - 0.1)]))
    assert both - alone < 0.45 * alone


def test_precision_recall_and_f1_stand_beside_the_answers():
    data = data_of(to_html(*small()))
    precision, recall, f1, support = data["byClass"]["0"]
    assert (precision[0], recall[0]) == (round(900 / 960, 4), 0.9)
    assert f1[1] == round(2 * 940 / 2040, 4)
    assert support == [333, 333]  # of 1000 answers of three seeds


def test_rows_that_are_the_same_runs_are_one_with_what_is_known_of_both():
    sample, details = small()
    late, steady, *rest = sample.rows
    twin = steady.model_copy(update={"tier": "default", "search_trials": 0})  # the default has won its search
    later = [row.model_copy(update={"baseline": twin.name}) for row in rest]
    known = details.model_copy(update={"links": {2: "http://here"}})
    data = data_of(to_html(sample.model_copy(update={"rows": (late, twin, steady, *later)}), known))
    names = [row["name"] for row in data["rows"]]
    assert len(names) == len(sample.rows)
    assert names[1] == f"{steady.model} (default+tuned)"
    assert (data["rows"][1]["search_trials"], data["rows"][2]["baseline"]) == (steady.search_trials, names[1])
    assert data["links"] == {"2": "http://here"}
    assert [pair[:2] for pair in data["pairs"]] == [[0, 1]]


def test_names_cannot_leave_their_place():
    page = to_html(*hostile(), title=HOSTILE)
    assert page.count("</script") == 2, "the data and the script, and nothing that a name has closed"
    assert "<img" not in page
    assert "\u2028" not in page
    assert data_of(page)["rows"][0]["model"] == HOSTILE
    assert data_of(page)["rows"][1]["model"] == "{{script}}"
    assert f"<title>{html.escape(HOSTILE)}</title>" in page
    assert f"<td>{html.escape(HOSTILE)}</td>" in plain_of(page)
    assert "<td>{{script}}</td>" in plain_of(page)


def test_the_policy_admits_the_one_script_and_style_and_no_request():
    page = to_html(*small())
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert rules == {
        "default-src": "'none'",
        "script-src": source_of(script),
        "style-src": source_of(style),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert " style=" not in page, "the policy would ignore it"


def source_of(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_page_names_no_address_but_links_to_mlflow():
    addresses = set(re.findall(r"https?://[^\s\"'`\\]+", to_html(*small())))
    assert addresses == {"http://www.w3.org/2000/svg", "http://127.0.0.1:5000/#/compare-runs"}


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("http://host:5000/#/x", "http://host:5000/#/x"),
        ("https://me:secret@host/#/x", "https://host/#/x"),
        ("javascript:alert(1)", None),
        ("//host/x", None),
        ("data:text/html,x", None),
        (" http://host", None),
    ],
)
def test_only_web_addresses_are_links(link, shown):
    data = data_of(to_html(board(row()), Details(links={0: link})))
    assert data["links"].get("0") == shown


def test_data_is_only_ever_written_as_text():
    scripts = "".join(path.read_text() for path in _PAGE.iterdir() if path.name.endswith(".js"))
    for sink in (
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval(",
        "new Function",
        "setHTML",
    ):
        assert sink not in scripts


def test_the_script_asks_rows_only_for_what_they_have():
    known = {*BoardRow.model_fields, "name", "rank_text"}
    for path in _PAGE.iterdir():
        if path.name.endswith(".js"):
            text = path.read_text()
            asked = set(re.findall(r"\brow\.(\w+)\b(?!\()", text))
            asked |= set(re.findall(r"\b(?:field|wordField)\(\"(\w+)\"", text))
            assert asked <= known, path.name


def test_without_javascript_there_is_a_plain_table_of_each_section():
    plain = plain_of(to_html(*small()))
    assert plain.count("<table>") == 3
    for name in ("late", "steady", "plain", "vectors", "quick"):
        assert plain.count(f"<td>{name}</td>") == 1
    assert f'<p class="watermark">{WATERMARK}</p>' in plain
    assert "1 of 3 seeds failed" in plain
    assert "88.0" in plain


def test_an_empty_board_says_so():
    page = to_html(board())
    assert "The board is empty" in plain_of(page)
    assert data_of(page)["sections"] == []


def test_a_board_of_26_rows_stays_below_a_megabyte(monkeypatch):
    monkeypatch.setattr(page_searches, "_RESAMPLES", 2)
    page = to_html(*large())
    assert len(data_of(page)["rows"]) == 26
    assert 100_000 < len(page.encode()) < 1_000_000


class TestSearches:
    def test_a_curve_is_the_expected_best_of_so_many_trials(self):
        _, details = small()
        found = section_searches(details.searches)
        late, steady = found["trials"]["curves"][0], found["trials"]["curves"][1]
        # One of ten is 0.9, eight are 0.8, and the failed one counts as the worst, 0.8, too.
        assert late["x"] == list(range(1, 11))
        assert late["mean"] == [pytest.approx(0.8 + 0.01 * n) for n in range(1, 11)]
        assert steady["mean"][0] == pytest.approx(0.851)
        assert steady["mean"][-1] == pytest.approx(0.852)
        assert all(
            low <= mean <= high
            for low, mean, high in zip(late["low"], late["mean"], late["high"], strict=True)
        )

    def test_seconds_go_from_the_longest_trial_to_all_of_them(self):
        _, details = small()
        curve = section_searches(details.searches)["seconds"]["curves"][0]
        assert (curve["x"][0], curve["x"][-1]) == (20, 181)
        assert curve["mean"][-1] == pytest.approx(0.9)

    def test_the_budget_at_which_the_order_changes(self):
        _, details = small()
        (crossing,) = section_searches(details.searches)["trials"]["crossings"]
        assert crossing["budget"] == pytest.approx(5.2, abs=0.05)
        assert (crossing["ahead"], crossing["behind"]) == (0, 1)
        assert crossing["first_place"]

    def test_a_third_above_both_keeps_the_first_place(self):
        _, details = small()
        above = {**details.searches, 2: trials(*[(0.95, 10.0)] * 10)}
        (crossing,) = section_searches(above)["trials"]["crossings"]
        assert not crossing["first_place"]

    def test_bands_that_part_are_told_from_bands_that_never_do(self):
        steady = trials(*[(0.85, 1.0)] * 20)
        sure = trials(*[(0.9, 1.0)] * 10, *[(0.7, 1.0)] * 10)
        (parted,) = section_searches({0: steady, 1: sure})["trials"]["crossings"]
        assert parted["apart_after"]
        rare = trials((0.9, 1.0), *[(0.84, 1.0)] * 19)
        (joined,) = section_searches({0: steady, 1: rare})["trials"]["crossings"]
        assert not joined["apart_after"]

    def test_a_search_without_values_has_no_curve(self):
        found = section_searches({3: trials((0.6, 1.0), (0.8, 1.0)), 4: trials((None, 0.0), (None, 0.0))})
        assert found["trials"]["curves"][3]["mean"] == [pytest.approx(0.7), pytest.approx(0.8)]
        assert list(found["trials"]["curves"]) == [3]
        assert found["counts"] == {3: [2, 0], 4: [2, 2]}

    def test_a_trial_that_failed_at_once_took_some_time(self):
        found = section_searches({0: trials((0.8, 2.0), (None, 0.0))})
        assert found["seconds"]["curves"][0]["x"][0] == 2


def test_bands_of_a_search_are_accuracies():
    values = (0.99, 0.2, 0.95, 0.02)
    found = section_searches({0: trials(*((value, 1.0 + place) for place, value in enumerate(values)))})
    for unit in ("trials", "seconds"):
        curve = found[unit]["curves"][0]
        assert 0 <= min(curve["low"]) < max(curve["high"]) <= 1
