"""One sweep, or one published configuration: the process that owns Optuna and MLflow."""

from __future__ import annotations

import csv
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from benchmark.config import Scalar
from benchmark.errors import UserError
from benchmark.execution.engine import Engine
from benchmark.execution.inline import InlineEngine
from benchmark.phases import Configurations, FinalPhase, PublishedPhase, SearchPhase
from benchmark.plan import Plan
from benchmark.report.live import Display
from benchmark.report.plots import search_png
from benchmark.search.study import Search
from benchmark.tracking import names
from benchmark.tracking.monitor import system_metrics
from benchmark.tracking.published import PublishedTracker
from benchmark.tracking.store import default_artifacts
from benchmark.tracking.tracker import FurtherTracker, Tracker


@dataclass(frozen=True)
class Stores:
    """Where a sweep is remembered.

    Attributes
    ----------
    runs : Path
        ``mlruns``.
    client : mlflow.MlflowClient
        A store that answers.
    uri : str
        Its address.
    storage : str or None
        URL of the Optuna storage, None for a journal file.
    """

    runs: Path
    client: Any
    uri: str
    storage: str | None = None

    @property
    def ledger(self) -> Path:
        """The ledger of test reads."""
        return self.runs / "ledger.jsonl"


@dataclass(frozen=True)
class Outcome:
    """What a sweep did this time.

    Attributes
    ----------
    model, study : str
        Which sweep.
    trials, finals : int
        Runs of each phase that were trained now.
    failed : int
        How many of them failed or diverged.
    winner : dict or None
        The tuned configuration.
    run_id : str or None
        The sweep's run in MLflow; None where nothing was to be done.
    """

    model: str
    study: str
    trials: int
    finals: int
    failed: int
    winner: dict[str, Scalar] | None
    run_id: str | None = None


def run_sweep(plan: Plan, stores: Stores, display: Display, engine: Engine | None = None) -> Outcome:
    """Carry out a sweep, or go on with it: the search up to its total, then the missing final runs.

    Parameters
    ----------
    plan : Plan
        What to do.
    stores : Stores
        Where it is remembered.
    display : Display
        What a person sees.
    engine : Engine, optional
        What trains; by default this process.

    Raises
    ------
    UserError
        When the same sweep is under way in another process, or its study is another one.
    """
    with _alone(plan, stores, "wait for it, or use another --study"):
        return _Sweep(plan, stores, display, engine).run()


def run_published(plan: Plan, stores: Stores, display: Display, engine: Engine | None = None) -> Outcome:
    """Carry out the missing runs of a published configuration: final runs without a search.

    Parameters
    ----------
    plan : Plan
        A space with nothing to search, and the number of seeds.
    stores, display, engine
        As in `run_sweep`.

    Raises
    ------
    UserError
        When the same configuration is under way in another process.
    """
    tracker = PublishedTracker(stores.client, plan, _artifacts(plan, stores))
    return _run_finals(plan, tracker, PublishedPhase(plan, tracker, display), stores, display, engine)


def run_further(
    plan: Plan, tier: str, stores: Stores, display: Display, engine: Engine | None = None
) -> Outcome:
    """Carry out the missing final runs of one row of a board.

    Parameters
    ----------
    plan : Plan
        Whose default is the row's configuration, with nothing to search, and whose study is the row's.
    tier : str
        As the row's runs are tagged.
    stores, display, engine
        As in `run_sweep`.

    Raises
    ------
    UserError
        When the row's sweep is under way in another process.
    """
    tracker = FurtherTracker(stores.client, plan, _artifacts(plan, stores))
    specs = plan.final_specs(plan.default)
    phase = FinalPhase(plan, tracker, display, lambda: {specs[0].config_id: (tier, specs)})
    return _run_finals(plan, tracker, phase, stores, display, engine)


def _run_finals(
    plan: Plan, tracker: Tracker, phase: FinalPhase, stores: Stores, display: Display, engine: Engine | None
) -> Outcome:
    with _alone(plan, stores, "wait for it"):
        started, left = time.monotonic(), len(phase.missing())
        done = phase.total - left
        display.sweep_started(plan.model.label, plan.dataset.name, plan.study, 0, 0, phase.total, done)
        if not left:
            display.line(f"nothing to do: all {phase.total} runs of '{plan.study}' are there")
            return Outcome(plan.model.name, plan.study, 0, 0, 0, None)
        with _recorded(tracker), tempfile.TemporaryDirectory() as nothing:
            phase.run(engine or _inline(plan, stores))
            tracker.finish({}, Path(nothing))
        display.sweep_ended(plan.study, time.monotonic() - started)
        return Outcome(plan.model.name, plan.study, 0, phase.ran, phase.failed, None)


@contextmanager
def _alone(plan: Plan, stores: Stores, instead: str) -> Iterator[None]:
    """Hold the lock of a study, or say what to do instead."""
    studies = stores.runs / "studies"
    studies.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(studies / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', plan.study)}.lock")
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise UserError(f"study {plan.study} is being worked on by another process; {instead}") from None
    with lock:
        yield


@contextmanager
def _recorded(tracker: Tracker) -> Iterator[None]:
    """Open the parent run, and end it as killed or failed when the work does not come to its end."""
    tracker.begin()
    try:
        with system_metrics(tracker.client, tracker.parent_id):
            yield
    except BaseException as error:
        tracker.abort("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise


def _inline(plan: Plan, stores: Stores) -> Engine:
    return InlineEngine(plan.dataset, stores.ledger, plan.config.device, plan.config.compile)


def _artifacts(plan: Plan, stores: Stores) -> str | None:
    return default_artifacts(stores.uri, stores.runs, plan.dataset.name)


class _Sweep:
    def __init__(self, plan: Plan, stores: Stores, display: Display, engine: Engine | None) -> None:
        self.plan, self.display = plan, display
        self.engine = engine or _inline(plan, stores)
        self.search = Search(plan, stores.storage, stores.runs / "studies")
        self.tracker = Tracker(stores.client, plan, _artifacts(plan, stores))
        self.trials = SearchPhase(plan, self.tracker, display, self.search)
        self.finals = FinalPhase(plan, self.tracker, display, self.configurations)

    def configurations(self) -> Configurations:
        """Return the published default and, where it is another one, the winner of the search so far."""
        default = self.plan.final_specs(self.plan.default)
        winner = self.search.winner()
        if winner is None:
            return {default[0].config_id: ("default", default)}
        if winner.config_id == default[0].config_id:
            return {default[0].config_id: (names.BOTH_TIERS, default)}
        tuned = self.plan.final_specs(winner.hparams)
        return {default[0].config_id: ("default", default), tuned[0].config_id: ("tuned", tuned)}

    def run(self) -> Outcome:
        plan, search, finals = self.plan, self.search, self.finals
        started = time.monotonic()
        missing = finals.missing()
        self.display.sweep_started(
            plan.model.label,
            plan.dataset.name,
            plan.study,
            search.total,
            search.done,
            # Two tiers, unless it turns out that the default has won.
            finals.total if search.finished else 2 * plan.config.seeds,
            finals.total - len(missing),
        )
        if search.finished and not missing:
            finals.tag_tiers()
            self.display.line(
                f"nothing to do: {search.done} of {search.total} trials and all final runs of "
                f"{plan.study} are done; raise --trials or --seeds for more"
            )
            return self._outcome()
        with _recorded(self.tracker):
            self.trials.run(self.engine)
            finals.tag_tiers()
            self.display.finals_planned(finals.total)
            finals.run(self.engine)
        with tempfile.TemporaryDirectory() as folder:
            self._write_search(Path(folder))
            totals = {names.SEARCH_TRIALS: float(search.done), names.SEARCH_SECONDS: search.seconds}
            self.tracker.finish(totals, Path(folder))
        self.display.sweep_ended(plan.model.label, time.monotonic() - started)
        return self._outcome()

    def _outcome(self) -> Outcome:
        winner = self.search.winner()
        return Outcome(
            self.plan.model.name,
            self.plan.study,
            self.trials.ran,
            self.finals.ran,
            self.trials.failed + self.finals.failed,
            winner.hparams if winner else None,
            self.tracker.parent_id or None,
        )

    def _write_search(self, folder: Path) -> None:
        rows = self.search.table()
        with (folder / names.TRIALS_CSV).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)
        values = [row["val_accuracy"] for row in rows]
        pruned = [row["status"] == "pruned" for row in rows]
        search_png(values, pruned, folder / names.SEARCH_PNG)
