"""Which files of a folder are opened meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_watched: dict[str, list[str]] = {}


@contextmanager
def opened(folder: Path) -> Iterator[list[str]]:
    """Note which files below a folder this process opens until the block ends; their paths are yielded."""
    if not _hook:
        _hook.append(_note)
        sys.addaudithook(_note)  # there is no way to take one away
    read = _watched.setdefault(str(folder.resolve()), [])
    try:
        yield read
    finally:
        del _watched[str(folder.resolve())]


_hook: list[Callable[[str, tuple[Any, ...]], None]] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not _watched or not isinstance(arguments[0], str | bytes | os.PathLike):
        return
    path = os.path.realpath(os.fsdecode(arguments[0]))
    for folder, read in _watched.items():
        if path.startswith(folder + os.sep):
            read.append(path)
