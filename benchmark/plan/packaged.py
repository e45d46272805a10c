"""Where the packaged search spaces and budgets are."""

from __future__ import annotations

from pathlib import Path

import benchmark
from benchmark.support.errors import UserError


def spaces_folder() -> Path:
    """Return the folder of the search spaces.

    Returns
    -------
    Path
        ``benchmark/search_spaces`` in an installed wheel, otherwise ``search_spaces`` beside the
        package in a checkout.

    Raises
    ------
    UserError
        When neither is there.
    """
    package = Path(benchmark.__file__).resolve().parent
    for folder in (package / "search_spaces", package.parent / "search_spaces"):
        if folder.is_dir():
            return folder
    raise UserError(f"{package} has no search_spaces folder; install the package again")
