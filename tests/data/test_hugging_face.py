"""Folders in the Hugging Face layout, read by its library. What the hub answers is not tested here."""

import json
import sys

import pytest

from benchmark.data import hugging_face
from benchmark.data.data_profile import describe
from benchmark.data.prepare import prepare
from benchmark.data.source import SourceOptions, experiment_name, get_source
from benchmark.support.errors import UserError

CARD = """---
dataset_info:
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
{names}
---
# A card
"""


def write_parquet(path, **columns):
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


def write_card(folder, *names):
    lines = (f"          '{number}': {name}" for number, name in enumerate(names))
    (folder / "README.md").write_text(CARD.format(names="\n".join(lines)))


def numbered(split, size, classes=2, start=0):
    texts = [f"{split} text {number}" for number in range(start, start + size)]
    return {"text": texts, "label": [number % classes for number in range(start, start + size)]}


@pytest.fixture
def reviews(tmp_path):
    """A folder with two files of train, one of test, and names of classes that are not in their order."""
    folder = tmp_path / "reviews"
    write_parquet(folder / "data" / "train-00000-of-00002.parquet", **numbered("train", 30))
    write_parquet(folder / "data" / "train-00001-of-00002.parquet", **numbered("train", 10, start=30))
    write_parquet(folder / "data" / "test-00000-of-00001.parquet", **numbered("test", 8))
    write_card(folder, "positive", "negative")
    return folder


def get(folder, **options):
    return get_source(f"hf:{folder}", SourceOptions(**options))


def test_a_folder_with_a_card_gives_its_class_names(reviews, own_cache, datasets):
    dataset = prepare(get(reviews))
    assert (dataset.name, dataset.class_names) == ("hf-reviews", ("positive", "negative"))
    assert dataset.sizes == {"train": 32, "validation": 8, "test": 8}
    rows = list(get(reviews).rows())
    assert [row.text for row in rows] == numbered("train", 40)["text"] + numbered("test", 8)["text"]
    assert [row.label for row in rows] == [0, 1] * 24
    assert (rows[39].where, rows[40].where) == ("train 39", "test 0")
    code, out, _ = datasets("show", "hf:reviews", "--json")
    assert (code, json.loads(out)["digest"]) == (0, dataset.digest)


def test_a_prepared_folder_is_known_without_the_library(reviews, own_cache, monkeypatch):
    dataset = prepare(get(reviews))
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert prepare(get(reviews)).digest == dataset.digest
    with pytest.raises(UserError) as caught:
        prepare(get(reviews, drop_missing=True))
    assert str(caught.value).endswith("missing here; install it with: pip install 'textbench[hf]'")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", ["file", "card"])
def test_a_changed_folder_is_read_again(reviews, own_cache, change):
    before = prepare(get(reviews))
    if change == "file":
        write_parquet(reviews / "data" / "test-00000-of-00001.parquet", **numbered("new", 9))
        assert prepare(get(reviews)).sizes["test"] == 9
    else:
        write_card(reviews, "good", "bad")
        assert prepare(get(reviews)).class_names == ("good", "bad")
    assert prepare(get(reviews)).digest != before.digest


def test_files_at_the_top_without_a_card(tmp_path, own_cache):
    folder = tmp_path / "top"
    for split, size in (("train", 20), ("validation", 6), ("test", 6)):
        write_parquet(
            folder / f"{split}-00000-of-00001.parquet",
            sentence=[f"{split} {number}" for number in range(size)],
            stars=[number % 2 + 1 for number in range(size)],
            writer=[f"w{number // 2}" for number in range(size)],
        )
    dataset = prepare(get(folder, group_column="writer"))
    assert (dataset.class_names, dataset.validation_share) == (("1", "2"), 0.0)
    assert dataset.sizes == {"train": 20, "validation": 6, "test": 6}
    assert len(set(dataset.view("validation", None).groups().tolist())) == 3


def test_other_splits_missing_labels_and_unused_classes(tmp_path, own_cache, datasets):
    folder = tmp_path / "odd"
    train = numbered("train", 40)
    train["label"][3] = -1
    write_parquet(folder / "data" / "train-00000-of-00001.parquet", **train)
    unlabelled = {"text": [f"u{n}" for n in range(5)], "label": [-1] * 5}
    write_parquet(folder / "data" / "test-00000-of-00001.parquet", **unlabelled)
    write_card(folder, "a", "b", "never")
    with pytest.raises(UserError, match=r"1 of 40 records have no label in the column 'label' \(train 3\)"):
        prepare(get(folder))
    dataset = prepare(get(folder, drop_missing=True))
    said = " ".join(describe(dataset)["notices"])
    assert dataset.class_names == ("a", "b")
    assert sum(dataset.sizes.values()) == 39
    for words in (
        "the split 'test' has no labels and is ignored",
        "1 of 3 classes have no text",
        "1 of 40 records without a label",
        "it has no test split",
    ):
        assert words in said


def test_several_configurations(tmp_path, own_cache, refused):
    folder = tmp_path / "tasks"
    for task in ("first", "second"):
        write_parquet(folder / task / "train-00000-of-00001.parquet", **numbered(task, 40))
    (folder / "README.md").write_text(
        "---\nconfigs:\n"
        + "".join(
            f"- config_name: {task}\n  data_files:\n  - split: train\n    path: {task}/train-*\n"
            for task in ("first", "second")
        )
        + "---\n"
    )
    message = refused("hf:tasks")
    assert "first" in message
    assert "second" in message
    first, second = (prepare(get(f"{folder}:{task}")) for task in ("first", "second"))
    assert (first.name, second.name) == ("hf-tasks-first", "hf-tasks-second")
    assert first.digest != second.digest


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf:", "expected hf:NAME"),
        ("hf:a@", "expected a name of the Hugging Face hub or a folder"),
        ("hf:./nothing", "hf:./nothing: there is no such folder"),
        ("hf:a/b/c", "hf:a/b/c: there is no such folder"),
        ("hf:table.csv", "this is a file; to read a table write csv:table.csv"),
        ("hf:empty", "hf:empty: cannot be read"),
        ("hf:empty@main", "a folder has no revisions"),
        ("hff:x", "did you mean 'hf:x'?"),
    ],
)
def test_names_that_are_none(tmp_path, refused, name, message):
    (tmp_path / "table.csv").write_text("text,label\n")
    (tmp_path / "empty").mkdir()
    assert message in refused(name)


def test_settings_without_a_meaning(reviews, refused):
    assert "--encoding has no meaning for" in refused("hf:reviews", "--encoding", "latin-1")
    assert "has no column 'txt'; did you mean 'text'?" in refused("hf:reviews", "--columns", "text=txt")


def test_a_hub_out_of_reach_is_one_line_within_seconds(own_cache, refused, monkeypatch):
    from datasets import config

    monkeypatch.setattr(config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hugging_face, "reachable", lambda host, port: (host, port) != ("hub.invalid", 8443))
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.invalid:8443")
    message = refused("hf:someone/reviews@v1:small")
    assert (
        "hf:someone/reviews@v1:small: cannot be fetched: hub.invalid cannot be reached from here" in message
    )


def test_a_folder_is_not_taken_for_a_set_of_the_hub(reviews, own_cache, monkeypatch, refused):
    from datasets import config

    assert get(reviews).class_names == ("positive", "negative")
    monkeypatch.setattr(config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hugging_face, "reachable", lambda host, port: False)
    reviews.rename(reviews.with_name("moved"))
    assert "hf:reviews: cannot be fetched" in refused("hf:reviews")


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("hf:stanfordnlp/imdb", "hf-stanfordnlp-imdb"),
        ("hf:nyu-mll/glue@abc/def:sst2", "hf-nyu-mll-glue-sst2"),
        ("hf:ag_news@main", "hf-ag_news"),
        ("hf:/some/where/mine", "hf-mine"),
        ("hf:./mine:small", "hf-mine-small"),
    ],
)
def test_names_of_experiments(spelling, name):
    assert experiment_name(spelling) == name
