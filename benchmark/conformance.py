"""Check a model, data set or engine of your own. Run as ``python -m benchmark.conformance``."""

from __future__ import annotations

import sys
import traceback
from argparse import Namespace
from pathlib import Path
from symtable import symtable
from typing import TYPE_CHECKING

from benchmark import cli
from benchmark.data.source import DATASETS, PREFIXES
from benchmark.models import MODELS
from benchmark.support.errors import UserError, did_you_mean, file_errors
from benchmark.support.registry import is_file_target
from benchmark.support.source_files import parse_python

if TYPE_CHECKING:
    from benchmark.testing.suite import Suite

_FUNCTIONS = {"build": "model", "source": "dataset", "engine": "engine"}
_TEMPLATES = {
    "model": "models/avg_pool.py",
    "dataset": "testing/toy_data.py",
    "engine": "execution/inline.py",
}


_KIND = cli.Choice("kind", tuple(_FUNCTIONS.values()))


@cli.command(
    "conformance",
    cli.option(
        "target FILE",
        "a Python file, FILE:NAME, package.module:NAME, or a name",
        cli.possible_path,
        nargs="?",
    ),
    cli.option("--kind K", "model, dataset or engine (default: seen)", _KIND),
    cli.option("--template K", "print a file to start from: model, dataset or engine", _KIND),
    cli.option("--set NAME=VALUE", "fix a hyper-parameter of a model", action="append", default=[]),
    cli.DATA_DIR,
    cli.JSON,
)
def main(options: Namespace) -> int:
    """Check whether a model, data set or engine does what Textbench asks of one. The exit code is 0
    where all tests pass, and 1 where one fails. Nothing of it is recorded.

    examples:
      python -m benchmark.conformance --template model > my_model.py
      python -m benchmark.conformance my_model.py
      python -m benchmark.conformance my_data.py:source --json
    """
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
        raise UserError(f"{options.target} is not a model", setting="set")
    hparams, data_dir = cli.fixed_settings(options.set), cli.data_dir(options.data_dir) or ""
    attributes = {kind: target, "hparams": hparams, "data_dir": data_dir}
    from benchmark import testing

    base = getattr(testing, f"{kind.title()}Suite")
    suite: type[Suite] = type(base.__name__, (base,), attributes)
    checks = []
    for name, status, message, error in suite.run_tests():
        checks.append({"check": name, "status": status, "message": message})
        if not options.json:
            cli.say(f"{status:<14} {name}{message and f': {message}'}")
        if options.debug and status == "failed":
            traceback.print_exception(error)
    failed = sum(check["status"] == "failed" for check in checks)
    record = {"target": target, "kind": kind, "failed": failed, "checks": checks}
    result = f"{failed} of {len(checks)} tests failed" if failed else "passed"
    cli.show(record, f"\n{kind} {target}: {result}", options.json)
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
        raise UserError(f"{target}: say what it is: --kind {', '.join(_KIND.choices)}")
    hint = did_you_mean(target, [*MODELS, *DATASETS])
    raise UserError(f"there is no file, model or data set '{target}'; {hint}")


def _defined(file: Path) -> set[str]:
    """Return the names that a file defines or imports."""
    with file_errors(file):
        content = file.read_bytes()
    parse_python(content, file)
    symbols = symtable(content, str(file), "exec").get_symbols()  # type: ignore[arg-type]  # takes bytes, too
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}


if __name__ == "__main__":
    sys.exit(main())
