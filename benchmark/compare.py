"""Two rows of a board, and what may be said of them. Run as ``python -m benchmark.compare``."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from benchmark import cli
from benchmark.support.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmark.board.rows import BoardRow
    from benchmark.driver.session import Session
    from benchmark.report.verdict import Compared

_MOST_SEEDS = 20


@cli.command(
    "compare",
    cli.option("a A", "model, or model:tier"),
    cli.option("b B", "what it is compared with"),
    cli.BOARD_DATASET,
    cli.option("--budget B", "rows of this budget (default: the largest that both have)"),
    cli.MARGIN,
    cli.switch("--until-decided", "train further seeds until the verdict is clear"),
    cli.option(
        "--max-seeds N",
        "with --until-decided: most seeds of each, those there are included (default: 20)",
        cli.whole_number(3),
    ),
    cli.switch("--json", "print the verdict and its figures as JSON"),
    cli.TRACKING_URI,
)
def main(options: Namespace) -> int:
    """Say which of two models is better on a data set: the verdict in one sentence, and the figures behind
    it. Each is MODEL or MODEL:TIER, as on the board; without a tier, the tuned row. --until-decided
    trains further seeds of both, one by one, until the verdict is clear or there are --max-seeds of them.
    The error rate of 5 % holds although the data are compared after each seed (docs/statistics.md).

    examples:
      python -m benchmark.compare nbsvm avg-pool --dataset imdb
      python -m benchmark.compare avg-pool:tuned avg-pool:default
      python -m benchmark.compare avg-pool fasttext --until-decided --max-seeds 12
    """
    if options.max_seeds is not None and not options.until_decided:
        raise UserError("goes with `until_decided`", setting="max_seeds")
    from benchmark.display.live import make_display
    from benchmark.driver.session import open_session
    from benchmark.report.verdict import to_text
    from benchmark.tracking.store import resolve_uri

    uri = resolve_uri(options.tracking_uri, cli.RUNS)
    cli.check_embedded_store(uri)
    with (
        make_display(options.json) as display,
        open_session(cli.RUNS, options.tracking_uri, display) as session,
    ):
        compared = _until_decided(options, session) if options.until_decided else _once(options, session)
    cli.show(compared.record(), to_text(compared), options.json)
    return cli.DONE


def _once(options: Namespace, session: Session) -> Compared:
    """Compare what is there."""
    from benchmark.report.verdict import Compared
    from benchmark.stats import comparisons
    from benchmark.stats.verdicts import verdict

    a, b, first, second = _read(options, session)
    if not len(first):
        raise UserError(f"{a.name} and {b.name} have no seed in common with predictions of both")
    comparison = comparisons.compare(first, second, margin=options.margin)
    return Compared(a, b, comparison, verdict(comparison))


def _until_decided(options: Namespace, session: Session) -> Compared:
    """Add seeds, one by one, and compare after each, as a plan says that is fixed now."""
    from benchmark.driver.further_seeds import run_seeds
    from benchmark.report.verdict import Compared
    from benchmark.stats.verdicts import SequentialPlan, sentence, take_look
    from benchmark.training.devices import set_up_device

    plan = SequentialPlan(options.max_seeds or _MOST_SEEDS)
    a, b, first, second = _read(options, session)
    if len(first) > plan.max_seeds:
        raise UserError(
            f"there are {len(first)} seeds already; allow more", setting="max_seeds", value=plan.max_seeds
        )
    tried, ready = len(first), False
    while True:
        before = len(first)
        if before >= plan.first:
            number = min(before, plan.max_seeds) - plan.first
            comparison, found, stop = take_look(first, second, plan, number, margin=options.margin)
            session.display.line(f"{before} seeds: {sentence(comparison, a.name, b.name, found)}")
            if stop:
                return Compared(a, b, comparison, found, plan)
        if not ready:  # TensorFlow takes seconds to import, and a verdict may need no more seeds
            set_up_device("auto")
            ready = True
        while len(first) == before:  # a seed that fails in one of the two is none of both
            tried += 1
            if tried > 2 * plan.max_seeds:
                raise UserError(f"{a.name} and {b.name}: too many seeds fail; see their runs in MLflow")
            for row in (a, b):
                run_seeds(row, tried, session)
            a, b, first, second = _read(options, session, (a, b))


def _read(
    options: Namespace, session: Session, rows: tuple[BoardRow, BoardRow] | None = None
) -> tuple[BoardRow, BoardRow, NDArray[np.bool_], NDArray[np.bool_]]:
    """Read the two rows, and which examples they have right on the seeds of both: [seeds, examples]."""
    import numpy as np

    from benchmark.board.stored_board import chosen_dataset, find_pair, read_board
    from benchmark.tracking.predictions import AnswerReader

    dataset = chosen_dataset(session.client, options.dataset)
    board = read_board(session.client, dataset, session.runs.ledger, margin=options.margin, single="dataset")
    if rows is None:
        a, b = find_pair(board.rows, options.a, options.b, options.budget)
    else:
        a, b = (next(new for new in board.rows if _same(old, new)) for old in rows)
    read = AnswerReader(session.client)
    answers = [{seed: read(run) for seed, run in zip(row.seeds, row.run_ids, strict=True)} for row in (a, b)]
    first, second = ({seed: right for seed, right in own.items() if right is not None} for own in answers)
    shared = sorted(first.keys() & second.keys())
    return a, b, np.array([first[seed] for seed in shared]), np.array([second[seed] for seed in shared])


def _same(old: BoardRow, new: BoardRow) -> bool:
    names = ("model", "tier", "budget", "study", "protocol", "dataset_digest")
    return all(getattr(old, name) == getattr(new, name) for name in names)


if __name__ == "__main__":
    sys.exit(main())
