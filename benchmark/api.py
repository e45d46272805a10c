"""The commands as functions, for notebooks and programs: options are keyword arguments of the same names."""

from __future__ import annotations

import functools
import inspect
from argparse import Namespace
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from benchmark import cli
from benchmark import compare as _compare
from benchmark import curve as _curve
from benchmark import datasets as _datasets
from benchmark import leaderboard as _leaderboard
from benchmark import sweep as _sweep
from benchmark.cli.keywords import documentation, namespace, signature
from benchmark.display.live import make_display
from benchmark.report.results import BoardResult, ComparisonResult, CurveResult, DataResult
from benchmark.support.errors import Unfinished, UserError
from benchmark.support.printable import printable, redacted
from benchmark.support.process_state import process_state_kept
from benchmark.support.signals import caller_survives
from benchmark.sweep import PlannedSweeps, SuiteResult, SweepResult

__all__ = [
    "BoardResult",
    "ComparisonResult",
    "CurveResult",
    "DataResult",
    "PlannedSweeps",
    "SuiteResult",
    "SweepResult",
    "Unfinished",
    "UserError",
    "compare",
    "curve",
    "datasets",
    "leaderboard",
    "sweep",
]

R = TypeVar("R", covariant=True)


class _Call(Protocol[R]):
    def __call__(self, *arguments: Any, **keywords: Any) -> R: ...


def _keywords_of(command: cli.Command, first: str) -> Callable[[Callable[[Namespace], R]], _Call[R]]:
    """Let a function of options take them as keywords: a decorator; its signature is the command's."""

    def decorate(run: Callable[[Namespace], R]) -> _Call[R]:
        parser = command.parser()
        accepted = signature(parser, first)
        leading = [name for name, one in accepted.parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD]

        @functools.wraps(run)
        def call(*arguments: Any, **keywords: Any) -> R:
            try:
                with process_state_kept(), caller_survives(), cli.one_line_errors():
                    if len(arguments) > len(leading):
                        raise UserError(f"without its name goes only `{leading[-1]}`; give keywords")
                    given = dict(zip(leading, arguments, strict=False))
                    if twice := given.keys() & keywords:
                        raise UserError("is given twice", setting=min(twice))
                    return run(namespace(parser, {**given, **keywords}))
            except (UserError, Unfinished) as error:
                raise type(error)(printable(redacted(str(error)))) from None
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    "interrupted: what was done is recorded; the same call continues it"
                ) from None

        call.__signature__ = accepted  # type: ignore[attr-defined]
        call.__doc__ = f"{inspect.cleandoc(run.__doc__ or '')}\n\n{documentation(parser)}\n"
        return call

    return decorate


@_keywords_of(_sweep.main, "model")
def sweep(options: Namespace) -> SweepResult | SuiteResult | PlannedSweeps:
    """Search, then final runs on fresh seeds, then the board; the same call continues what was stopped."""
    with make_display(wording=str) as display:
        result = _sweep.run(options, display)
    if result is None:
        raise Unfinished(
            "the tracking store does not answer; what was measured is kept, and the same call goes on later"
        )
    return result


@_keywords_of(_leaderboard.main, "dataset")
def leaderboard(options: Namespace) -> BoardResult:
    """Return the board of a data set, from its final runs in MLflow; `output` also writes it as `format`."""
    if options.format != "table" and options.output is None:
        raise UserError("goes with `output`", setting="format", value=options.format)
    return _leaderboard.run(options)[0]


@_keywords_of(_compare.main, "b")
def compare(options: Namespace) -> ComparisonResult:
    """Say which of two models is better: the verdict in one sentence, and the figures behind it."""
    with make_display(wording=str) as display:
        return _compare.run(options, display)


@_keywords_of(_curve.main, "model")
def curve(options: Namespace) -> CurveResult | PlannedSweeps:
    """Train models on numbers of texts, and show the test metric against these; see `sizes`."""
    if options.format != "table":
        raise UserError(
            "is for the command; the result has to_frame()", setting="format", value=options.format
        )
    with make_display(wording=str) as display:
        return _curve.run(options, display)


@_keywords_of(_datasets.main, "name")
def datasets(options: Namespace) -> DataResult:
    """List data sets, or show, prepare or export one."""
    with make_display(wording=str) as display:
        return _datasets.run(options, display.line)
