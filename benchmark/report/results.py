"""What a caller gets: results as tables, HTML and pictures, as a notebook shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from benchmark.support.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from benchmark.board.gate import Gate
    from benchmark.board.rows import Board
    from benchmark.board.size_curves import SizeCurves
    from benchmark.report.verdict import Compared, ComparedByExample


class Result:
    """A value that shows itself: by its `text`, or in a notebook by its HTML."""

    if TYPE_CHECKING:

        @property
        def records(self) -> Sequence[Mapping[str, Any]]:  # noqa: D102
            ...

        @property
        def text(self) -> str:  # noqa: D102
            ...

    def __repr__(self) -> str:
        return self.text.rstrip("\n")

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"

    def to_frame(self) -> DataFrame:
        """Return a table of pandas: a row for each record, names as in JSON, floats not rounded."""
        from pandas import DataFrame

        return DataFrame.from_records([dict(record) for record in self.records])


@dataclass(frozen=True, repr=False)
class BoardResult(Result):
    """The board of a data set.

    Attributes
    ----------
    board : Board
        Its rows, comparisons and summary.
    wide : bool
        Whether tables have all columns.
    gate : Gate or None
        Whether a row is worse than its counterpart, where `against` names a results file.
    """

    board: Board
    wide: bool = False
    gate: Gate | None = None

    @property
    def records(self) -> Sequence[Mapping[str, Any]]:
        """One for each row."""
        return [row.model_dump() for row in self.board.rows]

    @property
    def text(self) -> str:
        """The board as a terminal shows it."""
        from benchmark.report.tables import to_table

        return to_table(self.board, wide=self.wide)

    def _repr_html_(self) -> str:
        from benchmark.report.html import to_fragment

        return to_fragment(self.board, wide=self.wide)

    def figure(self) -> Figure:
        """Draw the rows with their intervals."""
        from benchmark.report.board_plots import board_figure

        return board_figure(self.board)


@dataclass(frozen=True, repr=False)
class ComparisonResult(Result):
    """Two rows of a board, and what may be said of them.

    Attributes
    ----------
    compared : Compared or ComparedByExample
        The rows, the difference and its interval.
    """

    compared: Compared | ComparedByExample

    @property
    def gate(self) -> Gate | None:
        """Whether the first is worse, where `fail_if_worse` asks."""
        return self.compared.gate

    @property
    def sentence(self) -> str:
        """The verdict."""
        return self.compared.sentence

    @property
    def records(self) -> Sequence[Mapping[str, Any]]:
        """One, of the verdict and its figures."""
        found = self.compared.record()
        names = {"a": self.compared.a.name, "b": self.compared.b.name}
        figures = dict(found.get("comparison") or found["by_example"])
        interval = figures.pop("interval")
        return [{**names, **{f"interval_{end}": value for end, value in interval.items()}, **figures}]

    @property
    def text(self) -> str:
        """The verdict and its figures, as a terminal shows them."""
        from benchmark.report.verdict import Compared, to_text

        return to_text(self.compared) if isinstance(self.compared, Compared) else self.compared.text()

    def figure(self) -> Figure:
        """Draw the difference with its interval, and the margin where there is one."""
        from benchmark.report.verdict_plot import difference_figure

        return difference_figure(self.compared)


@dataclass(frozen=True, repr=False)
class CurveResult(Result):
    """The test metric of models against the number of training texts.

    Attributes
    ----------
    curves : SizeCurves
        Its points and comparisons.
    """

    curves: SizeCurves

    @property
    def complete(self) -> bool:
        """Whether every point has all its draws."""
        return all(row.complete for row in self.curves.points.values())

    @property
    def sentences(self) -> Sequence[str]:
        """Where models cross, or that they do not, and what more texts bring."""
        return self.curves.sentences

    @property
    def records(self) -> Sequence[Mapping[str, Any]]:
        """One for each model and number of texts."""
        from benchmark.report.size_curves import records

        return records(self.curves)

    @property
    def text(self) -> str:
        """The table and its sentences, as a terminal shows them."""
        from benchmark.report.size_curves import to_table

        return to_table(self.curves)

    def _repr_html_(self) -> str:
        from benchmark.report.html import curves_fragment

        return curves_fragment(self.curves)

    def figure(self) -> Figure:
        """Draw the curves."""
        from benchmark.report.size_curves_plot import size_curves_figure

        return size_curves_figure(self.curves)


@dataclass(frozen=True, repr=False)
class DataResult(Result):
    """Data sets, what is in one, or the file that one was written to."""

    records: tuple[Mapping[str, Any], ...]
    text: str

    def figure(self) -> Figure:
        """Draw how many texts each class has in train."""
        from benchmark.report.plots import classes_figure

        if len(self.records) != 1 or "class_counts" not in self.records[0]:
            raise UserError("there is a picture of one data set, as datasets('show', 'sample') returns it")
        return classes_figure(self.records[0])
