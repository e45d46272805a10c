"""Which labels mean the same class, however they are spelled, and in which order classes come."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from decimal import Decimal

from benchmark.data.files import FirstFew

_NUMBER = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,3})?")
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
