"""Modules of TensorFlow Hub: found in a folder or a cache, fetched, known by their content, and written."""

from __future__ import annotations

import hashlib
import os
import socket
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from benchmark.data.cache import cache_root
from benchmark.data.files import content_digest, fingerprint, missing, stamp
from benchmark.spec.config import Resource
from benchmark.support.errors import MissingResource, UserError, one_line
from benchmark.support.printable import redacted
from benchmark.support.retries import reachable
from benchmark.support.tensorflow_setup import quiet_stderr, quiet_tensorflow
from benchmark.vectors.text_files import trained_on

_MODEL, _OLD, _SIDECAR = "saved_model.pb", "tfhub_module.pb", "textbench.json"
_SENT_ON_TO = {"tfhub.dev": ("www.kaggle.com",)}
_PATIENCE = 30.0
_WANTED = "texts (string [n]) to vectors (float32 [n, dim])"


def find(handle: str) -> Path:
    """Return the folder of a module.

    Parameters
    ----------
    handle : str
        A URL as TensorFlow Hub's library takes it, or the path of a folder, which may lie in the folder
        ``vectors`` of the data folder (``BENCHMARK_DATA_DIR``). What the library has in its cache
        (``TFHUB_CACHE_DIR``, otherwise a folder of the cache that is this user's alone) is not fetched again.

    Returns
    -------
    Path
        A folder that holds a TensorFlow 2 SavedModel.

    Raises
    ------
    UserError
        Within seconds, with what to do, when there is no such module (`MissingResource` when it would
        have to be fetched and cannot be), or it is not a TensorFlow 2 SavedModel.
    """
    if "://" in handle and redacted(handle) != handle:  # it becomes a parameter in MLflow and Optuna
        raise UserError(
            f"module '{redacted(handle)}': a user name or password in its address would be stored with every "
            "run; fetch the module, and name its folder"
        )
    folder = _of_url(handle) if "://" in handle else _of_path(handle)
    if (folder / _OLD).is_file():
        raise UserError(
            f"module '{handle}' is in the format of TensorFlow 1 ({folder / _OLD}); expected a TensorFlow 2 "
            "SavedModel, which a later version of the module may be"
        )
    if not (folder / _MODEL).is_file():
        inside = folder / "module"
        hint = f"; did you mean '{inside}'?" if (inside / _MODEL).is_file() else ""
        raise UserError(f"module '{handle}': {folder} holds no {_MODEL}, so it is not a SavedModel{hint}")
    return folder


def identify(handle: str) -> Resource:
    """Return the digest of a module, and what it was trained on where that is known.

    Parameters
    ----------
    handle : str
        As for `find`.

    Returns
    -------
    Resource
        ``unlabelled`` with the data set's digest where the module holds a ``textbench.json``, written
        by the `embeddings` command, otherwise ``pretrained``.

    Raises
    ------
    UserError
        As `find`, and for a module that does not take texts and give vectors.
    """
    folder = find(handle)
    files = [path for path, _ in _content(folder)]
    digest = _checked_digest(handle, folder, fingerprint(stamp(path) for path in files))
    return trained_on(digest, folder / _SIDECAR)


def _of_path(handle: str) -> Path:
    path = Path(handle).expanduser()
    data = os.environ.get("BENCHMARK_DATA_DIR")
    for place in (path, Path(data) / "vectors" / handle) if data and handle else (path,):
        if place.is_dir():
            return place
        if place.exists():
            raise UserError(f"module '{handle}': {place} is a file; expected the folder of a SavedModel")
    raise missing(f"module '{handle}'", path, "folder")


def _of_url(url: str) -> Path:
    # The name that TensorFlow Hub's library gives to what it has fetched and unpacked.
    cache = Path(os.environ.get("TFHUB_CACHE_DIR") or _own_cache())
    folder = cache / hashlib.sha1(url.encode()).hexdigest()
    if folder.is_dir() and any(folder.iterdir()):
        return folder
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"module '{url}': expected https://… or the path of a folder")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    for host in (parts.hostname, *_SENT_ON_TO.get(parts.hostname, ())):
        if not reachable(host, port):
            raise _unavailable(url, f"{host} cannot be reached from here")
    return _fetch(url, cache)


def _own_cache() -> Path:
    """Return the folder of fetched modules: a place in the shared temporary folder could be anybody's."""
    folder = cache_root() / "tfhub_modules"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # which only its owner can
    except OSError as error:
        raise UserError(
            f"the cache folder {folder} cannot be made this user's alone "
            f"({one_line(error)}); name one with TFHUB_CACHE_DIR"
        ) from error
    return folder


def _fetch(url: str, cache: Path) -> Path:
    """Let TensorFlow Hub's library fetch a module into its cache."""
    quiet_tensorflow()
    patience, before = socket.getdefaulttimeout(), os.environ.get("TFHUB_CACHE_DIR")
    socket.setdefaulttimeout(_PATIENCE)  # the library sets none, and would wait for ever
    try:
        with quiet_stderr(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow_hub

            os.environ["TFHUB_CACHE_DIR"] = str(cache)
            folder = Path(tensorflow_hub.resolve(url))
    except Exception as error:  # the errors of urllib, tarfile and TensorFlow have no common base
        raise _unavailable(url, one_line(error, named=True)) from error
    finally:
        socket.setdefaulttimeout(patience)
        if before is None:
            os.environ.pop("TFHUB_CACHE_DIR", None)
    if not folder.is_dir():
        raise UserError(f"module '{url}' lies at {folder}; unset TFHUB_MODEL_LOAD_FORMAT to have it fetched")
    return folder


def _unavailable(url: str, reason: str) -> MissingResource:
    return MissingResource(
        f"module '{url}' cannot be fetched ({reason}); name a cache that holds it with TFHUB_CACHE_DIR, or "
        "a folder with `set` handle=DIR, or make one: python -m benchmark.embeddings --dataset imdb "
        "--output DIR, then `set` handle=DIR/module"
    )


def _content(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files that make a module what it is, with their names in it."""
    for part in (_MODEL, "variables", "assets"):
        top = folder / part
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file():
                yield path, path.relative_to(folder).as_posix()


@lru_cache
def _checked_digest(handle: str, folder: Path, state: str) -> str:
    """Return the digest of a module that is fit for use; the state is there to notice a change."""
    _check_call(handle, folder)
    return content_digest(_content(folder))[:32]


def _check_call(handle: str, folder: Path) -> None:
    """Raise `UserError` where calling a module is not texts to vectors; its weights are not read."""
    quiet_tensorflow()
    import tensorflow as tf
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    try:
        graph = SavedModel.FromString((folder / _MODEL).read_bytes()).meta_graphs[0]
        calls = list(_calls(graph.object_graph_def))
    except Exception as error:  # protobuf's error, which has no types
        raise UserError(f"module '{handle}': {folder / _MODEL} cannot be read as a SavedModel") from error
    used = {operation.name for operation in graph.meta_info_def.stripped_op_list.op}
    foreign = sorted(name for name in used if not hasattr(tf.raw_ops, name) and name[0] != "_")
    if foreign:
        raise UserError(
            f"module '{handle}' needs operations that TensorFlow {tf.__version__} does not have: "
            f"{', '.join(foreign[:4])}{', …' if len(foreign) > 4 else ''}"
        )
    if any(_gives_vectors_of_texts(*call) for call in calls):
        return
    if calls:
        takes, gives = calls[0]
        has = f"is {_shown(takes)} to {_shown(gives)}"
    else:
        signatures = ", ".join(sorted(name for name in graph.signature_def if not name.startswith("__")))
        has = f"cannot be called; it has the signatures {signatures or '(none)'}"
    raise UserError(f"module '{handle}' {has}; expected {_WANTED}")


def _calls(graph: Any) -> Iterator[tuple[Any, Any]]:
    """Yield what each way to call a module takes, ``(arguments, options)``, and gives."""
    from tensorflow.python.saved_model.nested_structure_coder import decode_proto

    for child in graph.nodes[0].children:
        if child.local_name == "__call__":
            for name in graph.nodes[child.node_id].function.concrete_functions:
                function = graph.concrete_functions[name]
                yield (
                    decode_proto(function.canonicalized_input_signature),
                    decode_proto(function.output_signature),
                )


def _gives_vectors_of_texts(takes: Any, gives: Any) -> bool:
    """Whether one tensor that is the argument, not one in a dictionary, becomes one; ranks may be unknown."""
    tensors = _tensors(takes)
    if len(tensors) != 1 or not any(tensors[0] is argument for argument in takes[0][:1]):
        return False
    wanted = ((tensors[0], "string", 1), (gives, "float32", 2))
    return all(
        _tensors(spec) == [spec] and spec.dtype.name == dtype and spec.shape.rank in (None, rank)
        for spec, dtype, rank in wanted
    )


def _tensors(value: Any) -> list[Any]:
    """Return the tensors of a nested signature."""
    import tensorflow as tf

    return [one for one in tf.nest.flatten(value) if isinstance(one, tf.TensorSpec)]


def _shown(value: Any) -> str:
    """Return a signature for people."""
    parts, tensors = [], _tensors(value)
    for tensor in tensors[:4]:
        shape = tensor.shape
        sizes = "…" if shape.rank is None else ", ".join(str(size or "n") for size in shape.as_list())
        parts.append(f"{tensor.dtype.name} [{sizes}]")
    return ", ".join(parts + ["…"] * (len(tensors) > 4)) or "nothing"


OOV_BUCKETS = 100
"""Vectors, zeros at first, that all words without one share by a hash."""


def write_module(folder: Path, words: Sequence[str], vectors: NDArray[np.float32]) -> None:
    """Write a module of the form of ``nnlm-en-dim50/2``.

    The module takes strings [n] and gives float32 [n, dim]: the vectors of a text's words, added and
    divided by the square root of their number, zeros for a text without words. Words are cut as
    `benchmark.data.text.tokenize` cuts them. Its one variable, the table of vectors, can be trained.

    Parameters
    ----------
    folder : Path
        Where the SavedModel is written.
    words : sequence of str
        Words, without white space.
    vectors : ndarray of float32, shape [words, dim]
        Theirs.
    """
    quiet_tensorflow()
    import tensorflow as tf

    from benchmark.data.text import split_words

    table = np.concatenate([vectors, np.zeros((OOV_BUCKETS, vectors.shape[1]), dtype=np.float32)])
    with TemporaryDirectory() as scratch, quiet_stderr():
        vocabulary = Path(scratch, "vocabulary.txt")
        vocabulary.write_text("\n".join(words) + "\n", encoding="utf-8", newline="\n")
        module = tf.train.Checkpoint()
        module.embeddings = tf.Variable(table, name="embeddings")
        module.variables = [module.embeddings]  # these three names are TensorFlow Hub's interface
        module.trainable_variables = [module.embeddings]
        module.regularization_losses = []
        lines = tf.lookup.TextFileInitializer(
            str(vocabulary),
            key_dtype=tf.string,
            key_index=tf.lookup.TextFileIndex.WHOLE_LINE,
            value_dtype=tf.int64,
            value_index=tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        # Anonymous: a named table would be shared by all modules of a process whose file had the same path.
        lookup = tf.lookup.StaticVocabularyTable(lines, OOV_BUCKETS, experimental_is_anonymous=True)
        module.lookup = lookup

        def embed(texts: Any) -> Any:
            ids = lookup.lookup(split_words(texts).to_sparse())
            return tf.nn.safe_embedding_lookup_sparse(module.embeddings, ids, combiner="sqrtn")

        signature = [tf.TensorSpec([None], tf.string)]
        module.__call__ = tf.function(embed, input_signature=signature)
        tf.saved_model.save(module, folder)
