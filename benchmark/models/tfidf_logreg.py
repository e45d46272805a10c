"""TF-IDF and logistic regression: word n-grams, weighted, and a linear classifier.

Source: scikit-learn's user guide, "Text feature extraction"; words and pairs of words with sublinear
term frequency, and the library's defaults otherwise.
"""

from __future__ import annotations

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from benchmark.models.task import Task

INPUT = "texts"


def build(
    task: Task,
    *,
    ngrams: int = 2,
    min_count: int = 2,
    sublinear: bool = True,
    strength: float = 1.0,
) -> Pipeline:
    """Weigh n-grams by TF-IDF, then classify linearly.

    Parameters
    ----------
    task : Task
        Not needed.
    ngrams : int
        Longest n-gram, in words.
    min_count : int
        Texts an n-gram must occur in.
    sublinear : bool
        Replace a count c by 1 + log c.
    strength : float
        Inverse of the penalty (scikit-learn's ``C``).

    Returns
    -------
    sklearn.pipeline.Pipeline
        Raw texts to probabilities.
    """
    features = TfidfVectorizer(ngram_range=(1, ngrams), min_df=min_count, sublinear_tf=sublinear)
    return Pipeline([("tfidf", features), ("logistic", LogisticRegression(C=strength, max_iter=1000))])
