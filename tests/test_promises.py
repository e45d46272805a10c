"""The core promises, as a user meets them: one folder, a few commands, the smallest models there are."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import SWEEP, copy_sweep
from guessing import GUESS, GUESSING, write_guessing
from ledgers import reads
from processes import check_slots, kill, of_kind, outcome, repeated, runs, start_sweep

from benchmark import leaderboard, ledger, sweep
from benchmark.data.prepare import prepare
from benchmark.data.source import SourceOptions, get_source
from benchmark.tracking import names
from benchmark.tracking.store import StoreClient

SMOKE = ["--model", "majority", "--dataset", "sample", "--budget", "smoke"]


# A pipeline that guesses, in another way for each number; a trial of a number may be made to wait.
def facts(found):
    return {run.info.run_id: (run.info.status, run.info.end_time, run.data.metrics) for run in found}


def test_the_same_command_again_does_nothing(copied_sweep, capsys):
    before, record = facts(runs()), Path("mlruns/ledger.jsonl").read_bytes()
    journals = {path: path.read_bytes() for path in Path("mlruns/studies").glob("*.journal")}
    assert len(journals) == 3
    assert sweep.main([*SWEEP]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("nothing to do")]
    assert all(model in line for model, line in zip(SWEEP[1:4:2], said, strict=True))
    assert facts(runs()) == before
    assert Path("mlruns/ledger.jsonl").read_bytes() == record
    for path, journal in journals.items():  # Optuna writes that the study was opened, and no trial
        assert path.read_bytes().startswith(journal)
        assert b"trial" not in path.read_bytes()[len(journal) :]


def test_higher_totals_add_what_is_missing_and_nothing_else(copied_sweep):
    before = facts(runs())
    assert sweep.main([*SWEEP[2:], "--trials", "3", "--seeds", "4"]) == 0
    found = runs()
    sweeps = {run.info.run_id for run in of_kind(found, names.SWEEP)}
    after = facts(found)
    assert {run_id: after[run_id] for run_id in before.keys() - sweeps} == {
        run_id: before[run_id] for run_id in before.keys() - sweeps
    }
    assert before.keys() & sweeps == sweeps
    assert not {**repeated(found, names.TRIAL_RUN), **repeated(found, names.FINAL_RUN)}
    swept = [run for run in found if run.data.tags[names.MODEL] == "avg-pool"]
    check_slots(of_kind(swept, names.TRIAL_RUN), 3, further=2)
    seeds = [
        run.data.tags[names.SEED]
        for run in of_kind(swept, names.FINAL_RUN)
        if "default" in run.data.tags[names.TIER].split("+")
    ]
    assert sorted(seeds) == ["0", "1", "2", "3"]


def test_after_a_kill_the_same_command_ends_as_if_nothing_had_been(sample, tmp_path, monkeypatch):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        write_guessing()
        if name == "killed":
            process = start_sweep(*GUESS, "--seeds", 2)
            give_up = time.monotonic() + 300
            while not Path("waiting").exists():
                assert process.poll() is None, Path("sweep.log").read_text()
                assert time.monotonic() < give_up, Path("sweep.log").read_text()
                time.sleep(0.05)
            kill(process.pid)
            process.wait(60)
            assert not reads(Path("mlruns/ledger.jsonl"), sample.digest)  # it was killed in its search
        Path("go").touch()
        assert sweep.main([*GUESS, "--seeds", "2"]) == 0
    whole, killed = runs(tmp_path / "whole"), runs(tmp_path / "killed")
    assert len(outcome(whole)) == 4 + 2 + len(of_kind(whole, names.FINAL_RUN, "ok"))
    assert outcome(killed) == outcome(whole)
    assert not {**repeated(killed, names.TRIAL_RUN), **repeated(killed, names.FINAL_RUN)}
    assert not [run for run in killed if run.info.status == "RUNNING"]
    assert len(of_kind(killed, names.SWEEP)) == 1
    assert ledger.main(["verify"]) == 0


def test_seeds_are_the_same_for_all_models(finished_sweep):
    client = StoreClient(f"sqlite:///{finished_sweep / 'mlruns' / 'mlflow.db'}")
    seeds = {}
    for run in of_kind(runs(finished_sweep), names.FINAL_RUN):
        spec = json.loads(Path(client.download_artifacts(run.info.run_id, names.SPEC_JSON)).read_text())
        seeds.setdefault(spec["model"], {})[spec["seeds"]["index"]] = spec["seeds"]
    first, second, third = seeds.values()
    assert sorted(first) == [0, 1, 2]
    assert first == second == third
    assert first[0] != first[1]


@pytest.fixture(scope="module")
def smoked(finished_sweep, tmp_path_factory):
    """The finished sweep, and a smoke test beside it."""
    folder = tmp_path_factory.mktemp("smoked")
    copy_sweep(finished_sweep, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert sweep.main(SMOKE) == 0
    return folder


@pytest.mark.parametrize("form", ["text", "md", "csv", "json", "tex", "html"])
def test_smoke_is_watermarked_and_never_ranked(smoked, monkeypatch, capsys, form):
    monkeypatch.chdir(smoked)
    words = [] if form == "text" else ["--format", form]
    assert leaderboard.main(["--dataset", "sample", *words]) == 0
    shown = capsys.readouterr().out
    assert "SMOKE" in shown
    if form == "json":
        rows = json.loads(shown)["rows"]
        smoke = [row for row in rows if row["budget"] == "smoke"]
        others = [row for row in rows if row["budget"] != "smoke"]
        assert {row["model"] for row in smoke} == {"majority"}
        assert all(row["rank"] is None and "SMOKE" in row["watermark"] for row in smoke)
        assert {row["model"] for row in others} == {"tfidf-logreg", *SWEEP[1:4:2]}
        assert all(row["watermark"] is None for row in others)


def test_a_trial_never_reads_the_test_split(own_cache, tmp_path):
    """The first trial takes it away: the search does not notice, and each final run does."""
    dataset = prepare(get_source("sample", SourceOptions()))
    write_guessing()
    away = f"\n    Path({str(dataset.folder / 'test')!r}).rename({str(tmp_path / 'away')!r})"
    code = GUESSING.replace(
        '"""Guess."""',
        f'"""Guess."""\n    if not Path("away").exists():{away}'.replace("\n    Path(", "\n        Path("),
    )
    Path("guessing.py").write_text(code)
    Path("go").touch()
    assert sweep.main([*GUESS, "--seeds", "2"]) == 1
    assert (tmp_path / "away").is_dir()
    found = runs()
    assert len(of_kind(found, names.TRIAL_RUN, "ok")) == len(of_kind(found, names.TRIAL_RUN)) == 6
    assert not any(
        name.startswith("test_") for run in of_kind(found, names.TRIAL_RUN) for name in run.data.metrics
    )
    finals = of_kind(found, names.FINAL_RUN)
    assert {run.data.tags[names.STATUS] for run in finals} == {"failed"}


def test_each_final_run_reads_the_test_split_once(finished_sweep, sample):
    final = of_kind(runs(finished_sweep), names.FINAL_RUN)
    counts = {}
    for run in final:
        counts[run.data.tags[names.MODEL]] = counts.get(run.data.tags[names.MODEL], 0) + 1
    assert reads(finished_sweep / "mlruns/ledger.jsonl", sample.digest) == counts
    client = StoreClient(f"sqlite:///{finished_sweep / 'mlruns' / 'mlflow.db'}")
    for run in final:
        path = client.download_artifacts(run.info.run_id, names.PREDICTIONS)
        with np.load(path, allow_pickle=False) as predictions:
            agreed = predictions["probabilities"].argmax(axis=1) == predictions["labels"]
        assert run.data.metrics[names.TEST_ACCURACY] == pytest.approx(agreed.mean())
