"""Does cross-validation tell the truth? ``python perf/folds.py --repetitions 200 --output FILE``.

Prints Markdown. In each repetition 1,000 IMDB reviews are divided into 10 folds, as ``--folds 10`` divides
them, and nbsvm is measured on each fold: as published, and of words alone (``--set ngrams=1``). The truth is
measured beside it: the same models trained on 1,000 fresh reviews, on 25,000 others; its mean over
repetitions is the expected accuracy. All 50,000 reviews are mixed, so that both are of one kind. Models of
a fold are trained on its 900 other texts (``refit=true``), or on the 720 that are not its validation split.

The models are the pipeline, from n-grams that are counted once; the first repetition holds them against the
pipeline itself. What is in ``--output`` is not measured again.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from benchmark import cli
from benchmark.data.folds import draw_folds
from benchmark.data.source import SPLIT_SEED, SourceOptions, draw_stratified, get_source
from benchmark.models.nbsvm import LogCountRatio, build
from benchmark.models.task import Task
from benchmark.stats.folds import FoldMeans, fold_differences
from benchmark.stats.intervals import inflation, mean_interval

TEXTS, FOLDS, MEASURED = 1_000, 10, 25_000
NGRAMS = (3, 1)
Rows = NDArray[np.int64]


class Reviews:
    """All reviews, mixed, and their n-grams as the pipeline counts them."""

    def __init__(self, seed: int) -> None:
        rows = list(get_source("imdb", SourceOptions(cli.data_dir(None))).rows())
        order = np.random.default_rng(seed).permutation(len(rows))
        self.texts = [rows[place].text for place in order]
        self.labels = np.array([rows[place].label for place in order], dtype=np.int32)
        self.pool = len(rows) - MEASURED
        self.measured: Rows = np.arange(self.pool, len(rows))
        self.counted, self.weights = {}, {}
        for ngrams in NGRAMS:
            count = CountVectorizer(
                ngram_range=(1, ngrams), binary=True, token_pattern=r"\w+|[^\w\s]", dtype=np.int8
            )
            self.counted[ngrams] = count.fit_transform(self.texts).tocsr()
            self.weights[ngrams] = np.zeros(self.counted[ngrams].shape[1])

    def right(self, ngrams: int, train: Rows, test: Rows) -> NDArray[np.bool_]:
        """Return which test texts nbsvm gets right, trained on some texts."""
        chosen, labels, weights = self.counted[ngrams][train], self.labels[train], self.weights[ngrams]
        columns, place = np.unique(chosen.indices, return_inverse=True)  # fewer than the most it takes
        shape = (len(train), len(columns))
        x = sparse.csr_matrix((chosen.data.astype(np.float64), place, chosen.indptr), shape)
        ratio = LogCountRatio().fit(x, labels)
        linear = LogisticRegression(solver="liblinear", dual=True, max_iter=1000, random_state=0)
        linear.fit(ratio.transform(x), labels)
        weights[columns] = linear.coef_[0] * ratio.ratio_
        answers = self.counted[ngrams][test] @ weights + linear.intercept_ > 0
        weights[columns] = 0
        return np.asarray(answers == self.labels[test])

    def check(self, train: Rows, test: Rows) -> None:
        """Hold the answers against those of the pipeline itself."""
        for ngrams in NGRAMS:
            pipeline = build(Task(("neg", "pos"), 0, 0), ngrams=ngrams)
            pipeline.fit([self.texts[row] for row in train], self.labels[train])
            right = pipeline.predict([self.texts[row] for row in test]) == self.labels[test]
            different = int((right != self.right(ngrams, train, test)).sum())
            print(f"{ngrams}: {different} of {len(test)} answers differ from the pipeline's", file=sys.stderr)
            if different > 1:
                raise SystemExit("these are not the answers of the pipeline")


def repetition(reviews: Reviews, number: int, seed: int) -> dict[str, Any]:
    """Measure one repetition: the accuracy of each model on each fold, and in truth."""
    drawn = np.random.default_rng([seed, number]).permutation(reviews.pool)[: 2 * TEXTS]
    rows, fresh = np.sort(drawn[:TEXTS]), np.sort(drawn[TEXTS:])
    fold = draw_folds(reviews.labels[rows], np.arange(TEXTS), FOLDS)
    if number == 0:
        reviews.check(rows[fold != 0], rows[fold == 0])
    found: dict[str, Any] = {}
    for ngrams in NGRAMS:
        found[f"{ngrams} truth"] = float(reviews.right(ngrams, fresh, reviews.measured).mean())
        for name in ("refit", "train"):
            found[f"{ngrams} {name}"] = values = []
            for one in range(FOLDS):
                train = rows[fold != one]
                if name == "train":
                    train = train[~draw_stratified(reviews.labels[train], 0.2, SPLIT_SEED)]
                values.append(float(reviews.right(ngrams, train, rows[fold == one]).mean()))
    return found


def table(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Write bias, and how often intervals cover the expected accuracy or difference."""
    heads = (
        "what",
        "trained on",
        "expected",
        "mean of folds",
        "bias",
        "sd",
        "covered",
        "width",
        "plain covers",
    )
    yield f"| {' | '.join(heads)} |"
    yield "| :--- " + "| ---: " * (len(heads) - 1) + "|"
    for name, texts in (("refit", "900"), ("train", "720")):
        for ngrams, what in zip(NGRAMS, ("nbsvm", "nbsvm, words"), strict=True):
            truth = [one[f"{ngrams} truth"] for one in found]
            rows = [one[f"{ngrams} {name}"] for one in found]
            ends = {}
            for folds in (True, False):
                spans = [mean_interval(row, low=0, high=1, folds=folds) for row in rows]
                ends[folds] = [(span.low, span.high) for span in spans if span]
            yield line(what, texts, truth, [statistics.fmean(row) for row in rows], ends)
        truth = [one[f"{NGRAMS[0]} truth"] - one[f"{NGRAMS[1]} truth"] for one in found]
        means, ends = [], {True: [], False: []}
        for one in found:
            both = [FoldMeans(np.array(one[f"{ngrams} {name}"]), TEXTS) for ngrams in NGRAMS]
            pair = fold_differences(both, [0], [1])
            means.append(float(pair.mean[0]))
            for folds in (True, False):
                shrink = math.sqrt(inflation(FOLDS, folds) / inflation(FOLDS, folds=True))
                half = float(pair.half_width(0.05)[0]) * shrink
                ends[folds].append((means[-1] - half, means[-1] + half))
        yield line("difference", texts, truth, means, ends)


def line(
    what: str,
    texts: str,
    truth: Sequence[float],
    means: Sequence[float],
    ends: dict[bool, list[tuple[float, float]]],
) -> str:
    """Write a line of the table, in points."""
    expected, n = statistics.fmean(truth), len(means)
    error = math.sqrt((statistics.variance(means) + statistics.variance(truth)) / n)
    cover = {
        folds: statistics.fmean(low <= expected <= high for low, high in spans)
        for folds, spans in ends.items()
    }
    bias = f"{100 * (statistics.fmean(means) - expected):+.2f} ± {100 * error:.2f}"
    width = statistics.fmean(high - low for low, high in ends[True])
    cells = [what, texts, f"{100 * expected:.2f}", f"{100 * statistics.fmean(means):.2f}", bias]
    cells += [f"{100 * statistics.stdev(means):.2f}", f"{100 * cover[True]:.1f} %", f"{100 * width:.1f}"]
    return f"| {' | '.join([*cells, f'{100 * cover[False]:.1f} %'])} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--output", type=Path, metavar="FILE", help="results as JSON lines; goes on with it")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    found: list[dict[str, Any]] = []
    if args.output and args.output.exists():
        found = [json.loads(text) for text in args.output.read_text().splitlines()]
    started = time.process_time()
    reviews = Reviews(args.seed) if len(found) < args.repetitions else None
    print(f"{time.process_time() - started:.0f} s to count", file=sys.stderr)
    while reviews and len(found) < args.repetitions:
        found.append(repetition(reviews, len(found), args.seed))
        if args.output:
            with args.output.open("a") as file:
                file.write(json.dumps(found[-1]) + "\n")
    seconds = time.process_time() - started
    print(f"`python {' '.join(sys.argv)}`: Python {platform.python_version()}, scikit-learn", end=" ")
    print(
        f"{sklearn.__version__}; {len(found[: args.repetitions])} repetitions, {seconds:.0f} s on one core.\n"
    )
    print("\n".join(table(found[: args.repetitions])))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
