"""A gate: no row of a board is worse than its counterpart on an earlier board."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmark.board.board import Analysis
from benchmark.board.ranking import LEVEL, Measured, differences_of, scale_of, systems
from benchmark.board.rows import BoardRow
from benchmark.metrics.metric import get_metric
from benchmark.stats.differences import Differences
from benchmark.stats.intervals import MIN_SEEDS
from benchmark.stats.losses import Loss, losses
from benchmark.stats.verdicts import Scale
from benchmark.support.errors import UserError


@dataclass(frozen=True)
class Gate:
    """What a gate found.

    Attributes
    ----------
    losses : dict of str to Loss
        By the name of the row; one family.
    notes : tuple of str
        What was not compared, and why.
    """

    losses: Mapping[str, Loss]
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether a row is worse by more than the margin."""
        return any(loss.worse for loss in self.losses.values())

    def text(self) -> str:
        """Write a line for each row and each note, and what follows."""
        worse = sum(loss.worse for loss in self.losses.values())
        rows = f"{len(self.losses)} row{'s' if len(self.losses) > 1 else ''} compared, {worse} worse"
        verdict = f"gate {'failed' if self.failed else 'passed'}: {rows}"
        said = [f"{name}: {loss.sentence}" for name, loss in self.losses.items()]
        return "\n".join([*said, *self.notes, verdict])

    def record(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        found = {name: asdict(loss) for name, loss in self.losses.items()}
        return {"failed": self.failed, "losses": found, "notes": list(self.notes)}


def against(
    now: Analysis,
    before: Analysis,
    name: str,
    same_seeds: Callable[[BoardRow, BoardRow], bool],
    margin: float | None = None,
) -> Gate:
    """Compare each row of a board with those of its model, tier and section on another board.

    Parameters
    ----------
    now, before : Analysis
        The two boards, of the same data and by the same metric.
    name : str
        Of the second, in words.
    same_seeds : callable
        Whether two rows have a seed in common.
    margin : float, optional
        By default that of the metric, and 0 where it has none.

    Raises
    ------
    UserError
        When nothing can be compared: a gate that has looked at nothing would pass.
    """
    ours, theirs = _by_key(now), _by_key(before)
    pairs: dict[str, tuple[Differences, Scale, float]] = {}
    copies, notes, seen = [], [], set()
    for key, places in ours.items():
        for a in places:
            for b in theirs.get(key, ()):
                row, other = now.board.rows[a], before.board.rows[b]
                first, second = systems(now.board.rows)[a], systems(before.board.rows)[b]
                label = _label(row, other, len(places) * len(theirs[key]) > 1)
                if (first, second) in seen:  # the default has won its search on both sides
                    continue
                seen.add((first, second))
                if same_seeds(row, other):
                    copies.append(label)
                    continue
                found, why = _comparable(row, other, now.runs.get(first), before.runs.get(second))
                if found is None:
                    notes.append(f"{label}: not compared, {why}")
                else:
                    metric = get_metric(row.metric)
                    pairs[label] = (found, scale_of(metric), metric.margin_for(margin) or 0.0)
    if copies:
        again = "same seeds on both sides, which proves nothing: sweep with another --seed"
        notes.append(f"left out, {again}: {', '.join(copies)}")
    for here, there, board, where in ((ours, theirs, now, "here"), (theirs, ours, before, f"in {name}")):
        if alone := [board.board.rows[places[0]].name for key, places in here.items() if key not in there]:
            notes.append(f"only {where}: {', '.join(alone)}")
    if not pairs:
        raise UserError(f"no row can be compared with {name}; {'; '.join(notes) or 'there is none'}")
    return Gate(dict(zip(pairs, losses(list(pairs.values()), LEVEL), strict=True)), tuple(notes))


def pair_gate(rows: Sequence[BoardRow], measured: Sequence[Measured], margin: float | None = None) -> Gate:
    """Compare one row with one other, which are chosen before: a family of its own."""
    a, b = rows
    found, why = _comparable(a, b, *measured)
    if found is None:
        raise UserError(f"{a.name} cannot be compared with {b.name}: {why}", setting="fail_if_worse")
    metric = get_metric(a.metric)
    loss = losses([(found, scale_of(metric), metric.margin_for(margin) or 0.0)], LEVEL)[0]
    return Gate({f"{a.name} against {b.name}": loss})


def _by_key(analysis: Analysis) -> dict[tuple[str, ...], list[int]]:
    """Group rows that are results by what counterparts have in common."""
    found: dict[tuple[str, ...], list[int]] = {}
    for place, row in enumerate(analysis.board.rows):
        if row.watermark is None:
            found.setdefault((row.model, row.tier, *row.race), []).append(place)
    return found


def _label(row: BoardRow, other: BoardRow, several: bool) -> str:
    return f"{row.name}, {row.study} against {other.study}" if several else row.name


def _comparable(
    row: BoardRow, other: BoardRow, ours: Measured | None, theirs: Measured | None
) -> tuple[Differences | None, str]:
    """Return the difference of two rows, or None and why nothing can be said of it."""
    if ours is None or theirs is None:
        return None, f"it needs {MIN_SEEDS} seeds with predictions: {row.n_seeds} and {other.n_seeds}"
    if other.unsteady:
        return None, "its counterpart has seeds that are lost: what it does on average is not known"
    found = differences_of([ours, theirs], [0], [1])
    if not found.enough:
        return None, "too few test examples for a verdict"
    return found, ""
