"""Subwords learned from texts: byte-pair encoding, by tokenizers, which is imported here alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from benchmark.data.tokens import pieces
from benchmark.support.errors import UserError

INSTALL = "pip install 'textbench[subwords]'"

_LEAST = 2  # times a pair must stand beside each other


def need_tokenizers() -> None:
    """Raise `UserError` with the install command where the library is missing."""
    try:
        import tokenizers  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"tokens subwords: they are learned with the library tokenizers, which is missing here; {INSTALL}"
        ) from error


def learn(texts: Iterable[str], size: int) -> tuple[str, ...]:
    """Learn byte-pair encoding (Sennrich et al. 2016, arXiv 1508.07909).

    Parameters
    ----------
    texts : iterable of str
        Raw training texts.
    size : int
        Ids of the vocabulary, PAD and OOV included. At most half of them are single characters, the most
        frequent ones; others are never merged.

    Returns
    -------
    tuple of str
        Pairs to be merged, ``"left right"``, in the order learned; see `benchmark.data.tokens.split`.

    Raises
    ------
    UserError
        When the library is missing.
    """
    need_tokenizers()
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    counts = Counter(piece for text in texts for piece in pieces(text))
    letters: Counter[str] = Counter()
    for piece, count in counts.items():
        for letter in piece:
            letters[letter] += count
    alphabet = sorted(letters, key=lambda letter: (-letters[letter], letter))[: max(1, size // 2)]
    rare = {ord(letter): " " for letter in letters.keys() - {*alphabet}}
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    trainer = trainers.BpeTrainer(
        vocab_size=max(size - 2, len(alphabet)),
        min_frequency=_LEAST,
        initial_alphabet=alphabet,
        special_tokens=[],
        show_progress=False,
    )
    tokenizer.train_from_iterator(_lines(counts, rare), trainer)
    return tuple(" ".join(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"])


def _lines(counts: Counter[str], rare: dict[int, str]) -> Iterable[str]:
    """Return the pieces as often as they were counted, cut at rare characters, some thousand at a time."""
    for piece, count in counts.items():
        whole, left = divmod(count, 1000)
        for times in (*[1000] * whole, left):
            yield " ".join([piece.translate(rare)] * times)
