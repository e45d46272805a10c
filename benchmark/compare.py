"""Two rows of a board, and what may be said of them. Run as ``python -m benchmark.compare``."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmark import cli
from benchmark.report.results import ComparisonResult
from benchmark.stats.intervals import MIN_SEEDS
from benchmark.support.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmark.board.ranking import Measured
    from benchmark.board.rows import BoardRow
    from benchmark.display.events import Display
    from benchmark.driver.session import Session
    from benchmark.report.class_tables import Classes
    from benchmark.report.verdict import Compared, ComparedByExample

_MOST_SEEDS = 20


@cli.command(
    "compare",
    cli.option("a A", "model, or model:tier"),
    cli.option("b B", "what it is compared with"),
    cli.BOARD_DATASET,
    cli.FOLDS,
    cli.option("--budget B", "rows of this budget (default: the largest that both have)"),
    cli.METRIC,
    cli.MARGIN,
    cli.switch("--until-decided", "train further seeds until the verdict is clear"),
    cli.option(
        "--max-seeds N",
        "with --until-decided: most seeds of each, those there are included (default: 20)",
        cli.whole_number(3),
    ),
    cli.switch("--fail-if-worse", "exit code 3 where A is worse than B by more than the margin"),
    cli.switch("--json", "print the verdict and its figures as JSON"),
    cli.TRACKING_URI,
)
def main(options: Namespace) -> int:
    """Say which of two models is better on a data set: the verdict in one sentence, and the figures behind
    it. Each is MODEL or MODEL:TIER, as on the board; without a tier, the tuned row. --until-decided trains
    further seeds of both until the verdict is clear, there are --max-seeds of them, or nothing that the
    remaining ones are likely to show would decide. The error rate of 5 % holds although the data are
    compared several times (docs/statistics.md).

    examples:
      python -m benchmark.compare nbsvm avg-pool --dataset imdb
      python -m benchmark.compare avg-pool:tuned avg-pool:default
      python -m benchmark.compare avg-pool fasttext --until-decided --max-seeds 12
      python -m benchmark.compare nbsvm tfidf-logreg --fail-if-worse --margin 1
    """
    from benchmark.display.live import make_display

    with make_display(options.json) as display:
        result = run(options, display)
    record, text, gate = result.compared.record(), result.text, result.gate
    if gate is not None:
        record, text = {**record, "gate": gate.record()}, f"{text}\n\n{gate.text()}"
    cli.show(record, text, options.json)
    return cli.GATE_FAILED if gate is not None and gate.failed else cli.DONE


def run(options: Namespace, display: Display) -> ComparisonResult:
    """Compare two rows, after further seeds where `until_decided` asks for them."""
    if options.fail_if_worse and options.until_decided:
        raise UserError("goes without `until_decided`", setting="fail_if_worse")
    if options.max_seeds is not None and not options.until_decided:
        raise UserError("goes with `until_decided`", setting="max_seeds")
    from benchmark.driver.session import open_session
    from benchmark.report.verdict import Compared
    from benchmark.tracking.store import resolve_uri

    uri = resolve_uri(options.tracking_uri, cli.RUNS)
    cli.check_embedded_store(uri, options.dataset)
    with open_session(cli.RUNS, options.tracking_uri, display) as session:
        compared = _until_decided(options, session) if options.until_decided else _once(options, session)
        if isinstance(compared, Compared):
            compared = replace(compared, classes=_classes(session.client, compared.a, compared.b))
    return ComparisonResult(compared)


def _once(options: Namespace, session: Session) -> Compared | ComparedByExample:
    """Compare what is there."""
    from benchmark.board.gate import pair_gate
    from benchmark.board.ranking import verdict
    from benchmark.report.verdict import Compared

    rows, runs, a, b = _read(options, session)
    if not {a, b} <= runs.keys() and "imported" in (rows[a].tier, rows[b].tier):
        return _by_example(session.client, rows[a], rows[b], options)
    for place in (a, b):
        if place not in runs and rows[place].folds:
            raise UserError(f"a comparison needs a result on all folds: {'; '.join(rows[place].notes)}")
        if place not in runs:
            reason = f"a comparison needs {MIN_SEEDS} seeds with predictions, and {rows[place].name} has"
            raise UserError(f"{reason} {rows[place].n_seeds}; train more, or add `until_decided`")
    found, words = verdict(rows, runs, a, b, options.margin)
    asked = options.fail_if_worse
    gate = pair_gate((rows[a], rows[b]), (runs[a], runs[b]), options.margin) if asked else None
    return Compared(rows[a], rows[b], found, words, gate=gate)


def _by_example(client: Any, a: BoardRow, b: BoardRow, options: Namespace) -> ComparedByExample:
    """Compare with predictions that were imported, where these are of too few seeds for more."""
    import numpy as np

    from benchmark.board.gate import pair_gate
    from benchmark.metrics.metric import get_metric
    from benchmark.report.verdict import ComparedByExample
    from benchmark.stats.differences import fixed
    from benchmark.stats.intervals import example_difference
    from benchmark.tracking.predictions import PredictionReader

    metric, reader = get_metric(a.metric), PredictionReader(client)
    values = []
    for row in (a, b):
        found = [reader.measured(run_id, metric) for run_id in row.run_ids]
        known = [one.pseudo_values for one in found if one is not None and one.pseudo_values is not None]
        if not known or len(known) < len(found):
            raise UserError(f"{row.name}: {metric.title} is unknown of its single examples")
        values.append(np.asarray(np.mean(known, axis=0, dtype=np.float64)))
    difference, interval, p_value = example_difference(values[0], values[1])
    measured = (fixed(values[0]), fixed(values[1]))
    gate = pair_gate((a, b), measured, options.margin) if options.fail_if_worse else None
    margin = metric.margin_for(options.margin)
    return ComparedByExample(a, b, difference, interval, p_value, len(values[0]), margin, gate)


def _until_decided(options: Namespace, session: Session) -> Compared:
    """Add seeds, and compare after as many as a plan says that is fixed before the first comparison."""
    from benchmark.board.ranking import scale_of
    from benchmark.board.stored_board import experiment_of
    from benchmark.driver.further_seeds import run_seeds
    from benchmark.metrics.metric import get_metric
    from benchmark.report.verdict import Compared
    from benchmark.stats.differences import Runs, differences
    from benchmark.stats.verdicts import SequentialPlan, family, sentence
    from benchmark.tracking.tier_means import write_means

    most = options.max_seeds or _MOST_SEEDS
    rows, runs, a, b = _read(options, session)
    if rows[a].folds:
        reason = "more seeds do not tell more folds apart; compare without it"
        raise UserError(reason, setting="until_decided")
    there = min(rows[a].n_seeds, rows[b].n_seeds)
    if imported := next((rows[one].name for one in (a, b) if rows[one].tier == "imported"), None):
        raise UserError(f"{imported}: its model was trained elsewhere; leave `until_decided` out")
    if there > most:
        raise UserError(f"there are {there} seeds already; allow more", setting="max_seeds", value=most)
    plan, number, tried = SequentialPlan(most, max(there, MIN_SEEDS)), 0, there
    metric = get_metric(rows[a].metric)
    scale, margin = scale_of(metric), metric.margin_for(options.margin)
    while True:
        there = min(runs[place].n_seeds if place in runs else 0 for place in (a, b))
        if there >= plan.analyses[number]:
            both = [one for one in (runs[a], runs[b]) if isinstance(one, Runs)]
            pair = differences(both, [0], [1], both[0].classes)
            shaky = [(rows[a].unsteady, rows[b].unsteady)]
            counts = [(runs[a].n_seeds, runs[b].n_seeds)]
            level = plan.level_at(number)
            found = family(pair, counts, margin=margin, level=level, unsteady=shaky, scale=scale)[0]
            possible, expected = plan.outlook(pair, number, margin)
            last = there >= most
            text = f"{there} seeds: {sentence(found, rows[a].name, rows[b].name)}"
            if found.outcome != "undecided" or last or not possible:
                if found.outcome == "undecided" and not last:
                    text += f"; stopped, since nothing that {most} seeds are likely to show would decide"
                session.display.line(text)
                write_means(session.client, experiment_of(rows[a].dataset), (rows[a], rows[b]))
                return Compared(rows[a], rows[b], found, "", plan)
            end = f"after {expected} seeds" if expected else f"undecided after {most} seeds"
            session.display.line(f"{text}; expected end, if this difference stays: {end}")
            number += 1
        tried = max(tried + 1, plan.analyses[number])
        if tried > 2 * most:
            raise UserError(f"{rows[a].name} and {rows[b].name}: too many seeds fail; see MLflow")
        for place in (a, b):
            run_seeds(rows[place], tried, session)
        rows, runs, a, b = _read(options, session, (rows[a], rows[b]))


def _read(
    options: Namespace, session: Session, pair: tuple[BoardRow, BoardRow] | None = None
) -> tuple[Sequence[BoardRow], Mapping[int, Measured], int, int]:
    """Read the board, what comparisons need of its runs, and the places of the two rows."""
    from benchmark.board.ranking import systems
    from benchmark.board.stored_board import chosen_dataset, find_pair, read_analysis

    dataset = chosen_dataset(session.client, options.dataset, options.folds)
    board, runs = read_analysis(
        session.client,
        dataset,
        session.runs.ledger,
        metric=options.metric,
        margin=options.margin,
        single="dataset",
    )
    rows, system = board.rows, systems(board.rows)
    if pair is None:
        pair = find_pair(rows, options.a, options.b, options.budget)
    a, b = (next(place for place, row in enumerate(rows) if one.identity == row.identity) for one in pair)
    return rows, runs, system[a], system[b]


def _classes(client: Any, a: BoardRow, b: BoardRow) -> Classes | None:
    """Read what two rows answer by class; None where predictions are missing, or of different data."""
    from benchmark.board.page_content import read_confusion
    from benchmark.board.stored_board import experiment_of
    from benchmark.report.class_tables import Classes
    from benchmark.tracking.runs import class_names

    first, second = (read_confusion(client, row) for row in (a, b))
    if first is None or second is None or first.shape != second.shape:
        return None
    names = class_names(client, experiment_of(a.dataset)).get(a.dataset_digest, ())
    names = names if len(names) == len(first) else tuple(map(str, range(len(first))))
    return Classes(names, first, second, first.sum(axis=1) * max(1, len(a.folds)) // a.n_seeds)


if __name__ == "__main__":
    sys.exit(main())
