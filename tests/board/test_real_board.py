"""A board of the real reviews: its page in a browser, its verdicts, and its ledger."""

import json
from pathlib import Path

import pytest
from browser import open_page

from benchmark import compare, leaderboard, ledger, sweep

pytestmark = pytest.mark.imdb

FAST, SLOW = ("majority", "flatten", "avg-pool"), ("fasttext", "transformer")


@pytest.fixture(scope="module")
def folder(real_data, tmp_path_factory):
    """Five architectures: four seeds of the fast ones, one run of the slow ones on few texts."""
    folder = tmp_path_factory.mktemp("board")
    common = ["--dataset", "imdb", "--data-dir", str(real_data), "--json"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for models, limits in (
            (FAST, "--trials 2 --seeds 4 --epochs 3"),
            (SLOW, "--trials 1 --seeds 1 --epochs 1 --train-examples 2000"),
        ):
            named = [word for model in models for word in ("--model", model)]
            assert sweep.main([*named, *common, *limits.split()]) == 0
        assert leaderboard.main(["--dataset", "imdb", "--format", "html", "--output", "board.html"]) == 0
    return folder


@pytest.fixture
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def test_the_page_of_a_real_board_in_a_browser(inside, tmp_path):
    with open_page(inside / "board.html") as page:
        names = page.texts(".board:first-of-type tr.row .open")
        assert set(names) == {*FAST, *SLOW}
        page.click(page.all("th[data-key=train_seconds_median] button")[0])
        assert page.texts(".board:first-of-type tr.row .open")[0] == "majority"
        words = page.one("input[type=search]")
        words.send_keys("avg")
        assert set(page.texts(".board:first-of-type tr.row .open")) == {"avg-pool"}
        button = next(one for one in page.all("tr.row .open") if one.text == "avg-pool")
        page.click(button)
        page.settle()
        detail = page.one(f"#{button.get_attribute('aria-controls')}")
        assert detail.is_displayed()
        assert len(detail.find_elements("css selector", "svg path.line.thin")) >= 4
        cells = [cell.text for cell in detail.find_elements("css selector", ".confusion tbody td")]
        assert len(cells) == 4
        before = page.texts(".ranking li")
        slider = page.all("input[type=range]")[0]
        page.run("arguments[0].value = arguments[0].min", slider)
        page.run("arguments[0].dispatchEvent(new Event('input', {bubbles: true}))", slider)
        assert page.texts(".ranking li") != before
        shots = []
        for scheme, width in (("light", 1280), ("dark", 1280), ("light", 375)):
            page.prefer(color_scheme=scheme)
            page.resize(width, 900)
            page.settle()
            assert page.overflow() <= 0
            shots.append(page.screenshot(tmp_path / f"{scheme}-{width}.png"))
        assert len(set(shots)) == 3
        assert page.console() == []
        assert page.requests_beyond_the_disk() == []


def test_the_texts_that_all_get_wrong_are_there(inside):
    page = (inside / "board.html").read_text()
    data = json.loads(
        page.partition('type="application/json"')[2].partition(">")[2].partition("</script>")[0]
    )
    (examples,) = data["hard"].values()
    assert examples
    assert all(
        example["text"] and example["label"] not in example["answers"].values() for example in examples
    )


def test_verdicts_on_real_runs(inside, capsys):
    assert compare.main(["avg-pool", "majority", "--dataset", "imdb"]) == 0
    assert capsys.readouterr().out.startswith("avg-pool is better than majority by ")
    assert compare.main(["fasttext", "avg-pool", "--dataset", "imdb"]) == 2
    assert "needs 3 seeds with predictions, and fasttext (default) has 1" in capsys.readouterr().err


def test_the_ledger_accounts_for_every_run(inside, capsys):
    assert ledger.main(["verify"]) == 0
    assert "ledger intact" in capsys.readouterr().out
    whole = Path("mlruns/ledger.jsonl").read_bytes()
    Path("mlruns/ledger.jsonl").write_bytes(b"".join(whole.splitlines(keepends=True)[:-2]))
    assert ledger.main(["verify"]) == 1
    Path("mlruns/ledger.jsonl").write_bytes(whole)
