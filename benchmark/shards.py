"""Shards: the part of a sweep that one of several folders does, without a server between them."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from dataclasses import dataclass

from benchmark.errors import UserError

SAMPLERS = ("random", "qmc", "grid")
"""Samplers whose proposals depend on the slot alone, and not on how earlier trials ended."""


@dataclass(frozen=True)
class Shard:
    """Every `of`-th trial and final run.

    Attributes
    ----------
    number, of : int
        Which shard, counted from 1, and how many there are.

    Examples
    --------
    >>> [slot for slot in range(10) if slot in Shard(2, 4)]
    [1, 5, 9]
    """

    number: int = 1
    of: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def __contains__(self, place: int) -> bool:
        return place % self.of == self.number - 1

    def count(self, total: int) -> int:
        """Return how many of the places 0 to `total` - 1 are this shard's."""
        return len(range(self.number - 1, total, self.of))

    @property
    def is_whole(self) -> bool:
        """Whether there is nothing but this shard."""
        return self.of == 1


WHOLE = Shard()


def shard(text: str) -> Shard:
    """Convert an option such as ``3/8``."""
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if found is None:
        raise ArgumentTypeError(f"'{text}' is not a shard; expected NUMBER/OF, as 3/8")
    number, of = int(found[1]), int(found[2])
    if of == 0:
        raise ArgumentTypeError(f"{text}: there is no sweep in 0 shards; expected NUMBER/OF, as 3/8")
    if not 1 <= number <= of:
        raise ArgumentTypeError(f"{text}: there is no such shard; expected 1/{of} to {of}/{of}")
    return Shard(number, of)


def check_stores(part: Shard, storage: str | None, tracking_uri: str | None) -> None:
    """Refuse a shard that would write to a server.

    Raises
    ------
    UserError
        Where another store than the folder's own is named.
    """
    if part.is_whole or not (storage or tracking_uri):
        return
    named = "--storage" if storage else "--tracking-uri or MLFLOW_TRACKING_URI"
    raise UserError(
        f"--shard {part}: a shard is kept in mlruns of its own folder; leave out {named}, or share one sweep "
        "with --join instead of --shard"
    )


def check_search(part: Shard, sampler: str, pruner: str) -> None:
    """Refuse a search that is to be done and whose trials depend on those of other shards.

    Raises
    ------
    UserError
        Which names what can be sharded.
    """
    learns = [f"--sampler {sampler}"] if sampler not in SAMPLERS else []
    learns += [f"--pruner {pruner}"] if pruner != "none" else []
    if learns and not part.is_whole:
        verb = "look" if len(learns) > 1 else "looks"
        raise UserError(
            f"--shard {part}: {' and '.join(learns)} {verb} at other trials, which are in other folders; "
            "expected --sampler random, qmc or grid and --pruner none (any, once the search is complete)"
        )
