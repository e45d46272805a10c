"""The average over what a mask leaves, and zeros for a text without words."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="textbench")
class MaskedAverage(keras.layers.Layer):
    """Average over the steps that are not masked; zeros, not NaN, for a text without words."""

    def call(self, vectors: Any, mask: Any = None) -> Any:
        """Vectors [batch, steps, dim] and mask [batch, steps] to [batch, dim]."""
        weights = keras.ops.cast(mask, vectors.dtype)[:, :, None]
        count = keras.ops.maximum(keras.ops.sum(weights, axis=1), 1)
        return keras.ops.sum(vectors * weights, axis=1) / count

    def compute_mask(self, vectors: Any, mask: Any = None) -> None:
        """Return that no step is left to mask."""
