"""Budgets: named limits on trials, seeds, epochs, training data and time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field

from benchmark.plan.space import spaces_folder
from benchmark.spec.config import Frozen
from benchmark.support.errors import UserError, did_you_mean
from benchmark.support.yaml_file import read_yaml, validate

Count = Annotated[int, Field(strict=True, ge=1)]
Number = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


class Budget(Frozen):
    """The limits of a sweep."""

    model_config = ConfigDict(use_attribute_docstrings=True)
    trials: Count
    """Trials of the search, the published default included."""
    seeds: Count
    """Final runs of each tier."""
    epochs: Count
    """Most epochs of any run."""
    train_share: Annotated[Number, Field(le=1)]
    """Share of the training split that is used."""
    seconds: Number | None
    """Training seconds of all trials after which the search starts no further one; null for no limit."""
    note: str = ""
    """What the budget is for."""


def load_budgets(path: str | Path | None = None) -> dict[str, Budget]:
    """Read a file of budgets.

    Parameters
    ----------
    path : str or Path, optional
        The YAML file; by default the packaged ``search_spaces/budgets.yaml``.

    Returns
    -------
    dict of str to Budget
        By name, in the order of the file.

    Raises
    ------
    UserError
        One line with file and line.
    """
    located = read_yaml(spaces_folder() / "budgets.yaml" if path is None else path)
    return validate(located, dict[str, Budget])


def get_budget(name: str) -> Budget:
    """Return a packaged budget, or raise `UserError` with the nearest name."""
    budgets = load_budgets()
    if name not in budgets:
        raise UserError(f"there is no budget named '{name}'; {did_you_mean(name, budgets)}")
    return budgets[name]
