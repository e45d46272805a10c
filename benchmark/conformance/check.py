"""A check, its outcome, and the carrying out of a list of them; nothing heavy is imported."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmark.spec.config import Scalar
from benchmark.support.errors import UserError
from benchmark.support.printable import printable

Kind = Literal["model", "dataset", "engine"]
Status = Literal["pass", "fail", "skip"]

SUITES: dict[Kind, str] = {
    "model": "benchmark.conformance.models",
    "dataset": "benchmark.conformance.datasets",
    "engine": "benchmark.conformance.engines",
}
"""Modules with ``CHECKS`` and ``open_subject(target, options)``."""


class Failed(Exception):
    """A check that was not passed.

    Parameters
    ----------
    reason : str
        What was seen, in one line.
    mend : str
        What to do about it.
    """

    def __init__(self, reason: str, mend: str) -> None:
        super().__init__(reason)
        self.mend = mend


class NotMeant(Exception):
    """A check that has no meaning for what is looked at; the message says why."""


@dataclass(frozen=True)
class Check:
    """One thing that is looked at.

    Attributes
    ----------
    look : callable
        Takes the subject; returns what was seen in one line, or raises `Failed` or `NotMeant`.
    basic : bool
        Whether all that follow make no sense where this one is not passed.
    """

    look: Callable[[Any], str]
    basic: bool = False

    @property
    def name(self) -> str:
        """The name of the function, in words."""
        return self.look.__name__.replace("_", " ")


@dataclass(frozen=True)
class Outcome:
    """What became of a check.

    Attributes
    ----------
    check : str
        Its name.
    status : {"pass", "fail", "skip"}
        A skipped one has no meaning here, or others have to be passed first.
    message : str
        What was seen, in one line.
    mend : str
        What to do; "" where nothing is to be done.
    """

    check: str
    status: Status
    message: str
    mend: str = ""


@dataclass(frozen=True)
class Options:
    """What may be said beside the target: ``--set`` of a model, ``--data-dir`` of a data set."""

    settings: Mapping[str, Scalar]
    data_dir: Path | None = None


class Examination:
    """The checks of one target, in a scratch folder with a cache of its own.

    Parameters
    ----------
    target : str
        A file, ``FILE:NAME``, ``package.module:NAME`` or a registered name.
    kind : {"model", "dataset", "engine"}
        What it is.
    options : Options, optional
        What else was said.
    """

    def __init__(self, target: str, kind: Kind, options: Options | None = None) -> None:
        self.target, self.kind = target, kind
        self._options = options or Options({})
        suite = importlib.import_module(SUITES[kind])
        self.checks: tuple[Check, ...] = suite.CHECKS
        self._open = suite.open_subject
        self._subject: Any = None
        self._missing = ""
        self.error: Exception | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Examination:
        """Do nothing: what is needed is made by the first check."""
        return self

    def __exit__(self, *error: object) -> None:
        """Give back what was made."""
        self.close()

    def carry_out(self, check: Check) -> Outcome:
        """Carry out one check; an exception of the code under test is a failure of it."""
        if self._missing:
            return Outcome(check.name, "skip", f"'{self._missing}' has to be passed first")
        try:
            with self._own_cache():
                if self._subject is None:
                    self._subject = self._open(self.target, self._options)
                return Outcome(check.name, "pass", check.look(self._subject))
        except NotMeant as reason:
            return Outcome(check.name, "skip", str(reason))
        except Failed as failure:
            outcome = Outcome(check.name, "fail", _one_line(failure), failure.mend)
        except UserError as error:
            outcome = Outcome(check.name, "fail", _one_line(error), "see docs/adding.md")
        except Exception as error:
            told = f"{type(error).__name__}: {_one_line(error)}"
            outcome = Outcome(
                check.name, "fail", told, "mend the exception; --debug shows where it is raised"
            )
            self.error = error
        if check.basic:
            self._missing = check.name
        return outcome

    def run(self) -> Iterator[Outcome]:
        """Carry out all checks in their order."""
        for check in self.checks:
            yield self.carry_out(check)

    def close(self) -> None:
        """Give back what was made."""
        if self._subject is not None:
            self._subject.close()
            self._subject = None
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    @contextmanager
    def _own_cache(self) -> Iterator[None]:
        """Prepare data in the scratch folder, so that nothing is left in the user's cache."""
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="textbench-")
        before = os.environ.get("BENCHMARK_CACHE_DIR")
        os.environ["BENCHMARK_CACHE_DIR"] = str(Path(self._scratch.name, "cache"))
        try:
            yield
        finally:
            del os.environ["BENCHMARK_CACHE_DIR"]
            if before is not None:
                os.environ["BENCHMARK_CACHE_DIR"] = before


def _one_line(error: Exception) -> str:
    return printable(" ".join(str(error).split())[:400]) or type(error).__name__
