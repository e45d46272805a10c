"""Which data set a command works on."""

from __future__ import annotations

from collections.abc import Callable

from benchmark.data.dataset import Dataset
from benchmark.data.description import notices, shared_texts
from benchmark.data.imdb import ImdbSource
from benchmark.data.prepare import cached, prepare
from benchmark.data.source import SourceOptions, get_source
from benchmark.support.errors import UserError


def choose_dataset(
    name: str | None,
    options: SourceOptions,
    notice: Callable[[str], None],
    line: Callable[[str], None] = lambda _: None,
) -> Dataset:
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
    line : callable
        Told why ``imdb`` is taken where no name was given, and which test texts are training texts, too.
    """
    if options.validation_share is not None and not options.validation_share < 1:
        raise UserError(f"got {options.validation_share}, expected less than 1", setting="validation_share")
    if name is None:
        dataset = _default(options, notice, line)
    else:
        dataset = prepare(get_source(name, options))
        if said := notices(dataset):
            notice("\n".join(said))
    if shared := shared_texts(dataset):
        line(f"{dataset.name}: {shared}")
    return dataset


def _default(options: SourceOptions, notice: Callable[[str], None], line: Callable[[str], None]) -> Dataset:
    """Return IMDB where it is at hand or can be fetched, otherwise the sample; say which, and why."""
    for option in ("encoding", "quoting", "text_column", "label_column"):
        if getattr(options, option) is not None:
            raise UserError("name the data set that it is about with `dataset`", setting=option)
    imdb = ImdbSource(options)
    found, reason = "", "no network"
    if cached(imdb) is not None:
        found = "prepared in the cache"
    elif (folder := imdb.prepared()) is not None:
        found = f"found in {folder}"
    elif imdb.reachable():
        try:
            prepare(imdb)
            found = "fetched"
        except UserError as error:  # something answers, as behind some proxies, but not the data
            reason = str(error)
    if found:
        line(f"imdb: {found} (another data set: `dataset`)")
        return prepare(imdb)
    ignored = "" if options.validation_share is None else " (`validation_share` has no effect on it)"
    notice(
        f"The IMDB reviews are neither on this machine nor can they be fetched ({reason}), so this takes "
        f"'sample', the built-in data set made by the program{ignored}. Its results say nothing about real "
        "reviews. To use the real ones, give a folder that has them with `data_dir`."
    )
    return prepare(get_source("sample", SourceOptions(options.data_dir)))
