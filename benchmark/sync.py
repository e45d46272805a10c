"""Brings to MLflow what could not be brought before. Run as ``python -m benchmark.sync``."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from benchmark import cli
from benchmark.support.files import RunsFolder

if TYPE_CHECKING:
    from benchmark.tracking.spool import Spool

_PATIENCE = 60.0


@cli.command("sync", cli.TRACKING_URI)
def main(options: Namespace) -> int:
    """Deliver the results in mlruns/spool to the tracking store: those of a time in which it did not answer,
    and those that it refused. Every sweep does so, too; nothing is delivered twice. Exits with 0 when
    nothing is left for this store, with 1 when something is.
    """
    from benchmark.tracking.spool import Spool, other_stores
    from benchmark.tracking.store import resolve_uri

    uri = resolve_uri(options.tracking_uri, cli.RUNS)
    left = 0
    if RunsFolder(cli.RUNS).spool.is_dir():
        spool = Spool(cli.RUNS, uri, _say)
        spool.take_back()
        left = _deliver(uri, spool)
        for store, number in other_stores(cli.RUNS, but=spool.home).items():
            cli.say(f"{number} more for {store}: python -m benchmark.sync --tracking-uri {store}")
    else:
        print("delivered 0 runs, 0 left")
    return cli.SOME_FAILED if left else cli.DONE


def _deliver(uri: str, spool: Spool) -> int:
    """Deliver what waits; return the number of runs that are left."""
    waiting = _runs(spool)
    if waiting:
        from benchmark.display.events import delivery_progress
        from benchmark.tracking.outbox import Outbox
        from benchmark.tracking.store import connect

        # Somebody waits for this alone, and large models take their time.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", f"{_PATIENCE:.0f}")
        Outbox(connect(uri), spool, _say).close(_PATIENCE, delivery_progress(_say))
    left = _runs(spool)
    refused = spool.refused()
    print(f"delivered {len(waiting - left) - refused} runs, {len(left) + refused} left")
    return len(left) + refused


def _runs(spool: Spool) -> set[str]:
    """Return the runs that something waits for."""
    return {record.key or record.run_id or "" for record in spool.records()}


def _say(text: str) -> None:
    cli.say(text, error=True)


if __name__ == "__main__":
    sys.exit(main())
