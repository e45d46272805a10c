"""How much a tuned row depends on its search: ``python perf/searches.py FOLDER DATASET MODEL [...]``.

Carries out the search of the budget `quick`, without its time limit, 20 times (``--searches``) for each
model, with ``--seed`` 0, 1, 2, …, with the sampler's random start of the budget and with one that it never
leaves; the data come from BENCHMARK_DATA_DIR. The winner of each search, with and without the runs that
confirm the best, and the published default are then trained on the same three final seeds, so that what
differs is the search alone. Prints test accuracies (mean over searches), their standard deviation over
searches, how many searches end below the default, and seconds of training of a search. All is kept in FOLDER:
the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sweeps import planned

from benchmark.plan.run_specs import Plan
from benchmark.plan.space import get_budget
from benchmark.search.study import Search
from benchmark.spec.config import RunSpec
from benchmark.spec.result import EpochReport, Result, Status
from benchmark.training.train import train

BUDGET = get_budget("quick")


def searched(plan: Plan, folder: Path) -> Search:
    """Carry a search to its end."""
    search = Search(plan, None, folder)

    def judge(number: int, report: EpochReport) -> Status | None:
        goes_on = search.report(number, report.epoch, report.best_value)
        return None if goes_on else "pruned"

    while proposal := search.proposal():
        search.tell(
            proposal.number, train(proposal.spec, plan.dataset, on_epoch=partial(judge, proposal.number))
        )
    return search


def unconfirmed(search: Search) -> dict[str, Any]:
    """Return the configuration that would have won by the trials of the sampler alone."""
    values = defaultdict(list)
    facts = ("trial", "run", "status", "val_accuracy", "seconds")
    for row in search.table():
        if row["run"] == 1 and row["status"] == "ok":
            hparams = {name: value for name, value in row.items() if name not in facts}
            values[json.dumps(hparams)].append(row["val_accuracy"])
    best: dict[str, Any] = json.loads(max(values, key=lambda hparams: statistics.fmean(values[hparams])))
    return best


class Finals:
    """Test accuracies of configurations, each trained once, in a file."""

    def __init__(self, folder: Path) -> None:
        self._file, self._ledger = folder / "finals.jsonl", folder / "ledger.jsonl"
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        self._known: dict[str, float] = dict(map(json.loads, lines))

    def mean(self, plan: Plan, hparams: dict[str, Any]) -> float:
        """Return the mean test accuracy in percent over the final seeds."""
        return 100 * statistics.fmean(self._accuracy(plan, spec) for spec in plan.final_specs(hparams))

    def _accuracy(self, plan: Plan, spec: RunSpec) -> float:
        if spec.spec_id not in self._known:
            result: Result = train(spec, plan.dataset, ledger=self._ledger)
            if result.test_accuracy is None:
                raise SystemExit(
                    f"{plan.model.name}: a final run ended as {result.status} ({result.error_line})"
                )
            self._known[spec.spec_id] = result.test_accuracy
            with self._file.open("a") as file:
                file.write(json.dumps([spec.spec_id, result.test_accuracy]) + "\n")
        return self._known[spec.spec_id]


def rows(model: str, dataset: str, searches: int, folder: Path) -> Iterator[str]:
    """Measure a model with each random start."""
    settings = {"trials": BUDGET.trials, "seeds": BUDGET.seeds, "epochs": BUDGET.epochs, "pruner": "median"}
    plan = planned(model, dataset, confirm=BUDGET.confirm, random_start=BUDGET.random_start, **settings)
    finals = Finals(folder)
    default = finals.mean(plan, plan.default)
    for start in (BUDGET.random_start, max(10, BUDGET.trials)):
        ways: dict[str, list[tuple[float, float]]] = {"no": [], "yes": []}
        for seed in range(searches):
            config = plan.config.model_copy(update={"seed": seed, "random_start": start})
            search = searched(replace(plan, config=config), folder / f"start-{start}")
            winner = search.winner()
            assert winner is not None
            proper = sum(row["seconds"] for row in search.table() if row["run"] == 1)
            ways["no"].append((finals.mean(plan, unconfirmed(search)), proper))
            ways["yes"].append((finals.mean(plan, winner.hparams), search.seconds))
        for way, outcomes in ways.items():
            tuned = [accuracy for accuracy, _ in outcomes]
            below = sum(accuracy < default for accuracy in tuned)
            yield (
                f"| {model} | {dataset} | {start} | {way} | {default:.2f} | {statistics.fmean(tuned):.2f} | "
                f"{statistics.stdev(tuned):.2f} | {below} of {len(tuned)} | "
                f"{statistics.fmean(seconds for _, seconds in outcomes):.1f} |"
            )


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("dataset")
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--searches", type=int, default=20)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores; {options.searches} searches\n")
    print(
        "| architecture | data | random start | confirmed | default | tuned | sd over searches | below | s |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for model in options.models:
        for line in rows(model, options.dataset, options.searches, options.folder):
            print(line, flush=True)


if __name__ == "__main__":
    main()
