"""List and describe architectures. Run as ``python -m benchmark.models``."""

from __future__ import annotations

import json
import sys
from argparse import Namespace

from benchmark import cli


def parser() -> cli.Parser:
    """Return the command's argument parser."""
    parser = cli.make_parser("models", "List the architectures, or describe one with its search space.")
    parser.add_argument("name", nargs="?", metavar="M", help="a registered name, or path/to/file.py:build")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


@cli.command(parser)
def main(options: Namespace) -> int:
    """Carry out the command; see `parser` for its arguments."""
    from benchmark.models import MODELS
    from benchmark.models.source_description import describe
    from benchmark.plan.run_specs import resolve_space

    if options.name is None:
        found = [describe(name) for name in MODELS]
        if options.json:
            print(json.dumps([{"name": item.name, "summary": item.summary} for item in found], indent=1))
        else:
            cli.say("\n".join(f"{item.name:<14} {item.summary}" for item in found))
        return cli.DONE
    model = describe(options.name)
    space = resolve_space(model)
    if options.json:
        content = {"name": model.name, "summary": model.summary, "source": model.source}
        print(json.dumps({**content, "space": space.model_dump(mode="json")}, indent=1))
        return cli.DONE
    cli.say(f"{model.name}: {model.summary}\nsource: {model.source or space.source}\nfile: {model.file}\n")
    print(f"{'hyper-parameter':<20} {'default':<12} searched")
    for name, value in space.default.items():
        cli.say(f"{name:<20} {value!s:<12} {space.search.get(name, '')}".rstrip())
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())
