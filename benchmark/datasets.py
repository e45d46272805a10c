"""List, describe and prepare data sets. Run as ``python -m benchmark.datasets``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from benchmark import cli
from benchmark.errors import UserError, did_you_mean

_ACTIONS = ("list", "show", "prepare")


def parser() -> cli.Parser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "datasets",
        "List the data sets, prepare one (read and tokenise it once), or show what is in one.",
        "examples:\n  python -m benchmark.datasets\n  python -m benchmark.datasets show sample",
    )
    parser.add_argument("action", nargs="?", default="list", metavar="ACTION", help="list, show or prepare")
    parser.add_argument("name", nargs="?", metavar="D", help="the data set, for show and prepare")
    parser.add_argument("--json", action="store_true", help="print JSON")
    cli.add_data_options(parser)
    return parser


def datasets(arguments: Sequence[str]) -> int:
    """Carry out the command; see `parser` for its arguments."""
    options = parser().parse_args(arguments)
    from benchmark.data.choose import choose_dataset
    from benchmark.data.prepare import cached
    from benchmark.data.source import DATASETS, SourceOptions, get_source

    if options.action not in _ACTIONS:
        raise UserError(f"there is no action '{options.action}'; {did_you_mean(options.action, _ACTIONS)}")
    source_options = SourceOptions(cli.data_dir(options.data_dir), options.validation_share)
    if options.action == "list":
        records = []
        for name in DATASETS:
            source = get_source(name, source_options)
            prepared = cached(source) is not None
            records.append({"name": name, "prepared": prepared, "home": source.home})
        if options.json:
            print(json.dumps(records, indent=1))
        else:
            for record in records:
                state = "prepared" if record["prepared"] else "-"
                print(f"{record['name']:<16} {state:<10} {record['home']}")
        return cli.DONE
    if options.name is None:
        raise UserError(f"datasets {options.action}: name a data set, for example 'sample'")
    dataset = choose_dataset(options.name, source_options, print)
    facts = {
        "name": dataset.name,
        "digest": dataset.digest,
        "home": dataset.home,
        "classes": list(dataset.class_names),
        **dataset.sizes,
        "vocabulary": dataset.vocabulary_total,
        "longest": dataset.longest,
        "validation_share": dataset.validation_share,
        "folder": str(dataset.folder),
    }
    if options.json:
        print(json.dumps(facts, indent=1))
    else:
        print("\n".join(f"{name:<18} {value}" for name, value in facts.items()))
    return cli.DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return cli.run_command(datasets, arguments)


if __name__ == "__main__":
    sys.exit(main())
