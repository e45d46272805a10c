"""The HTML page in a real browser, as its readers use it: with the mouse, by keyboard alone, on a phone."""

import pytest
from browser import open_page
from html_samples import HOSTILE, hostile, large, small, switched

from benchmark.report import page_searches
from benchmark.report.html import to_html

pytestmark = pytest.mark.long

_SHOWS_FOCUS = """
const at = document.activeElement;
const ring = at.querySelector(":scope > .ring");
return ring ? getComputedStyle(ring).stroke !== "none" : getComputedStyle(at).outlineStyle !== "none";
"""
_CONTRASTS = """
const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
const over = (top, under) => top.slice(0, 3).map((v, n) => v * top[3] + under[n] * (1 - top[3])).concat(1);
const ground = (node) => {
  const layers = [];
  for (let at = node; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
  return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
};
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
  .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
return [...document.querySelectorAll("body *")]
  .filter((node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()))
  .filter((node) => !node.closest("script, style") && node.checkVisibility())
  .map((node) => {
    const style = getComputedStyle(node);
    const color = parse(node.closest("svg") ? style.fill : style.color);
    return [ratio(color, ground(node)), node.textContent.trim().slice(0, 40)];
  });
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The pages of this module, written once."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_searches, "_RESAMPLES", 50)
        for sample in (small, hostile, large):
            (folder / f"{sample.__name__}.html").write_text(to_html(*sample()), encoding="utf-8")
        board, details, others = switched()
        page = to_html(board, details, others=others)
        (folder / "switched.html").write_text(page, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def browser(files):
    with open_page(files / "small.html") as page:
        yield page


@pytest.fixture
def page(browser, files):
    """The small board, freshly opened; afterwards: nothing asked of the network, nothing complained about."""
    browser.resize(1280, 900)
    browser.prefer()
    browser.load(files / "small.html")
    yield browser
    assert browser.console() == []
    assert browser.requests_beyond_the_disk() == []


def models(page):
    return page.texts(".board:first-of-type tr.row .open")


def head(page, key):
    return page.all(f"th[data-key={key}]")[0]


def ranking(page):
    return page.texts(".ranking li .name")


def until(page, condition, key, limit=150):
    """Press a key until a condition on the focused element holds; every stop must show its focus."""
    for _ in range(limit):
        page.press(key)
        assert page.run(_SHOWS_FOCUS)
        if page.run(f"const at = document.activeElement; return {condition}"):
            return
    pytest.fail(f"not reached by keyboard: {condition}")


def test_the_log_would_show_a_request_and_an_error(browser, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text(
        '<link rel="icon" href="data:,"><img src="http://127.0.0.1:9/x.png"><script>nothing()</script>'
    )
    browser.load(bad)
    assert browser.requests_beyond_the_disk() == ["http://127.0.0.1:9/x.png"]
    assert any("nothing is not defined" in line for line in browser.console())


def test_a_click_on_a_heading_sorts_and_another_turns_it_over(page):
    assert models(page) == ["late", "steady", "plain"]
    assert head(page, "rank").get_attribute("aria-sort") == "ascending"
    heading = head(page, "parameters").find_element("css selector", "button")
    page.click(heading)
    assert models(page) == ["plain", "steady", "late"]
    assert head(page, "parameters").get_attribute("aria-sort") == "ascending"
    assert head(page, "rank").get_attribute("aria-sort") == "none"
    page.click(heading)
    assert models(page) == ["late", "steady", "plain"]
    assert head(page, "parameters").get_attribute("aria-sort") == "descending"
    # What is not known comes last, whichever way.
    for _ in range(2):
        page.click(head(page, "difference").find_element("css selector", "button"))
        assert models(page)[-1] == "plain"


def test_figures_that_must_not_be_missed_stand_in_the_table(page):
    late, steady, plain = (row.text for row in page.all("tr.row")[:3])
    assert "88.0" in late
    assert "[87.0, 89.0]" in late
    assert "+3.0 [+2.0, +4.0]" in late
    assert "better, p < 0.001" in late
    assert steady.split()[0] == plain.split()[0] == "2-3"
    assert "undecided (0.9)" in steady
    assert "2 of 3\n1 failed" in plain
    assert "no interval" in plain
    assert "baseline" in plain
    assert head(page, "difference").text.split() == ["vs", "plain", "(default),", "points"]
    assert len(page.all("tr.row")[0].find_elements("css selector", ".accuracy svg .seed")) == 3


def test_all_columns_can_be_shown(page):
    before = len(page.texts(".board:first-of-type thead th button"))
    page.click(page.all(".board-head input")[0])
    shown = page.texts(".board:first-of-type thead th button")
    assert len(shown) > before
    assert page.overflow() <= 0, "the table scrolls within its panel"
    assert {"test loss", "diverged", "commit", "study"} <= set(shown)
    assert "tensorflow 2.21.0, keras 3.15.1" in page.all("tr.row")[0].text


def test_rows_are_filtered_by_words_tier_and_section(page):
    words = page.one("input[type=search]")
    words.send_keys("LATE")
    assert models(page) == ["late"]
    assert "1 of 5 rows" in page.one(".toolbar").text
    words.clear()
    words.send_keys("xyzzy")
    assert models(page) == []
    assert "No row matches" in page.all(".rows .empty")[0].text
    page.run("arguments[0].value = ''; arguments[0].dispatchEvent(new Event('input'))", words)
    assert len(models(page)) == 3
    boxes = {box.text: box for box in page.all(".toolbar label")}
    page.click(boxes["default"])
    assert models(page) == ["late", "steady"]
    page.click(boxes["default"])
    page.click(boxes["imdb, budget standard, protocol pretrained"])
    assert "vectors" not in page.texts("tr.row .open")
    assert "4 of 5 rows" in page.one(".toolbar").text


def test_a_row_opens_with_curves_answers_comparisons_and_origin(page):
    button = page.all(".open")[0]
    assert button.get_attribute("aria-expanded") == "false"
    page.click(button)
    assert button.get_attribute("aria-expanded") == "true"
    detail = page.one(f"#{button.get_attribute('aria-controls')}")
    assert detail.is_displayed()
    page.settle()
    assert len(detail.find_elements("css selector", "svg path.line.thin")) >= 6, (
        "three seeds, training and validation"
    )
    cells = [cell.text.split() for cell in detail.find_elements("css selector", ".confusion tbody td")]
    assert cells == [["900", "90.0", "%"], ["100", "10.0", "%"], ["60", "6.0", "%"], ["940", "94.0", "%"]]
    assert [name.text for name in detail.find_elements("css selector", ".confusion tbody th")] == [
        "neg",
        "pos",
    ]
    against = [line.text for line in detail.find_elements("css selector", ".comparisons tbody tr")]
    assert against[0].split() == ["steady", "(tuned)", "+2.00", "[+1.00,", "+3.00]", "0.002", "▲better"]
    assert "not compared" in against[1]
    for text in ("seed 0: 87.60", "digest d1", "study-1", "d083e72", "tensorflow 2.21.0"):
        assert text in detail.text
    link = detail.find_element("css selector", "a")
    assert link.get_attribute("href") == "http://127.0.0.1:5000/#/compare-runs"
    path = detail.find_element("css selector", "svg path.line").get_attribute("d")
    page.click(detail.find_element("css selector", "input[value=loss]"))
    assert detail.find_element("css selector", "svg path.line").get_attribute("d") != path
    # From the other side the same comparison is turned round; a script is no link.
    other = page.all(".open")[1]
    page.click(other)
    second = page.one(f"#{other.get_attribute('aria-controls')}")
    assert "−2.00 [−3.00, −1.00]" in second.text
    assert "worse" in second.text
    assert second.find_elements("css selector", "a") == []
    page.click(button)
    assert not detail.is_displayed()


def switch(page, metric):
    page.run(
        "const select = document.querySelector('#metric select');"
        "select.value = [...select.options].find((one) => one.text === arguments[0]).value;"
        "select.dispatchEvent(new Event('change'))",
        metric,
    )
    page.settle()


def test_the_switch_ranks_and_compares_by_another_metric(page, files):
    assert page.all("#metric select") == []  # there is one metric only
    page.load(files / "switched.html")
    assert page.texts("#metric option") == ["accuracy", "macro F1", "log loss"]
    page.click(page.all(".open")[0])
    page.settle()
    before = page.one("main").text
    switch(page, "macro F1")
    assert models(page) == ["steady", "plain", "late"]
    section = page.all(".board")[0].text
    assert section.startswith("imdb, budget standard, protocol inductive, by macro F1")
    assert "exploratory: optimised for accuracy" in section
    assert "test macro F1 %" in page.texts(".board:first-of-type thead th button")
    assert page.texts(".summary") == ["in a sentence by macro_f1."]
    steady, _, late = page.all(".board:first-of-type tr.row")
    assert "72.0" in steady.text
    assert "61.0" in late.text
    opened = page.one("tr.more:not([hidden])").text  # late is still open, at its new place
    assert "Test macro F1 of each seed" in opened
    assert "steady (tuned) +1.23" in opened.replace("\n", " ")
    assert "macro F1; exploratory, the runs were optimised for accuracy" in opened
    assert "Macro F1 against cost" in section
    assert ranking(page) == ["late (tuned)", "steady (tuned)"]  # of the search, which followed accuracy
    switch(page, "accuracy")
    assert page.one("main").text == before


def test_of_a_loss_less_is_better(page, files):
    page.load(files / "switched.html")
    switch(page, "log loss")
    shown = page.all(".board")[1]
    late = shown.find_elements("css selector", "tr.row")[0].text
    assert "0.320\n[0.310, 0.330]" in late
    assert "%" not in shown.find_element("css selector", "th[data-key=accuracy] button").text
    assert "no difference of log loss is too small to matter" in page.one("#facts").text
    heading = shown.find_element("css selector", "th[data-key=accuracy]")
    page.click(heading.find_element("css selector", "button"))
    assert heading.get_attribute("aria-sort") == "ascending"
    names = [name.text for name in shown.find_elements("css selector", "tr.row .open")]
    assert names == ["late", "steady", "plain"]
    said = [mark.get_attribute("aria-label") for mark in shown.find_elements("css selector", ".cost .mark")]
    assert said[-1].startswith("late (tuned), 0.320 [0.310, 0.330], 11.0 s")
    assert all("no cheaper row has a lower mean" in text for text in said)


def test_what_a_prediction_takes_is_a_column_and_a_cost(page, files):
    assert page.all("th[data-key=predict_ms]:not([hidden])") == []
    assert "predict_ms" not in [one.get_attribute("value") for one in page.all(".cost option")]
    page.load(files / "switched.html")
    place = page.run("return arguments[0].cellIndex", head(page, "predict_ms"))
    cells = page.run(
        "return [...document.querySelectorAll('tr.row')].slice(0, 3)"
        ".map(row => row.cells[arguments[0]].textContent)",
        place,
    )
    assert cells == ["1.5", "3.0", "–not recorded"]
    cost = page.all(".cost select")[0]
    page.run("arguments[0].value = 'predict_ms'; arguments[0].dispatchEvent(new Event('change'))", cost)
    said = [
        mark.get_attribute("aria-label")
        for mark in page.all(".cost")[0].find_elements("css selector", ".mark")
    ]
    assert [text.split(", ")[3] for text in said] == ["1.5 ms", "3.0 ms"]


def test_answers_of_twenty_classes_fit_and_have_the_numbers_that_matter(page, tmp_path):
    board, details = small()
    counts = [[90 if i == j else 10 if (i, j) == (3, 7) else 0 for j in range(20)] for i in range(20)]
    names = tuple(f"comp.sys.class-{k}.hardware" for k in range(20))
    details = details.model_copy(update={"confusions": {0: counts}, "class_names": {"d1": names}})
    path = tmp_path / "twenty.html"
    path.write_text(to_html(board, details), encoding="utf-8")
    page.load(path)
    page.click(page.all(".open")[0])
    cells = page.all(".confusion tbody td")
    texts = page.run("return arguments[0].map((cell) => cell.textContent)", cells)
    expected = {k * 20 + k: "100" for k in range(20)} | {3 * 20 + 3: "90", 3 * 20 + 7: "10"}
    assert {place: text for place, text in enumerate(texts) if text} == expected
    assert cells[3 * 20 + 7].get_attribute("title") == f"{names[3]}, answered {names[7]}: 10, 10.0 %"
    table = page.one(".confusion")
    assert table.size["width"] < 900
    assert table.size["height"] < 600
    page.resize(375, 812)  # the names stay at the left while the columns move
    name, region = page.all(".confusion tbody th")[3], page.one(".scroll:has(> .confusion)")
    at = name.rect["x"]
    page.run("arguments[0].scrollLeft = 200", region)
    assert page.run("return arguments[0].scrollLeft", region) == 200
    assert abs(name.rect["x"] - at) < 2
    by_class = page.texts(".by-class tbody tr")
    assert by_class[3].split() == [names[3], "100.0", "90.0", "94.7", "33"]


def test_chosen_rows_share_one_picture_of_curves(page):
    page.settle()
    panel = page.all(".curves")[0]
    assert len(panel.find_elements("css selector", ".chart path.line")) == 6, "two rows of three seeds"
    page.click(page.all("tr.row td.pick input")[0])
    assert len(panel.find_elements("css selector", ".chart path.line")) == 3
    assert panel.find_element("css selector", ".legend").text == "steady (tuned)"
    assert not page.all("tr.row td.pick input")[2].is_enabled(), "plain has no curves"


def test_the_slider_ranks_the_models_anew(page):
    slider = page.all(".slider input")[0]
    assert ranking(page) == ["late (tuned)", "steady (tuned)"]
    assert page.texts(".ranking li .mean") == ["90.0", "85.2"]
    slider.send_keys(*["\ue012"] * 9)  # arrow left
    assert page.texts(".slider output") == ["1 trial"]
    assert ranking(page) == ["steady (tuned)", "late (tuned)"]
    assert page.texts(".ranking li .mean") == ["85.1", "81.0"]
    slider.send_keys(*["\ue014"] * 4)
    assert (page.texts(".slider output"), ranking(page)[0]) == (["5 trials"], "steady (tuned)")
    slider.send_keys("\ue014")
    assert (page.texts(".slider output"), ranking(page)[0]) == (["6 trials"], "late (tuned)")
    (change,) = page.all(".changes tbody tr")
    assert change.text.startswith("5.2 late (tuned), takes the lead steady (tuned)")
    page.click(page.all(".searches input[value=seconds]")[0])
    assert page.texts(".slider output") == ["181 s"]
    items = page.texts(".ranking li")
    assert items[0].endswith("[80.0, 100.0]") or "90.0" in items[0]
    assert "stopped after 100 s: 85.2" in items[1]
    slider.send_keys("\ue011")  # Home
    assert page.texts(".slider output") == ["10.0 s"]
    assert "first trial may not be done before 20.0 s" in page.texts(".ranking li")[1]


def test_accuracy_against_cost_has_its_front_and_speaks(page):
    page.settle()
    panel = page.all(".cost")[0]
    marks = panel.find_elements("css selector", ".mark")
    assert len(marks) == 3
    said = [mark.get_attribute("aria-label") for mark in marks]
    assert said[0].startswith("plain (default), 85.0 % no interval, 0.50 s")
    assert all("no cheaper row has a higher mean" in text for text in said)
    page.run("arguments[0].focus()", marks[0])
    assert page.texts(".tip") == [
        "plain (default)\n85.0 % no interval\n0.50 s\nno cheaper row has a higher mean"
    ]
    page.press("\ue014")
    assert page.texts(".tip")[0].startswith("steady (tuned)")
    page.press("\ue00c")
    assert page.texts(".tip") == []
    cost = panel.find_element("css selector", "select")
    cost.send_keys("s")  # the next that begins so: seconds of the search
    assert cost.get_attribute("value") == "search_seconds"
    assert len(panel.find_elements("css selector", ".mark")) == 2, "a default has no search"
    assert "Not drawn, without a cost or a mean: 1" in panel.text


def test_the_front_is_of_rows_that_no_cheaper_one_beats(page, files):
    page.load(files / "large.html")
    page.settle()
    rows = [row for row in large()[0].rows if row.test_mean is not None]
    beaten = {
        row.name
        for row in rows
        for other in rows
        if other.train_seconds_median <= row.train_seconds_median and other.test_mean > row.test_mean
    }
    said = [mark.get_attribute("aria-label") for mark in page.all(".cost .mark")]
    front = {text.split(",")[0] for text in said if "no cheaper row" in text}
    assert len(said) == 26
    assert front == {row.name for row in rows} - beaten
    assert 1 < len(front) < 26


def test_examples_that_all_models_get_wrong(page):
    panel = page.one(".hard-examples")
    assert "31 test examples; 2 are listed" in panel.text
    first, second = panel.find_elements("css selector", ".hard > li")
    assert "truly pos" in first.text
    assert "said neg" in first.text
    assert "text not at hand" in second.text
    assert first.text.count("Not bad at all.") < 40
    page.click(first.find_element("css selector", "button"))
    assert first.text.count("Not bad at all.") == 40


def test_a_smoke_test_cannot_be_taken_for_a_result(page):
    smoke = page.one(".board.smoke")
    assert smoke.find_element("css selector", ".watermark").text == "SMOKE TEST - not a result"
    assert smoke.find_element("css selector", "td.rank").text == "SMOKE TEST"
    assert smoke.find_elements("css selector", ".cost, .searches") == []


def test_what_is_not_known_is_said(page):
    pretrained = page.all(".board")[1]
    assert "Learning curves: not recorded" in pretrained.text
    assert "Trials of a search: not recorded" in pretrained.text
    page.click(pretrained.find_element("css selector", ".open"))
    assert "Curves: not recorded" in pretrained.text
    assert "Answers: not recorded" in pretrained.text


def test_everything_can_be_reached_and_used_by_keyboard_alone(page):
    tab, enter, space = "\ue004", "\ue007", " "
    page.press(tab)
    assert page.run("return document.activeElement.textContent") == "Skip to the results"
    page.press(enter)
    assert page.run("return document.activeElement.id") == "content"
    until(page, "at.type === 'search'", tab)
    page.press(*"stea")
    assert models(page) == ["steady"]
    page.press(*["\ue003"] * 4)
    until(page, "at.closest('th')?.dataset.key === 'parameters'", tab)
    page.press(enter)
    assert models(page) == ["plain", "steady", "late"]
    until(page, "at.className === 'open' && at.textContent === 'steady'", tab)
    page.press(space)
    assert page.run("return document.activeElement.getAttribute('aria-expanded')") == "true"
    until(page, "at.closest('.comparison-list') !== null", tab)
    until(page, "at.closest('.cost') && at.getAttribute('role') === 'img' || at.matches('.cost select')", tab)
    until(page, "at.matches('.slider input')", tab)
    page.press("\ue011")
    assert ranking(page)[0] == "steady (tuned)"


def test_light_dark_phone_and_paper(page, files, tmp_path):
    for name in ("small", "large", "hostile"):
        page.resize(1280, 900)
        page.prefer(color_scheme="light")
        page.load(files / f"{name}.html")
        page.click(page.all(".open")[1])
        shots = {"light": page.screenshot(tmp_path / f"{name}-light.png")}
        assert worst_contrast(page)[0] >= 4.5, worst_contrast(page)
        page.prefer(color_scheme="dark")
        shots["dark"] = page.screenshot(tmp_path / f"{name}-dark.png")
        assert worst_contrast(page)[0] >= 4.5, worst_contrast(page)
        page.click(page.one("#theme input[value=light]"))
        assert page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(247, 248, 250)"
        page.click(page.one("#theme input[value=auto]"))
        assert page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(15, 19, 24)"
        page.prefer(color_scheme="light")
        page.resize(375, 812)
        shots["phone"] = page.screenshot(tmp_path / f"{name}-phone.png")
        assert page.overflow() <= 0
        page.click(page.all(".board-head input")[0])
        assert page.overflow() <= 0
        assert len(set(shots.values())) == 3
    assert page.pdf(tmp_path / "large.pdf").startswith(b"%PDF")


def worst_contrast(page):
    found = page.run(_CONTRASTS)
    assert len(found) > 100
    return min(found)


def test_on_a_phone_rows_are_sorted_by_a_choice(page):
    page.resize(375, 812)
    choice = page.all(".sort-choice select")[0]
    assert choice.is_displayed()
    choice.send_keys("param")
    assert models(page) == ["plain", "steady", "late"]


def test_on_paper_everything_is_open(page):
    # At once: a browser prints without drawing another frame.
    charts = "[...document.querySelectorAll('.chart')].filter((chart) => chart.checkVisibility())"
    print_now = "window.dispatchEvent(new Event('beforeprint'))"
    drawn = page.run(f"{print_now}; return {charts}.map((chart) => chart.childElementCount)")
    assert drawn == [1] * 8, "three, one and one of the sections, and those of three opened rows"
    assert {button.get_attribute("aria-expanded") for button in page.all(".open")} == {"true"}
    page.run("window.dispatchEvent(new Event('afterprint'))")
    assert {button.get_attribute("aria-expanded") for button in page.all(".open")} == {"false"}


def test_hostile_names_are_words(page, files):
    page.load(files / "hostile.html")
    page.run("window.alert = () => { window.hit = true; }")
    for button in page.all(".open"):
        page.click(button)
    page.settle()
    assert page.all("tr.row .open")[0].text == HOSTILE
    assert page.all("img") == []
    assert HOSTILE in page.one(".hard-examples").text
    assert page.run("return window.hit") is None
    assert page.run("return document.querySelectorAll('a[href^=\"javascript\" i]').length") == 0
    # And the policy would stop what got in: no inline handler runs.
    page.run(
        "const button = document.createElement('button');"
        "button.setAttribute('onclick', 'window.hit = true'); document.body.append(button); button.click()"
    )
    assert page.run("return window.hit") is None
    assert all("Content Security Policy" in line for line in page.console())


def test_the_script_makes_no_link_of_a_script(page, tmp_path):
    text = to_html(*small())
    changed = tmp_path / "changed.html"
    changed.write_text(text.replace("http://127.0.0.1:5000/#/compare-runs", "javascript:alert(1)"))
    page.load(changed)
    page.click(page.all(".open")[0])
    assert "MLflow\nnot recorded" in page.one("tr.more:not([hidden])").text
    assert page.all("main .facts a") == []


def test_without_javascript_the_plain_board_is_there(page, files):
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.load(files / "small.html")
        assert page.one("#plain").is_displayed()
        assert [cell.text for cell in page.all("#plain td") if cell.text in ("late", "quick")] == [
            "late",
            "quick",
        ]
        assert "JavaScript is off" in page.one("#plain").text
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_two_hundred_rows_can_be_opened_and_sorted(page, tmp_path):
    many = tmp_path / "many.html"
    many.write_text(to_html(*large(200, n_trials=3, every_search=False)), encoding="utf-8")
    page.load(many)
    assert len(page.all("tr.row")) == 200
    page.click(head(page, "train_seconds_median").find_element("css selector", "button"))
    place = page.run("return arguments[0].cellIndex", head(page, "train_seconds_median"))
    texts = page.run(
        "return [...document.querySelectorAll('tr.row')].map(row => row.cells[arguments[0]].textContent)",
        place,
    )
    shown = [float(text.replace(",", "")) for text in texts]
    assert shown == sorted(shown)
