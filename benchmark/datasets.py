"""List, describe and prepare data sets. Run as ``python -m benchmark.datasets``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from benchmark import cli
from benchmark.support.errors import UserError, did_you_mean
from benchmark.support.printable import redacted

if TYPE_CHECKING:
    from argparse import Namespace

    from benchmark.data.source import SourceOptions

ACTIONS = ("list", "show", "prepare")


def parser() -> cli.Parser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "datasets",
        "List the data sets, prepare one (read and tokenise it once), or show what is in one: sizes, class "
        "counts, lengths, repeated texts, and three examples of train. Showing is not a test read.",
        "examples:\n  python -m benchmark.datasets\n  python -m benchmark.datasets show sample\n"
        "  python -m benchmark.datasets show dir:path/to/20news --encoding latin-1\n"
        "  python -m benchmark.datasets show csv:reviews.csv --text-column body --label-column stars",
    )
    parser.add_argument("action", nargs="?", default="list", metavar="ACTION", help="list, show or prepare")
    parser.add_argument(
        "name",
        type=cli.data_set,
        nargs="?",
        metavar="D",
        help="a name, dir:PATH, csv:PATH or tfds:NAME, for show and prepare",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    cli.add_data_options(parser)
    return parser


@cli.command(parser)
def main(options: Namespace) -> int:
    """Carry out the command; see `parser` for its arguments."""
    from benchmark.data.data_profile import describe, to_text
    from benchmark.data.prepare import choose_dataset

    if options.action not in ACTIONS:
        raise UserError(f"there is no action '{options.action}'; {did_you_mean(options.action, ACTIONS)}")
    source_options = cli.source_options(options)
    if options.action == "list":
        return _list(source_options, options.json)
    if options.name is None:
        raise UserError(f"datasets {options.action}: name a data set, for example 'sample'")
    facts = describe(choose_dataset(options.name, source_options, lambda _: None))  # notices are among them
    print(json.dumps(facts, indent=1) if options.json else to_text(facts))
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
            prepared, home = False, f"not usable: {error}"
        records.append({"name": name, "prepared": prepared, "home": home})
    if as_json:
        print(json.dumps(records, indent=1))
        return cli.DONE
    for record in records:
        state = "prepared" if record["prepared"] else "-"
        cli.say(f"{record['name']:<16} {state:<10} {record['home']}")
    print("also: dir:PATH (a folder per class), csv:PATH (also TSV, JSON Lines, Parquet), tfds:NAME")
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())
