"""The search phase on Optuna: ask, report, tell, and the winner."""

from __future__ import annotations

import itertools
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from pydantic import ValidationError

from benchmark.metrics.metric import get_metric
from benchmark.plan.run_specs import Plan
from benchmark.search.presence import Presence
from benchmark.search.samplers import grid_points, make_pruner, make_sampler
from benchmark.search.storage import open_storage, patiently
from benchmark.search.trials import (
    CHANGED,
    SEAL,
    check_study,
    check_trials,
    final_state,
    is_confirming,
    is_done,
    seal,
)
from benchmark.spec.config import CONFIRMING, RunSpec, Scalar, SweepConfig
from benchmark.spec.result import BEST_VALUE, Result, TrialEnd
from benchmark.support.errors import UserError
from benchmark.support.retries import awaited

_PAUSE = 0.05

_FORMER = {"random_start": 10, "confirm": None}
"""What studies went by that do not record it."""


@dataclass(frozen=True)
class Proposal:
    """A configuration that is to be tried.

    Attributes
    ----------
    number : int
        Optuna's number of the trial.
    slot : int
        Place in the sweep, from 0; a trial that was interrupted is tried again in its slot. From `CONFIRMING`
        on it is a further run of one of the best configurations.
    spec : RunSpec
        The run.
    """

    number: int
    slot: int
    spec: RunSpec


@dataclass(frozen=True)
class Winner:
    """The configuration with the best mean of the metric, of those that were confirmed most often.

    Attributes
    ----------
    hparams : dict
        The full configuration.
    config_id : str
        Its identity.
    value : float
        Mean of the metric on the validation split over its trials.
    slot : int
        The first trial that had it.
    """

    hparams: dict[str, Scalar]
    config_id: str
    value: float
    slot: int


class Search:
    """One Optuna study. This process owns it, or shares it with others by way of a database.

    Parameters
    ----------
    plan : Plan
        The sweep.
    storage : str or None
        URL of a database, or None for a journal file of the study's own.
    studies : Path
        Folder of the journal files.
    presence : Presence, optional
        Tells which other processes are alive; by default there are none.
    ended : callable, optional
        Tells how the trial of a slot ended that this study does not know the end of, or None.
    recorded : callable, optional
        Returns the ends of trials by slot as another memory has them; asked where a trial has no checksum of
        its own, or a wrong one.

    Raises
    ------
    UserError
        Where what the storage says of a trial is not what was written there.

    Notes
    -----
    A slot is settled once one of its trials has an end that counts. A process that dies leaves trials
    open: each is closed by what is known of its end, and a slot without an end is queued again, with the
    configuration that it had, before anything else is proposed.

    Once the trials of the sampler are done, the best configurations are trained again, as the study says (it
    records it when it is made). Samplers and pruners do not see these runs, so a search that goes on proposes
    what one without them would.
    """

    def __init__(
        self,
        plan: Plan,
        storage: str | None,
        studies: Path,
        presence: Presence | None = None,
        ended: Callable[[int], TrialEnd | None] = lambda slot: None,
        recorded: Callable[[], Mapping[int, list[TrialEnd]]] = dict,
    ) -> None:
        self._presence = presence
        self._ended = ended
        self._study = _open_study(plan, storage, studies)
        self._plan = plan = replace(plan, config=_recorded(self._study, plan.config))
        self._given = plan.starts
        if self._is_grid:
            published = self._given[:1] if plan.is_scaled else []
            self._given = [*published, *grid_points(plan.searched, plan.config.seed)]
            trials = min(plan.config.trials, len(self._given))
            self._plan = replace(plan, config=plan.config.model_copy(update={"trials": trials}))
        self._sign = get_metric(plan.metric).sign
        self._study.pruner = make_pruner(plan.config.pruner, plan.max_epochs)
        check_trials(self._trials(), plan.study, plan.space_of, recorded)
        self._live: dict[int, optuna.Trial] = {}
        with self._alone():
            self._recover()

    @property
    def plan(self) -> Plan:
        """The sweep, with the settings that the study was made with."""
        return self._plan

    @property
    def _is_grid(self) -> bool:
        return self._plan.config.sampler == "grid"

    @cached_property
    def _distributions(self) -> dict[str, BaseDistribution]:
        """Ranges of all parameters that are searched together with the default's."""
        default = optuna.trial.FixedTrial(self._plan.searched.enqueue_params())
        self._plan.searched.suggest(default)
        return default.distributions

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other process of the study look for the next slot at the same time."""
        if self._presence is not None:
            take = self._presence.take
            awaited(lambda: take("ask") or None, _PAUSE)
        try:
            yield
        finally:
            if self._presence is not None:
                self._presence.release("ask")

    def _recover(self) -> list[int]:
        """Close trials of processes that are gone, queue slots without an end, return those under way.

        A process may die at any moment: who asks again which are under way may see fewer, and
        would start another slot in the place of the one that is lost.
        """
        under_way = []
        for trial in self._trials(TrialState.RUNNING):
            if self._is_under_way(trial):
                under_way.append(trial.user_attrs["slot"])
            else:
                self._close(trial)
        slots: defaultdict[int, list[FrozenTrial]] = defaultdict(list)
        for trial in self._trials():
            if "slot" in trial.user_attrs:
                slots[trial.user_attrs["slot"]].append(trial)
        open_states = (TrialState.WAITING, TrialState.RUNNING)
        searched = self._is_searched
        for slot, trials in sorted(slots.items()):
            if searched and slot < CONFIRMING:
                self._withdraw(trials)
            elif not any(is_done(trial) or trial.state in open_states for trial in trials):
                self._queue(trials[-1])
        return under_way

    def _is_under_way(self, trial: FrozenTrial) -> bool:
        """Whether a process that is there works on a trial."""
        if trial.number in self._live:
            return True
        owner = trial.user_attrs.get("owner")
        presence = self._presence
        return presence is not None and owner not in (None, presence.token) and presence.alive(owner)

    def _close(self, trial: FrozenTrial) -> None:
        """End a trial that was left open, as its run ended where that is known."""
        if not is_done(trial):
            slot = trial.user_attrs.get("slot")
            end = None if slot is None or "hparams" not in trial.user_attrs else self._ended(slot)
            if end is None:
                self._study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
                return
            self._note(trial, end)
        self._conclude(trial.number)

    def _queue(self, trial: FrozenTrial) -> None:
        """Let the configuration of a trial be tried again in its slot, before any other."""
        given = trial.system_attrs.get("fixed_params")
        # Without its configuration in full the slot is proposed again, by the same sampler.
        params = given or (trial.params if "hparams" in trial.user_attrs else {})
        self._study.enqueue_trial(params, user_attrs={"slot": trial.user_attrs["slot"]})

    def _withdraw(self, trials: list[FrozenTrial]) -> None:
        """Close what waits in a slot while there are enough trials; a larger total queues it again."""
        for trial in trials:
            if trial.state == TrialState.WAITING:
                self._study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)

    def _done_trials(self) -> list[FrozenTrial]:
        return [trial for trial in self._trials() if is_done(trial)]

    @property
    def done(self) -> int:
        """Trials that need not be run again."""
        return len(self._done_trials())

    @property
    def trials(self) -> int:
        """Trials of the sampler: as many as asked for, but a grid ends with its last point."""
        return self._plan.trials

    @property
    def total(self) -> int:
        """Trials in all, those that confirm the best included, as far as they are known."""
        if not self._is_searched:
            return self.trials + len(self._confirmed()) + self._plan.confirming
        return self.trials + len(self._confirmed() | self._confirming().keys())

    def seconds_left(self, one: float) -> float:
        """Return the seconds of training that are left where a trial takes `one`."""
        limit = self._plan.config.timeout

        def count() -> float:
            trials = one * max(0, self.total - self.done)
            return trials if limit is None else min(trials, max(0.0, limit - self.seconds))

        return patiently(count)

    def _searched(self) -> int:
        """Trials of the sampler that need not be run again."""
        return sum(not is_confirming(trial) for trial in self._done_trials())

    def _confirmed(self) -> set[int]:
        """Slots of the trials that confirm, and need not be run again."""
        return {trial.user_attrs["slot"] for trial in self._done_trials() if is_confirming(trial)}

    def _best(self) -> list[FrozenTrial]:
        """Return the first trial of each configuration that is to be confirmed, the best first."""
        confirm, values = self._plan.confirm, self._values()
        if confirm is None or len(values) <= confirm.configurations:
            return []
        order = sorted(values, key=lambda config_id: self._sign * fmean(values[config_id]), reverse=True)
        return [self._first(config_id) for config_id in order[: confirm.configurations]]

    def _confirming(self) -> dict[int, FrozenTrial]:
        """Slots of all trials that are to confirm `_best`, one of each before the second of any."""
        best, confirm = self._best(), self._plan.confirm
        runs = range(1, 1 + confirm.runs) if confirm else ()
        return {run * CONFIRMING + trial.user_attrs["slot"]: trial for run in runs for trial in best}

    def _missing(self) -> dict[int, FrozenTrial]:
        """Those of them that are not done."""
        done = self._confirmed()
        return {slot: trial for slot, trial in self._confirming().items() if slot not in done}

    @property
    def seconds(self) -> float:
        """Training seconds that all trials have cost."""
        return float(sum(trial.user_attrs.get("seconds", 0.0) for trial in self._trials()))

    @property
    def shortfall(self) -> str:
        """Why the search has fewer trials than were asked for, in a few words; "" where it is complete."""
        limit, searched, missing = self._plan.config.timeout, self._searched(), self._missing()
        if limit is None or not self.finished or (searched >= self.trials and not missing):
            return ""
        done, rest = f"after {searched} of {self.trials} trials", ""
        if missing:
            confirming = len(self._confirming())
            done += f" and {confirming - len(missing)} of {confirming} that confirm the best"
        elif (share := self._search_limit) < limit:
            limit, rest = share, f" (of {limit:g} s; what is left is for confirming the best)"
        return f"{done}: {limit:g} s of training were used up{rest}"

    @property
    def _search_limit(self) -> float:
        """Seconds after which the sampler's trials leave the rest of the limit to those that confirm."""
        limit, trials = self._plan.config.timeout, self.trials
        return math.inf if limit is None else limit * (trials / (trials + self._plan.confirming))

    @property
    def _is_searched(self) -> bool:
        """Whether the sampler is to propose no further trial; a scaled default is tried in any case."""
        done = self._searched()
        first = len(self._plan.starts) if self._plan.is_scaled else 0
        return done >= self.trials or (done >= first and self.seconds >= self._search_limit)

    @property
    def finished(self) -> bool:
        """Whether the total of trials, or of their seconds, is reached."""
        limit = self._plan.config.timeout
        return self._is_searched and ((limit is not None and self.seconds >= limit) or not self._missing())

    @property
    def settled(self) -> bool:
        """Whether no trial is under way, here or elsewhere, and none is still to be proposed."""
        return patiently(lambda: self.finished and not self._under_way())

    def _under_way(self) -> list[int]:
        """Slots of the trials that are under way, here or elsewhere."""
        running = (trial for trial in self._trials(TrialState.RUNNING) if self._is_under_way(trial))
        return [trial.user_attrs["slot"] for trial in running]

    def proposal(self) -> Proposal | None:
        """Ask for a trial; None where there is none to be started now.

        There may be one later, when a trial that is under way is lost: see `settled`.
        """
        return patiently(self._proposal)

    def _proposal(self) -> Proposal | None:
        if self.finished:
            return None
        with self._alone():
            under_way = self._recover()
            searching = sum(slot < CONFIRMING for slot in under_way)
            if not self._is_searched:
                return self._ask() if self._searched() + searching < self.trials else None
            if not self._trials(TrialState.WAITING):
                missing = {slot: trial for slot, trial in self._missing().items() if slot not in under_way}
                if searching or not missing:
                    return None
                slot, trial = next(iter(missing.items()))
                self._study.enqueue_trial(trial.params, user_attrs={"slot": slot})
            return self._ask()

    def _ask(self) -> Proposal:
        plan, config = self._plan, self._plan.config
        waiting = self._trials(TrialState.WAITING)
        slot = waiting[0].user_attrs["slot"] if waiting else self._free_slot()
        if not waiting and (slot < len(self._given) or self._is_grid):
            self._study.enqueue_trial(self._given[slot], user_attrs={"slot": slot})
        # What confirms is given; no sampler has to be asked.
        sampler = config.sampler if slot < CONFIRMING else "random"
        self._study.sampler = make_sampler(
            sampler, config.seed, slot, self._distributions, config.random_start
        )
        trial = self._study.ask()
        trial.set_user_attr("slot", slot)
        if self._presence is not None:
            trial.set_user_attr("owner", self._presence.token)
        hparams = plan.space_of(slot).suggest(trial)
        spec = plan.trial_spec(hparams, slot)
        trial.set_user_attr("config_id", spec.config_id)
        trial.set_user_attr("hparams", hparams)
        self._live[trial.number] = trial
        return Proposal(trial.number, slot, spec)

    def _free_slot(self) -> int:
        """Return the first slot that has no trial; there are gaps where shards of version 0.1 were merged."""
        taken = {trial.user_attrs.get("slot") for trial in self._trials()}
        return next(slot for slot in itertools.count() if slot not in taken)

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Report the best value of the metric so far; False means that the trial is to be pruned.

        The published default is never pruned: every board shows it. Nor is what confirms.
        """
        return patiently(partial(self._report, number, epoch, value))

    def _report(self, number: int, epoch: int, value: float) -> bool:
        trial = self._live[number]
        trial.report(value, epoch)
        return trial.user_attrs["slot"] == 0 or is_confirming(trial) or not trial.should_prune()

    def tell(self, number: int, result: Result) -> None:
        """Tell Optuna how a trial ended.

        The value of a configuration that was tried before is the mean over its trials, each with a
        search seed of its own. A trial that diverged, ran out of memory or out of time counts as pruned, so
        that the sampler learns to keep away; one that failed says nothing about its configuration, and one
        that was interrupted is queued again.
        """
        patiently(partial(self._tell, number, result))

    def _tell(self, number: int, result: Result) -> None:
        trial = self._live[number]
        if result.status == "interrupted":
            trial.set_user_attr("seconds", result.train_seconds)
            self._study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
            with self._alone():
                self._recover()
        else:
            value = result.figure(BEST_VALUE.format(self._plan.metric))
            self._note(trial, TrialEnd(result.status, value, result.train_seconds))
            self._conclude(number)
        del self._live[number]

    def _note(self, trial: FrozenTrial | optuna.Trial, end: TrialEnd) -> None:
        """Write down how a trial ended; from the last of these lines on, it counts."""
        # A trial of another process has no method for it.
        note = partial(self._study._storage.set_trial_user_attr, trial._trial_id)
        note("seconds", end.seconds)
        if end.status == "ok":
            note("value", end.value)
        note("status", end.status)

    def _conclude(self, number: int) -> None:
        """Close a trial of which the end is noted, under a checksum."""
        trial = self._trials()[number]
        state = final_state(trial)
        complete = state == TrialState.COMPLETE
        mean = fmean(self._values()[trial.user_attrs["config_id"]]) if complete else None
        if not trial.state.is_finished():
            self._study._storage.set_trial_user_attr(trial._trial_id, SEAL, seal(trial, mean))
        self._study.tell(number, mean, None if complete else state, skip_if_finished=True)

    def _values(self, confirming: bool = False) -> dict[str, list[float]]:
        """Values of successful trials by configuration and slot: the sampler's, or those that confirm."""
        values: defaultdict[str, list[float]] = defaultdict(list)
        for trial in sorted(self._trials(), key=lambda trial: trial.user_attrs.get("slot", -1)):
            if trial.user_attrs.get("status") == "ok" and is_confirming(trial) == confirming:
                values[trial.user_attrs["config_id"]].append(trial.user_attrs["value"])
        return values

    def _first(self, config_id: str) -> FrozenTrial:
        """Return the first trial of a configuration."""
        # An attempt that broke off may have the identity without the configuration.
        whole = (trial for trial in self._trials() if "hparams" in trial.user_attrs)
        return min(
            (trial for trial in whole if trial.user_attrs.get("config_id") == config_id),
            key=lambda trial: trial.user_attrs["slot"],
        )

    def winner(self) -> Winner | None:
        """Return the best configuration, or None where no trial was successful.

        Once any of the best are confirmed, those count alone that have the most successful further runs: a
        configuration with one lucky value, or that diverges when it is trained again, does not win.
        """
        values, further = self._values(), self._values(confirming=True)
        best = [trial.user_attrs["config_id"] for trial in self._best()]
        if most := max((len(further.get(one, ())) for one in best), default=0):
            values = {one: values[one] + further[one] for one in best if len(further.get(one, ())) == most}
        means = {config_id: fmean(own) for config_id, own in values.items()}
        if not means:
            return None
        winner = max(means, key=lambda config_id: self._sign * means[config_id])
        first = self._first(winner).user_attrs
        return Winner(dict(first["hparams"]), winner, means[winner], first["slot"])

    def table(self) -> list[dict[str, Any]]:
        """Return the finished trials as rows: slot, run, status, value, seconds and hyper-parameters."""
        rows = []
        for trial in sorted(self._done_trials(), key=lambda trial: trial.user_attrs["slot"]):
            attributes = trial.user_attrs
            last = max(trial.intermediate_values.items(), default=(0, None))[1]
            rows.append(
                {
                    "trial": attributes["slot"] % CONFIRMING,
                    "run": 1 + attributes["slot"] // CONFIRMING,
                    "status": attributes["status"],
                    f"val_{self._plan.metric}": attributes.get("value", last),
                    "seconds": attributes.get("seconds"),
                    **attributes["hparams"],
                }
            )
        return rows


def _open_study(plan: Plan, storage: str | None, studies: Path) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    studies.mkdir(parents=True, exist_ok=True)
    best_is_most = get_metric(plan.metric).larger_is_better
    direction = StudyDirection.MAXIMIZE if best_is_most else StudyDirection.MINIMIZE
    study = optuna.create_study(
        study_name=plan.study,
        storage=open_storage(storage, studies / f"{plan.study}.journal"),
        direction=direction,
        load_if_exists=True,
        sampler=make_sampler("random", plan.config.seed, 0),
    )
    check_study(plan.study, study.directions, direction)
    trials = study.get_trials(deepcopy=False)  # read first: another process writes them after the identity
    known = study.user_attrs.get("identity")
    if known is None and trials:
        raise UserError(f"study {plan.study}: it has {len(trials)} trials, but no 'identity': {CHANGED}")
    if known is None:  # the identity last: a study that has it keeps the settings that it has, or lacks
        later = {"small_data"} if plan.config.small_data else set()
        study.set_user_attr("settings", plan.config.model_dump(mode="json", include={*_FORMER, *later}))
        study.set_user_attr("identity", plan.identity)
    elif known != plan.identity:
        raise UserError(
            f"`study` {plan.study}: this study was started with another model, data set, space, budget, "
            "metric, sampler or seed; choose another name, or leave `study` out"
        )
    return study


def _recorded(study: optuna.Study, config: SweepConfig) -> SweepConfig:
    """Return a configuration with the settings that a study was made with."""
    settings = study.user_attrs.get("settings", _FORMER)
    try:
        return SweepConfig.model_validate(
            {
                **config.model_dump(),
                **{name: settings[name] for name in _FORMER},
                "small_data": settings.get("small_data"),
            }
        )
    except (TypeError, AttributeError, KeyError, ValidationError):
        raise UserError(f"study {study.study_name}: its 'settings' are {settings}: {CHANGED}") from None
