"""What each form of tokens gives and costs: ``python perf/tokens.py accuracy|texts [NAME ... or N]``.

``accuracy`` (``zh``, ``sample`` and ``20news``): tokens of a training text, share of validation tokens that
are outside the vocabulary, test accuracy of avg-pool over three seeds with fixed settings (batches of 32,
vectors of 32 numbers, learning rate 0.005, 30 epochs at most, 256 tokens; 512 characters), and seconds of a
run. ``zh`` is ../shared/cases/zh.csv, ``20news`` archives/20news-bydate.tar.gz in BENCHMARK_DATA_DIR.

``texts``: seconds of the processor and peak memory to prepare N texts (1,000,000 without a number; half of
them English, half of them Chinese, made at random), to make the ids of each form, and to cut a view of 10,000
ids and 128 tokens. Each form is measured in a process of its own; what was prepared for words is shared.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmark.data.dataset import Dataset
from benchmark.data.prepare import prepare
from benchmark.data.source import Row, SourceOptions, get_source
from benchmark.data.text import OOV
from benchmark.data.tokens import FORMS
from benchmark.spec.config import RunSpec, TrainSettings, ViewSettings, seed_bundle

TEXTS, SEEDS = 1_000_000, 3
CASES = Path(__file__).resolve().parents[2] / "shared" / "cases"


def accuracy(names: list[str]) -> None:
    """Print a table of the forms on some data sets."""
    from benchmark.training.train import train

    print("| data set | tokens | tokens a text | unknown | test accuracy | seconds a run |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in names or ["zh", "sample", "20news"]:
        dataset = open_dataset(name)
        for form in FORMS:
            length = 512 if form == "characters" else 256
            view = ViewSettings(tokens=form, sequence_length=length, vocabulary_size=10_000)
            ends = np.load(dataset.tokenised(view).folder / "open" / "token_ends.npy")
            counts = np.diff(ends)[dataset.view("train", None).rows]
            unknown = dataset.view("validation", view).x
            results, started = [], time.perf_counter()
            for seed in range(SEEDS):
                spec = RunSpec(
                    model="avg-pool",
                    dataset=dataset.name,
                    dataset_digest=dataset.digest,
                    kind="final",
                    view=view,
                    training=TrainSettings(learning_rate=0.005, batch_size=32, epochs=30),
                    hparams={"embedding_dim": 32, "mask": True},
                    seeds=seed_bundle(0, "final", seed),
                )
                result = train(spec, dataset, ledger=Path("ledger.jsonl"))
                assert result.status == "ok", result.error
                results.append(100 * (result.test_accuracy or 0))
            seconds = (time.perf_counter() - started) / SEEDS
            print(
                f"| {name} | `{form}` | {counts.mean():.1f} "
                f"| {100 * (unknown == OOV).sum() / max((unknown > 0).sum(), 1):.1f} % "
                f"| {statistics.mean(results):.1f} ({min(results):.1f} to {max(results):.1f}) "
                f"| {seconds:.0f} |",
                flush=True,
            )


def open_dataset(name: str) -> Dataset:
    """Prepare one of the data sets."""
    if name == "zh":
        return prepare(get_source(f"csv:{CASES / 'zh.csv'}", SourceOptions()))
    if name == "sample":
        return prepare(get_source("sample", SourceOptions()))
    archive = Path(os.environ["BENCHMARK_DATA_DIR"]) / "archives" / "20news-bydate.tar.gz"
    with tarfile.open(archive) as content:
        content.extractall("20news", filter="data")
    for old, new in (("20news-bydate-train", "train"), ("20news-bydate-test", "test")):
        for folder in Path("20news").rglob(old):
            folder.rename(folder.with_name(new))
    place = next(Path("20news").rglob("train")).parent
    return prepare(get_source(f"dir:{place}", SourceOptions(encoding="latin-1")))


class Made:
    """N texts of random words: 8 to 30 English ones, or two to six clauses of Chinese characters."""

    name, class_names, validation_share, home = "made", ("a", "b"), 0.1, "made by perf/tokens.py"

    def __init__(self, count: int) -> None:
        self.count = count

    def key(self) -> str:
        """Return what tells it from other numbers of texts."""
        return f"made {self.count}"

    def rows(self) -> Iterator[Row]:
        """Yield the texts, each tenth one for the test split."""
        draw = np.random.default_rng(0)
        letters = np.array(list("etaoinshrdlu"))
        words = ["".join(draw.choice(letters, size)) for size in draw.integers(2, 10, 30_000)]
        clauses = ["".join(map(chr, 0x4E00 + draw.zipf(1.3, 8) % 4000)) for _ in range(50_000)]
        for number in range(self.count):
            if number % 2:
                text = " ".join(words[one % 30_000] for one in draw.zipf(1.2, 8 + number % 23)) + "."
            else:
                text = "，".join(clauses[one] for one in draw.integers(0, 50_000, 2 + number % 5)) + "。"
            yield Row("test" if number % 10 == 0 else "train", text, number // 2 % 2)


def texts(count: int) -> None:
    """Print a table of the time and memory of each form."""
    print(f"{count:,} texts\n\n| tokens | ids, s | view, s | peak memory, MB |\n| --- | --- | --- | --- |")
    for form in FORMS:
        subprocess.run([sys.executable, __file__, "one", form, str(count)], check=True)


def one(form: str, count: int) -> None:
    """Measure one form."""
    started = time.process_time()
    dataset = prepare(Made(count))
    if form != "words":
        started = time.process_time()
    view = ViewSettings(tokens=form, sequence_length=128)
    dataset.tokenised(view)
    made = time.process_time() - started
    started = time.process_time()
    dataset.view("train", view)
    cut = time.process_time() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"| `{form}` | {made:.0f} | {cut:.1f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    command, *rest = sys.argv[1:] or ["help"]
    if command == "one":
        one(rest[0], int(rest[1]))
    elif command in ("accuracy", "texts"):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["BENCHMARK_CACHE_DIR"] = folder
            os.chdir(folder)
            accuracy(rest) if command == "accuracy" else texts(int(rest[0]) if rest else TEXTS)
    else:
        sys.exit(__doc__)
