"""One sweep, or one published configuration: the process that owns Optuna and MLflow."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.data.ledger_chain import read_entries
from benchmark.display.live import Display
from benchmark.display.progress import delivery_progress, kept_line
from benchmark.driver.phases import LAST_PATIENCE, Configurations, FinalPhase, PublishedPhase, SearchPhase
from benchmark.execution.cluster import RayOptions
from benchmark.execution.engine import Engine, Workplace
from benchmark.execution.inline import InlineEngine
from benchmark.execution.processes import ProcessEngine
from benchmark.plan.run_specs import Plan
from benchmark.report.plots import search_png
from benchmark.search.presence import Presence, open_presence
from benchmark.search.study import Search
from benchmark.spec.config import RunSpec, Scalar
from benchmark.support.databases import sqlite_path
from benchmark.support.errors import Unfinished, UserError
from benchmark.tracking import names
from benchmark.tracking.drafts import clean
from benchmark.tracking.monitor import system_metrics
from benchmark.tracking.outbox import Outbox
from benchmark.tracking.published_runs import PublishedTracker
from benchmark.tracking.runs_query import PatientClient
from benchmark.tracking.spool import SPOOL, Spool, spool_home
from benchmark.tracking.store import (
    check_writable,
    connect,
    default_artifacts,
    ensure_runs_folder,
    resolve_uri,
)
from benchmark.tracking.tracker import FurtherTracker, Tracker

_PATIENCE = 30.0


@dataclass(frozen=True)
class Limits:
    """How runs are carried out; none of it is part of what they are.

    Attributes
    ----------
    workers : int or None
        Worker processes; None trains in this process.
    run_timeout : float or None
        Seconds after which a run is ended; needs a worker process, so there is one at least.
    recycle : int or None
        Runs after which a worker process is replaced.
    max_failures : int or None
        Runs that fail in a row, after which a sweep is ended.
    join : bool
        Whether to help another process with its study.
    ray : RayOptions or None
        The part of a Ray cluster that each run takes; None trains on this machine, without Ray.
    """

    workers: int | None = None
    run_timeout: float | None = None
    recycle: int | None = None
    max_failures: int | None = None
    join: bool = False
    ray: RayOptions | None = None

    @property
    def in_workers(self) -> bool:
        """Whether runs are trained in processes of their own."""
        return self.workers is not None or self.run_timeout is not None or self.ray is not None


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
    outbox : Outbox
        Brings results there.
    storage : str or None
        URL of the Optuna storage, None for a journal file.
    """

    runs: Path
    client: Any
    uri: str
    outbox: Outbox
    storage: str | None = None

    @property
    def ledger(self) -> Path:
        """The ledger of test reads."""
        return self.runs / "ledger.jsonl"

    @property
    def studies(self) -> Path:
        """Journals and locks of the studies."""
        return self.runs / "studies"


@contextmanager
def open_stores(
    runs: Path, tracking_uri: str | None, display: Display, storage: str | None = None
) -> Iterator[Stores]:
    """Open the stores, and bring results to MLflow until the end; what cannot be brought stays in the spool.

    Parameters
    ----------
    runs : Path
        ``mlruns``, made where it is missing.
    tracking_uri : str or None
        As in `benchmark.tracking.store.resolve_uri`.
    display : Display
        Is told what happens to results.
    storage : str, optional
        URL of the Optuna storage.

    Raises
    ------
    UserError
        Where a store cannot be used; nothing has been begun then.
    """
    ensure_runs_folder(runs)
    read_entries(runs / "ledger.jsonl")  # no final run could be recorded in one that is damaged
    uri = resolve_uri(tracking_uri, runs)
    client = connect(uri)
    check_writable(spool_home(runs, uri))
    database = sqlite_path(uri)
    if database is not None and database.is_file():
        check_writable(database)
    outbox = Outbox(client, Spool(runs, uri), display.notice)
    try:
        yield Stores(runs, PatientClient(client), uri, outbox, storage)
    finally:
        if left := outbox.close(LAST_PATIENCE):  # who needs all of it there has waited: see `delivered`
            display.line(kept_line(left, runs / SPOOL))


def delivered(stores: Stores, display: Display) -> bool:
    """Whether every result is in MLflow; waits for a store that does not answer for half a minute."""
    return stores.outbox.drain(_PATIENCE, delivery_progress(display.line)) == 0


def check_refused(stores: Stores, *plans: Plan) -> None:
    """Raise `Unfinished` where the store refused results, of these sweeps at any time or of any by now."""
    spool = stores.outbox.spool
    refused = max(stores.outbox.refused, sum(len(spool.refused_runs(clean(plan.study))) for plan in plans))
    if refused:
        raise Unfinished(
            f"results that the tracking store refused: {refused}; they are kept in {spool.home} as *.refused "
            "and are not trained again; once the cause is removed, python -m benchmark.sync delivers them"
        )


def make_engine(plan: Plan, stores: Stores, limits: Limits, display: Display) -> Engine:
    """Return what trains: this process, worker processes, or the Ray cluster that it is connected to."""
    config = plan.config
    place = Workplace(
        plan.dataset, stores.ledger, config.device, config.compile, limits.run_timeout, limits.recycle
    )
    if limits.ray is not None:
        from benchmark.execution.ray import RayEngine

        return RayEngine(place, limits.ray, limits.workers, display.line)
    if limits.in_workers:
        return ProcessEngine(place, limits.workers or 1)
    return InlineEngine(place)


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
    search_ended : str
        Why the search has fewer trials than were asked for; empty where it is complete.
    """

    model: str
    study: str
    trials: int
    finals: int
    failed: int
    winner: dict[str, Scalar] | None
    run_id: str | None = None
    search_ended: str = ""


def run_published(plan: Plan, stores: Stores, display: Display) -> Outcome:
    """Carry out the missing runs of a published configuration: final runs without a search.

    Parameters
    ----------
    plan : Plan
        A space with nothing to search, and the number of seeds.
    stores : Stores
        Where it is remembered.
    display : Display
        What a person sees.

    Raises
    ------
    UserError
        When the same configuration is under way in another process.
    """

    def phase(tracker: Tracker) -> FinalPhase:
        return PublishedPhase(plan, tracker, display)

    return _run_finals(plan, PublishedTracker, phase, stores, display)


def run_further(plan: Plan, tier: str, stores: Stores, display: Display) -> Outcome:
    """Carry out the missing final runs of one row of a board.

    Parameters
    ----------
    plan : Plan
        Whose default is the row's configuration, with nothing to search, and whose study is the row's.
    tier : str
        As the row's runs are tagged.
    stores, display
        As in `run_published`.

    Raises
    ------
    UserError
        When the row's sweep is under way in another process.
    """
    specs = plan.final_specs(plan.default)

    def phase(tracker: Tracker) -> FinalPhase:
        return FinalPhase(plan, tracker, display, lambda: {specs[0].config_id: (tier, specs)})

    return _run_finals(plan, FurtherTracker, phase, stores, display)


def _run_finals(
    plan: Plan,
    kind: type[Tracker],
    make_phase: Callable[[Tracker], FinalPhase],
    stores: Stores,
    display: Display,
) -> Outcome:
    presence = open_presence(None, stores.studies, plan.study)
    with ExitStack() as stack:
        stack.callback(presence.close)
        _be_alone(presence, plan, "wait for it")
        tracker = kind(stores.client, plan, _artifacts(plan, stores), stores.outbox)
        phase = make_phase(tracker)
        started, left = time.monotonic(), len(phase.missing())
        total, done = {"search": 0, "final": phase.total}, {"search": 0, "final": phase.total - left}
        display.sweep_started(plan.model.label, plan.dataset.name, plan.study, total, done)
        if not left:
            check_refused(stores, plan)
            display.line(f"nothing to do: all {phase.total} runs of '{plan.study}' are there")
            return Outcome(plan.model.name, plan.study, 0, 0, 0, None)
        engine = make_engine(plan, stores, Limits(), display)
        stack.callback(engine.close)
        with _recorded(tracker):
            phase.run(engine)
            tracker.finish({}, lambda folder: None)
        if not delivered(stores, display):  # what follows reads it
            raise Unfinished(
                "the tracking store does not answer; what was measured is kept in "
                f"{stores.runs / 'spool'}, and the same command goes on when it does"
            )
        check_refused(stores, plan)
        display.sweep_ended(plan.study, time.monotonic() - started)
        return Outcome(plan.model.name, plan.study, 0, phase.ran, phase.failed, None)


def _be_alone(presence: Presence, plan: Plan, instead: str) -> None:
    """Take the study, or say what to do instead."""
    if not presence.take("study"):
        raise UserError(f"study {plan.study} is being worked on by another process; {instead}")


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


def _artifacts(plan: Plan, stores: Stores) -> str | None:
    return default_artifacts(stores.uri, stores.runs, plan.dataset.name)


@dataclass
class Sweep:
    """A sweep, opened: its study is taken, and what is there already has been read.

    Parameters
    ----------
    plan : Plan
        What to do.
    stores : Stores
        Where it is remembered.
    display : Display
        What a person sees.
    limits : Limits
        How it is carried out.

    Raises
    ------
    UserError
        When the same sweep is under way in another process, or its study is another one.
    """

    plan: Plan
    stores: Stores
    display: Display
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        plan, stores, limits = self.plan, self.stores, self.limits
        self.presence = open_presence(stores.storage, stores.studies, plan.study)
        try:
            if not limits.join:
                shared = "--join" if stores.storage else "--join and a shared --storage"
                _be_alone(self.presence, plan, f"wait for it, help it with {shared}, or use another --study")
            artifacts = _artifacts(plan, stores)
            self.tracker = Tracker(stores.client, plan, artifacts, stores.outbox, self.presence)
            self.search = Search(
                plan,
                stores.storage,
                stores.studies,
                self.presence,
                self.tracker.ended_trial,
                self.tracker.ended_trials,
            )
        except BaseException:
            self.presence.close()
            raise
        failures = limits.max_failures
        self.trials = SearchPhase(plan, self.tracker, self.display, self.search, failures)
        self.finals = FinalPhase(
            plan, self.tracker, self.display, self.configurations, failures, claim=self._claim
        )

    def close(self) -> None:
        """Let other processes have the study."""
        self.presence.close()

    def _claim(self, spec: RunSpec) -> bool:
        """Take a final run; another process that shares the study may have it, or have done it."""
        if self.stores.storage is None:  # nobody else has the study
            return True
        return self.presence.take(f"final {spec.spec_id}") and not self.tracker.has_ended(spec.spec_id)

    def configurations(self) -> Configurations:
        """Return the published default and, where it is another one, the winner of the search so far."""
        default = self.plan.final_specs(self.plan.default)
        winner = self.search.winner()
        if winner is None:
            tiers = [("default", default)]
        elif winner.config_id == default[0].config_id:
            tiers = [(names.BOTH_TIERS, default)]
        else:
            tiers = [("default", default), ("tuned", self.plan.final_specs(winner.hparams))]
        return {specs[0].config_id: (tier, specs) for tier, specs in tiers}

    def run(self, engine: Engine) -> Outcome:
        """Go on with the sweep: the search up to its total, then the missing final runs."""
        plan, search, finals = self.plan, self.search, self.finals
        started = time.monotonic()
        missing = finals.missing()
        # Two tiers, unless it turns out that the default has won.
        expected = finals.total if search.finished else 2 * plan.config.seeds
        total = {"search": search.total, "final": expected}
        done = {"search": search.done, "final": finals.total - len(missing)}
        self.display.sweep_started(plan.model.label, plan.dataset.name, plan.study, total, done)
        if search.settled and not missing and not self.tracker.left_open:
            finals.tag_tiers()
            self.tracker.tag_sweep(names.SEARCH_ENDED, self.search_ended)
            self._say_why_ended()
            self.display.line(
                f"nothing to do: {search.done} of {search.total} trials and all final runs of "
                f"{plan.study} are done; raise --trials or --seeds for more"
            )
            return self._outcome()
        with _recorded(self.tracker):
            self.trials.run(engine)
            if not self.trials.gave_up:
                finals.tag_tiers()
                self.display.finals_planned(finals.total, finals.total - len(finals.missing()))
                finals.run(engine)
            totals = {names.SEARCH_TRIALS: float(len(search.table())), names.SEARCH_SECONDS: search.seconds}
            self.tracker.finish(totals, self._write_search, {names.SEARCH_ENDED: self.search_ended})
        self._say_why_ended()
        self.display.sweep_ended(plan.model.label, time.monotonic() - started)
        return self._outcome()

    @property
    def search_ended(self) -> str:
        """Why the search has fewer trials than were asked for; "" where it is complete."""
        if self.trials.gave_up:
            failed = f"{self.limits.max_failures} runs in a row failed"
            return f"after {self.search.done} of {self.search.total} trials: {failed}"
        return self.search.ended

    def _say_why_ended(self) -> None:
        label, asked, total = self.plan.model.label, self.plan.config.trials, self.search.total
        if self.search.ended:
            self.display.line(
                f"{label}: the search ended {self.search.ended}; for more give --trials {asked} and no "
                "--timeout, or a longer one"
            )
        elif total < asked:
            why = "all points of the grid are tried" if self.plan.space.search else "nothing is searched"
            self.display.line(f"{label}: {total} of {asked} trials is all there is: {why}")
        if self.trials.gave_up or self.finals.gave_up:
            self.display.line(
                f"{label}: ended, since {self.limits.max_failures} runs in a row failed (see "
                "traceback.txt of each in MLflow); the same command goes on, --max-failures sets the number"
            )

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
            self.search_ended,
        )

    def _write_search(self, folder: Path) -> None:
        rows = self.search.table()
        if not rows:
            return
        with (folder / names.TRIALS_CSV).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)
        values = [row["val_accuracy"] for row in rows]
        pruned = [row["status"] == "pruned" for row in rows]
        search_png(values, pruned, folder / names.SEARCH_PNG)
