"""``--workers auto``: a measurement, kept, that decides and is recorded."""

import json

import pytest
from processes import of_kind, runs

from benchmark import sweep
from benchmark.data.cache import cache_root
from benchmark.execution import processes as throughput
from benchmark.execution.engine import Job, Workplace
from benchmark.plan.run_specs import make_plan
from benchmark.spec.config import SweepConfig
from benchmark.spec.result import Result
from benchmark.support.errors import UserError
from benchmark.tracking import names

CONFIG = SweepConfig(budget="quick", trials=2, seeds=1, epochs=5, train_share=1)


def chosen(dataset, tmp_path, monkeypatch, rates, cores=8):
    """The number of workers where measuring gives these rates, and which were measured."""
    asked = []
    monkeypatch.setattr(throughput, "cores", lambda: cores)
    monkeypatch.setattr(
        throughput, "_rate", lambda spec, place, workers: asked.append(workers) or rates[workers]
    )
    place = Workplace(dataset, tmp_path / "ledger.jsonl")
    return throughput.best_workers(make_plan("avg-pool", dataset, CONFIG), place), asked


@pytest.mark.parametrize(
    ("rates", "best", "tried"),
    [
        ({1: 1.0, 2: 1.6, 4: 2.5, 8: 2.6}, 4, [1, 2, 4, 8]),  # not worth the memory
        ({1: 1.0, 2: 0.9}, 1, [1, 2]),
        ({1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0}, 8, [1, 2, 4, 8]),
    ],
)
def test_more_workers_for_as_long_as_they_bring_a_tenth(
    sample, tmp_path, own_cache, monkeypatch, rates, best, tried
):
    assert chosen(sample, tmp_path, monkeypatch, rates) == (best, tried)
    assert chosen(sample, tmp_path, monkeypatch, {}) == (best, [])
    # Another machine is another question.
    assert chosen(sample, tmp_path, monkeypatch, {1: 1.0}, cores=1) == (1, [1])


def test_what_is_timed_is_a_short_run_of_the_published_configuration(sample):
    spec = throughput._short(make_plan("avg-pool", sample, CONFIG))
    assert (spec.kind, spec.training.epochs, spec.training.patience) == ("trial", 1, None)
    assert spec.train_examples == sample.sizes["train"]  # fewer than 16 batches of 512
    small = CONFIG.model_copy(update={"overrides": {"batch_size": 32}})
    assert throughput._short(make_plan("avg-pool", sample, small)).train_examples == 512
    assert throughput._short(make_plan("nbsvm", sample, CONFIG)).training is None


def test_a_run_that_fails_is_told_before_anything_begins(sample):
    spec = throughput._short(make_plan("avg-pool", sample, CONFIG))
    handler = throughput._Runs(spec, 2)
    with pytest.raises(
        UserError, match=r"^`workers` auto: .* 'avg-pool' finished with status failed \(ValueError: no\)"
    ):
        handler.ended(Job(0, spec), Result("failed", error="Traceback\nValueError: no"))


@pytest.mark.long
def test_a_sweep_finds_out_by_itself_and_records_it(own_cache, capsys, monkeypatch):
    monkeypatch.setattr(throughput, "_RUNS_EACH", 1)
    words = ["--model", "avg-pool", "--dataset", "sample", "--trials", "2", "--seeds", "1", "--epochs", "2"]
    assert sweep.main([*words, "--workers", "auto"]) == 0
    (file,) = (cache_root() / "workers").glob("*.json")
    rates = json.loads(file.read_text())["result"]
    assert min(rates.values()) > 0
    best = max(rates, key=lambda workers: rates[workers])
    assert f"--workers {best}" in capsys.readouterr().out.splitlines()
    trials = of_kind(runs(), names.TRIAL_RUN)
    assert {run.data.tags[names.WORKERS] for run in trials} == {best}
    assert all(int(run.data.tags[names.THREADS]) >= 1 for run in trials)
