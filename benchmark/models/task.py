"""What a builder is told about the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


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
        Takes a name and a figure that the builder wants to be known; it becomes a metric of the run.
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
