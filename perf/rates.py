"""How many runs a second drivers and servers sustain: ``python perf/rates.py [--rounds N] [SETTING ...]``.

A client is a driver, in a separate process and folder, that carries out a sweep whose runs do not train
(`sweeps.py`): proposals by TPE, ten epochs reported, a result committed, reported to Optuna and brought to
MLflow with its artifacts; three trials to one final run, whose predictions of 25,000 texts are stored. All
start together.

Settings: ``files`` (journal and SQLite, as without any option), ``search`` (Optuna in PostgreSQL, results in
SQLite), ``server`` (an ``mlflow server`` on PostgreSQL that takes the artifacts, too; Optuna in a journal).
PostgreSQL writes as it does by default (fsync). Everything is on this machine, which all share: with more
clients than cores it is the CPU time of a run that shows what each part can do elsewhere.

Prints medians over the rounds (of 16 clients there is one); ``--output FILE`` writes them as JSON, too,
for `scale_model.py`; settings that it has of the same machine stay there. Needs the extra ``test`` and
PostgreSQL's programs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
TRIALS = {1: 12, 4: 6, 16: 6}  # of each client, by the number of clients
ONCE = 16  # so many clients are measured in one round only
EPOCHS = 10
SERVER_PROCESSES = 2
SETTINGS = {
    "files": "journal, SQLite",
    "search": "search in PostgreSQL, results in SQLite",
    "server": "journal, MLflow server on PostgreSQL",
}
CLIENTS = {"files": (1, 4), "search": (1, 4, 16), "server": (1, 4, 16)}
PARTS = ("driver", "postgresql", "server")


@dataclass
class Place:
    """Where the clients of a setting put what they have: None is their folder."""

    storage: str | None = None
    tracking: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, Any] = field(default_factory=dict)  # name: function that returns bytes


@contextmanager
def place(setting: str, folder: Path) -> Iterator[Place]:
    """Start the servers of a setting, and end them."""
    sys.path.insert(0, str(ROOT / "tests" / "helpers"))
    import outages
    import postgres

    found = Place()
    with ExitStack() as stack:
        if setting != "files":
            database = stack.enter_context(postgres.running(fsync="on", max_connections=200))
            found.environment = {"PGPASSWORD": postgres.PASSWORD}
            os.environ.update(found.environment)
            url = database.url(setting, credentials=False)
            found.pids["postgresql"] = database.pid
            found.sizes["postgresql"] = lambda: int(database.ask(f"SELECT pg_database_size('{setting}')"))
        if setting == "search":
            found.storage = url
        if setting == "server":
            backend = url.replace("postgresql", "postgresql+psycopg", 1)
            server = outages.Server(folder, postgres.free_port(), backend, SERVER_PROCESSES)
            stack.callback(server.stop)
            server.start()
            found.tracking = server.address
            found.pids["server"] = server.pid
            found.sizes["artifacts"] = lambda: _folder_bytes(folder / "store")
        yield found


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def draw_once(folder: Path, *, confusion: bool = True) -> None:
    """Draw what a run has: what that imports is imported once, and runs are to be measured."""
    from benchmark.report.plots import confusion_png, curves_png

    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    history = {name: [0.5] * EPOCHS for name in names}
    curves_png([history], folder / "curves.png", "trial 0", best_epoch=1)
    if confusion:
        confusion_png(np.eye(2, dtype=np.int64), ("a", "b"), folder / "confusion.png")


def client(folder: str, study: str, where: dict[str, Any], trials: int, gate: Any, answers: Any) -> None:
    """Carry out a sweep of runs that end at once, from a common start; all end where one cannot begin."""
    try:
        _client(folder, study, where, trials, gate, answers)
    except BaseException:
        gate.abort()
        raise


def _client(folder: str, study: str, where: dict[str, Any], trials: int, gate: Any, answers: Any) -> None:
    from sweeps import idle_sweep

    os.chdir(folder)
    os.environ.update(where["environment"])
    settings = {"trials": trials, "seeds": trials // 6, "sampler": "tpe", "study": study}
    with idle_sweep(EPOCHS, where["storage"], where["tracking"], **settings) as (sweep, engine):
        draw_once(Path())
        gate.wait(180)
        started, cpu = time.perf_counter(), time.process_time()
        sweep.run(engine)
        recorded = time.perf_counter() - started
        left = sweep.stores.outbox.drain(120)
        delivered = time.perf_counter() - started
        answers.put((len(engine.ends), left, recorded, delivered, time.process_time() - cpu))


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and all that came from it, those that have exited included."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(sum(process.cpu_times()[:4]) for process in processes)


def measure(
    setting: str, clients: int, trials: int, where: Place, folder: Path, number: int
) -> dict[str, float]:
    """Let clients work side by side; return runs, rates and CPU seconds of each part."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["mlflow", "benchmark.driver.sweep_driver.sweep_driver", "matplotlib.figure", "sqlalchemy.orm"]
    )
    gate, answers = context.Barrier(clients + 1), context.Queue()
    processes = []
    for client_number in range(clients):
        study = f"{setting}-{number}-{client_number}"
        (folder / study).mkdir()
        what = {"environment": where.environment, "storage": where.storage, "tracking": where.tracking}
        words = (str(folder / study), study, what, trials, gate, answers)
        processes.append(context.Process(target=client, args=words))
        processes[-1].start()
    gate.wait(180)
    before = {part: cpu_seconds(pid) for part, pid in where.pids.items()}
    found = [answers.get(timeout=300) for _ in processes]
    used = {part: cpu_seconds(pid) - before[part] for part, pid in where.pids.items()}
    for process in processes:
        process.join()
    runs, left, recorded, delivered, cpu = zip(*found, strict=True)
    if any(left):
        raise SystemExit(f"{setting}, {clients} clients: {sum(left)} results were not delivered")
    used["driver"] = sum(cpu)
    return {
        "runs": sum(runs),
        "recorded": sum(runs) / max(recorded),
        "delivered": sum(runs) / max(delivered),
        "busy": sum(used.values()) / max(delivered),
        **{f"{part}_ms": seconds / sum(runs) * 1000 for part, seconds in used.items()},
    }


def measure_setting(setting: str, rounds: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Return a row for each number of clients, medians over the rounds, and bytes a run of each store."""
    with tempfile.TemporaryDirectory(prefix="rates-") as name, place(setting, Path(name)) as where:
        number = itertools.count()
        measure(setting, 2, 6, where, Path(name), next(number))  # servers import things at first
        sizes = {what: size() for what, size in where.sizes.items()}
        found: dict[int, list[dict[str, float]]] = {}
        for round_number, clients in itertools.product(range(rounds), CLIENTS[setting]):
            if clients < ONCE or round_number == 0:
                result = measure(setting, clients, TRIALS[clients], where, Path(name), next(number))
                found.setdefault(clients, []).append(result)
        total = sum(result["runs"] for results in found.values() for result in results)
        grown = {what: (size() - sizes[what]) / total for what, size in where.sizes.items()}
    rows = [
        {"setting": setting, "clients": clients, "rounds": len(results)}
        | {key: statistics.median(result[key] for result in results) for key in results[0]}
        for clients, results in found.items()
    ]
    return rows, grown


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as Markdown."""
    lines = [
        "| setting | clients | recorded, runs/s | in MLflow, runs/s | CPU ms a run: drivers | PostgreSQL "
        "| MLflow server | cores busy |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        parts = [f"{row[f'{part}_ms']:.0f}" if f"{part}_ms" in row else "-" for part in PARTS]
        rates = [f"{row[what]:.1f}" for what in ("recorded", "delivered")]
        cells = [SETTINGS[row["setting"]], str(row["clients"]), *rates, *parts, f"{row['busy']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def summary(found: dict[str, Any]) -> str:
    """Return all that was found as Markdown."""
    lines = [table(found["rows"]), ""]
    for setting, grown in found["bytes"].items():
        sizes = [f"{size / 1000:.0f} KB in {what}" for what, size in sorted(grown.items())]
        lines += [f"- {SETTINGS[setting]}: a run takes {', '.join(sizes)}."] if sizes else []
    lines.append(f"- Of a driver's CPU time, {found['curves_ms']:.0f} ms draw the curves of a run.")
    return "\n".join(lines)


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    packages = {name: version(name) for name in ("mlflow", "optuna", "psycopg", "SQLAlchemy")}
    cores = len(os.sched_getaffinity(0))
    hardware = f"{platform.machine()} ({name}), {cores} cores, {psutil.virtual_memory().total / 2**30:.0f} GB"
    return {"hardware": hardware, "python": platform.python_version(), **packages}


def curves_ms() -> float:
    """Return the CPU time of drawing the curves of a run, which every run has."""
    times = []
    with tempfile.TemporaryDirectory() as folder:
        draw_once(Path(folder))
        for _ in range(9):
            before = time.process_time()
            draw_once(Path(folder), confusion=False)
            times.append((time.process_time() - before) * 1000)
    return statistics.median(times)


def completed(file: Path, found: dict[str, Any]) -> dict[str, Any]:
    """Return what was found, with the other settings that the file has of the same machine."""
    previous = json.loads(file.read_text("utf-8")) if file.exists() else found
    if previous["machine"] != found["machine"]:
        raise SystemExit(f"{file} is of another machine, or of other versions; give --output another name")
    rows = found["rows"] + [row for row in previous["rows"] if row["setting"] not in found["bytes"]]
    order = list(SETTINGS)
    rows.sort(key=lambda row: (order.index(row["setting"]), row["clients"]))
    known = {**previous["bytes"], **found["bytes"]}
    sizes = {setting: known[setting] for setting in order if setting in known}
    return {**found, "curves_ms": previous["curves_ms"], "rows": rows, "bytes": sizes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("setting", nargs="*", choices=[[], *SETTINGS])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    from sweeps import planned

    started = time.perf_counter()
    rows, sizes = [], {}
    planned("avg-pool", "sample")  # prepares the data set once, not by each client
    for setting in options.setting or SETTINGS:
        more, sizes[setting] = measure_setting(setting, options.rounds)
        rows += more
        print(f"{setting}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    found = {"machine": machine(), "curves_ms": curves_ms(), "rows": rows, "bytes": sizes}
    if options.output:
        found = completed(options.output, found)
        options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(", ".join(f"{key} {value}" for key, value in found["machine"].items()), "\n")
    print(summary(found))


if __name__ == "__main__":
    main()
