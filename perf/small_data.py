"""What scaling the budget `quick` to small data is worth: ``python perf/small_data.py FOLDER [MODEL ...]``.

Draws, by class, 500, 2,000 and 5,000 training texts (``--sizes``; a fifth becomes the validation split) and
5,000 test texts from IMDB and 20 Newsgroups (``--data imdb news``) of BENCHMARK_DATA_DIR. Each model is
searched twice: as before, from the published default alone, and from it and the default that is scaled to
the data. The published default and both winners are trained on the same three final seeds. Prints Markdown:
mean test accuracies in percent, beside the share of the most frequent class; trials that fitted into the two
minutes, and their seconds. A model for which nothing is scaled has the first search alone. ``--trials`` and
``--seeds`` ask for less than `quick`, without its time limit; with ``--trials 2 --searches after`` the tuned
row is the better of the two defaults on the validation split. All is kept in FOLDER: the same command goes on
where it was stopped.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from searches import BUDGET, Finals, searched
from sweeps import planned

from benchmark.data.source import SourceOptions, get_source

MODELS = ("tfidf-logreg", "nbsvm", "avg-pool", "flatten", "fasttext", "transformer", "cnn", "lstm")
SEARCHES = ("before", "after")
TESTS = 5_000
Texts = list[tuple[str, str]]


def imdb(data_dir: Path) -> tuple[Texts, Texts]:
    """Return training and test texts with their classes."""
    source = get_source("imdb", SourceOptions(data_dir))
    rows = [(row.split == "test", (row.text, source.class_names[row.label])) for row in source.rows()]
    train, test = ([text for is_test, text in rows if is_test == wanted] for wanted in (False, True))
    return train, test


def news(data_dir: Path) -> tuple[Texts, Texts]:
    """Return training and test texts with their classes, headers included."""
    train, test = [], []
    with tarfile.open(data_dir / "archives" / "20news-bydate.tar.gz") as archive:
        for member in sorted((one for one in archive if one.isfile()), key=lambda one: one.name):
            split, label, _ = Path(member.name).parts[-3:]
            file = archive.extractfile(member)
            assert file is not None
            (test if "test" in split else train).append((file.read().decode("latin-1"), label))
    return train, test


DATA = {"imdb": imdb, "news": news}


def write(name: str, sizes: Sequence[int], folder: Path, data_dir: Path) -> None:
    """Write CSV files with the training texts of each size, of which the smaller are part of the larger."""
    if all((folder / f"{name}-{size}.csv").exists() for size in sizes):
        return
    train, test = DATA[name](data_dir)
    generator = np.random.default_rng(0)
    tests = [(*test[place], "test") for place in sorted(generator.permutation(len(test))[:TESTS])]
    order, labels = generator.permutation(len(train)), np.array([label for _, label in train])
    for size in sizes:
        chosen: list[int] = []
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
            chosen += order[labels[order] == label][: round(size * count / len(train))].tolist()
        with (folder / f"{name}-{size}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("text", "label", "split"))
            writer.writerows([*((*train[place], "train") for place in sorted(chosen)), *tests])


def measure(file: Path, model: str, options: argparse.Namespace) -> str:
    """Carry out the searches of a model on a file; return a row of the table."""
    kept: Path = options.folder / file.stem / model
    kept.mkdir(parents=True, exist_ok=True)
    finals, found = Finals(kept), dict.fromkeys(SEARCHES, "- | -")
    for name in SEARCHES:
        plan = planned(
            model,
            f"csv:{file}",
            trials=options.trials or BUDGET.trials,
            seeds=options.seeds,
            epochs=BUDGET.epochs,
            timeout=None if options.trials else BUDGET.seconds,
            random_start=BUDGET.random_start,
            confirm=BUDGET.confirm,
            pruner="median",
            small_data=BUDGET.small_data if name == "after" else None,
        )
        if name in options.searches and (name == "before" or plan.is_scaled):
            search = searched(plan, kept / name)
            winner = search.winner()
            assert winner is not None
            mean = finals.mean(search.plan, winner.hparams)
            found[name] = f"{mean:.1f} | {len(search.table())} in {search.seconds:.0f} s"
    default, counts = finals.mean(plan, plan.default), plan.dataset.class_counts["test"]
    texts, majority = plan.dataset.sizes["train"], 100 * max(counts) / sum(counts)
    row = (file.stem, f"{texts:,}", model, f"{majority:.1f}", f"{default:.1f}", *found.values())
    return f"| {' | '.join(row)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", nargs="*", default=MODELS)
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 2_000, 5_000])
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--trials", type=int)
    parser.add_argument("--seeds", type=int, default=BUDGET.seeds)
    parser.add_argument("--searches", nargs="+", choices=SEARCHES, default=SEARCHES)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}\n")
    columns = ["data", "training texts", "architecture", "majority", "default"]
    columns += [heading for name in SEARCHES for heading in (f"tuned, {name}", "trials")]
    print("|", " | ".join(columns), f"|\n|{len(columns) * ' --- |'}", flush=True)
    for name in options.data:
        write(name, options.sizes, options.folder, Path(os.environ["BENCHMARK_DATA_DIR"]))
        for size in options.sizes:
            for model in options.model:
                print(measure(options.folder / f"{name}-{size}.csv", model, options), flush=True)


if __name__ == "__main__":
    main()
