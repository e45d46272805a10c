"""Joining of results: the runs of one folder's store as records for another's, each run once."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from benchmark.databases import sqlite_uri
from benchmark.errors import UserError
from benchmark.tracking import names
from benchmark.tracking.drafts import milliseconds, summary_points
from benchmark.tracking.earlier import ENDED, EarlierRun, overlaid
from benchmark.tracking.runs_query import all_runs
from benchmark.tracking.spool import Entry, Input, Point, Record, Spool, spool_home
from benchmark.tracking.store import DATABASE, connect, default_artifacts

_PARENT_KINDS = {
    names.TRIAL_RUN: names.SWEEP,
    names.FINAL_RUN: names.SWEEP,
    names.PUBLISHED_RUN: names.REPRODUCTION,
}
_RESULTS = (names.BEST_VAL_ACCURACY, names.BEST_VAL_LOSS, names.TEST_ACCURACY, names.TEST_LOSS)
# They belong to the store where a run is, and are given by it.
_STORE_TAGS = frozenset({names.PARENT, names.RUN_KEY, "mlflow.runName"})

Place = tuple[str, str, str, str]
"""Data set, study, kind, and which of that kind: what of two runs only one may count for."""


@dataclass(frozen=True)
class Found:
    """A run of a folder.

    Attributes
    ----------
    run : EarlierRun
        As it will be once everything is delivered.
    experiment : str
        Name of its experiment, which is that of the data set.
    stored : mlflow.entities.Run or None
        As the database has it.
    entries : tuple of Entry
        What waits for it in the spool.
    """

    run: EarlierRun
    experiment: str
    stored: Any
    entries: tuple[Entry, ...]

    @property
    def kind(self) -> str:
        """Value of `benchmark.tracking.names.KIND`."""
        return self.run.tags[names.KIND]

    @property
    def study(self) -> str:
        """Name of the study, or of the published configuration."""
        return self.run.tags.get(names.STUDY, "")

    @property
    def name(self) -> str:
        """Identity of the run: our own key, or MLflow's id for one that has none."""
        return self.run.key or self.run.run_id or ""

    @property
    def moved(self) -> Found:
        """The run in another store, which gives it an id of its own."""
        return replace(self, run=replace(self.run, key=self.name, run_id=None), stored=None, entries=())

    @property
    def place(self) -> Place:
        """What the run is of which only one may count."""
        which = names.TRIAL if self.kind == names.TRIAL_RUN else names.SPEC_ID
        return self.experiment, self.study, self.kind, self.run.tags.get(which, "")

    @property
    def sweep(self) -> Place:
        """What the run belongs to, or is itself."""
        return self.experiment, self.study, _PARENT_KINDS.get(self.kind, self.kind), ""

    @property
    def is_sweep(self) -> bool:
        """Whether the run is the parent of others."""
        return self.kind not in _PARENT_KINDS

    @property
    def counts(self) -> bool:
        """Whether the run need not be done again."""
        return self.run.status in ENDED if self.kind == names.TRIAL_RUN else self.run.settled

    @property
    def result(self) -> tuple[str, ...]:
        """What came out, as text: a loss that is not a number equals itself."""
        figures = (repr(self.run.metrics.get(name)) for name in _RESULTS)
        return self.run.tags.get(names.STATUS, ""), *figures


class FolderRuns:
    """The runs of ``mlruns``: those in its database, and those in its spool on their way there.

    Parameters
    ----------
    runs : Path
        The folder; it is only read.

    Raises
    ------
    UserError
        Where its database cannot be read, or is another program's.
    """

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        database = runs / DATABASE
        self.uri = database_uri(runs)
        there = database.is_file() and database.stat().st_size > 0
        self._client = connect(self.uri) if there else None

    @cached_property
    def all(self) -> list[Found]:
        """Every run of ours, the earliest first."""
        spool = Spool(self._runs, self.uri) if spool_home(self._runs, self.uri).is_dir() else None
        entries = [] if spool is None else spool.records()  # before the database: see `EarlierRuns`
        waiting: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            waiting[entry.record.experiment].append(entry)
        stored = self._stored()
        if any(stored.values()) and not any(names.KIND in run.data.tags for run in _flat(stored)):
            raise UserError(f"{self._runs / DATABASE}: its runs are another program's; expected a sweep's")
        found = [
            run
            for experiment in {**stored, **waiting}
            for run in _found(experiment, stored.get(experiment, []), waiting[experiment])
        ]
        return sorted(found, key=lambda run: (run.run.started, run.name))

    def _stored(self) -> dict[str, list[Any]]:
        if self._client is None:
            return {}
        experiments = self._client.search_experiments()
        return {found.name: all_runs(self._client, [found.experiment_id], "") for found in experiments}

    def record(self, found: Found, **changes: Any) -> Record:
        """Return all that there is to say of a run, without what only this folder's store knows."""
        record = None if found.stored is None else self._record(found.stored, found.experiment)
        for entry in found.entries:
            record = entry.record if record is None else _with(record, entry.record)
        assert record is not None
        own = {"run_id": None, "parent_id": None, "parent_key": None, "location": None}
        return record.model_copy(update={**own, **changes})

    def _record(self, run: Any, experiment: str) -> Record:
        data, info, inputs = run.data, run.info, run.inputs.dataset_inputs
        tags = {name: value for name, value in data.tags.items() if name not in _STORE_TAGS}
        return Record(
            experiment=experiment,
            run_name=info.run_name,
            start_time=info.start_time,
            end_time=info.end_time,
            params=dict(data.params),
            tags=tags,
            metrics=tuple(point for name in data.metrics for point in self._history(info.run_id, name)),
            dataset=_input(inputs[0].dataset) if inputs else None,
            status=info.status,
        )

    def _history(self, run_id: str, metric: str) -> Iterator[Point]:
        assert self._client is not None
        for point in self._client.get_metric_history(run_id, metric):
            yield Point(point.key, point.value, point.timestamp, point.step)

    def copy_artifacts(self, found: Found, folder: Path) -> bool:
        """Copy a run's artifacts into a folder; False where they are not there."""
        places = [entry.artifacts for entry in found.entries if entry.artifacts is not None]
        if found.stored is not None:
            places = [*self._artifacts(found), *places]
        for place in places:
            shutil.copytree(place, folder, dirs_exist_ok=True, ignore=_links)
        return bool(places)

    def _artifacts(self, found: Found) -> list[Path]:
        """Return where a stored run has its artifacts: here, also when the folder was made elsewhere."""
        run_id = found.stored.info.run_id
        beside = self._runs / "artifacts" / found.experiment / run_id / "artifacts"
        uri = urlsplit(found.stored.info.artifact_uri)
        elsewhere = [Path(unquote(uri.path))] if uri.scheme == "file" else []
        return [place for place in (beside, *elsewhere) if place.is_dir()][:1]


def _flat(stored: Mapping[str, list[Any]]) -> Iterator[Any]:
    for runs in stored.values():
        yield from runs


def _found(experiment: str, stored: list[Any], waiting: list[Entry]) -> Iterator[Found]:
    by_id = {str(run.info.run_id): run for run in stored}
    for run in overlaid(stored, [entry.record for entry in waiting]):
        own = [entry for entry in waiting if run.key and entry.record.key == run.key]
        own += [entry for entry in waiting if not entry.record.key and entry.record.run_id == run.run_id]
        if names.KIND in run.tags:
            yield Found(run, experiment, by_id.get(run.run_id or ""), tuple(own))


def _with(record: Record, later: Record) -> Record:
    """Return a record with the changes of a later one of the same run."""
    known = set(record.metrics)
    return record.model_copy(
        update={
            "params": {**record.params, **later.params},
            "tags": {**record.tags, **later.tags},
            "metrics": (*record.metrics, *(point for point in later.metrics if point not in known)),
            "dataset": later.dataset or record.dataset,
            "status": later.status or record.status,
            "end_time": later.end_time or record.end_time,
        }
    )


def _input(dataset: Any) -> Input:
    return Input(
        name=dataset.name, digest=dataset.digest, source=dataset.source or "", profile=dataset.profile or ""
    )


def _links(folder: str, found: list[str]) -> list[str]:
    return [name for name in found if (Path(folder) / name).is_symlink()]


@dataclass
class Addition:
    """What of a folder is to be added.

    Attributes
    ----------
    runs : list of Found
        New ones, and those that went on since they were added.
    changed : dict
        Of the sweeps that were here before and get further runs: the run here, and the other folder's.
    present : int
        Trials and final runs that are here already.
    differing : list of Found
        Those of them whose results are others; what is here is kept.
    """

    runs: list[Found] = field(default_factory=list)
    changed: dict[Place, tuple[Found, Found | None]] = field(default_factory=dict)
    present: int = 0
    differing: list[Found] = field(default_factory=list)

    def of_kind(self, *kinds: str) -> int:
        """Count the new runs of some kinds."""
        return sum(found.kind in kinds for found in self.runs)


class Known:
    """The runs that are here, those included that are about to be added.

    Parameters
    ----------
    runs : iterable of Found
        What is here.
    """

    def __init__(self, runs: Iterable[Found]) -> None:
        self._by_name: dict[str, Found] = {}
        self._counting: dict[Place, Found] = {}
        self.sweeps: dict[Place, Found] = {}
        for found in runs:
            self._take(found)

    def _take(self, found: Found) -> None:
        self._by_name[found.name] = found
        if found.is_sweep:
            self.sweeps.setdefault(found.sweep, found)
        elif found.counts:
            self._counting.setdefault(found.place, found)

    def count(self, *kinds: str) -> int:
        """Count the runs of some kinds, of each only the one that counts."""
        return sum(found.kind in kinds for found in self._counting.values())

    def add(self, runs: Iterable[Found]) -> Addition:
        """Return what of another folder is missing here, and know it from now on."""
        addition = Addition()
        sweeps = {found.sweep: found for found in runs if found.is_sweep}
        children = [found for found in runs if not found.is_sweep and self._is_missing(found, addition)]
        for found in children:
            self._take(found.moved)
        for place in {found.sweep: None for found in children}:
            if place in self.sweeps:
                addition.changed[place] = self.sweeps[place], sweeps.get(place)
        for place, found in sweeps.items():
            if place not in self.sweeps:
                addition.runs.append(found)
                self._take(found.moved)
        addition.runs += children
        return addition

    def _is_missing(self, found: Found, addition: Addition) -> bool:
        same = self._by_name.get(found.name)
        if same is not None:  # it may have gone on there
            missing = same.run.status == "RUNNING" != found.run.status
            addition.present += not missing and found.counts
            return missing
        counting = self._counting.get(found.place) if found.counts else None
        if counting is None:
            return True
        addition.present += 1
        if counting.result != found.result:
            addition.differing.append(found)
        return False


def commit(
    addition: Addition,
    source: FolderRuns,
    known: Known,
    spool: Spool,
    runs: Path,
    totals: Callable[[str], Mapping[str, float]],
) -> int:
    """Commit to a spool what a folder adds, the sweeps first; a repetition adds nothing.

    Parameters
    ----------
    addition : Addition
        From `Known.add`.
    source : FolderRuns
        The folder.
    known : Known
        What is here.
    spool : Spool
        On the way to the store here.
    runs : Path
        ``mlruns`` of that store.
    totals : callable
        Metrics of a study's sweep, with all that was merged.

    Returns
    -------
    int
        Runs that came without their artifacts, since these are not there.
    """
    for here, there in addition.changed.values():
        spool.commit(_change(here, there, totals(here.study)))
    without = 0
    for found in addition.runs:
        parent = None if found.is_sweep else known.sweeps.get(found.sweep)
        record = source.record(
            found,
            key=found.name,
            parent_key=parent.name if parent else None,
            location=default_artifacts(database_uri(runs), runs, found.experiment),
        )
        folder = spool.folder()
        without += not source.copy_artifacts(found, folder) and found.counts
        spool.commit(record, folder)
    return without


def _change(here: Found, there: Found | None, totals: Mapping[str, float]) -> Record:
    """Return what changes in a sweep that gets further runs."""
    asked = [int(one.run.tags.get(names.SEEDS_EXPECTED, 0)) for one in (here, there) if one is not None]
    now = milliseconds()
    ended: dict[str, Any] = {}
    if here.kind == names.SWEEP:  # as one that was interrupted, until the same command goes on
        ended = {"metrics": summary_points(totals, now), "status": "KILLED", "end_time": now}
    return Record(
        key=here.run.key,
        run_id=here.run.run_id,
        experiment=here.experiment,
        tags={names.RUN_KEY: here.name, names.SEEDS_EXPECTED: str(max(asked))},
        **ended,
    )


def database_uri(runs: Path) -> str:
    """Return the address of the database that lies in a folder."""
    return sqlite_uri((runs / DATABASE).resolve())


def check_names(runs: Iterable[Found], where: Path) -> None:
    """Refuse experiments whose artifacts would leave their folder.

    Raises
    ------
    UserError
        Which names the experiment.
    """
    for name in {found.experiment for found in runs}:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise UserError(f"{where}: an experiment has the name '{name}', which is no name of a data set")
