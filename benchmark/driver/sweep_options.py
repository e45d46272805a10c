"""The options of the command `sweep`, and the configuration that they give."""

from __future__ import annotations

import importlib.util
import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from benchmark import cli
from benchmark.support.errors import UserError

if TYPE_CHECKING:
    from argparse import Namespace

    from benchmark.spec.config import Device, Precision, SweepConfig

SAMPLERS = ("tpe", "random", "qmc", "gp", "cmaes", "grid")
PRUNERS = ("median", "hyperband", "percentile", "none")
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
        type=cli.data_set,
        metavar="D",
        help="data set: a name, dir:PATH, csv:PATH or tfds:NAME (default: imdb where it can be had, "
        "otherwise sample)",
    )
    add("--budget", default="quick", metavar="B", help="smoke, quick (default), standard or full")
    add(
        "--trials",
        type=count,
        metavar="N",
        help="trials of the search in total; without the budget's time limit",
    )
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
        default="median",
        metavar="X",
        help=f"{', '.join(PRUNERS)} (default: median)",
    )
    add("--space", type=cli.local_path, metavar="FILE", help="search space instead of the model's own (YAML)")
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
    add(
        "--storage",
        type=cli.possible_path,
        metavar="URL",
        help="Optuna storage (default: a journal file in mlruns/studies)",
    )
    add(
        "--join",
        action="store_true",
        help="help another process with its sweep, on a --storage and a tracking store that both reach",
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


def check_together(options: Namespace) -> None:
    """Refuse options that do not go together, or an engine that is not installed."""
    if options.sampler == "cmaes" and options.storage:
        raise UserError(
            "--sampler cmaes: Optuna keeps its state pickled in the storage, so who writes to a shared one "
            "could run code here; leave out --storage, or use tpe, random, qmc or gp"
        )
    if options.join and not options.storage:
        raise UserError("--join: two processes share a study through a database; name it with --storage URL")
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


def sweep_config(options: Namespace) -> SweepConfig:
    """Turn parsed options into a configuration; the budget fills in what was left open."""
    from benchmark.plan.budget import get_budget
    from benchmark.spec.config import SweepConfig

    budget = get_budget(options.budget)
    overrides = {}
    for text in options.set:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"--set {text}: expected NAME=VALUE, for example --set units=64")
        overrides[name.strip()] = value
    # Who says how many trials there are to be does not mean the budget's number of seconds.
    filled_in = {**dict(budget), "timeout": None if options.trials else budget.seconds}
    given = {name: value for name, value in vars(options).items() if value is not None}
    settings = {
        name: value for name, value in {**filled_in, **given}.items() if name in SweepConfig.model_fields
    }
    settings["precision"] = _precision(options.precision, options.device)
    return SweepConfig(**settings, epochs_exact=options.epochs is not None, overrides=overrides)


def _precision(asked: str | None, device: Device) -> Precision | None:
    """Return what networks compute in, None where their configurations say it."""
    from benchmark.training.devices import computes_bfloat16

    if asked == "auto":
        return "bfloat16" if device != "cpu" and computes_bfloat16() else "float32"
    return cast("Precision | None", asked)
