"""List, describe and prepare data sets. Run as ``python -m benchmark.datasets``."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import cli
from benchmark.report.results import DataResult
from benchmark.support.errors import UserError, did_you_mean, file_errors, spelled
from benchmark.support.files import RunsFolder, written_whole
from benchmark.support.printable import redacted

if TYPE_CHECKING:
    from benchmark.data.dataset import Dataset
    from benchmark.data.source import SourceOptions

ACTIONS = ("list", "show", "prepare", "export")
SPLITS = ("train", "validation", "test")


@cli.command(
    "datasets",
    cli.option("action ACTION", "list, show, prepare or export", nargs="?", default="list"),
    cli.option("name D", "a name, dir:PATH, csv:PATH, hf:NAME or tfds:NAME", nargs="?"),
    cli.option("--split S", "with export: train, validation or test", cli.Choice("split", SPLITS)),
    cli.option("--output FILE", "with export: the CSV to write"),
    cli.JSON,
    *cli.DATA_OPTIONS,
)
def main(options: Namespace) -> int:
    """List the data sets, prepare one (read and tokenise it once), or show what is in one: sizes, class
    counts, lengths, repeated texts, and three examples of train. Showing is not a test read. Exporting writes
    a split as CSV: ids, texts and classes; of the test split ids and texts, which the ledger records.

    examples:
      python -m benchmark.datasets
      python -m benchmark.datasets show sample
      python -m benchmark.datasets show dir:path/to/20news --encoding latin-1
      python -m benchmark.datasets show csv:reviews.csv --text-column body --label-column stars
      python -m benchmark.datasets export imdb --split test --output texts.csv
    """
    result = run(options, partial(cli.say, error=True))
    record = result.records if options.action == "list" else result.records[0]
    cli.show(record, result.text, options.json)
    return cli.DONE


def run(options: Namespace, say: Callable[[str], None]) -> DataResult:
    """Carry out the action; `say` reports its progress."""
    from benchmark.data.data_profile import describe, to_text
    from benchmark.data.prepare import choose_dataset

    if options.action not in ACTIONS:
        raise UserError(f"there is no action '{options.action}'; {did_you_mean(options.action, ACTIONS)}")
    source_options = cli.source_options(options)
    if options.action == "list":
        return _list(source_options)
    if options.name is None:
        raise UserError(f"datasets {options.action}: name a data set, for example 'sample'")
    exporting = options.action == "export"
    for name in ("split", "output"):
        if exporting != (getattr(options, name) is not None):
            raise UserError("goes with export, which needs `split` and `output`", setting=name)
    if exporting:
        return _export(choose_dataset(options.name, source_options, say, progress=say), options)
    # Notices are among the facts.
    facts = describe(choose_dataset(options.name, source_options, lambda _: None, progress=say))
    return DataResult((facts,), to_text(facts))


def _export(dataset: Dataset, options: Namespace) -> DataResult:
    import csv

    import numpy as np

    from benchmark.data.ledger_chain import EXPORTED, read_test_texts, text_ids
    from benchmark.tracking.store import ensure_runs_folder

    target, beginning = Path(options.output), dataset.digest[:8]
    with file_errors(target, setting="output"), written_whole(target) as temporary:
        rows: Iterable[tuple[str, ...]]
        with temporary.open("w", encoding="utf-8", newline="") as file:
            if options.split == "test":
                ensure_runs_folder(cli.RUNS)
                places = np.arange(dataset.sizes["test"])
                texts = read_test_texts(dataset, places, RunsFolder(cli.RUNS).ledger, EXPORTED)
                header: tuple[str, ...] = ("id", "text")
                rows = zip(text_ids(dataset), texts, strict=True)
            else:
                view = dataset.view(options.split, None)
                classes = [dataset.class_names[label] for label in view.y]
                ids = [f"{beginning}-{options.split}-{number}" for number in range(len(classes))]
                header = ("id", "text", "label")
                rows = zip(ids, view.texts(), classes, strict=True)
            writer = csv.writer(file)
            writer.writerows([header, *rows])
    return DataResult(({"file": str(target)},), f"{target}: {dataset.sizes[options.split]:,} texts")


def _list(options: SourceOptions) -> DataResult:
    from benchmark.data.prepare import cached
    from benchmark.data.source import DATASETS, SourceOptions, get_source

    records = []
    for name in DATASETS:
        try:
            source = get_source(name, SourceOptions(options.data_dir))
            prepared, home = cached(source) is not None, redacted(source.home)
        except UserError as error:
            prepared, home = False, f"not usable: {spelled(error)}"
        records.append({"name": name, "prepared": prepared, "home": home})
    lines = [
        f"{record['name']:<16} {'prepared' if record['prepared'] else '-':<10} {record['home']}"
        for record in records
    ]
    lines.append(
        "also: dir:PATH (a folder per class), csv:PATH (also TSV, JSON Lines, Parquet), hf:NAME, tfds:NAME, "
        "sample:size=500,classes=4,imbalance=3,order=no (variations of sample)"
    )
    return DataResult(tuple(records), "\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
