"""The search phase on Optuna: ask, report, tell, and the winner."""

from __future__ import annotations

import itertools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from benchmark.plan.run_specs import Plan
from benchmark.search.presence import Presence
from benchmark.search.samplers import grid_points, make_pruner, make_sampler
from benchmark.search.storage import open_storage, patiently
from benchmark.search.trials import CHANGED, SEAL, check_study, check_trials, is_done, seal
from benchmark.spec.config import RunSpec, Scalar
from benchmark.spec.result import Result, TrialEnd
from benchmark.support.errors import UserError
from benchmark.support.retries import awaited

_PAUSE = 0.05


@dataclass(frozen=True)
class Proposal:
    """A configuration that is to be tried.

    Attributes
    ----------
    number : int
        Optuna's number of the trial.
    slot : int
        Place in the sweep, from 0; a trial that was interrupted is tried again in its slot.
    spec : RunSpec
        The run.
    """

    number: int
    slot: int
    spec: RunSpec


@dataclass(frozen=True)
class Winner:
    """The configuration with the best mean validation accuracy.

    Attributes
    ----------
    hparams : dict
        The full configuration.
    config_id : str
        Its identity.
    value : float
        Mean validation accuracy over its trials.
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
        self._plan = plan
        self._presence = presence
        self._ended = ended
        self._study = _open_study(plan, storage, studies)
        check_trials(self._trials(), plan.study, plan.space, recorded)
        self._live: dict[int, optuna.Trial] = {}
        self._grid = grid_points(plan.space, plan.config.seed) if plan.config.sampler == "grid" else None
        with self._alone():
            self._recover()

    @cached_property
    def _distributions(self) -> dict[str, BaseDistribution]:
        """Ranges of all parameters that are searched together with the published default's."""
        default = optuna.trial.FixedTrial(self._plan.space.enqueue_params())
        self._plan.space.suggest(default)
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

    def _recover(self) -> int:
        """Close trials of processes that are gone, queue slots without an end, and count the other trials.

        Those are under way. A process may die at any moment: who counts again may count fewer, and
        would start another slot in the place of the one that is lost.
        """
        under_way = 0
        for trial in self._trials(TrialState.RUNNING):
            if self._is_under_way(trial):
                under_way += 1
            else:
                self._close(trial)
        slots: defaultdict[int, list[FrozenTrial]] = defaultdict(list)
        for trial in self._trials():
            if "slot" in trial.user_attrs:
                slots[trial.user_attrs["slot"]].append(trial)
        open_states = (TrialState.WAITING, TrialState.RUNNING)
        for _, trials in sorted(slots.items()):
            if not any(is_done(trial) or trial.state in open_states for trial in trials):
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

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)

    def _done_trials(self) -> list[FrozenTrial]:
        return [trial for trial in self._trials() if is_done(trial)]

    @property
    def done(self) -> int:
        """Trials that need not be run again."""
        return len(self._done_trials())

    @property
    def total(self) -> int:
        """Trials in all: as many as asked for, but a grid ends with its last point."""
        return self._plan.trials if self._grid is None else min(self._plan.trials, len(self._grid))

    @property
    def seconds(self) -> float:
        """Training seconds that all trials have cost."""
        return float(sum(trial.user_attrs.get("seconds", 0.0) for trial in self._trials()))

    @property
    def ended(self) -> str:
        """Why the search has fewer trials than were asked for, in a few words; "" where it is complete."""
        limit, done = self._plan.config.timeout, self.done
        if done >= self.total or limit is None or not self.finished:
            return ""
        return f"after {done} of {self.total} trials: {limit:g} s of training were used up"

    @property
    def finished(self) -> bool:
        """Whether the total of trials, or of their seconds, is reached."""
        limit = self._plan.config.timeout
        return self.done >= self.total or (limit is not None and self.seconds >= limit)

    @property
    def settled(self) -> bool:
        """Whether no trial is under way, here or elsewhere, and none is still to be proposed."""
        return patiently(lambda: self.finished and not self._under_way())

    def _under_way(self) -> int:
        return sum(self._is_under_way(trial) for trial in self._trials(TrialState.RUNNING))

    def proposal(self) -> Proposal | None:
        """Ask for a trial; None where there is none to be started now.

        There may be one later, when a trial that is under way is lost: see `settled`.
        """
        return patiently(self._proposal)

    def _proposal(self) -> Proposal | None:
        if self.finished:
            return None
        with self._alone():
            if self._recover() + self.done >= self.total:
                return None
            return self._ask()

    def _ask(self) -> Proposal:
        plan, config = self._plan, self._plan.config
        waiting = self._trials(TrialState.WAITING)
        slot = waiting[0].user_attrs["slot"] if waiting else self._free_slot()
        if not waiting and (slot == 0 or self._grid is not None):
            params = self._grid[slot] if self._grid is not None else plan.space.enqueue_params()
            self._study.enqueue_trial(params, user_attrs={"slot": slot})
        self._study.sampler = make_sampler(config.sampler, config.seed, slot, self._distributions)
        trial = self._study.ask()
        trial.set_user_attr("slot", slot)
        if self._presence is not None:
            trial.set_user_attr("owner", self._presence.token)
        hparams = plan.space.suggest(trial)
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
        """Report the best validation accuracy so far; False means that the trial is to be pruned.

        The published default is never pruned: every board shows it.
        """
        return patiently(partial(self._report, number, epoch, value))

    def _report(self, number: int, epoch: int, value: float) -> bool:
        trial = self._live[number]
        trial.report(value, epoch)
        return trial.user_attrs["slot"] == 0 or not trial.should_prune()

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
            self._note(trial, TrialEnd(result.status, result.best_val_accuracy, result.train_seconds))
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
        attributes = trial.user_attrs
        tell = partial(self._study.tell, number, skip_if_finished=True)
        mean = fmean(self._values()[attributes["config_id"]]) if attributes["status"] == "ok" else None
        if not trial.state.is_finished():
            self._study._storage.set_trial_user_attr(trial._trial_id, SEAL, seal(trial, mean))
        if mean is not None:
            tell(mean)
        elif attributes["status"] in ("pruned", "diverged", "oom", "timeout"):
            tell(state=TrialState.PRUNED)
        else:
            tell(state=TrialState.FAIL)

    def _values(self) -> dict[str, list[float]]:
        """Own values of all successful trials by configuration, in the order of their slots."""
        values: defaultdict[str, list[float]] = defaultdict(list)
        for trial in sorted(self._trials(), key=lambda trial: trial.user_attrs.get("slot", -1)):
            if trial.user_attrs.get("status") == "ok":
                values[trial.user_attrs["config_id"]].append(trial.user_attrs["value"])
        return values

    def winner(self) -> Winner | None:
        """Return the best configuration, or None where no trial was successful."""
        means = {config_id: fmean(values) for config_id, values in self._values().items()}
        if not means:
            return None
        best = max(means, key=lambda config_id: means[config_id])
        # An attempt that broke off may have the identity without the configuration.
        whole = (trial for trial in self._trials() if "hparams" in trial.user_attrs)
        first = min(
            (trial for trial in whole if trial.user_attrs.get("config_id") == best),
            key=lambda trial: trial.user_attrs["slot"],
        )
        return Winner(dict(first.user_attrs["hparams"]), best, means[best], first.user_attrs["slot"])

    def table(self) -> list[dict[str, Any]]:
        """Return the finished trials as rows: slot, status, value, seconds and hyper-parameters."""
        rows = []
        for trial in sorted(self._done_trials(), key=lambda trial: trial.user_attrs["slot"]):
            attributes = trial.user_attrs
            last = max(trial.intermediate_values.items(), default=(0, None))[1]
            rows.append(
                {
                    "trial": attributes["slot"],
                    "status": attributes["status"],
                    "val_accuracy": attributes.get("value", last),
                    "seconds": attributes.get("seconds"),
                    **attributes["hparams"],
                }
            )
        return rows


def _open_study(plan: Plan, storage: str | None, studies: Path) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    studies.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=plan.study,
        storage=open_storage(storage, studies / f"{plan.study}.journal"),
        direction="maximize",
        load_if_exists=True,
        pruner=make_pruner(plan.config.pruner, plan.max_epochs),
        sampler=make_sampler("random", plan.config.seed, 0),
    )
    check_study(plan.study, study.directions)
    trials = study.get_trials(deepcopy=False)  # read first: another process writes them after the identity
    known = study.user_attrs.get("identity")
    if known is None and trials:
        raise UserError(f"study {plan.study}: it has {len(trials)} trials, but no 'identity': {CHANGED}")
    if known is None:
        study.set_user_attr("identity", plan.identity)
    elif known != plan.identity:
        raise UserError(
            f"`study` {plan.study}: this study was started with another model, data set, space, budget, "
            "sampler or seed; choose another name, or leave `study` out"
        )
    return study
