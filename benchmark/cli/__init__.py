"""What all commands share: one-line errors, exit codes, options that mean the same everywhere."""

from __future__ import annotations

import argparse
import errno
import functools
import os
import re
import select
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from benchmark.support.errors import Unfinished, UserError, did_you_mean, file_errors
from benchmark.support.files import written_whole
from benchmark.support.printable import open_streams, printable, redacted
from benchmark.support.signals import INTERRUPTED, MESSAGE, interrupt_on_terminate

if TYPE_CHECKING:
    from benchmark.data.source import SourceOptions

    Run = Callable[[argparse.Namespace], int]
    Main = Callable[..., int]

RUNS = Path("mlruns")
"""Everything that a sweep leaves behind lies here, below the current folder."""

DONE, SOME_FAILED, WRONG_REQUEST = 0, 1, 2
DATASET_HELP = "data set, or NAME@DIGEST where several have its name (default: that of the newest sweep)"

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
_SETTING = re.compile("`([a-z]+(?:_[a-z]+)*)`")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line that names the nearest valid choice."""

    def error(self, message: str) -> NoReturn:
        """Raise `UserError` instead of printing the usage."""
        if message.startswith("unrecognized arguments:"):
            unknown = message.removeprefix("unrecognized arguments:").strip().split(" ")[0].partition("=")[0]
            message = f"there is no option '{unknown}'"
            known = [option for action in self._actions for option in action.option_strings]
            if unknown.startswith("-"):
                message += f"; {did_you_mean(unknown, [o for o in known if o.startswith('--')])}"
        raise UserError(message)


def make_parser(command: str, description: str, epilog: str = "") -> Parser:
    """Return the parser of a command, ``--debug`` included."""
    parser = Parser(
        prog=f"python -m benchmark.{command}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser


@dataclass(frozen=True)
class Choice:
    """An argument type that accepts one of some words; see `choice`."""

    name: str
    choices: tuple[str, ...]

    def __call__(self, value: str) -> str:
        """Return the word, or say which is the nearest."""
        if value not in self.choices:
            hint = did_you_mean(value, self.choices)
            raise argparse.ArgumentTypeError(f"'{value}' is not a {self.name}; {hint}")
        return value


def choice(name: str, choices: Sequence[str]) -> Choice:
    """Return an argument type that accepts one of some words, with did-you-mean."""
    return Choice(name, tuple(choices))


def whole_number(low: int) -> Callable[[str], int]:
    """Return an argument type for whole numbers from ``low`` upwards."""

    def convert(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{value}' is not a whole number") from None
        if number < low:
            raise argparse.ArgumentTypeError(f"got {number}, expected {low} or more")
        return number

    return convert


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{value}' is not a number") from None


def positive_number(value: str) -> float:
    """Convert an option to a number above 0."""
    number = _number(value)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"got {value}, expected a number above 0")
    return number


def possible_path(value: str) -> str:
    """Check an option that may name a file or folder: the system must be able to hold such a name."""
    try:
        os.lstat(value)
    except (OSError, ValueError) as error:  # a ValueError is a NUL
        if isinstance(error, ValueError) or error.errno == errno.ENAMETOOLONG:
            reason = "there is a NUL in it" if isinstance(error, ValueError) else "it is too long"
            shown = redacted(value)[:60]
            raise argparse.ArgumentTypeError(f"'{shown}…' cannot be a path: {reason}") from None
    return value


def local_path(value: str) -> str:
    """Check an option that names a file or folder of this machine, in UTF-8 as TensorFlow wants it."""
    if not value:
        raise argparse.ArgumentTypeError("expected the path of a file or folder, got nothing")
    if _ADDRESS.match(value):
        raise argparse.ArgumentTypeError(
            f"'{value}' is an address; expected the path of a file or folder here"
        )
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise argparse.ArgumentTypeError(f"'{value}' is not UTF-8; expected a path in UTF-8")
    return possible_path(value)


def data_set(value: str) -> str:
    """Check an option that names a data set, which may be a file or folder of this machine."""
    kind, _, path = value.partition(":")
    if kind in ("csv", "dir") and _ADDRESS.match(path):
        raise argparse.ArgumentTypeError(f"'{value}' is an address; expected {kind}:PATH, a path here")
    return possible_path(value)


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where to train."""
    parser.add_argument(
        "--device",
        type=choice("device", ("auto", "cpu", "gpu")),
        default="auto",
        metavar="X",
        help="auto (default), cpu or gpu",
    )


def add_margin_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that declares the smallest difference worth talking about."""
    parser.add_argument(
        "--margin",
        type=_points,
        default=0.005,
        metavar="POINTS",
        help="smallest difference worth talking about, in points of accuracy (default: 0.5)",
    )


def _points(value: str) -> float:
    """Convert points of accuracy to a share."""
    points = _number(value)
    if not 0 <= points < 100:
        raise argparse.ArgumentTypeError(f"got {value}, expected points of accuracy from 0 to below 100")
    return points / 100


def add_store_options(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where results are kept."""
    parser.add_argument(
        "--tracking-uri",
        type=possible_path,
        metavar="URI",
        help="MLflow store (default: MLFLOW_TRACKING_URI, otherwise sqlite:///mlruns/mlflow.db)",
    )


def add_data_dir_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where data is."""
    parser.add_argument(
        "--data-dir",
        type=local_path,
        metavar="DIR",
        help="folder with tensorflow_datasets/ and other data that need not be fetched "
        "(default: BENCHMARK_DATA_DIR)",
    )


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where data is and how it is read."""
    add_data_dir_option(parser)
    parser.add_argument(
        "--validation-share",
        type=positive_number,
        metavar="X",
        help="share of train that becomes validation, below 1 (default: 0.2; part of the data digest)",
    )
    parser.add_argument("--encoding", metavar="X", help="of text files, for example latin-1 (default: utf-8)")
    for what in ("text", "label"):
        parser.add_argument(
            f"--{what}-column",
            metavar="NAME",
            help=f"column that is the {what}, for csv:PATH and tfds:NAME (default: found by its name)",
        )
    parser.add_argument(
        "--quoting",
        type=choice("way to quote", ("minimal", "none")),
        metavar="X",
        help="of CSV and TSV: minimal, a field may stand in quotes; none, quotes are text "
        "(default: minimal, unless quotes seem to be text, which is an error)",
    )


def source_options(options: argparse.Namespace) -> SourceOptions:
    """Return what was said by the options of `add_data_options`."""
    from benchmark.data.source import SourceOptions

    return SourceOptions(
        data_dir=data_dir(options.data_dir),
        validation_share=options.validation_share,
        encoding=options.encoding,
        text_column=options.text_column,
        label_column=options.label_column,
        quoting=options.quoting,
    )


def data_dir(option: str | None) -> Path | None:
    """Return the data folder of the option or of ``BENCHMARK_DATA_DIR``, which must exist."""
    value = option or os.environ.get("BENCHMARK_DATA_DIR")
    if not value:
        return None
    where, path = "--data-dir" if option else "BENCHMARK_DATA_DIR", Path(value)
    try:
        local_path(value)
    except argparse.ArgumentTypeError as error:
        raise UserError(f"{where}: {error}") from None
    if not path.is_dir():
        raise UserError(f"{where} {path}: there is no such folder")
    os.environ["BENCHMARK_DATA_DIR"] = str(path)  # word vectors and modules are looked for there, too
    return path


def command(
    parser: Callable[[], Parser],
) -> Callable[[Callable[[argparse.Namespace], int]], Callable[..., int]]:
    """Make a command of a function from options to an exit code: a decorator.

    Parameters
    ----------
    parser : callable
        Returns the parser of the command's arguments; the options have these, too, as `arguments`.

    Returns
    -------
    callable
        What takes arguments, by default those of the process, and returns the exit code; see `run_command`.
    """

    def decorate(run: Run) -> Main:
        def parse_and_run(arguments: Sequence[str]) -> int:
            return run(parser().parse_args(arguments, argparse.Namespace(arguments=arguments)))

        @functools.wraps(run)
        def main(arguments: Sequence[str] | None = None) -> int:
            return run_command(parse_and_run, arguments)

        return main

    return decorate


def check_free(folder: Path) -> None:
    """Refuse to write into the folder of ``--output`` where there is something else."""
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError("the folder is not empty; name a new one", setting="output", value=folder)
    if folder.exists() and not folder.is_dir():
        raise UserError("this is a file; name a new folder", setting="output", value=folder)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a folder that becomes that of ``--output`` when all is written, and is gone otherwise.

    Raises
    ------
    UserError
        Where it cannot be made.
    """
    with ExitStack() as stack:
        with file_errors(target, setting="output"):
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
    except Exception as error:
        from benchmark.data.cache import storage_failure

        if "--debug" not in words and isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            name = str(error.filename)
            shown = name if len(name) <= 100 else name[:100] + "…"
            print(error_line(UserError(f"{shown}: {str(error.strerror).lower()}")), file=sys.stderr)
            return WRONG_REQUEST
        failure = storage_failure(error)
        if "--debug" in words or failure is None:
            raise
        # Not a wrong request: something was under way, and what it had recorded before stays.
        print(error_line(Unfinished(failure)), file=sys.stderr)
        return SOME_FAILED


def say(text: str, *, error: bool = False) -> None:
    """Print a text that may quote anything, line breaks as they are; with `error`, to standard error."""
    print(printable(redacted(text), keep="\n"), file=sys.stderr if error else sys.stdout, flush=True)


def error_line(error: Exception) -> str:
    """Return what a person reads of an error: one line, whatever names it quotes, without passwords."""
    return f"error: {printable(redacted(spelled(error)))}"


def spelled(error: object) -> str:
    """Return a message with the options of the settings that it names: ``--data-dir`` for `data_dir`."""
    return _SETTING.sub(lambda setting: "--" + setting[1].replace("_", "-"), str(error))


def check_embedded_store(uri: str) -> None:
    """Refuse to read from a SQLite store that is not there, rather than make an empty one."""
    from benchmark.support.databases import sqlite_path

    file = sqlite_path(uri)
    if file is not None and not os.path.isfile(file):  # noqa: PTH113 (a name too long for a file is none)
        raise UserError(
            f"there are no runs here ({file} does not exist); run a sweep first: "
            "python -m benchmark.sweep --model avg-pool"
        )


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
