"""A tiny folder of IMDB reviews as TensorFlow Datasets prepares them."""

import pytest

from benchmark.quiet import quiet_tensorflow

TRAIN = [(f"train review {number}", number % 2) for number in range(20)]
TEST = [("A héro.<br />Good!", 1), ("bad", 0), ("good", 1)]
UNSUPERVISED = [("new one", -1), ("bad", -1), ("train review 3", -1), ("good", -1), ("new two", -1)]


@pytest.fixture(scope="session")
def tiny_imdb(tmp_path_factory):
    """A data folder with ``tensorflow_datasets/imdb_reviews/plain_text/1.0.0`` in it."""
    quiet_tensorflow()
    import numpy as np
    import tensorflow as tf
    import tensorflow_datasets as tfds

    def split(rows):
        texts, labels = zip(*rows, strict=True)
        columns = {"text": list(texts), "label": np.array(labels, dtype=np.int64)}
        return tf.data.Dataset.from_tensor_slices(columns)

    folder = tmp_path_factory.mktemp("tiny-imdb")
    tfds.dataset_builders.store_as_tfds_dataset(
        name="imdb_reviews",
        version="1.0.0",
        config="plain_text",
        data_dir=folder / "tensorflow_datasets",
        features=tfds.features.FeaturesDict(
            {"text": tfds.features.Text(), "label": tfds.features.ClassLabel(names=["neg", "pos"])}
        ),
        split_datasets={"train": split(TRAIN), "test": split(TEST), "unsupervised": split(UNSUPERVISED)},
        disable_shuffling=True,
    )
    return folder


@pytest.fixture
def no_network(monkeypatch):
    """Point the download at a local port where nothing listens."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("benchmark.data.imdb._HOST", ("127.0.0.1", 9))
