"""What a trial of a study says of itself, and whether that is what was written there."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from benchmark.plan.space import Space
from benchmark.spec.config import CONFIRMING, without_later
from benchmark.spec.result import TrialEnd
from benchmark.support.errors import UserError

SEAL = "seal"
"""Attribute of a trial that has ended: the checksum of all that is said of it. Version 0.1.0 wrote none."""

# The state that Optuna has of a sampler's trial, by the status that it has for good: it counts towards the
# total and is not tried again.
_STATES = {"ok": TrialState.COMPLETE, "failed": TrialState.FAIL}
_STATES |= dict.fromkeys(("pruned", "diverged", "oom", "timeout"), TrialState.PRUNED)

# What a trial says of itself, the last three once it has ended.
_ATTRIBUTES: dict[str, Any] = {"slot": int, "hparams": dict, "config_id": str}
_ATTRIBUTES |= {"status": str, "seconds": int | float, "value": int | float}


def is_done(trial: FrozenTrial) -> bool:
    """Whether a trial has an end that counts."""
    return trial.user_attrs.get("status") in _STATES


def is_confirming(trial: FrozenTrial | Trial) -> bool:
    """Whether a trial is a further run of a configuration that was among the best."""
    return bool(trial.user_attrs.get("slot", 0) >= CONFIRMING)


def final_state(trial: FrozenTrial) -> TrialState:
    """Return the state that Optuna has of a trial which has ended.

    Samplers and pruners are to ignore what confirms, or a search that goes on after it would propose
    something else than one without a pause; the one state that they ignore is FAIL.
    """
    return TrialState.FAIL if is_confirming(trial) else _STATES[trial.user_attrs["status"]]


def seal(trial: FrozenTrial, told: float | None) -> str:
    """Return the checksum of what is said of a trial, and of the value that Optuna is told."""
    content = [
        {name: trial.user_attrs.get(name) for name in _ATTRIBUTES},
        trial.params,
        sorted(trial.intermediate_values.items()),
        told,
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def check_study(study: str, directions: Sequence[StudyDirection], expected: StudyDirection) -> None:
    """Make sure that a study looks for what its metric says: its sampler would prefer the worst otherwise."""
    if list(directions) != [expected]:
        found = ", ".join(direction.name for direction in directions)
        raise UserError(f"study {study}: its direction is {found}, not {expected.name}: {CHANGED}")


def check_trials(
    trials: Sequence[FrozenTrial],
    study: str,
    space_of: Callable[[int], Space] | None = None,
    recorded: Callable[[], Mapping[int, list[TrialEnd]]] = dict,
) -> None:
    """Make sure that what trials say of themselves is whole, and what was written there.

    Everything that decides a winner has a second record: Optuna's own value, state and parameters, the
    tracking store, and a checksum, which trials of version 0.1.0 lack.

    Parameters
    ----------
    trials : sequence of FrozenTrial
        All trials of the study.
    study : str
        Its name.
    space_of : callable, optional
        Returns the space of a slot, which says what parameters make which configuration.
    recorded : callable, optional
        Returns the ends of trials by slot that another memory has; asked for trials without a valid checksum.

    Raises
    ------
    UserError
        Which names the trial, what is wrong, and both values.
    """
    for trial in trials:
        _check_whole(trial, study)
        # Optuna is told last: by then the status and the seal stand, and only FAIL ends a trial without them.
        ended = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        if not is_done(trial) and (ended or trial.user_attrs.keys() & {"status", SEAL}):
            said = trial.user_attrs.get("status", "missing")
            raise _contradicted(study, trial, "status", said, trial.state.name, "Optuna's record")
    values: defaultdict[str, list[float]] = defaultdict(list)
    configurations: dict[str, Any] = {}
    done = [trial for trial in trials if is_done(trial)]
    for trial in done:
        found = trial.user_attrs
        if found["status"] == "ok" and not is_confirming(trial):
            values[found["config_id"]].append(found["value"])
        same = configurations.setdefault(found["config_id"], found["hparams"])
        _compare(study, trial, "hparams", same, f"another trial of configuration {found['config_id']}")
    for trial in done:
        found = trial.user_attrs
        if space_of is not None:
            asked = _configuration(space_of(found["slot"]), trial)
            _compare(study, trial, "hparams", asked, "Optuna's parameters")
        if trial.state.is_finished() and trial.state != final_state(trial):
            raise _contradicted(study, trial, "status", found["status"], trial.state.name, "Optuna's record")
        if trial.state == TrialState.COMPLETE:  # told was the mean of what the configuration had by then
            own, told = values[found["config_id"]], trial.value
            if told is None or not (_equal(told, min(max(told, min(own)), max(own)))):
                raise _contradicted(study, trial, "value", found["value"], told, "Optuna's record")
    unsealed = [trial for trial in done if trial.user_attrs.get(SEAL) != _seal_now(trial)]
    ends = recorded() if unsealed else {}
    slots = {trial.user_attrs["slot"] for trial in done}
    for trial in unsealed:
        found = trial.user_attrs
        known = ends.get(found["slot"], [])
        for slot in () if known else ends.keys() - slots:
            if any(end.config_id and end.seconds and not _difference(found, end) for end in ends[slot]):
                raise _contradicted(study, trial, "slot", found["slot"], slot, "the tracking store")
        differences = [_difference(found, end) for end in known]
        if differences and all(differences) and (last := differences[-1]):
            raise _contradicted(study, trial, *last, "the tracking store")
        if SEAL in found and trial.state.is_finished():
            raise _contradicted(study, trial, "checksum", _seal_now(trial), found[SEAL], "its own record")


def _difference(found: Mapping[str, Any], end: TrialEnd) -> tuple[str, Any, Any] | None:
    """Return the first thing in which a trial differs from its end in another memory, and both values."""
    for name in ("status", "config_id", "value", "seconds"):
        said, known = found.get(name), getattr(end, name)
        if said is not None and known is not None and not _equal(said, known):
            return name, said, known
    return None


def _configuration(space: Space, trial: FrozenTrial) -> dict[str, Any]:
    try:
        return space.suggest(copy.deepcopy(trial))
    except ValueError as error:
        return {"parameters": str(error)}


def _compare(study: str, trial: FrozenTrial, name: str, known: Mapping[str, Any], by: str) -> None:
    """Hold a trial's configuration against a second record of it; what is reported is what differs."""
    said = trial.user_attrs[name]
    one, other = without_later(said), without_later(known)
    keys = [key for key in {**one, **other} if one.get(key, ...) != other.get(key, ...)]
    if keys:
        one, other = ({key: part.get(key) for key in keys} for part in (said, known))
        raise _contradicted(study, trial, name, one, other, by)


def _check_whole(trial: FrozenTrial, study: str) -> None:
    found = trial.user_attrs
    needed = {"slot", "hparams", "config_id", "seconds"} if "status" in found else set()
    needed |= {"value"} if found.get("status") == "ok" else set()
    for name, kind in _ATTRIBUTES.items():
        if name in needed | found.keys() and not isinstance(found.get(name), kind):
            raise UserError(f"study {study}, trial {trial.number}: its '{name}' is damaged; {_WAY_OUT}")


def _seal_now(trial: FrozenTrial) -> str:
    return seal(trial, trial.value if trial.state == TrialState.COMPLETE else None)


def _equal(one: Any, other: Any) -> bool:
    both = isinstance(one, int | float) and isinstance(other, int | float)
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12) if both else bool(one == other)


_WAY_OUT = "restore the study's storage from a copy, or choose a different `study`"
CHANGED = f"the storage was changed; {_WAY_OUT}"


def _contradicted(study: str, trial: FrozenTrial, name: str, said: Any, known: Any, by: str) -> UserError:
    return UserError(
        f"study {study}, trial {trial.number}: its {name} is {said}, but {known} in {by}: {CHANGED}"
    )
