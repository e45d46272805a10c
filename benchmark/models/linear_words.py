"""Linear on words: single words and pairs, punctuation and emoji among them, weighted by TF-IDF.

Source: Joulin et al. 2016, "Bag of Tricks" (arXiv 1607.01759) and Wang and Manning 2012 compare with such a
model; term frequencies are sublinear, as scikit-learn's user guide advises for pairs.
"""

from __future__ import annotations

from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from benchmark.models.ngram_counts import NgramCounts
from benchmark.models.task import Task
from benchmark.spec.config import Tokens

INPUT = "texts"
DETERMINISTIC = True
CHOICES = {"tokens": ("words", "unicode_words", "characters", "subwords")}


def build(
    task: Task,
    *,
    tokens: Tokens = "unicode_words",
    ngrams: int = 2,
    min_count: int = 2,
    strength: float = 10.0,
) -> Pipeline:
    """Weigh n-grams of tokens by TF-IDF, then classify linearly.

    Parameters
    ----------
    task : Task
        Not needed.
    tokens : {"words", "unicode_words", "characters", "subwords"}
        What texts are cut into; by default no word is too short, and symbols are words, too.
    ngrams : int
        Longest n-gram, in tokens.
    min_count : int
        Texts an n-gram must occur in.
    strength : float
        Inverse of the penalty (scikit-learn's ``C``).

    Returns
    -------
    sklearn.pipeline.Pipeline
        Raw texts to probabilities.
    """
    counts = NgramCounts(tokens, ngrams, min_count)
    linear = LogisticRegression(C=strength, max_iter=1000)
    return Pipeline([("counts", counts), ("tfidf", TfidfTransformer(sublinear_tf=True)), ("linear", linear)])
