"""The command ``curve`` as a user runs it: few texts of the built-in data set, real stores."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ledgers import reads
from processes import kill, of_kind, repeated, runs

from benchmark import curve, leaderboard, ledger
from benchmark.api import UserError
from benchmark.api import curve as curve_of
from benchmark.board import size_curves
from benchmark.tracking import names

MODELS = ("--model", "nbsvm", "--model", "majority", "--dataset", "sample")
SIZES = ("--sizes", "40,200,all")
LEDGER = Path("mlruns/ledger.jsonl")


def run(*words, code=0):
    assert curve.main([str(word) for word in words]) == code


def points(capsys, *words, code=0):
    run(*words, "--format", "json", code=code)
    found = json.loads(capsys.readouterr().out)
    return {(one["model"], one["texts"]): one for one in found["points"]}


@pytest.fixture(scope="module")
def finished(sample, tmp_path_factory):
    """A folder in which a curve was measured, and what was printed as JSON."""
    folder = tmp_path_factory.mktemp("curve")
    code = "import sys; from benchmark import curve; sys.exit(curve.main(sys.argv[1:]))"
    words = [*MODELS, *SIZES, "--seeds", "3", "--format", "json", "--picture", "curve.png"]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (folder / "printed.json").write_text(done.stdout)
    return folder


def test_from_nothing_to_a_table_of_paired_verdicts(finished, sample, monkeypatch):
    monkeypatch.chdir(finished)
    printed = json.loads(Path("printed.json").read_text())
    found = {(one["model"], one["texts"]): one for one in printed["points"]}
    assert list(found) == [(model, texts) for model in ("nbsvm", "majority") for texts in (40, 200, 4000)]
    assert all(one["seeds"] == [0, 1, 2] and one["seeds_expected"] == 3 for one in found.values())
    means = [found["nbsvm", texts]["mean"] for texts in (40, 200, 4000)]
    assert means == sorted(means)
    assert means[-1] > 0.8
    assert {found["majority", texts]["mean"] for texts in (40, 200, 4000)} == {0.5}
    outcomes = {
        (one["a"]["model"], one["a"]["texts"], one["b"]["model"], one["b"]["texts"]): one["outcome"]
        for one in printed["comparisons"]
    }
    assert outcomes["nbsvm", 4000, "majority", 4000] == "better"
    assert outcomes["majority", 4000, "majority", 200] == "equivalent"
    assert ("nbsvm", 200, "nbsvm", 40) not in outcomes  # the last step alone
    assert len(outcomes) == 3 + 2
    assert printed["sentences"][0].startswith("nbsvm and majority: ")
    assert Path("curve.png").read_bytes().startswith(b"\x89PNG")

    (parents, children) = (of_kind(runs(), kind) for kind in (names.CURVE, names.CURVE_RUN))
    assert (len(parents), len(children)) == (6, 18)
    assert {run.data.tags[names.CURVE_POINT] for run in children} == {"40", "200", "4000"}
    assert reads(LEDGER, sample.digest) == {"nbsvm": 9, "majority": 9}
    assert ledger.main(["verify"]) == 0


def test_all_models_and_larger_sizes_get_the_texts_of_a_draw(finished, sample, monkeypatch):
    from benchmark.spec.config import RunSpec, ViewSettings
    from benchmark.tracking.runs import find_runs, read_spec
    from benchmark.tracking.store import StoreClient, resolve_uri
    from benchmark.training.train import share_of

    monkeypatch.chdir(finished)
    client = StoreClient(resolve_uri(None, Path("mlruns")))
    drawn = {}
    for stored in find_runs(client, "sample", (names.CURVE_RUN,)):
        spec: RunSpec = read_spec(client, stored.run_id)
        texts = int(stored.tags[names.CURVE_POINT])
        assert spec.train_examples == (None if texts == 4000 else texts)
        for view in (None, ViewSettings()):
            rows = share_of(sample.view("train", view), spec).rows.tolist()
            assert drawn.setdefault((texts, stored.seed), rows) == rows
    assert {(texts, len(rows)) for (texts, _), rows in drawn.items()} == {(40, 40), (200, 200), (4000, 4000)}
    for seed in range(3):
        assert {*drawn[40, seed]} < {*drawn[200, seed]} < {*drawn[4000, seed]}
    assert drawn[40, 0] != drawn[40, 1]


def test_no_board_counts_its_runs_and_the_page_has_a_panel(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished)
    assert leaderboard.main(["--dataset", "sample", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == []
    assert leaderboard.main(["--dataset", "sample", "--format", "html"]) == 0
    page = capsys.readouterr().out
    assert page.count('<section class="board sizes">') == 1
    assert "nbsvm with 4,000 texts is better than nbsvm with 200 texts" in page
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    (drawn,) = data["sizeCurves"]
    assert [line["model"] for line in drawn["lines"]] == ["majority", "nbsvm"]
    assert [point[0] for point in drawn["lines"][1]["points"]] == [40, 200, 4000]


def test_the_same_again_trains_nothing_and_more_seeds_only_add(sample, capsys):
    words = (*MODELS, "--sizes", "40,200")
    first = points(capsys, *words[:-1], "40", "200", "--seeds", 2)
    assert first["nbsvm", 40]["ci_low"] is None
    run(*words, "--seeds", 2)
    printed = capsys.readouterr().out
    assert "nothing to do: all 8 runs are there" in printed
    assert "nothing is compared: that takes 3 draws" in printed
    more = points(capsys, *words, "--seeds", 3)
    assert more["nbsvm", 40]["values"][:2] == first["nbsvm", 40]["values"]
    assert len(of_kind(runs(), names.CURVE_RUN)) == 12


def test_final_runs_of_a_sweep_are_taken_where_they_are_the_same(copied_sweep, capsys):
    before = reads(LEDGER)["tfidf-logreg"]
    found = points(
        capsys, "--model", "tfidf-logreg", "--dataset", "sample", "--sizes", "40,all", "--seeds", 3
    )
    finals = of_kind(runs(), names.FINAL_RUN)
    taken = [run.info.run_id for run in finals if names.CURVE_POINT in run.data.tags]
    assert sorted(found["tfidf-logreg", 4000]["run_ids"]) == sorted(taken)
    assert len(taken) == 3
    assert reads(LEDGER)["tfidf-logreg"] == before + 3
    # The board has the same rows as before, and the page the whole curve.
    assert leaderboard.main(["--dataset", "sample", "--format", "html"]) == 0
    data = json.loads(capsys.readouterr().out.partition('id="data">')[2].partition("</script>")[0])
    assert {row["model"] for row in data["rows"]} == {"tfidf-logreg", "majority", "avg-pool"}
    assert [point[0] for point in data["sizeCurves"][0]["lines"][0]["points"]] == [40, 4000]


@pytest.mark.long
def test_killed_without_warning_it_goes_on_and_trains_nothing_twice(sample, tmp_path, monkeypatch, capsys):
    words = (*MODELS, *SIZES, "--seeds", "4")
    values = []
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        if name == "killed":
            command = [sys.executable, "-m", "benchmark.curve", *words]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                for line in process.stdout:
                    if line.startswith("200 texts seed 1: ok"):
                        break
                kill(process.pid)
            assert 0 < len(of_kind(runs(), names.CURVE_RUN, "ok")) < 24
        found = points(capsys, *words)
        assert repeated(runs(), names.CURVE_RUN) == {}
        assert not [run for run in runs() if run.info.status == "RUNNING"]
        assert len(of_kind(runs(), names.CURVE_RUN, "ok")) == 24
        values.append({point: one["values"] for point, one in found.items()})
    assert values[0] == values[1]


@pytest.mark.long
def test_a_network_is_scaled_to_few_texts_and_says_so(sample, capsys):
    words = ("--model", "avg-pool", "--model", "nbsvm", "--dataset", "sample", "--sizes", "60,120")
    found = points(capsys, *words, "--seeds", 1, "--set", "avg-pool.epochs=2")
    assert found["avg-pool", 60]["scaled"].startswith("batch_size 2")
    assert found["avg-pool", 120]["scaled"].startswith("batch_size 4")
    assert "epochs" not in found["avg-pool", 60]["scaled"]
    assert found["nbsvm", 60]["scaled"] == ""
    run(*words, "--seeds", 1, "--set", "avg-pool.epochs=2", "--format", "md")
    printed = capsys.readouterr().out
    assert "avg-pool: its default is scaled to few texts: 60 (batch_size 2" in printed
    assert "Early stopping of networks reads the labels of the whole validation split" in printed
    run(*words, "--seeds", 1, "--dry-run")
    assert (
        "avg-pool: 1 draw of 60 texts, default scaled to few texts: batch_size 2" in capsys.readouterr().out
    )


@pytest.mark.long
def test_a_model_with_two_settings_is_two_lines_of_the_page(sample, capsys):
    from benchmark.tracking.store import StoreClient, resolve_uri

    words = ("--model", "nbsvm", "--dataset", "sample", "--sizes", "40,200", "--seeds", 1)
    run(*words)
    run(*words, "--set", "ngrams=1")
    run(*words, "--metric", "macro_f1")
    capsys.readouterr()
    client = StoreClient(resolve_uri(None, Path("mlruns")))
    by_metric = {one.metric.name: one for one in size_curves.read_size_curves(client, "sample")}
    assert by_metric["accuracy"].models == ["nbsvm", "nbsvm ngrams=1"]
    assert by_metric["macro_f1"].models == ["nbsvm"]
    assert size_curves.read_size_curves(client, "sample", ["elsewhere"]) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--sizes", "100,many"), "--sizes: '100,many': expected numbers of texts and all, as 100,300,1000"),
        (("--sizes", "100,,300"), "expected numbers of texts and all"),
        (("--sizes", "0,300"), "expected numbers of texts and all"),
        (("--sizes", "100,-3"), "expected numbers of texts and all"),
        (("--sizes", "300"), "--sizes 300: a curve has two sizes at least"),
        (("--sizes", "100,300,100"), "--sizes 100: is there twice"),
        (("--sizes", "1,300"), "--sizes 1: so few texts have none of class 'pos'; expected 2 or more"),
        (("--sizes", "100,5000"), "--sizes 5000: 'sample' has 4,000 training texts; write all for these"),
        (("--sizes", "4000,all"), "--sizes all: these are all training texts of 'sample'"),
        (("--sizes", "100,all", "--model", "majority"), "--model majority: is there twice"),
        (("--sizes", "100,all", "--model", "nbsvmm"), "there is no model named 'nbsvmm'; did you mean"),
        (("--sizes", "100,all", "--folds", "5"), "--folds 5: a curve reads one test split at all sizes"),
        (("--sizes", "100,all", "--picture", "a.pdf"), "--picture a.pdf: expected a name that ends in"),
        (("--sizes", "100,all", "--set", "units=3"), "--set units: 'majority' has no such parameter"),
        (("--sizes", "100,all", "--metric", "f1"), "--metric f1: there is none of this name"),
        (("--sizes", "100,all", "--format", "html"), "--format: 'html' is not a format"),
    ],
)
def test_a_wrong_request_is_one_line_and_starts_nothing(words, message, sample, capsys):
    run("--model", "majority", "--dataset", "sample", *words, code=2)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert message in line
    assert not Path("mlruns").exists()


def test_a_rare_class_needs_a_size_in_which_it_is(tmp_path, own_cache, capsys):
    rows = [f"text number {n} is {'bad' if n % 20 == 0 else 'fine'},{int(n % 20 == 0)}" for n in range(400)]
    Path("rare.csv").write_text("\n".join(["text,label", *rows]))
    run("--model", "majority", "--dataset", "csv:rare.csv", "--sizes", "8,all", code=2)
    assert "--sizes 8: so few texts have none of class '1'; expected 1" in capsys.readouterr().err


def test_as_a_function_it_is_a_value(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished)
    found = curve_of(["nbsvm", "majority"], dataset="sample", sizes=[40, 200, "all"], seeds=3)
    assert list(found.to_frame()["texts"]) == [40, 200, 4000] * 2
    assert found.sentences[0].startswith("nbsvm and majority: ")
    assert found.sentences[0] in repr(found)
    html = found._repr_html_()
    assert "<table>" in html
    assert "<script" not in html
    assert found.figure()._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(UserError, match="`format` csv: is for the command"):
        curve_of("nbsvm", sizes="40,all", format="csv")
    planned = curve_of("nbsvm", dataset="sample", sizes=[40, 200], seeds=2, dry_run=True)
    assert list(planned.to_frame()["texts"]) == [40, 200]


@pytest.mark.long
def test_workers_give_what_this_process_does(finished, tmp_path, monkeypatch, capsys):
    expected = {
        (one["model"], one["texts"]): one["values"]
        for one in json.loads((finished / "printed.json").read_text())["points"]
    }
    found = points(capsys, *MODELS, *SIZES, "--seeds", 3, "--workers", 2)
    assert {point: one["values"] for point, one in found.items()} == expected


def test_csv_holds_a_line_a_point(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished)
    run(*MODELS, *SIZES, "--seeds", 3, "--format", "csv")
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.startswith("dataset,model,texts,metric,mean,ci_low,ci_high,values,")
    assert len(lines) == 6
