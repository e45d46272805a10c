"""The board of a data set, from its final runs in MLflow. Run as ``python -m benchmark.leaderboard``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import cli
from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.report.rows import BoardRow

_FORMATS = ("table", "md", "csv", "json")


def parser() -> cli.Parser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "leaderboard",
        "Print the board of a data set: mean test accuracy of each model and tier over fresh seeds, with "
        "its 95 % interval.",
        "examples:\n  python -m benchmark.leaderboard --dataset imdb\n"
        "  python -m benchmark.leaderboard --dataset imdb --format json --output board.json",
    )
    parser.add_argument("--dataset", metavar="D", help="data set (default: that of the newest sweep)")
    parser.add_argument(
        "--format",
        type=cli.choice("format", _FORMATS),
        default="table",
        metavar="F",
        help=f"{', '.join(_FORMATS)} (default: table)",
    )
    parser.add_argument("--output", metavar="FILE", help="write to a file instead of the terminal")
    parser.add_argument("--wide", action="store_true", help="all columns of the table")
    parser.add_argument("--picture", metavar="FILE", help="also draw the board as a PNG")
    cli.add_store_options(parser)
    return parser


def board_rows(client: Any, dataset: str, ledger: Path) -> list[BoardRow]:
    """Compute the board of a data set.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store with the final runs.
    dataset : str
        Name of the data set.
    ledger : Path
        Ledger of test reads.

    Returns
    -------
    list of BoardRow
        Ranked rows first, then those that carry a watermark.
    """
    from benchmark.data.ledger import looks
    from benchmark.report.board import build_board
    from benchmark.tracking.reader import final_runs

    runs = final_runs(client, dataset)
    by_digest: dict[str, dict[str, int]] = {}
    for digest in {run.dataset_digest for run in runs}:
        by_digest[digest] = looks(ledger, digest)
    rows = []
    for digest, counted in sorted(by_digest.items()):
        rows.extend(build_board([run for run in runs if run.dataset_digest == digest], counted))
    return rows


def leaderboard(arguments: Sequence[str]) -> int:
    """Carry out the command; see `parser` for its arguments."""
    options = parser().parse_args(arguments)
    from benchmark.data.source import experiment_name
    from benchmark.report import export
    from benchmark.tracking.reader import latest_dataset
    from benchmark.tracking.store import connect, resolve_uri

    uri = resolve_uri(options.tracking_uri, cli.RUNS)
    cli.check_embedded_store(uri)
    client = connect(uri)
    dataset = experiment_name(options.dataset) if options.dataset else latest_dataset(client)
    if dataset is None:
        raise UserError("this store has no sweeps; run one: python -m benchmark.sweep --model avg-pool")
    rows = board_rows(client, dataset, cli.RUNS / "ledger.jsonl")
    to_terminal = options.output is None and sys.stdout.isatty()
    writers = {
        "table": lambda: export.to_table(
            rows, width=cli.terminal_width(), color=to_terminal, wide=options.wide
        ),
        "md": lambda: export.to_markdown(rows),
        "csv": lambda: export.to_csv(rows),
        "json": lambda: export.to_json(rows),
    }
    text = writers[options.format]()
    if options.picture:
        _draw(rows, client, Path(options.picture))
    if options.output is None:
        print(text.rstrip("\n"))
        return cli.DONE
    try:
        Path(options.output).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"--output {options.output}: {(error.strerror or str(error)).lower()}") from error
    return cli.DONE


def _draw(rows: list[BoardRow], client: Any, path: Path) -> None:
    from benchmark.report.plots import board_png
    from benchmark.tracking import names

    values = {
        number: [client.get_run(run).data.metrics[names.TEST_ACCURACY] for run in row.run_ids]
        for number, row in enumerate(rows)
    }
    try:
        board_png(rows, path, seed_values=values)
    except OSError as error:
        raise UserError(f"--picture {path}: {(error.strerror or str(error)).lower()}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return cli.run_command(leaderboard, arguments)


if __name__ == "__main__":
    sys.exit(main())
