"""What a builder learns about the data."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass

LONGEST_NAME, LONGEST_VALUE = 250, 6000
"""Characters that MLflow takes of a metric's or parameter's name, and keeps of a parameter's value."""

_FOREIGN = re.compile(r"[^/\w.\- :]")
_OURS = re.compile(
    r"(test_|val_|best_|search_|system/|benchmark\.).*|(train_|epoch_|examples_per_)seconds?|loss|accuracy"
    r"|learning_rate|epochs_run|parameters|rising|decision_threshold|predict_(ms|texts_per_second)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Task:
    """Shapes of a text-classification task.

    Attributes
    ----------
    class_names : tuple of str
        Names of the classes.
    vocabulary_size : int
        Ids in the input lie in [0, vocabulary_size); 0 is padding, 1 a word outside the vocabulary.
    sequence_length : int
        Most columns of the input.
    vocabulary : tuple of str
        The words with ids 2, 3, …
    report : callable
        Takes a name and a figure that the builder wants to be known; it becomes a metric of the run. Raises
        `ValueError` for what a tracking store would not keep as it is, see `reporter`.
    trim : bool
        Whether batches are cut to their longest text.
    """

    class_names: tuple[str, ...]
    vocabulary_size: int
    sequence_length: int
    vocabulary: tuple[str, ...] = ()
    report: Callable[[str, float], None] = lambda name, value: None
    trim: bool = False

    @property
    def columns(self) -> int | None:
        """Columns of every batch; None where each is cut to its longest text."""
        return None if self.trim else self.sequence_length

    @property
    def n_outputs(self) -> int:
        """Logits the model must give: 1 for two classes (above 0 means the second), else one a class."""
        return 1 if len(self.class_names) == 2 else len(self.class_names)


def nearest_name(name: str) -> str:
    """Return the name under which MLflow takes a metric or parameter: the same one where it is valid."""
    parts = re.sub(rf"\s*{_FOREIGN.pattern}+\s*", "_", name).split("/")
    kept = "/".join(part for part in parts if part.strip("._ "))[:LONGEST_NAME].strip("/ ")
    plain = not (_FOREIGN.search(name) or name.startswith("..")) and posixpath.normpath(name) == name == kept
    return name if plain else kept.strip("_. ") or "figure"


def reporter(figures: dict[str, float]) -> Callable[[str, float], None]:
    """Return a `Task.report` that puts figures into a dictionary, and refuses what could not be stored later.

    Raises
    ------
    ValueError
        From what is returned: for a name that MLflow refuses or the program has itself, or a value that is
        not a finite number. One line, which names the nearest valid name.
    """

    def report(name: str, value: float) -> None:
        what = f"task.report({name!r:.300}, {value!r:.100})".replace("\n", " ")
        if not isinstance(name, str) or (nearest := nearest_name(name)) != name:
            hint = f"; the nearest is '{nearest}'" if isinstance(name, str) else ""
            raise ValueError(
                f"{what}: expected a name of letters, digits, '_', '-', '.', ':', inner spaces and single "
                f"slashes, at most {LONGEST_NAME} characters{hint}"
            )
        if _OURS.fullmatch(name):
            raise ValueError(
                f"{what}: names such as this one are the program's; the nearest is 'reported_{name}'"
            )
        try:
            number = math.nan if isinstance(value, str | bytes | bytearray) else float(value)
        except Exception:  # a tensor's error, where it has no value yet
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"{what}: expected a finite number")
        figures[name] = number

    return report
