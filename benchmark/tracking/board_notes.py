"""The board in MLflow: a description in Markdown, and its page as an artifact, of a data set's sweeps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmark.tracking import names

_MOST_CHARACTERS = 5000  # of a tag, in the strictest of MLflow's stores
_CUT = "\n\n(The rest is in board.html, among the artifacts.)"


def write_notes(client: Any, dataset: str, sweeps: Iterable[str], markdown: str, page: str) -> None:
    """Describe a data set's experiment and some of its sweeps by the board as it is now.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store.
    dataset : str
        Name of the data set, which is the name of the experiment.
    sweeps : iterable of str
        Ids of the sweeps' runs.
    markdown : str
        The board; what does not fit into a tag is cut off between lines.
    page : str
        The board as HTML.
    """
    note = _fitting(markdown)
    experiment = client.get_experiment_by_name(dataset)
    client.set_experiment_tag(experiment.experiment_id, names.NOTE, note)
    for run_id in sweeps:
        client.set_tag(run_id, names.NOTE, note)
        client.log_text(run_id, page, names.BOARD_HTML)


def _fitting(markdown: str) -> str:
    if len(markdown) <= _MOST_CHARACTERS:
        return markdown
    kept = markdown[: _MOST_CHARACTERS - len(_CUT)]
    return kept[: kept.rindex("\n")] + _CUT
