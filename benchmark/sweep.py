"""The main job: search, then final runs, then the board. Run as ``python -m benchmark.sweep``."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from benchmark import cli
from benchmark.errors import MissingResource, UserError, did_you_mean
from benchmark.shards import WHOLE, check_search, check_stores, shard

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from benchmark.config import Device, Precision, SweepConfig
    from benchmark.data.dataset import Dataset
    from benchmark.data.source import SourceOptions
    from benchmark.driver import Limits, Outcome, Stores
    from benchmark.execution.ray import RayOptions
    from benchmark.plan import Plan
    from benchmark.report.live import Display
    from benchmark.report.rows import Board
    from benchmark.shards import Shard

SAMPLERS = ("tpe", "random", "qmc", "gp", "cmaes", "grid")
PRUNERS = ("hyperband", "median", "percentile", "none")
ENGINES = ("local", "ray")

_DESCRIPTION = """\
Search hyper-parameters of one or more architectures with Optuna, retrain the published default and
the winner on fresh seeds, measure them once on the test part, log everything to MLflow, and print
the board. The same command again continues where it stopped: --trials and --seeds are totals."""

_EPILOG = """\
examples:
  python -m benchmark.sweep --model lstm
  python -m benchmark.sweep --model avg-pool --model lstm --dataset imdb --budget standard
  python -m benchmark.sweep --model avg-pool --set embedding_dim=32 --trials 20 --seeds 5
  python -m benchmark.sweep --model path/to/file.py:build --dry-run"""


def parser() -> cli.Parser:
    """Return the command's argument parser; nothing heavy is imported for it."""
    parser = cli.make_parser("sweep", _DESCRIPTION, _EPILOG)
    count, add = cli.whole_number(1), parser.add_argument
    add(
        "--model",
        action="append",
        required=True,
        metavar="M",
        help="architecture: a registered name, 'all', or path/to/file.py:build; may be repeated",
    )
    add(
        "--dataset",
        metavar="D",
        help="data set: a name, dir:PATH, csv:PATH or tfds:NAME (default: imdb where it can be had, "
        "otherwise sample)",
    )
    add("--budget", default="quick", metavar="B", help="smoke, quick (default), standard or full")
    add("--trials", type=count, metavar="N", help="trials of the search in total")
    add("--seeds", type=count, metavar="K", help="final runs of each tier in total")
    add("--epochs", type=count, metavar="E", help="most epochs of a run")
    add(
        "--train-examples",
        type=count,
        metavar="N",
        help="train on N texts, stratified and drawn anew for each run (default: the budget's share)",
    )
    add(
        "--timeout",
        type=cli.positive_number,
        metavar="S",
        help="training seconds of the search after which no trial is started, earlier ones included",
    )
    add(
        "--sampler",
        type=cli.choice("sampler", SAMPLERS),
        default="tpe",
        metavar="X",
        help=f"{', '.join(SAMPLERS)} (default: tpe)",
    )
    add(
        "--pruner",
        type=cli.choice("pruner", PRUNERS),
        default="hyperband",
        metavar="X",
        help=f"{', '.join(PRUNERS)} (default: hyperband)",
    )
    add("--space", metavar="FILE", help="search space instead of the model's own (YAML)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="fix a hyper-parameter, in the default and in the search; MODEL.NAME=VALUE is for one model "
        "of several; may be repeated",
    )
    add("--seed", type=cli.whole_number(0), default=0, metavar="S", help="root of all seeds (default: 0)")
    add(
        "--study",
        type=_study,
        metavar="NAME",
        help="name of the study (default: one that tells what is searched)",
    )
    add("--storage", metavar="URL", help="Optuna storage (default: a journal file in mlruns/studies)")
    add(
        "--join",
        action="store_true",
        help="help another process with its sweep, on a --storage and a tracking store that both reach",
    )
    add(
        "--shard",
        type=shard,
        default=WHOLE,
        metavar="I/N",
        help="do every N-th trial and final run, from the I-th, in this folder; N folders are joined by "
        "python -m benchmark.merge (samplers random, qmc and grid, with --pruner none)",
    )
    add(
        "--workers",
        type=_workers,
        metavar="N",
        help="train in N processes side by side, each with its share of the cores; 'auto' finds out how many "
        "are fastest (default: in this process; with --engine ray as many as the cluster has room for)",
    )
    _add_engine_options(add)
    add(
        "--run-timeout",
        type=cli.positive_number,
        metavar="S",
        help="seconds after which a run is ended, with status timeout; runs are then trained in a process of "
        "their own",
    )
    add(
        "--recycle",
        type=count,
        default=100,
        metavar="N",
        help="runs after which a worker process is replaced by a fresh one (default: 100)",
    )
    add(
        "--max-failures",
        type=count,
        default=5,
        metavar="N",
        help="end a sweep of which N runs in a row have failed (default: 5)",
    )
    cli.add_device_option(parser)
    add(
        "--compile",
        type=cli.choice("way to compile", ("auto", "fit", "graph", "xla")),
        default="auto",
        metavar="X",
        help="how epochs are run: fit, graph, xla, or auto (default): the fastest, once it was measured",
    )
    add(
        "--precision",
        type=cli.choice("precision", ("float32", "bfloat16", "float16", "auto")),
        metavar="X",
        help="what networks compute in: float32, bfloat16, float16, or auto, bfloat16 on a GPU made for it "
        "(default: what the configuration says, float32 as published)",
    )
    cli.add_data_options(parser)
    cli.add_store_options(parser)
    add("--dry-run", action="store_true", help="print the plan and an estimate of its time, run nothing")
    add("--json", action="store_true", help="print one JSON document at the end; progress goes to stderr")
    return parser


def _add_engine_options(add: Callable[..., Any]) -> None:
    """Add the options that say which machines train."""
    add(
        "--engine",
        type=cli.choice("kind of engine", ENGINES),
        default="local",
        metavar="X",
        help="local (default): this machine; ray: a Ray cluster, or one of this machine that ends with the "
        "sweep",
    )
    add("--address", metavar="HOST:PORT", help="Ray cluster that this machine is a node of, or auto")
    add(
        "--cpus-per-run",
        type=cli.whole_number(1),
        metavar="N",
        help="CPUs of the Ray cluster that a run takes, which are its threads (default: 1)",
    )
    add(
        "--gpus-per-run",
        type=_gpus,
        metavar="N",
        help="GPUs of the Ray cluster that a run takes; below 1 they are shared, as with 0.25 (default: 1 "
        "where there are any)",
    )
    add(
        "--no-send-data",
        action="store_true",
        help="do not send the data set to nodes of the Ray cluster that lack it",
    )


def _gpus(text: str) -> float:
    """Accept a share of a GPU, or a number of whole ones."""
    number = cli.positive_number(text)
    if number > 1 and number != int(number):
        raise ArgumentTypeError(f"got {text}, expected a share below 1, or a whole number of GPUs")
    return number


def _workers(text: str) -> int | str:
    """Accept a whole number from 1, or ``auto``."""
    if text == "auto":
        return text
    try:
        return cli.whole_number(1)(text)
    except ArgumentTypeError as error:
        raise ArgumentTypeError(f"{error}, or 'auto'") from None


def _study(name: str) -> str:
    """Accept a name that is safe as a file's and in questions to stores."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ArgumentTypeError(
            f"'{name}' is not a name of a study; expected letters, digits, '.', '_' and '-', at most 100"
        )
    return name


def sweep(arguments: Sequence[str]) -> int:
    """Carry out the command; see `parser` for its arguments."""
    options = parser().parse_args(arguments)
    from benchmark.data.choose import choose_dataset
    from benchmark.plan import make_plan
    from benchmark.report.live import make_display
    from benchmark.training.devices import threads

    if options.sampler == "cmaes" and options.storage:
        raise UserError(
            "--sampler cmaes: Optuna keeps its state pickled in the storage, so who writes to a shared one "
            "could run code here; leave out --storage, or use tpe, random, qmc or gp"
        )
    if options.join and not options.storage:
        raise UserError("--join: two processes share a study through a database; name it with --storage URL")
    _check_engine(options)
    threads()  # which every run reads from the environment
    check_stores(
        options.shard, options.storage, options.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    )
    config = sweep_config(options)
    models = _model_names(options.model)
    space_file = _space_file(options, models)
    display = make_display(json=options.json, stream=sys.stderr if options.json else sys.stdout)
    try:
        source = cli.source_options(options)
        _check_names(models, options, config, space_file, source)
        dataset = choose_dataset(options.dataset, source, display.notice)
        plan = partial(make_plan, dataset=dataset, config=config, space_file=space_file)
        plans = _plans(models, options.model, plan, display)
        for one in plans:
            if not (cli.RUNS / "studies" / f"{one.study}.journal").exists():  # so its search is to be done
                check_search(options.shard, config.sampler, config.pruner)
        if options.dry_run:
            return _dry_run(plans, options.shard, display, options.json)
        with _cluster(options) as ray:
            return _run(plans, dataset, options, display, ray)
    finally:
        display.close()


def _check_engine(options: Namespace) -> None:
    """Refuse options that belong to another engine, or an engine that is not installed."""
    if options.engine == "local":
        for name in ("address", "cpus_per_run", "gpus_per_run", "no_send_data"):
            if getattr(options, name):
                raise UserError(f"--{name.replace('_', '-')}: only with --engine ray")
        return
    if importlib.util.find_spec("ray") is None:
        raise UserError("--engine ray: Ray is not installed; install it with: pip install 'textbench[ray]'")
    if options.workers == "auto":
        raise UserError(
            "--workers auto: it measures processes of this machine; with --engine ray give a number, or "
            "leave it out for as many as the cluster has room for"
        )
    if options.gpus_per_run and options.device == "cpu":
        raise UserError("--gpus-per-run: not with --device cpu; use --device auto or gpu")


@contextmanager
def _cluster(options: Namespace) -> Iterator[RayOptions | None]:
    """Be connected to the Ray cluster, where one was asked for."""
    if options.engine == "local":
        yield None
        return
    from benchmark.execution.ray import RayOptions, connected

    asked = RayOptions(
        options.address, options.cpus_per_run or 1, options.gpus_per_run, not options.no_send_data
    )
    with connected(asked, options.device) as ray:
        yield ray


def sweep_config(options: Namespace) -> SweepConfig:
    """Turn parsed options into a configuration; the budget fills in what was left open."""
    from benchmark.config import SweepConfig
    from benchmark.search.budget import get_budget

    budget = get_budget(options.budget)
    overrides = {}
    for text in options.set:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"--set {text}: expected NAME=VALUE, for example --set units=64")
        overrides[name.strip()] = value
    return SweepConfig(
        budget=budget.name,
        trials=options.trials or budget.trials,
        seeds=options.seeds or budget.seeds,
        epochs=options.epochs or budget.epochs,
        epochs_exact=options.epochs is not None,
        train_share=budget.train_share,
        train_examples=options.train_examples,
        timeout=options.timeout or budget.seconds,
        sampler=options.sampler,
        pruner=options.pruner,
        precision=_precision(options.precision, options.device),
        overrides=overrides,
        seed=options.seed,
        device=options.device,
        compile=options.compile,
        study=options.study,
    )


def _precision(asked: str | None, device: Device) -> Precision | None:
    """Return what networks compute in, None where their configurations say it."""
    from benchmark.training.devices import computes_bfloat16

    if asked == "auto":
        return "bfloat16" if device != "cpu" and computes_bfloat16() else "float32"
    return cast("Precision | None", asked)


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


def _space_file(options: Namespace, models: Sequence[str]) -> Path | None:
    from pathlib import Path

    if options.space is None:
        return None
    if len(models) > 1:
        raise UserError("--space: one file belongs to one model; sweep the models one by one")
    return Path(options.space)


def _check_names(
    models: Sequence[str],
    options: Namespace,
    config: SweepConfig,
    space_file: Path | None,
    source: SourceOptions,
) -> None:
    """Find out what is misspelt before any data is prepared."""
    from benchmark.data.source import get_source
    from benchmark.models.describe import describe
    from benchmark.plan import resolve_space
    from benchmark.search.samplers import make_sampler

    described = [describe(model) for model in models]
    labels = [model.label for model in described]
    for model in described:
        resolve_space(model, space_file)
    for name in config.overrides:
        label, dot, _ = name.rpartition(".")
        if dot and label not in labels:
            raise UserError(f"--set {name}: no model '{label}' in this sweep; {did_you_mean(label, labels)}")
    if options.dataset is not None:
        get_source(options.dataset, source)
    make_sampler(options.sampler, 0, 0)


def _run(
    plans: Sequence[Plan],
    dataset: Dataset,
    options: Namespace,
    display: Display,
    ray: RayOptions | None = None,
) -> int:
    from benchmark.driver import Limits, delivered, open_stores
    from benchmark.training.devices import set_up_device

    workers = _number_of_workers(options, plans[-1], display)
    limits = Limits(
        workers,
        options.run_timeout,
        options.recycle,
        options.max_failures,
        options.join,
        ray,
        options.shard,
    )
    # Otherwise TensorFlow is for the workers alone.
    if (options.device == "gpu" and ray is None) or not limits.in_workers:
        set_up_device(options.device)
    with open_stores(cli.RUNS, options.tracking_uri, display, options.storage) as stores:
        outcomes = _sweep_all(plans, stores, limits, display)
        display.close()
        failed = any(outcome.failed for outcome in outcomes)
        if not delivered(stores):
            return cli.SOME_FAILED
        _show(outcomes, dataset, stores, as_json=options.json)
    return cli.SOME_FAILED if failed else cli.DONE


def _number_of_workers(options: Namespace, dearest: Plan, display: Display) -> int | None:
    """Return ``--workers``, or what ``auto`` finds; None trains in this process."""
    if options.workers != "auto":
        return cast("int | None", options.workers)
    from benchmark.execution.engine import Workplace
    from benchmark.execution.throughput import best_workers

    place = Workplace(dearest.dataset, cli.RUNS / "ledger.jsonl", options.device, options.compile)
    display.line("finding out how many workers are fastest here (kept for the next time)")
    workers = best_workers(dearest, place)
    display.line(f"--workers {workers}")
    return workers


def _sweep_all(plans: Sequence[Plan], stores: Stores, limits: Limits, display: Display) -> list[Outcome]:
    """Carry out all sweeps, one after another, by the same workers."""
    from contextlib import ExitStack, closing

    from benchmark.driver import Sweep, make_engine

    with ExitStack() as stack:
        # All that has to be read is read now: the tracking store may be gone for a while later.
        sweeps = [stack.enter_context(closing(Sweep(plan, stores, display, limits))) for plan in plans]
        engine = stack.enter_context(closing(make_engine(plans[0], stores, limits)))
        return [sweep.run(engine) for sweep in sweeps]


def _show(outcomes: Sequence[Outcome], dataset: Dataset, stores: Stores, *, as_json: bool) -> None:
    """Print the board, and leave it in MLflow."""
    from benchmark.boards import read_board
    from benchmark.report.export import to_table

    board = read_board(stores.client, dataset.name, stores.ledger)
    _publish(board, outcomes, stores, dataset.name)
    if as_json:
        sweeps = [vars(outcome) for outcome in outcomes]
        record = {"dataset": dataset.name, "sweeps": sweeps, "board": board.model_dump(mode="json")}
        print(json.dumps(record, indent=1))
        return
    print()
    print(to_table(board, width=cli.terminal_width(), color=sys.stdout.isatty()))
    print("Compare the runs in the MLflow UI with: python -m benchmark.ui")


def _publish(board: Board, outcomes: Sequence[Outcome], stores: Stores, dataset: str) -> None:
    """Leave the board with the sweeps in MLflow that were carried out now."""
    from benchmark.details import read_details
    from benchmark.report.export import to_markdown
    from benchmark.report.html import to_html
    from benchmark.tracking.board_notes import write_notes
    from benchmark.tracking.store import ui_address

    sweeps = [outcome.run_id for outcome in outcomes if outcome.run_id]
    if not sweeps:
        return
    details = read_details(stores.client, dataset, board, address=ui_address(stores.uri))
    write_notes(stores.client, dataset, sweeps, to_markdown(board), to_html(board, details))


def _dry_run(plans: Sequence[Plan], part: Shard, display: Display, as_json: bool) -> int:
    """Print what would be done, and about how long it would take."""
    from benchmark.estimate import estimate

    records: list[dict[str, Any]] = []
    for plan in plans:
        cost = estimate(plan)
        config = plan.config
        trials, seeds = part.count(config.trials), part.count(config.seeds)
        runs = trials + 2 * seeds
        records.append(
            {
                "model": plan.model.name,
                "dataset": plan.dataset.name,
                "study": plan.study,
                "budget": config.budget,
                "trials": trials,
                "final_runs": 2 * seeds,
                "seeds": seeds,
                "max_epochs": plan.max_epochs,
                "epoch_seconds": round(cost.epoch_seconds, 3),
                "estimated_seconds_at_most": round(runs * cost.run_seconds, 1),
                "searched": sorted(plan.space.search),
            }
        )
    if as_json:
        print(json.dumps({"plan": records}, indent=1))
        return cli.DONE
    for record in records:
        display.line(
            f"{record['model']} on {record['dataset']} (study {record['study']}): "
            f"search of {record['trials']} trials over {len(record['searched'])} hyper-parameters, then "
            f"{record['seeds']} seeds of each tier ({record['final_runs']} final runs), at most "
            f"{record['max_epochs']} epochs each"
        )
        display.line(
            f"  about {record['epoch_seconds']} s an epoch of the default configuration here (measured); "
            f"{_duration(record['estimated_seconds_at_most'])} at most in one process, less by early "
            "stopping and pruning"
        )
    display.line("dry run: nothing was started")
    return cli.DONE


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return cli.run_command(sweep, arguments)


if __name__ == "__main__":
    sys.exit(main())
