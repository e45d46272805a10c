"""How much each example counts in training, by its class, and how pipelines are told."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.support.errors import UserError


def balanced_weights(labels: NDArray[np.int32], classes: int) -> NDArray[np.float32]:
    """Return scikit-learn's ``balanced`` weight of each class, shape [classes]; 1 for one without examples.

    Parameters
    ----------
    labels : ndarray of int32, shape [n]
        Of the texts that are trained on.
    classes : int
        How many there are.
    """
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 1).astype(np.float32)


def fit_weighted(pipeline: Any, texts: list[str], labels: NDArray[np.int32], classes: int) -> None:
    """Fit a pipeline with balanced classes; its last step gets weights, whatever stands before it none.

    Raises
    ------
    UserError
        Where the last step takes none.
    """
    from sklearn import config_context

    with config_context(enable_metadata_routing=True):
        _request(pipeline)
        pipeline.fit(texts, labels, sample_weight=balanced_weights(labels, classes)[labels])
    _forget_requests(pipeline)


def check_takes_weights(pipeline: Any, name: str) -> None:
    """Make sure that the last step of a pipeline takes weights of examples.

    Raises
    ------
    UserError
        Where it does not.
    """
    from sklearn import clone, config_context

    with config_context(enable_metadata_routing=True):
        _request(clone(pipeline), name)


def _forget_requests(thing: Any) -> None:
    """Take away what `_request` left in an estimator and those fitted in it: it cannot be stored."""
    inside: Any = thing if isinstance(thing, list | tuple) else ()
    if hasattr(thing, "get_params") or type(thing).__module__.startswith("sklearn."):
        own = getattr(thing, "__dict__", {})
        own.pop("_metadata_request", None)
        inside = own.values()
    for part in inside:
        _forget_requests(part)


def _request(pipeline: Any, name: str = "the pipeline") -> None:
    """Let scikit-learn bring weights to all in the last step that takes them, as in one against the rest."""
    from sklearn.utils.metadata_routing import get_routing_for_object
    from sklearn.utils.validation import has_fit_parameter

    last = pipeline.steps[-1][1]
    inside = [last, *(last.get_params().values() if hasattr(last, "get_params") else ())]
    for part in pipeline.get_params().values():
        if hasattr(part, "set_fit_request") and has_fit_parameter(part, "sample_weight"):
            part.set_fit_request(sample_weight=any(part is one for one in inside))
    try:
        taken = get_routing_for_object(pipeline).consumes("fit", {"sample_weight"})
    except NotImplementedError:
        taken = set()
    if not taken:
        raise UserError(
            f"class_weight balanced: {type(last).__name__}, the last step of {name}, takes no weights "
            "(fit has no sample_weight); expected none, or a step that takes them"
        )
