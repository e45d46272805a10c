"""The README.md of an exported model: what it is, and a few lines of Python for each of its forms."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.serving.mlflow_model import TextProcessing, View
from benchmark.serving.saved_model import Exported

_MOST_CLASSES = 20

_SAVED_MODEL = """\
## saved_model/

A TensorFlow SavedModel: raw texts in, labels and probabilities out. It needs TensorFlow alone.

```python
import tensorflow as tf

model = tf.saved_model.load("saved_model")
answer = model.signatures["serving_default"](texts=tf.constant(["a dull film", "a great one"]))
print(answer["label"].numpy(), answer["probabilities"].numpy())
```

`model.class_names()["class_names"]` names the columns{ids}.
A batch is computed at once: give some hundred texts at a time. TensorFlow Serving takes the folder as it is.
"""

_KERAS = """\
## model.keras

A Keras model from word ids, int32 [n, {length}], to probabilities. It is made of Keras's own layers and
operations, loads in safe mode, and can be trained further. In `vocabulary.txt` the line number, from 0, is
the id: 0 is padding, 1 any other word.

```python
import keras, numpy, pathlib, string

model = keras.saving.load_model("model.keras")
lines = pathlib.Path("vocabulary.txt").read_bytes().split(b"\\n")
id_of = {{word: number for number, word in enumerate(lines)}}

def to_ids(text):
    lowered = text.lower().encode().replace(b"<br />", b" ")
    words = lowered.translate(None, string.punctuation.encode()).split()
    ids = [id_of.get(word, 1) for word in words][{kept}]
    return {filled}

print(model.predict(numpy.array([to_ids("a dull film"), to_ids("a great one")]), verbose=0))
```

There is no form with `keras.layers.TextVectorization` inside: it lowers the letters A to Z alone and makes a
word of `<br />`, and a function that does better cannot be stored in a file that Keras loads safely.
"""


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
    if view:
        rows["text"] = _describe(text, view)
    table = "".join(f"| {name} | {_cell(value)} |\n" for name, value in rows.items())
    ids = ', `model.word_ids(texts)["word_ids"]` gives the ids of the words' if view else ""
    head = f"# {title}\n\nExported by Textbench {version}, and in need of nothing of it."
    parts = [f"{head}\n\n| | |\n| --- | --- |\n{table}", _SAVED_MODEL.format(ids=ids)]
    if view and not exported.no_keras:
        parts.append(_keras(text.length, view))
    else:
        parts.append(f"There is no Keras file: {exported.no_keras}.\n")
    return "\n".join(parts)


def _describe(text: TextProcessing, view: View) -> str:
    where = {"pre": "in front", "post": "behind"}
    kept = "first" if view.truncation == "post" else "last"
    return (
        "lower case (Unicode), `<br />` is a space, ASCII punctuation is removed, words end at ASCII white "
        f"space; {len(text.vocabulary):,} words are known; the {kept} {text.length} words of a text are "
        f"read, and a text with fewer is filled {where[view.padding]}"
    )


def _keras(length: int, view: View) -> str:
    filling = f"[0] * ({length} - len(ids))"
    return _KERAS.format(
        length=length,
        kept=f":{length}" if view.truncation == "post" else f"-{length}:",
        filled=f"ids + {filling}" if view.padding == "post" else f"{filling} + ids",
    )


def _cell(value: str) -> str:
    return " ".join(value.replace("|", "\\|").splitlines())
