"""Writing a trained pipeline with its text processing, without pickle and without TensorFlow."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmark.data.text import STANDARDIZER_VERSION
from benchmark.data.tokens import FORMS_VERSION

_PIPELINE, _TEXT = "pipeline.skops", "text.json"


def write_text_processing(
    folder: Path, class_names: Sequence[str], threshold: float | None, **more: Any
) -> None:
    """Write what `benchmark.serving.mlflow_model.TextProcessing` reads."""
    text = {"standardizer": STANDARDIZER_VERSION, "class_names": list(class_names), **more}
    if threshold is not None:
        text["threshold"] = threshold
    (folder / _TEXT).write_text(json.dumps(text, ensure_ascii=False), encoding="utf-8")


def save_pipeline(
    folder: Path, pipeline: Any, class_names: Sequence[str], threshold: float | None = None
) -> None:
    """Write a fitted scikit-learn pipeline, which brings its text processing, without pickle.

    The threshold is that of `benchmark.training.saving.save_servable`.

    Raises
    ------
    ValueError
        For one with types that are not scikit-learn's, which could not be loaded.
    """
    import skops.io

    folder.mkdir(parents=True, exist_ok=True)
    # Word by word, skops takes 600 bytes each: they are kept beside it.
    vectorizers = _vectorizers(pipeline)
    kept = {name: step.vocabulary_ for name, step in vectorizers.items()}
    try:
        for step in vectorizers.values():
            step.vocabulary_ = {}
        # What deepcopy has in its memo takes the place of a part.
        plain = {id(part): part.plain() for part in _parts(pipeline) if hasattr(part, "plain")}
        skops.io.dump(copy.deepcopy(pipeline, plain), folder / _PIPELINE, compression=zipfile.ZIP_DEFLATED)
    finally:
        for name, step in vectorizers.items():
            step.vocabulary_ = kept[name]
    if foreign := skops.io.get_untrusted_types(file=folder / _PIPELINE):
        raise ValueError(f"it holds types that are not to be trusted: {', '.join(foreign)}")
    vocabularies = {name: sorted(words, key=words.__getitem__) for name, words in kept.items()}
    more: dict[str, Any] = {"vocabularies": vocabularies}
    for step in vectorizers.values():
        if hasattr(step, "merges_"):  # its plain form reads tokens that were cut before
            more |= {"view": {"tokens": step.tokens}, "merges": step.merges_}
            if step.tokens != "words":
                more["standardizer"] = FORMS_VERSION
    write_text_processing(folder, class_names, threshold, **more)


def _parts(thing: Any) -> Iterator[Any]:
    """Yield an estimator and those in it, fitted ones too."""
    inside = thing if isinstance(thing, list | tuple) else ()
    if hasattr(thing, "get_params"):
        yield thing
        inside = vars(thing).values()
    for part in inside:
        yield from _parts(part)


def _vectorizers(pipeline: Any) -> dict[str, Any]:
    """Return the steps, at any depth, that number words from 0, each once."""
    steps = {id(step): (name, step) for name, step in pipeline.get_params().items()}
    return {name: step for name, step in steps.values() if _are_numbered(getattr(step, "vocabulary_", None))}


def _are_numbered(words: Any) -> bool:
    return (
        isinstance(words, dict)
        and all(isinstance(word, str) for word in words)
        and sorted(words.values()) == list(range(len(words)))
    )
