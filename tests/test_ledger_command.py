"""The command `ledger`: it counts test reads, and finds what was done to their record."""

import json
import shutil
from pathlib import Path

import pytest

from benchmark import ledger, sweep
from benchmark.__main__ import main as textbench
from benchmark.data.ledger_chain import append
from benchmark.tracking import names
from benchmark.tracking.runs import find_runs
from benchmark.tracking.store import connect

FILE = Path("mlruns/ledger.jsonl")


def store(folder="."):
    """A client; MLflow keeps stores by their address, so it must not be relative."""
    return connect(f"sqlite:///{Path(folder).resolve()}/mlruns/mlflow.db")


def record_read(client, ledger_file, spec_id, model="nbsvm", kind=names.FINAL_RUN):
    """What a final run leaves: an entry, and a run with a test accuracy."""
    append(ledger_file, {"spec_id": spec_id, "model": model, "dataset": "sample", "dataset_digest": "d"})
    experiment = client.get_experiment_by_name("sample").experiment_id
    tags = {names.KIND: kind, names.MODEL: model, names.DATASET: "sample", names.SPEC_ID: spec_id}
    run = client.create_run(experiment, tags=tags)
    client.log_metric(run.info.run_id, names.TEST_ACCURACY, 0.5)
    return run.info.run_id


@pytest.fixture(scope="module")
def folder_with_reads(_hermetic_session, tmp_path_factory):
    """A folder with a store of four final runs, their ledger, and a trial that has no test read."""
    folder = tmp_path_factory.mktemp("read")
    (folder / "mlruns").mkdir()
    client = store(folder)
    trial = client.create_run(client.create_experiment("sample"), tags={names.KIND: names.TRIAL_RUN})
    client.log_metric(trial.info.run_id, "best_val_accuracy", 0.5)
    for number in range(4):
        record_read(client, folder / FILE, f"spec-{number}")
    return folder


@pytest.fixture
def lines(folder_with_reads, tmp_path):
    """The lines of the ledger, in a copy of the folder that the test may damage."""
    shutil.copytree(folder_with_reads / "mlruns", tmp_path / "mlruns")
    found = FILE.read_bytes().splitlines(keepends=True)
    assert len(found) == 4
    return found


def verify(capsys, *words):
    """Exit code and lines of `ledger verify`."""
    capsys.readouterr()
    code = ledger.main(["verify", *words])
    output, errors = capsys.readouterr()
    assert errors == ""
    return code, output.splitlines()


def run_of(entry):
    (run,) = [
        run
        for run in find_runs(store(), kinds=(names.FINAL_RUN, names.PUBLISHED_RUN))
        if run.spec_id == json.loads(entry)["spec_id"]
    ]
    return run.run_id


def test_an_intact_ledger(lines, capsys):
    assert verify(capsys) == (0, ["ledger intact: 4 entries, 4 final runs accounted for"])
    assert textbench(["ledger", "verify"]) == 0


def test_more_reads_than_runs_are_no_damage(lines, capsys):
    """A run that was killed after its test read has an entry and no accuracy."""
    append(FILE, {"spec_id": "of a killed run", "model": "nbsvm", "dataset_digest": "d"})
    append(FILE, {"spec_id": json.loads(lines[0])["spec_id"], "model": "nbsvm", "dataset_digest": "d"})
    assert verify(capsys) == (0, ["ledger intact: 6 entries, 4 final runs accounted for"])


def test_a_changed_entry(lines, capsys):
    lines[1] = lines[1].replace(b'"nbsvm"', b'"other"')
    FILE.write_bytes(b"".join(lines))
    assert verify(capsys) == (1, [f"{FILE}, line 2: this entry was changed: its hash is of a different one"])


def test_a_changed_entry_with_a_new_hash(lines, capsys):
    """Whoever knows how the hash is made is found by the next entry."""
    from benchmark.data.ledger_chain import _hash, _line

    entry = json.loads(lines[1])
    body = {name: value for name, value in entry.items() if name != "hash"} | {"model": "other"}
    lines[1] = _line({**body, "hash": _hash(body)})
    FILE.write_bytes(b"".join(lines))
    follows = f"{FILE}, line 3: this entry follows line 2, but was written after a different one"
    assert verify(capsys) == (1, [follows])


def test_an_entry_that_says_something_twice(lines, capsys):
    lines[1] = lines[1].replace(b"{", b'{"model": "shown to readers", ', 1)
    FILE.write_bytes(b"".join(lines))
    assert verify(capsys) == (1, [f"{FILE}, line 2: this entry was written again or cut off"])


def test_an_entry_taken_out_of_the_middle(lines, capsys):
    FILE.write_bytes(b"".join(lines[:1] + lines[2:]))
    code, told = verify(capsys)
    assert code == 1
    assert told == [
        f"{FILE}, line 2: this entry follows line 1, but was written after a different one",
        f"{FILE}: 0 entries, not 1, for nbsvm on sample (run {run_of(lines[1])}): "
        "cut off at the end, taken out, or changed",
    ]


def test_the_first_entry_taken_out(lines, capsys):
    FILE.write_bytes(b"".join(lines[1:]))
    code, told = verify(capsys)
    assert code == 1
    assert told[0] == f"{FILE}, line 1: this entry comes first, but was written after a different one"
    assert run_of(lines[0]) in told[1]


def test_entries_cut_off_at_the_end(lines, capsys):
    """The chain is whole; only the store knows of them."""
    FILE.write_bytes(b"".join(lines[:2]))
    code, told = verify(capsys)
    assert code == 1
    assert len(told) == 2
    assert all(f"{FILE}: 0 entries, not 1, for nbsvm on sample" in line for line in told)
    assert {run for line in lines[2:] if (run := run_of(line)) and any(run in text for text in told)} == {
        run_of(lines[2]),
        run_of(lines[3]),
    }
    # Looks that come later do not hide it.
    append(FILE, {"spec_id": "another", "model": "nbsvm", "dataset_digest": "d"})
    assert verify(capsys) == (1, told)


def test_half_an_entry(lines, capsys):
    FILE.write_bytes(b"".join(lines)[:-20])
    code, told = verify(capsys)
    assert code == 1
    assert told[0] == f"{FILE}, line 4: this is not an entry"
    FILE.write_bytes(b"".join(lines)[:-1])
    assert verify(capsys) == (1, [f"{FILE}, line 4: this entry was written again or cut off"])


def test_two_entries_swapped(lines, capsys):
    FILE.write_bytes(b"".join([lines[0], lines[2], lines[1], lines[3]]))
    code, told = verify(capsys)
    assert code == 1
    assert [line.partition(": ")[0] for line in told] == [f"{FILE}, line {number}" for number in (2, 3, 4)]


def test_an_entry_put_in(lines, capsys):
    other = lines[3]
    FILE.write_bytes(b"".join([*lines[:2], other, *lines[2:]]))
    code, told = verify(capsys)
    assert code == 1
    assert [line.partition(": ")[0] for line in told][:2] == [f"{FILE}, line {number}" for number in (3, 4)]


def test_a_deleted_ledger(lines, capsys):
    FILE.unlink()
    missing = f"{FILE}: there is no such file, but 4 final runs have read a test split"
    assert verify(capsys) == (1, [missing])
    assert not FILE.exists()


def test_published_runs_are_held_against_it_too(lines, capsys):
    client = store()
    run_id = record_read(client, FILE, "of-a-publication", "glove", names.PUBLISHED_RUN)
    assert verify(capsys) == (0, ["ledger intact: 5 entries, 5 final runs accounted for"])
    FILE.write_bytes(b"".join(lines))
    uri = f"sqlite:///{Path.cwd()}/mlruns/mlflow.db"
    code, told = verify(capsys, "--tracking-uri", uri)
    assert code == 1
    assert f"0 entries, not 1, for glove on sample (run {run_id})" in told[0]


def test_each_of_several_runs_of_one_spec_needs_an_entry(lines, capsys):
    second = record_read(store(), FILE, "spec-0")
    assert verify(capsys)[0] == 0
    FILE.write_bytes(b"".join(lines))
    code, (told,) = verify(capsys)
    assert code == 1
    assert "1 entries, not 2, for nbsvm on sample" in told
    assert second in told


def test_a_run_without_accuracy_has_not_read(lines, capsys):
    client = store()
    tags = {names.KIND: names.FINAL_RUN, names.MODEL: "lstm", names.SPEC_ID: "failed before"}
    client.create_run(client.get_experiment_by_name("sample").experiment_id, tags=tags)
    assert verify(capsys) == (0, ["ledger intact: 4 entries, 4 final runs accounted for"])


@pytest.mark.long
def test_the_reads_of_a_real_sweep(capsys):
    words = ["--model", "majority", "--dataset", "sample", "--trials", "1", "--seeds", "2"]
    assert sweep.main(words) == 0
    assert verify(capsys) == (0, ["ledger intact: 2 entries, 2 final runs accounted for"])
    FILE.write_bytes(FILE.read_bytes().splitlines(keepends=True)[0])
    code, (told,) = verify(capsys)
    assert code == 1
    assert "0 entries, not 1, for majority on sample" in told


def test_reads_by_data_set_and_model(capsys):
    assert ledger.main([]) == 0
    assert capsys.readouterr().out == f"no reads of a test split: {FILE} has no entries\n"
    for model, dataset, digest in (
        *(("lstm", "imdb", "d1"), ("avg-pool", "imdb", "d1"), ("avg-pool", "imdb", "d1")),
        *(("lstm", "imdb", "d2"), ("lstm", "csv:a", "d3")),
    ):
        append(FILE, {"spec_id": "x", "model": model, "dataset": dataset, "dataset_digest": digest})
    assert ledger.main([]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        "csv:a (digest d3): 1 reads of the test split".split(),  # noqa: SIM905
        ["lstm", "1"],
        "imdb (digest d1): 3 reads of the test split".split(),  # noqa: SIM905
        ["avg-pool", "2"],
        ["lstm", "1"],
        "imdb (digest d2): 1 reads of the test split".split(),  # noqa: SIM905
        ["lstm", "1"],
    ]


def test_reads_of_a_damaged_ledger_are_not_counted(lines, capsys):
    FILE.write_bytes(b"".join(lines[1:]))
    assert ledger.main([]) == 2
    assert "line 1: the ledger is damaged" in capsys.readouterr().err


def test_requests_that_are_wrong(capsys):
    assert ledger.main(["verfy"]) == 2
    assert "'verfy' is not a word; did you mean 'verify'?" in capsys.readouterr().err
    assert ledger.main(["verify"]) == 2
    assert "there are no runs here" in capsys.readouterr().err
    assert not Path("mlruns").exists()


def test_help_is_quick_and_tells_the_exit_codes(run_python):
    code = (
        "import sys\nfrom benchmark import ledger\n"
        "try:\n    ledger.main(['--help'])\nexcept SystemExit as end:\n    print(end.code)\n"
        "print(sorted({'mlflow', 'numpy', 'tensorflow'} & set(sys.modules)))"
    )
    printed = run_python(code)
    assert "0 intact, 1 damaged or incomplete, 2 the request is wrong" in printed
    assert printed.splitlines()[-2:] == ["0", "[]"]


def test_names_from_the_ledger_steer_no_terminal(capsys):
    evil = {"spec_id": "s", "model": "m\x1b[2J", "dataset": "d\u202e\n", "dataset_digest": "\x9b"}
    append(FILE, evil)
    assert ledger.main([]) == 0
    assert capsys.readouterr().out.splitlines() == [
        r"d\u202e\n (digest \x9b): 1 reads of the test split",
        r"  m\x1b[2J                     1",
    ]
