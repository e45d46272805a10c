"""What the board's table and Markdown show: sections, columns, and how a figure is written."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmark.report.rows import BoardRow

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
    """Split a board by data set, budget and protocol; smoke tests come last.

    Parameters
    ----------
    rows : sequence of BoardRow
        As `benchmark.report.board.build_board` gives them.

    Returns
    -------
    list of Section
        In the order in which the rows name them.
    """
    groups: dict[tuple[bool, str, str, str], list[BoardRow]] = defaultdict(list)
    for row in rows:
        groups[row.watermark is not None, row.dataset_digest, row.budget, row.protocol].append(row)
    several = len({row.protocol for row in rows}) > 1
    found = []
    for (_, _, budget, protocol), group in sorted(groups.items(), key=lambda item: item[0][0]):
        title = f"{group[0].dataset}, budget {budget}"
        if several or protocol != "inductive":
            title += f", protocol {protocol}"
        found.append(Section(title, tuple(group), group[0].watermark))
    return found


def captions(rows: Sequence[BoardRow]) -> list[str]:
    """Say, for each data set, what the figures are and how often its test part was read."""
    groups: dict[str, list[BoardRow]] = defaultdict(list)
    for row in rows:
        groups[row.dataset_digest].append(row)
    lines = []
    for digest, group in groups.items():
        looks = sum({row.model: row.test_looks for row in group}.values())
        lines.append(
            f"{group[0].dataset} (digest {digest}): mean over seeds with 95 % interval (spread over seeds, "
            f"not sampling error of the test set); {looks} looks at the test part"
        )
    if any(shared(section.rows) for section in sections(rows)):
        lines.append("Rows that share a rank (=) are not separated: their intervals overlap, or one has none")
    trials = {row.search_trials for row in rows if row.tier == "tuned" and row.watermark is None}
    if len(trials) > 1:
        lines.append(f"Search budgets differ: {min(trials)} to {max(trials)} trials")
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
    ties = shared(rows)
    ambiguous = max(Counter((row.model, row.tier) for row in rows).values(), default=0) > 1
    chosen = [
        Column("rank", lambda row: rank(row, ties), keep=6),
        Column("model", lambda row: row.model, numeric=False, keep=9),
        Column("tier", lambda row: row.tier, numeric=False, keep=9),
    ]
    if ambiguous or wide:
        chosen.append(Column("study", lambda row: row.study, numeric=False, keep=7))
    if any(row.watermark for row in rows):
        chosen.append(Column("watermark", lambda row: row.watermark or "", numeric=False, keep=9))
    chosen += [
        Column("test accuracy %", accuracy, keep=9),
        Column("seeds", seeds, keep=5),
        Column("val %", lambda row: percent(row.val_accuracy_mean), keep=4),
        Column("parameters", lambda row: whole(row.parameters), keep=2),
        Column("train s", lambda row: decimal(row.train_seconds_median, 1), keep=1),
        Column("search trials", lambda row: whole(row.search_trials), keep=3),
    ]
    return chosen + (_more() if wide else [])


def _more() -> list[Column]:
    return [
        Column("search s", lambda row: decimal(row.search_seconds, 0)),
        Column("std", lambda row: percent(row.test_accuracy_std, 2)),
        Column("median %", lambda row: percent(row.test_accuracy_median)),
        Column("min %", lambda row: percent(row.test_accuracy_min)),
        Column("max %", lambda row: percent(row.test_accuracy_max)),
        Column("test loss", lambda row: decimal(row.test_loss_mean, 4)),
        Column("epochs", lambda row: decimal(row.epochs_median, 1)),
        Column("failed", lambda row: whole(row.n_failed)),
        Column("diverged", lambda row: whole(row.n_diverged)),
        Column("missing", lambda row: whole(row.n_missing)),
        Column("looks", lambda row: whole(row.test_looks)),
        Column("protocol", lambda row: row.protocol, numeric=False),
        Column("device", lambda row: row.device, numeric=False),
        Column("versions", lambda row: row.versions, numeric=False),
        Column("commit", lambda row: row.git_commit, numeric=False),
        Column("runs", lambda row: " ".join(run_id[:8] for run_id in row.run_ids), numeric=False),
    ]


def shared(rows: Sequence[BoardRow]) -> frozenset[int]:
    """Ranks that several rows of a section hold."""
    held = Counter(row.rank for row in rows if row.rank is not None)
    return frozenset(rank for rank, count in held.items() if count > 1)


def noted(rows: Sequence[BoardRow]) -> list[str]:
    """Return a line for each note, or combination of notes, with the rows that have it."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.notes:
            found.setdefault("; ".join(row.notes), []).append(f"{row.model} ({row.tier})")
    return [
        f"{'every row' if 2 < len(names) == len(rows) else ', '.join(names)}: {note}"
        for note, names in found.items()
    ]


def accuracy(row: BoardRow) -> str:
    """Test accuracy in percent with its interval: ``87.3 [86.9, 87.7]``."""
    mean = percent(row.test_accuracy_mean)
    if row.test_accuracy_ci_low is None or row.test_accuracy_ci_high is None:
        return mean
    return f"{mean} [{percent(row.test_accuracy_ci_low)}, {percent(row.test_accuracy_ci_high)}]"


def seeds(row: BoardRow) -> str:
    """Seeds in the mean: ``5``, or ``3 of 5`` where some are not in it."""
    return str(row.n_seeds) if row.complete else f"{row.n_seeds} of {row.seeds_expected}"


def percent(value: float | None, digits: int = 1) -> str:
    """Write a share in [0, 1] as a percentage without its sign."""
    return NOTHING if value is None else f"{100 * value:.{digits}f}"


def decimal(value: float | None, digits: int) -> str:
    """Write a number with a fixed number of decimals."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def whole(value: int | None) -> str:
    """Write a whole number with separated thousands."""
    return NOTHING if value is None else f"{value:,}"


def rank(row: BoardRow, ties: frozenset[int]) -> str:
    """Write a rank; ``3=`` where it is shared."""
    if row.rank is None:
        return NOTHING
    return f"{row.rank}=" if row.rank in ties else str(row.rank)
