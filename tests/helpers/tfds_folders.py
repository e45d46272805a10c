"""A tiny folder of IMDB reviews as TensorFlow Datasets prepares them, and small helpers."""

import pytest

from benchmark.support.tensorflow_setup import quiet_tensorflow

TRAIN = [(f"train review {number}", number % 2) for number in range(20)]
TEST = [("A héro.<br />Good!", 1), ("bad", 0), ("good", 1)]
UNSUPERVISED = [("new one", -1), ("bad", -1), ("train review 3", -1), ("good", -1), ("new two", -1)]


def store_tfds(folder, name, splits, columns=("text", "label"), classes=("neg", "pos"), **where):
    """Write splits, lists of (text, label), as TensorFlow Datasets would prepare them below a folder."""
    quiet_tensorflow()
    import numpy as np
    import tensorflow as tf
    import tensorflow_datasets as tfds

    def split(rows):
        texts, labels = zip(*rows, strict=True)
        return tf.data.Dataset.from_tensor_slices(
            {columns[0]: list(texts), columns[1]: np.array(labels, dtype=np.int64)}
        )

    features = {columns[0]: tfds.features.Text(), columns[1]: tfds.features.ClassLabel(names=list(classes))}
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version=where.get("version", "1.0.0"),
        config=where.get("config"),
        data_dir=folder / "tensorflow_datasets",
        features=tfds.features.FeaturesDict(features),
        split_datasets={key: split(rows) for key, rows in splits.items()},
        disable_shuffling=True,
    )


@pytest.fixture(scope="session")
def make_tfds():
    """``make_tfds(folder, name, splits, …)`` is `store_tfds`."""
    return store_tfds


@pytest.fixture(scope="session")
def tiny_imdb(tmp_path_factory):
    """A data folder with ``tensorflow_datasets/imdb_reviews/plain_text/1.0.0`` in it."""
    folder = tmp_path_factory.mktemp("tiny-imdb")
    splits = {"train": TRAIN, "test": TEST, "unsupervised": UNSUPERVISED}
    store_tfds(folder, "imdb_reviews", splits, config="plain_text")
    return folder


@pytest.fixture
def no_network(monkeypatch):
    """Point every download at a local port where nothing listens."""
    for name in ("http", "https", "all"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)
    monkeypatch.setattr("benchmark.data.tfds_source._IMDB_HOST", ("127.0.0.1", 9))
    monkeypatch.setattr("benchmark.data.tfds_source._HOST", ("127.0.0.1", 9))
    monkeypatch.setattr(
        "benchmark.data.archive._QUESTIONS_URL", "http://127.0.0.1:9/stack_overflow_16k.tar.gz"
    )


@pytest.fixture
def write_tree(tmp_path):
    """``write_tree(name, {path: content})`` writes files below the test's folder and returns the top."""

    def write(name, files):
        for path, content in files.items():
            target = tmp_path / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / name

    return write


@pytest.fixture
def datasets(capsys):
    """``datasets("show", …)`` runs the command and returns exit code, output and errors."""
    from benchmark import datasets as command

    def run(*words):
        capsys.readouterr()
        code = command.main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def refused(datasets, own_cache):
    """``refused(name, …)`` asks for a data set and returns the one line with which it is refused."""

    def run(*words):
        code, out, errors = datasets("show", *words)
        assert (code, out) == (2, ""), errors
        assert len(errors.splitlines()) == 1, errors
        left = [path for path in own_cache.rglob("*") if path.is_file() and path.suffix != ".lock"]
        assert left == []
        return errors.removeprefix("error: ").rstrip("\n")

    return run
