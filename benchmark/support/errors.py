"""Mistakes that a user can fix, work that could not be finished, and the search for what users meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from benchmark.support.printable import redacted

_NODE = re.compile("{{.*?}}")  # where in its graph TensorFlow met an error
_SETTING = re.compile("`([a-z]+(?:_[a-z]+)*)`")


class _OneLine(Exception):
    """An exception whose message is all that a notebook shows of it."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class UserError(_OneLine):
    """A request that cannot be carried out; its message is one line that says how to fix it.

    Every command prints the message and exits with 2. It says what was wrong, where (setting, or file
    and line), what was expected, and the nearest valid choice.

    Parameters
    ----------
    message : str
        Names settings in backticks, as in "name a folder by `data_dir`"; a command prints their options.
    setting : str
        Which setting the error is about, if it is about one; the message then starts with it.
    value : object
        What the setting is, where that helps.
    """

    def __init__(self, message: object, *, setting: str = "", value: object = None) -> None:
        shown = "" if value is None else f" {value}"
        super().__init__(f"`{setting}`{shown}: {message}" if setting else message)


class MissingResource(UserError):
    """A data set, or what a model needs, is unavailable here; others of a sweep are not concerned."""


class Unfinished(_OneLine):
    """Work that was started and could not be finished; what was done is recorded.

    Every command prints the message, one line, and exits with 1.
    """


def spelled(message: object) -> str:
    """Return a message with the options of the settings that it names: ``--data-dir`` for `data_dir`."""
    return _SETTING.sub(lambda setting: "--" + setting[1].replace("_", "-"), str(message))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, the one that it came from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def one_line(error: BaseException, *, named: bool = False, longest: int = 200) -> str:
    """Return what an error says as one line, without passwords.

    Parameters
    ----------
    error : BaseException
        Of any kind; of one that the system gave, its words without number and file.
    named : bool
        Whether the name of its type comes first.
    longest : int
        How many characters are kept.
    """
    said = getattr(error, "strerror", None) if isinstance(error, OSError) else None
    text = said.lower() if said else redacted(" ".join(_NODE.sub("", str(error)).split()))[:longest]
    name = type(error).__name__
    return f"{name}: {text}" if named and text else text or name


@contextmanager
def file_errors(about: object, *, setting: str = "") -> Iterator[None]:
    """Let what the system says of a file or folder be a mistake of the user.

    Parameters
    ----------
    about : object
        The file or folder, or the value of the setting that names it.
    setting : str
        The setting, if there is one.

    Raises
    ------
    UserError
        In the place of an `OSError` of the block.
    """
    try:
        yield
    except OSError as error:
        if setting:
            raise UserError(one_line(error), setting=setting, value=about) from error
        raise UserError(f"{about}: {one_line(error)}") from error


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return a hint that names the nearest valid choice, or lists them all.

    Parameters
    ----------
    name : str
        What was asked for.
    choices : iterable of str
        What there is.

    Returns
    -------
    str
        ``"did you mean 'lstm'?"`` where something is close, otherwise ``"choose from a, b, c"``.
    """
    known = sorted(set(choices))
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"choose from {', '.join(known)}" if known else "there are none"
