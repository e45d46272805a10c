"""The board of a data set, from its final runs in MLflow. Run as ``python -m benchmark.leaderboard``."""

from __future__ import annotations

import io
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import cli
from benchmark.report.results import BoardResult
from benchmark.support.errors import UserError, file_errors
from benchmark.support.files import RunsFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmark.board.board import Analysis
    from benchmark.board.rows import Board, Details
    from benchmark.board.size_curves import SizeCurves

_FORMATS = ("table", "md", "csv", "json", "tex", "html")


@cli.command(
    "leaderboard",
    cli.BOARD_DATASET,
    cli.FOLDS,
    cli.one_of("--format F", "format", _FORMATS, "table"),
    cli.option("--output FILE", "write to a file instead of the terminal"),
    cli.switch("--wide", "all columns of the table"),
    cli.option(
        "--baseline M",
        "model or model:tier that rows are compared with (default: the better of linear-words and "
        "linear-characters in validation, else tfidf-logreg, else avg-pool, else the last default row)",
    ),
    cli.METRIC,
    cli.MARGIN,
    cli.switch(
        "--with-imported", "rank imported predictions with the rows of the largest section, not apart"
    ),
    cli.option(
        "--against FILE", "results file (`results export`) whose rows the rows here are compared with"
    ),
    cli.switch("--fail-if-worse", "with --against: exit code 3 where a row is worse by more than the margin"),
    cli.option("--picture FILE", "also draw the board as a PNG or SVG"),
    cli.option("--pictures DIR", "also draw board, cost and budget curves, as PNG and SVG"),
    cli.TRACKING_URI,
)
def main(options: Namespace) -> int:
    """Print the board of a data set: the mean test accuracy, or other metric, of each model and tier over
    fresh seeds, with its 95 % interval, and the ranks that comparisons leave open. Any metric can be asked
    for, also of runs that are there already: it is computed from their stored predictions.

    examples:
      python -m benchmark.leaderboard --dataset imdb
      python -m benchmark.leaderboard --dataset imdb --metric macro_f1
      python -m benchmark.leaderboard --dataset imdb --format html --output board.html
      python -m benchmark.leaderboard --dataset imdb --format json --output board.json
      python -m benchmark.leaderboard --dataset csv:reviews.csv --folds 10
      python -m benchmark.leaderboard --dataset imdb --against main.zip --fail-if-worse --margin 0.5
    """
    result, text = run(options)
    if options.output is None:
        if options.format == "html" and isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # as the page declares
        print(text.rstrip("\n"))
    gate = result.gate
    if gate is not None:
        cli.say(gate.text(), error=True)  # standard output may be JSON
    return cli.GATE_FAILED if gate is not None and gate.failed and options.fail_if_worse else cli.DONE


def run(options: Namespace) -> tuple[BoardResult, str]:
    """Compute a board, and write the files that options ask for; return it as they format it, too."""
    from benchmark.board.stored_board import board_builder, chosen_dataset, experiment_of
    from benchmark.tracking.store import StoreClient, resolve_uri

    cli.check_picture(options.picture)
    if options.output is not None and not Path(options.output).parent.is_dir():
        reason = f"there is no folder {Path(options.output).parent}"
        raise UserError(reason, setting="output", value=options.output)
    if options.fail_if_worse and options.against is None:
        raise UserError("goes with `against` FILE", setting="fail_if_worse")
    if options.against is not None and options.folds:
        raise UserError("a results file has no runs on folds; leave `folds` out", setting="against")
    uri = resolve_uri(options.tracking_uri, cli.RUNS)
    cli.check_embedded_store(uri, options.dataset)
    client = StoreClient(uri)
    dataset = chosen_dataset(client, options.dataset, options.folds)
    build = board_builder(client, dataset, RunsFolder(cli.RUNS).ledger, with_imported=options.with_imported)
    analysis = build(metric=options.metric, margin=options.margin, baseline=options.baseline)
    board, gate = analysis.board, None
    if options.against is not None:
        from benchmark.results_file.reader import results_path
        from benchmark.results_file.reference import gate_of_file

        where = results_path(options.against), client, dataset
        gate = gate_of_file(*where, analysis, options.metric, options.margin)
    details: Details | None = None
    if options.format == "html" or options.pictures:
        details = _details(client, experiment_of(dataset), board, uri, with_texts=options.format == "html")
    others = _others(board, build, options) if options.format == "html" else ()
    curves = _curves(client, dataset, board) if options.format == "html" else ()
    text = _text(board, details, others, curves, options)
    if options.picture:
        from benchmark.report.board_plots import board_picture

        with file_errors(options.picture, setting="picture"):
            board_picture(board, Path(options.picture))
    if options.pictures:
        with file_errors(options.pictures, setting="pictures"):
            _draw_all(board, details, Path(options.pictures))
    if options.output is not None:
        with file_errors(options.output, setting="output"):
            Path(options.output).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    return BoardResult(board, wide=options.wide, gate=gate), text


def _others(board: Board, build: Callable[..., Analysis], options: Namespace) -> list[Board]:
    """Compute the board by each other metric that the data allow, for the page's switch."""
    from benchmark.metrics.metric import ACCURACY, get_metric, ranking_metrics

    asked = get_metric(options.metric or ACCURACY)
    found = []
    for metric in map(get_metric, ranking_metrics()):
        if set(board.metrics) == {metric.name}:
            continue
        # Half a point is no margin for a loss.
        margin = options.margin if metric.percent == asked.percent else None
        one = build(metric=metric.name, margin=margin, baseline=options.baseline).board
        if any(row.test_mean is not None for row in one.rows):
            found.append(one)
    return found


def _curves(client: Any, dataset: str, board: Board) -> list[SizeCurves]:
    from benchmark.board.size_curves import read_size_curves
    from benchmark.board.stored_board import experiment_of

    return read_size_curves(client, experiment_of(dataset), {row.dataset_digest for row in board.rows})


def _text(
    board: Board,
    details: Details | None,
    others: Sequence[Board],
    curves: Sequence[SizeCurves],
    options: Namespace,
) -> str:
    from benchmark.report import tables

    if options.format == "tex":
        from benchmark.report.latex import to_latex

        return to_latex(board)
    if options.format == "html":
        from benchmark.report.html import to_html

        return to_html(board, details, others=others, curves=curves)
    if options.format == "table":
        to_terminal = options.output is None and sys.stdout.isatty()
        return tables.to_table(board, width=cli.terminal_width(), color=to_terminal, wide=options.wide)
    writers = {"md": tables.to_markdown, "csv": tables.to_csv, "json": tables.to_json}
    return writers[options.format](board)


def _details(client: Any, dataset: str, board: Board, uri: str, *, with_texts: bool) -> Details:
    import numpy as np
    from numpy.typing import NDArray

    from benchmark.board.page_content import read_details
    from benchmark.data.ledger_chain import read_test_texts
    from benchmark.data.prepare import find_prepared
    from benchmark.tracking.store import ui_address

    def texts(digest: str, rows: NDArray[np.int64]) -> list[str] | None:
        prepared = find_prepared(digest)
        return None if prepared is None else read_test_texts(prepared, rows, RunsFolder(cli.RUNS).ledger)

    return read_details(client, dataset, board, texts=texts if with_texts else None, address=ui_address(uri))


def _draw_all(board: Board, details: Details | None, folder: Path) -> None:
    from benchmark.report.board_plots import board_picture, cost_picture
    from benchmark.report.budget_plot import budget_picture

    for suffix in (".png", ".svg"):
        board_picture(board, folder / f"board{suffix}")
        cost_picture(board, folder / f"cost{suffix}")
        if details is not None:
            budget_picture(board, details, folder / f"budget{suffix}")


if __name__ == "__main__":
    sys.exit(main())
