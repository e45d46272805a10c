"""How many worker processes train most runs a minute on this machine: measured once, and kept."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from importlib.metadata import version

from benchmark.data.cache import remembered
from benchmark.execution.engine import Job, Workplace
from benchmark.execution.processes import ProcessEngine
from benchmark.plan.run_specs import Plan
from benchmark.spec.config import RunSpec
from benchmark.spec.result import EpochReport, Result, Status
from benchmark.support.errors import UserError
from benchmark.training.devices import cores

_STEPS = 16  # of training in each run that is timed
_RUNS_EACH = 2
_WORTH = 1.1  # times the runs a minute that more workers, and their memory, must bring


def best_workers(plan: Plan, place: Workplace) -> int:
    """Return the number of workers that carry out most runs a minute, each with its share of the cores.

    Tries 1, 2, 4, … up to the number of cores on short runs of the published configuration, for as long
    as more bring at least a tenth more; once an architecture, data set and machine.

    Parameters
    ----------
    plan : Plan
        Its architecture, the dearest of a sweep.
    place : Workplace
        What all runs share.

    Raises
    ------
    UserError
        When such a run fails.
    """
    rates = remembered("workers", _identity(plan, place), lambda: _measure(plan, place))
    return max((int(workers) for workers in rates), key=lambda workers: (rates[str(workers)], -workers))


def _identity(plan: Plan, place: Workplace) -> dict[str, object]:
    return {
        "model": [plan.model.name, plan.model.digest],
        "dataset": plan.dataset.digest,
        "device": place.device,
        "cores": cores(),
        "versions": [version("tensorflow"), version("keras")],
    }


def _measure(plan: Plan, place: Workplace) -> dict[str, float]:
    """Return runs a second by number of workers, as far as was tried."""
    spec = _short(plan)
    rates: dict[str, float] = {}
    best, workers = 0.0, 1
    while workers <= cores():
        rate = _rate(spec, place, workers)
        if rate < _WORTH * best:
            break
        rates[str(workers)] = best = rate
        workers *= 2
    return rates


def _short(plan: Plan) -> RunSpec:
    """Return the published configuration as a run of a few steps."""
    spec = plan.trial_spec(plan.default, 0)
    training = spec.training
    if training is None:
        return spec
    count = min(plan.dataset.sizes["train"], _STEPS * training.batch_size)
    short = training.model_copy(update={"epochs": 1, "patience": None})
    return spec.model_copy(update={"training": short, "train_examples": count})


def _rate(spec: RunSpec, place: Workplace, workers: int) -> float:
    engine = ProcessEngine(place, workers)
    try:
        engine.run(_Runs(spec, workers))  # starts the processes, and compiles
        started = time.perf_counter()
        engine.run(_Runs(spec, _RUNS_EACH * workers))
        return _RUNS_EACH * workers / (time.perf_counter() - started)
    finally:
        engine.close()


@dataclass
class _Runs:
    """The same run some times, of which nothing is kept."""

    spec: RunSpec
    left: int
    stopping: bool = field(default=False, init=False)

    @property
    def finished(self) -> bool:
        return self.left == 0

    def next(self) -> Job | None:
        if self.left == 0:
            return None
        self.left -= 1
        return Job(self.left, self.spec)

    def started(self, job: Job) -> None:
        pass

    def epoch(self, job: Job, report: EpochReport) -> Status | None:
        return None

    def ended(self, job: Job, result: Result) -> None:
        if result.status not in ("ok", "diverged"):
            raise UserError(
                f"--workers auto: a short run of '{self.spec.model}' ended as {result.status} "
                f"({result.error_line}); give the number of workers"
            )
