"""Results that travel to a different folder or server. Run as ``python -m benchmark.results``."""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import cli
from benchmark.support.errors import UserError, did_you_mean, file_errors
from benchmark.support.files import RunsFolder

if TYPE_CHECKING:
    from benchmark.results_file.importer import Imported

ACTIONS = ("export", "import")


@cli.command(
    "results",
    cli.option("action ACTION", "export or import"),
    cli.option(
        "files FILE",
        "for import: results files (.zip, or a shipped one by its name, as reference:imdb), or predictions "
        "(.csv, .tsv, .jsonl, .parquet, .npz)",
        nargs="*",
    ),
    cli.BOARD_DATASET,
    cli.option("--model NAME", "with predictions: the name of their row"),
    cli.option(
        "--seed K",
        "with predictions: which repetition of the model they are (default: 0)",
        cli.whole_number(0),
    ),
    cli.option("--seconds S", "with predictions: seconds of training", cli.positive_number),
    cli.option("--note TEXT", "with predictions: anything worth knowing"),
    cli.option("--output FILE", "with export: the results file to write"),
    cli.option(
        "--storage URL", "database of the searches, as for sweep (default: journals in mlruns/studies)"
    ),
    cli.JSON_AT_END,
    cli.TRACKING_URI,
    *cli.DATA_OPTIONS,
)
def main(options: Namespace) -> int:
    """Write the finished runs of a data set, their predictions, its searches and the ledger of test reads to
    one file, or add such files to this folder or a server. Each run is added once; after a kill, the same
    command goes on. A sweep whose results are there counts as done. Figures are computed from the
    predictions of the file, not taken from it; a file that is damaged is refused as a whole. Predictions of
    any other model become a row, too: give its answers to the texts of 'datasets export D --split test'.

    examples:
      python -m benchmark.results export --dataset imdb --output lstm.zip
      python -m benchmark.results import lstm.zip cnn.zip
      python -m benchmark.results import reference:imdb
      python -m benchmark.results import lstm.zip --tracking-uri http://host:5000
      python -m benchmark.results import predictions.csv --dataset imdb --model my-prompt --seconds 40
    """
    if options.action not in ACTIONS:
        raise UserError(f"there is no action '{options.action}'; {did_you_mean(options.action, ACTIONS)}")
    return _export(options) if options.action == "export" else _import(options)


def _export(options: Namespace) -> int:
    if options.files or options.output is None:
        raise UserError(
            "results export: name the file to write with `output`, and the data set with `dataset`"
        )
    from benchmark.board.stored_board import chosen_dataset
    from benchmark.display.live import make_display
    from benchmark.results_file.writer import export_results
    from benchmark.tracking.spool import Spool, spool_home
    from benchmark.tracking.store import StoreClient, resolve_uri

    uri, target = resolve_uri(options.tracking_uri, cli.RUNS), Path(options.output)
    cli.check_embedded_store(uri, options.dataset)
    client = StoreClient(uri)
    with make_display(options.json) as display:
        if spool_home(cli.RUNS, uri).is_dir() and (waiting := len(Spool(cli.RUNS, uri).names())):
            display.notice(
                f"{waiting} results wait in {RunsFolder(cli.RUNS).spool}; python -m benchmark.sync first"
            )
        dataset = chosen_dataset(client, options.dataset)
        with file_errors(target, setting="output"):
            runs = RunsFolder(cli.RUNS)
            counts = export_results(client, dataset, runs, target, options.storage, display.notice)
    size = target.stat().st_size
    text = (
        f"{target}: {counts['final']} final runs and {counts['trial']} trials of {counts['sweep']} sweeps, "
        f"{counts['search']} searches, {size / 1e6:.1f} MB"
    )
    cli.show({"file": str(target), "bytes": size, **counts}, text, options.json)
    return cli.DONE


def _import(options: Namespace) -> int:
    if not options.files or options.output is not None:
        raise UserError("results import: name one or more results files, and no `output`")
    from benchmark.results_file.outside_predictions import KINDS

    if any(Path(name).suffix.lower() in KINDS for name in options.files):
        return _import_predictions(options)
    for name in ("model", "seed", "seconds", "note"):
        if getattr(options, name) is not None:
            raise UserError("goes with a file of predictions, .csv, .parquet or .npz", setting=name)
    from benchmark.display.live import make_display
    from benchmark.driver.session import open_session
    from benchmark.results_file.importer import import_results
    from benchmark.results_file.reader import open_results, results_path
    from benchmark.tracking.store import default_artifacts

    records = []
    with ExitStack() as stack:
        display = stack.enter_context(make_display(options.json))
        files = [(name, stack.enter_context(open_results(results_path(name)))) for name in options.files]
        session = stack.enter_context(open_session(cli.RUNS, options.tracking_uri, display))
        session.client.connect()  # which takes a while, and is no delay of a delivery
        for name, results in files:
            location = default_artifacts(session.uri, cli.RUNS, results.manifest.dataset["name"])
            where = session.runs, location, options.storage
            try:
                found = import_results(results, session.client, session.outbox, *where)
            except UserError as error:
                raise UserError(f"{name}: {error}") from error
            display.line(_text(name, found))
            records.append({"file": name, "dataset": results.manifest.dataset["name"], **vars(found)})
        delivered = session.deliver()
        session.check_refused()
    cli.show(records, "", options.json) if options.json else None
    return cli.DONE if delivered else cli.SOME_FAILED


def _import_predictions(options: Namespace) -> int:
    if len(options.files) > 1 or options.dataset is None or options.model is None:
        raise UserError("predictions: name one file, its `dataset` and `model`, the name of the row")
    from benchmark.data.prepare import choose_dataset
    from benchmark.display.live import make_display
    from benchmark.driver.session import open_session
    from benchmark.results_file.outside_predictions import OutsideModel, import_predictions, read_outside
    from benchmark.tracking.store import default_artifacts

    file = Path(options.files[0])
    model = OutsideModel(options.model, options.seed or 0, options.seconds, options.note or "")
    with make_display(options.json) as display:
        dataset = choose_dataset(options.dataset, cli.source_options(options), display.notice, display.line)
        given, labels_only = read_outside(file, dataset)
        with open_session(cli.RUNS, options.tracking_uri, display) as session:
            location = default_artifacts(session.uri, cli.RUNS, dataset.name)
            session.client.connect()
            where = session.client, session.outbox, session.runs.ledger, location
            found = import_predictions(given, labels_only, dataset, model, *where)
            delivered = session.deliver()
            session.check_refused()
    accuracy = f"test accuracy {100 * found['test_accuracy']:.2f} %" if found else "these are there already"
    text = f"{model.name} (imported), seed {model.seed}: {accuracy}"
    cli.show({"file": str(file), "model": model.name, "seed": model.seed, **found}, text, options.json)
    return cli.DONE if delivered else cli.SOME_FAILED


def _text(name: str, found: Imported) -> str:
    runs = found.runs
    return (
        f"{name}: added {runs['final']} final runs, {runs['trial']} trials and {runs['sweep']} sweeps "
        f"({found.known} were there), {found.trials} trials of searches, {found.reads} entries of ledgers"
    )


if __name__ == "__main__":
    sys.exit(main())
