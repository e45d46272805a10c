"""What a sweep writes and reads: folders with their locks and disks, ledger, stores, data sets, spaces."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmark import cli
from benchmark.checks import Finding, Level, Setup, ok, problem, refusal
from benchmark.data.cache import cache_root
from benchmark.data.ledger_chain import read_entries
from benchmark.data.prepare import cached
from benchmark.data.source import DATASETS, Source, SourceOptions, get_source
from benchmark.data.tfds_source import ImdbSource
from benchmark.models import MODELS
from benchmark.models.source_description import describe
from benchmark.plan.run_specs import resolve_space
from benchmark.plan.space import load_budgets
from benchmark.support import files
from benchmark.support.errors import UserError, one_line
from benchmark.support.printable import redacted
from benchmark.tracking.store import check_store, check_writable, ensure_runs_folder, nearest, resolve_uri

_GB = 1e9
_LITTLE_ROOM, _NO_ROOM = 2 * _GB, 0.2 * _GB  # the reviews of IMDB take 0.11 GB of the cache
_OTHER_CACHE = "export BENCHMARK_CACHE_DIR=FOLDER, on a disk of this machine"


def runs_folder(setup: Setup) -> Iterator[Finding]:
    """Find out whether runs can be kept, and recorded in the ledger of test reads."""
    ensure_runs_folder(setup.runs, make=False)
    reads = len(read_entries(files.RunsFolder(setup.runs).ledger))
    yield ok(f"runs are kept in {setup.runs.absolute()}; test reads in its ledger: {reads}")


def cache_folder(setup: Setup) -> Iterator[Finding]:
    """Find out whether prepared data can be kept."""
    cache = cache_root().absolute()
    try:
        check_writable(cache, make=False)
        yield ok(f"prepared data is kept in {cache}")
    except UserError as error:
        yield problem(refusal(error).message, _OTHER_CACHE)


def room(setup: Setup) -> Iterator[Finding]:
    """Measure the room on the disks that are written."""
    folders = [nearest(folder) for folder in (setup.runs, cache_root(), Path(tempfile.gettempdir()))]
    for folder in {folder.stat().st_dev: folder for folder in reversed(folders)}.values():
        free = shutil.disk_usage(folder).free
        message = f"{free / _GB:.1f} GB are free on the disk of {folder}"
        if free >= _LITTLE_ROOM:
            yield ok(message)
        else:
            level: Level = "problem" if free < _NO_ROOM else "note"
            yield Finding(level, f"only {message}", "free some room, or move mlruns and BENCHMARK_CACHE_DIR")


def file_locks(setup: Setup) -> Iterator[Finding]:
    """Try the locks on which processes rely that share a folder."""
    elsewhere = "run the commands from a folder on a disk of this machine"
    for folder, fix in {nearest(cache_root()): _OTHER_CACHE, nearest(setup.runs): elsewhere}.items():
        if not folder.is_dir() or not os.access(folder, os.W_OK):  # which is the finding of a different check
            continue
        path = folder / f".textbench-doctor-{os.getpid()}.lock"
        try:
            with files.held(path), files.held(path) as twice:
                reason = "have no effect: two sweeps could do the same runs" if twice else ""
        except OSError as error:
            reason = f"are not there ({one_line(error)})"
        yield problem(f"locks in {folder} {reason}", fix) if reason else ok(f"locks work in {folder}")


def tracking_store(setup: Setup) -> Iterator[Finding]:
    """Ask the store of results."""
    uri = resolve_uri(setup.tracking_uri, setup.runs)
    yield _found("tracking store", uri, check_store(uri))


def search_store(setup: Setup) -> Iterator[Finding]:
    """Ask the store of searches, where one is named."""
    if setup.storage is None:
        yield ok("searches are kept as journal files in the folder of runs (no `storage`)")
        return
    from benchmark.search.storage import check_storage

    yield _found("`storage`", setup.storage, check_storage(setup.storage))


def _found(kind: str, uri: str, has_tables: bool) -> Finding:
    more = "" if has_tables else ", and is empty; the first sweep makes its tables"
    return ok(f"{kind} {redacted(uri)} can be used{more}")


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
        f"give a folder that has it with `data_dir` (docs/adding.md), or fetch it elsewhere: {prepare}",
    )


def spaces(setup: Setup) -> Iterator[Finding]:
    """Read the budgets, and the space of each registered model."""
    budgets, models = load_budgets(), list(MODELS)
    for name in models:
        resolve_space(describe(name))
    yield ok(f"models with their search spaces: {len(models)}; budgets: {', '.join(budgets)}")
