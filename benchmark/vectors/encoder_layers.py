"""Layers around a pre-trained encoder: from raw texts to its inputs, and from its outputs to one vector."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from benchmark.vectors.presets import load_preprocessor


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
