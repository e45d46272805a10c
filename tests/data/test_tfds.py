"""Any text classification set of TensorFlow Datasets, from tiny real ones."""

import logging
import time
from collections import Counter

import pytest

from benchmark.data.data_profile import describe
from benchmark.data.prepare import prepare
from benchmark.data.source import SourceOptions, get_source
from benchmark.support.errors import UserError

CLASSES = ("world", "sports", "business")


def numbered(split, size):
    return [(f"{split} {number} é", number % 3) for number in range(size)]


@pytest.fixture(scope="module")
def data(tmp_path_factory, make_tfds):
    """A data folder with several sets in it."""
    folder = tmp_path_factory.mktemp("tfds")
    splits = {"train": numbered("train", 30), "test": numbered("test", 6)}
    make_tfds(folder, "tiny_news", splits, ("headline", "topic"), CLASSES)
    newer = {"train": numbered("newer", 12), "test": numbered("test", 6)}
    make_tfds(folder, "tiny_news", newer, ("headline", "topic"), CLASSES, version="1.10.0")
    older = {"train": numbered("older", 9), "test": numbered("test", 6)}
    make_tfds(folder, "tiny_news", older, ("headline", "topic"), CLASSES, version="1.2.0")
    three = {
        "train": numbered("train", 30),
        "validation": numbered("validation", 9),
        "extra": numbered("x", 3),
    }
    three["test"] = [(text, -1) for text, _ in numbered("hidden", 5)]
    make_tfds(folder, "tiny_glue", three, classes=CLASSES, config="one")
    make_tfds(folder, "tiny_glue", {"train": [("a", 0), ("b", -1), ("c", 1)]}, classes=CLASSES, config="two")
    return folder


def get(name, data, **options):
    return get_source(f"tfds:{name}", SourceOptions(data, **options))


def test_texts_labels_and_class_names(data, own_cache):
    source = get("tiny_news:1.0.0", data)
    assert source.class_names == CLASSES
    rows = list(source.rows())
    assert [row[:3] for row in rows] == [
        *(("train", *row) for row in numbered("train", 30)),
        *(("test", *row) for row in numbered("test", 6)),
    ]
    dataset = prepare(source)
    assert dataset.name == "tfds-tiny_news"
    assert dataset.sizes == {"train": 24, "validation": 6, "test": 6}
    larger = prepare(get("tiny_news:1.0.0", data, validation_share=0.5))
    assert larger.sizes["validation"] == 15


def test_the_newest_version_is_taken(data):
    assert next(get("tiny_news", data).rows()).text == "newer 0 é"
    assert next(get("tiny_news:1.2.0", data).rows()).text == "older 0 é"
    assert get("tiny_news", data).key() == get("tiny_news:1.10.0", data).key()
    assert get("tiny_news", data).key() != get("tiny_news:1.0.0", data).key()
    assert get("tiny_news", data).key() != get("tiny_news", data, validation_share=0.3).key()


@pytest.mark.long
def test_an_unlabelled_test_split_is_ignored_and_another_drawn(data, own_cache, caplog):
    source = get("tiny_glue/one", data)
    with caplog.at_level(logging.WARNING):
        rows = list(source.rows())
    assert Counter(row.split for row in rows) == {"train": 24, "validation": 9, "test": 6}
    assert not any("hidden" in row.text or row.text.startswith("x ") for row in rows)
    assert caplog.records == []
    notices = " ".join(describe(prepare(source))["notices"])
    for words in ("'test' has no labels and is ignored", "'extra' (3) is not train", "it has no test split"):
        assert words in notices
    with pytest.raises(UserError, match="already has a validation split"):
        prepare(get("tiny_glue/one", data, validation_share=0.3))


def test_labels_missing_in_train_are_counted_and_named(data, own_cache):
    with pytest.raises(UserError, match=r"1 of 3 texts of 'train' have no label \(numbers 1\)"):
        prepare(get("tiny_glue/two", data))


def test_several_configurations_must_be_named(data):
    with pytest.raises(
        UserError, match="several configurations; name one of one, two, as tfds:tiny_glue/one"
    ):
        get("tiny_glue", data).key()


@pytest.mark.long
def test_one_configuration_need_not_be_named(tiny_imdb):
    short, long = (list(get(f"imdb_reviews{rest}", tiny_imdb).rows()) for rest in ("", "/plain_text:1.0.0"))
    imdb = get_source("imdb", SourceOptions(tiny_imdb))
    assert short == long
    assert [row[:3] for row in short] == [row[:3] for row in imdb.rows()]


def test_columns_may_be_named(data):
    named = get("tiny_news", data, text_column="headline", label_column="topic")
    assert list(named.rows()) == list(get("tiny_news", data).rows())
    with pytest.raises(UserError, match="no string feature 'headlin'; did you mean 'headline'"):
        list(get("tiny_news", data, text_column="headlin").rows())
    with pytest.raises(UserError, match="no class label feature 'headline'; choose from topic"):
        list(get("tiny_news", data, label_column="headline").rows())


@pytest.mark.parametrize(
    "name", ["../tiny_news", "/etc", "tiny_news/../../x", "Tiny", "a b", "x:1", "x/..", "x/"]
)
def test_a_name_cannot_leave_the_folder(data, name):
    with pytest.raises(UserError, match="expected a name of TensorFlow Datasets"):
        get(name, data)


@pytest.mark.usefixtures("no_network")
def test_names_that_are_not_there_are_known_within_seconds(refused, data):
    started = time.monotonic()
    message = refused("tfds:ag_news_subset", "--data-dir", data)
    assert (
        "cannot be reached from here; give a folder that holds tensorflow_datasets/ag_news_subset" in message
    )
    assert "did you mean 'ag_news_subset'" in refused("tfds:ag_news_subst")
    assert "tensorflow.org/datasets/catalog" in refused("tfds:qqqqqqqq")
    assert time.monotonic() - started < 10


def test_damaged_files_are_one_line(tmp_path, make_tfds, refused):
    make_tfds(tmp_path, "broken", {"train": numbered("a", 6)}, classes=CLASSES)
    folder = tmp_path / "tensorflow_datasets" / "broken" / "1.0.0"
    record = next(folder.glob("*.tfrecord*"))
    record.write_bytes(record.read_bytes()[:100])
    assert "cannot be read (" in refused("tfds:broken", "--data-dir", tmp_path)
    (folder / "dataset_info.json").write_text("{")
    assert "cannot be read (" in refused("tfds:broken", "--data-dir", tmp_path)


def test_texts_that_are_no_utf8_and_sets_without_text(tmp_path, make_tfds, refused):
    make_tfds(tmp_path, "odd", {"train": [(b"caf\xe9", 0), ("b", 1)]}, classes=CLASSES)
    assert "train 0: byte 3 (0xe9) is not utf-8 text" in refused("tfds:odd", "--data-dir", tmp_path)
