"""What all commands share: how they run, one-line errors, exit codes; their options are in `options`."""

from __future__ import annotations

import argparse
import errno
import inspect
import json
import os
import select
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from benchmark.cli.options import *  # noqa: F403  # commands name all of it as cli.NAME
from benchmark.cli.options import Option, Parser, make_parser
from benchmark.support.errors import Unfinished, UserError, file_errors, spelled
from benchmark.support.files import written_whole
from benchmark.support.printable import open_streams, printable, redacted
from benchmark.support.signals import INTERRUPTED, MESSAGE, interrupt_on_terminate

if TYPE_CHECKING:
    Run = Callable[[argparse.Namespace], int]

RUNS = Path("mlruns")
"""Everything that a sweep leaves behind lies here, below the current folder."""

DONE, SOME_FAILED, WRONG_REQUEST, GATE_FAILED = 0, 1, 2, 3


class Command:
    """A function of options that is a command, by the decorator `command`.

    Called with arguments, by default those of the process, it returns the exit code; see `run_command`.
    """

    def __init__(self, run: Run, name: str, options: Sequence[Option]) -> None:
        self._run, self._name, self._options = run, name, options

    def parser(self) -> Parser:
        """Return the parser of the command's arguments."""
        description, _, epilog = inspect.cleandoc(self._run.__doc__ or "").partition("\n\n")
        return make_parser(self._name, description, *self._options, epilog=epilog)

    def __call__(self, arguments: Sequence[str] | None = None) -> int:
        """Carry out the command."""

        def parse_and_run(words: Sequence[str]) -> int:
            return self._run(self.parser().parse_args(words, argparse.Namespace(arguments=words)))

        return run_command(parse_and_run, arguments)


def command(name: str, *options: Option) -> Callable[[Run], Command]:
    """Make a command of a function from options to an exit code: a decorator.

    The function's docstring is what ``--help`` prints: what the command does, a blank line, examples.

    Parameters
    ----------
    name : str
        What is typed after ``python -m benchmark.``.
    *options : Option
        Its options, which are the attributes of the function's argument; `arguments` is what was typed.
    """
    return lambda run: Command(run, name, options)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a folder that becomes that of ``--output`` when all is written, and is gone otherwise.

    Raises
    ------
    UserError
        Where it cannot be made, or there is something else.
    """
    with ExitStack() as stack:
        with file_errors(target, setting="output"):
            if target.is_dir() and any(target.iterdir()):
                raise UserError("the folder is not empty; name a new one", setting="output", value=target)
            if target.exists() and not target.is_dir():
                raise UserError("this is a file; name a new folder", setting="output", value=target)
            folder = stack.enter_context(written_whole(target))
            folder.mkdir(parents=True)
        yield folder


def run_command(run: Callable[[Sequence[str]], int], arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; mistakes of the user become one line.

    Parameters
    ----------
    run : callable
        The command: arguments in, exit code out.
    arguments : sequence of str, optional
        Instead of those of the process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    open_streams()
    interrupt_on_terminate()
    sys.excepthook = _print_traceback
    try:
        if bad := next((word for word in words if "\x00" in word), None):
            raise UserError(f"'{bad}' has a NUL character, which no name or path has")
        with nullcontext() if "--debug" in words else one_line_errors():
            code = run(words)
            sys.stdout.flush()
        return code
    except UserError as error:
        if "--debug" in words:
            say(traceback.format_exc().rstrip("\n"), error=True)
        else:
            print(error_line(error), file=sys.stderr)
        return WRONG_REQUEST
    except Unfinished as error:
        print(error_line(error), file=sys.stderr)
        return SOME_FAILED
    except KeyboardInterrupt:
        print(MESSAGE, file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        if not _reader_is_gone():  # another pipe: to a worker, to a server
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Say in one line also what a full disk or a name too long for one means."""
    try:
        yield
    except (UserError, Unfinished, BrokenPipeError):
        raise
    except Exception as error:
        from benchmark.data.cache import storage_failure

        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            name = str(error.filename)
            shown = name if len(name) <= 100 else name[:100] + "…"
            raise UserError(f"{shown}: {str(error.strerror).lower()}") from error
        failure = storage_failure(error)
        if failure is None:
            raise
        # Not a wrong request: something was under way, and what it had recorded before stays.
        raise Unfinished(failure) from error


def say(text: str, *, error: bool = False) -> None:
    """Print a text that may quote anything, line breaks as they are; with `error`, to standard error."""
    print(printable(redacted(text), keep="\n"), file=sys.stderr if error else sys.stdout, flush=True)


def show(record: object, text: str, as_json: bool) -> None:
    """Print a result: a record as one JSON document, or a text; see `say`."""
    if as_json:
        print(json.dumps(record, indent=1))
    else:
        say(text)


def error_line(error: Exception) -> str:
    """Return what a person reads of an error: one line, whatever names it quotes, without passwords."""
    return f"error: {printable(redacted(spelled(error)))}"


def check_embedded_store(uri: str, dataset: str | None = None) -> None:
    """Refuse to read from a SQLite store that is not there, rather than make an empty one.

    Parameters
    ----------
    uri : str
        Of the store.
    dataset : str or None
        Whose runs are asked for, if anyone's; see `benchmark.data.source.no_runs`.
    """
    from benchmark.support.databases import sqlite_path

    file = sqlite_path(uri)
    if file is not None and not os.path.isfile(file):  # noqa: PTH113 (a name too long for a file is none)
        from benchmark.data.source import no_runs

        raise no_runs(f"here ({file} does not exist)", dataset)


def terminal_width() -> int | None:
    """Return the columns of the terminal, or None where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _reader_is_gone() -> bool:
    """Whether nobody reads our standard output any more, as in ``| head``."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback as Python does, but for passwords: MLflow's errors quote the whole address."""
    say("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"), error=True)
