"""One sweep, with a search or without: the process that owns Optuna and MLflow."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmark.display.events import FinalsPlanned, SweepEnded, SweepStarted
from benchmark.driver.phases import FinalPhase, SearchPhase
from benchmark.driver.session import Session
from benchmark.execution.engine import Engine
from benchmark.metrics.metric import get_metric
from benchmark.plan.run_specs import Plan
from benchmark.report.plots import search_png
from benchmark.search.presence import open_presence
from benchmark.search.study import Search
from benchmark.spec.config import RunSpec, Scalar
from benchmark.support.errors import UserError
from benchmark.support.registry import load_target
from benchmark.tracking import names
from benchmark.tracking.store import default_artifacts
from benchmark.tracking.sweep_run import system_metrics
from benchmark.tracking.tracker import SWEEP, Purpose, Tracker


@dataclass(frozen=True)
class SweepTotals:
    """What a sweep did this time.

    Attributes
    ----------
    model, study : str
        Which sweep.
    trials, finals : int
        Runs of each phase that were trained now.
    failed : int
        How many of them failed or diverged.
    winner : dict or None
        The tuned configuration.
    run_id : str or None
        The sweep's run in MLflow; None where nothing was to be done.
    search_ended : str
        Why the search has fewer trials than were asked for; empty where it is complete.
    """

    model: str
    study: str
    trials: int
    finals: int
    failed: int
    winner: dict[str, Scalar] | None
    run_id: str | None = None
    search_ended: str = ""


def run_finals(plan: Plan, purpose: Purpose, tier: str, session: Session) -> None:
    """Carry out the missing final runs of a plan's default, and wait until MLflow has them.

    Parameters
    ----------
    plan : Plan
        A space with nothing to search, and the number of seeds.
    purpose : Purpose
        Which command asks for them.
    tier : str
        As the runs are tagged.
    session : Session
        Where it is remembered.

    Raises
    ------
    UserError
        When the same study is under way in another process.
    Unfinished
        When results are not in MLflow at the end.
    """
    with closing(Sweep(plan, session, purpose, tier)) as sweep, closing(session.engine(plan)) as engine:
        sweep.run(engine)
        session.settle(plan)


@contextmanager
def _recorded(tracker: Tracker) -> Iterator[None]:
    """Open the parent run, and end it as killed or failed when the work does not come to its end."""
    tracker.begin()
    try:
        with system_metrics(tracker.client, tracker.parent_id):
            yield
    except BaseException as error:
        tracker.abort("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise


def _write_nothing(folder: Path) -> None:
    """Leave the pictures and tables of a search as they are."""


class Sweep:
    """A sweep, opened: its study is taken, and what is there already has been read.

    Parameters
    ----------
    plan : Plan
        What to do.
    session : Session
        Where it is remembered, and how it is carried out.
    purpose : Purpose
        Which command asks for it.
    tier : str, optional
        Of the runs of the default; with one, nothing is searched.

    Raises
    ------
    UserError
        When the same sweep is under way in another process, or its study is a different one.
    """

    def __init__(self, plan: Plan, session: Session, purpose: Purpose = SWEEP, tier: str | None = None):
        self.plan, self.session, self.display, self.tier = plan, session, session.display, tier
        self.presence = open_presence(session.storage, session.runs.studies, plan.study)
        try:
            self._be_alone()
            artifacts = default_artifacts(session.uri, session.runs.path, plan.dataset.name)
            self.tracker = Tracker(session.client, plan, artifacts, session.outbox, self.presence, purpose)
            self.search: Search | None = None
            if tier is None:
                ends = self.tracker.trial_end, self.tracker.trial_ends
                self.search = Search(plan, session.storage, session.runs.studies, self.presence, *ends)
        except BaseException:
            self.presence.close()
            raise
        self.trials = SearchPhase(self, self.search) if self.search else None
        self.finals = FinalPhase(self)
        self._phases = [self.trials, self.finals] if self.trials else [self.finals]
        self._ran = False

    def close(self) -> None:
        """Let other processes have the study."""
        self.presence.close()

    def _be_alone(self) -> None:
        """Take the study, unless another process is to be helped, or say what to do instead."""
        if self.session.join or self.presence.take("study"):
            return
        instead = "wait for it"
        if self.tier is None:
            shared = "`join`" if self.session.storage else "`join` and a shared `storage`"
            instead += f", help it with {shared}, or use a different `study`"
        raise UserError(f"study {self.plan.study} is being worked on by another process; {instead}")

    def claim(self, spec: RunSpec) -> bool:
        """Take a final run; another process that shares the study may have it, or have done it."""
        if self.session.storage is None:  # nobody else has the study
            return True
        return self.presence.take(f"final {spec.spec_id}") and not self.tracker.has_finished(spec.spec_id)

    def configurations(self) -> dict[str, tuple[str, list[RunSpec]]]:
        """Return the default and, where it is a different one, the winner of the search so far.

        Returns
        -------
        dict of str to tuple
            Tier and run specs of each, by configuration id.
        """
        default = self.plan.final_specs(self.plan.default)
        winner = self.search.winner() if self.search else None
        if winner is None:
            tiers = [(self.tier or "default", default)]
        elif winner.config_id == default[0].config_id:
            tiers = [(names.BOTH_TIERS, default)]
        else:
            assert self.search is not None
            tiers = [("default", default), ("tuned", self.search.plan.final_specs(winner.hparams))]
        return {specs[0].config_id: (tier, specs) for tier, specs in tiers}

    def run(self, engine: Engine, seeds: int | None = None) -> SweepTotals:
        """Go on with the sweep: the search up to its total, if there is one, then the missing final runs.

        Parameters
        ----------
        engine : Engine
            Trains the runs.
        seeds : int, optional
            How many final runs of each tier there are to be now; it is called again for the others. By
            default all.

        Returns
        -------
        SweepTotals
            Of all calls together.
        """
        self.finals.seeds = seeds
        done, again, started = self._is_done, self._ran, time.monotonic()
        if done and (again or self.finals.missing(of_all=True)):
            return self._totals()
        self._ran = True
        self._show_start(again)
        if done:
            self._say_that_all_is_there()
            return self._totals()
        self.session.client.connect()
        if self.session.inline and self.plan.is_network and "tensorflow" not in sys.modules:
            self.display.line("importing TensorFlow")
        if not again:
            self._prepare()
        with _recorded(self.tracker):
            totals, tags = {}, {}
            if self.trials is None:
                self.finals.run(engine)
            else:
                self._search_and_measure(self.trials, engine)
                search = self.trials.search
                totals = {
                    names.SEARCH_TRIALS: float(len(search.table())),
                    names.SEARCH_SECONDS: search.seconds,
                }
                tags = {names.SEARCH_ENDED: self.search_ended}
            self.tracker.finish(totals, _write_nothing if again else self._write_search, tags)
        if not again or self._gave_up:
            self._say_why_stopped()
        seconds = time.monotonic() - started
        self.display.show(SweepEnded(self.plan.model.label, seconds, self.runs_left))
        return self._totals()

    @property
    def runs_left(self) -> int:
        """Runs of all seeds that are still to be done, as far as they are known."""
        if self._gave_up:
            return 0
        if self.search is None or self.search.finished:
            return len(self.finals.missing(of_all=True))
        return max(0, self.search.total - self.search.done) + 2 * self.plan.config.seeds

    @property
    def _gave_up(self) -> bool:
        return any(phase.gave_up for phase in self._phases)

    @property
    def _is_done(self) -> bool:
        """Whether there is nothing to do, as far as the seeds go that are asked for now."""
        if self._ran:
            return self._gave_up or not self.finals.missing()
        unsettled = self.search and (not self.search.settled or self.tracker.left_open)
        return not self.finals.missing() and not unsettled

    def _prepare(self) -> None:
        """Make what runs read, before one is to wait for it."""
        plan, trial = self.plan, self.plan.trial_spec(self.plan.default, 0)
        if trial.view:
            plan.dataset.tokenised(trial.view, self.display.line)
        if plan.model.prepare:
            prepare = load_target(plan.model.prepare, "model")
            prepare([trial, *plan.final_specs(plan.default)], plan.dataset, self.display.line)

    def _search_and_measure(self, trials: SearchPhase, engine: Engine) -> None:
        trials.run(engine)
        if not trials.gave_up:
            finals = self.finals
            finals.tag_tiers()
            self.display.show(FinalsPlanned(finals.total, finals.total - len(finals.missing())))
            finals.run(engine)

    def _show_start(self, again: bool) -> None:
        plan, search, finals = self.plan, self.search, self.finals
        if search is not None and plan.is_scaled and not again:
            before = "; this study is from before that, and goes on as it was: a different `study` is new"
            self.display.line(plan.scaling + ("" if search.plan.is_scaled else before))
        done = {"search": search.done if search else 0, "final": finals.total - len(finals.missing())}
        # Two tiers, unless it turns out that the default has won.
        seeds = plan.config.seeds if finals.seeds is None else min(finals.seeds, plan.config.seeds)
        expected = finals.total if search is None or search.finished else 2 * seeds
        total = {"search": search.total if search else 0, "final": expected}
        title = get_metric(plan.metric).title
        self.display.show(SweepStarted(plan.model.label, plan.dataset.title, plan.study, total, done, title))

    def _say_that_all_is_there(self) -> None:
        """Say that there is nothing to do, and bring tags up to date."""
        search, finals, study = self.search, self.finals, self.plan.study
        if search is None:
            self.display.line(f"nothing to do: all {finals.total} runs of '{study}' are there")
            return
        finals.tag_tiers()
        self.tracker.tag_sweep(names.SEARCH_ENDED, self.search_ended)
        self._say_why_stopped()
        self.display.line(
            f"nothing to do: {search.done} of {search.total} trials and all final runs of "
            f"{study} are done; raise `trials` or `seeds` for more"
        )

    @property
    def search_ended(self) -> str:
        """Why the search has fewer trials than were asked for; "" where it is complete."""
        if self.search is None:
            return ""
        if self.trials and self.trials.gave_up:
            failed = f"{self.session.max_failures} runs in a row failed"
            return f"after {self.search.done} of {self.search.total} trials: {failed}"
        return self.search.shortfall

    def _say_why_stopped(self) -> None:
        label, asked, search = self.plan.model.label, self.plan.config.trials, self.search
        if search and search.shortfall:
            self.display.line(
                f"{label}: the search stopped {search.shortfall}; for more give `trials` {asked} and no "
                "`timeout`, or a longer one"
            )
        elif search and search.trials < asked:
            why = "all points of the grid are tried" if self.plan.space.search else "nothing is searched"
            self.display.line(f"{label}: {search.trials} of {asked} trials is all there is: {why}")
        if self._gave_up:
            self.display.line(
                f"{label}: stopped, since {self.session.max_failures} runs in a row failed (see "
                "traceback.txt of each in MLflow); the same command goes on, `max_failures` sets the number"
            )

    def _totals(self) -> SweepTotals:
        winner = self.search.winner() if self.search else None
        return SweepTotals(
            self.plan.model.name,
            self.plan.study,
            self.trials.ran if self.trials else 0,
            self.finals.ran,
            sum(phase.failed for phase in self._phases),
            winner.hparams if winner else None,
            self.tracker.parent_id or None,
            self.search_ended,
        )

    def _write_search(self, folder: Path) -> None:
        rows = self.search.table() if self.search else []
        if not rows:
            return
        from pandas import DataFrame

        table = DataFrame(rows, dtype=object)
        table.to_csv(folder / names.TRIALS_CSV, index=False, lineterminator="\r\n")
        proposed = table[table["run"] == 1]
        pruned = [status == "pruned" for status in proposed["status"]]
        metric = get_metric(self.plan.metric)
        search_png(list(proposed[f"val_{metric.name}"]), pruned, folder / names.SEARCH_PNG, metric)
