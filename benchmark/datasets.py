"""List, describe and prepare data sets. Run as ``python -m benchmark.datasets``."""

from __future__ import annotations

import sys
from argparse import Namespace
from functools import partial
from typing import TYPE_CHECKING

from benchmark import cli
from benchmark.support.errors import UserError, did_you_mean, spelled
from benchmark.support.printable import redacted

if TYPE_CHECKING:
    from benchmark.data.source import SourceOptions

ACTIONS = ("list", "show", "prepare")


@cli.command(
    "datasets",
    cli.option("action ACTION", "list, show or prepare", nargs="?", default="list"),
    cli.option("name D", "a name, dir:PATH, csv:PATH, hf:NAME or tfds:NAME, for show and prepare", nargs="?"),
    cli.JSON,
    *cli.DATA_OPTIONS,
)
def main(options: Namespace) -> int:
    """List the data sets, prepare one (read and tokenise it once), or show what is in one: sizes, class
    counts, lengths, repeated texts, and three examples of train. Showing is not a test read.

    examples:
      python -m benchmark.datasets
      python -m benchmark.datasets show sample
      python -m benchmark.datasets show dir:path/to/20news --encoding latin-1
      python -m benchmark.datasets show csv:reviews.csv --text-column body --label-column stars
    """
    from benchmark.data.data_profile import describe, to_text
    from benchmark.data.prepare import choose_dataset

    if options.action not in ACTIONS:
        raise UserError(f"there is no action '{options.action}'; {did_you_mean(options.action, ACTIONS)}")
    source_options = cli.source_options(options)
    if options.action == "list":
        return _list(source_options, options.json)
    if options.name is None:
        raise UserError(f"datasets {options.action}: name a data set, for example 'sample'")
    say = partial(cli.say, error=True)  # of its notices, which are among the facts, nothing
    facts = describe(choose_dataset(options.name, source_options, lambda _: None, progress=say))
    cli.show(facts, to_text(facts), options.json)
    return cli.DONE


def _list(options: SourceOptions, as_json: bool) -> int:
    from benchmark.data.prepare import cached
    from benchmark.data.source import DATASETS, SourceOptions, get_source

    records = []
    for name in DATASETS:
        try:
            source = get_source(name, SourceOptions(options.data_dir))
            prepared, home = cached(source) is not None, redacted(source.home)
        except UserError as error:
            prepared, home = False, f"not usable: {spelled(error)}"
        records.append({"name": name, "prepared": prepared, "home": home})
    lines = [
        f"{record['name']:<16} {'prepared' if record['prepared'] else '-':<10} {record['home']}"
        for record in records
    ]
    lines.append(
        "also: dir:PATH (a folder per class), csv:PATH (also TSV, JSON Lines, Parquet), hf:NAME, tfds:NAME"
    )
    cli.show(records, "\n".join(lines), as_json)
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())
