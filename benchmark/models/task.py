"""What a builder is told about the data."""

from __future__ import annotations

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
        Columns of the input.
    """

    class_names: tuple[str, ...]
    vocabulary_size: int
    sequence_length: int

    @property
    def n_outputs(self) -> int:
        """Logits the model must give: 1 for two classes (above 0 means the second), else one a class."""
        return 1 if len(self.class_names) == 2 else len(self.class_names)
