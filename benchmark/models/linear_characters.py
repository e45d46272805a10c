"""Linear on characters: runs of up to four characters, weighted by TF-IDF; no language is foreign to it.

Source: Cavnar and Trenkle 1994, "N-Gram-Based Text Categorization": n-grams of characters need no words. The
classifier is that of `linear-words`.
"""

from __future__ import annotations

from sklearn.pipeline import Pipeline

from benchmark.models import linear_words
from benchmark.models.task import Task

INPUT = "texts"
DETERMINISTIC = True


def build(task: Task, *, ngrams: int = 4, min_count: int = 2, strength: float = 10.0) -> Pipeline:
    """Weigh n-grams of characters by TF-IDF, then classify linearly.

    Parameters
    ----------
    task : Task
        Not needed.
    ngrams : int
        Longest n-gram, in characters; white space is one.
    min_count : int
        Texts an n-gram must occur in.
    strength : float
        Inverse of the penalty (scikit-learn's ``C``).

    Returns
    -------
    sklearn.pipeline.Pipeline
        Raw texts to probabilities.
    """
    return linear_words.build(
        task, tokens="characters", ngrams=ngrams, min_count=min_count, strength=strength
    )
