"""The search phase on Optuna: ask, report, tell, and the winner."""

from __future__ import annotations

import itertools
import json
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from benchmark.config import RunSpec, Scalar
from benchmark.errors import UserError
from benchmark.plan import Plan
from benchmark.search.samplers import make_pruner, make_sampler
from benchmark.search.space import Space
from benchmark.seeds import seed_bundle
from benchmark.training.result import Result
from benchmark.urls import redacted

# Statuses that a trial has for good: it counts towards the total and is not tried again.
_DONE = frozenset({"ok", "pruned", "diverged", "failed", "oom", "timeout"})


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
    """One Optuna study, owned by this process alone.

    Parameters
    ----------
    plan : Plan
        The sweep.
    storage : str or None
        URL of a database, or None for a journal file of the study's own.
    studies : Path
        Folder of the journal files.
    """

    def __init__(self, plan: Plan, storage: str | None, studies: Path) -> None:
        self._plan = plan
        self._study = _open_study(plan, storage, studies)
        self._live: dict[int, optuna.Trial] = {}
        self._grid = grid_points(plan.space, plan.config.seed) if plan.config.sampler == "grid" else None
        self._requeue_interrupted()

    def _requeue_interrupted(self) -> None:
        """Close trials that an earlier process left open; their configurations are tried first."""
        for trial in self._trials(TrialState.RUNNING):
            self._study.tell(trial.number, state=TrialState.FAIL)
            self._requeue(trial)

    def _requeue(self, trial: FrozenTrial | optuna.Trial) -> None:
        if "slot" in trial.user_attrs:
            self._study.enqueue_trial(trial.params, user_attrs={"slot": trial.user_attrs["slot"]})

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)

    def _done_trials(self) -> list[FrozenTrial]:
        return [trial for trial in self._trials() if trial.user_attrs.get("status") in _DONE]

    @property
    def done(self) -> int:
        """Trials that need not be run again."""
        return len(self._done_trials())

    @property
    def total(self) -> int:
        """Trials in all: as many as asked for, but a grid ends with its last point."""
        if not self._plan.space.search:
            return 1  # the default is all there is
        if self._grid is None:
            return self._plan.config.trials
        return min(self._plan.config.trials, len(self._grid))

    @property
    def seconds(self) -> float:
        """Training seconds that all trials have cost."""
        return float(sum(trial.user_attrs.get("seconds", 0.0) for trial in self._trials()))

    @property
    def finished(self) -> bool:
        """Whether the total of trials, or of their seconds, is reached."""
        limit = self._plan.config.timeout
        return self.done >= self.total or (limit is not None and self.seconds >= limit)

    def proposals(self) -> Iterator[Proposal]:
        """Ask for trials until the total or the time limit is reached."""
        while self.done + len(self._live) < self.total and not self.finished:
            yield self._ask()

    def _ask(self) -> Proposal:
        plan, config = self._plan, self._plan.config
        waiting = self._trials(TrialState.WAITING)
        taken = [trial.user_attrs.get("slot", -1) for trial in self._trials()]
        slot = waiting[0].user_attrs["slot"] if waiting else max(taken, default=-1) + 1
        if not waiting and (slot == 0 or self._grid is not None):
            params = self._grid[slot] if self._grid is not None else plan.space.enqueue_params()
            self._study.enqueue_trial(params, user_attrs={"slot": slot})
        self._study.sampler = make_sampler(config.sampler, config.seed, slot)
        trial = self._study.ask()
        trial.set_user_attr("slot", slot)
        hparams = plan.space.suggest(trial)
        spec = plan.trial_spec(hparams, slot)
        trial.set_user_attr("hparams", hparams)
        trial.set_user_attr("config_id", spec.config_id)
        self._live[trial.number] = trial
        return Proposal(trial.number, slot, spec)

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Report the best validation accuracy so far; False means that the trial is to be pruned.

        The published default is never pruned: every board shows it.
        """
        trial = self._live[number]
        trial.report(value, epoch)
        return trial.user_attrs["slot"] == 0 or not trial.should_prune()

    def tell(self, number: int, result: Result) -> None:
        """Tell Optuna how a trial ended.

        The value of a configuration that was tried before is the mean over its trials, each with a
        search seed of its own. A diverged trial counts as pruned, so that the sampler learns to keep
        away; one that failed says nothing about its configuration.
        """
        trial = self._live.pop(number)
        trial.set_user_attr("status", result.status)
        trial.set_user_attr("seconds", result.train_seconds)
        if result.status == "interrupted":
            self._study.tell(trial, state=TrialState.FAIL)
            self._requeue(trial)
        elif result.status == "ok":
            assert result.best_val_accuracy is not None
            trial.set_user_attr("value", result.best_val_accuracy)
            same = self._values().get(trial.user_attrs["config_id"], [])
            self._study.tell(trial, fmean(same))
        elif result.status in ("pruned", "diverged"):
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, state=TrialState.FAIL)

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
        first = min(
            (trial for trial in self._trials() if trial.user_attrs.get("config_id") == best),
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


def grid_points(space: Space, seed: int) -> list[dict[str, Scalar]]:
    """Return every point of a grid search: the published default first, the others shuffled by seed.

    Parameters that a condition leaves out do not multiply the points. The trials are enqueued one by
    one rather than left to Optuna's grid sampler, which does not know that the default is a point and
    would try it twice.
    """
    values = space.grid()
    default = optuna.trial.FixedTrial(space.enqueue_params())
    points: dict[str, dict[str, Scalar]] = {}
    for combination in itertools.product(*values.values()):
        params = dict(zip(values, combination, strict=True))
        hparams = space.suggest(optuna.trial.FixedTrial(params))
        points.setdefault(json.dumps(hparams, sort_keys=True), params)
    first = points.pop(json.dumps(space.suggest(default), sort_keys=True))
    order = np.random.default_rng(seed_bundle(seed, "sampler", 0).shuffle).permutation(len(points))
    rest = list(points.values())
    return [first, *(rest[number] for number in order)]


def _open_study(plan: Plan, storage: str | None, studies: Path) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    place = storage or str(studies / f"{plan.study}.journal")
    try:
        backend: Any = storage or optuna.storages.JournalStorage(JournalFileBackend(place))
        study = optuna.create_study(
            study_name=plan.study,
            storage=backend,
            direction="maximize",
            load_if_exists=True,
            pruner=make_pruner(plan.config.pruner, plan.max_epochs),
            sampler=make_sampler("random", plan.config.seed, 0),
        )
    except json.JSONDecodeError as error:
        raise UserError(
            f"the study's journal {place} is damaged ({error.msg}); move it away to start the search anew"
        ) from error
    except ImportError as error:
        raise UserError(f"--storage: {redacted(str(storage))} needs a driver: {error}") from error
    except Exception as error:
        if storage is None:
            raise
        raise UserError(
            f"--storage: {redacted(storage)} cannot be used ({type(error).__name__}); expected a database "
            "URL such as postgresql+psycopg://user@host/name or sqlite:///file.db"
        ) from error
    known = study.user_attrs.get("identity")
    if known is None:
        study.set_user_attr("identity", plan.identity)
    elif known != plan.identity:
        raise UserError(
            f"--study {plan.study}: this study was begun with another model, data set, space, budget, "
            "sampler or seed; choose another name, or leave --study out"
        )
    return study
