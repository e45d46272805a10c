"""Which labels mean the same class, however they are spelled, and in which order classes come."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from decimal import Decimal
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from benchmark.data.files import FirstFew
from benchmark.support.errors import UserError

_NUMBER = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,3})?")
_FEW_FRACTIONS, _FEW_WHOLE = 10, 20  # values that are classes, as stars are
_JOINERS = "\u200c\u200d"
_CODE = re.compile(r"[+-]?0[0-9]")  # 01234, which is not 1234


def unify(
    labels: Iterable[str], who: str, values: bool = True
) -> tuple[tuple[str, ...], dict[str, int], list[str]]:
    """Find the classes of labels: one for one number, one for one word.

    Parameters
    ----------
    labels : iterable of str
        Different labels, as they are spelled.
    who : str
        The data set, for the notices.
    values : bool
        Whether ``1`` and ``1.0``, ``true`` and ``True`` are the same, and numbers are in their order;
        otherwise only what a screen shows alike is (forms of Unicode, spaces around a word).

    Returns
    -------
    tuple of str
        Names of the classes in order. A class has the name of its shortest spelling, so that one of one
        spelling keeps it.
    dict
        Number of the class by label.
    list of str
        Notices of what was taken for one class, and of what is similar and was not.

    Examples
    --------
    >>> unify(["0.0", "01", "0", "1"], "csv:x")[:2]
    (('0', '01', '1'), {'0.0': 0, '0': 0, '01': 1, '1': 2})
    """
    groups = _grouped(labels, lambda label: _value(label, values))
    names = [min(group, key=lambda label: (len(label), label)) for group in groups]
    merged, similar = FirstFew(), FirstFew()
    for group in groups:
        if len(group) > 1:
            merged.add(" = ".join(map(ascii, sorted(group))))
    for group in _grouped(names, _alike):
        if len(group) > 1:
            similar.add(" and ".join(map(repr, sorted(group))))
    notices = [f"{who}: labels that are one class, spelled differently: {merged}"] if merged.count else []
    if similar.count:
        notices.append(f"{who}: labels that are similar, and different classes: {similar}")
    order = _in_order(names) if values else sorted(names)
    place = {name: number for number, name in enumerate(order)}
    numbers = {label: place[name] for name, group in zip(names, groups, strict=True) for label in group}
    return tuple(order), numbers, notices


def number(label: str) -> Decimal | None:
    """Return the number that a label is, exactly, or None."""
    return Decimal(label) if _NUMBER.fullmatch(label) else None


def rating(names: Sequence[str]) -> str:
    """Say that classes look like a rating; nothing of a few, of words, or of whole numbers without gaps.

    Examples
    --------
    >>> rating([f"{n / 10}" for n in range(47)]), rating([str(n) for n in range(150)])
    ('looks like a rating: 47 values from 0.0 to 4.6', '')
    """
    numbers = [value for name in names if (value := number(name)) is not None]
    if len(numbers) < len(names) or len(numbers) <= _FEW_FRACTIONS:
        return ""
    low, high = min(numbers), max(numbers)
    if all(value == value.to_integral_value() for value in numbers) and (
        len(numbers) <= _FEW_WHOLE or high - low < Decimal("1.5") * len(numbers)
    ):
        return ""
    return f"looks like a rating: {len(numbers):,} values from {low} to {high}"


def without_small(
    names: tuple[str, ...], labels: NDArray[np.int32], least: int
) -> tuple[tuple[str, ...], NDArray[np.int32], str]:
    """Leave out the classes of few texts.

    Parameters
    ----------
    names : tuple of str
        Names of the classes 0, 1, …
    labels : ndarray of int32, shape [n]
        Class of each text, -1 for one that is left out.
    least : int
        How many texts a class must have.

    Returns
    -------
    tuple of str
        Names of the classes that stay.
    ndarray of int32, shape [n]
        Their numbers, -1 for the texts of others.
    str
        What was left out, or nothing.

    Raises
    ------
    UserError
        Where fewer than two stay.
    """
    counts = np.bincount(labels[labels >= 0], minlength=len(names))
    stays, few = counts >= least, FirstFew()
    if stays.sum() < 2:
        raise UserError(
            f"{stays.sum()} of {len(names):,} classes have {least:,} texts or more; expected two or more "
            f"(the second largest has {np.sort(counts)[-2]:,})",
            setting="min_per_class",
            value=least,
        )
    for name in compress(names, ~stays):
        few.add(f"'{name}'")
    renumbered = np.append(np.where(stays, np.cumsum(stays) - 1, -1), -1).astype(np.int32)
    what = "class" if few.count == 1 else "classes"
    said = (
        f"{few.count:,} {what} of fewer than {least:,} texts left out ({few}: {counts[~stays].sum():,} texts)"
    )
    return tuple(compress(names, stays)), renumbered[labels], said if few.count else ""


def _in_order(names: list[str]) -> list[str]:
    """Return names of classes by number where all are numbers, otherwise by name."""
    numbers = {name: value for name in names if (value := number(name)) is not None}
    if len(numbers) < len(names):
        return sorted(names)
    return sorted(names, key=lambda name: (numbers[name], name))


def _alike(name: str) -> Hashable:
    plain = unicodedata.normalize("NFKC", _visible(name, joiners="")).strip()
    value = number(plain)
    return plain.casefold() if value is None else value


def _visible(label: str, joiners: str = _JOINERS) -> str:
    """Return a label without characters that no screen shows, but for those that join others."""
    return "".join(char for char in label if char in joiners or unicodedata.category(char) != "Cf")


def _value(label: str, values: bool) -> Hashable:
    if values and label.lower() in ("true", "false"):
        return label.lower()
    if values and not _CODE.match(label) and (value := number(label)) is not None:
        return value
    return unicodedata.normalize("NFC", _visible(label)).strip()


def _grouped(labels: Iterable[str], key: Callable[[str], Hashable]) -> list[list[str]]:
    groups: defaultdict[Hashable, list[str]] = defaultdict(list)
    for label in labels:
        groups[key(label)].append(label)
    return list(groups.values())
