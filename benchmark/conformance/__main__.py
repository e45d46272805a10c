"""Check a model, data set or engine of your own. Run as ``python -m benchmark.conformance``."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import cli
from benchmark.support.errors import UserError

if TYPE_CHECKING:
    from benchmark.conformance.check import Outcome

_KINDS = ("model", "dataset", "engine")
_EPILOG = """\
examples:
  python -m benchmark.conformance --template model > my_model.py
  python -m benchmark.conformance my_model.py
  python -m benchmark.conformance my_data.py:source --json
  python -m pytest --conformance my_model.py"""


def parser() -> cli.Parser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "conformance",
        "Check whether a model, data set or engine does what Textbench asks of one. The exit code is 0\n"
        "where all checks are passed, and 1 where one is not. Nothing of it is recorded.",
        _EPILOG,
    )
    add = parser.add_argument
    add(
        "target",
        type=cli.possible_path,
        nargs="?",
        metavar="FILE",
        help="a Python file, FILE:NAME, package.module:NAME, or a name",
    )
    add(
        "--kind",
        type=cli.choice("kind", _KINDS),
        metavar="K",
        help="model, dataset or engine (default: seen)",
    )
    add(
        "--template",
        type=cli.choice("kind", _KINDS),
        metavar="K",
        help="print a file to start from: model, dataset or engine",
    )
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="fix a hyper-parameter of a model")
    add(
        "--data-dir",
        type=cli.local_path,
        metavar="DIR",
        help="folder with data (default: BENCHMARK_DATA_DIR)",
    )
    add("--json", action="store_true", help="print JSON")
    return parser


def conformance(arguments: Sequence[str]) -> int:
    """Carry out the command; see `parser` for its arguments."""
    options = parser().parse_args(arguments)
    if (options.template is None) == (options.target is None):
        raise UserError("name a file to be checked, or --template model, dataset or engine")
    if options.template:
        print(
            Path(__file__).with_name("templates").joinpath(f"{options.template}.py").read_text("utf-8"),
            end="",
        )
        return cli.DONE
    from benchmark.conformance.check import Examination, Options
    from benchmark.conformance.target import resolve

    target, kind = resolve(options.target, options.kind)
    if options.set and kind != "model":
        raise UserError(f"--set: {options.target} is no model")
    said = Options(dict(_setting(text) for text in options.set), cli.data_dir(options.data_dir))
    outcomes: list[Outcome] = []
    with Examination(target, kind, said) as examination:
        for outcome in examination.run():
            outcomes.append(outcome)
            if not options.json:
                _print(outcome)
            if options.debug and outcome.status == "fail" and examination.error is not None:
                traceback.print_exception(examination.error)
    failed = sum(outcome.status == "fail" for outcome in outcomes)
    if options.json:
        record = {"target": target, "kind": kind, "failed": failed}
        print(json.dumps({**record, "checks": [asdict(outcome) for outcome in outcomes]}, indent=1))
    else:
        print(f"\n{kind} {target}: {f'{failed} of {len(outcomes)} checks failed' if failed else 'passed'}")
    return cli.SOME_FAILED if failed else cli.DONE


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UserError(f"--set {text}: expected NAME=VALUE, for example --set units=64")
    return name.strip(), value


def _print(outcome: Outcome) -> None:
    cli.say(f"{outcome.status:<5} {outcome.check}: {outcome.message}")
    if outcome.mend:
        cli.say(f"{'':<5} mend: {outcome.mend}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return cli.run_command(conformance, arguments)


if __name__ == "__main__":
    sys.exit(main())
