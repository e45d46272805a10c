"""The board of a data set, read from the stores, and the rows that a user names."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.board.board import Analysis, build_board
from benchmark.board.fold_board import fold_board
from benchmark.board.ranking import baseline_of
from benchmark.board.rows import CHANGED, Board, BoardRow
from benchmark.data.folds import Fold, folds_name, parsed_name
from benchmark.data.ledger_chain import read_entries
from benchmark.data.source import experiment_name, no_runs
from benchmark.support.errors import UserError, did_you_mean
from benchmark.tracking import names
from benchmark.tracking.predictions import PredictionReader
from benchmark.tracking.runs import StoredRun, dataset_inputs, find_runs

_BUDGETS = ("full", "standard", "quick")


def chosen_dataset(client: Any, asked: str | None, folds: int | None = None) -> str:
    """Return the data set that a user names, or else the name of that of the newest sweep.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store.
    asked : str or None
        How the user named it.
    folds : int, optional
        The folds into which the data set was divided, which then are meant.

    Raises
    ------
    UserError
        When none is named and there are no sweeps, or folds are asked for and no data set.
    """
    if asked:
        return folds_name(asked, folds)
    if folds:
        raise UserError("name the data set that was divided with `dataset`", setting="folds", value=folds)
    sweeps = find_runs(client, kinds=(names.SWEEP,))
    if not sweeps:
        raise no_runs("in this store")
    return sweeps[0].dataset


def experiment_of(dataset: str) -> str:
    """Return the experiment of a data set that was named in any way that `read_board` takes."""
    return _parsed(dataset)[0]


def _parsed(dataset: str) -> tuple[str, str | None, str]:
    """Return the experiment, the beginning of a digest, and the path, of a data set as a user names it."""
    dataset, folds = parsed_name(dataset)
    path = os.path.abspath(Path(dataset.partition(":")[2]).expanduser())  # noqa: PTH100 (as sources do)
    name, at, digest = dataset.rpartition("@")
    if at and (":" not in name or (re.fullmatch("[0-9a-f]+", digest) and not Path(path).exists())):
        return folds_name(experiment_name(name), folds), digest, ""
    return folds_name(experiment_name(dataset), folds), None, path if ":" in dataset else ""


def read_board(client: Any, dataset: str, ledger: Path, **options: Any) -> Board:
    """Compute the board of a data set; parameters and errors are those of `read_analysis`."""
    return read_analysis(client, dataset, ledger, **options).board


def read_analysis(
    client: Any,
    dataset: str,
    ledger: Path,
    *,
    metric: str | None = None,
    margin: float | None = None,
    baseline: str | None = None,
    digest: str | None = None,
    single: str | None = None,
) -> Analysis:
    """Compute the board of a data set, and keep what comparisons need.

    Parameters
    ----------
    client, dataset, ledger, digest, single
        As `board_builder` takes them.
    metric : str, optional
        By what rows are ranked; by default each section by what its runs were optimised for.
    margin : float, optional
        The smallest difference worth talking about; by default that of the metric.
    baseline : str, optional
        ``model`` or ``model:tier`` that the rows are compared with.
    """
    build = board_builder(client, dataset, ledger, digest=digest, single=single)
    return build(metric=metric, margin=margin, baseline=baseline)


def board_builder(
    client: Any,
    dataset: str,
    ledger: Path,
    *,
    digest: str | None = None,
    single: str | None = None,
    with_imported: bool = False,
) -> Callable[..., Analysis]:
    """Read the final runs of a data set once, for boards by several metrics.

    Several data sets may have one name: files of one name in different folders, or a file that was changed.
    Their rows are on the board together, ranked apart, and then named ``NAME@DIGEST``.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store with the final runs.
    dataset : str
        Name of the data set, or how it is spelled for `sweep`; ``NAME@`` and the first digits of a digest
        choose one of several.
    ledger : Path
        Ledger of test reads.
    digest : str, optional
        Rows of the data set of this name that has exactly this digest, and no others.
    single : str, optional
        The setting that chose the data set, where it must be a single one: `dataset`, for example.
    with_imported : bool
        Whether rows that were imported are ranked in the largest section of their data set; by default apart.

    Returns
    -------
    callable
        Computes the board by ``metric``, with ``margin`` and ``baseline``, as `read_analysis` has them.

    Raises
    ------
    UserError
        When nothing is known of the data set, the baseline is not on its board, or the name stands for
        several data sets where it must be a single one.
    """
    name, beginning, path = _parsed(dataset)
    stored = _stored_runs(client, name)
    runs = final_runs(stored)
    versions = _versions(client, name, runs)
    if digest is None:
        digest = _chosen(name, beginning, path, versions, single)
    if len(versions) > 1:
        runs = [
            replace(run, tags={**run.tags, names.DATASET: versions[run.data_digest].label}) for run in runs
        ]
    runs = [run for run in runs if digest in (None, run.data_digest, run.dataset_digest)]
    runs = _among_others(runs) if with_imported else runs
    entries = read_entries(ledger)
    here = {run.dataset_digest for run in runs}
    counted = Counter(
        (one["dataset_digest"], one["model"]) for one in entries if one["dataset_digest"] in here
    )
    others = [run for run in stored if run.kind in names.TESTED and run.kind != names.FINAL_RUN]
    others = [run for run in others if run.dataset_digest in here]
    reads = [
        (run.dataset_digest, run.model, run.spec_id)
        for run in (*runs, *others)
        if run.test_accuracy is not None
    ]
    shared: dict[str, Any] = {
        "test_reads": counted,
        "predictions": PredictionReader(client, name),
        "unrecorded": _unrecorded(reads, Counter(str(entry.get("spec_id", "")) for entry in entries)),
        "versions": [str(version) for version in versions.values()] if len(versions) > 1 else (),
    }
    of_runs = partial(build_board, runs, **shared)
    if any(run.fold and digest != run.dataset_digest for run in runs):
        of_runs = partial(_of_folds, runs, shared)

    def build(*, baseline: str | None = None, **options: Any) -> Analysis:
        found = of_runs(baseline=baseline, **options)
        rows = found.board.rows
        if baseline is not None and baseline_of(rows, baseline) is None:
            raise UserError(f"not on this board; {_hint(baseline, rows)}", setting="baseline", value=baseline)
        return found

    return build


def _of_folds(
    runs: Sequence[StoredRun], shared: Mapping[str, Any], *, metric: str | None = None, **options: Any
) -> Analysis:
    """Compute the board over folds."""
    by_fold: dict[Fold, list[StoredRun]] = defaultdict(list)
    for run in runs:
        if run.fold:
            by_fold[Fold(*run.fold, run.data_digest)].append(run)
    boards, examples = {}, Counter[str]()
    for fold, found in by_fold.items():
        boards[fold] = build_board(found, **shared, metric=metric, margin=options.get("margin")).board
        examples[fold.digest] += int(found[0].test_duplicates.rpartition(" ")[2] or 0)
    return fold_board(boards, examples, **options, versions=shared["versions"])


def single_version(client: Any, dataset: str, setting: str = "dataset") -> tuple[str, str]:
    """Return name and digest of the one data set that a user names; errors are those of `board_builder`."""
    name, beginning, path = _parsed(dataset)
    runs = final_runs(_stored_runs(client, name))
    if not runs:
        raise no_runs(f"on data set '{name}'", name)
    versions = _versions(client, name, runs)
    return name, _chosen(name, beginning, path, versions, setting) or next(iter(versions))


def _stored_runs(client: Any, dataset: str) -> list[StoredRun]:
    """Return all runs that a board is made of; an error where nothing is known of the data set."""
    runs = find_runs(client, dataset, (names.SWEEP, *names.TESTED))
    if not runs:
        known = [one.name for one in client.search_experiments() if one.name != "Default"]
        if dataset not in known:
            raise no_runs(f"on data set '{dataset}'", dataset, known)
    return runs


def final_runs(runs: Sequence[StoredRun]) -> list[StoredRun]:
    """Return the final runs that count for a row, each with what the run of its sweep says of all of them."""
    sweeps = {run.study: run for run in runs if run.kind == names.SWEEP}
    duplicates = {run.dataset_digest: run.test_duplicates for run in sweeps.values() if run.test_duplicates}
    finals = []
    for run in runs:
        if run.kind == names.FINAL_RUN and run.mlflow_status != "RUNNING":
            sweep = sweeps.get(run.study, run)
            tags = {
                names.SEEDS_EXPECTED: str(sweep.seeds_expected),
                names.SEARCH_ENDED: sweep.search_ended,
                names.MADE_FOR: sweep.made_for,
                names.TEST_DUPLICATES: duplicates.get(run.dataset_digest, ""),
            }
            metrics = {**sweep.metrics, **run.metrics}
            finals.append(replace(run, tags={**run.tags, **tags}, metrics=metrics))
    return finals


def _among_others(runs: Sequence[StoredRun]) -> list[StoredRun]:
    """Return runs of which the imported ones stand in the section of their data set that has most runs."""
    keys = (names.BUDGET, names.PROTOCOL, names.METRIC)
    sections: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for run in runs:
        if names.IMPORTED not in run.tiers and run.budget != "smoke":
            sections[run.dataset_digest][run.budget, run.protocol, run.optimised_for] += 1
    found = []
    for run in runs:
        if names.IMPORTED in run.tiers and (known := sections[run.dataset_digest]):
            section = zip(keys, known.most_common(1)[0][0], strict=True)
            run = replace(run, tags={**run.tags, **dict(section)})
        found.append(run)
    return found


@dataclass(frozen=True)
class _Version:
    """One of the data sets of a name: ``NAME@DIGEST``, where it is from, and when it was used last."""

    label: str
    home: str
    last: float

    def __str__(self) -> str:
        when = f"{datetime.fromtimestamp(self.last).astimezone():%Y-%m-%d %H:%M}"
        return f"{self.label} ({', '.join(filter(None, (self.home, f'last run {when}')))})"


def _versions(client: Any, name: str, runs: Sequence[StoredRun]) -> dict[str, _Version]:
    """Return the data sets of a name by digest, the one with the newest run first."""
    last: dict[str, float] = defaultdict(float)
    for run in runs:
        last[run.data_digest] = max(last[run.data_digest], run.ended_at)
    homes: dict[str, str] = {}
    if len(last) > 1:
        data = {run.dataset_digest: run.data_digest for run in runs}
        for one in dataset_inputs(client, name):
            with contextlib.suppress(ValueError, AttributeError):
                homes[data.get(one.digest, one.digest)] = str(json.loads(one.source).get("home", ""))
    size = next(n for n in range(8, 99) if len({digest[:n] for digest in last}) == len(last))
    newest_first = sorted(last, key=lambda digest: -last[digest])
    return {
        digest: _Version(f"{name}@{digest[:size]}", homes.get(digest, ""), last[digest])
        for digest in newest_first
    }


def _chosen(
    name: str, beginning: str | None, path: str, versions: Mapping[str, _Version], single: str | None
) -> str | None:
    """Return the digest that a user chose; None where all may be shown."""
    if beginning is None:
        found = list(versions)
        at_path = [digest for digest in found if path and versions[digest].home == path]
        if len(found) > 1 and len(at_path) == 1:
            return at_path[0]
        if single is None or len(found) < 2:
            return None
        problem = f"{len(found)} data sets have this name; name one of them"
    else:
        found = [digest for digest in versions if digest.startswith(beginning)]
        if len(found) == 1:
            return found[0]
        begin = "digests of its data begin" if found else "digest of its data begins"
        problem = f"{len(found) or 'no'} {begin} so; name one of them"
    asked = name if beginning is None else f"{name}@{beginning}"
    known = "; ".join(map(str, versions.values()))
    raise UserError(f"{problem}: {known}", setting=single or "dataset", value=asked)


def _unrecorded(
    reads: Sequence[tuple[str, str, str]], recorded: Mapping[str, int]
) -> Counter[tuple[str, str]]:
    """Count the runs, by digest and model, that have read a test split more often than the ledger says."""
    missing: Counter[tuple[str, str]] = Counter()
    for (digest, model, spec_id), count in Counter(reads).items():
        missing[digest, model] += max(0, count - recorded.get(spec_id, 0))
    return missing


def find_pair(rows: Sequence[BoardRow], a: str, b: str, budget: str | None) -> tuple[BoardRow, BoardRow]:
    """Find the two rows that a user wants to compare.

    Parameters
    ----------
    rows : sequence of BoardRow
        Of one board.
    a, b : str
        ``model`` or ``model:tier``. Without a tier: the tuned row, where there is one.
    budget : str or None
        None takes the largest that both have.

    Raises
    ------
    UserError
        When one of them is not on the board, has no finished seed, is a smoke test, or the two have no data
        set in common.
    """
    named = {name: _named(rows, name, budget) for name in (a, b)}
    pairs = [
        (first, second)
        for first in named[a]
        for second in named[b]
        if first.dataset_digest == second.dataset_digest
    ]
    if not pairs:
        raise UserError(f"{a} and {b} have no data in common: their runs are on versions that differ")
    pair = min(pairs, key=lambda pair: (pair[0].budget != pair[1].budget, *map(_preference, pair)))
    if pair[0].run_ids == pair[1].run_ids:
        raise UserError(f"{a} and {b} are the same runs: the default has won its search")
    return pair


def _named(rows: Sequence[BoardRow], name: str, budget: str | None) -> list[BoardRow]:
    model, _, tier = name.partition(":")
    found = [row for row in rows if row.model == model and tier in ("", row.tier)]
    if not found:
        board = ", ".join(dict.fromkeys(row.dataset for row in rows))
        raise UserError(f"'{name}' is not on the board of {board or 'this data set'}; {_hint(name, rows)}")
    if budget is not None and not any(row.budget == budget for row in found):
        has = ", ".join(sorted({row.budget for row in found}))
        raise UserError(f"'{name}' has no row of it; its budgets: {has}", setting="budget", value=budget)
    asked = [row for row in found if budget in (None, row.budget) and row.watermark is None]
    found = [row for row in asked if row.test_mean is not None]
    if not found:
        changed = [note for row in asked for note in row.notes if note.endswith(CHANGED)]
        why = [*changed, "smoke tests are not results"][0]
        raise UserError(f"'{name}' has no finished run that counts; {why}")
    return found


def _preference(row: BoardRow) -> tuple[int, bool, int]:
    budget = _BUDGETS.index(row.budget) if row.budget in _BUDGETS else len(_BUDGETS)
    return budget, row.tier != "tuned", -row.n_seeds


def _hint(name: str, rows: Sequence[BoardRow]) -> str:
    if not rows:
        return "it is empty"
    return did_you_mean(name, [known for row in rows for known in (row.model, f"{row.model}:{row.tier}")])
