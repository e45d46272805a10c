"""Which data set a command works on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from benchmark.data.dataset import Dataset
from benchmark.data.imdb import ImdbSource
from benchmark.data.prepare import cached, prepare
from benchmark.data.show import notices
from benchmark.data.source import SourceOptions, get_source
from benchmark.errors import UserError


def choose_dataset(name: str | None, options: SourceOptions, notice: Callable[[str], None]) -> Dataset:
    """Return the prepared data set that was asked for.

    Parameters
    ----------
    name : str or None
        A name, ``dir:PATH``, ``csv:PATH`` or ``tfds:NAME``, which never falls back. None means ``imdb``
        where it is prepared or can be fetched, otherwise ``sample``.
    options : SourceOptions
        Data folder, validation share, encoding and columns.
    notice : callable
        Told when ``sample`` is taken instead, and why, and what was left out of files or drawn from them.
    """
    if options.validation_share is not None and not options.validation_share < 1:
        raise UserError(f"--validation-share: got {options.validation_share}, expected less than 1")
    if name is not None:
        dataset = prepare(get_source(name, options))
        said = notices(dataset)
        if said:
            notice("\n".join(said))
        return dataset
    for option in ("encoding", "quoting", "text_column", "label_column"):
        if getattr(options, option) is not None:
            dashed = "--" + option.replace("_", "-")
            raise UserError(f"{dashed}: name the data set that it is about with --dataset")
    imdb = ImdbSource(options)
    if cached(imdb) is not None or imdb.prepared() is not None:
        return prepare(imdb)
    if imdb.reachable():
        with contextlib.suppress(UserError):  # something answers, as behind some proxies, but not the data
            return prepare(imdb)
    ignored = "" if options.validation_share is None else " (--validation-share has no effect on it)"
    notice(
        "The IMDB reviews are neither on this machine nor can they be fetched (no network), so this takes "
        f"'sample', the built-in data set made by the program{ignored}. Its results say nothing about real "
        "reviews. To use the real ones, give a folder that has them with --data-dir."
    )
    return prepare(get_source("sample", SourceOptions(options.data_dir)))
