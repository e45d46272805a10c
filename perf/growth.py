"""What grows with a sweep and with the data: ``python perf/growth.py trials|board|texts [N ...]``.

``trials``: seconds of bookkeeping of a trial (proposal, three epochs reported, result to MLflow and Optuna)
by an engine that does not train, and the parent's memory, after N trials of a random search. ``board``:
seconds of the command ``leaderboard`` on N final runs, fresh and again. ``texts``: seconds and memory to
prepare N texts, the reviews of IMDB (in BENCHMARK_DATA_DIR) repeated. Each N is measured in a process of its
own.
"""

from __future__ import annotations

import itertools
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SIZES = {"trials": [100, 1000, 5000], "board": [10, 100, 1000, 5000], "texts": [25_000, 250_000, 1_000_000]}
LAST = 50  # trials over which the bookkeeping of one is averaged


def trials(count: int) -> str:
    """Carry out the search of a sweep whose runs end at once."""
    from sweeps import idle_sweep

    with idle_sweep(3, trials=count, sampler="random") as (sweep, engine):
        outbox = sweep.stores.outbox
        started = time.perf_counter()
        sweep.trials.run(engine)
        seconds = time.perf_counter() - started
        left = len(outbox.spool.names())
        drained = time.perf_counter()
        outbox.drain(600)
        drained = time.perf_counter() - drained
    steps = [after - before for before, after in itertools.pairwise([started, *engine.ends])]
    last = statistics.median(steps[-LAST:])
    return (
        f"{count} | {last * 1000:.0f} ms | {seconds / count * 1000:.0f} ms | {memory():.0f} MB | "
        f"{left} in {drained:.0f} s |"
    )


def board(count: int) -> str:
    """Fill a store with final runs and time the command."""
    sys.path.insert(0, str(Path(__file__).parent))
    from board_speed import fill

    models = max(count // 20, 2)
    fill(Path(), models, count // models, 25_000)
    command = [sys.executable, "-m", "benchmark.leaderboard", "--dataset", "big", "--format", "json"]
    times = []
    for _ in range(2):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return f"{count} | {times[0]:.1f} s | {times[1]:.1f} s | {peak:.0f} MB |"


def texts(count: int) -> str:
    """Prepare the reviews, repeated."""
    from benchmark.data.prepare import prepare
    from benchmark.data.source import Row, SourceOptions, get_source

    reviews = get_source("imdb", SourceOptions(Path(os.environ["BENCHMARK_DATA_DIR"])))

    class Repeated:
        name, home, class_names, validation_share = "repeated", "imdb, repeated", ("neg", "pos"), 0.2

        def key(self) -> str:
            return f"repeated {count}"

        def rows(self) -> Iterator[Row]:
            train = [row for row in reviews.rows() if row.split == "train"]
            for number in range(count):
                row = train[number % len(train)]
                # No text twice, as in real data: what finds duplicates has to remember each.
                yield row._replace(text=f"{row.text} {number // len(train)}")
            yield from (row for row in reviews.rows() if row.split == "test")

    before = memory()
    started = time.perf_counter()
    data = prepare(Repeated())
    seconds = time.perf_counter() - started
    size = sum(path.stat().st_size for path in data.folder.rglob("*") if path.is_file()) / 1e6
    return f"{count:,} | {seconds:.0f} s | {memory():.0f} MB (before: {before:.0f}) | {size:.0f} MB |"


def memory() -> float:
    """Return the most memory that this process has used, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


HEADS = {
    "trials": f"trials (random) | bookkeeping of one, median of the last {LAST} | mean of all | memory | "
    "undelivered at the end, until delivered",
    "board": "final runs | leaderboard, fresh | again | memory",
    "texts": "texts | time | memory | on disk",
}


def main(what: str, *sizes: str) -> None:
    machine = (
        f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"
    )
    columns = HEADS[what].split(" | ")
    print(f"{machine}\n\n| {HEADS[what]} |\n|{' --- |' * len(columns)}", flush=True)
    for size in sizes or map(str, SIZES[what]):
        command = [sys.executable, str(Path(__file__).resolve()), "--one", what, size]
        with tempfile.TemporaryDirectory() as folder:
            place = {**os.environ, "BENCHMARK_CACHE_DIR": str(Path(folder) / "cache")}
            place.setdefault("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
            subprocess.run(command, check=True, cwd=folder, env=place)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(
            "|", {"trials": trials, "board": board, "texts": texts}[sys.argv[2]](int(sys.argv[3])), flush=True
        )
    else:
        main(*sys.argv[1:])
