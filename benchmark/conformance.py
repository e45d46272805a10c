"""Check a model, data set or engine of your own. Run as ``python -m benchmark.conformance``."""

from __future__ import annotations

import json
import sys
import tokenize
import traceback
from collections.abc import Iterator
from pathlib import Path
from symtable import symtable
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

from benchmark import cli
from benchmark.data.source import DATASETS, PREFIXES
from benchmark.models import MODELS
from benchmark.support.errors import UserError, did_you_mean
from benchmark.support.registry import is_file_target

if TYPE_CHECKING:
    from argparse import Namespace

    from benchmark.testing.suite import Suite

_FUNCTIONS = {"build": "model", "source": "dataset", "engine": "engine"}
_KINDS = tuple(_FUNCTIONS.values())
_TEMPLATES = {
    "model": "models/avg_pool.py",
    "dataset": "testing/toy_data.py",
    "engine": "execution/inline.py",
}
_EPILOG = """\
examples:
  python -m benchmark.conformance --template model > my_model.py
  python -m benchmark.conformance my_model.py
  python -m benchmark.conformance my_data.py:source --json"""


def parser() -> cli.Parser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "conformance",
        "Check whether a model, data set or engine does what Textbench asks of one. The exit code is 0\n"
        "where all tests pass, and 1 where one fails. Nothing of it is recorded.",
        _EPILOG,
    )
    add = parser.add_argument
    file = "a Python file, FILE:NAME, package.module:NAME, or a name"
    kind = cli.choice("kind", _KINDS)
    add("target", type=cli.possible_path, nargs="?", metavar="FILE", help=file)
    add("--kind", type=kind, metavar="K", help="model, dataset or engine (default: seen)")
    template = "print a file to start from: model, dataset or engine"
    add("--template", type=kind, metavar="K", help=template)
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="fix a hyper-parameter of a model")
    folder = "folder with data (default: BENCHMARK_DATA_DIR)"
    add("--data-dir", type=cli.local_path, metavar="DIR", help=folder)
    add("--json", action="store_true", help="print JSON")
    return parser


@cli.command(parser)
def main(options: Namespace) -> int:
    """Carry out the command; see `parser` for its arguments."""
    if (options.template is None) == (options.target is None):
        raise UserError("name a file to be checked, or --template model, dataset or engine")
    if options.template:
        file = Path(__file__).parent / _TEMPLATES[options.template]
        print(file.read_text("utf-8"), end="")
        return cli.DONE
    if not __debug__:
        raise UserError("python -O and PYTHONOPTIMIZE remove the tests; run it without")
    target, kind = resolve(options.target, options.kind)
    if options.set and kind != "model":
        raise UserError(f"--set: {options.target} is not a model")
    hparams, data_dir = dict(map(_setting, options.set)), cli.data_dir(options.data_dir) or ""
    attributes = {kind: target, "hparams": hparams, "data_dir": data_dir}
    checks = []
    for name, status, message, error in _run(kind, attributes):
        checks.append({"check": name, "status": status, "message": message})
        if not options.json:
            cli.say(f"{status:<14} {name}{message and f': {message}'}")
        if options.debug and status == "failed":
            traceback.print_exception(error)
    failed = sum(check["status"] == "failed" for check in checks)
    if options.json:
        print(json.dumps({"target": target, "kind": kind, "failed": failed, "checks": checks}, indent=1))
    else:
        print(f"\n{kind} {target}: {f'{failed} of {len(checks)} tests failed' if failed else 'passed'}")
    return cli.SOME_FAILED if failed else cli.DONE


def resolve(target: str, kind: str | None = None) -> tuple[str, str]:
    """Return a target with its function, and what it is, without importing it.

    Parameters
    ----------
    target : str
        A file, ``FILE:NAME``, ``package.module:NAME``, or the name of a model or data set.
    kind : {"model", "dataset", "engine"}, optional
        What it is, where that is known.

    Raises
    ------
    UserError
        Where there is no such thing, or it cannot be seen what it is.
    """
    if is_file_target(target):
        file, _, name = target.rpartition(":") if ".py:" in target else (target, "", "")
        defined = _defined(Path(file))
        names = [name] if name else [name for name in _FUNCTIONS if name in defined]
        names = [name for name in names if kind in (None, _FUNCTIONS.get(name, kind))]
        if len(names) == 1 and (found := kind or _FUNCTIONS.get(names[0])):
            return f"{file}:{names[0]}", found
        there = f"has {', '.join(names)}" if names else f"has no {', '.join(_FUNCTIONS)}"
        raise UserError(f"{file} {there}; name one function, as {file}:build, and its --kind")
    if kind or target in MODELS:
        return target, kind or "model"
    if target in DATASETS or target.partition(":")[0] in PREFIXES:
        return target, "dataset"
    if ":" in target:
        raise UserError(f"{target}: say what it is: --kind {', '.join(_KINDS)}")
    hint = did_you_mean(target, [*MODELS, *DATASETS])
    raise UserError(f"there is no file, model or data set '{target}'; {hint}")


def _defined(file: Path) -> set[str]:
    """Return the names that a file defines or imports."""
    try:
        with tokenize.open(file) as stream:
            symbols = symtable(stream.read(), str(file), "exec").get_symbols()
    except OSError as error:
        raise UserError(f"{file}: {(error.strerror or str(error)).lower()}") from error
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise UserError(f"{file}{line}: not valid Python ({error})") from error
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UserError(f"--set {text}: expected NAME=VALUE, for example --set units=64")
    return name.strip(), value


def _run(kind: str, attributes: dict[str, Any]) -> Iterator[tuple[str, str, str, Exception | None]]:
    """Run the tests of a suite; yield of each its name, status and reason, and the exception."""
    from benchmark import testing

    base: type[Suite] = getattr(testing, f"{kind.title()}Suite")
    suite: type[Suite] = type(base.__name__, (base,), attributes)
    missing = ""
    suite.setup_class()
    try:
        for test in (name for name in vars(base) if name.startswith("test_")):
            name = test.removeprefix("test_").replace("_", " ")
            if missing:
                yield name, "not applicable", f"'{missing}' has to pass first", None
                continue
            try:
                getattr(suite(), test)()
                yield name, "passed", "", None
            except SkipTest as reason:
                yield name, "not applicable", str(reason), None
            except Exception as error:
                expected = isinstance(error, AssertionError | UserError)
                message = str(error) if expected else f"{type(error).__name__}: {error}"
                yield name, "failed", " ".join(message.split())[:400] or type(error).__name__, error
                missing = name if test in base.basic else ""
    finally:
        suite.teardown_class()


if __name__ == "__main__":
    sys.exit(main())
