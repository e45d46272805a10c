"""Writing a trained network that needs nothing of ours: a SavedModel, if possible a Keras file, a README."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmark.data.text import OOV, cut_ids
from benchmark.data.tokens import split_tensor
from benchmark.serving.mlflow_model import (
    Servable,
    TextProcessing,
    View,
    holds_program,
    load_network,
    read_text_processing,
)
from benchmark.support.errors import one_line
from benchmark.support.tensorflow_setup import quiet_stderr
from benchmark.training.saving import NotPlain, plain_model, without_cudnn

SAVED_MODEL, KERAS_FILE = "saved_model", "model.keras"
VOCABULARY, CLASSES = "vocabulary.txt", "classes.txt"

_PROBES = (
    *("", "...", "<br />", "A dull, lifeless film.<BR />ÉTÉ!", "qqqq zzzz", "the good " * 1500),
    *("味道让人失望，👍🏽👩‍👩‍👧 e\u0301", "नमस्ते שלום, สวัสดี a\u00a0b"),
)
_NEAR = 1e-3  # as near as different kernels for one layer are, and far from any mistake
_TEXTS = [tf.TensorSpec([None], tf.string, name="texts")]

_MOST_CLASSES = 20
_RULES = {
    "words": ("ASCII punctuation is removed, words end at ASCII white space", "words"),
    "unicode_words": ("words end by Unicode's rules (UAX 29), punctuation and symbols are words", "words"),
    "characters": ("characters are grapheme clusters (UAX 29), `▁` is white space", "characters"),
    "subwords": ("words are cut by byte-pair encoding, `▁` is white space", "subwords"),
}
"""How each form of tokens is cut, and what its tokens are called."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    text : TextProcessing
        Its classes, and how texts become ids; without a view for a network that reads raw texts.
    no_keras : str
        Why there is no Keras file; "" where there is one.
    """

    text: TextProcessing
    no_keras: str


def export_model(stored: Path, servable: Servable, target: Path) -> Exported:
    """Write a trained network for use without Textbench, and check that it answers as before.

    Parameters
    ----------
    stored : Path
        Folder that `benchmark.training.saving.save_servable` wrote.
    servable : Servable
        The same, loaded.
    target : Path
        Folder that receives ``saved_model``, ``classes.txt`` and, for a network that reads ids,
        ``vocabulary.txt`` and ``model.keras``.

    Returns
    -------
    Exported
        What was written.

    Raises
    ------
    RuntimeError
        When what was written gives other answers.
    """
    text = read_text_processing(stored)
    _write_lines(target / CLASSES, [" ".join(name.splitlines()) for name in text.class_names])
    if text.view:  # padding and unknown words stand first, as in `keras.layers.TextVectorization`
        _write_lines(target / VOCABULARY, ["", "[UNK]", *text.vocabulary])
    is_program = holds_program(stored)
    if is_program:
        network = tf.saved_model.load(str(stored / "saved_model"))
        logits, uses = network.logits, [network]
    else:
        network = load_network(stored, text)
        logits, uses = partial(network, training=False), [variable.value for variable in network.variables]
    with without_cudnn(network):
        _save((_reader if text.view else _module)(text, logits, uses), target)
    ids, expected = _check(target, servable)
    if not is_program:
        return Exported(text, _save_keras(network, target / KERAS_FILE, ids, expected))
    reason = "it has layers or functions that are not Keras's own"
    return Exported(text, reason if text.view else "the network reads raw texts, by TensorFlow's operations")


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8"))


def _reader(text: TextProcessing, logits: Callable[[tf.Tensor], tf.Tensor], uses: list[Any]) -> tf.Module:
    """Return the program of a network that reads ids: words, ids, probabilities."""
    view: Any = text.view
    words = tf.constant(text.vocabulary, tf.string)
    numbers = tf.range(OOV + 1, OOV + 1 + len(text.vocabulary))
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(words, numbers), OOV)

    def ids(texts: tf.Tensor) -> tf.Tensor:
        return cut_ids(table.lookup(split_tensor(texts, view.tokens, text.merges)), view, text.length)

    @tf.function(input_signature=_TEXTS)
    def word_ids(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"word_ids": ids(texts)}

    module = _module(text, lambda texts: logits(ids(texts)), [table, *uses])
    module.word_ids = word_ids
    return module


def _module(text: TextProcessing, logits: Callable[[tf.Tensor], tf.Tensor], uses: list[Any]) -> tf.Module:
    """Return a program from texts to probabilities and labels; what it uses must hang on it."""
    names = list(text.class_names)

    @tf.function(input_signature=_TEXTS)
    def serve(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        answer = _probabilities(logits(texts), len(names))
        best = tf.argmax(answer, axis=1)
        if text.threshold is not None:
            best = tf.cast(answer[:, 1] >= text.threshold, tf.int64)
        label = tf.gather(tf.constant(names), best)
        return {"probabilities": answer, "label": label}

    @tf.function(input_signature=[])
    def classes() -> dict[str, tf.Tensor]:
        return {"class_names": tf.constant(names)}

    module = tf.Module()
    module.uses, module.serving_default, module.class_names = uses, serve, classes
    return module


def _probabilities(logits: tf.Tensor, classes: int) -> tf.Tensor:
    """Do what `benchmark.training.scores.probabilities` does."""
    wide = tf.cast(logits, tf.float64)
    wide = tf.concat([tf.zeros_like(wide), wide], axis=1) if classes == 2 else wide
    return tf.ensure_shape(tf.cast(tf.nn.softmax(wide), tf.float32), [None, classes])


def _save(module: tf.Module, target: Path) -> None:
    names = ("serving_default", "class_names", "word_ids")
    signatures = {name: getattr(module, name) for name in names if hasattr(module, name)}
    with quiet_stderr():
        tf.saved_model.save(module, str(target / SAVED_MODEL), signatures=signatures)


def _check(target: Path, servable: Servable) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Hold the SavedModel against the stored model; return the ids of the texts, and the answers."""
    program, texts = tf.saved_model.load(str(target / SAVED_MODEL)), tf.constant(_PROBES)
    expected = servable.predict(_PROBES)
    difference = np.abs(program.serving_default(texts)["probabilities"].numpy() - expected).max()
    if not difference <= _NEAR:
        raise RuntimeError(f"{SAVED_MODEL} gives other probabilities, by {difference}, than the stored model")
    ids = (
        program.word_ids(texts)["word_ids"].numpy() if hasattr(program, "word_ids") else np.zeros(0, np.int32)
    )
    return ids, expected


def _save_keras(model: keras.Model, path: Path, ids: NDArray[np.int32], expected: NDArray[np.float32]) -> str:
    """Write the Keras file, and return ""; or return why it cannot be."""
    try:
        plain = plain_model(model)
        (logits,) = plain.outputs
        if logits.shape[-1] == 1:  # the softmax of 0 and x is the sigmoid of x, beside its complement
            logits = keras.ops.concatenate([keras.ops.zeros_like(logits), logits], axis=-1)
        keras.Model(plain.inputs[0], keras.layers.Softmax(name="probabilities")(logits)).save(path)
        answer = keras.saving.load_model(path, safe_mode=True)(ids).numpy()
    except NotPlain as error:
        return str(error)
    except (TypeError, ValueError) as error:
        path.unlink(missing_ok=True)
        return f"Keras alone cannot hold it ({one_line(error)})"
    if not np.abs(answer - expected).max() <= _NEAR:
        raise RuntimeError(f"{KERAS_FILE} gives other probabilities than the stored model")
    return ""


def readme(exported: Exported, facts: Mapping[str, str], version: str) -> str:
    """Return the README.

    Parameters
    ----------
    exported : Exported
        What lies beside it.
    facts : mapping of str to str
        What is known of the model, for a table.
    version : str
        Of Textbench.

    Returns
    -------
    str
        Markdown.
    """
    title = " on ".join(facts[name] for name in ("model", "data set") if name in facts) or "A text classifier"
    text, view, names = exported.text, exported.text.view, exported.text.class_names
    many = f"{len(names)}, see `classes.txt`"
    rows = {**facts, "classes": many if len(names) > _MOST_CLASSES else ", ".join(names)}
    if text.threshold is not None:
        rows["label"] = f"{names[1]} from a probability of {text.threshold:.4g} on, otherwise {names[0]}"
    if view:
        rows["text"] = _text_processing(text, view)
    table = "".join(f"| {name} | {_cell(value)} |\n" for name, value in rows.items())
    ids = ', `model.word_ids(texts)["word_ids"]` gives the ids of the words' if view else ""
    head = f"# {title}\n\nExported by Textbench {version}, and in need of nothing of it."
    parts = [f"{head}\n\n| | |\n| --- | --- |\n{table}", _saved_model_readme(text, ids)]
    if view and not exported.no_keras:
        parts.append(_keras_readme(text.length, view))
    else:
        parts.append(f"There is no Keras file: {exported.no_keras}.\n")
    return "\n".join(parts)


def _saved_model_readme(text: TextProcessing, ids: str) -> str:
    needs = [name.replace("_", "-") for name in text.libraries]
    return _filled(
        "saved_model",
        ids=ids,
        needs=f"TensorFlow and {' and '.join(needs)}, of the same version" if needs else "TensorFlow alone",
        imports="".join(f"import {name}  # for its operations\n" for name in text.libraries),
        serving="" if needs else "TensorFlow Serving takes the folder as it is.",
    )


def _text_processing(text: TextProcessing, view: View) -> str:
    where = {"pre": "in front", "post": "behind"}
    kept = "first" if view.truncation == "post" else "last"
    rule, name = _RULES[view.tokens]
    return (
        f"lower case (Unicode), `<br />` is a space, {rule}; {len(text.vocabulary):,} {name} are known; the "
        f"{kept} {text.length} {name} of a text are read, and a text with fewer is filled "
        f"{where[view.padding]}"
    )


def _keras_readme(length: int, view: View) -> str:
    if view.tokens != "words":
        return _filled("keras_ids", length=str(length))
    filling = f"[0] * ({length} - len(ids))"
    return _filled(
        "keras",
        length=str(length),
        kept=f":{length}" if view.truncation == "post" else f"-{length}:",
        filled=f"ids + {filling}" if view.padding == "post" else f"{filling} + ids",
    )


def _filled(part: str, **values: str) -> str:
    """Return a part of the README, of which the text is in the folder ``readme``."""
    template = Path(__file__).parent / "readme" / f"{part}.md"
    return template.read_text(encoding="utf-8").format(**values)


def _cell(value: str) -> str:
    return " ".join(value.replace("|", "\\|").splitlines())
