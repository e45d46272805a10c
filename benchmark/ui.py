"""The MLflow UI on this store, bound to loopback. Run as ``python -m benchmark.ui``."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark import cli
from benchmark.support.errors import UserError, spelled
from benchmark.support.files import RunsFolder
from benchmark.support.signals import INTERRUPTED

# With these, MLflow's web server would listen at other addresses, too.
_ADDRESSES = ("MLFLOW_GUNICORN_OPTS", "MLFLOW_UVICORN_OPTS", "GUNICORN_CMD_ARGS")
_MENU = "workflowType=machine_learning"  # of MLflow's two menus, the one for models that are trained
_MOST_COMPARED = 20  # what the page of the UI can show at once
# Leads the group of the server's processes, and ends them when the other end of its input is closed: this
# process has no time to do so where it is killed.
_KEEPER = """
import os, select, signal, subprocess, sys

signal.signal(signal.SIGTERM, lambda *_: None)
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
while server.poll() is None:
    if select.select([sys.stdin], [], [], 0.2)[0]:
        os.killpg(0, signal.SIGTERM)
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            pass
        os.killpg(0, signal.SIGKILL)
sys.exit(server.returncode)
"""


@cli.command(
    "ui",
    cli.option("--port N", "default: 5000", cli.whole_number(1), default=5000),
    cli.TRACKING_URI,
)
def main(options: Namespace) -> int:
    """Open the MLflow UI on the runs of this folder, for this machine only."""
    from benchmark.support.databases import engine_url
    from benchmark.tracking.store import connect, resolve_uri

    uri = resolve_uri(options.tracking_uri, cli.RUNS)
    if uri.startswith(("http://", "https://")):
        connect(uri)
        cli.say(f"the runs are on a tracking server; open {uri}")
        return cli.DONE
    cli.check_embedded_store(uri)
    if options.port > 65535:
        raise UserError("expected a number from 1 to 65535", setting="port", value=options.port)
    if not _free(options.port):
        raise UserError(f"--port {options.port} is taken; choose another, for example {options.port + 1}")
    client = connect(uri)
    address = f"http://127.0.0.1:{options.port}"
    for line in addresses(client, address):
        cli.say(line)
    print(f"MLflow UI: {address} (Ctrl-C ends it)", flush=True)
    # One process is enough for one person, and opens in a quarter of the time.
    words = ["server", "--host", "127.0.0.1", "--port", str(options.port), "--workers", "1"]
    environment = {
        **{name: value for name, value in os.environ.items() if name not in _ADDRESSES},
        # MLflow starts its web server by name, so the programs of this environment must be found.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        # Not on the command line, where everybody on this machine could read a password.
        "MLFLOW_BACKEND_STORE_URI": engine_url(uri),
    }
    return _serve([sys.executable, "-m", "mlflow", *words], environment)


def _serve(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a server, with all processes that it starts, until it ends or this process does."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # not so below nohup
        signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))
    keeper = [sys.executable, "-c", _KEEPER, *command]
    with subprocess.Popen(keeper, env=environment, stdin=subprocess.PIPE, start_new_session=True) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            return INTERRUPTED
        finally:
            for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 1.0)):
                give_up = time.monotonic() + patience
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                    while time.monotonic() < give_up:
                        process.poll()
                        os.killpg(process.pid, 0)
                        time.sleep(0.05)


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
    from benchmark.board.page_content import compare_address
    from benchmark.board.stored_board import read_board
    from benchmark.tracking.delivery import show_runs

    lines = []
    for experiment in client.search_experiments():
        if experiment.name == "Default":
            continue
        number = experiment.experiment_id
        show_runs(client, experiment)
        runs = f"{address}/#/experiments/{number}/runs"
        lines += [f"{experiment.name}: {runs}?{_MENU}", f"  charts: {runs}?compareRunsMode=CHART&{_MENU}"]
        try:
            rows = read_board(client, experiment.name, RunsFolder(cli.RUNS).ledger).rows
        except UserError as error:  # runs are shown although the ledger is damaged
            lines.append(f"  no board: {spelled(error)}")
            continue
        first: dict[str, dict[str, None]] = defaultdict(dict)
        for row in rows:
            if row.counts:
                first[row.dataset][row.run_ids[0]] = None
        for dataset, runs_of in first.items():
            chosen = list(runs_of)[:_MOST_COMPARED]
            which = "rows" if len(chosen) == len(runs_of) else f"first {len(chosen)} rows"
            where = f" of {dataset}" if len(first) > 1 else ""
            if len(runs_of) > 1:
                link = compare_address(address, number, chosen)
                lines.append(f"  the board's {which}{where}, compared: {link}")
    return lines


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


if __name__ == "__main__":
    sys.exit(main())
