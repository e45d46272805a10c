"""The Keras arrays: read without running what the pickle says, and turned back into words."""

import io
import json
import os
import pickle
import zipfile
from collections import Counter

import numpy as np
import pytest

from benchmark.data.dataset import MappedTexts
from benchmark.data.imdb_int import SPECIAL, NpzFile, decode_ids, unpickle, word_table
from benchmark.data.prepare import prepare
from benchmark.data.source import SourceOptions, get_source
from benchmark.data.text import tokenize
from benchmark.spec.config import ViewSettings
from benchmark.support.errors import UserError

INDEX = {"the": 1, "film": 2, "was": 3, "good": 4, "bad": 5, "don't": 6, "start": 7}
SIZE = 40


def npy(array, pickled=None):
    """Return a .npy file; with `pickled`, that instead of the array's own content."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=True)
    if pickled is not None:
        start = file.getvalue().index(b"\n") + 1
        return file.getvalue()[:start] + pickled
    return file.getvalue()


def ragged(rows):
    array = np.empty(len(rows), dtype=object)
    for number, row in enumerate(rows):
        array[number] = list(row)
    return array


def write_data(folder, **members):
    """Write ``keras/imdb.npz`` and its word index, as the real ones are: ranks, one class after another."""
    rows = [[1, 2, 3, 4 + (number < SIZE // 2), 1 + number % 3] for number in range(SIZE)]
    labels = np.array([number < SIZE // 2 for number in range(SIZE)], dtype=np.int64)
    content = {"x_train": npy(ragged(rows)), "y_train": npy(labels)}
    content |= {"x_test": npy(ragged(rows[::4])), "y_test": npy(labels[::4])}
    content |= members
    (folder / "keras").mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "keras" / "imdb.npz", "w") as archive:
        for name, data in content.items():
            if data is not None:
                archive.writestr(f"{name}.npy", data)
    (folder / "keras" / "imdb_word_index.json").write_text(json.dumps(INDEX))
    return folder


@pytest.fixture
def validation_of_10(monkeypatch):
    monkeypatch.setattr("benchmark.data.imdb_int._VALIDATION", 10)


@pytest.mark.usefixtures("validation_of_10")
def test_rows_are_those_of_keras(tmp_path, monkeypatch):
    from benchmark.support.tensorflow_setup import quiet_tensorflow

    quiet_tensorflow()
    import keras

    write_data(tmp_path)
    path = str(tmp_path / "keras" / "imdb.npz")
    monkeypatch.setattr("keras.src.datasets.imdb.get_file", lambda *_, **__: path)  # not the download
    (x_train, y_train), (x_test, y_test) = keras.datasets.imdb.load_data(num_words=1000)
    words = word_table(tmp_path / "keras" / "imdb_word_index.json")
    expected = [("validation", x_train[:10], y_train[:10]), ("train", x_train[10:], y_train[10:])]
    expected = [
        (split, decode_ids(ids, words), int(label))
        for split, x, y in [*expected, ("test", x_test, y_test)]
        for ids, label in zip(x, y, strict=True)
    ]
    rows = list(get_source("imdb-int", SourceOptions(tmp_path)).rows())
    assert [row[:3] for row in rows] == expected
    assert rows[0].text.startswith("‹start› the film was ")


def test_decoding():
    words = {**{rank + 3: word for word, rank in INDEX.items()}, **dict(enumerate(SPECIAL))}
    assert decode_ids([1, 4, 5, 9, 2, 3, 0], words) == "‹start› the film don't ‹unk› ‹unused› ‹pad›"
    assert decode_ids([99_999], words) == "‹unk›"
    assert decode_ids([], words) == ""


def test_special_words_survive_tokenising_and_are_no_words_of_a_text(tmp_path):
    assert [tokenize(word) for word in SPECIAL] == [[word.encode()] for word in SPECIAL]
    assert len(set(SPECIAL)) == 4
    assert tokenize("<START> start ‹start›") == [b"start", b"start", "‹start›".encode()]


@pytest.mark.usefixtures("validation_of_10")
def test_it_is_prepared_with_the_first_of_train_as_validation(tmp_path, own_cache):
    dataset = prepare(get_source("imdb-int", SourceOptions(write_data(tmp_path))))
    assert dataset.sizes == {"train": 30, "validation": 10, "test": 10}
    assert dataset.vocabulary(ViewSettings())[:3] == ["film", "was", "the"]
    assert "‹start›" in dataset.vocabulary(ViewSettings())
    assert dataset.view("validation", ViewSettings()).rows.tolist() == list(range(10))
    assert sorted(set(dataset.view("validation", ViewSettings()).y)) == [0, 1]  # shuffled as Keras does


def test_another_validation_share_is_refused(tmp_path):
    with pytest.raises(UserError, match="a validation split, the first 10,000 of train"):
        get_source("imdb-int", SourceOptions(write_data(tmp_path), validation_share=0.2))


class Evil:
    """Pickled as a call of `os.system`."""

    def __init__(self, call, *arguments):
        self.reduced = (call, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("place", ["array", "entry", "number"])
def test_a_malicious_pickle_is_not_run(tmp_path, own_cache, refused, protocol, place):
    evil = Evil(os.system, f"touch {tmp_path / 'run'}")
    if place == "array":
        payload = evil
    else:
        payload = np.empty(SIZE, dtype=object)
        payload[:] = [1]
        payload[7] = evil if place == "entry" else [1, evil]
    pickled = pickle.dumps(payload, protocol=protocol)
    # It does run where pickles are loaded blindly: the test would notice.
    pickle.loads(pickled)
    assert (tmp_path / "run").exists()
    (tmp_path / "run").unlink()

    write_data(tmp_path, x_train=npy(ragged([[1]] * SIZE), pickled))
    message = refused("imdb-int", "--data-dir", tmp_path)
    assert "imdb.npz, array 'x_train': it cannot be read" in message
    assert "it asks for posix.system" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "name",
    [
        (os, "system"),
        (eval, None),
        (getattr, None),
        (__import__, None),
        (np.load, None),
        (np.fromfile, None),
        (io.open, None),
    ],
)
def test_nothing_but_the_names_of_an_array_is_found(name):
    target = name[0] if name[1] is None else getattr(*name)
    with pytest.raises(pickle.UnpicklingError, match="which no array of numbers needs"):
        unpickle(io.BytesIO(pickle.dumps(target)))


@pytest.mark.parametrize(
    "names", ["numpy\nndarray.tofile", "numpy._core.multiarray\n_reconstruct.__globals__", "_codecs\ndecode"]
)
def test_attributes_of_allowed_names_are_not_found_either(names):
    module, name = (word.encode() for word in names.split("\n"))
    dotted = b"\x80\x04\x8c" + bytes([len(module)]) + module + b"\x8c" + bytes([len(name)]) + name + b"\x93."
    with pytest.raises(pickle.UnpicklingError, match="it asks for"):
        unpickle(io.BytesIO(dotted))


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_arrays_of_lists_of_integers_are_read_whatever_the_protocol(protocol):
    rows = [[1, 300, 70_000], [], [2**31 - 1, 0, -5]]
    assert unpickle(io.BytesIO(pickle.dumps(ragged(rows), protocol=protocol))) == rows


def test_names_of_older_numpy_are_read_too():
    rows = [[1, 2], [3]]
    old = pickle.dumps(ragged(rows), protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert unpickle(io.BytesIO(old)) == rows


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"x_train": None}, "array 'x_train': it is not there"),
        ({"y_test": None}, "array 'y_test': it is not there"),
        ({"x_train": b"no array"}, "array 'x_train': it cannot be read"),
        ({"x_train": npy(ragged([[1]] * SIZE))[:-9]}, "array 'x_train': it cannot be read"),
        ({"x_train": npy(np.zeros(SIZE, dtype=np.int64))}, "expected an array of lists of integers"),
        ({"x_train": npy(ragged([["a"]] * SIZE))}, "entry 0 is not a list of integers"),
        ({"x_train": npy(ragged([[1]] * (SIZE - 1) + [[1.5]]))}, f"entry {SIZE - 1} is not a list"),
        ({"x_train": npy(ragged([[2**40]] * SIZE))}, "entry 0 has a number above"),
        ({"x_train": npy(ragged([[1]] * SIZE), pickle.dumps([1]))}, "it holds no object array"),
        ({"x_train": npy(ragged([[1]] * SIZE), pickle.dumps(ragged([[1]])))}, "header says shape (40,)"),
        ({"x_train": npy(ragged([[1]] * 3))}, "x_train has 3 entries and y_train 40"),
        ({"y_train": npy(np.zeros(SIZE))}, "expected a one-dimensional array of integers"),
        ({"y_train": npy(np.zeros((SIZE, 2), dtype=int))}, "expected a one-dimensional array of integers"),
        ({"y_train": npy(np.full(SIZE, 5))}, "label 5; expected 0 to 1"),
    ],
)
def test_damaged_arrays_are_one_line(tmp_path, own_cache, refused, members, message):
    assert message in refused("imdb-int", "--data-dir", write_data(tmp_path, **members))


def test_an_array_that_unfolds_into_all_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmark.data.imdb_int._LARGEST", 1000)
    write_data(tmp_path, x_train=npy(np.zeros(1000, dtype=np.int64)))
    with pytest.raises(UserError, match="it is larger than"):
        NpzFile(tmp_path / "keras" / "imdb.npz").lists("x_train")


def test_missing_files_are_named(tmp_path, refused):
    assert "keras/imdb.npz and keras/imdb_word_index.json below --data-dir: no folder" in refused("imdb-int")
    write_data(tmp_path)
    (tmp_path / "keras" / "imdb_word_index.json").write_text("{")
    assert "cannot be read as a word index" in refused("imdb-int", "--data-dir", tmp_path)
    (tmp_path / "keras" / "imdb_word_index.json").unlink()
    assert "lacks keras/imdb_word_index.json" in refused("imdb-int", "--data-dir", tmp_path)
    (tmp_path / "keras" / "imdb.npz").write_bytes(b"no archive")
    (tmp_path / "keras" / "imdb_word_index.json").write_text("{}")
    assert "BadZipFile" in refused("imdb-int", "--data-dir", tmp_path)


def test_the_key_changes_with_the_files(tmp_path):
    key = get_source("imdb-int", SourceOptions(write_data(tmp_path))).key()
    os.utime(tmp_path / "keras" / "imdb.npz", ns=(0, 0))
    assert get_source("imdb-int", SourceOptions(tmp_path)).key() != key


@pytest.mark.imdb
def test_the_real_arrays(real_data, own_cache):
    dataset = prepare(get_source("imdb-int", SourceOptions(real_data)))
    assert dataset.sizes == {"train": 15_000, "validation": 10_000, "test": 25_000}
    store = MappedTexts(dataset.folder / "open")
    # The first text of load_data, which every Keras tutorial decodes.
    assert store.text(0).startswith(
        "‹start› this film was just brilliant casting location scenery story direction everyone's really"
    )
    assert store.labels[0] == 1
    counts = Counter(dataset.view("validation", ViewSettings(sequence_length=1)).y.tolist())
    assert counts == {0: 4_947, 1: 5_053}
    index = json.loads((real_data / "keras" / "imdb_word_index.json").read_text())
    assert not set(SPECIAL) & set(index)
    assert dataset.vocabulary(ViewSettings())[:6] == ["the", "and", "a", "of", "to", "is"]
