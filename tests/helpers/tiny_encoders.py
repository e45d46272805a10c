"""Tiny encoders with random weights, saved as KerasHub's presets, and one in Hugging Face's layout."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

HERE = all(importlib.util.find_spec(name) for name in ("keras_hub", "tensorflow_text"))
needs_keras_hub = pytest.mark.skipif(not HERE, reason="no KerasHub: pip install 'textbench[encoders]'")

WORDS = ["tea", "coffee", "water", "a", "great", "dull", "film", *(f"word{number}" for number in range(40))]
SIZES = {"num_layers": 2, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 32}


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory):
    """The folder of a tiny preset, by kind; each is written when it is first asked for."""
    made = {}

    def folder(kind="bert"):
        if kind not in made:
            made[kind] = write_preset(tmp_path_factory.mktemp("presets") / kind, kind)
        return str(made[kind])

    return folder


def with_preset(folder: str | Path, model: str = "") -> list[str]:
    """Return options by which a sweep, or one model of it, has a tiny preset."""
    prefix = f"{model}." if model else ""
    return ["--set", f"{prefix}preset={folder}", "--set", f"{prefix}sequence_length=16"]


def write_preset(folder: Path, kind: str) -> Path:
    """Save a tiny encoder: ``bert``, ``distil_bert``, ``roberta`` or ``deberta_v3``; return its folder."""
    import keras
    import keras_hub

    keras.utils.set_random_seed(1)
    models = keras_hub.models
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [f"{mark}{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789" for mark in ("", "##")]
    if kind in ("bert", "distil_bert"):
        name = {"bert": "Bert", "distil_bert": "DistilBert"}[kind]
        vocabulary = [*dict.fromkeys([*special, *WORDS, *letters])]
        tokenizer = getattr(models, f"{name}Tokenizer")(vocabulary=vocabulary, lowercase=True)
        backbone = getattr(models, f"{name}Backbone")
    elif kind == "roberta":
        from keras_hub.src.tokenizers.byte_pair_tokenizer import bytes_to_unicode

        letters = list(bytes_to_unicode()[1])
        vocabulary = ["<s>", "<pad>", "</s>", "<unk>", *letters, "Ġt", "ea", "Ġtea", "<mask>"]
        merges = ["Ġ t", "e a", "Ġt ea"]
        numbers = {token: number for number, token in enumerate(vocabulary)}
        tokenizer, backbone = models.RobertaTokenizer(numbers, merges), models.RobertaBackbone
    else:
        tokenizer, backbone = _deberta(models)
    size = len(vocabulary) if kind != "deberta_v3" else tokenizer.vocabulary_size()
    made = backbone(vocabulary_size=size, max_sequence_length=64, **SIZES)
    # Drawn as small as they are made, one token would hardly be told from another.
    made.set_weights([10 * weight if weight.ndim > 1 else weight for weight in made.get_weights()])
    made.save_to_preset(str(folder))
    tokenizer.save_to_preset(str(folder))
    return folder


def _deberta(models):
    import io

    import sentencepiece

    proto = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(WORDS)] * 20),
        model_writer=proto,
        vocab_size=60,
        hard_vocab_limit=False,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        pad_piece="[PAD]",
        bos_piece="[CLS]",
        eos_piece="[SEP]",
        unk_piece="[UNK]",
        user_defined_symbols="[MASK]",
        minloglevel=2,
    )
    return models.DebertaV3Tokenizer(proto.getvalue()), models.DebertaV3Backbone


def write_hugging_face(folder: Path, size: int = 8) -> Path:
    """Write a tiny BERT as Hugging Face's library does, with the token's number as its vector."""
    import numpy as np
    from safetensors.numpy import save_file

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": len(vocabulary),
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "hidden_size": size,
        "intermediate_size": 2 * size,
        "max_position_embeddings": 32,
    }
    (folder / "config.json").write_text(json.dumps(config))
    draw = np.random.default_rng(0)

    def weight(*shape):
        return draw.normal(0, 0.5, shape).astype(np.float32)

    one, zero = np.ones(size, np.float32), np.zeros(size, np.float32)
    tensors = {
        "embeddings.word_embeddings.weight": weight(len(vocabulary), size),
        "embeddings.position_embeddings.weight": weight(32, size),
        "embeddings.token_type_embeddings.weight": weight(2, size),
        "embeddings.LayerNorm.weight": one,
        "embeddings.LayerNorm.bias": zero,
        "pooler.dense.weight": weight(size, size),
        "pooler.dense.bias": zero,
    }
    block = "encoder.layer.0."
    for name in ("self.query", "self.key", "self.value", "output.dense"):
        tensors |= {
            f"{block}attention.{name}.weight": weight(size, size),
            f"{block}attention.{name}.bias": zero,
        }
    for name in ("attention.output", "output"):
        tensors |= {f"{block}{name}.LayerNorm.weight": one, f"{block}{name}.LayerNorm.bias": zero}
    tensors |= {
        f"{block}intermediate.dense.weight": weight(2 * size, size),
        f"{block}intermediate.dense.bias": np.zeros(2 * size, np.float32),
        f"{block}output.dense.weight": weight(size, 2 * size),
        f"{block}output.dense.bias": zero,
    }
    save_file(
        {name: np.ascontiguousarray(value) for name, value in tensors.items()}, folder / "model.safetensors"
    )
    return folder
