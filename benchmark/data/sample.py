"""The built-in data set `sample`: film reviews written by the program, whose best accuracy is known.

A review mixes two or three opinions, which all agree with its class, and facts, which say nothing. An
opinion may be negated ("was hardly dull") or set against a concession ("although the plot was dull, the cast
was superb"): only the main clause counts, wherever it stands, so a model has to read the order of words.

Variations of it, such as ``sample:size=500,classes=4``, are data sets of their own (`Variation`).
"""

from __future__ import annotations

import hashlib
from bisect import bisect
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate, chain, pairwise, repeat
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from benchmark.data.source import VALIDATION_SHARE, Row, SourceOptions, experiment_name
from benchmark.data.text import tokenize
from benchmark.spec.config import Frozen
from benchmark.support.errors import UserError
from benchmark.support.yaml_file import first_problem, read_yaml

T = TypeVar("T")
_Words: TypeAlias = Sequence[Sequence[str]]  # of each class, from frequent to rare

SAMPLE_VERSION = 1
"""Part of the cache key; raised whenever `reviews` would yield others, as with other words in its file."""

FLIP_RATE = 0.05
"""Share of the labels that are flipped, exactly, in each class of each split."""

CEILING = 1 - FLIP_RATE
"""The highest accuracy that can be expected of any model, and exactly that of the perfect reader.

Which labels are flipped is drawn from a random stream that the texts do not share. So, given its
text, each test review keeps its clean label with probability 0.95: a model that answers the clean label
everywhere is right on 1,900 of 2,000, and each other answer costs it 0.9 of a review on average.
"""

CLASS_NAMES = ("neg", "pos")
SIZES = {"train": 4000, "validation": 1000, "test": 2000}

# Tuned on real models, so that order is worth learning and 4,000 reviews teach it: a bag of words stays near
# 0.76, an LSTM passes 0.90. With fewer contrasts and negations the bag of words catches up.
_OPINIONS = (2, 3, 3, 3)
_CONTRAST_SHARE = 0.42
_NEGATED_SHARE = 0.12
_NAMED_SHARE = 0.25
_BREAK_SHARE = 0.2
_LEAST_WORDS = (20, 36)  # facts are added until a review has as many words as was drawn between these
_ZIPF_SHIFT = 2.0

_NAMES = 9000
_WORDS: dict[str, Any] = read_yaml(Path(__file__).with_name("sample_words.yaml")).data
POSITIVE, NEGATIVE = _WORDS["positive"], _WORDS["negative"]
"""From frequent to rare; words in the same place are used equally often, each by its class."""

_TEXT_STREAM, _FLIP_STREAM, _NAME_STREAM = 0, 1, 2


class Variation(Frozen):
    """What another sample is like; as it is by default, `sample` is.

    Its texts are drawn by a seed that follows from how it is spelled, so variations have none in common.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)
    size: int | None = Field(default=None, ge=100, le=100_000)
    """Training texts; a fourth as many are for validation, and always 2,000 for the test."""
    classes: int = Field(default=2, ge=2, le=10)
    """Classes, each with opinions in words of its own; negated, they speak for the class before."""
    imbalance: float = Field(default=1.0, ge=1, le=50)
    """How many times more texts the most frequent class has than the rarest."""
    order: bool = True
    """Whether there are negations and concessions, so that the order of words matters."""
    seed: int = Field(default=0, ge=0)
    """A different one gives other texts."""

    @property
    def sizes(self) -> dict[str, int]:
        """Texts of each split."""
        return SIZES if self.size is None else {**SIZES, "train": self.size, "validation": self.size // 4}

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes."""
        numbered = tuple(f"class{number}" for number in range(self.classes))
        return CLASS_NAMES if self.classes == len(CLASS_NAMES) else numbered

    @property
    def opinions(self) -> list[list[str]]:
        """Words of each class, from frequent to rare."""
        if self.classes == len(CLASS_NAMES):
            return [NEGATIVE, POSITIVE]
        words = [word for pair in zip(NEGATIVE, POSITIVE, strict=True) for word in pair]
        each = len(words) // self.classes
        return [words[number :: self.classes][:each] for number in range(self.classes)]

    def counts(self, size: int) -> list[int]:
        """Return how many of so many texts each class has, the most frequent first."""
        last = self.classes - 1
        ends = list(accumulate(self.imbalance ** -(number / last) for number in range(self.classes)))
        edges = [0, *(round(size * end / ends[-1]) for end in ends)]
        return [edge - before for before, edge in pairwise(edges)]


AS_PUBLISHED = Variation()


class Review(NamedTuple):
    """One review: its split, its text, the class of its text, and its label, perhaps flipped."""

    split: str
    text: str
    clean: int
    label: int


class _Clause(NamedTuple):
    """What a clause says of its subject; `rank` is the place of its word among those of a class."""

    verb: str
    negated: bool
    rank: int


class _Opinion(NamedTuple):
    frame: str
    main: _Clause
    concession: _Clause


class _Stream:
    """Choices made from PCG64's raw words, which NumPy keeps for ever, unlike those of `Generator`."""

    def __init__(self, seed: int, *key: int) -> None:
        bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key))
        self._words: Iterator[int] = chain.from_iterable(bits.random_raw(4096).tolist() for _ in repeat(None))

    def uniform(self) -> float:
        return float((next(self._words) >> 11) * 2.0**-53)

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(self.uniform() * len(choices))]

    def rank(self, size: int) -> int:
        """Return a place in [0, size) by the law of Zipf and Mandelbrot."""
        cumulative = _zipf(size)
        return bisect(cumulative, self.uniform() * cumulative[-1])

    def shuffled(self, items: Sequence[T]) -> list[T]:
        order = sorted((self.uniform(), place) for place in range(len(items)))
        return [items[place] for _, place in order]


@cache
def _zipf(size: int) -> list[float]:
    return list(accumulate(1.0 / (rank + _ZIPF_SHIFT) for rank in range(1, size + 1)))


@cache
def _names() -> tuple[str, ...]:
    """Return made-up names of people, places and films: the long tail of the vocabulary."""
    stream = _Stream(0, _NAME_STREAM)
    names: dict[str, None] = {}
    while len(names) < _NAMES:
        syllables = stream.pick((2, 2, 3))
        parts = [stream.pick(_WORDS[kind]) for _ in range(syllables) for kind in ("onsets", "vowels")]
        names["".join([*parts, stream.pick(_WORDS["codas"])]).capitalize()] = None
    return tuple(names)


class _Slots(dict[str, str]):
    """Fills each slot of a template again, also where the same one comes twice."""

    def __init__(self, stream: _Stream) -> None:
        super().__init__()
        self._stream = stream

    def __missing__(self, slot: str) -> str:
        pool = _names() if slot == "name" else _WORDS["pools"][slot.lower()]
        word = pool[self._stream.rank(len(pool))]
        if slot == "title":
            return word.format_map(self)
        return word.capitalize() if slot == "Thing" else word


def _clause(stream: _Stream, words: int, order: bool) -> _Clause:
    negated = stream.uniform() < _NEGATED_SHARE * order
    verb = stream.pick(_WORDS["negated" if negated else "plain"])
    return _Clause(verb, negated, stream.rank(words))


def _opinion(stream: _Stream, words: int, order: bool) -> _Opinion:
    frame = stream.pick(_WORDS["contrasts"]) if stream.uniform() < _CONTRAST_SHARE * order else "{main}"
    return _Opinion(frame, _clause(stream, words, order), _clause(stream, words, order))


def _say(clause: _Clause, label: int, aspect: str, stream: _Stream, words: _Words) -> str:
    named = stream.uniform() < _NAMED_SHARE
    subject = "{name}'s {craft}".format_map(_Slots(stream)) if named else f"the {aspect}"
    word = words[(label + clause.negated) % len(words)][clause.rank]
    return f"{subject} {clause.verb} {word}"


def _sentence(opinion: _Opinion, label: int, aspects: Iterator[str], stream: _Stream, words: _Words) -> str:
    main = stream.pick(_WORDS["openers"]) + _say(opinion.main, label, next(aspects), stream, words)
    other = (label + 1 + opinion.concession.rank % (len(words) - 1)) % len(words)
    concession = _say(opinion.concession, other, next(aspects), stream, words)
    sentence = opinion.frame.format(main=main, concession=concession)
    return sentence[0].upper() + sentence[1:] + stream.pick("....!")


def _text(plan: Sequence[_Opinion], label: int, stream: _Stream, words: _Words) -> str:
    # None twice, so that a review never contradicts itself.
    aspects = iter(stream.shuffled(_WORDS["aspects"]))
    sentences = [_sentence(opinion, label, aspects, stream, words) for opinion in plan]
    least, most = _LEAST_WORDS
    wanted = least + (most - least) * stream.uniform()
    while len(" ".join(sentences).split()) < wanted:
        sentences.append(stream.pick(_WORDS["facts"]).format_map(_Slots(stream)))
    text, *others = stream.shuffled(sentences)
    for sentence in others:
        text += ("<br /><br />" if stream.uniform() < _BREAK_SHARE else " ") + sentence
    return text


def _unseen_text(
    plan: Sequence[_Opinion], label: int, stream: _Stream, words: _Words, seen: set[tuple[bytes, ...]]
) -> str:
    while True:
        text = _text(plan, label, stream, words)
        tokens = tuple(tokenize(text))
        if tokens not in seen:
            seen.add(tokens)
            return text


def reviews(seed: int = 0, variation: Variation = AS_PUBLISHED) -> Iterator[Review]:
    """Yield the reviews, each with the class of its text and the label that models are given.

    The classes of a split are written from the same plans: the same frames, verbs and negations, with
    words of the same rank. So "but", "not" and their like are exactly as frequent in all that have as many.

    Parameters
    ----------
    seed : int
        Seed of all random streams, 0 or more; the data set `sample` is seed 0.
    variation : Variation
        What they are like; its own seed is not used.

    Yields
    ------
    Review
        The splits one after the other, each with as many as `Variation.sizes` says, in random order. No two
        reviews have the same tokens.
    """
    seen: set[tuple[bytes, ...]] = set()
    words, order = variation.opinions, variation.order
    for number, (split, size) in enumerate(variation.sizes.items()):
        texts, flips = _Stream(seed, number, _TEXT_STREAM), _Stream(seed, number, _FLIP_STREAM)
        counts = variation.counts(size)
        plans = [
            [_opinion(texts, len(words[0]), order) for _ in range(texts.pick(_OPINIONS))]
            for _ in range(max(counts))
        ]
        turned = round(FLIP_RATE * min(counts))  # in each class, so that as many as leave one enter it
        rows = []
        for clean, count in enumerate(counts):
            flipped = flips.shuffled([1] * turned + [0] * (count - turned))
            for plan, flip in zip(plans, flipped, strict=False):
                text = _unseen_text(plan, clean, texts, words, seen)
                rows.append(Review(split, text, clean, (clean + flip) % len(words)))
        yield from texts.shuffled(rows)


class SampleSource:
    """Generated reviews whose highest attainable accuracy is known exactly."""

    name = "sample"
    class_names: tuple[str, ...] = CLASS_NAMES
    validation_share = 0.0
    home = "made by the program (benchmark/data/sample.py)"

    def __init__(self, options: SourceOptions) -> None:
        if options.validation_share not in (None, VALIDATION_SHARE):
            raise UserError(
                f"'{self.name}' has a validation split, a fifth of train", setting="validation_share"
            )

    def key(self) -> str:
        """Return the generator's version; its seed is fixed."""
        return f"{self.name} v{SAMPLE_VERSION}"

    def at_hand(self) -> bool:
        """Return True: the program makes it."""
        return True

    def rows(self) -> Iterator[Row]:
        """Yield the generated reviews."""
        return (Row(review.split, review.text, review.label) for review in reviews())


class VariationSource(SampleSource):
    """Generated reviews that differ from those of `sample` as their settings say.

    Parameters
    ----------
    argument : str
        Settings of a `Variation`: ``size=500,classes=4``.
    options : SourceOptions
        None of them has a meaning.
    """

    def __init__(self, argument: str, options: SourceOptions) -> None:
        spelling = f"sample:{argument}"
        self.name = experiment_name(spelling)
        super().__init__(options)
        pairs = [setting.strip().partition("=") for setting in argument.split(",")]
        if wrong := next((name for name, equals, _ in pairs if not equals), None):
            raise UserError(
                f"{spelling}: '{wrong}' has no value; expected for example sample:size=500,classes=4"
            )
        settings = {name.strip(): value.strip() for name, _, value in pairs}
        if len(settings) < len(pairs):
            raise UserError(f"{spelling}: a setting is given twice")
        try:
            self.variation = Variation.model_validate(settings)
        except ValidationError as error:
            raise UserError(f"{spelling}: {first_problem(error, TypeAdapter(Variation))[0]}") from None
        self.class_names = self.variation.class_names

    def rows(self) -> Iterator[Row]:
        """Yield the generated reviews."""
        seed = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:8], "big")
        found = reviews(seed, self.variation)
        return (Row(review.split, review.text, review.label) for review in found)
