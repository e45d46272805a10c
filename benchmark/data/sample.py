"""The built-in data set `sample`: film reviews written by the program, whose best accuracy is known.

A review mixes two or three opinions, which all agree with its class, and some facts, which say nothing.
An opinion may be negated ("was hardly dull") or set against a concession ("although the plot was dull, the
cast was superb"): only the main clause counts, wherever it stands, so a model has to read the order of words.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate, chain, repeat
from typing import NamedTuple, TypeVar

import numpy as np

from benchmark.data.text import tokenize

SAMPLE_VERSION = 1
"""Part of the cache key; raised whenever `generate` would yield other rows."""

FLIP_RATE = 0.05
"""Share of the labels that are turned over, exactly, in each class of each part."""

CEILING = 1 - FLIP_RATE
"""The highest accuracy that can be expected of any model, and what the perfect reader gets exactly.

Which labels are turned over is drawn from a random stream that the texts do not share. So given its
text, each test review keeps its clean label with probability 0.95: a model that answers the clean label
everywhere is right on 1,900 of 2,000, and each other answer costs it 0.9 of a review on average.
"""

CLASS_NAMES = ("neg", "pos")
SIZES = {"train": 4000, "validation": 1000, "test": 2000}

# Tuned on real models, so that order is worth learning and can be learnt from 4,000 reviews: a bag of words
# stays near 0.77, an LSTM passes 0.90. Fewer concessions or negations and the bag of words catches up.
_OPINIONS = (2, 3, 3)
_CONTRAST_SHARE = 0.4
_NEGATED_SHARE = 0.12
_WORDS = (20, 16)  # a review is filled up with facts until it has 20 words, or up to 16 more
_MOST_SENTENCES = 5
_BREAK_SHARE = 0.2
_ZIPF_SHIFT = 2.0

# From frequent to rare; words in the same place are used equally often, each by its class.
POSITIVE = tuple(
    "great good superb funny wonderful brilliant moving clever charming gripping beautiful touching excellent "
    "fresh elegant witty memorable delightful warm fascinating splendid thrilling perfect inventive lovely "
    "impressive".split()
)
NEGATIVE = tuple(
    "bad dull boring weak awful terrible predictable clumsy tedious silly poor lifeless horrible stale shallow "
    "lame forgettable dreadful cold tiresome fake pathetic flawed wooden pointless bland".split()
)
PLAIN = (
    "{it} was {word}",
    "{it} was really {word}",
    "{it} felt {word}",
    "{it} seemed quite {word}",
    "{it} came across as {word}",
    "{it} turned out to be {word}",
)
NEGATED = (
    "{it} was not {word}",
    "{it} wasn't {word}",
    "{it} was never {word}",
    "{it} was hardly {word}",
    "{it} was far from {word}",
    "{it} didn't seem {word}",
)
# The main clause stands last in half of these and first in the others, so that place tells nothing.
CONTRASTS = (
    "{concession}, but {main}",
    "although {concession}, {main}",
    "{concession}, yet {main}",
    "{main}, although {concession}",
    "{main}, even though {concession}",
    "{main}, despite the fact that {concession}",
)
_OPENERS = (*repeat("", 4), "for me ", "I thought ", "in the end, ", "honestly, ", "to my mind ", "my wife said ")
_POOLS = {
    "aspect": "acting,script,story,ending,plot,cast,music,direction,photography,dialogue,pace,humour,first half,"
    "second half,soundtrack,opening,editing,finale,love story,lead performance,camera work,whole film",
    "craft": "acting,music,script,direction,singing,camera work,performance,voice",
    "person": "doctor,sister,soldier,teacher,brother,widow,detective,lawyer,priest,sailor,painter,thief,singer,"
    "gardener,general,nurse,poet,farmer,baker,miner,spy,butcher,tailor,cousin,judge,pilot,twin,clerk,barber,"
    "cook,banker,captain,dancer,fisherman,plumber,governess,shepherd,violinist,librarian,blacksmith",
    "thing": "house,train,letter,river,garden,bridge,school,ship,hotel,village,castle,forest,mirror,prison,farm,"
    "diary,horse,harbour,church,market,circus,mountain,clock,key,tower,kitchen,boat,cellar,bakery,lake,museum,"
    "lighthouse,telephone,fiddle,lantern,ferry,kite,piano,suitcase,bicycle,wedding,map,ring,painting,library,"
    "cottage,desert,carriage,bottle,necklace,canal,theatre,barn,coat,radio,photograph,tunnel,compass,statue,well",
    "look": "young,little,big,small,tall,red,white,black,blue,green,local,foreign,rich,grey,French,busy,distant,"
    "hidden,Spanish,broken,German,bearded,retired,wealthy,quiet,Danish,golden,northern,muddy,crooked",
    "nth": "first,second,third,fourth,last",
    "season": "summer,winter,spring,autumn,week,night",
    "title": "{name}|The {Thing}|{name} and the {Thing}|The {Thing} of {name}|A {Thing} in {name}|The {name} {Thing}",
}
_FACTS = (
    "I saw it with my {person} at a small cinema in {name} last {season}.",
    "The story follows {name} {name}, a {look} {person} from {name} who finds a {thing}.",
    "It was shot in {name} and {name} by the people behind {title}.",
    "{name} {name} plays the {person}, and {name} {name} is the {look} {person} next door.",
    "This is the {nth} film by {name} {name}, who also made {title}.",
    "We meet {name} on the way to the {thing}, with a {look} {thing} in one hand.",
    "{name}'s {thing} is lost near {name}, so the {person} has to go and look for it.",
    "The {person} of {name} leaves for {name} and takes the {look} {thing} with him.",
    "It runs for about two hours, and half of it takes place in a {look} {thing}.",
    "You may know {name} {name} from {title} or from {title}.",
    "My {person} had read the book by {name} {name} before we went to see it.",
    "There is a {thing}, there is a {person}, and there is {name} with her {look} {thing}.",
    "In the {nth} scene {name} tells {name} about the {thing}!",
    "They showed it at the festival of {name} together with {title}.",
    "Most of it is about {name} and what the {look} {person} did to the {thing}.",
    "When {name} comes back to {name}, the {thing} is gone and so is the {person}.",
    "{title} had the same {person} and it was made by {name} {name} too.",
    "It's set in {name}, where everybody seems to own a {thing}.",
)
_NAMES = 9000
_ONSETS = "b c d f g h j k l m n p r s t v w z br ch cl dr fr gr kr pl sh sk st th tr".split()
_VOWELS = "a a a e e e i i o o u ai ea ou".split()
_CODAS = (*repeat("", 4), *"n r l s m k t nd rt st ll ck".split())
_TEXTS, _FLIPS, _LEXICON = 0, 1, 99  # purposes of random streams

T = TypeVar("T")


class Review(NamedTuple):
    """One review: its part, the text, what the text says, and the label given, perhaps turned over."""

    part: str
    text: str
    clean: int
    label: int


class _Clause(NamedTuple):
    frame: str
    negated: bool
    rank: int  # place of its word in POSITIVE or NEGATIVE


class _Opinion(NamedTuple):
    frame: str
    main: _Clause
    concession: _Clause


class _Stream:
    """Random choices from PCG64's raw words: NumPy promises these for ever, but not `Generator`'s methods."""

    def __init__(self, seed: int, *key: int) -> None:
        bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key))
        self._words: Iterator[int] = chain.from_iterable(bits.random_raw(4096).tolist() for _ in repeat(None))

    def uniform(self) -> float:
        return float((next(self._words) >> 11) * 2.0**-53)

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(self.uniform() * len(choices))]

    def rank(self, size: int) -> int:
        """Return a place in [0, size) by Zipf's law, with Mandelbrot's shift."""
        cumulative = _zipf(size)
        return bisect(cumulative, self.uniform() * cumulative[-1])

    def shuffled(self, items: Sequence[T]) -> list[T]:
        order = sorted((self.uniform(), place) for place in range(len(items)))
        return [items[place] for _, place in order]


class _Slots(dict[str, str]):
    """Fills each slot of a fact anew, also where its name comes twice."""

    def __init__(self, stream: _Stream) -> None:
        super().__init__()
        self._stream = stream

    def __missing__(self, slot: str) -> str:
        pool = _pool(slot.lower())
        word = pool[self._stream.rank(len(pool))]
        if slot == "title":
            return word.format_map(self)
        return word.capitalize() if slot == "Thing" else word


@cache
def _zipf(size: int) -> list[float]:
    return list(accumulate(1.0 / (rank + _ZIPF_SHIFT) for rank in range(1, size + 1)))


@cache
def _pool(slot: str) -> tuple[str, ...]:
    if slot == "name":
        return _names()
    return tuple(_POOLS[slot].split("|" if slot == "title" else ","))


def _names() -> tuple[str, ...]:
    """Return made-up names of people, places and films: the long tail of the vocabulary."""
    stream = _Stream(0, _LEXICON)
    names: dict[str, None] = {}
    while len(names) < _NAMES:
        syllables = stream.pick((2, 2, 3))
        stem = "".join(stream.pick(_ONSETS) + stream.pick(_VOWELS) for _ in range(syllables))
        names[(stem + stream.pick(_CODAS)).capitalize()] = None
    return tuple(names)


def _clause(stream: _Stream) -> _Clause:
    negated = stream.uniform() < _NEGATED_SHARE
    return _Clause(stream.pick(NEGATED if negated else PLAIN), negated, stream.rank(len(POSITIVE)))


def _opinion(stream: _Stream) -> _Opinion:
    contrast = stream.uniform() < _CONTRAST_SHARE
    return _Opinion(stream.pick(CONTRASTS) if contrast else "{main}", _clause(stream), _clause(stream))


def _say(clause: _Clause, label: int, stream: _Stream) -> str:
    words = POSITIVE if label != clause.negated else NEGATIVE
    it = "{name}'s {craft}" if stream.uniform() < 0.25 else "the {aspect}"
    return clause.frame.format(it=it.format_map(_Slots(stream)), word=words[clause.rank])


def _sentence(opinion: _Opinion, label: int, stream: _Stream) -> str:
    main = stream.pick(_OPENERS) + _say(opinion.main, label, stream)
    sentence = opinion.frame.format(main=main, concession=_say(opinion.concession, 1 - label, stream))
    return sentence[0].upper() + sentence[1:] + stream.pick("....!")


def _text(plan: Sequence[_Opinion], label: int, stream: _Stream) -> str:
    sentences = [_sentence(opinion, label, stream) for opinion in plan]
    wanted = _WORDS[0] + _WORDS[1] * stream.uniform()
    while len(sentences) < _MOST_SENTENCES and len(" ".join(sentences).split()) < wanted:
        sentences.append(stream.pick(_FACTS).format_map(_Slots(stream)))
    first, *others = stream.shuffled(sentences)
    return first + "".join(
        ("<br /><br />" if stream.uniform() < _BREAK_SHARE else " ") + sentence for sentence in others
    )


def reviews(seed: int = 0) -> Iterator[Review]:
    """Yield the reviews with the label that their text says and the label given to models.

    The two classes of a part are written from the same plans: the same frames, negations and contrasts,
    with words of the same rank. So cue words such as "but" or "not" are exactly as frequent in both.

    Parameters
    ----------
    seed : int
        Seed of all random streams, not negative; the data set `sample` is seed 0.

    Yields
    ------
    Review
        4,000 of train, 1,000 of validation, 2,000 of test, each part in random order. No two have the
        same tokens.
    """
    seen: set[bytes] = set()
    for number, (part, size) in enumerate(SIZES.items()):
        texts, flips = _Stream(seed, number, _TEXTS), _Stream(seed, number, _FLIPS)
        plans = [[_opinion(texts) for _ in range(texts.pick(_OPINIONS))] for _ in range(size // 2)]
        turned = round(FLIP_RATE * len(plans))
        rows = []
        for clean in (0, 1):
            flipped = flips.shuffled([1] * turned + [0] * (len(plans) - turned))
            for plan, flip in zip(plans, flipped, strict=True):
                text = _unseen(plan, clean, texts, seen)
                rows.append(Review(part, text, clean, clean ^ flip))
        yield from texts.shuffled(rows)


def _unseen(plan: Sequence[_Opinion], label: int, stream: _Stream, seen: set[bytes]) -> str:
    while True:
        text = _text(plan, label, stream)
        key = b" ".join(tokenize(text))
        if key not in seen:
            seen.add(key)
            return text


def generate(seed: int = 0) -> Iterator[tuple[str, str, int]]:
    """Yield the data set row by row.

    Parameters
    ----------
    seed : int
        Seed of all random streams, not negative; the data set `sample` is seed 0.

    Yields
    ------
    part : str
        ``"train"``, ``"validation"`` or ``"test"``, in this order.
    text : str
        A review in plain text with HTML breaks, 2 to 5 sentences.
    label : int
        Place in `CLASS_NAMES`, after turning over.
    """
    return ((review.part, review.text, review.label) for review in reviews(seed))
