"""The command ``reproduce`` as a user runs it: small configurations on the built-in data set, real stores."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ledgers import reads
from mlflow import MlflowClient
from published_samples import ABSENT, SLOW, TINY, write

from benchmark import leaderboard, reproduce, sweep
from benchmark.search.presence import open_presence
from benchmark.tracking import names
from benchmark.tracking.runs import all_runs

GLOVE = """\
name: few
title: vectors from a file, few labels
source: {title: Notes, url: null}
dataset: {name: sample}
model: glove
settings:
  vectors: nowhere.txt
  trainable: false
  pooling: average
  vocabulary_size: 500
  sequence_length: 16
  padding: pre
  truncation: pre
  units: 0
  dropout: 0.0
  optimizer: adam
  learning_rate: 0.01
  schedule: constant
  batch_size: 32
  epochs: 1
  patience: null
train_examples: 20
seeds: 2
published: [{metric: test_accuracy, value: 0.56}]
differs: []
cost: quick
seconds: 1
own_vectors: {vectors: vectors.txt}
"""


@pytest.fixture
def tiny(sample):
    """``--published`` with one small configuration."""
    return ["--published", str(write("published", tiny=TINY))]


def run(*arguments, code=0):
    assert reproduce.main([str(argument) for argument in arguments]) == code


def runs(kind, dataset="sample"):
    client = MlflowClient(f"sqlite:///{Path('mlruns/mlflow.db').resolve()}")
    experiment = client.get_experiment_by_name(dataset)
    found = [] if experiment is None else all_runs(client, [experiment.experiment_id], "")
    return [each for each in found if each.data.tags[names.KIND] == kind]


def rows_of(text):
    return {(row["label"], row["metric"]): row for row in json.loads(text)["rows"]}


def test_from_nothing_to_a_table_beside_the_published_figures(tiny, sample, capsys):
    run(*tiny, "--seeds", 3)
    out = capsys.readouterr().out
    assert "reproduce tiny seed 2: ok" in out
    assert "differs by -" in out  # nobody has 99 % after two epochs
    assert "agrees" in out  # with a loss between 0.1 and 2
    assert "is outside the band expected here, 90.0 to 100.0" in out

    (parent,) = runs(names.REPRODUCTION)
    assert (parent.info.run_name, parent.info.status) == ("reproduce tiny", "FINISHED")
    children = runs(names.PUBLISHED_RUN)
    assert sorted(child.data.tags[names.SEED] for child in children) == ["0", "1", "2"]
    for child in children:
        assert child.data.tags[names.PARENT] == parent.info.run_id
        assert child.data.tags[names.TIER] == names.PUBLISHED_TIER
        assert child.data.params["patience"] == "None"
        assert {names.TEST_ACCURACY, names.TEST_LOSS} <= set(child.data.metrics)
    assert reads(Path("mlruns/ledger.jsonl"), sample.digest) == {"flatten": 3}

    folder = Path("mlruns/reproduce")
    assert (folder / "curves-tiny.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "reproduction.md").read_text()
    assert "python -m benchmark.reproduce --published published --seeds 3" in page
    assert "(<curves-tiny.png>)" in page
    assert "The texts are made by a program." in page
    with (folder / "reproduction.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    accuracies = [child.data.metrics[names.TEST_ACCURACY] for child in children]
    assert float(first["mean"]) == pytest.approx(sum(accuracies) / 3)
    assert float(first["ci_low"]) < float(first["mean"]) < float(first["ci_high"])
    assert (first["published"], second["published"], second["metric"]) == ("99", "0.1 to 2", "test_loss")
    assert sorted(path.name for path in folder.iterdir()) == [
        "curves-tiny.png",
        "reproduction.csv",
        "reproduction.md",
    ]


@pytest.mark.long
def test_the_same_again_trains_nothing_and_more_seeds_only_add(tiny, capsys):
    run(*tiny, "--seeds", 1, "--json")
    first = rows_of(capsys.readouterr().out)["tiny", "test_accuracy"]
    assert first["verdict"] == "one run; no verdict"
    run(*tiny, "--seeds", 1, "--json")
    captured = capsys.readouterr()
    assert "nothing to do: all 1 runs of 'reproduce tiny' are there" in captured.err
    assert rows_of(captured.out)["tiny", "test_accuracy"] == first
    run(*tiny, "--seeds", 2, "--json")
    second = rows_of(capsys.readouterr().out)["tiny", "test_accuracy"]
    assert second["values"][0] == first["values"][0]
    assert second["verdict"] == "two runs; no verdict"
    assert (len(runs(names.PUBLISHED_RUN)), len(runs(names.REPRODUCTION))) == (2, 1)
    run(*tiny, "--seeds", 1, "--seed", 1, "--json")  # other seeds are other runs
    assert rows_of(capsys.readouterr().out)["tiny", "test_accuracy"]["values"] != first["values"]
    assert len(runs(names.PUBLISHED_RUN)) == 3
    write("published", tiny=TINY.replace("embedding_dim: 4", "embedding_dim: 5"))
    run(*tiny, "--seeds", 1, "--json")  # and so is a configuration that was edited
    assert rows_of(capsys.readouterr().out)["tiny", "test_accuracy"]["values"] != first["values"]
    assert len(runs(names.PUBLISHED_RUN)) == 4
    assert len(runs(names.REPRODUCTION)) == 1


@pytest.mark.long
def test_no_board_counts_them(tiny, capsys):
    run(*tiny, "--seeds", 1)
    capsys.readouterr()
    assert leaderboard.main(["--dataset", "sample", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == []
    words = ["--model", "majority", "--dataset", "sample", "--trials", "1", "--seeds", "1"]
    assert sweep.main(words) == 0
    capsys.readouterr()
    assert leaderboard.main(["--format", "json"]) == 0
    assert {row["model"] for row in json.loads(capsys.readouterr().out)["rows"]} == {"majority"}


@pytest.mark.long
def test_an_interrupt_is_recorded_and_the_same_command_goes_on(tiny, monkeypatch, capsys):
    from benchmark.execution import inline

    train, seeds = inline.train, []

    def interrupt_the_second(spec, *arguments, **named):
        seeds.append(spec.seeds.index)
        if len(seeds) == 2:
            raise KeyboardInterrupt
        return train(spec, *arguments, **named)

    monkeypatch.setattr(inline, "train", interrupt_the_second)
    run(*tiny, "--seeds", 3, code=130)
    assert "the same command continues it" in capsys.readouterr().err
    assert not Path("mlruns/reproduce/reproduction.md").exists()
    run(*tiny, "--seeds", 3)
    assert seeds == [0, 1, 1, 2]
    statuses = [child.data.tags[names.STATUS] for child in runs(names.PUBLISHED_RUN)]
    assert sorted(statuses) == ["interrupted", "ok", "ok", "ok"]


@pytest.mark.long
def test_killed_without_warning_it_ends_like_an_undisturbed_one(sample, tmp_path, monkeypatch):
    words = ["--published", "published", "--seeds", "3"]
    results = []
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        write("published", tiny=TINY.replace("epochs: 2", "epochs: 120"))
        if name == "killed":
            kill_after_one_run([sys.executable, "-m", "benchmark.reproduce", *words])
            assert [child for child in runs(names.PUBLISHED_RUN) if child.info.status == "RUNNING"]
        run(*words)
        found = runs(names.PUBLISHED_RUN)
        assert not [child for child in found if child.info.status == "RUNNING"]
        ok = [child for child in found if child.data.tags[names.STATUS] == "ok"]
        assert len(found) - len(ok) == (name == "killed")
        results.append({(child.data.tags[names.SEED], child.data.metrics[names.TEST_LOSS]) for child in ok})
    assert results[0] == results[1]
    assert len(results[0]) == 3


def kill_after_one_run(command):
    """Start the command and kill it with -9 while its second run is under way."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    for line in process.stdout:
        if line.startswith("reproduce tiny seed 0: ok"):
            break
    deadline = time.monotonic() + 60
    while {run.data.tags[names.SEED] for run in runs(names.PUBLISHED_RUN)} <= {"0"}:
        assert process.poll() is None, "it was over before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.long
def test_what_cannot_be_measured_says_what_it_needs_and_the_others_go_on(sample, capsys):
    folder = write("published", tiny=TINY, absent=ABSENT, few=GLOVE)
    run("--published", folder, "--seeds", 1, "--json")
    captured = capsys.readouterr()
    rows = rows_of(captured.out)
    absent, few = rows["absent", "test_accuracy"], rows["few", "test_accuracy"]
    assert absent["verdict"] == "not measured: needs data set imdb-int"
    assert "needs keras/imdb.npz and keras/imdb_word_index.json below --data-dir" in absent["notes"][0]
    assert (absent["mean"], absent["values"]) == (None, [])
    assert few["verdict"] == "not measured: needs nowhere.txt"
    assert rows["tiny", "test_accuracy"]["mean"] > 0.4
    assert "absent is not measured: " in captured.err
    page = Path("mlruns/reproduce/reproduction.md").read_text()
    assert "not measured: needs data set imdb-int" in page
    assert not Path("mlruns/reproduce/curves-absent.png").exists()


@pytest.mark.long
def test_own_vectors_are_rows_of_their_own(sample, capsys):
    folder = write("published", few=GLOVE)
    own = Path("own")
    own.mkdir()
    words = (sample.folder / "vocabulary.txt").read_text().splitlines()[:200]
    lines = [f"{word} {number % 7} {number % 5} 1" for number, word in enumerate(words)]
    (own / "vectors.txt").write_text("\n".join(lines) + "\n")
    sidecar = {"protocol": "unlabelled", "dataset": "sample", "dataset_digest": sample.digest}
    (own / "vectors.txt.json").write_text(json.dumps(sidecar))
    run("--published", folder, "--vectors", own, "--seeds", 1, "--json")
    rows = rows_of(capsys.readouterr().out)
    assert rows["few", "test_accuracy"]["verdict"] == "not measured: needs nowhere.txt"
    row = rows["few (own vectors, protocol unlabelled)", "test_accuracy"]
    assert row["verdict"].startswith("other vectors, no verdict (")
    assert len(row["values"]) == 2  # its file wants two draws
    assert row["study"] == "reproduce few (own vectors)"
    assert Path("mlruns/reproduce/curves-few-own-vectors.png").exists()


def test_a_configuration_that_fails_is_told_by_the_exit_code(sample, capsys):
    Path("bad.py").write_text("def build(task):\n    raise RuntimeError('no such layer')\n")
    settings = TINY[TINY.index("  embedding_dim:") : TINY.index("  optimizer:")]
    text = TINY.replace("model: flatten", "model: bad.py:build").replace(settings, "")
    run("--published", write("published", tiny=text), "--seeds", 2, "--json", code=1)
    captured = capsys.readouterr()
    assert "no such layer" in captured.err
    row = rows_of(captured.out)["tiny", "test_accuracy"]
    assert row["verdict"].startswith("failed: no run came to its end")
    assert "2 of 2 runs are not in the mean: 2 failed" in row["notes"]


def test_slow_ones_have_one_seed_unless_they_are_named():
    folder = write("published", tiny=TINY, slow=SLOW)

    def seeds(*words):
        options = reproduce.main.parser().parse_args(["--published", str(folder), *words])
        return [(case.name, case.seeds) for case in reproduce.cases(options)]

    assert seeds() == [("tiny", 5), ("slow", 1)]  # last, though a run of it is said to be shorter
    assert seeds("--seeds", "2") == [("tiny", 2), ("slow", 1)]
    assert seeds("slow", "--seeds", "2") == [("slow", 2)]
    assert seeds("slow", "tiny") == [("tiny", 5), ("slow", 1)]


def test_the_list(capsys):
    run("--list")
    out = capsys.readouterr().out
    assert "tf-basic: average pooling over the pre-tokenised reviews (avg-pool on imdb-int, quick)" in out
    assert "published: test accuracy % 87.3, test loss 0.3225" in out
    run("lstm-notes", "--list", "--json")
    (only,) = json.loads(capsys.readouterr().out)
    assert (only["name"], only["settings"]["sequence_length"]) == ("lstm-notes", 500)
    assert not Path("mlruns").exists()


WRONG = [
    (["tf-basik"], "there is no published configuration named 'tf-basik'; did you mean 'tf-basic'?"),
    (["--seeds", "0"], "argument --seeds: got 0, expected 1 or more"),
    (["--seed", "x"], "argument --seed: 'x' is not a whole number"),
    (["--sedes", "2"], "there is no option '--sedes'; did you mean '--seeds'?"),
    (["--data-dir", "nowhere"], "--data-dir nowhere: there is no such folder"),
    (["--vectors", "nowhere"], "--vectors nowhere: there is no such folder"),
    (["tf-basic", "--vectors", "."], "--vectors: none of tf-basic reads vectors or a module"),
    (["--output", "file"], "--output file: "),
    (["--published", "nowhere"], "--published nowhere: there is no such folder"),
    (["--tracking-uri", "http://127.0.0.1:9"], "does not answer"),
    (["--device", "gpu"], "--device gpu: TensorFlow sees no GPU here"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_wrong_requests_get_one_line_and_leave_nothing(arguments, message, capsys):
    Path("file").write_text("in the way")
    run(*arguments, code=2)
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not Path("mlruns/mlflow.db").exists()


def test_another_process_at_the_same_configuration_is_waited_for_by_the_user(tiny, capsys):
    elsewhere = open_presence(None, Path("mlruns/studies"), "reproduce tiny")
    assert elsewhere.take("study")
    run(*tiny, "--seeds", 1, "--json")
    row = rows_of(capsys.readouterr().out)["tiny", "test_accuracy"]
    assert row["verdict"] == "not measured"
    assert "is being worked on by another process; wait for it" in row["notes"][0]


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom benchmark import reproduce\nreproduce.main.parser().format_help()\n"
        "heavy = ('tensorflow', 'keras', 'mlflow', 'optuna', 'numpy', 'pydantic')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
