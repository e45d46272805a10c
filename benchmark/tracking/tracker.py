"""What MLflow learns of a sweep: a parent run, and children for trials and final runs."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from benchmark.plan.run_specs import Plan
from benchmark.spec.config import RunSpec
from benchmark.spec.result import EpochReport, Result, TrialEnd
from benchmark.support.errors import UserError
from benchmark.support.retries import awaited
from benchmark.tracking import names
from benchmark.tracking.delivery import ensure_experiment
from benchmark.tracking.outbox import Outbox
from benchmark.tracking.record import (
    MlflowStatus,
    Record,
    clean,
    cleaned,
    dataset_input,
    milliseconds,
    sweep_tags,
)
from benchmark.tracking.runs import StoredRun, find_runs
from benchmark.tracking.store import of_store, patiently, reason

Answer = TypeVar("Answer")

_FLUSH_SECONDS = 5.0
_BEGIN_PATIENCE = 3.0
_CLAIM_PATIENCE = 5.0
_STEP = 0.02


class Owner(Protocol):
    """A process among those that work on a study; `token` is its name."""

    token: str

    def alive(self, token: str) -> bool:
        """Whether the process of that name is there."""
        ...


@dataclass(frozen=True)
class Purpose:
    """Which command asks for a sweep, and so of which kinds its runs are.

    Attributes
    ----------
    command : str
        The command's module.
    parent_kind, run_kind : str
        Kinds of the sweep's run and of its final runs.
    sets_seeds : bool
        Whether the sweep is asked for as many seeds as the plan says.
    tags : mapping of str to str
        Further ones of all its runs.
    takes_finals : bool
        Whether final runs of any sweep count that are the same runs.
    """

    command: str
    parent_kind: str = names.SWEEP
    run_kind: str = names.FINAL_RUN
    sets_seeds: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    takes_finals: bool = False


SWEEP = Purpose("benchmark.sweep")
PUBLISHED = Purpose("benchmark.reproduce", names.REPRODUCTION, names.PUBLISHED_RUN)
FURTHER = Purpose("benchmark.compare", sets_seeds=False)


class Tracker:
    """Records one sweep in MLflow, without waiting for it once the sweep has started.

    Parameters
    ----------
    client : mlflow.MlflowClient
        A store that answers.
    plan : Plan
        The sweep.
    artifacts : str or None
        Where a new experiment keeps its artifacts; None leaves it to the server.
    outbox : Outbox
        Brings results to that store.
    owner : Owner, optional
        Knows which processes share the study; by default this one alone works on it.
    purpose : Purpose
        Which command asks for the sweep.

    Attributes
    ----------
    client, outbox, purpose
        As given.
    finals : list of StoredRun
        The final runs of previous processes that have finished, the latest first.

    Raises
    ------
    UserError
        When the store does not answer any more.
    """

    def __init__(
        self,
        client: Any,
        plan: Plan,
        artifacts: str | None,
        outbox: Outbox,
        owner: Owner | None = None,
        purpose: Purpose = SWEEP,
    ) -> None:
        self.client, self.outbox, self.purpose = client, outbox, purpose
        self._plan, self._location, self._owner = plan, artifacts, owner
        self._tags = {**sweep_tags(plan, purpose.command), **purpose.tags}
        self._runs: dict[str, Record] = {}
        self._shown: dict[str, float] = {}
        self._started = False
        dataset, study = plan.dataset.name, clean(plan.study)
        self._find: Callable[..., list[StoredRun]] = partial(
            find_runs, client, dataset, spool=outbox.spool, STUDY=study
        )
        runs = self._read(self._find_all)
        if not any(run.run_id for run in runs):  # the experiment may be missing, or deleted
            restored: list[bool] = []
            self._read(lambda: ensure_experiment(client, dataset, artifacts, lambda: restored.append(True)))
            runs = self._read(self._find_all) if restored else runs
        parent_kind, run_kind = purpose.parent_kind, purpose.run_kind
        self._parent = next((run for run in runs if run.kind == parent_kind), None)
        # The same in every process, so that two that start at the same time mean the same run.
        name = "/".join((parent_kind, dataset, study))
        self._parent_key = self._parent.key if self._parent else uuid.uuid5(uuid.NAMESPACE_URL, name).hex
        self.finals = [run for run in runs if run.kind == run_kind and run.finished]
        if purpose.takes_finals:
            find = partial(find_runs, client, dataset, (names.FINAL_RUN,), spool=outbox.spool)
            same = plan.final_specs(plan.default)[0].config_id
            self.finals += [run for run in self._read(lambda: find(CONFIG_ID=same)) if run.settled]
        self._open = self._left_open(runs)

    def _find_all(self) -> list[StoredRun]:
        return self._find((self.purpose.parent_kind, names.TRIAL_RUN, self.purpose.run_kind))

    def _left_open(self, runs: Iterable[StoredRun]) -> list[StoredRun]:
        """Return the children that a process left running that is gone."""
        children = [run for run in runs if run.kind != self.purpose.parent_kind]
        return [run for run in children if run.mlflow_status == "RUNNING" and not self._is_alive(run)]

    def _is_alive(self, child: StoredRun) -> bool:
        owner = child.tags.get(names.OWNER)
        return self._owner is not None and owner is not None and self._owner.alive(owner)

    def _read(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return patiently(ask)
        except Exception as error:
            if not of_store(error):
                raise
            store = self.outbox.spool.store
            raise UserError(f"tracking store {store} does not answer ({reason(error)})") from error

    @property
    def parent_id(self) -> str:
        """MLflow's id of the sweep's run; empty while it is not known."""
        if self._parent is not None and self._parent.run_id:
            return self._parent.run_id
        return (self.outbox.run_id(self._parent_key) or "") if self._started else ""

    @property
    def left_open(self) -> bool:
        """Whether a process that is gone left a run open: one of the children, or the sweep's."""
        return bool(self._open) or (self._parent is not None and self._parent.mlflow_status != "FINISHED")

    def begin(self) -> None:
        """Reopen the sweep's run, or make it; close children that a process left running that is gone."""
        again, self._started = self._started, True
        self._close([] if again else self._open)
        dataset, config = self._plan.dataset, self._plan.config
        tags = {names.TEST_DUPLICATES: f"{dataset.test_duplicates} of {dataset.sizes['test']}"}
        if self._plan.made_for:
            tags[names.MADE_FOR] = self._plan.made_for
        if self._parent is None or self.purpose.sets_seeds:
            tags[names.SEEDS_EXPECTED] = str(config.seeds)
        if again:
            record = self._record(self._parent_key, tags, run_id=self.parent_id or None, status="RUNNING")
        elif self._parent is None:
            tags[names.KIND] = self.purpose.parent_kind
            unused = () if config.small_data else ("small_data",)
            params = {
                **config.model_dump(exclude={"overrides", "study", *unused}),
                "metric": self._plan.metric,
            }
            record = self._new(self._parent_key, self._plan.study, params, tags, status="RUNNING")
        else:
            record = self._change(self._parent, tags, status="RUNNING")
        self._send(record)
        if record.run_id is None:  # another process may deliver it, and this one has to know its id, too
            self.outbox.live(record.model_copy(update={"status": None}))
        awaited(lambda: self.parent_id or None, _STEP, _BEGIN_PATIENCE)

    def _close(self, children: Iterable[StoredRun]) -> None:
        for child in children:
            tags = {names.STATUS: "interrupted"}
            self._send(self._change(child, tags, status="KILLED", end_time=milliseconds()))

    def _record(self, key: str, tags: Mapping[str, str], **more: Any) -> Record:
        experiment = self._plan.dataset.name
        return Record(key=key, experiment=experiment, location=self._location, tags=cleaned(tags), **more)

    def _change(self, run: StoredRun, tags: Mapping[str, str], **more: Any) -> Record:
        """Return a record that changes a run."""
        return self._record(run.key, tags, run_id=run.run_id or None, **more)

    def _new(
        self, key: str, name: str, params: Mapping[str, Any], tags: Mapping[str, str], **more: Any
    ) -> Record:
        """Return the record of a run that starts now."""
        more |= {"run_name": clean(name), "start_time": milliseconds(), "params": cleaned(params)}
        return self._record(key, {**self._tags, **tags}, dataset=dataset_input(self._plan.dataset), **more)

    def _send(self, record: Record, write: Callable[[Path], None] | None = None) -> None:
        """Commit a record, then let it be delivered."""
        self.outbox.spool.commit(record, write)
        self.outbox.send(record)

    def start(self, spec: RunSpec, run_name: str, tags: Mapping[str, str]) -> str:
        """Begin a child run, with every hyper-parameter as a param; return our key of it."""
        ids = {names.PROTOCOL: spec.protocol, names.SPEC_ID: spec.spec_id, names.CONFIG_ID: spec.config_id}
        owner = {} if self._owner is None else {names.OWNER: self._owner.token}
        key, tags = uuid.uuid4().hex, {**ids, **owner, **tags}
        self._runs[key] = self._new(key, run_name, spec.flat(), tags, parent_key=self._parent_key or None)
        self._show(key)
        return key

    def _show(self, key: str) -> None:
        self._shown[key] = time.monotonic()
        self.outbox.live(self._under_parent(key))

    def _under_parent(self, key: str) -> Record:
        return self._runs[key].model_copy(update={"parent_id": self.parent_id or None})

    def epoch(self, key: str, report: EpochReport) -> None:
        """Take an epoch's metrics; they are shown together, at most every five seconds."""
        self._runs[key] = self._runs[key].measured(report.metrics, report.epoch)
        if time.monotonic() - self._shown[key] >= _FLUSH_SECONDS:
            self._show(key)

    def end(self, key: str, result: Result, write: Callable[[Path], None]) -> None:
        """End a child run with its summaries, status and artifacts; when this returns, they are safe.

        Parameters
        ----------
        key : str
            From `start`.
        result : Result
            What came out.
        write : callable
            Fills the folder of the run's artifacts.

        Raises
        ------
        OSError
            When the disk is full; nothing is recorded then.
        """
        self._send(self._under_parent(key).with_result(result), write)
        del self._runs[key], self._shown[key]

    def has_finished(self, spec_id: str) -> bool:
        """Whether a final run has finished in a different process; False where the store does not answer."""

        def ask() -> bool:
            return any(run.settled for run in self._find((self.purpose.run_kind,), SPEC_ID=spec_id))

        try:
            return patiently(ask, _CLAIM_PATIENCE)
        except Exception:
            return False

    def trial_end(self, slot: int) -> TrialEnd | None:
        """Return how a trial of the study finished last, or None where none has; see `trial_ends`."""
        return self.trial_ends(TRIAL=str(slot)).get(slot, [None])[-1]

    def trial_ends(self, **tags: str) -> dict[int, list[TrialEnd]]:
        """Return how the trials of the study finished, by slot, the latest end last.

        Raises
        ------
        UserError
            When the store does not answer.
        """
        ends: dict[int, list[TrialEnd]] = {}
        for run in reversed(self._read(lambda: self._find((names.TRIAL_RUN,), **tags))):
            if run.finished and names.STATUS in run.tags:
                seconds, config = run.train_seconds or 0.0, run.tags.get(names.CONFIG_ID)
                end = TrialEnd(run.status, run.best_value, seconds, config)
                ends.setdefault(int(run.tags[names.TRIAL]), []).append(end)
        return ends

    def tag(self, run: StoredRun, name: str, value: str) -> None:
        """Set a tag of a previous run."""
        self._send(self._change(run, {name: value}))

    def tag_sweep(self, name: str, value: str) -> None:
        """Set a tag of a previous sweep's run, where it has a different value."""
        if self._parent is not None and self._parent.tags.get(name, "") != value:
            self.tag(self._parent, name, value)

    def finish(
        self,
        totals: Mapping[str, float],
        write: Callable[[Path], None],
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """End the sweep's run with its totals, tags, and the pictures and tables of the search.

        Raises
        ------
        OSError
            When the disk is full.
        """
        if self._owner is not None:  # others may have died since this process started
            with contextlib.suppress(Exception):
                self._close(self._left_open(patiently(self._find_all, _CLAIM_PATIENCE)))
        self._send(self._parent_end("FINISHED", tags or {}).measured(totals), write)

    def abort(self, status: MlflowStatus) -> None:
        """End the sweep's run before its time (``KILLED`` or ``FAILED``)."""
        if self._started:
            with contextlib.suppress(Exception):  # the first error is the one to be shown
                self._send(self._parent_end(status, {}))

    def _parent_end(self, status: MlflowStatus, tags: Mapping[str, str]) -> Record:
        run_id, now = self.parent_id or None, milliseconds()
        return self._record(self._parent_key, tags, run_id=run_id, status=status, end_time=now)
