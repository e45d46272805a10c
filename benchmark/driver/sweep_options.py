"""The options of the command `sweep`, and the configuration that they give."""

from __future__ import annotations

import importlib.util
import re
from argparse import ArgumentTypeError
from contextlib import nullcontext
from typing import TYPE_CHECKING, cast

from benchmark import cli
from benchmark.support.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from benchmark.spec.config import Device, Precision, SweepConfig

SAMPLERS = ("tpe", "random", "qmc", "gp", "cmaes", "grid")
PRUNERS = ("median", "hyperband", "percentile", "none")
ENGINES = ("local", "ray")
COMPILE_MODES = ("auto", "fit", "graph", "numpy", "xla")
DETERMINISTIC = ("auto", "on", "off")
PRECISIONS = ("float32", "bfloat16", "float16", "auto")
_COUNT = cli.whole_number(1)


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


OPTIONS = (
    cli.option(
        "--model M",
        "architecture: a registered name, 'all', or path/to/file.py:build; may be repeated",
        action="append",
    ),
    cli.option(
        "--dataset D",
        "data set: a name, dir:PATH, csv:PATH, hf:NAME or tfds:NAME; may be repeated (default: imdb where it "
        "is available, otherwise sample)",
        action="append",
    ),
    cli.option(
        "--suite FILE",
        "file of data sets, models and options (YAML); what is given beside it goes before what it says",
    ),
    cli.FOLDS,
    cli.option("--budget B", "smoke, quick (default), standard or full", default="quick"),
    cli.option("--trials N", "trials of the search in total; without the budget's time limit", _COUNT),
    cli.option("--seeds K", "final runs of each tier in total", _COUNT),
    cli.option("--epochs E", "most epochs of a run", _COUNT),
    cli.option(
        "--train-examples N",
        "train on N texts, stratified and drawn again for each run (default: the budget's share)",
        _COUNT,
    ),
    cli.option(
        "--timeout S",
        "training seconds of the search after which no trial is started, previous ones included",
        cli.positive_number,
    ),
    cli.option(
        "--metric NAME",
        "what the search, early stopping, the winner and the board follow, such as macro_f1 or "
        "average_precision (default: what the space or the data set names, otherwise accuracy)",
        cli.metric_name,
    ),
    cli.one_of("--sampler X", "sampler", SAMPLERS, "tpe"),
    cli.one_of("--pruner X", "pruner", PRUNERS, "median"),
    cli.option("--space FILE", "search space instead of the model's (YAML)"),
    cli.option(
        "--set NAME=VALUE",
        "fix a hyper-parameter, in the default and in the search; MODEL.NAME=VALUE is for one model of "
        "several; may be repeated",
        action="append",
        default=[],
    ),
    cli.SEED,
    cli.option("--study NAME", "name of the study (default: one that says what is searched)", _study),
    cli.option("--storage URL", "Optuna storage (default: a journal file in mlruns/studies)"),
    cli.switch(
        "--join", "help another process with its sweep, on a --storage and a tracking store that both reach"
    ),
    cli.option(
        "--workers N",
        "train in N processes side by side, each with its share of the cores; 'auto' finds out how "
        "many are fastest (default: in this process, and by as many as are fastest once ten "
        "minutes of training are left; with --engine ray as many as the cluster has room for)",
        _workers,
    ),
    cli.option(
        "--engine X",
        "local (default): this machine; ray: a Ray cluster, or one of this machine that ends with the sweep",
        cli.Choice("kind of engine", ENGINES),
        default="local",
    ),
    cli.option("--address HOST:PORT", "Ray cluster that this machine is a node of, or auto"),
    cli.option(
        "--cpus-per-run N",
        "CPUs of the Ray cluster that a run takes, which are its threads (default: 1)",
        _COUNT,
    ),
    cli.option(
        "--gpus-per-run N",
        "GPUs of the Ray cluster that a run takes; below 1 they are shared, as with 0.25 "
        "(default: 1 where there are any)",
        _gpus,
    ),
    cli.switch("--no-send-data", "do not send the data set to nodes of the Ray cluster that lack it"),
    cli.option(
        "--run-timeout S",
        "seconds after which a run is stopped, with status timeout; runs are then trained in a "
        "separate process",
        cli.positive_number,
    ),
    cli.option(
        "--recycle N",
        "runs after which a worker process is replaced by a fresh one (default: 100)",
        _COUNT,
        default=100,
    ),
    cli.option(
        "--max-failures N", "end a sweep of which N runs in a row have failed (default: 5)", _COUNT, default=5
    ),
    cli.DEVICE,
    cli.option(
        "--compile X",
        "how epochs are run: fit, graph, numpy, xla, or auto (default): the fastest, once it was measured",
        cli.Choice("way to compile", COMPILE_MODES),
        default="auto",
    ),
    cli.option(
        "--deterministic X",
        "whether a network's operations give the same bits every time: on, off, or auto (default): on, but "
        "off on a GPU where that was measured to be more than twice as fast; off is noted on the board",
        cli.Choice("grade of determinism", DETERMINISTIC),
        default="auto",
    ),
    cli.option(
        "--precision X",
        "what networks compute in: float32, bfloat16, float16, or auto, bfloat16 on a GPU made for "
        "it (default: what the configuration says, float32 as published)",
        cli.Choice("precision", PRECISIONS),
    ),
    *cli.DATA_OPTIONS,
    cli.TRACKING_URI,
    cli.switch("--dry-run", "print the plan and an estimate of its time, run nothing"),
    cli.JSON_AT_END,
)
"""The options of the command."""


def check_together(options: Namespace, datasets: int = 1) -> None:
    """Refuse options that do not go together, or an engine that is not installed."""
    if not options.model:
        raise UserError("name a model by `model`, or a file that names models and data sets by `suite`")
    if options.sampler == "cmaes" and options.storage:
        raise UserError(
            "`sampler` cmaes: Optuna keeps its state pickled in the storage, so who writes to a shared one "
            "could run code here; leave out `storage`, or use tpe, random, qmc or gp"
        )
    if options.study and (len(set(options.model)) > 1 or "all" in options.model or datasets > 1):
        raise UserError(
            "a study has one model and one data set; name one, or leave it out",
            setting="study",
            value=options.study,
        )
    if options.join and not options.storage:
        raise UserError(
            "two processes share a study through a database; name it with `storage` URL", setting="join"
        )
    if options.engine == "local":
        for name in ("address", "cpus_per_run", "gpus_per_run", "no_send_data"):
            if getattr(options, name):
                raise UserError("only with `engine` ray", setting=name)
        return
    if importlib.util.find_spec("ray") is None:
        raise UserError(
            "Ray is not installed; install it with: pip install 'textbench[ray]'",
            setting="engine",
            value="ray",
        )
    if options.workers == "auto":
        raise UserError(
            "`workers` auto: it measures processes of this machine; with `engine` ray give a number, or "
            "leave it out for as many as the cluster has room for"
        )
    if options.gpus_per_run and options.device == "cpu":
        raise UserError("not with `device` cpu; use `device` auto or gpu", setting="gpus_per_run")


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


def check_names(
    models: Sequence[str],
    config: SweepConfig,
    space_file: Path | None = None,
    at: Callable[..., AbstractContextManager[None]] = lambda *keys: nullcontext(),
) -> None:
    """Find out what is misspelt before any data is prepared.

    Parameters
    ----------
    models : sequence of str
        Names, or files.
    config : SweepConfig
        Whose metric and fixed settings are checked.
    space_file : Path, optional
        Instead of the packaged space.
    at : callable
        Lets an error name the place of a key, as `benchmark.plan.suite.Suite.at` does.
    """
    from benchmark.metrics.metric import get_metric
    from benchmark.models.source_description import describe
    from benchmark.plan.run_specs import resolve_space

    if config.metric is not None:
        get_metric(config.metric, to_rank=True)
    with at("models"):
        described = [describe(model) for model in models]
    labels = [model.label for model in described]
    for model in described:
        resolve_space(model, space_file)
    for name in config.overrides:
        label, dot, _ = name.rpartition(".")
        if dot and label not in labels:
            reason = f"no model '{label}' in this command; {did_you_mean(label, labels)}"
            with at("set", name):
                raise UserError(reason, setting="set", value=name)


def _precision(asked: str | None, device: Device) -> Precision | None:
    """Return what networks compute in, None where their configurations say it."""
    from benchmark.training.devices import computes_bfloat16

    if asked == "auto":
        return "bfloat16" if device != "cpu" and computes_bfloat16() else "float32"
    return cast("Precision | None", asked)
