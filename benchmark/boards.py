"""The board of a data set, read from the stores, and the rows that a user names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from benchmark.report.rows import Board, BoardRow

_BUDGETS = ("full", "standard", "quick")


def chosen_dataset(client: Any, asked: str | None) -> str:
    """Return the experiment of the data set that a user names, or else of the newest sweep.

    Raises
    ------
    UserError
        When none is named and there are no sweeps.
    """
    from benchmark.data.source import experiment_name
    from benchmark.tracking.reader import latest_dataset

    dataset = experiment_name(asked) if asked else latest_dataset(client)
    if dataset is None:
        raise UserError("this store has no sweeps; run one: python -m benchmark.sweep --model avg-pool")
    return dataset


def read_board(
    client: Any, dataset: str, ledger: Path, *, margin: float | None = None, baseline: str | None = None
) -> Board:
    """Compute the board of a data set.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store with the final runs.
    dataset : str
        Name of the data set.
    ledger : Path
        Ledger of test reads.
    margin : float, optional
        The smallest difference of accuracy worth talking about; by default half a point.
    baseline : str, optional
        ``model`` or ``model:tier`` that the rows are compared with.

    Raises
    ------
    UserError
        When nothing is known of the data set, or the baseline is not on its board.
    """
    from benchmark.data.ledger import looks
    from benchmark.report.board import build_board
    from benchmark.report.ranking import MARGIN, baseline_of
    from benchmark.tracking.answers import AnswerReader
    from benchmark.tracking.reader import final_runs

    runs = final_runs(client, dataset)
    counted = {
        (digest, model): count
        for digest in {run.dataset_digest for run in runs}
        for model, count in looks(ledger, digest).items()
    }
    board = build_board(
        runs, counted, AnswerReader(client), margin=MARGIN if margin is None else margin, baseline=baseline
    )
    if baseline is not None and baseline_of(board.rows, baseline) is None:
        raise UserError(f"--baseline {baseline}: not on this board; {_hint(baseline, board.rows)}")
    return board


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
        raise UserError(f"'{name}' is not on this board; {_hint(name, rows)}")
    if budget is not None and not any(row.budget == budget for row in found):
        has = ", ".join(sorted({row.budget for row in found}))
        raise UserError(f"--budget {budget}: '{name}' has no row of it; its budgets: {has}")
    found = [row for row in found if budget in (None, row.budget) and row.watermark is None and row.run_ids]
    if not found:
        raise UserError(f"'{name}' has no finished run that counts; smoke tests are not results")
    return found


def _preference(row: BoardRow) -> tuple[int, bool, int]:
    budget = _BUDGETS.index(row.budget) if row.budget in _BUDGETS else len(_BUDGETS)
    return budget, row.tier != "tuned", -row.n_seeds


def _hint(name: str, rows: Sequence[BoardRow]) -> str:
    if not rows:
        return "it is empty"
    return did_you_mean(name, [known for row in rows for known in (row.model, f"{row.model}:{row.tier}")])
