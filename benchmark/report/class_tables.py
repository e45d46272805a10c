"""Precision, recall, F1 and support of each class: of one run as CSV, of two rows as text and JSON."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.of_answers import by_class
from benchmark.report.columns import percent
from benchmark.report.plot_style import short
from benchmark.support.printable import printable

MOST_CLASSES = 10
"""Classes that a comparison shows."""
_FIGURES = ("precision", "recall", "f1")


def write_classes(confusion: NDArray[np.int64], class_names: Sequence[str], path: Path) -> None:
    """Write a line for each class as CSV: class, precision, recall, f1, support."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("class", *_FIGURES, "support"))
        figures = (one.tolist() for one in by_class(confusion))
        writer.writerows(zip(class_names, *figures, strict=True))


@dataclass(frozen=True, eq=False)
class Classes:
    """What two rows answer, class by class.

    Attributes
    ----------
    names : sequence of str
        Of the classes.
    a, b : ndarray of int, shape (classes, classes)
        Confusion matrices, summed over the seeds of a row.
    examples : ndarray of int, shape (classes,)
        Test examples of each class.
    """

    names: Sequence[str]
    a: NDArray[np.int64]
    b: NDArray[np.int64]
    examples: NDArray[np.int64]

    def shown(self) -> list[dict[str, Any]]:
        """Return the classes that are shown: all, or those with the largest difference in F1, as JSON."""
        a, b = by_class(self.a), by_class(self.b)
        order = np.argsort(-np.abs(a.f1 - b.f1), kind="stable")[:MOST_CLASSES]
        return [
            {
                "class": self.names[k],
                "support": int(self.examples[k]),
                **{
                    row: {name: float(getattr(one, name)[k]) for name in _FIGURES}
                    for row, one in (("a", a), ("b", b))
                },
            }
            for k in (order if len(self.names) > MOST_CLASSES else range(len(self.names)))
        ]

    @property
    def note(self) -> str:
        """What the table is of, and which classes it leaves out."""
        chosen = f"the {MOST_CLASSES} of {len(self.names)} classes with the largest difference in F1"
        which = chosen if len(self.names) > MOST_CLASSES else "all classes"
        return f"Precision, recall and F1 are of the answers of all seeds together; {which}."

    def lines(self, a: str, b: str) -> list[str]:
        """Write a table for a terminal, in percent, of rows with these names."""
        table = [[f"{a} / {b}", "precision %", "recall %", "F1 %", "support"]]
        for one in self.shown():
            pairs = [f"{percent(one['a'][name])} / {percent(one['b'][name])}" for name in _FIGURES]
            table.append([short(printable(one["class"])), *pairs, f"{one['support']:,}"])
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return [
            "  ".join([first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])]) for first, *rest in table
        ]
