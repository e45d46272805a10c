"""The IMDB reviews, from real TensorFlow Datasets folders: a tiny one, and the whole one where it is."""

import shutil
import tarfile
import time
from collections import Counter

import numpy as np
import pytest

from benchmark.data.dataset import MappedTexts
from benchmark.data.prepare import cached, prepare
from benchmark.data.source import Row, SourceOptions, get_source
from benchmark.data.tfds_source import ImdbSource
from benchmark.spec.config import ViewSettings
from benchmark.support.errors import UserError

SPLITS = "imdb_reviews/plain_text/1.0.0"


def test_rows_come_in_the_order_of_the_files(tiny_imdb):
    rows = list(ImdbSource(SourceOptions(tiny_imdb)).rows())
    train = [Row("train", f"train review {number}", number % 2) for number in range(20)]
    test = [Row("test", "A héro.<br />Good!", 1), Row("test", "bad", 0), Row("test", "good", 1)]
    assert rows == [*train, *test]


def test_unlabelled_reviews_leave_out_those_of_the_test_split(tiny_imdb):
    unlabelled = list(ImdbSource(SourceOptions(tiny_imdb)).unlabelled())
    assert unlabelled == ["new one", "train review 3", "new two"]


def test_it_is_prepared_with_a_stratified_validation_split(tiny_imdb, own_cache):
    dataset = prepare(get_source("imdb", SourceOptions(tiny_imdb)))
    assert dataset.sizes == {"train": 16, "validation": 4, "test": 3}
    assert Counter(dataset.view("validation", ViewSettings()).y.tolist()) == {0: 2, 1: 2}
    assert dataset.class_names == ("neg", "pos")
    larger = prepare(get_source("imdb", SourceOptions(tiny_imdb, validation_share=0.4)))
    assert larger.sizes == {"train": 12, "validation": 8, "test": 3}
    assert larger.digest != dataset.digest


def test_where_it_is_looked_for(tiny_imdb, tmp_path, monkeypatch):
    own = tiny_imdb / "tensorflow_datasets"
    assert ImdbSource(SourceOptions(tiny_imdb)).find() == own / SPLITS
    assert ImdbSource(SourceOptions()).find() is None
    assert ImdbSource(SourceOptions(tmp_path)).find() is None
    monkeypatch.setenv("TFDS_DATA_DIR", str(own))
    assert ImdbSource(SourceOptions()).find() == own / SPLITS
    assert ImdbSource(SourceOptions(tmp_path)).find() == own / SPLITS


@pytest.mark.usefixtures("no_network")
def test_without_files_and_network_it_says_within_seconds_what_to_do(own_cache, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nothing-here"))
    source = get_source("imdb", SourceOptions())
    started = time.monotonic()
    with pytest.raises(UserError, match=r"cannot be fetched.*`data_dir`.*`dataset` sample"):
        prepare(source)
    assert time.monotonic() - started < 6
    assert not (tmp_path / "nothing-here").exists()
    assert cached(source) is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing", "described wrongly"])
def test_damaged_files_are_one_line(tiny_imdb, tmp_path, own_cache, damage):
    folder = tmp_path / "copy"
    shutil.copytree(tiny_imdb, folder)
    version = folder / "tensorflow_datasets" / SPLITS
    path = next(version.glob("*-train.tfrecord*"))
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        path.write_bytes(content[:500] + bytes([content[500] ^ 1]) + content[501:])
    elif damage == "missing":
        path.unlink()
    else:
        (version / "dataset_info.json").write_text("{")
    source = get_source("imdb", SourceOptions(folder))
    with pytest.raises(UserError, match="cannot be read") as caught:
        prepare(source)
    assert "`data_dir`" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert cached(source) is None


@pytest.mark.imdb
def test_the_real_reviews(real_data, own_cache):
    dataset = prepare(get_source("imdb", SourceOptions(real_data)))
    assert dataset.sizes == {"train": 20_000, "validation": 5_000, "test": 25_000}
    assert dataset.test_duplicates == 123  # of which 21 stand in validation
    settings = ViewSettings()
    for split, each in (("train", 10_000), ("validation", 2_500)):
        assert np.bincount(dataset.view(split, settings).y).tolist() == [each, each]
    test = MappedTexts(dataset.folder / "test")
    assert np.bincount(test.labels).tolist() == [12_500, 12_500]
    first = MappedTexts(dataset.folder / "open").text(0)
    assert first.startswith("This was an absolutely terrible movie. Don't be lured in by Christopher Walken")
    assert dataset.vocabulary(settings)[:5] == ["the", "and", "a", "of", "to"]


@pytest.mark.imdb
def test_real_unlabelled_reviews_hold_no_test_review(real_data):
    texts = {"test/neg": [], "test/pos": [], "train/unsup": []}
    with tarfile.open(real_data / "archives" / "aclImdb_v1.tar.gz") as archive:
        for member in archive:
            split = member.name.removeprefix("aclImdb/").rpartition("/")[0]
            if split in texts and member.isfile() and (file := archive.extractfile(member)):
                texts[split].append(file.read().decode())
    test = {*texts["test/neg"], *texts["test/pos"]}
    expected = [text for text in texts["train/unsup"] if text not in test]
    assert len(texts["train/unsup"]) == 50_000
    assert len({text for text in texts["train/unsup"] if text in test}) == 266
    assert Counter(ImdbSource(SourceOptions(real_data)).unlabelled()) == Counter(expected)
