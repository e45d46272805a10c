"""The MLflow UI on this store, bound to loopback. Run as ``python -m benchmark.ui``."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark import cli
from benchmark.errors import UserError

# With these, MLflow's web server would listen at other addresses, too.
_ADDRESSES = ("MLFLOW_GUNICORN_OPTS", "MLFLOW_UVICORN_OPTS", "GUNICORN_CMD_ARGS")
_MOST_COMPARED = 20  # what the page of the UI can show at once


def parser() -> cli.Parser:
    """Return the command's argument parser."""
    parser = cli.make_parser("ui", "Open the MLflow UI on the runs of this folder, for this machine only.")
    parser.add_argument("--port", type=cli.whole_number(1), default=5000, metavar="N", help="default: 5000")
    cli.add_store_options(parser)
    return parser


def ui(arguments: Sequence[str]) -> int:
    """Carry out the command: it becomes the MLflow server until it is stopped."""
    options = parser().parse_args(arguments)
    from benchmark.databases import engine_url
    from benchmark.tracking.store import connect, resolve_uri

    uri = resolve_uri(options.tracking_uri, cli.RUNS)
    if uri.startswith(("http://", "https://")):
        connect(uri)
        cli.say(f"the runs are on a tracking server; open {uri}")
        return cli.DONE
    cli.check_embedded_store(uri)
    if not _free(options.port):
        raise UserError(f"--port {options.port} is taken; choose another, for example {options.port + 1}")
    client = connect(uri)
    address = f"http://127.0.0.1:{options.port}"
    for line in addresses(client, address):
        cli.say(line)
    print(f"MLflow UI: {address} (Ctrl-C ends it)", flush=True)
    words = ["server", "--host", "127.0.0.1", "--port", str(options.port)]
    environment = {
        **{name: value for name, value in os.environ.items() if name not in _ADDRESSES},
        # MLflow starts its web server by name, so the programs of this environment must be found.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        # Not on the command line, where everybody on this machine could read a password.
        "MLFLOW_BACKEND_STORE_URI": engine_url(uri),
    }
    return subprocess.call([sys.executable, "-m", "mlflow", *words], env=environment)


def addresses(client: Any, address: str) -> list[str]:
    """Return a line for each data set, and one that opens the comparison of its board's rows.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store.
    address : str
        Of the UI.

    Returns
    -------
    list of str
        A row is stood for by its first seed, which is the same seed bundle for all rows.
    """
    from benchmark.boards import read_board
    from benchmark.details import compare_address

    lines = []
    for experiment in client.search_experiments():
        if experiment.name == "Default":
            continue
        number = experiment.experiment_id
        lines.append(f"{experiment.name}: {address}/#/experiments/{number}")
        try:
            rows = read_board(client, experiment.name, cli.RUNS / "ledger.jsonl").rows
        except UserError as error:  # a damaged ledger is no reason to show no runs
            lines.append(f"  no board: {error}")
            continue
        first = dict.fromkeys(row.run_ids[0] for row in rows if row.rank is not None)
        if len(first) > 1:
            chosen = list(first)[:_MOST_COMPARED]
            which = "rows" if len(chosen) == len(first) else f"first {len(chosen)} rows"
            lines.append(f"  the board's {which}, compared: {compare_address(address, number, chosen)}")
    return lines


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return cli.run_command(ui, arguments)


if __name__ == "__main__":
    sys.exit(main())
