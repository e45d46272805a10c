"""What a sweep trains with by default: this process, then workers where what is left pays for them."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, Protocol, cast

from benchmark.execution.engine import Engine, Handler, Job, Workplace
from benchmark.execution.inline import InlineEngine
from benchmark.execution.processes import ProcessEngine, best_workers, known_workers, visible_gpus
from benchmark.plan.run_specs import Plan
from benchmark.spec.result import Result
from benchmark.training.devices import cores, crowded, free_memory, physical_cores

SHORT = 90.0
"""Seconds of training that have to be left for two workers: they start in some ten seconds."""

LONG = 300.0
"""Seconds from which it pays to measure how many are fastest, which takes about a minute."""

_WORKER_MEMORY = 1 << 30  # TensorFlow alone takes 0.7 GiB of it
_MARGIN = 1 << 30


class Lasting(Handler, Protocol):
    """A handler that knows how much there is to do."""

    plan: Plan

    def seconds_left(self, one: float) -> float:
        """Return the seconds of training that are left where a run takes `one`."""
        ...


class GradualEngine:
    """Trains in this process, and in workers once `SHORT` seconds or more are left.

    Short sweeps start no process and import TensorFlow once. From `LONG` seconds on, as many workers are
    started as are measured to be fastest, see `benchmark.execution.processes.best_workers`. Before, what was
    measured once is used, else there are two, where the machine has two cores that share no unit. There are
    never more than memory allows.

    Parameters
    ----------
    place : Workplace
        What all runs share.
    say : callable
        Gets a line when it measures, and when it goes over to workers.
    """

    def __init__(self, place: Workplace, say: Callable[[str], None]) -> None:
        self._place, self._say = place, say
        self._inline: Engine = InlineEngine(place)
        self._workers: Engine | None = None
        self._asked: set[str] = set()

    def run(self, handler: Handler) -> None:
        """Run all jobs of a handler that is `Lasting`."""
        lasting = cast(Lasting, handler)
        seconds: list[float] = []
        while self._workers is None and not handler.finished:
            one = _OneRun(handler)
            self._inline.run(cast(Handler, one))
            seconds.append(one.seconds or 0.0)
            model = lasting.plan.model.name
            left = 0.0 if handler.finished else lasting.seconds_left(statistics.fmean(seconds))
            if left >= SHORT and model not in self._asked and not crowded():
                self._asked.add(model)
                self._workers = self._chosen(lasting.plan, left)
        if self._workers is not None:
            self._workers.run(handler)

    def close(self) -> None:
        """End the workers."""
        if self._workers is not None:
            self._workers.close()

    def _chosen(self, plan: Plan, left: float) -> Engine | None:
        """Return workers, or None where this process alone is as fast, or memory or GPUs say otherwise."""
        most = min(cores(), (free_memory() - _MARGIN) // _WORKER_MEMORY)
        if most < 2 or (self._place.device != "cpu" and visible_gpus()):
            return None
        workers = known_workers(plan, self._place, most)
        if workers is None and left < LONG:
            workers = min(2, physical_cores())
        elif workers is None:
            self._say(f"{plan.model.label}: much is left; finding out whether workers are faster (kept)")
            workers = best_workers(plan, self._place, most)
            if workers < 2:
                self._say("this process alone is as fast")
        if workers < 2:
            return None
        self._say(f"{workers} workers train side by side from now on; `workers` 1 keeps to one run at a time")
        return ProcessEngine(self._place, workers)


class _OneRun:
    """A handler that has one job only; whatever else is asked of it, the given one answers."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.seconds: float | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)

    @property
    def finished(self) -> bool:
        return self.seconds is not None or self._handler.finished

    def ended(self, job: Job, result: Result) -> None:
        self.seconds = result.train_seconds
        self._handler.ended(job, result)
