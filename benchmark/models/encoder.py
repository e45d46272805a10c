"""Encoder: a pre-trained transformer by KerasHub, frozen or trained further, and a linear head.

Source: Devlin et al. 2019, "BERT" (arXiv 1810.04805, appendix A.3: batches of 16 or 32, rates of 2e-5 to
5e-5, 2 to 4 epochs, dropout 0.1); Reimers and Gurevych 2019 (arXiv 1908.10084): the average of all tokens.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import keras
import tensorflow as tf

from benchmark.models.task import Task
from benchmark.vectors.presets import identify, layers_of, load_backbone, load_preprocessor

INPUT = "strings"
RESOURCES = {"preset": "benchmark.vectors.presets:identify"}
CHOICES = {"train": ("head", "top_n", "all"), "pooling": ("first", "average")}
PREPARE = "benchmark.training.kept_inputs:prepare"
CHECK = "benchmark.vectors.presets:check_sizes"


def build(
    task: Task,
    *,
    preset: str = "all_minilm_l6_v2_en",
    sequence_length: int = 128,
    train: str = "all",
    top_layers: int = 2,
    pooling: str = "first",
    dropout: float = 0.1,
) -> keras.Model:
    """Encode each text, take the first token's vector or the average, then classify.

    Parameters
    ----------
    task : Task
        Classes.
    preset : str
        The encoder, see `benchmark.vectors.presets.find`.
    sequence_length : int
        Tokens of a text that are read, the special ones included: its first ones.
    train : {"head", "top_n", "all"}
        What is trained: the head alone, on vectors that are computed once; the upper blocks, too; or all.
    top_layers : int
        How many blocks ``top_n`` trains.
    pooling : {"first", "average"}
        The vector of the first token, or the average of all.
    dropout : float
        Dropout before the logits; the encoder's is as its preset says.

    Returns
    -------
    keras.Model
        Raw texts, string [batch], to logits [batch, n_outputs].
    """
    texts = keras.Input((), dtype="string")
    tokens, digest = TokenIds(preset, sequence_length), identify(preset).digest
    if train == "head":
        encoder = _frozen(preset, digest, keras.config.dtype_policy().name)
    else:
        encoder = load_backbone(preset)
        _freeze(encoder, top_layers if train == "top_n" else None)
    inputs = EncoderInputs(list(encoder.input), tokens.padding)(tokens(texts))
    mask = inputs["padding_mask"]
    pooled = Pooled()
    vectors = pooled([encoder({name: inputs[name] for name in encoder.input}), mask])
    of = f"{digest} {sequence_length}"
    tokens.kept_as = f"ids {of}"
    if train == "head":
        pooled.kept_as = f"vectors {of} {encoder.dtype_policy.name}"
    x = vectors[:, CHOICES["pooling"].index(pooling)]
    x = keras.layers.Dropout(dropout)(x) if dropout else x
    return keras.Model(texts, keras.layers.Dense(task.n_outputs)(x))


@lru_cache(1)
def _frozen(preset: str, digest: str, policy: str) -> keras.Model:
    """Return an encoder that is never trained, which runs can share."""
    encoder = load_backbone(preset)
    encoder.trainable = False
    return encoder


def _freeze(encoder: keras.Model, top: int | None) -> None:
    """Leave the upper blocks of an encoder to be trained, and nothing else; None leaves all."""
    if top is None:
        return
    trained = layers_of(encoder)[-top:]
    for layer in encoder.layers:
        layer.trainable = layer in trained


class TokenIds(keras.layers.Layer):
    """Raw texts to ids of the encoder's tokens, plus 1, so that 0 is padding whatever the encoder's is.

    Parameters
    ----------
    preset : str
        The encoder.
    length : int
        Most tokens of a text.

    Attributes
    ----------
    padding : int
        The encoder's id of padding.
    unknown : int or None
        The id, plus 1, of what is not in the vocabulary; None where everything is.
    kept_as : str
        Names what the layer gives for a text, which never changes; see `benchmark.training.kept_inputs`.
    libraries : tuple of str
        What a stored program has operations of.
    """

    kept_as = ""
    libraries = ("tensorflow_text",)

    def __init__(self, preset: str, length: int, **options: Any) -> None:
        super().__init__(trainable=False, **options)
        self.length, self._preprocessor = length, load_preprocessor(preset, length)
        tokenizer = self._preprocessor.tokenizer
        self.padding = int(tokenizer.pad_token_id)
        vocabulary = {*tokenizer.get_vocabulary()}
        unknown = next((name for name in ("[UNK]", "<unk>") if name in vocabulary), "")
        if hasattr(tokenizer, "merges"):  # pairs of bytes, which know all
            unknown = ""
        self.unknown = int(tokenizer.token_to_id(unknown)) + 1 if unknown else None

    def call(self, texts: Any) -> Any:
        """Texts, string [batch], to ids, int32 [batch, length]."""
        in_graph = tf.function(lambda given: self._preprocessor(given)["token_ids"])
        ids = tf.cast(in_graph(texts), tf.int32)
        return tf.where(ids == self.padding, 0, ids + 1)

    def compute_output_spec(self, texts: Any) -> Any:
        """Return the shape, for which nothing is cut."""
        return keras.KerasTensor((texts.shape[0], self.length), "int32")


class EncoderInputs(keras.layers.Layer):
    """Ids of `TokenIds` to what an encoder reads, cut to the longest text of a batch.

    Parameters
    ----------
    names : list of str
        The encoder's inputs.
    padding : int
        Its id of padding.
    """

    def __init__(self, names: list[str], padding: int, **options: Any) -> None:
        super().__init__(trainable=False, **options)
        self.names, self.padding = names, padding

    def call(self, ids: Any) -> dict[str, Any]:
        """Ids, int32 [batch, length], to ``token_ids``, ``padding_mask`` and ``segment_ids``."""
        if "padding_mask" in self.names:  # others would mix padding in, more or less of it
            longest = tf.reduce_max(tf.math.count_nonzero(ids, axis=1))
            ids = ids[:, : tf.maximum(longest, 1)]
        mask = tf.cast(ids > 0, tf.int32)
        return {
            "token_ids": tf.where(ids > 0, ids - 1, self.padding),
            "padding_mask": mask,
            "segment_ids": tf.zeros_like(ids),
        }

    def compute_output_spec(self, ids: Any) -> Any:
        """Return the shapes."""
        names = ("token_ids", "padding_mask", "segment_ids")
        return {name: keras.KerasTensor((ids.shape[0], None), "int32") for name in names}


class Pooled(keras.layers.Layer):
    """Vectors of tokens [batch, length, dim], and a mask, to the first and their average [batch, 2, dim]."""

    kept_as = ""

    def call(self, given: list[Any]) -> Any:
        """Pool, in single precision."""
        vectors, mask = keras.ops.cast(given[0], "float32"), keras.ops.cast(given[1], "float32")[:, :, None]
        average = keras.ops.sum(vectors * mask, axis=1) / keras.ops.maximum(keras.ops.sum(mask, axis=1), 1.0)
        return keras.ops.stack([vectors[:, 0], average], axis=1)
