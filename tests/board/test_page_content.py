"""What the board's page shows beyond the board, from a real store."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ledgers import reads

from benchmark import leaderboard, ui
from benchmark.board.page_content import compare_address, read_details
from benchmark.board.ranking import as_printed
from benchmark.board.stored_board import read_board
from benchmark.data.ledger_chain import SHOWN, read_test_texts
from benchmark.data.prepare import find_prepared
from benchmark.metrics.metric import ranking_metrics
from benchmark.tracking import names
from benchmark.tracking.predictions import PredictionReader, read_predictions
from benchmark.tracking.store import StoreClient, connect, resolve_uri

LEDGER = Path("mlruns/ledger.jsonl")
EXPERIMENT = "1"


@pytest.fixture
def store(copied_sweep):
    return connect(resolve_uri(None, Path("mlruns")))


@pytest.fixture
def board(store):
    return read_board(store, "sample", LEDGER)


def test_answers_are_those_of_the_predictions_and_kept(store, board, own_cache):
    run_id = board.rows[0].run_ids[0]
    read = read_predictions(store, run_id)
    assert read.threshold is None
    expected = read.probabilities.argmax(axis=1) == read.labels
    assert (PredictionReader(store).right(run_id) == expected).all()
    assert expected.mean() == pytest.approx(board.rows[0].test_values[0])
    assert (PredictionReader(None).right(run_id) == expected).all()  # asks no store again
    (kept,) = (own_cache / "answers").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1])  # cut short: read again
    lazy = StoreClient(resolve_uri(None, Path("mlruns")))
    assert (PredictionReader(lazy).right(run_id) == expected).all()
    assert vars(lazy)["_client"] is None  # a file on this disk is read without MLflow


def test_a_run_without_predictions_has_no_answers(store):
    (parent,) = {
        run.data.tags[names.PARENT]
        for run in store.search_runs(["1"], "tags.`benchmark.model` = 'avg-pool'")
        if names.PARENT in run.data.tags
    }
    lazy = StoreClient(resolve_uri(None, Path("mlruns")))
    for client in (store, lazy):
        assert PredictionReader(client).right(parent) is None
        assert PredictionReader(client).right("no such run") is None


def test_curves_trials_and_confusions(store, board, sample):
    details = read_details(store, "sample", board)
    for place, row in enumerate(as_printed(board).rows):
        counts = np.array(details.confusions[place])
        assert counts.shape == (2, 2)
        assert counts.sum() == row.n_seeds * sample.sizes["test"]
        assert np.trace(counts) / counts.sum() == pytest.approx(row.test_mean)
        curves = details.curves[place]
        epochs = 2 if row.model == "avg-pool" else 1
        assert [one["seed"] for one in curves] == [0, 1, 2]
        assert all(len(one["val_accuracy"]) == len(one["loss"]) == epochs for one in curves)
        if "tuned" in row.tier:
            assert len(details.searches[place]) == (2 if row.model == "avg-pool" else 1)
            assert all(value is not None and seconds > 0 for value, seconds in details.searches[place])
        else:
            assert place not in details.searches
    assert details.class_names == {sample.digest: sample.class_names}
    assert details.links == {}


def test_hard_examples_are_wrong_in_every_row(store, board, sample):
    details = read_details(store, "sample", board)
    learned = [row for row in as_printed(board).rows if row.model != "majority"]
    examples = details.hard_examples[sample.digest]
    assert 0 < len(examples) <= details.hard_total[sample.digest]
    for example in examples:
        assert example["text"] is None
        assert set(example["answers"]) == {row.name for row in learned}
        assert example["label"] not in example["answers"].values()
    wrong = np.logical_and.reduce(
        [
            np.mean([PredictionReader(store).right(run_id) for run_id in row.run_ids], axis=0) < 0.5
            for row in learned
        ]
    )
    assert {example["index"] for example in examples} <= set(np.flatnonzero(wrong))
    assert details.hard_total[sample.digest] == wrong.sum()


def test_shown_texts_are_a_look_in_the_ledger(store, board, sample):
    before = reads(LEDGER, sample.digest)
    texts = read_test_texts(find_prepared(sample.digest), np.array([2, 0]), LEDGER)
    assert texts == read_test_texts(find_prepared(sample.digest), np.array([0, 2]), LEDGER)[::-1]
    assert reads(LEDGER, sample.digest) == before + Counter({SHOWN: 2})


def test_data_that_is_not_here_is_not_found():
    assert find_prepared("no such digest") is None


def test_the_page_has_texts_where_the_data_is_at_hand(store, board, sample, capsys):
    before = reads(LEDGER)[SHOWN]
    assert leaderboard.main(["--dataset", "sample", "--format", "html", "--output", "board.html"]) == 0
    page = Path("board.html").read_text()
    example = read_details(store, "sample", board).hard_examples[sample.digest][0]
    (text,) = read_test_texts(sample, np.array([example["index"]]), LEDGER)
    assert text.partition("<")[0] in page
    assert reads(LEDGER)[SHOWN] == before + 2  # one for the page, one here


def test_the_page_can_be_switched_to_every_metric_that_ranks(store, board, capsys):
    words = ["--dataset", "sample", "--format", "html", "--metric", "macro_f1", "--margin", "2"]
    assert leaderboard.main([*words, "--output", "board.html"]) == 0
    page = Path("board.html").read_text()
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert data["label"] == "macro F1"
    shown = [
        list(view["metrics"])[-1] if view["label"] != "accuracy" else "accuracy" for view in data["others"]
    ]
    assert shown == [name for name in ranking_metrics() if name != "macro_f1"]
    margins = {
        view["label"]: view["metrics"][name]["margin"]
        for name, view in zip(shown, data["others"], strict=True)
    }
    assert data["metrics"]["macro_f1"]["margin"] == margins["accuracy"] == 0.02
    assert margins["log loss"] is None  # two points are no margin of a loss
    for name, view in zip(shown, data["others"], strict=True):
        expected = as_printed(read_board(store, "sample", LEDGER, metric=name))
        means = [
            {**data["rows"][place], **view["rows"][place]}["test_mean"]
            for place in view["sections"][0]["rows"]
        ]
        assert means == pytest.approx([row.test_mean for row in expected.rows], rel=1e-5)


def test_a_page_that_cannot_be_written_shows_no_texts(copied_sweep, capsys):
    before = LEDGER.read_bytes()
    assert leaderboard.main(["--format", "html", "--output", "nowhere/board.html"]) == 2
    assert capsys.readouterr().err == "error: --output nowhere/board.html: there is no folder nowhere\n"
    assert LEDGER.read_bytes() == before


def test_addresses_of_the_ui(store, board):
    lines = ui.addresses(store, "http://127.0.0.1:5000")
    assert lines[0].startswith("sample: http://127.0.0.1:5000/#/experiments/")
    charts, compared = lines[1:]
    assert "/runs?compareRunsMode=CHART" in charts
    for run_id in {row.run_ids[0] for row in board.rows}:
        assert run_id in compared
    assert compare_address("http://h", "1", ["a"]) == "http://h/#/experiments/1/runs/a"


def test_the_sweep_left_its_board_in_mlflow(store, board):
    runs = store.search_runs([EXPERIMENT], "tags.`benchmark.kind` = 'sweep'")
    assert len(runs) == 3
    for run in runs:
        assert "| rank | model | tier |" in run.data.tags[names.NOTE]
        page = Path(store.download_artifacts(run.info.run_id, names.BOARD_HTML)).read_text()
        assert page.startswith("<!doctype html>")
        assert "tfidf-logreg" in page
    assert "tfidf-logreg" in store.get_experiment(EXPERIMENT).tags[names.NOTE]
