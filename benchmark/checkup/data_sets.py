"""Which data sets are prepared, which can be read from this machine, and which need a network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from benchmark.checkup.finding import Finding, Place, note, ok, problem
from benchmark.data.imdb import ImdbSource
from benchmark.data.prepare import cached
from benchmark.data.source import DATASETS, Source, SourceOptions, get_source
from benchmark.errors import UserError


def data_folder(place: Place) -> Iterator[Finding]:
    """Find out whether the folder of data is there."""
    folder = _data_dir(place)
    if folder is None:
        yield ok("no folder of data is named (--data-dir, BENCHMARK_DATA_DIR)")
    elif folder.is_dir():
        yield ok(f"data that need not be fetched is in {folder}")
    else:
        yield problem(
            f"BENCHMARK_DATA_DIR {folder}: there is no such folder", "unset BENCHMARK_DATA_DIR, or mend it"
        )


def data_sets(place: Place) -> Iterator[Finding]:
    """Tell of each registered data set how it can be had."""
    folder = _data_dir(place)
    options = SourceOptions(folder if folder and folder.is_dir() else None)
    network = ImdbSource(options).reachable()
    for name in DATASETS:
        try:
            source = get_source(name, options)
            yield _state(name, source, network)
        except UserError as error:
            yield note(f"data set '{name}' cannot be used: {error}")


def _state(name: str, source: Source, network: bool) -> Finding:
    at_hand = getattr(source, "at_hand", None)  # optional, see `Source`
    if cached(source) is not None:
        return ok(f"data set '{name}' is prepared")
    if at_hand is None:
        return ok(f"data set '{name}' is not prepared; it comes from {source.home}")
    prepare = f"python -m benchmark.datasets prepare {name}"
    if at_hand():
        return ok(f"data set '{name}' can be read from this machine; {prepare} would do it now")
    if network and name != "imdb-int":
        return ok(f"data set '{name}' would be fetched: {prepare}")
    return note(
        f"data set '{name}' is not on this machine" + ("" if network else ", and there is no network"),
        f"give a folder that has it with --data-dir (docs/adding.md), or fetch it elsewhere: {prepare}",
    )


def _data_dir(place: Place) -> Path | None:
    value = place.data_dir or os.environ.get("BENCHMARK_DATA_DIR")
    return Path(value) if value else None
