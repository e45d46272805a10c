"""The runs that confirm the best configurations of a search, as a user meets them."""

import csv
import json
from pathlib import Path

import pytest
from guessing import GUESS, write_guessing
from mlflow import MlflowClient
from processes import check_slots, of_kind, outcome, runs

from benchmark import leaderboard, sweep
from benchmark.board.page_content import read_details
from benchmark.board.stored_board import read_board
from benchmark.plan import space
from benchmark.spec.config import CONFIRMING
from benchmark.tracking import names
from benchmark.tracking.store import StoreClient

WORDS = [*GUESS, "--seeds", "3"]


@pytest.fixture(autouse=True)
def _guessing(sample):
    write_guessing()
    Path("go").touch()


def test_what_confirms_is_recorded_and_counted_like_other_trials(sample, capsys):
    assert sweep.main(WORDS) == 0
    said = capsys.readouterr().out
    assert ": 6 trials, 6 final runs to do" in said
    assert "| 6/6 trials" in said
    found = runs()
    trials = of_kind(found, names.TRIAL_RUN, "ok")
    check_slots(trials, 4, further=2)
    further = [run for run in trials if int(run.data.tags[names.TRIAL]) >= CONFIRMING]
    assert {run.info.run_name for run in further} == {
        f"guessing trial {int(run.data.tags[names.TRIAL]) - CONFIRMING} run 2" for run in further
    }
    (parent,) = of_kind(found, names.SWEEP)
    assert parent.data.metrics[names.SEARCH_TRIALS] == 6
    seconds = sum(run.data.metrics[names.TRAIN_SECONDS] for run in trials)
    assert parent.data.metrics[names.SEARCH_SECONDS] == pytest.approx(seconds)
    client = StoreClient("sqlite:///mlruns/mlflow.db")
    table = Path(client.download_artifacts(parent.info.run_id, names.TRIALS_CSV))
    with table.open(newline="") as file:
        rows = [(int(row["trial"]), int(row["run"])) for row in csv.DictReader(file)]
    first = [int(run.data.tags[names.TRIAL]) - CONFIRMING for run in further]
    assert rows == [(slot, 1) for slot in range(4)] + [(slot, 2) for slot in sorted(first)]
    assert leaderboard.main(["--dataset", "sample", "--format", "json"]) == 0
    tuned = [row for row in json.loads(capsys.readouterr().out)["rows"] if "tuned" in row["tier"]]
    assert [row["search_trials"] for row in tuned] == [6]
    # The curves of a search's budget are about what its sampler proposed.
    client = MlflowClient("sqlite:///mlruns/mlflow.db")
    board = read_board(client, "sample", Path("mlruns/ledger.jsonl"))
    (searched,) = read_details(client, "sample", board).searches.values()
    assert len(searched) == 4


def test_a_sweep_that_was_finished_before_is_left_alone(sample, monkeypatch, capsys):
    budget = space.get_budget("quick")
    with monkeypatch.context() as patch:
        former = budget.model_copy(update={"confirm": None})
        patch.setattr(space, "get_budget", lambda name: former)
        assert sweep.main(WORDS) == 0
    (journal,) = Path("mlruns/studies").glob("*.journal")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(line for line in lines if b'"settings"' not in line))
    before, content = outcome(runs()), journal.read_bytes()
    capsys.readouterr()
    assert sweep.main(WORDS) == 0
    assert "nothing to do: 4 of 4 trials and all final runs" in capsys.readouterr().out
    assert outcome(runs()) == before
    assert len(runs()) == 1 + len(before)
    assert b"trial" not in journal.read_bytes()[len(content) :]
