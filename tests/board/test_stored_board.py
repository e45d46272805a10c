"""Where commands get their board: data sets that share a name, and what sweeps and the ledger know."""

import csv
import io
import json
from pathlib import Path

import pytest

from benchmark import compare, leaderboard, predict, ui
from benchmark.board.stored_board import experiment_of, read_board
from benchmark.data.ledger_chain import append
from benchmark.support.errors import UserError
from benchmark.tracking import names
from benchmark.tracking.store import StoreClient, connect

LEDGER = Path("mlruns/ledger.jsonl")
FORMATS = ("table", "md", "csv", "json", "tex", "html")
OLD, NEW = "aaaa1111" + "0" * 24, "aaaa2222" + "0" * 24


class Made:
    """A store with one sweep for each data set: final runs of two models without predictions."""

    def __init__(self, uri):
        from mlflow.entities import Dataset, DatasetInput

        self.uri, self.client = uri, connect(uri)
        self._input = lambda *words: DatasetInput(Dataset(*words, profile=None, schema=None), [])
        self._experiment = None

    def sweep(self, digest, home, now, **tags):
        client = self.client
        self._experiment = self._experiment or client.create_experiment("csv-reviews")
        own = {names.DATASET: "csv-reviews", names.DATASET_DIGEST: digest, names.STUDY: f"study-{digest}"}
        whole = {**own, names.KIND: names.SWEEP, names.SEEDS_EXPECTED: "1", **tags}
        run = client.create_run(self._experiment, start_time=now, tags=whole)
        source = json.dumps({"home": home})
        client.log_inputs(run.info.run_id, [self._input("csv-reviews", digest, "local", source)])
        for model, accuracy in (("lstm", 0.9), ("nbsvm", 0.8)):
            final = {
                **own, names.KIND: names.FINAL_RUN, names.MODEL: model, names.TIER: names.BOTH_TIERS,
                names.BUDGET: "quick", names.SEED: "0", names.STATUS: "ok", names.PROTOCOL: "inductive",
                names.SPEC_ID: f"{model} {digest}",
            }  # fmt: skip
            run = client.create_run(self._experiment, start_time=now, tags=final)
            client.log_metric(run.info.run_id, names.TEST_ACCURACY, accuracy)
            client.set_terminated(run.info.run_id, end_time=now)


@pytest.fixture
def one(uri):
    """A store with one data set, whose search ended early and whose test split repeats training texts."""
    made = Made(uri)
    more = {names.TEST_DUPLICATES: "123 of 25000", names.SEARCH_ENDED: "after 1 of 8 trials: out of time"}
    made.sweep(OLD, "/data/a/reviews.csv", 1_700_000_000_000, **more)
    return made


@pytest.fixture
def two(one):
    """The same, and a newer data set of that name."""
    one.sweep(NEW, "/data/b/reviews.csv", 1_800_000_000_000)
    return one


def printed(capsys, *words):
    assert leaderboard.main(words) == 0
    return capsys.readouterr().out


def test_a_single_data_set_goes_by_its_name(one, capsys):
    text = printed(capsys, "--dataset", "csv-reviews")
    assert "\n\ncsv-reviews, budget quick\n" in text
    assert "@" not in text


def test_data_sets_of_one_name_are_told_apart(two, capsys):
    for form in FORMATS:
        text = printed(capsys, "--dataset", "csv-reviews", "--format", form)
        for label in ("csv-reviews@aaaa1111", "csv-reviews@aaaa2222"):
            assert label in text, form
        assert form == "csv" or "/data/b/reviews.csv" in text, form


def test_one_of_them_can_be_chosen(two, capsys):
    for asked in ("csv-reviews@aaaa1", "csv-reviews@" + OLD, "csv:/data/a/reviews.csv"):
        rows = json.loads(printed(capsys, "--dataset", asked, "--format", "json"))["rows"]
        assert {row["dataset_digest"] for row in rows} == {OLD}


def test_what_a_user_names_is_parsed():
    Path("data@2024").mkdir()
    assert experiment_of("csv:data@2024") == "csv-data-2024"  # it is there, so it is a path
    assert experiment_of("csv:data/x.csv@abc1") == experiment_of("csv-x@abc1") == "csv-x"


def test_a_choice_that_is_none_is_refused(two, capsys):
    for run, *words in (
        (compare.main, "lstm", "nbsvm", "--dataset", "csv-reviews"),
        (compare.main, "lstm", "nbsvm"),
        (predict.main, "a text", "--best", "csv-reviews@aaaa"),
        (predict.main, "a text", "--best", "csv:/data/c/reviews.csv"),
        (leaderboard.main, "--dataset", "csv-reviews@b"),
    ):
        assert run(words) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        for known in ("csv-reviews@aaaa1111", "/data/a/reviews.csv", "csv-reviews@aaaa2222"):
            assert known in error


def test_a_sweep_reads_the_board_of_its_own_data(two):
    assert {row.dataset for row in read_board(two.client, "csv-reviews", LEDGER, digest=NEW).rows} == {
        "csv-reviews@aaaa2222"
    }
    with pytest.raises(UserError, match="no digest"):
        read_board(two.client, "csv-reviews@f", LEDGER)


def test_the_ui_compares_rows_of_one_data_set(two):
    lines = ui.addresses(two.client, "http://h")
    assert [line.partition(", compared")[0] for line in lines if "compared" in line] == [
        "  the board's rows of csv-reviews@aaaa1111",
        "  the board's rows of csv-reviews@aaaa2222",
    ]
    (experiment,) = [one for one in two.client.search_experiments() if one.name == "csv-reviews"]
    assert experiment.tags[names.EXPERIMENT_KIND] == names.MODEL_DEVELOPMENT  # the store is an older one


def test_duplicates_and_an_early_end_are_in_every_format(one, capsys):
    for form in FORMATS:
        text = printed(capsys, "--format", form).replace("\\%", "%")
        assert "123 of 25,000 (0.49 %)" in text, form
        assert "search stopped early: after 1 of 8 trials: out of time" in text, form


def test_no_duplicates_are_no_line(uri, capsys):
    Made(uri).sweep(OLD, "here", 1_700_000_000_000, **{names.TEST_DUPLICATES: "0 of 25000"})
    text = printed(capsys)
    assert "also in the training split" not in text
    assert "ended early" not in text


def test_both_ways_of_reading_give_the_same_board(two):
    lazy = StoreClient(two.uri)
    for asked in ("csv-reviews", "csv-reviews@" + OLD):
        assert read_board(lazy, asked, LEDGER) == read_board(two.client, asked, LEDGER)
    (row, *_) = read_board(lazy, "csv-reviews@" + OLD, LEDGER).rows
    assert (row.test_duplicates, row.test_reads_unrecorded) == ("123 of 25,000 (0.49 %)", 1)


def enter(model, digest):
    append(LEDGER, {"spec_id": f"{model} {digest}", "model": model, "dataset": "x", "dataset_digest": digest})


def test_runs_without_an_entry_in_the_ledger_are_counted(one, capsys):
    enter("lstm", OLD)
    enter("lstm", OLD)
    enter("nbsvm", NEW)  # the ledger of this folder knows other data, too
    text = printed(capsys)
    assert "lstm 2, nbsvm at least 1; 1 of these runs have no entry in the ledger" in text
    lstm, nbsvm = list(csv.DictReader(io.StringIO(printed(capsys, "--format", "csv"))))[::2]
    assert [row["test_reads_unrecorded"] for row in (lstm, nbsvm)] == ["0", "1"]
    enter("nbsvm", OLD)
    assert "at least" not in printed(capsys)
    LEDGER.write_bytes(b"".join(LEDGER.read_bytes().splitlines(keepends=True)[:1]))
    assert "lstm 1, nbsvm at least 1" in printed(capsys)
    LEDGER.unlink()
    assert "lstm at least 1, nbsvm at least 1; 2 of these runs" in printed(capsys)
