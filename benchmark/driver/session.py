"""What all sweeps of a command work with: their stores, the display, and how runs are carried out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.data.ledger_chain import read_entries
from benchmark.display.events import Display, delivery_progress, kept_line
from benchmark.execution.cluster import RayOptions
from benchmark.execution.engine import Engine, Workplace
from benchmark.execution.gradual import GradualEngine
from benchmark.execution.inline import InlineEngine
from benchmark.execution.processes import ProcessEngine
from benchmark.plan.run_specs import Plan
from benchmark.support.databases import sqlite_path
from benchmark.support.errors import Unfinished
from benchmark.support.files import RunsFolder
from benchmark.tracking.outbox import Outbox
from benchmark.tracking.record import clean
from benchmark.tracking.spool import Spool, spool_home
from benchmark.tracking.store import (
    StoreClient,
    check_writable,
    connect,
    ensure_runs_folder,
    is_ready,
    resolve_uri,
)

LAST_PATIENCE = 2.0
_PATIENCE = 30.0


@dataclass(frozen=True)
class Session:
    """Where sweeps are remembered, and how their runs are carried out; none of it is part of what runs are.

    Attributes
    ----------
    runs : RunsFolder
        ``mlruns``.
    client : StoreClient
        A store that answers.
    uri : str
        Its address.
    outbox : Outbox
        Brings results there.
    display : Display
        What a person sees.
    storage : str or None
        URL of the Optuna storage, None for a journal file.
    workers : int or None
        Worker processes; None trains in this process.
    run_timeout : float or None
        Seconds after which a run is stopped; needs a worker process, so there is one at least.
    recycle : int or None
        Runs after which a worker process is replaced.
    max_failures : int or None
        Runs that fail in a row, after which a sweep is stopped.
    join : bool
        Whether to help another process with its study.
    ray : RayOptions or None
        The share of a Ray cluster that each run takes; None trains on this machine, without Ray.
    spread : bool
        Whether workers take over from this process where that pays.
    """

    runs: RunsFolder
    client: StoreClient
    uri: str
    outbox: Outbox
    display: Display
    storage: str | None = None
    workers: int | None = None
    run_timeout: float | None = None
    recycle: int | None = None
    max_failures: int | None = None
    join: bool = False
    ray: RayOptions | None = None
    spread: bool = False

    @property
    def inline(self) -> bool:
        """Whether this process trains, at first at least."""
        return self.ray is None and self.workers is None and self.run_timeout is None

    def engine(self, *plans: Plan) -> Engine:
        """Return what trains plans on the same data: this process, workers, or the connected Ray cluster."""
        config, dataset, networks = plans[0].config, plans[0].dataset, any(plan.is_network for plan in plans)
        limits = self.run_timeout, self.recycle
        asked = config.device, config.compile, *limits, networks, config.deterministic
        place = Workplace(dataset, self.runs.ledger, *asked)
        if self.ray is not None:
            from benchmark.execution.ray import RayEngine

            return RayEngine(place, self.ray, self.workers, self.display.line)
        if not self.inline:
            return ProcessEngine(place, self.workers or 1)
        return GradualEngine(place, self.display.line) if self.spread else InlineEngine(place)

    def deliver(self) -> bool:
        """Whether every result is in MLflow; waits for a store that does not answer for half a minute."""
        return self.outbox.drain(_PATIENCE, delivery_progress(self.display.line)) == 0

    def settle(self, *plans: Plan) -> None:
        """Wait until MLflow has the results of sweeps, for a command that reads them next.

        Raises
        ------
        Unfinished
            When they are not there at the end.
        """
        if not self.deliver():
            raise Unfinished(
                f"the tracking store does not answer; what was measured is kept in {self.runs.spool}, and "
                "the same command goes on when it does"
            )
        self.check_refused(*plans)

    def check_refused(self, *plans: Plan) -> None:
        """Raise `Unfinished` where the store refused results of these sweeps, or any by now."""
        spool = self.outbox.spool
        before = sum(len(spool.refused_runs(clean(plan.study))) for plan in plans)
        if refused := max(self.outbox.refused, before):
            raise Unfinished(
                f"results that the tracking store refused: {refused}; they are kept in {spool.home} as "
                "*.refused and are not trained again; once the cause is removed, python -m benchmark.sync "
                "delivers them"
            )


@contextmanager
def open_session(
    runs: Path, tracking_uri: str | None, display: Display, **settings: Any
) -> Iterator[Session]:
    """Open the stores, and bring results to MLflow until the end; what is not delivered stays in the spool.

    Parameters
    ----------
    runs : Path
        ``mlruns``, made where it is missing.
    tracking_uri : str or None
        As in `benchmark.tracking.store.resolve_uri`.
    display : Display
        Shows what happens to results.
    **settings
        Further attributes of `Session`.

    Raises
    ------
    UserError
        Where a store is unavailable; nothing has been started then.
    """
    folder = RunsFolder(runs)
    ensure_runs_folder(runs)
    read_entries(folder.ledger)  # no final run could be recorded in one that is damaged
    uri = resolve_uri(tracking_uri, runs)
    # MLflow takes seconds to import, and there may be nothing to do.
    client = StoreClient(uri, None if is_ready(uri) else connect(uri))
    check_writable(spool_home(runs, uri))
    database = sqlite_path(uri)
    if database is not None and database.is_file():
        check_writable(database)
    outbox = Outbox(client, Spool(runs, uri), display.notice)
    try:
        yield Session(folder, client, uri, outbox, display, **settings)
    finally:
        if left := outbox.close(LAST_PATIENCE):  # who needs all of it there has waited: see `deliver`
            display.line(kept_line(left, folder.spool))
