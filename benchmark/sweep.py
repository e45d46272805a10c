"""The main job: search, then final runs, then the board. Run as ``python -m benchmark.sweep``."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from benchmark import cli
from benchmark.driver.sweep_options import OPTIONS, check_names, check_together, sweep_config
from benchmark.report.results import BoardResult, Result
from benchmark.support.errors import MissingResource, UserError
from benchmark.support.files import RunsFolder

if TYPE_CHECKING:
    from argparse import Namespace

    from matplotlib.figure import Figure

    from benchmark.board.rows import Board, BoardRow
    from benchmark.data.dataset import Dataset
    from benchmark.display.events import Display
    from benchmark.driver.estimate import Estimate
    from benchmark.driver.session import Session
    from benchmark.driver.sweep_driver import SweepTotals
    from benchmark.execution.cluster import RayOptions
    from benchmark.plan.run_specs import Plan
    from benchmark.plan.suite import Suite

_SESSION_OPTIONS = ("storage", "run_timeout", "recycle", "max_failures", "join")


@cli.command("sweep", *OPTIONS)
def main(options: Namespace) -> int:
    """Search hyper-parameters of one or more architectures with Optuna, retrain the published default and
    the winner on fresh seeds, measure them once on the test split, log everything to MLflow, and print
    the board. The same command again continues where it stopped: --trials and --seeds are totals.

    examples:
      python -m benchmark.sweep --model lstm
      python -m benchmark.sweep --model avg-pool --model lstm --dataset imdb --budget standard
      python -m benchmark.sweep --model avg-pool --set embedding_dim=32 --trials 20 --seeds 5
      python -m benchmark.sweep --model path/to/file.py:build --dry-run
      python -m benchmark.sweep --model nbsvm --dataset csv:reviews.csv --folds 10
      python -m benchmark.sweep --suite examples/suite.yaml
    """
    from benchmark.display.live import make_display

    with make_display(options.json) as display:
        done = run(options, display, partial(_show, options=options))
        if isinstance(done, PlannedSweeps):
            cli.show(done.record, done.text, options.json)
            return cli.DONE
    return cli.DONE if done is not None and not done.failed else cli.SOME_FAILED


@dataclass(frozen=True, repr=False)
class SweepResult(Result):
    """What sweeps did this time, and the board with them.

    Attributes
    ----------
    sweeps : tuple of SweepTotals
        One for each model, and each fold where there are folds.
    dataset : str
        Its name.
    board : BoardResult
        As `leaderboard` gives it; its HTML and its figure are those of this result.
    model_uri : str or None
        The best of the models that are kept, for `benchmark.predict`.
    """

    sweeps: tuple[SweepTotals, ...]
    dataset: str
    board: BoardResult
    model_uri: str | None

    @property
    def failed(self) -> int:
        """How many of the runs failed or diverged that were trained now."""
        return sum(sweep.failed for sweep in self.sweeps)

    @property
    def records(self) -> Sequence[Mapping[str, Any]]:
        """One for each sweep."""
        return [vars(sweep) for sweep in self.sweeps]

    @property
    def text(self) -> str:
        """The board."""
        return self.board.text

    def _repr_html_(self) -> str:
        return self.board._repr_html_()

    def figure(self) -> Figure:
        """Draw the board."""
        return self.board.figure()


@dataclass(frozen=True, repr=False)
class PlannedSweeps(Result):
    """What sweeps would do, and about how long it would take."""

    record: Mapping[str, Any]
    text: str

    @property
    def records(self) -> Sequence[Mapping[str, Any]]:
        """One for each model."""
        planned: Sequence[Mapping[str, Any]] = self.record["plan"]
        return planned


@dataclass(frozen=True, repr=False)
class SuiteResult(Result):
    """What sweeps of several data sets did this time, and the board of each with them.

    Attributes
    ----------
    suite : str
        Its name; "" where the data sets were named one by one.
    results : dict of str to SweepResult
        By the name of the data set in the suite.
    left_out : dict of str to str
        Why data sets are missing that are unavailable, by name.
    """

    suite: str
    results: Mapping[str, SweepResult]
    left_out: Mapping[str, str]

    @property
    def failed(self) -> int:
        """How many of the runs failed or diverged that were trained now."""
        return sum(result.failed for result in self.results.values())

    @property
    def records(self) -> Sequence[Mapping[str, Any]]:
        """One for each sweep."""
        return [{"name": name, **record} for name, one in self.results.items() for record in one.records]

    @property
    def text(self) -> str:
        """What each board says, in a sentence or two."""
        said = {name: "; ".join(one.board.board.summary) for name, one in self.results.items()}
        lines = [f"{name}: {sentence or 'no result that counts'}" for name, sentence in said.items()]
        return "\n".join([*lines, *(f"{name}: left out, {why}" for name, why in self.left_out.items())])


@dataclass(frozen=True)
class _Entry:
    """A data set, or its folds, and the plan of each model on it, or on each of them."""

    name: str
    datasets: Sequence[Dataset]
    plans: Sequence[Sequence[Plan]]


def run(
    options: Namespace,
    display: Display,
    show: Callable[[SweepResult | SuiteResult, Session], None] | None = None,
) -> SweepResult | SuiteResult | PlannedSweeps | None:
    """Carry out sweeps, or plan them where `dry_run` says so.

    Parameters
    ----------
    options : Namespace
        Of the command, or by keywords.
    display : Display
        Shows what happens.
    show : callable, optional
        Called with the result before results that the store refused are an error.

    Returns
    -------
    SweepResult or SuiteResult or PlannedSweeps or None
        None where the tracking store does not answer; results wait in the spool then.
    """
    if options.suite is None:  # a file is not read without imports that take a while
        _begin(options, len(dict.fromkeys(options.dataset or [""])), display)
    from benchmark.driver.suites import asked_suite, options_of

    suite = asked_suite(options)
    asked = options_of(suite, options)
    first = asked[0]
    if options.suite is not None:
        _begin(first, len(asked), display)
    from benchmark.training.devices import threads_asked

    threads_asked()  # which every run reads from the environment
    _check_models(first, suite)
    for place, one in enumerate(asked):
        with suite.at("datasets", place):
            _check_source(one)
    entries: list[_Entry] = []
    left_out: dict[str, str] = {}
    models = None  # as many as can be planned on the first
    for place, one in enumerate(asked):
        with suite.at("datasets", place):
            try:
                datasets = _read(one, display)
            except MissingResource as error:
                if options.suite is None:
                    raise
                left_out[suite.datasets[place].name] = str(error)
                display.notice(f"left out of the suite: {error}")
                continue
            digest = datasets[0].digest
            if same := next((entry.name for entry in entries if entry.datasets[0].digest == digest), None):
                raise UserError(f"{one.dataset}: its texts are those of '{same}'; leave one of them out")
            plans = _planned(one, models, datasets, display)
            entries.append(_Entry(suite.datasets[place].name, datasets, plans))
        models = [plan.model.name for plan in entries[0].plans[0]]
        _say_lopsided(entries[-1].plans[0], display)
    if not entries:
        reason = f"none of its data sets is available: {'; '.join(left_out.values())}"
        raise UserError(reason, setting="suite", value=options.suite)
    if options.dry_run:
        return _dry_run([plan for entry in entries for plan in entry.plans[0]], display, first.folds)
    with _cluster(first) as ray:
        combined = partial(SuiteResult, suite.name, left_out=left_out) if len(asked) > 1 else None
        return _run(entries, first, display, ray, show, combined)


def _begin(options: Namespace, datasets: int, display: Display) -> None:
    """Check options that do not go together, and say what is done first."""
    check_together(options, datasets)
    what = "the data set" if datasets == 1 else f"each of {datasets} data sets"
    display.line(f"{', '.join(options.model)}: reading {what}, or preparing it")


def _read(options: Namespace, display: Display) -> list[Dataset]:
    """Prepare the data set, or its folds."""
    from benchmark.data.prepare import choose_dataset, choose_folds

    source = cli.source_options(options)
    if options.folds is None:
        return [choose_dataset(options.dataset, source, display.notice, display.line)]
    return choose_folds(options.dataset, source, options.folds, display.notice, display.line)


def _planned(
    options: Namespace, models: Sequence[str] | None, datasets: Sequence[Dataset], display: Display
) -> list[list[Plan]]:
    """Plan the models on a data set or its folds: those that are named, or of ``all`` those that can be."""
    from benchmark.plan.run_specs import make_plan

    space_file = Path(options.space) if options.space else None
    plan = partial(make_plan, config=sweep_config(options), space_file=space_file)
    asked = options.model if models is None else models
    plans: list[list[Plan]] = []
    for dataset in datasets:
        plans.append(_plans(_model_names(asked), asked, partial(plan, dataset=dataset), display))
        asked = [one.model.name for one in plans[0]]
    return plans


def _say_lopsided(plans: Sequence[Plan], display: Display) -> None:
    """Say where nearly all texts are of one class, so that the accuracy of all models is nearly the same."""
    from benchmark.metrics.metric import ACCURACY, UNEVEN

    dataset = next((plan.dataset for plan in plans if plan.metric == ACCURACY), None)
    if dataset is None:
        return
    counts = dataset.class_counts["train"]
    share = max(counts) / sum(counts)
    if share >= UNEVEN:
        name = dataset.class_names[counts.index(max(counts))]
        display.line(
            f"{min(99, round(100 * share))} % are of class '{name}': accuracy cannot tell models apart here; "
            "consider `metric` macro_f1"
        )


def _cluster(options: Namespace) -> AbstractContextManager[RayOptions | None]:
    """Be connected to the Ray cluster, where one was asked for."""
    if options.engine == "local":
        return nullcontext()
    from benchmark.execution.cluster import RayOptions, connected

    asked = RayOptions(
        options.address, options.cpus_per_run or 1, options.gpus_per_run, not options.no_send_data
    )
    return connected(asked, options.device)


def _model_names(asked: Sequence[str]) -> list[str]:
    from benchmark.models import MODELS

    names = [name for word in asked for name in (MODELS if word == "all" else [word])]
    return list(dict.fromkeys(names))


def _plans(
    models: Sequence[str], asked: Sequence[str], plan: Callable[[str], Plan], display: Display
) -> list[Plan]:
    """Plan each model; of ``all``, those are left out that need what is not there."""
    plans = []
    for model in models:
        try:
            plans.append(plan(model))
        except MissingResource as error:
            if model in asked:
                raise
            display.notice(f"left out of 'all': {error}")
    return plans


def _check_models(options: Namespace, suite: Suite) -> None:
    """Find out what is misspelt before any data is prepared."""
    from benchmark.search.samplers import make_sampler

    models = _model_names(options.model)
    if options.space and len(models) > 1:
        raise UserError("one file belongs to one model; sweep the models one by one", setting="space")
    check_names(models, sweep_config(options), Path(options.space) if options.space else None, suite.at)
    make_sampler(options.sampler, 0, 0)


def _check_source(options: Namespace) -> None:
    """Find out what is misspelt of a data set before any is prepared; one that is missing is found later."""
    from benchmark.data.source import get_source

    if options.dataset is not None:
        with suppress(MissingResource):
            get_source(options.dataset, cli.source_options(options))


def _run(
    entries: Sequence[_Entry],
    options: Namespace,
    display: Display,
    ray: RayOptions | None,
    show: Callable[[SweepResult | SuiteResult, Session], None] | None,
    combined: Callable[[Mapping[str, SweepResult]], SuiteResult] | None,
) -> SweepResult | SuiteResult | None:
    """Sweep all models on each data set, or on each of its folds."""
    from benchmark.driver.session import open_session
    from benchmark.driver.suites import sweep_all
    from benchmark.training.devices import check_device

    settings = {name: getattr(options, name) for name in _SESSION_OPTIONS}
    workers = _number_of_workers(options, entries[0].plans[0][-1], display)
    if ray is None:
        check_device(options.device)
    plans = [plan for entry in entries for of_data in entry.plans for plan in of_data]
    with open_session(
        cli.RUNS, options.tracking_uri, display, workers=workers, ray=ray, spread=True, **settings
    ) as session:
        outcomes = iter(sweep_all(plans, session, few_first=combined is not None))
        display.close()
        if not session.deliver():
            return None
        results = {}
        for entry in entries:
            own = list(islice(outcomes, sum(map(len, entry.plans))))
            results[entry.name] = _result(own, entry.datasets, session)
        result = combined(results) if combined else results[entries[0].name]
        if show is not None:
            show(result, session)
        session.check_refused(*plans)
    return result


def _number_of_workers(options: Namespace, most_expensive: Plan, display: Display) -> int | None:
    """Return ``--workers``, or what ``auto`` finds; None trains in this process."""
    if options.workers != "auto":
        return cast("int | None", options.workers)
    from benchmark.execution.engine import Workplace
    from benchmark.execution.processes import best_workers

    place = Workplace(
        most_expensive.dataset,
        RunsFolder(cli.RUNS).ledger,
        options.device,
        options.compile,
        deterministic=options.deterministic,
    )
    display.line("finding out how many workers are fastest here (kept for the next time)")
    workers = best_workers(most_expensive, place)
    display.line(f"--workers {workers}")
    return workers


def _result(outcomes: Sequence[SweepTotals], datasets: Sequence[Dataset], session: Session) -> SweepResult:
    """Read the board and the best of the models that are kept, and leave the board in MLflow."""
    from benchmark.board.stored_board import read_board
    from benchmark.serving.stored_models import kept_model
    from benchmark.support.registry import label_of
    from benchmark.tracking import names

    dataset = datasets[0]
    read = partial(read_board, session.client, dataset.name, session.runs.ledger)
    board = read(digest=dataset.fold.digest if dataset.fold else dataset.digest)
    # What sweeps of folds say of themselves is about their folds.
    rows = [row for one in datasets for row in read(digest=one.digest).rows] if dataset.fold else board.rows
    _publish(board, rows, outcomes, session, dataset.name)
    swept = {label_of(outcome.model) for outcome in outcomes}
    kept = kept_model(session.client, [row for row in board.rows if row.model in swept])
    uri = f"runs:/{kept[1]}/{names.SERVABLE}" if kept else None
    return SweepResult(tuple(outcomes), dataset.name, BoardResult(board), uri)


def _show(result: SweepResult | SuiteResult, session: Session, options: Namespace) -> None:
    """Print the board, and how to use the best of the models that are kept; or what each board says."""
    from benchmark.report.tables import to_table
    from benchmark.support.printable import redacted

    if isinstance(result, SuiteResult):
        if options.json:
            records = [{"name": name, **_record(one)} for name, one in result.results.items()]
            record = {"suite": result.suite, "left_out": result.left_out, "datasets": records}
            print(json.dumps(record, indent=1))
        else:
            cli.say(f"\n{result.text}\nThe board of each: python -m benchmark.leaderboard --dataset NAME")
        return
    if options.json:
        print(json.dumps(_record(result), indent=1))
        return
    print()
    print(to_table(result.board.board, width=cli.terminal_width(), color=sys.stdout.isatty()))
    if result.model_uri:
        store = ["--tracking-uri", redacted(session.uri)] if options.tracking_uri else []
        command = (
            f"python -m benchmark.predict {shlex.join(['--model-uri', result.model_uri, *store])} 'a text'"
        )
        print(f"Label texts with the best model of this sweep: {command}")
    print("Compare the runs in the MLflow UI with: python -m benchmark.ui")


def _record(result: SweepResult) -> dict[str, Any]:
    return {
        "dataset": result.dataset,
        "sweeps": result.records,
        "model_uri": result.model_uri,
        "board": result.board.board.model_dump(mode="json"),
    }


def _publish(
    board: Board,
    rows: Sequence[BoardRow],
    outcomes: Sequence[SweepTotals],
    session: Session,
    dataset: str,
) -> None:
    """Leave the board with the sweeps in MLflow that went on now, or ended before theirs was left there."""
    from benchmark.tracking import names
    from benchmark.tracking.runs import find_runs

    there = find_runs(session.client, dataset, (names.SWEEP,))
    published = {run.run_id for run in there if names.NOTE in run.tags}
    sweeps = {
        outcome.study: outcome.run_id
        for outcome in outcomes
        if outcome.run_id and (outcome.trials or outcome.finals or outcome.run_id not in published)
    }
    if not sweeps:
        return
    from benchmark.board.page_content import read_details
    from benchmark.report.html import to_html
    from benchmark.report.tables import to_markdown
    from benchmark.tracking.store import ui_address
    from benchmark.tracking.sweep_run import write_notes
    from benchmark.tracking.tier_means import write_means

    write_means(session.client, dataset, [row for row in rows if row.study in sweeps])
    details = read_details(session.client, dataset, board, address=ui_address(session.uri))
    write_notes(session.client, dataset, sweeps.values(), to_markdown(board), to_html(board, details))


def _dry_run(plans: Sequence[Plan], display: Display, folds: int | None) -> PlannedSweeps:
    """Say what would be done, and about how long it would take, on the first fold where there are folds."""
    from benchmark.driver.estimate import estimate

    costs = [estimate(plan, display.line) for plan in plans]
    lines = [line for plan, cost in zip(plans, costs, strict=True) for line in _planned_lines(plan, cost)]
    records = [_planned_record(plan, cost) for plan, cost in zip(plans, costs, strict=True)]
    record: dict[str, Any] = {"plan": records}
    if len({plan.dataset.digest for plan in plans}) > 1:
        most = sum(cost.search_seconds + cost.final_seconds for cost in costs)
        least = sum(cost.least_seconds for cost in costs)
        lines.append(
            f"all {len(plans)} sweeps: at most {_duration(most)} in one process, {_duration(least)} if early "
            "stopping ends each run as soon as it may"
        )
    if folds:
        record["folds"] = folds
        lines.append(f"{folds} folds: all of it {folds} times")
    return PlannedSweeps(record, "\n".join([*lines, "dry run: nothing was started"]))


def _planned_record(plan: Plan, cost: Estimate) -> dict[str, Any]:
    return {
        "model": plan.model.name,
        "dataset": plan.dataset.name,
        "study": plan.study,
        "metric": plan.metric,
        "budget": plan.config.budget,
        "trials": plan.trials,
        "confirming_runs": plan.confirming,
        "final_runs": 2 * plan.config.seeds,
        "seeds": plan.config.seeds,
        "max_epochs": plan.max_epochs,
        "timeout": plan.config.timeout,
        "epoch_seconds": _rough(cost.epoch_seconds),
        "estimated_seconds_at_most": _rough(cost.search_seconds + cost.final_seconds),
        "estimated_seconds_at_least": _rough(cost.least_seconds),
        "searched": sorted(plan.space.search),
    }


def _planned_lines(plan: Plan, cost: Estimate) -> list[str]:
    from benchmark.metrics.metric import get_metric

    limit, seeds = plan.config.timeout, plan.config.seeds
    stop = f" (no trial starts after {limit:g} s of training)" if limit else ""
    again = f"{plan.confirming} further runs of its best, then " if plan.confirming else ""
    return [
        f"{plan.model.name} on {plan.dataset.name} (study {plan.study}): "
        f"search of {plan.trials} trials over {len(plan.space.search)} hyper-parameters by "
        f"{get_metric(plan.metric).title}, then {again}"
        f"{seeds} seeds of each tier ({2 * seeds} final runs), at most {plan.max_epochs} epochs each",
        f"  about {_duration(cost.epoch_seconds)} an epoch of the default configuration here (measured); in "
        f"one process the search takes at most {_duration(cost.search_seconds)}{stop}, the final runs "
        f"{_duration(cost.final_seconds)}; {_duration(cost.least_seconds)} together if early stopping ends "
        "each run as soon as it may",
        *([f"  {plan.scaling}"] if plan.is_scaled else []),
    ]


def _rough(seconds: float) -> float:
    """Return an estimate with the two digits that it is worth."""
    return float(f"{seconds:.1e}")


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{_rough(seconds / size):g} {unit}"
    return f"{_rough(seconds):g} s"


if __name__ == "__main__":
    sys.exit(main())
