"""Reads of test splits, and whether their record is whole. Run as ``python -m benchmark.ledger``."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import cli
from benchmark.support.files import RunsFolder
from benchmark.support.printable import printable

if TYPE_CHECKING:
    from benchmark.tracking.runs import StoredRun


@cli.command(
    "ledger",
    cli.option(
        "action verify",
        "hold the entries against their hashes and the store (default: print the reads)",
        cli.Choice("word", ("verify",)),
        nargs="?",
    ),
    cli.TRACKING_URI,
)
def main(options: Namespace) -> int:
    """Print how often each model has read each test split. With 'verify': find entries of mlruns/ledger.jsonl
    that were changed, removed or reordered. Their hashes show what happened in the middle; what is
    missing at the end shows when the ledger is held against the store, whose final runs, those of reproduce
    and curve included, must each have an entry. Runs that were made from another folder, on a tracking
    server that several share, have theirs in that folder's ledger and are reported here.

    exit codes of verify: 0 intact, 1 damaged or incomplete, 2 the request is wrong
    """
    file = RunsFolder(cli.RUNS).ledger
    if options.action is None:
        print(_reads(file))
        return cli.DONE
    from benchmark.data.ledger_chain import examine
    from benchmark.tracking import names
    from benchmark.tracking.runs import find_runs
    from benchmark.tracking.store import connect, resolve_uri

    uri = resolve_uri(options.tracking_uri, cli.RUNS)
    cli.check_embedded_store(uri)
    # Runs first: whoever reads a test split now writes the entry before the store hears of it.
    found = find_runs(connect(uri), kinds=names.TESTED)
    runs = [run for run in found if run.test_accuracy is not None]
    entries, damage = examine(file)
    problems = [f"{file}, line {found.line}: {found.what}" for found in damage]
    problems += _unaccounted(file, entries, runs)
    intact = f"ledger intact: {len(entries):,} entries, {len(runs):,} final runs accounted for"
    cli.say("\n".join(map(printable, problems)) or intact)
    return cli.SOME_FAILED if problems else cli.DONE


def _unaccounted(file: Path, entries: Sequence[dict[str, Any]], runs: Sequence[StoredRun]) -> list[str]:
    """Name the runs that have read a test split more often than the ledger says."""
    if runs and not file.exists():
        return [f"{file}: there is no such file, but {len(runs):,} final runs have read a test split"]
    counted = Counter(str(entry.get("spec_id", "")) for entry in entries)
    by_spec: dict[str, list[StoredRun]] = defaultdict(list)
    for run in runs:
        by_spec[run.spec_id].append(run)
    return [
        f"{file}: {counted[spec_id]} entries, not {len(group)}, for {group[0].model} on {group[0].dataset} "
        f"(run {', '.join(run.run_id for run in group)}): cut off at the end, taken out, or changed"
        for spec_id, group in by_spec.items()
        if counted[spec_id] < len(group)
    ]


def _reads(file: Path) -> str:
    from benchmark.data.ledger_chain import IMPORTED, read_entries

    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for entry in read_entries(file):
        if entry["model"] == IMPORTED:
            continue
        counts[str(entry.get("dataset", "")), str(entry["dataset_digest"])][str(entry["model"])] += 1
    if not counts:
        return f"no reads of a test split: {file} has no entries"
    lines = []
    for (dataset, digest), models in sorted(counts.items()):
        lines.append(f"{dataset} (digest {digest}): {models.total():,} reads of the test split")
        lines += [f"  {model:<20} {count:>6,}" for model, count in models.most_common()]
    return "\n".join(map(printable, lines))


if __name__ == "__main__":
    sys.exit(main())
