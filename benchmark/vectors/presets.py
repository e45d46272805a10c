"""Pre-trained encoders as KerasHub reads them: found, fetched, known by their content, and loaded."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.data.files import content_digest, fingerprint, missing, stamp
from benchmark.spec.config import Resource
from benchmark.support.errors import MissingResource, UserError, did_you_mean, one_line
from benchmark.support.printable import redacted
from benchmark.support.retries import reachable
from benchmark.support.tensorflow_setup import quiet_stderr, quiet_tensorflow

if TYPE_CHECKING:
    import keras

INSTALL = "pip install 'textbench[encoders]'"
_LIBRARIES = {"keras_hub": "keras-hub", "tensorflow_text": "tensorflow-text"}
_CONFIG = "config.json"
_BLOCKS = ("num_layers", "num_hidden_layers", "n_layers")  # KerasHub's name, Hugging Face's, and DistilBERT's
_FEWEST_TOKENS = 3  # one between the two special ones
_HOSTS = {"hf": "huggingface.co", "kaggle": "www.kaggle.com"}

# By class in KerasHub's layout, by "model_type" in Hugging Face's. Those whose tokens are SentencePiece's are
# left out: Keras's `clear_session` takes away what their tokenizers hold.
_BACKBONES: tuple[str, ...] = ("Bert", "DistilBert", "Roberta", "RoformerV2")
_MODEL_TYPES: tuple[str, ...] = ("bert", "distilbert", "roberta")
_OFFSETS = {"roberta": 2}  # positions in Hugging Face's layout that are not for tokens


def find(preset: str) -> Path:
    """Return the folder of a preset.

    Parameters
    ----------
    preset : str
        The path of a folder in KerasHub's or Hugging Face's layout, which may lie in the folder ``vectors``
        of the data folder (``BENCHMARK_DATA_DIR``); or ``hf://ORGANISATION/NAME``, ``kaggle://…`` or a name
        that KerasHub knows, which its library fetches into its cache.

    Returns
    -------
    Path
        A folder with a ``config.json``.

    Raises
    ------
    MissingResource
        Where the extra is not installed, or the preset is unavailable; within seconds, with what to do.
    UserError
        For a folder that is not a preset.
    """
    if lacking := [name for module, name in _LIBRARIES.items() if importlib.util.find_spec(module) is None]:
        raise MissingResource(f"{' and '.join(lacking)} cannot be found here; {INSTALL}")
    if redacted(preset) != preset:  # it becomes a parameter in MLflow and Optuna
        raise UserError(
            f"preset '{redacted(preset)}': a password would be stored with every run; name its folder"
        )
    data = os.environ.get("BENCHMARK_DATA_DIR")
    path = Path(preset).expanduser()
    for folder in (path, *([Path(data) / "vectors" / preset] if data and preset else [])):
        if (folder / _CONFIG).is_file():
            return folder
        if folder.exists():
            raise UserError(f"preset '{preset}': {folder} holds no {_CONFIG}, so it is not a preset")
    scheme = preset.partition("://")[0] if "://" in preset else ""
    if not scheme and (path.is_absolute() or len(path.parts) > 1):
        raise missing(f"preset '{preset}'", path, "folder")
    if scheme and scheme not in _HOSTS:
        raise UserError(f"preset '{preset}': expected the path of a folder, hf://… or kaggle://…")
    return _fetched(preset, scheme or "kaggle")


def identify(preset: str) -> Resource:
    """Return the digest of a preset's files.

    Raises
    ------
    UserError
        As `find`, and for a model that is not an encoder of texts.
    """
    folder = find(preset)
    _check(preset, folder)
    files = [path for path, _ in _content(folder)]
    digest = _digest(folder, fingerprint(stamp(path) for path in files))
    return Resource(digest=digest, protocol="pretrained")


def check_sizes(asked: Mapping[str, Collection[Any]]) -> None:
    """Find out whether presets have as many positions and blocks as a sweep will ask for.

    Parameters
    ----------
    asked : mapping of str to collection
        The values that ``preset``, ``sequence_length``, ``train`` and ``top_layers`` may have; see
        `benchmark.models.encoder.build`.

    Raises
    ------
    UserError
        One line, with what the preset has by its configuration.
    """
    for preset in asked["preset"]:
        content = json.loads((find(preset) / _CONFIG).read_text(encoding="utf-8"))
        config = content.get("config", content)
        tokens = config.get("max_sequence_length")
        if tokens is None and (positions := config.get("max_position_embeddings")):
            tokens = positions - _OFFSETS.get(content.get("model_type"), 0)
        for length in asked["sequence_length"]:
            if length < _FEWEST_TOKENS or (tokens and length > tokens):
                most = f" to {tokens}, the tokens that preset '{preset}' reads" if tokens else " or more"
                raise UserError(f"sequence_length {length}: expected {_FEWEST_TOKENS}{most}")
        blocks = next((config[name] for name in _BLOCKS if name in config), None)
        for top in asked["top_layers"] if "top_n" in asked["train"] else ():
            if top < 1 or (blocks and top > blocks):
                most = f" to {blocks}, the blocks of preset '{preset}'" if blocks else " or more"
                raise UserError(f"top_layers {top}: expected 1{most}")


def load_preprocessor(preset: str, length: int) -> Any:
    """Return KerasHub's layer from raw texts to token ids of a length, special tokens included.

    Raises
    ------
    UserError
        When files of the preset are missing or damaged.
    """
    with _quiet(), _readable(preset):
        import keras_hub

        preprocessor = keras_hub.models.TextClassifierPreprocessor
        return preprocessor.from_preset(str(find(preset)), sequence_length=length)


def load_backbone(preset: str) -> keras.Model:
    """Return the encoder with its weights: ids and mask, as a dictionary, to vectors [batch, length, dim].

    The random numbers of the process are as they were before: a head is the same whether the encoder was
    loaded for it or is used again.

    Raises
    ------
    UserError
        When files of the preset are missing or damaged.
    """
    state = random.getstate()
    try:
        with _quiet(), _readable(preset):
            import keras
            import keras_hub

            backbone = keras_hub.models.Backbone.from_preset(str(find(preset)))
            outputs = backbone.output
            if isinstance(outputs, dict):  # a pooled one, too, which is not used here
                outputs = outputs["sequence_output"]
            return keras.Model(backbone.input, outputs, name="encoder")
    finally:
        random.setstate(state)


@lru_cache(1)
def frozen_backbone(preset: str, digest: str, policy: str) -> keras.Model:
    """Return an encoder that is never trained, which runs share: of a content and a policy of precision."""
    encoder = load_backbone(preset)
    encoder.trainable = False
    return encoder


def layers_of(encoder: keras.Model) -> list[Any]:
    """Return the blocks of an encoder, the last one nearest to its outputs."""
    return [layer for layer in encoder.layers if "Encoder" in type(layer).__name__]


@contextmanager
def _quiet() -> Iterator[None]:
    """Import and load without what KerasHub and its libraries print."""
    quiet_tensorflow()
    with quiet_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _readable(preset: str) -> Iterator[None]:
    """Say in one line which file of a preset is missing or damaged."""
    try:
        yield
    except (ImportError, MemoryError, UserError):
        raise
    except Exception as error:  # of json, h5py, safetensors, Keras, …; their errors have no common base
        what = one_line(error, named=True).replace("`", "'")  # between backticks stand settings
        raise UserError(f"preset '{preset}' cannot be loaded ({what})") from error


def _fetched(preset: str, scheme: str) -> Path:
    """Let KerasHub's libraries fetch a preset, or take what they have in their cache."""
    try:
        if scheme == "hf":
            from huggingface_hub import snapshot_download

            name = preset.removeprefix("hf://")
            try:
                return Path(snapshot_download(name, local_files_only=True))
            except Exception:  # not fetched yet; its errors have no common base
                _reach(preset, scheme)
                return Path(snapshot_download(name))
        _reach(preset, scheme)
        with _quiet():
            import kagglehub
            from keras_hub.src.utils.preset_utils import BUILTIN_PRESETS

        handle = preset if "://" in preset else BUILTIN_PRESETS.get(preset, {}).get("kaggle_handle")
        if handle is None:
            raise UserError(
                f"preset '{preset}': there is no such folder or preset; "
                f"{did_you_mean(preset, BUILTIN_PRESETS)}"
            )
        return Path(kagglehub.model_download(handle.removeprefix("kaggle://")))
    except UserError:
        raise
    except Exception as error:
        raise _unavailable(preset, one_line(error, named=True)) from error


def _reach(preset: str, scheme: str) -> None:
    if not reachable(_HOSTS[scheme], 443):
        raise _unavailable(preset, f"{_HOSTS[scheme]} cannot be reached from here")


def _unavailable(preset: str, reason: str) -> MissingResource:
    return MissingResource(
        f"preset '{preset}' is not a folder here, and cannot be fetched ({reason}); name a folder in "
        "KerasHub's or Hugging Face's layout with `set` preset=DIR"
    )


def _check(preset: str, folder: Path) -> None:
    """Find out from its configuration whether a preset is an encoder of texts."""
    try:
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        named, kind = config.get("registered_name"), config.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(
            f"preset '{preset}': {folder / _CONFIG} cannot be read ({one_line(error)})"
        ) from error
    if named is not None:
        found, known = str(named).rpartition(">")[2].removesuffix("Backbone"), _BACKBONES
    else:
        found, known = str(kind), _MODEL_TYPES
    if found not in known:
        raise UserError(
            f"preset '{preset}' is a '{found}', which is not supported in this layout; "
            f"expected one of {', '.join(known)}"
        )
    names = [Path(name) for _, name in _content(folder)]
    pieces = next((str(name) for name in names if name.suffix in (".model", ".spm")), None)
    if pieces and not any(name.name.startswith("vocab") and name.suffix != ".spm" for name in names):
        raise UserError(
            f"preset '{preset}': its tokens are SentencePiece's ({pieces}), which are not supported; "
            "expected a vocabulary of WordPiece (vocab.txt) or of byte pairs (vocab.json)"
        )


def _content(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files that make a preset what it is, with their names in it."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith(".") and path.suffix != ".md":
            yield path, name


@lru_cache
def _digest(folder: Path, state: str) -> str:
    """Return the digest of a preset; the state is there to notice a change."""
    return content_digest(_content(folder))[:32]
