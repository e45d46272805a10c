"""Joining of searches: the trials of one study from several folders in one journal, each slot once."""

from __future__ import annotations

import copy
import shutil
import tempfile
import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from benchmark.data.cache import sync_folder
from benchmark.errors import UserError
from benchmark.search.journal import open_journal
from benchmark.search.trials import SEAL, check_study, check_trials, is_done, seal

_PICKLED = ("cma", "sepcma")


@dataclass(frozen=True)
class StoredStudy:
    """A study, read from its journal.

    Attributes
    ----------
    name : str
        Of the study.
    attributes : dict
        What it says of itself; ``identity`` tells what is searched.
    trials : list of optuna.trial.FrozenTrial
        In Optuna's order.
    """

    name: str
    attributes: dict[str, Any]
    trials: list[FrozenTrial] = field(default_factory=list)

    @property
    def identity(self) -> str:
        """Digest of all that makes two searches the same."""
        return str(self.attributes["identity"])

    @property
    def done(self) -> list[FrozenTrial]:
        """Trials that count."""
        return [trial for trial in self.trials if is_done(trial)]

    @property
    def seconds(self) -> float:
        """Training seconds of all trials, in the order of their slots."""
        ordered = sorted(self.trials, key=lambda trial: trial.user_attrs.get("slot", -1))
        return float(sum(trial.user_attrs.get("seconds", 0.0) for trial in ordered))


@dataclass(frozen=True)
class Joined:
    """Two studies in one.

    Attributes
    ----------
    study : StoredStudy
        With the trials of both.
    added : list of int
        Slots that count now and did not before.
    differing : list of int
        Slots that ended otherwise in the other study; the end that is here is kept.
    changed : bool
        Whether there is anything to be written, interrupted trials included.
    """

    study: StoredStudy
    added: list[int]
    differing: list[int]
    changed: bool


def read_study(journal: Path) -> StoredStudy | None:
    """Read a journal without changing anything; None where no study was begun in it.

    Raises
    ------
    UserError
        Where it is damaged, or not a study of this program.
    """
    with tempfile.TemporaryDirectory() as folder:
        read = Path(folder) / journal.name  # opening mends what a killed process has left
        try:
            shutil.copyfile(journal, read)
        except FileNotFoundError:
            return None
        try:
            storage = open_journal(read)
        except UserError as error:
            raise UserError(str(error).replace(str(read), str(journal))) from error
        studies = [study for study in storage.get_all_studies() if "identity" in study.user_attrs]
        if not studies and any(storage.get_all_trials(s._study_id) for s in storage.get_all_studies()):
            raise UserError(f"{journal}: this is a study of another program; expected one of a sweep")
        if not studies:
            return None
        (study, *_) = studies
        trials = storage.get_all_trials(study._study_id)
    check_study(study.study_name, study.directions)
    check_trials(trials, study.study_name)
    return StoredStudy(study.study_name, dict(study.user_attrs), trials)


def joined(here: StoredStudy | None, there: StoredStudy) -> Joined:
    """Join the trials of one study; of each slot one end counts, that which is here where there are two.

    Parameters
    ----------
    here : StoredStudy or None
        What is there already.
    there : StoredStudy
        What is to be added.

    Returns
    -------
    Joined
        Trials in the order of their slots, with the values that a search in this order would have told.
    """
    own = [] if here is None else _kept(here.trials)
    settled = {_slot(trial): trial for trial in reversed(own) if is_done(trial)}
    left = {_mark(trial): trial for trial in own if not is_done(trial)}
    before = len(left)
    added, differing = [], []
    for trial in map(_without_pickles, _kept(there.trials)):
        slot = _slot(trial)
        if not is_done(trial):
            left.setdefault(_mark(trial), trial)
        elif slot not in settled:
            settled[slot] = trial
            added.append(slot)
        elif _end(settled[slot]) != _end(trial):
            differing.append(slot)
    interrupted = [trial for trial in left.values() if _may_be_kept(trial, settled)]
    study = StoredStudy(there.name, (here or there).attributes, _concluded([*interrupted, *settled.values()]))
    return Joined(study, added, differing, here is None or bool(added) or len(left) > before)


def _kept(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Leave out what was never begun: a slot without an end is queued again by whoever goes on."""
    return [trial for trial in trials if "slot" in trial.user_attrs and trial.state != TrialState.WAITING]


def _without_pickles(trial: FrozenTrial) -> FrozenTrial:
    """Leave out the state of CMA-ES, which Optuna unpickles: who wrote it could run code here."""
    trial = copy.copy(trial)
    trial.system_attrs = {
        name: value for name, value in trial.system_attrs.items() if not name.startswith(_PICKLED)
    }
    return trial


def _slot(trial: FrozenTrial) -> int:
    return int(trial.user_attrs["slot"])


def _mark(trial: FrozenTrial) -> tuple[Any, ...]:
    """Return what tells a trial without an end from others of its slot."""
    return _slot(trial), trial.user_attrs.get("owner"), trial.datetime_start


def _end(trial: FrozenTrial) -> tuple[Any, ...]:
    attributes = trial.user_attrs
    return attributes["status"], attributes.get("value"), attributes["config_id"]


def _may_be_kept(trial: FrozenTrial, settled: dict[int, FrozenTrial]) -> bool:
    """Whether an interrupted trial stays; one that was left open is closed later by the end of its slot."""
    return trial.state.is_finished() or _slot(trial) not in settled


def _concluded(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Return trials by slot, with the state and value that `Search.tell` would have given to each."""
    values: defaultdict[str, list[float]] = defaultdict(list)
    ordered = sorted(trials, key=lambda trial: (_slot(trial), is_done(trial), str(trial.datetime_start)))
    result = []
    for trial in map(copy.copy, ordered):
        status = trial.user_attrs.get("status")
        if status == "ok":
            own = values[trial.user_attrs["config_id"]]
            own.append(trial.user_attrs["value"])
            trial.state, trial.values = TrialState.COMPLETE, [fmean(own)]
        elif is_done(trial) and not trial.state.is_finished():
            pruned = status != "failed"
            last = max(trial.intermediate_values.items(), default=(0, None))[1] if pruned else None
            trial.state = TrialState.PRUNED if pruned else TrialState.FAIL
            trial.values = None if last is None else [last]
        if is_done(trial):
            told = trial.value if status == "ok" else None
            trial.user_attrs = {**trial.user_attrs, SEAL: seal(trial, told)}
        if trial.state.is_finished() and trial.datetime_complete is None:
            trial.datetime_complete = trial.datetime_start
        result.append(trial)
    return result


def write_study(journal: Path, study: StoredStudy) -> None:
    """Write a journal that is there in full or not at all; the caller holds the study's lock.

    Parameters
    ----------
    journal : Path
        ``mlruns/studies/<study>.journal``, which is replaced.
    study : StoredStudy
        What is to be in it.
    """
    for remains in journal.parent.glob(f".{journal.name}.*.tmp"):
        remains.unlink()
    temporary = journal.with_name(f".{journal.name}.{uuid.uuid4().hex}.tmp")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        storage = JournalStorage(JournalFileBackend(str(temporary)))
        written = optuna.create_study(study_name=study.name, storage=storage, direction="maximize")
        for name, value in study.attributes.items():
            written.set_user_attr(name, value)
        written.add_trials(study.trials)
        temporary.replace(journal)  # Optuna has flushed each line
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(journal.parent)
