"""Sweeps of several data sets: the options of each, and the order of their runs."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack, closing

from benchmark import cli
from benchmark.data.source import experiment_name
from benchmark.display.events import SuitePlanned
from benchmark.driver.session import Session
from benchmark.driver.sweep_driver import Sweep, SweepTotals
from benchmark.plan.run_specs import Plan
from benchmark.plan.suite import Suite, SuiteDataset, read_suite
from benchmark.support.errors import UserError
from benchmark.support.registry import label_of
from benchmark.support.yaml_file import describe

_FEW = (1, 3)
"""Seeds of each tier that every model gets on every data set before any gets more."""


def asked_suite(options: Namespace) -> Suite:
    """Return the suite of the file that options name, or one of the data sets that they name."""
    if options.suite is None:
        named = {one: experiment_name(one) for one in options.dataset or [""]}
        for one, name in named.items():
            if (other := next(key for key in named if named[key] == name)) != one:
                reason = f"two data sets are called '{name}' (the other is {other}); a `suite` names them"
                raise UserError(reason, setting="dataset", value=one)
        return Suite("", tuple(SuiteDataset(name, one) for one, name in named.items()), ())
    if options.dataset:
        raise UserError("`suite` names the data sets", setting="dataset", value=options.dataset[0])
    return read_suite(options.suite)


def options_of(suite: Suite, options: Namespace) -> list[Namespace]:
    """Return the options for each data set: what the suite says, unless it was given beside it."""
    metric = {} if suite.metric is None else {"metric": suite.metric}
    models = {"model": list(suite.models)} if suite.models else {}
    left_out = {*map(label_of, suite.models)} - {*map(label_of, options.model or suite.models)}
    fixed = [
        f"{name}={value if isinstance(value, str) else describe(value)}"
        for name, value in suite.options.get("set", {}).items()
        if name.rpartition(".")[0] not in left_out
    ]
    found = []
    for one in suite.datasets:
        said = {**models, **metric, **suite.options, **one.options}
        own = {name: value for name, value in said.items() if not cli.was_given(options, name)}
        always = {"dataset": one.dataset or None, "set": [*fixed, *options.set]}
        found.append(Namespace(**{**vars(options), **own, **always}))
    return found


def sweep_all(plans: Sequence[Plan], session: Session, *, few_first: bool) -> list[SweepTotals]:
    """Carry out all sweeps by the same workers, one after another.

    Parameters
    ----------
    plans : sequence of Plan
        Of the same number of seeds.
    session : Session
        Where they are remembered, and how they are carried out.
    few_first : bool
        Whether all sweeps get few seeds before any gets more.
    """
    seeds = plans[0].config.seeds
    steps = sorted({min(few, seeds) for few in (*_FEW, seeds)}) if few_first else [seeds]
    with ExitStack() as stack:
        # All that has to be read is read now: the tracking store may be gone for a while later.
        sweeps = [stack.enter_context(closing(Sweep(plan, session))) for plan in plans]
        engine = stack.enter_context(closing(session.engine(*plans)))
        if few_first:
            names = [(plan.model.label, plan.dataset.title) for plan in plans]
            left = [sweep.runs_left for sweep in sweeps]
            session.display.show(SuitePlanned(dict(zip(names, left, strict=True))))
        for step in steps:
            totals = [sweep.run(engine, step) for sweep in sweeps]
    return totals
