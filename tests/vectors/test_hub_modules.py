"""Modules are found by folder, name and address, told apart by content, and checked before they are used."""

import functools
import http.server
import json
import shutil
import tarfile
import threading

import pytest
from small_modules import write_module

from benchmark.support.errors import MissingResource, UserError
from benchmark.vectors.hub_modules import find, identify

NNLM = "https://tfhub.dev/google/nnlm-en-dim50/2"
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_module(tmp_path_factory.mktemp("module") / "made", ["tea", "coffee"])


@pytest.fixture
def module(made, tmp_path):
    return shutil.copytree(made, tmp_path / "own" / "module")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    """The library's cache, empty; and no proxy."""
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub-cache"))
    monkeypatch.delenv("TFHUB_MODEL_LOAD_FORMAT", raising=False)
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / "hub-cache"


def error_of(handle):
    with pytest.raises(UserError) as caught:
        identify(str(handle))
    message = str(caught.value)
    assert "\n" not in message
    return message


def change(path, edit):
    """Rewrite a SavedModel's program."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    program = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    edit(program.meta_graphs[0])
    (path / "saved_model.pb").write_bytes(program.SerializeToString())


# Where a module is


def test_a_folder(module, monkeypatch):
    assert find(str(module)) == module
    monkeypatch.chdir(module.parent)
    assert find("module").samefile(module)
    monkeypatch.setenv("HOME", str(module.parent))
    assert find("~/module") == module


def test_a_name_in_the_data_folder(module, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCHMARK_DATA_DIR", str(tmp_path / "data"))
    shelf = tmp_path / "data" / "vectors" / "mine"
    shutil.copytree(module, shelf)
    assert find("mine") == shelf
    assert identify("mine") == identify(str(module))


def test_an_address_is_fetched_once_and_then_found_in_the_library_s_cache(module, tmp_path, empty_cache):
    archive = tmp_path / "served" / "small" / "1.tar.gz"
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(module, ".")
    files = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "served")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), files) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        try:
            found = find(f"{address}/small/1.tar.gz")
            archive.write_bytes(b"no archive")
            assert "does not appear to be a valid module" in error_of(f"{address}/small/1.tar.gz?again")
            assert "HTTP Error 404" in error_of(f"{address}/small/2.tar.gz")
        finally:
            server.shutdown()
            thread.join()
    assert found.parent == empty_cache
    assert find(f"{address}/small/1.tar.gz") == found
    assert identify(f"{address}/small/1.tar.gz") == identify(str(module))
    assert "cannot be reached" in error_of(f"{address}/small/1.tar.gz?again")


@pytest.mark.parametrize("handle", ["http://127.0.0.1:9/small/1", NNLM])
def test_without_network_it_is_said_how_to_bring_one(handle, monkeypatch, empty_cache):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody listens
    with pytest.raises(MissingResource) as caught:
        identify(handle)
    host = "tfhub.dev" if handle == NNLM else "127.0.0.1"
    assert str(caught.value) == (
        f"module '{handle}' cannot be fetched ({host} cannot be reached from here); name a cache that holds "
        "it with TFHUB_CACHE_DIR, or a folder with `set` handle=DIR, or make one: python -m "
        "benchmark.embeddings --dataset imdb --output DIR, then `set` handle=DIR/module"
    )
    assert not empty_cache.exists()


def test_a_module_that_is_not_there(module, tmp_path):
    near = module.with_name("modul")
    assert error_of(near) == f"module '{near}': there is no such folder; did you mean '{module}'?"
    assert error_of("gs://bucket/module") == (
        "module 'gs://bucket/module': expected https://… or the path of a folder"
    )
    file = module / "saved_model.pb"
    assert error_of(file) == f"module '{file}': {file} is a file; expected the folder of a SavedModel"
    above = module.parent
    message = error_of(above)
    assert message.startswith(f"module '{above}': {above} holds no saved_model.pb, so it is not a SavedModel")
    assert message.endswith(f"; did you mean '{module}'?")


# What a module is


def test_the_digest_is_that_of_the_content(module, tmp_path):
    first = identify(str(module))
    assert first.protocol == "pretrained"
    assert len(first.digest) == 32
    copy = shutil.copytree(module, tmp_path / "copy", copy_function=shutil.copyfile)
    (copy / "README").write_text("of no importance")
    assert identify(str(copy)) == first
    digests = {first.digest}
    change(copy, lambda graph: setattr(graph.meta_info_def, "tensorflow_version", "other"))
    digests.add(identify(str(copy)).digest)
    weights = copy / "variables" / "variables.data-00000-of-00001"
    content = bytearray(weights.read_bytes())
    content[7] ^= 1
    weights.write_bytes(content)
    digests.add(identify(str(copy)).digest)
    (vocabulary,) = (copy / "assets").iterdir()
    vocabulary.write_text("tea\ncocoa\n")
    digests.add(identify(str(copy)).digest)
    vocabulary.rename(vocabulary.with_name("other.txt"))
    digests.add(identify(str(copy)).digest)
    assert len(digests) == 5


def test_a_module_of_our_own_tells_what_it_was_trained_on(module):
    sidecar = module / "textbench.json"
    before = identify(str(module))
    sidecar.write_text(json.dumps({"protocol": "unlabelled", "dataset": "imdb", "dataset_digest": "ab12"}))
    after = identify(str(module))
    assert (after.protocol, after.dataset) == ("unlabelled", "ab12")
    assert after.digest == before.digest
    sidecar.write_text("{}")
    assert f"{sidecar} is not what the embeddings command writes" in error_of(module)


def test_shapes_that_the_signature_does_not_tell(tmp_path):
    identify(str(write_module(tmp_path / "module", ["tea"], shapes_known=False)))


def save(folder, function, **attributes):
    import tensorflow as tf

    module = tf.Module()
    module.__call__ = function
    for name, value in attributes.items():
        setattr(module, name, value)
    tf.saved_model.save(module, str(folder))
    return folder


def test_modules_for_other_things(tmp_path):
    import tensorflow as tf

    def spec(*shape, dtype=tf.float32):
        return tf.TensorSpec(shape, dtype)

    texts = spec(None, dtype=tf.string)
    functions = {
        "float32 [n, 8, 8, 3] to float32 [n, 192]": (
            [spec(None, 8, 8, 3)],
            lambda images: tf.reshape(images, [-1, 192]),
        ),
        "string [n] to float32 []": ([texts], lambda texts: tf.cast(tf.size(texts), tf.float32)),
        "string [n] to int32 [n, 1]": ([texts], lambda texts: tf.strings.length(texts)[:, None]),
        "string [n, 2] to float32 [n, 1]": (
            [spec(None, 2, dtype=tf.string)],
            lambda pairs: tf.zeros([len(pairs), 1]),
        ),
        "string [n], string [n] to float32 [n, 1]": (
            [texts, texts],
            lambda first, second: tf.cast(tf.strings.length(first + second)[:, None], tf.float32),
        ),
        "string [n] to float32 [n, 1], int32 [n]": (
            [texts],
            lambda texts: {
                "vector": tf.cast(tf.strings.length(texts)[:, None], tf.float32),
                "words": tf.strings.length(texts),
            },
        ),
    }
    for number, (shown, (signature, function)) in enumerate(functions.items()):
        folder = save(tmp_path / str(number), tf.function(function, input_signature=signature))
        assert error_of(folder) == (
            f"module '{folder}' is {shown}; expected texts (string [n]) to vectors (float32 [n, dim])"
        )


def test_a_module_that_cannot_be_called(tmp_path):
    import tensorflow as tf

    answer = tf.function(
        lambda texts: tf.strings.length(texts), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    folder = tmp_path / "module"
    module = tf.Module()
    module.count = answer
    tf.saved_model.save(module, str(folder), signatures={"count": answer})
    assert error_of(folder) == (
        f"module '{folder}' cannot be called; it has the signatures count; expected texts (string [n]) to "
        "vectors (float32 [n, dim])"
    )


def test_what_tensorflow_2_cannot_use(module):
    import tensorflow as tf

    change(module, lambda graph: graph.meta_info_def.stripped_op_list.op.add(name="SentencepieceOp"))
    assert error_of(module) == (
        f"module '{module}' needs operations that TensorFlow {tf.__version__} does not have: SentencepieceOp"
    )
    (module / "saved_model.pb").write_bytes(b"\xff" * 100)
    assert (
        error_of(module) == f"module '{module}': {module / 'saved_model.pb'} cannot be read as a SavedModel"
    )
    (module / "tfhub_module.pb").write_bytes(b"")
    assert error_of(module).startswith(f"module '{module}' is in the format of TensorFlow 1 (")
