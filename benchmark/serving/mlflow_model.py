"""What MLflow serves ("models from code"): raw texts in, probabilities out, with no other code of Textbench.

This file is copied into every kept model, with the three modules beside it that it shares with the training.
"""

from __future__ import annotations

import importlib
import importlib.util
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import mlflow
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

if __package__:
    from benchmark.data import text as text_module
    from benchmark.data import tokens as tokens_module
    from benchmark.training import scores
else:

    def _copied(name: str, **uses: Any) -> Any:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        vars(module).update(uses)
        spec.loader.exec_module(module)  # type: ignore[union-attr]
        return module

    text_module, scores = _copied("text"), _copied("scores")
    tokens_module = _copied("tokens", text_module=text_module)

_MODEL, _PROGRAM, _PIPELINE, _TEXT = "model.keras", "saved_model", "pipeline.skops", "text.json"
_OURS = "benchmark.models."
# The only type of ours in a pipeline, and that of previous versions alone; it must not be any name of a file.
_TRUSTED = [f"{_OURS}nbsvm.LogCountRatio"]
_MOST_TEXT = 1 << 28  # bytes of text.json: a million words are 16 MB
_MOST_UNFOLDED = 100
_ENCODER_BATCH = 64  # texts, where each takes much memory


class View(BaseModel):
    """How texts become ids; see `benchmark.spec.config.ViewSettings`."""

    vocabulary_size: int = Field(default=10_000, ge=3)
    sequence_length: int = Field(default=256, ge=1, le=100_000)
    padding: Literal["pre", "post"] = "post"
    truncation: Literal["pre", "post"] = "post"
    tokens: Literal["words", "unicode_words", "characters", "subwords"] = "words"


class TextProcessing(BaseModel):
    """What ``text.json`` holds of a stored model.

    Attributes
    ----------
    standardizer : int
        Version of the tokens.
    class_names : tuple of str
        In the order of the probabilities.
    view, length, vocabulary, merges
        How texts become ids, for a network that reads ids; merges are those of subwords. A pipeline that
        has a view reads its tokens, joined by spaces.
    modules : tuple of str
        Modules of Textbench that have to be imported before a network of a previous version is loaded.
    threshold : float or None
        Of two classes the second is answered from this probability on; None: the more probable one.
    vocabularies : dict of str to list of str
        Words of a pipeline's vectorizers, by the vectorizer's name among the pipeline's parameters.
    libraries : tuple of str
        What has to be imported before a program is loaded, since its operations are from there.
    """

    standardizer: int
    class_names: tuple[str, ...]
    view: View | None = None
    length: int = 0
    vocabulary: tuple[str, ...] = ()
    merges: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    threshold: float | None = Field(default=None, ge=0, le=1)
    vocabularies: dict[str, list[str]] = {}
    libraries: tuple[Literal["tensorflow_text"], ...] = ()


def read_text_processing(folder: Path) -> TextProcessing:
    """Read ``text.json`` of a stored model.

    Raises
    ------
    ValueError
        In one line, where it is not what `benchmark.training.saving` writes, or of a different version.
    """
    path = folder / _TEXT
    if not path.is_file() or path.stat().st_size > _MOST_TEXT:
        raise ValueError(f"{_TEXT} is not a file of less than {_MOST_TEXT >> 20} MiB")
    try:
        text = TextProcessing.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(key) for key in first["loc"])
        raise ValueError(f"{_TEXT}{place and f', {place}'}: {first['msg']}") from error
    expected = text_module.STANDARDIZER_VERSION
    if text.view is not None and text.view.tokens != "words":
        expected = tokens_module.FORMS_VERSION
    if text.standardizer != expected:
        raise ValueError(
            f"the model was made with standardiser version {text.standardizer}, this is version {expected}"
        )
    if any(merge.count(" ") != 1 for merge in text.merges):
        raise ValueError(f"{_TEXT}, merges: expected pairs with a space between them")
    return text


def is_pipeline(folder: Path) -> bool:
    """Whether the model in a folder is scikit-learn's, not TensorFlow's."""
    return (folder / _PIPELINE).is_file()


def holds_program(folder: Path) -> bool:
    """Whether the model in a folder is a TensorFlow program, which may read and write files."""
    return (folder / _PROGRAM).is_dir()


def import_libraries(text: TextProcessing) -> None:
    """Import what a stored program needs beside TensorFlow, or say in one line what to install."""
    for name in text.libraries:
        try:
            importlib.import_module(name)
        except ImportError as error:
            package = name.replace("_", "-")
            raise ValueError(f"it needs {package}, which is not here; pip install {package}") from error


def load_network(folder: Path, text: TextProcessing) -> Any:
    """Load the Keras file of a stored model, in safe mode."""
    import keras

    for module in text.modules:
        if module.startswith(_OURS):  # a file from elsewhere must not name what is imported
            importlib.import_module(module)
    return keras.saving.load_model(folder / _MODEL, compile=False, safe_mode=True)


def _load_pipeline(path: Path, vocabularies: dict[str, list[str]]) -> Any:
    """Load a pipeline, without pickle, of scikit-learn's types and ours and no others."""
    import skops.io

    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > (1 << 28) and size > _MOST_UNFOLDED * path.stat().st_size:
        raise ValueError(
            f"{path.name} unfolds into {size >> 20} MiB, {_MOST_UNFOLDED} times its size or more"
        )
    if foreign := set(skops.io.get_untrusted_types(file=path)).difference(_TRUSTED):
        raise ValueError(f"{path.name} holds types that are not to be trusted: {', '.join(sorted(foreign))}")
    pipeline = skops.io.load(path, trusted=_TRUSTED)
    steps = pipeline.get_params() if vocabularies else {}
    for name, words in vocabularies.items():
        steps[name].vocabulary_ = {word: number for number, word in enumerate(words)}
    return pipeline


class NoAnswer(ValueError):
    """A stored model does not give what it should; the message is one line."""


class Servable:
    """A model from a folder that `benchmark.training.saving` wrote.

    Parameters
    ----------
    folder : Path
        The folder. A Keras file is loaded in safe mode and a pipeline without pickle; a TensorFlow program
        could do anything: load one only if you trust where it comes from (see `holds_program`).

    Attributes
    ----------
    class_names : tuple of str
        Names of the columns that `predict` gives.
    threshold : float or None
        As in `TextProcessing`.
    """

    def __init__(self, folder: Path) -> None:
        text = read_text_processing(folder)
        self.class_names, self.threshold = text.class_names, text.threshold
        self._logits: Callable[[list[str]], NDArray[np.float32]]
        if is_pipeline(folder):
            pipeline = _load_pipeline(folder / _PIPELINE, text.vocabularies)
            answer = partial(scores.log_probabilities, pipeline, classes=len(text.class_names))
            self._logits = answer
            if text.view is not None:
                split = tokens_module.splitter(text.view.tokens, text.merges)
                self._logits = lambda texts: answer([" ".join(split(one)) for one in texts])
            return
        if holds_program(folder):
            import tensorflow as tf

            import_libraries(text)
            program = tf.saved_model.load(str(folder / _PROGRAM))
            size = _ENCODER_BATCH if text.libraries else 0
            self._predict = scores.make_predict(lambda batch, training: program.logits(batch), size)
        else:
            self._predict = scores.make_predict(load_network(folder, text))
        self._logits = self._string_logits
        if text.view is not None:
            words = enumerate(text.vocabulary, text_module.OOV + 1)
            self._view: Any = text.view
            self._length = text.length
            self._split = tokens_module.splitter(text.view.tokens, text.merges)
            self._ids = {word: number for number, word in words}
            self._logits = self._id_logits

    def predict(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the probabilities, float32 [n, classes], of raw texts.

        Raises
        ------
        NoAnswer
            When the stored model does not answer them.
        """
        classes = len(self.class_names)
        if not texts:
            return np.zeros((0, classes), dtype=np.float32)
        try:
            logits = self._logits(list(texts))
        except Exception as error:  # TensorFlow's have no common base with those of others
            reason = str(error).partition("\n")[0][:200]
            raise NoAnswer(f"the stored model does not answer ({reason})") from error
        if logits.shape not in ((len(texts), classes), (len(texts), 1 if classes == 2 else classes)):
            raise NoAnswer(
                f"the stored model gives logits {logits.shape} for {len(texts)} texts, {classes} classes"
            )
        return scores.probabilities(logits)

    def labels(self, probabilities: NDArray[np.float32]) -> list[str]:
        """Return the names of the classes that are answered with probabilities from `predict`."""
        answers = probabilities.argmax(axis=1)
        if self.threshold is not None and len(self.class_names) == 2:
            answers = (probabilities[:, 1] >= self.threshold).astype(int)
        return [self.class_names[number] for number in answers]

    def _string_logits(self, texts: list[str]) -> NDArray[np.float32]:
        return self._predict(np.array([text.encode("utf-8", "replace") for text in texts], dtype=object))

    def _id_logits(self, texts: list[str]) -> NDArray[np.float32]:
        oov = text_module.OOV
        ids = [[self._ids.get(token, oov) for token in self._split(text)] for text in texts]
        lengths = np.array([len(row) for row in ids], dtype=np.int64)
        tokens = np.array([number for row in ids for number in row], dtype=np.int32)
        starts = np.cumsum(lengths) - lengths
        return self._predict(text_module.cut(tokens, starts, lengths, self._view, self._length))


class TextClassifier(mlflow.pyfunc.PythonModel):
    """Labels raw texts with class names and probabilities."""

    def load_context(self, context: Any) -> None:
        """Load the model and its text processing."""
        self._servable = Servable(Path(context.artifacts["servable"]))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return a table with ``label`` and one ``probability_<class>`` column a class.

        The input may be any that MLflow takes: a table of one column, a series, an array or list of texts,
        rows of one text each, or a dictionary of one such. (Annotated as a list, MLflow would take no other.)
        """
        probabilities = self._servable.predict(_texts(model_input))
        classes = self._servable.class_names
        table = pd.DataFrame(probabilities, columns=[f"probability_{name}" for name in classes])
        table.insert(0, "label", self._servable.labels(probabilities))
        return table


def _texts(given: Any) -> list[str]:
    """Return the texts of a request.

    Raises
    ------
    mlflow.MlflowException
        For anything else; a server answers it with status 400.
    """
    if isinstance(given, pd.DataFrame):
        given = given.to_dict("list") if len(given) else []
    if isinstance(given, dict):
        if len(given) != 1:
            raise _wrong(f"{len(given)} columns")
        (given,) = given.values()
    if isinstance(given, pd.Series | np.ndarray):
        given = given.tolist()
    rows = [given] if isinstance(given, str) else given
    if not isinstance(rows, list | tuple):
        raise _wrong(f"{type(given).__name__} {given!r:.50}")
    texts = []
    for number, row in enumerate(rows, 1):
        cells = list(row.values()) if isinstance(row, dict) else row
        text = cells[0] if isinstance(cells, list | tuple) and len(cells) == 1 else cells
        if not isinstance(text, str):
            raise _wrong(f"{text!r:.50} in row {number}")
        texts.append(text)
    return texts


def _wrong(got: str) -> mlflow.MlflowException:
    return mlflow.MlflowException.invalid_parameter_value(f"expected texts, one a row; got {got}")


if not __package__:
    mlflow.models.set_model(TextClassifier())
