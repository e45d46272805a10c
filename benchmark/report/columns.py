"""What the board's tables show: sections, columns, how a figure is written, and what it means."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

from benchmark.board.rows import Board, BoardRow
from benchmark.metrics.metric import ACCURACY, UNEVEN, get_metric

EMPTY = "The board is empty. Make a result: python -m benchmark.sweep --model lstm"
NOTHING = "-"


@dataclass(frozen=True)
class Column:
    """One column: heading, the text of a cell, and what it is worth when the room is short.

    Attributes
    ----------
    keep : int
        Columns with the smallest number are left out first; 9 is never left out.
    """

    heading: str
    text: Callable[[BoardRow], str]
    numeric: bool = True
    keep: int = 0


@dataclass(frozen=True)
class Section:
    """Rows that are ranked against each other, or the smoke tests of a data set."""

    title: str
    rows: tuple[BoardRow, ...]
    watermark: str | None


def sections(rows: Sequence[BoardRow]) -> list[Section]:
    """Split a board by data set, budget, protocol and what was optimised; smoke tests come last.

    Parameters
    ----------
    rows : sequence of BoardRow
        As `Board.rows` has them.

    Returns
    -------
    list of Section
        In the order in which the rows name them.
    """
    groups: dict[tuple[bool, tuple[str, ...]], list[BoardRow]] = defaultdict(list)
    for row in rows:
        groups[row.watermark is not None, row.race].append(row)
    several = len({row.protocol for row in rows}) > 1
    found = []
    for _, group in sorted(groups.items(), key=lambda item: item[0][0]):
        first = group[0]
        title = f"{first.dataset}, budget {first.budget}"
        if several or first.protocol != "inductive":
            title += f", protocol {first.protocol}"
        if first.metric != ACCURACY:
            title += f", by {get_metric(first.metric).title}"
        if first.exploratory:
            title += f" (exploratory: optimised for {get_metric(first.optimised_for).title})"
        found.append(Section(title, tuple(group), first.watermark))
    return found


def captions(board: Board) -> list[str]:
    """Say what the figures of a board mean, how often test splits were read, and what is not equal."""
    return [*_data(board), *_test_reads(board), *_meanings(board), *_ranks(board), *_searches(board.rows)]


def _data(board: Board) -> list[str]:
    """Say what a reader must know of the data: a shared name, and test texts that are in training, too."""
    shared_name = [f"{len(board.versions)} data sets have this name: {'; '.join(board.versions)}"]
    duplicates = {row.dataset_digest: row for row in board.rows if row.test_duplicates}
    uneven = {
        row.dataset: board.majority[row.dataset_digest]
        for row in board.rows
        if row.metric == ACCURACY and board.majority.get(row.dataset_digest, 0.0) >= UNEVEN
    }
    return [
        *(shared_name if board.versions else []),
        *(
            f"{row.dataset}: {row.test_duplicates} test texts are also in the training split"
            for row in duplicates.values()
        ),
        *(
            f"{name}: {percent(share, 0)} % of the test texts are of one class: accuracy cannot tell models "
            "apart here; consider the metric macro_f1"
            for name, share in uneven.items()
        ),
    ]


def _test_reads(board: Board) -> list[str]:
    groups: dict[str, dict[str, BoardRow]] = defaultdict(dict)
    names: dict[str, str] = {}
    for row in board.rows:
        names[row.dataset_digest] = row.dataset
        groups[row.dataset_digest][row.model] = row
    lines = []
    for digest, models in groups.items():
        most_first = sorted(models.values(), key=lambda row: (-row.test_reads, row.model))
        counts = ", ".join(f"{row.model} {_least(row)}{row.test_reads}" for row in most_first)
        if shown := board.examples_shown.get(digest):
            counts += f"; examples shown to people {shown}"
        if missing := sum(row.test_reads_unrecorded for row in most_first):
            counts += f"; {missing} of these runs have no entry in the ledger of this folder"
        lines.append(f"{names[digest]} (digest {digest}): reads of the test split: {counts}")
    return lines


def _least(row: BoardRow) -> str:
    return "at least " if row.test_reads_unrecorded else ""


def _meanings(board: Board) -> list[str]:
    interval = f"{100 * board.level:g} % interval"
    lines = []
    for name in dict.fromkeys(row.metric for row in board.rows if row.test_mean is not None):
        title = board.metrics[name].title
        over = f"seeds with its {interval} for other seeds on this test set"
        if any(row.folds for row in board.rows):
            over = f"folds, of each the mean over its seeds, with its {interval} for other data of this kind"
        lines.append(f"Test {title}: mean over {over}")
        if not board.metrics[name].larger_is_better:
            lines.append(f"Of {title} less is better")
    if any(row.exploratory and row.test_mean is not None for row in board.rows):
        lines.append(
            "Exploratory: the metric was chosen after the runs, which were optimised for a different one"
        )
    if any(row.sampling_error is not None for row in board.rows):
        lines.append(
            "Sampling error: standard error, in points, for these trained models on other examples of this "
            "kind; the spread over seeds is not part of it"
        )
    if compared := dict.fromkeys(row.metric for row in board.rows if row.difference is not None):
        margins = "; ".join(dict.fromkeys(map(partial(_margin, board), compared)))
        folds = any(row.folds for row in board.rows)
        new, found = ("data of this kind", "folds") if folds else ("seeds and new examples", "seeds")
        lines.append(
            f"vs: difference in points with its interval for new {new}; interval and p are "
            f"corrected for the whole column ({interval}); {margins}; "
            f"undecided (N): these {found} find N points with 80 %"
        )
        if folds:
            lines.append(
                "Folds share training texts: their spread is inflated (Nadeau and Bengio 2003), which is a "
                "heuristic: no unbiased variance exists (Bengio and Grandvalet 2004)"
            )
    return lines


def _ranks(board: Board) -> list[str]:
    parts = [section.rows for section in sections(board.rows)]
    if all(sum(row.rank is not None for row in rows) < 2 for rows in parts):
        return []
    return [
        "Rank: all places that the comparisons leave open, from 1 plus the rows shown to be better to the "
        f"number of rows less those shown to be worse (error {100 * (1 - board.level):.2g} % for all pairs)"
    ]


def _margin(board: Board, name: str) -> str:
    """Say within what rows are equivalent; the default is written as in the documentation: 0.5, not 0.50."""
    facts = board.metrics[name]
    if facts.margin is None:
        return f"nothing is equivalent by {facts.title} unless a margin is given"
    shown = facts.margin * (100 if facts.percent else 1)
    text = f"{shown:.1f}" if facts.percent and round(shown, 1) == round(shown, 9) else f"{shown:g}"
    return f"equivalent: within {text}{' points' if facts.percent else ''}"


def _searches(rows: Sequence[BoardRow]) -> list[str]:
    parts = sections(rows)
    lines = []
    for part in parts:
        trials = {row.search_trials for row in part.rows if "tuned" in row.tier and not part.watermark}
        where = f" ({part.title})" if len(parts) > 1 else ""
        if len(trials) > 1:
            lines.append(f"Search budgets differ{where}: one search of {min(trials)} to {max(trials)} trials")
        elif trials:
            number = trials.pop()
            of = " on each fold" if part.rows[0].folds else ""
            lines.append(f"Search{where}: one search of {counted(number, 'trial')}{of} for each tuned row")
    return lines


def columns(rows: Sequence[BoardRow], *, wide: bool = False) -> list[Column]:
    """Choose the columns of a section.

    Parameters
    ----------
    rows : sequence of BoardRow
        The section's rows; the study is shown where model and tier alone are ambiguous.
    wide : bool
        Show everything a row knows.

    Returns
    -------
    list of Column
    """
    ambiguous = max(Counter((row.model, row.tier) for row in rows).values(), default=0) > 1
    chosen = [
        Column("rank", rank, keep=8),
        Column("model", lambda row: row.model, numeric=False, keep=9),
        Column("tier", lambda row: row.tier, numeric=False, keep=9),
    ]
    if ambiguous or wide:
        chosen.append(Column("study", lambda row: row.study, numeric=False, keep=8))
    if any(row.watermark for row in rows):
        chosen.append(Column("watermark", lambda row: row.watermark or "", numeric=False, keep=9))
    metric = get_metric(rows[0].metric)
    chosen.append(Column(f"test {metric.title}{' %' if metric.percent else ''}", score, keep=9))
    if wide or any(row.sampling_error is not None for row in rows):
        chosen.append(Column("sampling error", sampling_error, keep=5))
    names = {row.baseline for row in rows if row.baseline is not None}
    if names:
        heading = f"vs {min(names)}" if len(names) == 1 else "vs baseline"
        chosen.append(Column(heading, lambda row: _versus(row, names), keep=7))
    chosen += [
        Column("seeds", seeds_in_words if wide else seeds, keep=6),
        Column("val %" if metric.percent else "val", lambda row: amount(row, row.val_mean), keep=3),
        Column("parameters", lambda row: whole(row.parameters), keep=2),
        Column("train s", lambda row: decimal(row.train_seconds_median, 1), keep=1),
        Column("search trials", lambda row: whole(row.search_trials), keep=4),
    ]
    if wide or any(row.predict_ms is not None for row in rows):
        chosen += [
            Column("predict ms", lambda row: decimal(row.predict_ms, 1), keep=0),
            Column("texts/s", lambda row: decimal(row.predict_texts_per_second, 0), keep=0),
        ]
    return chosen + (_more() if wide else [])


def _more() -> list[Column]:
    return [
        Column("search s", lambda row: decimal(row.search_seconds, 0)),
        Column("val-test gap", lambda row: signed(row, row.val_test_gap)),
        Column("std", lambda row: amount(row, row.test_std, 2)),
        Column("seeds that fail", failures),
        Column("median [min, max]", median),
        Column("sampling interval", lambda row: _interval(row, row.sampling_ci_low, row.sampling_ci_high)),
        Column("corrected p", lambda row: NOTHING if row.difference_p is None else f"{row.difference_p:.2g}"),
        Column("test loss", lambda row: decimal(row.test_loss_mean, 4)),
        Column("epochs", lambda row: decimal(row.epochs_median, 1)),
        Column("test reads", lambda row: _least(row) + whole(row.test_reads)),
        Column("protocol", lambda row: row.protocol, numeric=False),
        Column("optimised for", lambda row: row.optimised_for, numeric=False),
        Column("device", lambda row: row.device, numeric=False),
        Column("machine", lambda row: row.machine, numeric=False),
        Column("versions", lambda row: row.versions, numeric=False),
        Column("commit", lambda row: row.git_commit, numeric=False),
        Column("data digest", lambda row: row.dataset_digest, numeric=False),
        Column("runs", lambda row: " ".join(run_id[:8] for run_id in row.run_ids), numeric=False),
    ]


def fitting(
    chosen: Sequence[Column], fits: Callable[[Sequence[Column]], bool]
) -> tuple[Sequence[Column], list[str]]:
    """Leave out the least important columns until the rest fits; return it, and the headings left out."""
    hidden: list[str] = []
    while not fits(chosen) and any(column.keep < 9 for column in chosen):
        # Of equally important ones the last goes first.
        least = min(reversed(chosen), key=lambda column: column.keep)
        chosen = [column for column in chosen if column is not least]
        hidden.insert(0, least.heading)
    return chosen, hidden


def noted(rows: Sequence[BoardRow]) -> list[str]:
    """Return a line for each note, or combination of notes, with the rows that have it."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.notes:
            found.setdefault("; ".join(row.notes), []).append(row.name)
    return [
        f"{'every row' if 2 < len(names) == len(rows) else ', '.join(names)}: {note}"
        for note, names in found.items()
    ]


def score(row: BoardRow) -> str:
    """Mean of the metric with its interval: ``87.3 [86.9, 87.7]``, in percent where the metric has it."""
    mean = amount(row, row.test_mean)
    if row.test_ci_low is None or row.test_ci_high is None:
        return mean
    return f"{mean} {_interval(row, row.test_ci_low, row.test_ci_high)}"


def median(row: BoardRow) -> str:
    """Median of the seeds with the least and the greatest: ``87.3 [86.8, 87.9]``."""
    if row.test_median is None:
        return NOTHING
    return f"{amount(row, row.test_median)} {_interval(row, row.test_min, row.test_max)}"


def sampling_error(row: BoardRow) -> str:
    """Standard error over other test examples, in points: ``±0.2``."""
    return NOTHING if row.sampling_error is None else f"±{amount(row, row.sampling_error)}"


def difference(row: BoardRow) -> str:
    """Difference to the baseline in points, and what it says.

    ``+1.8 [1.2, 2.4] p<0.001``, ``+0.1 [-0.3, 0.4] equivalent``, ``+0.4 [-0.2, 1.0] undecided (0.9)``
    """
    if row.difference is None:
        return NOTHING
    words = [signed(row, row.difference)]
    if row.difference_ci_low is not None and row.difference_ci_high is not None:
        words.append(_interval(row, row.difference_ci_low, row.difference_ci_high))
    if row.difference_outcome == "undecided":
        words.append("undecided" if row.detectable is None else f"undecided ({amount(row, row.detectable)})")
    elif row.difference_outcome == "equivalent":
        words.append("equivalent")
    elif row.difference_p is not None:
        words.append("p<0.001" if row.difference_p < 0.001 else f"p={row.difference_p:.3f}")
    return " ".join(words)


def _versus(row: BoardRow, baselines: Collection[str]) -> str:
    # Another study may have a row of the same name, which is compared like any other.
    return "baseline" if row.baseline is None and row.name in baselines else difference(row)


def seeds(row: BoardRow) -> str:
    """Seeds in the mean: ``5``, or ``3 of 5`` where some are not in it; ``30 in 10 folds``."""
    text = str(row.n_seeds) if row.complete else f"{row.n_seeds} of {row.seeds_expected}"
    return f"{text} in {counted(len(row.folds), 'fold')}" if row.folds else text


def seeds_in_words(row: BoardRow) -> str:
    """Seeds in the mean, and what became of the others: ``3 of 5 (1 diverged, 1 missing)``."""
    lost = (
        ("failed", row.n_failed),
        ("diverged", row.n_diverged),
        ("failed to learn", row.n_unlearned),
        ("missing", row.n_missing),
    )
    what = ", ".join(f"{count} {word}" for word, count in lost if count)
    return f"{seeds(row)} ({what})" if what else seeds(row)


def failures(row: BoardRow) -> str:
    """Write how many seeds diverged or failed to learn, and how often that may be: ``0 of 3, under 63 %``."""
    if row.failure_bound is None:
        return NOTHING
    failed = row.n_diverged + row.n_unlearned
    return f"{failed} of {row.n_seeds + failed}, under {100 * row.failure_bound:.0f} %"


def _interval(row: BoardRow, low: float | None, high: float | None) -> str:
    return NOTHING if low is None or high is None else f"[{amount(row, low)}, {amount(row, high)}]"


def amount(row: BoardRow, value: float | None, digits: int = 1) -> str:
    """Write a value of the row's metric, or a difference: in percent, or as it is with two digits more."""
    if get_metric(row.metric).percent:
        return percent(value, digits)
    return NOTHING if value is None else f"{value:z.{digits + 2}f}"


def signed(row: BoardRow, value: float | None) -> str:
    """Write a difference with its sign: ``+1.8``, ``-0.3``, ``0.0``."""
    text = amount(row, value)
    return f"+{text}" if value is not None and value > 0 and text.strip("0.") else text


def percent(value: float | None, digits: int = 1) -> str:
    """Write a share in [0, 1] as a percentage, or a difference in points, without a sign behind it."""
    return NOTHING if value is None else f"{100 * value:z.{digits}f}"


def decimal(value: float | None, digits: int) -> str:
    """Write a number with a fixed number of decimals."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def counted(number: int, word: str) -> str:
    """Write a number with its word: ``1 trial``, ``8 trials``."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def whole(value: int | None) -> str:
    """Write a whole number with separated thousands."""
    return NOTHING if value is None else f"{value:,}"


def rank(row: BoardRow) -> str:
    """Write the ranks that are open: ``1``, ``2-4``."""
    if row.rank is None:
        return NOTHING
    return str(row.rank) if row.rank == row.rank_worst else f"{row.rank}-{row.rank_worst}"
