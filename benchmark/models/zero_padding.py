"""Vectors of padding set to zero, so that layers without masks leave it out of account."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="textbench")
class ZeroPadding(keras.layers.Layer):
    """Sets vectors [batch, steps, dim] to zero where ids [batch, steps] are padding (0)."""

    def call(self, vectors: Any, ids: Any) -> Any:
        """Multiply them by 0 or 1."""
        return vectors * keras.ops.cast(ids > 0, vectors.dtype)[:, :, None]
