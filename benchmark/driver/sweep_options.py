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
COMPILE_MODES = ("auto", "fit", "graph", "xla")
PRECISIONS = ("float32", "bfloat16", "float16", "auto")

_DESCRIPTION = """\
Search hyper-parameters of one or more architectures with Optuna, retrain the published default and
the winner on fresh seeds, measure them once on the test split, log everything to MLflow, and print
the board. The same command again continues where it stopped: --trials and --seeds are totals."""

_EPILOG = """\
examples:
  python -m benchmark.sweep --model lstm
  python -m benchmark.sweep --model avg-pool --model lstm --dataset imdb --budget standard
  python -m benchmark.sweep --model avg-pool --set embedding_dim=32 --trials 20 --seeds 5
  python -m benchmark.sweep --model path/to/file.py:build --dry-run"""


_HELP = {
    "model": "architecture: a registered name, 'all', or path/to/file.py:build; may be repeated",
    "dataset": "data set: a name, dir:PATH, csv:PATH or tfds:NAME (default: imdb where it is available, "
    "otherwise sample)",
    "budget": "smoke, quick (default), standard or full",
    "trials": "trials of the search in total; without the budget's time limit",
    "seeds": "final runs of each tier in total",
    "epochs": "most epochs of a run",
    "train-examples": "train on N texts, stratified and drawn again for each run (default: the budget's "
    "share)",
    "timeout": "training seconds of the search after which no trial is started, earlier ones included",
    "sampler": f"{', '.join(SAMPLERS)} (default: tpe)",
    "pruner": f"{', '.join(PRUNERS)} (default: median)",
    "space": "search space instead of the model's own (YAML)",
    "set": "fix a hyper-parameter, in the default and in the search; MODEL.NAME=VALUE is for one model of "
    "several; may be repeated",
    "seed": "root of all seeds (default: 0)",
    "study": "name of the study (default: one that names what is searched)",
    "storage": "Optuna storage (default: a journal file in mlruns/studies)",
    "join": "help another process with its sweep, on a --storage and a tracking store that both reach",
    "workers": "train in N processes side by side, each with its share of the cores; 'auto' finds out how "
    "many are fastest (default: in this process; with --engine ray as many as the cluster has room for)",
    "engine": "local (default): this machine; ray: a Ray cluster, or one of this machine that ends with the "
    "sweep",
    "address": "Ray cluster that this machine is a node of, or auto",
    "cpus-per-run": "CPUs of the Ray cluster that a run takes, which are its threads (default: 1)",
    "gpus-per-run": "GPUs of the Ray cluster that a run takes; below 1 they are shared, as with 0.25 "
    "(default: 1 where there are any)",
    "no-send-data": "do not send the data set to nodes of the Ray cluster that lack it",
    "run-timeout": "seconds after which a run is ended, with status timeout; runs are then trained in a "
    "process of their own",
    "recycle": "runs after which a worker process is replaced by a fresh one (default: 100)",
    "max-failures": "end a sweep of which N runs in a row have failed (default: 5)",
    "compile": "how epochs are run: fit, graph, xla, or auto (default): the fastest, once it was measured",
    "precision": "what networks compute in: float32, bfloat16, float16, or auto, bfloat16 on a GPU made for "
    "it (default: what the configuration says, float32 as published)",
    "dry-run": "print the plan and an estimate of its time, run nothing",
    "json": "print one JSON document at the end; progress goes to stderr",
}


def parser() -> cli.Parser:
    """Return the command's argument parser; nothing heavy is imported for it."""
    parser = cli.make_parser("sweep", _DESCRIPTION, _EPILOG)

    def add(name: str, metavar: str, type: Callable[[str], Any] = str, **more: Any) -> None:
        parser.add_argument(f"--{name}", metavar=metavar, type=type, help=_HELP[name], **more)

    def add_switch(name: str) -> None:
        parser.add_argument(f"--{name}", action="store_true", help=_HELP[name])

    count = cli.whole_number(1)
    add("model", "M", action="append", required=True)
    add("dataset", "D", cli.data_set)
    add("budget", "B", default="quick")
    add("trials", "N", count)
    add("seeds", "K", count)
    add("epochs", "E", count)
    add("train-examples", "N", count)
    add("timeout", "S", cli.positive_number)
    add("sampler", "X", cli.choice("sampler", SAMPLERS), default="tpe")
    add("pruner", "X", cli.choice("pruner", PRUNERS), default="median")
    add("space", "FILE", cli.local_path)
    add("set", "NAME=VALUE", action="append", default=[])
    add("seed", "S", cli.whole_number(0), default=0)
    add("study", "NAME", _study)
    add("storage", "URL", cli.possible_path)
    add_switch("join")
    add("workers", "N", _workers)
    add("engine", "X", cli.choice("kind of engine", ENGINES), default="local")
    add("address", "HOST:PORT")
    add("cpus-per-run", "N", count)
    add("gpus-per-run", "N", _gpus)
    add_switch("no-send-data")
    add("run-timeout", "S", cli.positive_number)
    add("recycle", "N", count, default=100)
    add("max-failures", "N", count, default=5)
    cli.add_device_option(parser)
    add("compile", "X", cli.choice("way to compile", COMPILE_MODES), default="auto")
    add("precision", "X", cli.choice("precision", PRECISIONS))
    cli.add_data_options(parser)
    cli.add_store_options(parser)
    add_switch("dry-run")
    add_switch("json")
    return parser


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
    from benchmark.plan.space import get_budget
    from benchmark.spec.config import SweepConfig

    budget = get_budget(options.budget)
    # Who says how many trials there are to be does not mean the budget's number of seconds.
    filled_in = {**dict(budget), "timeout": None if options.trials else budget.seconds}
    given = {name: value for name, value in vars(options).items() if value is not None}
    settings = {
        name: value for name, value in {**filled_in, **given}.items() if name in SweepConfig.model_fields
    }
    settings["precision"] = _precision(options.precision, options.device)
    overrides = cli.fixed_settings(options.set)
    return SweepConfig(**settings, epochs_exact=options.epochs is not None, overrides=overrides)


def _precision(asked: str | None, device: Device) -> Precision | None:
    """Return what networks compute in, None where their configurations say it."""
    from benchmark.training.devices import computes_bfloat16

    if asked == "auto":
        return "bfloat16" if device != "cpu" and computes_bfloat16() else "float32"
    return cast("Precision | None", asked)
