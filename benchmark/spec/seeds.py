"""Seed bundles: the named random streams of one repetition, the same for every model."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

Branch = Literal["search", "final", "sampler"]

_BRANCHES: dict[str, int] = {"search": 0, "final": 1, "sampler": 2}


class SeedBundle(BaseModel):
    """The seeds of one repetition; each stream is independent of the others.

    Attributes
    ----------
    branch : {"search", "final", "sampler"}
        Search and final runs draw from different branches, so a winner cannot win by its seed.
    index : int
        Number of the repetition in its branch, from 0.
    init, shuffle, dropout, fewshot, split : int
        Seeds in [0, 2**31) for weight initialisation, order of examples, dropout masks, the drawing
        of few training examples, and splits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    branch: Branch
    index: int
    init: int
    shuffle: int
    dropout: int
    fewshot: int
    split: int


def seed_bundle(base: int, branch: Branch, index: int) -> SeedBundle:
    """Derive the seed bundle of one repetition.

    Parameters
    ----------
    base : int
        The user's ``--seed``; 0 is a seed like any other.
    branch : {"search", "final", "sampler"}
        Which branch of the seed tree.
    index : int
        Number of the repetition, from 0.

    Returns
    -------
    SeedBundle
        The same for the same arguments on every machine (`numpy.random.SeedSequence` is stable
        across versions by NumPy's compatibility policy).
    """
    sequence = np.random.SeedSequence(entropy=base, spawn_key=(_BRANCHES[branch], index))
    words = sequence.generate_state(5) >> 1
    init, shuffle, dropout, fewshot, split = (int(word) for word in words)
    return SeedBundle(
        branch=branch, index=index, init=init, shuffle=shuffle, dropout=dropout, fewshot=fewshot, split=split
    )
