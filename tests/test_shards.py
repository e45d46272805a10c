"""Shards made in folders of their own, and joined: the same as one undivided sweep, bit by bit."""

import contextlib
import json
import re
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import numpy as np
import optuna
import pytest
from processes import of_kind, outcome, repeated, runs

from benchmark import leaderboard, ledger, merge, sweep
from benchmark.data.ledger import read_entries
from benchmark.search.journal import open_journal
from benchmark.search.presence import open_presence
from benchmark.tracking import names
from benchmark.tracking.spool import Spool
from benchmark.tracking.stored_runs import artifact

MODEL = '''
"""A linear model whose fit depends on its seed."""
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import Pipeline

INPUT = "texts"


def build(task, *, bits: int = 4, alpha: float = 0.1):
    linear = SGDClassifier(loss="log_loss", alpha=alpha, max_iter=5, tol=None, random_state=0)
    return Pipeline([("words", HashingVectorizer(n_features=2**bits)), ("linear", linear)])
'''
SPACE = """
model: linear
source: a test
default: {bits: 4, alpha: 0.1}
search:
  bits: {type: int, low: 4, high: 8}
  alpha: {type: float, low: 0.0001, high: 0.1, log: true}
"""
SHARDS = 8
COUNTS = ["--trials", "9", "--seeds", "2", "--train-examples", "300", "--seed", "3"]
UNLIKE = {names.OWNER, names.RUN_KEY, names.PARENT, names.SEEDS_EXPECTED, "mlflow.runName"}
UNLIKE.add(names.MODEL_DIGEST)  # the files of a model have times in them


class Made:
    """Folders in which the same sweep was carried out, whole and in shards."""

    def __init__(self, folder, database):
        self.folder, self.database = folder, database
        (folder / "linear.py").write_text(MODEL)
        (folder / "linear.yaml").write_text(SPACE)
        self.command = ["--model", f"{folder / 'linear.py'}:build", "--dataset", "sample", *COUNTS]
        self.command += ["--sampler", "random", "--pruner", "none"]

    def empty(self, name):
        """Make a folder with an empty store, which takes MLflow seconds."""
        runs = self.folder / name / "mlruns"
        runs.mkdir(parents=True)
        shutil.copy(self.database, runs / "mlflow.db")
        return runs.parent

    def sweep(self, name, *more, code=0):
        folder = self.folder / name
        if not folder.exists():
            self.empty(name)
        with contextlib.chdir(folder):
            assert sweep.main([*self.command, *map(str, more)]) == code
        return folder

    def merged(self, name, sources, code=0, *more):
        folder = self.folder / name
        if not folder.exists():
            self.empty(name)
        with contextlib.chdir(folder):
            assert merge.main([*map(str, sources), *more]) == code
        return folder


@pytest.fixture(scope="module")
def made(sample, empty_database, tmp_path_factory):
    made = Made(tmp_path_factory.mktemp("shards"), empty_database)
    made.whole = made.sweep("whole")
    made.shards = [
        made.sweep(f"shard-{number}", "--shard", f"{number}/{SHARDS}") for number in range(1, SHARDS + 1)
    ]
    return made


def trials(folder):
    """All that a search knows of its trials, but for times and the names of processes."""
    (journal,) = (folder / "mlruns" / "studies").glob("*.journal")
    study = optuna.load_study(study_name=None, storage=open_journal(journal))
    rows = []
    for trial in study.get_trials():
        own = {name: v for name, v in trial.user_attrs.items() if name not in ("owner", "seconds", "seal")}
        rows.append((trial.number, trial.state, trial.values, trial.params, trial.intermediate_values, own))
        assert trial.user_attrs["seconds"] > 0
    return rows, study.user_attrs


def results(folder):
    """Every run with all that does not depend on time, its curves and artifacts included."""
    found = runs(folder)
    sweep_ids = {run.info.run_id for run in of_kind(found, names.SWEEP)}
    rows = {}
    for run in found:
        tags, metrics = run.data.tags, run.data.metrics
        if tags[names.KIND] == names.SWEEP:
            continue
        assert tags[names.PARENT] in sweep_ids
        (source,) = run.inputs.dataset_inputs
        rows[tags[names.KIND], tags[names.SPEC_ID]] = (
            run.info.status,
            run.info.run_name,
            run.data.params,
            {name: value for name, value in tags.items() if name not in UNLIKE},
            {name: value for name, value in metrics.items() if "second" not in name},
            (source.dataset.name, source.dataset.digest, source.dataset.profile),
            artifacts(folder, run),
        )
    return rows


def artifacts(folder, run):
    """Names of a run's artifacts; of predictions and spec the content, too."""
    home = artifact(client_of(folder), run.info.run_id, "")
    assert home.is_relative_to(folder.resolve())
    content = {}
    for path in sorted(home.rglob("*")):
        # Of a model, its folder has the number of the run in its process, and the package comes along.
        name = re.sub(r"^model/artifacts/\d+/", "model/artifacts/N/", path.relative_to(home).as_posix())
        if path.name == names.PREDICTIONS:
            with np.load(path) as stored:
                content[name] = stored["probabilities"].tobytes(), stored["labels"].tobytes()
        elif path.is_file() and path.suffix != ".pyc":
            content[name] = path.read_bytes() if path.name == names.SPEC_JSON else None
    assert names.SPEC_JSON in content
    return content


def client_of(folder):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{(folder / 'mlruns' / 'mlflow.db').resolve()}")


def board(folder, capsys):
    """The board as JSON, without ids of runs and what they took."""
    capsys.readouterr()
    with contextlib.chdir(folder):
        assert leaderboard.main(["--dataset", "sample", "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    for row in content["rows"]:
        for name in ("run_ids", "train_seconds_median", "search_seconds"):
            assert row.pop(name) or name == "search_seconds"
    return json.dumps(content)


def test_shards_joined_in_any_order_equal_one_undivided_sweep(made, capsys):
    tiers = {run.data.tags[names.TIER] for run in of_kind(runs(made.whole), names.FINAL_RUN)}
    assert tiers == {"default", "tuned"}, "the search has to find another winner than the default"
    expected = trials(made.whole), results(made.whole), board(made.whole, capsys)
    for name, sources in (("forwards", made.shards), ("backwards", made.shards[::-1])):
        folder = made.merged(name, sources)
        out = capsys.readouterr().out.splitlines()
        assert len(out) == SHARDS + 1
        assert out[-1].startswith("9 trials, 2 final runs and 2 looks at test parts added to mlruns")
        assert trials(folder) == expected[0]
        assert [run.info.status for run in of_kind(runs(folder), names.SWEEP)] == ["KILLED"]
        made.sweep(name)  # without --shard: what is missing is the tuned tier
        assert results(folder) == expected[1]
        assert board(folder, capsys) == expected[2]
        assert repeated(runs(folder), names.TRIAL_RUN) == {}
        (parent,) = of_kind(runs(folder), names.SWEEP)
        assert (parent.info.status, parent.data.metrics[names.SEARCH_TRIALS]) == ("FINISHED", 9)
        with contextlib.chdir(folder):
            assert ledger.main(["verify"]) == 0
        assert "ledger intact: 4 entries, 4 final runs accounted for" in capsys.readouterr().out
        made.sweep(name)
        assert "nothing to do: 9 of 9 trials and all final runs" in capsys.readouterr().out


def test_a_shard_does_its_part_and_says_what_comes_next(made, capsys):
    for number, folder in enumerate(made.shards, 1):
        mine = range(number - 1, 9, SHARDS)
        rows, _ = trials(folder)
        assert [own["slot"] for *_, own in rows] == list(mine)
        finals = of_kind(runs(folder), names.FINAL_RUN)
        assert [run.data.tags[names.SEED] for run in finals] == ([str(number - 1)] if number <= 2 else [])
        assert {run.data.tags[names.TIER] for run in finals} <= {"default"}
    made.sweep("shard-2", "--shard", "2/8")
    out = capsys.readouterr().out
    assert "nothing to do: 1 of 1 trials and all final runs of shard 2/8" in out
    assert "python -m benchmark.merge FOLDER …, then the same command without --shard" in out
    assert made.sweep("shard-7", "--shard", "7/8", "--json").exists()
    assert json.loads(capsys.readouterr().out)["sweeps"][0]["winner"] is None


def test_times_and_curves_stay_what_they_were(made):
    folder = made.merged("times", made.shards[:2])
    there = {
        run.data.tags[names.SPEC_ID]: (shard, run)
        for shard in made.shards[:2]
        for run in runs(shard)
        if names.SPEC_ID in run.data.tags
    }
    here = [run for run in runs(folder) if names.SPEC_ID in run.data.tags]
    assert len(here) == len(there) == 5
    for run in here:
        shard, other = there[run.data.tags[names.SPEC_ID]]
        assert (run.info.start_time, run.info.end_time) == (other.info.start_time, other.info.end_time)
        assert run.data.metrics == other.data.metrics
        for metric in run.data.metrics:
            history = client_of(folder).get_metric_history(run.info.run_id, metric)
            before = client_of(shard).get_metric_history(other.info.run_id, metric)
            assert list(map(value, history)) == list(map(value, before))
        files = artifact(client_of(folder), run.info.run_id, "")
        others = artifact(client_of(shard), other.info.run_id, "")
        assert content(files) == content(others)


def value(point):
    return point.key, point.value, point.timestamp, point.step


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_merging_twice_and_what_was_merged_adds_nothing(made, capsys):
    folder = made.merged("twice", made.shards[:2])
    before = trials(folder), results(folder), read_entries(folder / "mlruns" / "ledger.jsonl")
    stored = (folder / "mlruns" / "studies").glob("*.journal").__next__().read_bytes()
    other = made.merged("again", [folder / "mlruns", made.shards[1]])
    capsys.readouterr()
    made.merged("twice", [*made.shards[:2], made.shards[0], other])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4  # the same folder twice is one
    assert all("0 trials, 0 final runs and 0 looks at test parts added" in line for line in lines)
    assert (trials(folder), results(folder), read_entries(folder / "mlruns" / "ledger.jsonl")) == before
    assert next((folder / "mlruns" / "studies").glob("*.journal")).read_bytes() == stored
    assert outcome(runs(other)) == outcome(runs(folder))


def test_a_dry_run_counts_and_changes_nothing(made, capsys):
    folder = made.folder / "dry"
    folder.mkdir()
    made.merged("dry", made.shards[:2], 0, "--dry-run")
    out = capsys.readouterr().out
    assert "2 trials, 1 final runs and 1 looks at test parts would be added" in out
    total = "3 trials, 2 final runs and 2 looks at test parts"
    assert f"{total} would be added to mlruns, which would have {total} now" in out
    assert list(folder.iterdir()) == []


@pytest.mark.long
def test_shards_of_final_runs_once_the_search_is_complete(made, capsys):
    sources = []
    for number in (1, 2):
        made.merged(f"finals-{number}", made.shards)
        sources.append(made.sweep(f"finals-{number}", "--shard", f"{number}/2"))
        tuned = [run for run in runs(sources[-1]) if run.data.tags.get(names.TIER) == "tuned"]
        assert [int(run.data.tags[names.SEED]) for run in tuned] == [number - 1]
    folder = made.merged("finals", sources)
    assert board(folder, capsys) == board(made.whole, capsys)
    made.sweep("finals")
    assert (results(folder), trials(folder)) == (results(made.whole), trials(made.whole))


def test_a_run_that_was_made_twice_counts_once(made, capsys):
    again = made.sweep("shard-1-again", "--shard", "1/8")
    folder = made.merged("made-twice", [made.shards[0], again])
    out = capsys.readouterr().out
    assert f"{again}: 0 trials, 0 final runs and 1 looks at test parts added; 3 runs were here" in out
    assert "otherwise" not in out
    assert "other results" not in out
    assert Counter(run.data.tags[names.KIND] for run in runs(folder)) == {"sweep": 1, "trial": 2, "final": 1}
    assert len(read_entries(folder / "mlruns" / "ledger.jsonl")) == 2  # both have looked
    # Another result of the same runs, as another machine may have: what is here stays.
    with contextlib.closing(sqlite3.connect(again / "mlruns" / "mlflow.db")) as database, database:
        database.execute("UPDATE latest_metrics SET value = 0.25 WHERE key = 'test_accuracy'")
    (journal,) = (again / "mlruns" / "studies").glob("*.journal")
    (value,) = {row[2][0] for row in trials(again)[0] if row[0] == 0}
    unsealed = [line for line in journal.read_text().splitlines(keepends=True) if '"seal"' not in line]
    journal.write_text("".join(unsealed).replace(repr(value), "0.125"))
    made.merged("made-twice", [again])
    out = capsys.readouterr().out
    assert f"{again}: trials 0 of linear" in out
    assert "have other results there (default seed 0); those here are kept" in out
    assert outcome(runs(folder)) == outcome(runs(made.shards[0]))


def test_what_waits_in_a_spool_comes_along(made, capsys):
    folder = made.folder / "undelivered"
    shutil.copytree(made.shards[0], folder)
    (final,) = of_kind(runs(folder), names.FINAL_RUN)
    # As if the store had been away when the final run ended: it is in the spool only.
    from benchmark.tracking.merging import FolderRuns

    store = FolderRuns(folder / "mlruns")
    (found,) = [found for found in store.all if found.kind == names.FINAL_RUN]
    spool = Spool(folder / "mlruns", store.uri)
    files = spool.folder()
    store.copy_artifacts(found, files)
    record = store.record(found, key=found.name, parent_key="0" * 32)
    spool.commit(record, files)
    client_of(folder).delete_run(final.info.run_id)
    assert of_kind(runs(folder), names.FINAL_RUN) == []
    Spool(folder / "mlruns", "https://tracking.example").commit(record)
    target = made.merged("delivered", [folder])
    out = capsys.readouterr().out
    assert "2 trials, 1 final runs and 1 looks at test parts added" in out
    assert "1 wait for https://tracking.example; there: python -m benchmark.sync" in out
    assert results(target) == results(made.shards[0])
    assert len(spool.names()) == 1


KILLED = """
import os, signal, sys
from benchmark import merge
import benchmark.data.ledger, benchmark.search.merging
from benchmark.tracking.delivery import Delivery
from benchmark.tracking.spool import Spool

owner, name = {
    "ledger": (benchmark.data.ledger, "_write"),
    "journal": (os, "fsync"),
    "commit": (Spool, "commit"),
    "delivery": (Delivery, "_upload"),
}[sys.argv[1]]
function, left = getattr(owner, name), [int(sys.argv[2])]

def dying(*words, **options):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return function(*words, **options)

setattr(owner, name, dying)
merge.main(sys.argv[3:])
"""


def check_completed(made, name, sources, capsys):
    folder = made.merged(name, sources)
    undisturbed = made.merged(f"{name}-undisturbed", sources)
    assert trials(folder) == trials(undisturbed)
    assert results(folder) == results(undisturbed)
    entries = [[entry["origin"] for entry in read_entries(each / "mlruns" / "ledger.jsonl")]
               for each in (folder, undisturbed)]  # fmt: skip
    assert entries[0] == entries[1]
    assert board(folder, capsys) == board(undisturbed, capsys)
    studies = folder / "mlruns" / "studies"
    assert [path.suffix for path in studies.iterdir()] == [".journal"]
    assert Spool(folder / "mlruns", f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}").names() == []
    capsys.readouterr()
    made.merged(name, sources)
    assert "0 trials, 0 final runs and 0 looks at test parts added to" in capsys.readouterr().out


def kill_at(made, start_python, name, stage, count, sources):
    with contextlib.chdir(made.folder / name):
        process = start_python(KILLED, stage, count, *sources)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == -9, errors


def test_a_merge_that_was_killed_is_completed_by_the_same_command(made, start_python, capsys):
    made.empty("killed")
    kill_at(made, start_python, "killed", "commit", 4, made.shards[:2])
    check_completed(made, "killed", made.shards[:2], capsys)


@pytest.mark.long
def test_a_merge_may_be_killed_at_any_moment(made, start_python, capsys):
    made.empty("killed-often")
    sources = made.shards[:3]
    stages = [("ledger", 0), ("ledger", 1), ("journal", 7), ("commit", 0), ("commit", 4), ("delivery", 3)]
    for stage, count in stages:
        kill_at(made, start_python, "killed-often", stage, count, sources)
    check_completed(made, "killed-often", sources, capsys)


def error_of(command, arguments, capsys):
    capsys.readouterr()
    assert command.main([str(word) for word in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("shard", "expected"),
    [
        ("9/8", "9/8: there is no such shard; expected 1/8 to 8/8"),
        ("0/8", "0/8: there is no such shard; expected 1/8 to 8/8"),
        ("1/0", "1/0: there is no sweep in 0 shards; expected NUMBER/OF, as 3/8"),
        ("a/b", "'a/b' is not a shard; expected NUMBER/OF, as 3/8"),
        ("-1/8", "is not a shard"),
    ],
)
def test_shards_that_there_are_not(shard, expected, capsys):
    assert expected in error_of(sweep, ["--model", "majority", f"--shard={shard}"], capsys)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "--sampler tpe and --pruner median look at other trials"),
        (["--sampler", "cmaes", "--pruner", "none"], "--sampler cmaes looks at other trials"),
        (["--sampler", "random"], "--pruner median looks at other trials"),
        (["--storage", "sqlite:///x.db"], "leave out --storage"),
        (["--tracking-uri", "http://127.0.0.1:9"], "leave out --tracking-uri"),
    ],
)
def test_sweeps_that_cannot_be_sharded_are_refused_before_anything_is_made(options, expected, sample, capsys):
    words = ["--model", "majority", "--dataset", "sample", "--shard", "2/3", *options]
    assert expected in error_of(sweep, words, capsys)
    assert not Path("mlruns").exists()


@pytest.mark.long
def test_a_search_that_is_not_complete_stays_refused(made, capsys):
    folder = made.empty("tpe")
    command = ["--model", made.command[1], "--dataset", "sample", "--seeds", "2", "--train-examples", "300"]
    with contextlib.chdir(folder):
        assert sweep.main([*command, "--trials", "2"]) == 0
        shard = [*command, "--seeds", "3", "--shard", "1/2"]
        assert "look at other trials" in error_of(sweep, [*shard, "--trials", "4"], capsys)
        assert sweep.main([*shard, "--trials", "2"]) == 0  # the search is done: final runs are anybody's
        seeds = [run.data.tags[names.SEED] for run in of_kind(runs(), names.FINAL_RUN)]
    assert set(seeds) == {"0", "1", "2"}


def test_folders_that_cannot_be_merged(made, tmp_path, monkeypatch, capsys):
    shard = made.shards[0]
    (tmp_path / "empty" / "mlruns" / "0").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    (tmp_path / "plain").mkdir()
    for words, expected in [
        (["nowhere"], "nowhere: there is no such folder; expected one with an mlruns in it"),
        (["file"], "file: there is no such folder"),
        (
            ["plain"],
            "plain: no sweep was run there; expected a folder with an mlruns that has one of",
        ),
        (["empty"], "empty: no sweep was run there"),
        ([shard, "--into", shard], "this is the folder that the others are joined to; leave it out"),
        ([shard, "--into", "file"], "--into file: this is a file; expected a folder"),
        ([shard, "nowhere"], "nowhere: there is no such folder"),
    ]:
        assert expected in error_of(merge, words, capsys)
    foreign = tmp_path / "foreign" / "mlruns"
    foreign.mkdir(parents=True)
    shutil.copy(made.database, foreign / "mlflow.db")
    other = client_of(foreign.parent)
    other.create_run(other.create_experiment("theirs"))
    assert "its runs are another program's; expected a sweep's" in error_of(merge, [foreign], capsys)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert "MLFLOW_TRACKING_URI is set" in error_of(merge, [shard], capsys)
    assert not Path("mlruns").exists()


def test_a_study_of_the_same_name_and_another_search(made, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(made.shards[1], copy)
    (journal,) = (copy / "mlruns" / "studies").glob("*.journal")
    identity = trials(copy)[1]["identity"]
    journal.write_text(journal.read_text().replace(identity, "0" * 64))
    error = error_of(merge, [made.shards[0], copy], capsys)
    assert f"{copy}: its study linear-sample-quick-" in error
    assert "was begun with another model, data set, space, budget, sampler, pruner or seed" in error
    assert not Path("mlruns").exists()


def test_a_folder_in_use_is_refused_and_a_damaged_one_is_told_of(made, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(made.shards[1], copy)
    studies = copy / "mlruns" / "studies"
    (journal,) = studies.glob("*.journal")
    presence = open_presence(None, studies, journal.stem)
    assert presence.take("study")
    error = error_of(merge, [made.shards[0], copy], capsys)
    assert f"{copy}: study {journal.stem} is being worked on by another process; wait for it" in error
    assert "is being worked on" in error_of(merge, [made.shards[0], "--into", copy], capsys)
    presence.close()
    assert not Path("mlruns").exists()
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([*lines[:3], "what\n", *lines[3:]]))
    error = error_of(merge, [made.shards[0], copy], capsys)
    assert f"the study's journal {journal}, line 4 is damaged" in error
    journal.write_text("".join(lines))
    book = copy / "mlruns" / "ledger.jsonl"
    book.write_text(book.read_text().replace("linear", "nonlinear"))
    assert f"{book}, line 1: the ledger is damaged" in error_of(merge, [made.shards[0], copy], capsys)
    assert not Path("mlruns").exists()
