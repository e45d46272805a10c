"""Which data sets are prepared or can be read or fetched, and whether each model's space is right."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark import cli
from benchmark.checks.findings import Finding, Setup, ok
from benchmark.data.prepare import cached
from benchmark.data.source import DATASETS, Source, SourceOptions, get_source
from benchmark.data.tfds_source import ImdbSource
from benchmark.models import MODELS
from benchmark.models.source_description import describe
from benchmark.plan.run_specs import resolve_space
from benchmark.plan.space import load_budgets
from benchmark.support.errors import UserError


def data_sets(setup: Setup) -> Iterator[Finding]:
    """Find out where each registered data set would come from."""
    options = SourceOptions(cli.data_dir(setup.data_dir))
    network = ImdbSource(options).reachable()
    for name in DATASETS:
        try:
            yield _state(name, get_source(name, options), network)
        except UserError as error:
            yield Finding("note", f"data set '{name}' cannot be used: {error}")


def _state(name: str, source: Source, network: bool) -> Finding:
    prepare = f"python -m benchmark.datasets prepare {name}"
    at_hand = getattr(source, "at_hand", None)  # optional, see `Source`
    if cached(source) is not None:
        return ok(f"data set '{name}' is prepared")
    if at_hand is None:
        return ok(f"data set '{name}' is not prepared; it comes from {source.home}")
    if at_hand():
        return ok(f"data set '{name}' can be read from this machine; {prepare} would do it now")
    if network and name != "imdb-int":
        return ok(f"data set '{name}' would be fetched: {prepare}")
    return Finding(
        "note",
        f"data set '{name}' is not on this machine" + ("" if network else ", and there is no network"),
        f"give a folder that has it with --data-dir (docs/adding.md), or fetch it elsewhere: {prepare}",
    )


def spaces(setup: Setup) -> Iterator[Finding]:
    """Read the budgets, and the space of each registered model."""
    budgets, models = load_budgets(), list(MODELS)
    for name in models:
        resolve_space(describe(name))
    yield ok(f"models with their search spaces: {len(models)}; budgets: {', '.join(budgets)}")
