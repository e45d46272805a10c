"""What earlier processes left of a sweep: in the store, and in the spool on its way there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from benchmark.tracking import names
from benchmark.tracking.runs_query import all_runs
from benchmark.tracking.spool import Record, Spool

ENDED = ("FINISHED", "FAILED")


@dataclass(frozen=True)
class EarlierRun:
    """A run, as the store has it or will have it.

    Attributes
    ----------
    key : str
        Our own id; empty for a run that has none.
    run_id : str or None
        MLflow's; None while the run is in the spool only.
    tags : dict of str to str
        All of them.
    metrics : dict of str to float
        The last value of each.
    status : str
        MLflow's.
    started : int
        Milliseconds since the epoch.
    """

    key: str
    run_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    status: str = "RUNNING"
    started: int = 0

    @property
    def settled(self) -> bool:
        """Whether a final run need not be done again; one that failed by accident is tried anew."""
        return self.status in ENDED and self.tags.get(names.STATUS) in ("ok", "diverged")


class EarlierRuns:
    """Reads the runs of one study.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store.
    spool : Spool
        What waits for it.
    experiment_id, study : str
        Which runs.
    """

    def __init__(self, client: Any, spool: Spool, experiment_id: str, study: str) -> None:
        self._client, self._spool = client, spool
        self._experiment_id, self._study = experiment_id, study

    def __call__(self, *conditions: str, **tags: str) -> list[EarlierRun]:
        """Return the runs with some tags, the latest first.

        Parameters
        ----------
        *conditions : str
            What runs of the store must fulfil, too, in MLflow's words.
        **tags : str
            Names are attributes of `benchmark.tracking.names`; a value that begins with ``!`` is excluded.
        """
        # The spool first: what is delivered meanwhile is then read twice, and not missed.
        records = self._spool.refused_runs(self._study)  # done all the same: the test part is not read again
        records += [entry.record for entry in self._spool.records()]
        wanted = {getattr(names, name): value for name, value in tags.items()}
        asked = [_condition(names.STUDY, self._study), *(_condition(*item) for item in wanted.items())]
        stored = all_runs(self._client, [self._experiment_id], " and ".join([*asked, *conditions]))
        runs = overlaid(stored, records, self._study)
        found = [run for run in runs if all(_fits(run, *item) for item in wanted.items())]
        return sorted(found, key=lambda run: run.started, reverse=True)


def _condition(tag: str, value: str) -> str:
    sign, value = ("!=", value[1:]) if value.startswith("!") else ("=", value)
    quote = '"' if "'" in value else "'"
    return f"tags.`{tag}` {sign} {quote}{value}{quote}"


def _fits(run: EarlierRun, tag: str, value: str) -> bool:
    here = run.tags.get(tag)
    return here != value[1:] if value.startswith("!") else here == value


def overlaid(stored: Iterable[Any], records: Iterable[Record], study: str | None = None) -> list[EarlierRun]:
    """Return runs as they will be once the records are delivered.

    Parameters
    ----------
    stored : iterable of mlflow.entities.Run
        What the store has.
    records : iterable of Record
        What waits for it, in order.
    study : str, optional
        New runs of other studies are left out.
    """
    runs: dict[str, EarlierRun] = {}
    for run in stored:
        tags, run_id = dict(run.data.tags), str(run.info.run_id)
        key, metrics = tags.get(names.RUN_KEY, ""), dict(run.data.metrics)
        runs[key or run_id] = EarlierRun(
            key, run_id, tags, metrics, str(run.info.status), run.info.start_time or 0
        )
    for record in records:
        name = record.key or record.run_id or ""
        known = runs.get(name)
        if known is None:
            if not record.run_name or study not in (None, record.tags.get(names.STUDY)):
                continue
            known = EarlierRun(record.key, record.run_id, started=record.start_time or 0)
        runs[name] = replace(
            known,
            tags={**known.tags, **record.tags},
            metrics={**known.metrics, **{point.name: point.value for point in record.metrics}},
            status=record.status or known.status,
        )
    return list(runs.values())
