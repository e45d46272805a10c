"""The board in MLflow: a description in Markdown, and its page as an artifact, of a data set's sweeps."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from benchmark.tracking import names
from benchmark.tracking.patient_client import patiently

_MOST_CHARACTERS = 5000  # of a tag, in the strictest of MLflow's stores
_CUT = "\n\n(The rest is in board.html, among the artifacts.)"


def write_notes(client: Any, dataset: str, sweeps: Iterable[str], markdown: str, page: str) -> bool:
    """Describe a data set's experiment and some of its sweeps by the board as it is now.

    It can be made anew at any time, so it is given up where the store does not take it.

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

    Returns
    -------
    bool
        Whether all of it was written.
    """
    note = _fitting(markdown)
    try:
        experiment = patiently(lambda: client.get_experiment_by_name(dataset)).experiment_id
        patiently(lambda: client.set_experiment_tag(experiment, names.NOTE, note))
        for run_id in sweeps:
            patiently(partial(client.set_tag, run_id, names.NOTE, note))
            patiently(partial(client.log_text, run_id, page, names.BOARD_HTML))
    except Exception as error:
        if type(error).__module__ != "mlflow.exceptions" and not isinstance(error, OSError):
            raise
        return False
    return True


def _fitting(markdown: str) -> str:
    if len(markdown) <= _MOST_CHARACTERS:
        return markdown
    kept = markdown[: _MOST_CHARACTERS - len(_CUT)]
    return kept[: kept.rindex("\n")] + _CUT
