"""Mistakes that a user can mend, work that could not be ended, and the search for what users meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator


class UserError(Exception):
    """A request that cannot be carried out; its message is one line that says how to mend it.

    Every command prints the message and exits with 2. It says what was wrong, where (option, or file
    and line), what was expected, and the nearest valid choice.
    """


class MissingResource(UserError):
    """Word vectors or a module that a model needs cannot be had; other models are not concerned."""


class Unfinished(Exception):
    """Work that was begun and could not be brought to its end; what was done is recorded.

    Every command prints the message, one line, and exits with 1.
    """


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, the one that it came from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


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
