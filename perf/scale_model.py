"""What 100,000 runs on 1,000 GPUs need, from measured rates: ``python perf/scale_model.py [FILE]``.

A model, not a measurement: it multiplies what `rates.py` has measured on one small machine (FILE; by default
`rates.json` beside this one). What it assumes is printed with it.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

RUNS, GPUS = 100_000, 1_000
SIDE_BY_SIDE = 30  # runs of a sweep that can be under way at once: the trials of the budget `standard`
RUN_SECONDS = (10, 60, 300, 1800)
SEARCH = "PostgreSQL, search"
CORES = 8  # of the machine of each server
STORE_MB = 100  # megabytes a second that the artifact store takes
MANY = 4  # clients of the row whose CPU times are taken: enough to keep the machine of `rates.py` busy

ASSUMPTIONS = f"""\
Assumed: {RUNS:,} runs on {GPUS:,} GPUs, one run on each, ending evenly; sweeps of the budget `standard`, so
at most {SIDE_BY_SIDE} runs of a sweep side by side, and a driver for each of these sweeps; ten epochs a
run; CPU time of a run as measured, whatever the number of clients; no time for the network; no GPU waits
for its next run."""


def row(found: dict[str, Any], setting: str, clients: int) -> dict[str, float]:
    """Return what was measured of a setting with so many clients."""
    return next(r for r in found["rows"] if r["setting"] == setting and r["clients"] == clients)


def costs(found: dict[str, Any]) -> dict[str, float]:
    """Return CPU seconds of a run in each shared server."""
    search, server = row(found, "search", MANY), row(found, "server", MANY)
    return {
        SEARCH: search["postgresql_ms"] / 1000,
        "PostgreSQL, results": server["postgresql_ms"] / 1000,
        "MLflow server": server["server_ms"] / 1000,
    }


def limits(found: dict[str, Any]) -> list[tuple[str, str, str, float, float]]:
    """Return each part, what there is of it, what waits for it, its runs/s, and how short runs may be."""
    drivers = math.ceil(GPUS / SIDE_BY_SIDE)
    alone = row(found, "server", 1)
    parts = [
        (f"{drivers} drivers, recording", "a core each", "training", drivers * alone["recorded"]),
        (
            f"{drivers} drivers, bringing results to MLflow",
            "the same core",
            "the board",
            drivers * alone["delivered"],
        ),
    ]
    for part, seconds in costs(found).items():
        waits = "training" if part == SEARCH else "the board"
        parts.append((part, f"{CORES} cores", waits, CORES / seconds))
    stored = found["bytes"]["server"]["artifacts"]
    parts.append(("artifact store", f"{STORE_MB} MB/s", "the board", STORE_MB * 1e6 / stored))
    return sorted(((*part, GPUS / part[-1]) for part in parts), key=lambda part: part[-2])


def needs(found: dict[str, Any], seconds: float) -> list[str]:
    """Return what runs of some length need."""
    rate = GPUS / seconds
    per_run = found["bytes"]["server"]
    drivers = max(math.ceil(GPUS / SIDE_BY_SIDE), math.ceil(rate / row(found, "server", 1)["delivered"]))
    cores = [f"{rate * cost:.2f}" for cost in costs(found).values()]
    hours = RUNS / rate / 3600
    return [
        f"{seconds:,} s",
        f"{rate:.1f}",
        f"{hours:.1f} h",
        str(drivers),
        *cores,
        f"{rate * per_run['artifacts'] / 1e6:.1f}",
    ]


def report(found: dict[str, Any]) -> str:
    """Return the model as Markdown."""
    lines = [
        ASSUMPTIONS,
        "",
        "| a run takes | runs/s | all take | drivers | cores: PostgreSQL, search | PostgreSQL, results "
        "| MLflow server | artifacts, MB/s |",
        f"|{' ---: |' * 8}",
    ]
    lines += [f"| {' | '.join(needs(found, seconds))} |" for seconds in RUN_SECONDS]
    lines += [
        "",
        "What saturates first, the first row first:",
        "",
        "| part | with | what waits for it | takes, runs/s | enough while a run takes at least |",
        "| --- | --- | --- | ---: | ---: |",
    ]
    parts = limits(found)
    for part, what, waits, rate, seconds in parts:
        lines.append(f"| {part} | {what} | {waits} | {rate:.0f} | {seconds:.0f} s |")
    first, waits = parts[0], next(part for part in parts if part[2] == "training")
    lines += [
        "",
        f"First to saturate: {first[0]}, with runs of less than {first[-1]:.0f} s. What is not in MLflow yet",
        "waits in the spools of the drivers, and training goes on. What training waits for first: "
        f"{waits[0]}, with runs of less than {waits[-1]:.0f} s.",
        "",
    ]
    size = {what: found["bytes"]["server"][what] * RUNS / 1e9 for what in ("artifacts", "postgresql")}
    size["search"] = found["bytes"]["search"]["postgresql"] * RUNS / 1e9
    lines += [
        f"On disk in the end: {size['artifacts']:.0f} GB of artifacts (without models), "
        f"{size['postgresql']:.1f} GB of results and {size['search']:.1f} GB of searches in PostgreSQL.",
    ]
    return "\n".join(lines)


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("rates.json")
    print(report(json.loads(Path(name).read_text("utf-8"))))


if __name__ == "__main__":
    main()
