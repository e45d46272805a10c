"""A search beside what people use: ``python perf/peers.py [--model M] [--configurations N] [PEER ...]``.

The same configurations of avg-pool (or LSTM) on the same reviews, validated on the same ones, with the
same optimizer, at most 15 epochs and early stopping (LSTM: 2 epochs of length 200): by a sweep of
Textbench, whose random search proposes them, and by the peers in ``perf/peers/``, which get that list.
Each is a separate process that starts with nothing: imports, reading and tokenising the reviews are
part of its time. Equal validation accuracies and numbers of epochs show that the work was equal. Needs
IMDB in BENCHMARK_DATA_DIR and the extra ``perf``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from sweeps import RANDOM_SEARCH, planned, runs_of_kind, sweep

from benchmark.search.study import Search
from benchmark.tracking import names

HERE = Path(__file__).resolve().parent
PEERS = {
    "usual script": ["usual.py"],
    "KerasTuner RandomSearch": ["tuner.py", "random"],
    "KerasTuner Hyperband": ["tuner.py", "hyperband"],
    "Ray Tune, 2 CPUs": ["ray_tune.py"],
}
SAME = {"padding": "post", "truncation": "post", "optimizer": "adam", "schedule": "constant", "patience": 2}
MODELS = {
    "avg-pool": {
        "epochs": 15,
        "fixed": {**SAME, "embedding_dropout": 0.0, "mask": False, "units": 16, "dropout": 0.0},
        "length": "{type: int, low: 100, high: 400}",
    },
    "lstm": {
        "epochs": 2,
        "fixed": {**SAME, "units": 32, "dropout": 0.0, "recurrent_dropout": 0.0, "mask_zero": False},
        "length": "{type: categorical, choices: [200]}",
    },
}
SPACE = """\
model: {model}
source: perf/peers.py
default: {default}
search:
  sequence_length: {length}
  vocabulary_size: {{type: int, low: 5000, high: 30000}}
  embedding_dim: {{type: categorical, choices: [16, 32]}}
  batch_size: {{type: categorical, choices: [128, 512]}}
  learning_rate: {{type: float, low: 1.0e-4, high: 1.0e-2, log: true}}
"""
START = {"sequence_length": 200, "vocabulary_size": 10_000, "embedding_dim": 16, "batch_size": 512}


@dataclass(frozen=True)
class Measured:
    """Seconds of a search, the best validation accuracy of each trial, and the epochs of all."""

    seconds: float
    accuracies: list[float]
    epochs: int


def make_work(folder: Path, model: str, count: int) -> None:
    """Write what the peers read: texts, labels and configurations."""
    kind = MODELS[model]
    space = folder / "space.yaml"
    default = json.dumps({**kind["fixed"], **START, "learning_rate": 0.001, "epochs": kind["epochs"]})
    space.write_text(SPACE.format(model=model, default=default, length=kind["length"]))
    settings = {"trials": count, "epochs": kind["epochs"], "epochs_exact": True, "sampler": "random"}
    plan = planned(model, "imdb", space, **settings)
    search = Search(plan, None, folder / "proposals")
    searched = list(plan.space.search)
    found = []
    while len(found) < count:
        proposal = search.proposal()
        assert proposal is not None
        values = proposal.spec.flat()
        found.append({name: values[name] for name in searched})
    ranges = {name: [min(one[name] for one in found), max(one[name] for one in found)] for name in searched}
    work = {
        "model": model,
        "epochs": kind["epochs"],
        "patience": 2,
        "configurations": found,
        "ranges": ranges,
    }
    (folder / "work.json").write_text(json.dumps(work))
    parts = {part: plan.dataset.view(part, None) for part in ("train", "validation")}
    (folder / "texts.json").write_text(json.dumps({name: view.texts() for name, view in parts.items()}))
    np.savez(folder / "labels.npz", **{name: view.y for name, view in parts.items()})


def ours(folder: Path, model: str, count: int, workers: list[str]) -> Measured:
    """Carry out the sweep with an empty cache; its seconds end with its last trial."""
    words = ["--model", model, "--dataset", "imdb", "--space", str(folder / "space.yaml")]
    words += [*RANDOM_SEARCH, "--trials", str(count), "--epochs", str(MODELS[model]["epochs"]), *workers]
    with tempfile.TemporaryDirectory() as place:
        _, last = sweep(place, *words, BENCHMARK_CACHE_DIR=f"{place}/cache")
        runs = [run.data for run in runs_of_kind(place, names.TRIAL_RUN)]
    accuracies = [run.metrics[names.BEST_VAL_ACCURACY] for run in runs]
    return Measured(last, accuracies, round(sum(run.metrics[names.EPOCHS_RUN] for run in runs)))


def theirs(folder: Path, words: list[str]) -> Measured:
    """Run a peer."""
    with tempfile.TemporaryDirectory() as place:
        for name in ("work.json", "texts.json", "labels.npz"):
            (Path(place) / name).symlink_to(folder / name)
        started = time.monotonic()
        subprocess.run([sys.executable, str(HERE / "peers" / words[0]), *words[1:]], cwd=place, check=True)
        seconds = time.monotonic() - started
        lines = (Path(place) / "curves.jsonl").read_text().splitlines()
    curves = [json.loads(line)[1:] for line in lines]
    return Measured(seconds, [max(curve) for curve in curves], sum(map(len, curves)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("peers", nargs="*", default=list(PEERS), metavar="PEER")
    parser.add_argument("--model", choices=MODELS, default="avg-pool")
    parser.add_argument("--configurations", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    found: dict[str, list[Measured]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_work(folder, options.model, options.configurations)
        ways = {
            "Textbench": lambda: ours(folder, options.model, options.configurations, []),
            "Textbench, --workers 2": lambda: ours(
                folder, options.model, options.configurations, ["--workers", "2"]
            ),
            **{name: lambda words=PEERS[name]: theirs(folder, words) for name in options.peers},
        }
        for _ in range(options.rounds):
            for name, run in ways.items():
                outcome = run()
                found.setdefault(name, []).append(outcome)
                print(f"  {name}: {outcome}", file=sys.stderr, flush=True)
    packages = ("tensorflow", "keras", "optuna", "mlflow", "keras-tuner", "ray")
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores; ", end="")
    print(", ".join(f"{name} {version(name)}" for name in packages))
    print(f"{options.configurations} configurations of {options.model} on IMDB, {options.rounds} rounds\n")
    print("| | seconds | times as long as Textbench | trials | epochs | median validation accuracy |")
    print("| --- | --- | --- | --- | --- | --- |")
    least = statistics.median(outcome.seconds for outcome in found["Textbench"])
    for name, outcomes in found.items():
        seconds = statistics.median(outcome.seconds for outcome in outcomes)
        last = outcomes[-1]
        work = f"{len(last.accuracies)} | {last.epochs} | {statistics.median(last.accuracies):.4f}"
        print(f"| {name} | {seconds:.0f} | {seconds / least:.1f} | {work} |")


if __name__ == "__main__":
    main()
