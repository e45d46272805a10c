"""Counts of n-grams are scikit-learn's of the same tokens."""

import random

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from benchmark.data.tokens import split
from benchmark.models.ngram_counts import NgramCounts

WORDS = ["the", "a", "?", "!", "é", "好", "x1", "İ", "👍🏽", "movie", "was"]
DRAWN = random.Random(0)
TEXTS = [" ".join(DRAWN.choices(WORDS, k=DRAWN.randint(0, 12))) for _ in range(120)]
OTHERS = [*TEXTS[:20], "", "zzz the a", "the zzz a", "a zzz movie"]


def joined(texts, tokens):
    return [" ".join(split(text, tokens)) for text in texts]


@pytest.mark.parametrize("tokens", ["words", "unicode_words", "characters"])
@pytest.mark.parametrize("longest", [1, 2, 4])
@pytest.mark.parametrize(("min_count", "binary"), [(1, True), (3, False)])
def test_they_are_those_of_scikit_learn(tokens, longest, min_count, binary):
    ours = NgramCounts(tokens, longest, min_count, binary=binary)
    theirs = CountVectorizer(
        ngram_range=(1, longest), min_df=min_count, binary=binary, token_pattern="[^ ]+", lowercase=False
    )
    learned, expected = ours.fit_transform(TEXTS), theirs.fit_transform(joined(TEXTS, tokens))
    assert set(ours.vocabulary_) == set(theirs.vocabulary_)
    columns = [theirs.vocabulary_[gram] for gram in ours.vocabulary_]
    assert (learned != expected[:, columns]).nnz == 0
    assert (learned.dtype, learned.has_sorted_indices) == (np.float32, True)
    other = ours.transform(OTHERS)
    assert (other != theirs.transform(joined(OTHERS, tokens))[:, columns]).nnz == 0
    assert (other != ours.plain().transform(joined(OTHERS, tokens))).nnz == 0


def test_the_most_frequent_are_kept():
    every = NgramCounts("words", 3)
    counts = np.sort(every.fit_transform(TEXTS).sum(axis=0).A1)[::-1]
    few = NgramCounts("words", 3, most=30)
    assert np.array_equal(np.sort(few.fit_transform(TEXTS).sum(axis=0).A1)[::-1], counts[:30])
    assert (few.transform(OTHERS) != few.plain().transform(joined(OTHERS, "words"))).nnz == 0


def test_subwords_are_learned_on_what_it_is_fitted_to():
    pytest.importorskip("tokenizers")
    ours = NgramCounts("subwords").fit(["lowering lowered", "slower lowest"])
    assert {"low" in gram for gram in ours.vocabulary_} == {True, False}
    assert ours.merges_


def test_texts_without_tokens():
    ours = NgramCounts().fit(["", "a b"])
    assert ours.transform(["", "c"]).nnz == 0
    assert NgramCounts(min_count=5).fit_transform(["a b", ""]).shape == (2, 0)
    assert NgramCounts().fit_transform([""]).shape == (1, 0)
