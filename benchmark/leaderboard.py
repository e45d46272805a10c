"""The board of a data set, from its final runs in MLflow. Run as ``python -m benchmark.leaderboard``."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import cli
from benchmark.support.errors import UserError, file_errors
from benchmark.support.runs_folder import RunsFolder

if TYPE_CHECKING:
    from argparse import Namespace

    from benchmark.board.rows import Board, Details

_FORMATS = ("table", "md", "csv", "json", "tex", "html")


def parser() -> cli.Parser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "leaderboard",
        "Print the board of a data set: mean test accuracy of each model and tier over fresh seeds, with "
        "its 95 % interval, and ranks that rows share where nothing separates them.",
        "examples:\n  python -m benchmark.leaderboard --dataset imdb\n"
        "  python -m benchmark.leaderboard --dataset imdb --format html --output board.html\n"
        "  python -m benchmark.leaderboard --dataset imdb --format json --output board.json",
    )
    parser.add_argument("--dataset", type=cli.data_set, metavar="D", help=cli.DATASET_HELP)
    parser.add_argument(
        "--format",
        type=cli.choice("format", _FORMATS),
        default="table",
        metavar="F",
        help=f"{', '.join(_FORMATS)} (default: table)",
    )
    parser.add_argument(
        "--output", type=cli.local_path, metavar="FILE", help="write to a file instead of the terminal"
    )
    parser.add_argument("--wide", action="store_true", help="all columns of the table")
    parser.add_argument(
        "--baseline",
        metavar="M",
        help="model or model:tier that rows are compared with (default: tfidf-logreg, else avg-pool, else "
        "the last default row)",
    )
    cli.add_margin_option(parser)
    parser.add_argument(
        "--picture", type=cli.local_path, metavar="FILE", help="also draw the board as a PNG or SVG"
    )
    parser.add_argument(
        "--pictures",
        type=cli.local_path,
        metavar="DIR",
        help="also draw board, cost and budget curves, as PNG and SVG",
    )
    cli.add_store_options(parser)
    return parser


@cli.command(parser)
def main(options: Namespace) -> int:
    """Carry out the command; see `parser` for its arguments."""
    from benchmark.board.stored_board import chosen_dataset, experiment_of, read_board
    from benchmark.tracking.store import StoreClient, resolve_uri

    _check_picture(options.picture)
    if options.output is not None and not Path(options.output).parent.is_dir():
        raise UserError(f"--output {options.output}: there is no folder {Path(options.output).parent}")
    uri = resolve_uri(options.tracking_uri, cli.RUNS)
    cli.check_embedded_store(uri)
    client = StoreClient(uri)
    dataset = chosen_dataset(client, options.dataset)
    board = read_board(
        client, dataset, RunsFolder(cli.RUNS).ledger, margin=options.margin, baseline=options.baseline
    )
    details: Details | None = None
    if options.format == "html" or options.pictures:
        details = _details(client, experiment_of(dataset), board, uri, with_texts=options.format == "html")
    text = _text(board, details, options)
    if options.picture:
        with file_errors(options.picture, setting="picture"):
            _draw_board(board, Path(options.picture))
    if options.pictures:
        with file_errors(options.pictures, setting="pictures"):
            _draw_all(board, details, Path(options.pictures))
    if options.output is None:
        if options.format == "html" and isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # as the page says of itself
        print(text.rstrip("\n"))
    else:
        with file_errors(options.output, setting="output"):
            Path(options.output).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    return cli.DONE


def _text(board: Board, details: Details | None, options: Namespace) -> str:
    from benchmark.report import tables

    if options.format == "tex":
        from benchmark.report.latex import to_latex

        return to_latex(board)
    if options.format == "html":
        from benchmark.report.html import to_html

        return to_html(board, details)
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


def _check_picture(picture: str | None) -> None:
    if picture is not None and Path(picture).suffix not in (".png", ".svg"):
        raise UserError(f"--picture {picture}: expected a name that ends in .png or .svg")


def _draw_board(board: Board, path: Path) -> None:
    from benchmark.report.board_plot import board_picture

    board_picture(board, path)


def _draw_all(board: Board, details: Details | None, folder: Path) -> None:
    from benchmark.report.budget_plot import budget_picture
    from benchmark.report.cost_plot import cost_picture

    for suffix in (".png", ".svg"):
        _draw_board(board, folder / f"board{suffix}")
        cost_picture(board, folder / f"cost{suffix}")
        if details is not None:
            budget_picture(board, details, folder / f"budget{suffix}")


if __name__ == "__main__":
    sys.exit(main())
