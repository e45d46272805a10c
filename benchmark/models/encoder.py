"""Encoder: a pre-trained transformer by KerasHub, frozen or trained further, and a linear head.

Source: Devlin et al. 2019, "BERT" (arXiv 1810.04805, appendix A.3: batches of 16 or 32, rates of 2e-5 to
5e-5, 2 to 4 epochs, dropout 0.1); Reimers and Gurevych 2019 (arXiv 1908.10084): the average of all tokens.
"""

from __future__ import annotations

import keras

from benchmark.models.task import Task
from benchmark.vectors.encoder_layers import EncoderInputs, Pooled, TokenIds
from benchmark.vectors.presets import frozen_backbone, identify, layers_of, load_backbone

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
        encoder = frozen_backbone(preset, digest, keras.config.dtype_policy().name)
    else:
        encoder = load_backbone(preset)
    if train == "top_n":
        trained = layers_of(encoder)[-top_layers:]
        for layer in encoder.layers:
            layer.trainable = layer in trained
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
