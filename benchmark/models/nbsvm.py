"""NB-SVM: presence of word n-grams, scaled by naive Bayes log-count ratios, and a linear classifier.

Source: Wang and Manning 2012, "Baselines and bigrams"; with trigrams and logistic regression as in Mesnil
et al. 2014 (arXiv 1412.5335), who report 91.87 % on IMDB trained on all 25,000 reviews.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline

from benchmark.models.ngram_counts import NgramCounts
from benchmark.models.task import Task
from benchmark.spec.config import Tokens

INPUT = "texts"
CHOICES = {"tokens": ("pattern", "words", "unicode_words", "characters", "subwords")}


class LogCountRatio(TransformerMixin, BaseEstimator):
    """Scale each feature by the log ratio of its frequencies inside and outside the positive class.

    Parameters
    ----------
    smoothing : float
        Added to each count.
    """

    def __init__(self, smoothing: float = 1.0) -> None:
        self.smoothing = smoothing

    def fit(self, x: sparse.csr_matrix, y: np.ndarray) -> LogCountRatio:
        """Learn the ratios from presences, sparse [n, features], and labels 0 or 1, [n]."""
        inside = self.smoothing + np.asarray(x[y == 1].sum(axis=0)).ravel()
        outside = self.smoothing + np.asarray(x[y == 0].sum(axis=0)).ravel()
        self.ratio_ = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
        return self

    def transform(self, x: sparse.csr_matrix) -> Any:
        """Return the scaled features."""
        return sparse.csr_matrix(x.multiply(self.ratio_))

    def plain(self) -> TfidfTransformer:
        """Return scikit-learn's step that does the same, which can be stored without this class."""
        step = TfidfTransformer(norm=None)
        if hasattr(self, "ratio_"):
            step.idf_ = self.ratio_
        return step


def build(
    task: Task,
    *,
    ngrams: int = 3,
    features: int = 800_000,
    smoothing: float = 1.0,
    strength: float = 1.0,
    tokens: Tokens | Literal["pattern"] = "pattern",
) -> Pipeline:
    """Count n-grams of words and punctuation, scale them, then classify linearly.

    Parameters
    ----------
    task : Task
        Two classes are one classifier; more are one against the rest.
    ngrams : int
        Longest n-gram, in tokens.
    features : int
        Most n-grams, the most frequent first.
    smoothing : float
        Added to each count of the ratios.
    strength : float
        Inverse of the penalty (scikit-learn's ``C``).
    tokens : {"pattern", "words", "unicode_words", "characters", "subwords"}
        What texts are cut into; ``pattern`` is words of letters and single symbols.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Raw texts to probabilities.
    """
    counts: CountVectorizer | NgramCounts
    if tokens == "pattern":
        pattern = r"\w+|[^\w\s]"
        counts = CountVectorizer(
            ngram_range=(1, ngrams), max_features=features, binary=True, token_pattern=pattern
        )
    else:
        counts = NgramCounts(tokens, ngrams, most=features, binary=True)
    # The dual problem is the smaller one: there are far more n-grams than texts.
    linear = LogisticRegression(C=strength, solver="liblinear", dual=True, max_iter=1000)
    scaled = Pipeline([("ratio", LogCountRatio(smoothing)), ("logistic", linear)])
    return Pipeline([("counts", counts), ("classes", OneVsRestClassifier(scaled))])
