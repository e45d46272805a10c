"""A search as a table: read from a study for a results file, and written into a study elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from pydantic import ConfigDict, Field

from benchmark.search.presence import open_presence
from benchmark.search.storage import open_storage, patiently
from benchmark.search.trials import SEAL, check_study, check_trials, final_state, is_done, seal
from benchmark.spec.config import Frozen, Scalar
from benchmark.spec.result import Status
from benchmark.support.errors import UserError


class FinishedTrial(Frozen):
    """A trial that has an end; what `benchmark.search.study.Search` and its sampler know of it.

    Attributes
    ----------
    slot, config_id, hparams, status, seconds, value
        As the study has them.
    params, distributions : dict
        Optuna's parameters, and what each was drawn from, as Optuna writes it in JSON.
    reported : tuple of (int, float)
        Values by epoch, which pruners compare.
    told : float or None
        The value that Optuna has, of a trial that counts for its sampler.
    """

    model_config = ConfigDict(ser_json_inf_nan="constants")

    slot: int = Field(ge=0)
    config_id: str = Field(pattern="^[0-9a-f]{16}$")
    hparams: dict[str, Scalar]
    status: Status
    seconds: float = Field(ge=0, allow_inf_nan=False)
    value: float | None = Field(default=None, allow_inf_nan=False)
    params: dict[str, Scalar]
    distributions: dict[str, str]
    reported: tuple[tuple[int, float], ...] = ()
    told: float | None = Field(default=None, allow_inf_nan=False)

    def frozen(self) -> FrozenTrial:
        """Return it as Optuna has it; an error is a `ValueError`, `KeyError` or `TypeError`."""
        known = ("slot", "config_id", "hparams", "status", "seconds")
        attributes = {name: getattr(self, name) for name in known}
        attributes |= {} if self.value is None else {"value": self.value}
        words: dict[str, Any] = {
            "params": self.params,
            "distributions": {name: json_to_distribution(text) for name, text in self.distributions.items()},
            "intermediate_values": dict(self.reported),
        }
        bare = create_trial(state=TrialState.FAIL, user_attrs=attributes, **words)
        if not is_done(bare):
            raise ValueError(f"its status is {self.status}")
        state = final_state(bare)
        told = self.told if state == TrialState.COMPLETE else None
        attributes[SEAL] = seal(bare, told)
        return create_trial(state=state, value=told, user_attrs=attributes, **words)


class FinishedSearch(Frozen):
    """What a study has finished.

    Attributes
    ----------
    study, identity : str
        Its name, and what makes it the same search elsewhere (`benchmark.plan.run_specs.Plan.identity`).
    direction : {"MAXIMIZE", "MINIMIZE"}
        Of its metric.
    settings : dict or None
        What it was made with beside; None for one of version 0.1.0.
    trials : tuple of FinishedTrial
        In the order in which they were proposed.
    """

    study: str = Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,249}$")
    identity: str = Field(pattern="^[0-9a-f]{64}$")
    direction: Literal["MAXIMIZE", "MINIMIZE"]
    settings: dict[str, Any] | None = None
    trials: tuple[FinishedTrial, ...]

    def check(self) -> None:
        """Raise an error, of many kinds, where this is not what a study could hold."""
        slots = [trial.slot for trial in self.trials]
        if len(set(slots)) < len(slots):
            raise ValueError(f"study {self.study}: two trials have one slot")
        trials = [trial.frozen() for trial in self.trials]
        for number, trial in enumerate(trials):
            trial.number = number
        check_trials(trials, self.study)


def read_search(study: str, storage: str | None, studies: Path) -> FinishedSearch | None:
    """Return what a study has finished; None where there is no such study.

    Parameters
    ----------
    study : str
        Its name.
    storage : str or None
        URL of a database, or None for its journal in `studies`.
    studies : Path
        Folder of the journals.

    Raises
    ------
    UserError
        Where another process works on it, or it is damaged.
    """
    if storage is None and not (studies / f"{study}.journal").is_file():
        return None
    with _alone(study, storage, studies):
        found = _load(study, storage, studies)
        if found is None or "identity" not in found.user_attrs:
            return None
        trials = found.get_trials(deepcopy=False)
        check_trials(trials, study)
        return FinishedSearch(
            study=study,
            identity=found.user_attrs["identity"],
            direction=found.direction.name,
            settings=found.user_attrs.get("settings"),
            trials=tuple(_row(trial) for trial in trials if is_done(trial)),
        )


def add_search(search: FinishedSearch, storage: str | None, studies: Path, *, write: bool = True) -> int:
    """Add to a study, which is made where it is missing, the trials of slots that have no finished one.

    Parameters
    ----------
    search : FinishedSearch
        The trials.
    storage, studies
        As `read_search` takes them.
    write : bool
        Whether to; otherwise it is found out whether it can be done.

    Returns
    -------
    int
        Number of trials that were, or would be, added.

    Raises
    ------
    UserError
        Where the study of that name is a different search, or another process works on it.
    """
    with _alone(search.study, storage, studies):
        there = storage is not None or (studies / f"{search.study}.journal").is_file()
        study = _load(search.study, storage, studies) if there else None
        trials: list[FrozenTrial] = []
        if study is not None:
            trials = study.get_trials(deepcopy=False)
            check_study(search.study, study.directions, optuna.study.StudyDirection[search.direction])
            if study.user_attrs.get("identity", search.identity) != search.identity:
                raise UserError(
                    f"study {search.study}: the one here has another model, data set, space, budget, metric, "
                    "sampler or seed; import into a different folder"
                )
        known = {trial.user_attrs["slot"] for trial in trials if is_done(trial)}
        new = [trial for trial in search.trials if trial.slot not in known]
        if write and (new or study is None):
            study = study or optuna.create_study(
                study_name=search.study,
                storage=open_storage(storage, studies / f"{search.study}.journal"),
                direction=optuna.study.StudyDirection[search.direction],
            )
            if "identity" not in study.user_attrs:  # before the trials: one with trials alone is damaged
                if search.settings is not None:
                    study.set_user_attr("settings", search.settings)
                study.set_user_attr("identity", search.identity)
            for trial in new:
                study.add_trial(trial.frozen())
        return len(new)


@contextmanager
def _alone(study: str, storage: str | None, studies: Path) -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    presence = open_presence(storage, studies, study)
    try:
        if not presence.take("study"):
            raise UserError(f"study {study} is being worked on by another process; wait for it")
        yield
    finally:
        presence.close()


def _load(study: str, storage: str | None, studies: Path) -> optuna.Study | None:
    def load() -> optuna.Study | None:
        try:
            return optuna.load_study(
                study_name=study, storage=open_storage(storage, studies / f"{study}.journal")
            )
        except KeyError:
            return None

    return patiently(load)


def _row(trial: FrozenTrial) -> FinishedTrial:
    attributes: Mapping[str, Any] = trial.user_attrs
    return FinishedTrial(
        **{name: attributes[name] for name in ("slot", "config_id", "hparams", "status", "seconds")},
        value=attributes.get("value"),
        params=trial.params,
        distributions={name: distribution_to_json(one) for name, one in trial.distributions.items()},
        reported=tuple(sorted(trial.intermediate_values.items())),
        told=trial.value if trial.state == TrialState.COMPLETE else None,
    )
