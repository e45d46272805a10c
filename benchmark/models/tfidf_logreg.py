"""TF-IDF and logistic regression: word n-grams, weighted, and a linear classifier.

Source: scikit-learn's user guide, "Text feature extraction"; words and pairs of words with sublinear
term frequency, and the library's defaults otherwise.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from benchmark.models.ngram_counts import NgramCounts
from benchmark.models.task import Task
from benchmark.spec.config import Tokens

INPUT = "texts"
DETERMINISTIC = True
CHOICES = {
    "analyzer": ("words", "characters"),
    "token_pattern": ("long-words", "all"),
    "tokens": ("pattern", "words", "unicode_words", "characters", "subwords"),
}

PATTERNS = {"long-words": r"(?u)\b\w\w+\b", "all": r"\w+|[^\w\s]"}
"""Token patterns by name: the library's, words of two letters or more; every word and symbol."""


def build(
    task: Task,
    *,
    ngrams: int = 2,
    min_count: int = 2,
    sublinear: bool = True,
    strength: float = 1.0,
    analyzer: Literal["words", "characters"] = "words",
    character_ngrams: int = 4,
    token_pattern: str = "long-words",
    tokens: Tokens | Literal["pattern"] = "pattern",
) -> Pipeline:
    """Weigh n-grams by TF-IDF, then classify linearly.

    Parameters
    ----------
    task : Task
        Not needed.
    ngrams : int
        Longest n-gram of words.
    min_count : int
        Texts an n-gram must occur in.
    sublinear : bool
        Replace a count c by 1 + log c.
    strength : float
        Inverse of the penalty (scikit-learn's ``C``).
    analyzer : {"words", "characters"}
        What n-grams are made of.
    character_ngrams : int
        Longest n-gram of characters.
    token_pattern : {"long-words", "all"}
        Which words there are, see `PATTERNS`.
    tokens : {"pattern", "words", "unicode_words", "characters", "subwords"}
        What texts are cut into; unless it is ``pattern``, it takes the place of the token pattern.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Raw texts to probabilities.
    """
    counts: CountVectorizer | NgramCounts
    if analyzer == "characters":
        counts = NgramCounts("characters", character_ngrams, min_count)
    elif tokens != "pattern":
        counts = NgramCounts(tokens, ngrams, min_count)
    else:
        pattern = PATTERNS[token_pattern]
        counts = CountVectorizer(
            ngram_range=(1, ngrams), min_df=min_count, token_pattern=pattern, dtype=np.float64
        )
    linear = LogisticRegression(C=strength, max_iter=1000)
    weights = TfidfTransformer(sublinear_tf=sublinear)
    return Pipeline([("counts", counts), ("tfidf", weights), ("logistic", linear)])
