"""Which columns of a table are the text, the label and the part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from benchmark.support.errors import UserError, did_you_mean

_TEXT = ("text", "review", "sentence", "content", "body", "comment", "message", "document", "post", "tweet")
_LABEL = ("label", "labels", "class", "category", "target", "sentiment", "tag", "topic", "rating", "stars")
_PART = ("split", "part")
_SHOWN = 20
_LONGEST = 30


class Columns(NamedTuple):
    """Names of columns; `part` is None where there is none."""

    text: str
    label: str
    part: str | None


def find_columns(
    spelling: str, columns: Sequence[str], text: str | None, label: str | None, origin: str = "there"
) -> Columns:
    """Choose the columns: those that were named, otherwise those whose names say what they are.

    Parameters
    ----------
    spelling : str
        The data set, for messages.
    columns : sequence of str
        What there is.
    text, label : str or None
        ``--text-column`` and ``--label-column``.
    origin : str
        Where the names stand, for messages.

    Raises
    ------
    UserError
        When a named one is not there (with the nearest), or none stands out.
    """
    for option, name in (("--text-column", text), ("--label-column", label)):
        if name is not None and name not in columns:
            raise UserError(f"{option}: {spelling} has no column '{name}'; {did_you_mean(name, columns)}")
    left = [name for name in columns if name not in (text, label)]
    part = _first(left, _PART)
    left = [name for name in left if name != part]
    label = label or _first(left, _LABEL)
    left = [name for name in left if name != label]
    text = text or _first(left, _TEXT)
    if text is None and label is not None and len(left) == 1:
        text = left[0]
    left = [name for name in left if name != text]
    if label is None and text is not None and len(left) == 1:
        label = left[0]
    if text is None or label is None:
        what, option = ("text", "--text-column") if text is None else ("label", "--label-column")
        raise UserError(
            f"{spelling}: no column is clearly the {what}; name it with {option}; the columns {origin}: "
            f"{_listed(columns)}"
        )
    if text == label:
        raise UserError(f"{spelling}: text and label cannot both be the column '{text}'")
    return Columns(text, label, part)


def _first(columns: Sequence[str], wanted: Sequence[str]) -> str | None:
    by_name = {name.lower(): name for name in reversed(columns)}
    return next((by_name[name] for name in wanted if name in by_name), None)


def _listed(columns: Sequence[str]) -> str:
    shown = [f"'{name if len(name) <= _LONGEST else name[:_LONGEST] + '…'}'" for name in columns[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(columns) > _SHOWN else "")
