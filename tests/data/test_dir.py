"""A folder per class: layouts, what is left out, encodings, and folders that are no data set."""

import json
import os
import tarfile
from collections import Counter

import pytest

from benchmark.data.data_profile import describe
from benchmark.data.prepare import prepare
from benchmark.data.source import SourceOptions, experiment_name, get_source
from benchmark.spec.config import ViewSettings
from benchmark.support.errors import UserError


def tree(classes=("neg", "pos"), texts=10, top=""):
    return {
        f"{top}{name}/{number}.txt": f"{top}{name} {number}" for name in classes for number in range(texts)
    }


def rows_of(folder, **options):
    return list(get_source(f"dir:{folder}", SourceOptions(**options)).rows())


def test_train_and_test_folders(write_tree):
    folder = write_tree(
        "reviews", {"train/pos/b": "B", "train/pos/a": "A", "train/neg/c": "C", "test/pos/d": "D"}
    )
    assert [tuple(row)[:4] for row in rows_of(folder)] == [
        ("train", "C", 0, "train/neg/c"),
        ("train", "A", 1, "train/pos/a"),
        ("train", "B", 1, "train/pos/b"),
        ("test", "D", 1, "test/pos/d"),
    ]


@pytest.mark.parametrize("word", ["val", "validation", "Valid", "dev"])
def test_a_validation_folder_is_used_as_it_is(write_tree, own_cache, word):
    files = {**tree(top="train/"), **tree(texts=3, top="test/"), **tree(texts=2, top=f"{word}/")}
    folder = write_tree("reviews", files)
    dataset = prepare(get_source(f"dir:{folder}", SourceOptions()))
    assert dataset.sizes == {"train": 20, "validation": 4, "test": 6}
    assert dataset.validation_share == 0.0
    with pytest.raises(UserError, match="already has a validation split"):
        get_source(f"dir:{folder}", SourceOptions(validation_share=0.3))


def test_without_a_test_folder_a_fifth_of_each_class_is_drawn_always_the_same(write_tree, own_cache):
    folder = write_tree("topics", {**tree(("a", "b"), 50), **tree(("c",), 25)})
    rows = rows_of(folder)
    assert Counter((row.split, row.label) for row in rows) == {
        ("train", 0): 40,
        ("test", 0): 10,
        ("train", 1): 40,
        ("test", 1): 10,
        ("train", 2): 20,
        ("test", 2): 5,
    }
    assert rows == rows_of(folder)
    # Golden: a set that somebody measured on must never be cut anew.
    drawn = [row.where for row in rows if row.split == "test" and row.label == 2]
    assert drawn == ["c/1.txt", "c/16.txt", "c/20.txt", "c/22.txt", "c/6.txt"]
    dataset = prepare(get_source(f"dir:{folder}", SourceOptions()))
    assert dataset.sizes == {"train": 80, "validation": 20, "test": 25}
    facts = describe(dataset)
    assert "20 % of each class of train became one" in " ".join(facts["notices"])
    assert facts["class_counts"] == {"train": [32, 32, 16], "validation": [8, 8, 4], "test": [10, 10, 5]}


def test_the_drawn_test_split_is_part_of_the_digest(write_tree, own_cache, monkeypatch):
    folder = write_tree("topics", tree(texts=50))
    first = prepare(get_source(f"dir:{folder}", SourceOptions()))
    monkeypatch.setattr("benchmark.data.source.TEST_SEED", 1)
    monkeypatch.setenv("BENCHMARK_CACHE_DIR", str(own_cache / "other"))
    second = prepare(get_source(f"dir:{folder}", SourceOptions()))
    assert first.sizes == second.sizes
    assert first.digest != second.digest


def test_files_that_belong_to_no_class_are_counted_and_ignored(write_tree, own_cache):
    files = {**tree(top="aclImdb/train/"), **tree(texts=5, top="aclImdb/test/")}
    strays = ["README", "imdb.vocab", "train/labeledBow.feat", "train/unsup/0_0.txt", "train/unsup/1_0.txt"]
    strays += ["train/pos/.DS_Store", ".git/config", "other/x/y.txt"]
    folder = write_tree("data", {**files, **{f"aclImdb/{name}": "\x00" for name in strays}}) / "aclImdb"
    dataset = prepare(get_source(f"dir:{folder}", SourceOptions()))
    assert dataset.class_names == ("neg", "pos")
    assert dataset.sizes == {"train": 16, "validation": 4, "test": 10}
    assert describe(dataset)["notices"] == [
        f"dir:{folder}: 8 files that belong to no class ignored (.git/config, README, imdb.vocab, …)"
    ]


def test_links_to_folders_are_not_followed_and_named(write_tree, own_cache):
    write_tree("more", {f"{n}.txt": f"more {n}" for n in range(5)})
    folder = write_tree("links", tree())
    for name, target in (
        ("pos/more", "../../more"),
        ("pos/loop", ".."),
        ("pos/gone", "nowhere"),
        ("all", "."),
    ):
        (folder / name).symlink_to(target)
    (folder / "pos" / "file").symlink_to("../../more/1.txt")
    (folder / "third").symlink_to("../more")  # a class may be a link
    dataset = prepare(get_source(f"dir:{folder}", SourceOptions()))
    assert dataset.class_names == ("neg", "pos", "third")
    assert sum(dataset.sizes.values()) == 20 + 1 + 5
    notice = describe(dataset)["notices"][0]
    assert notice.startswith(
        f"dir:{folder}: 4 links to a folder, or to nothing, not followed (all, pos/gone, pos/loop"
    )


def test_files_that_systems_leave_behind_are_no_texts(write_tree):
    left = [
        "pos/Thumbs.db",
        "neg/desktop.ini",
        "__MACOSX/pos/._1.txt",
        "pos/__MACOSX/x",
        "pos/._1.txt",
        "neg/.DS_Store",
        "\x1b[2J\udcff",
    ]
    folder = write_tree("left", {**tree(), **dict.fromkeys(left, "x")})
    source = get_source(f"dir:{folder}", SourceOptions())
    assert (source.class_names, len(list(source.rows()))) == (("neg", "pos"), 20)
    assert source.notices[0].endswith(
        r"7 files that belong to no class ignored (\x1b[2J\udcff, __MACOSX/pos/._1.txt, neg/.DS_Store, …)"
    )


@pytest.mark.parametrize("names", [("caf\u00e9", "cafe\u0301"), ("pos", "pos ")])
def test_a_class_whose_folders_look_alike_is_one(write_tree, names):
    files = {**tree(("neg", names[0]), top="train/"), **tree(("neg", names[1]), top="test/")}
    source = get_source(f"dir:{write_tree('r', files)}", SourceOptions())
    assert set(source.class_names) == {"neg", names[0]}
    assert {(row.split, row.label) for row in source.rows()} == {
        (split, n) for split in ("train", "test") for n in (0, 1)
    }
    assert all(ascii(name) in source.notices[0] for name in names)


def test_folders_of_classes_are_names_not_numbers(write_tree):
    source = get_source(f"dir:{write_tree('r', tree(('1.1', '1.10', '10', '2')))}", SourceOptions())
    assert source.class_names == ("1.1", "1.10", "10", "2")


def test_names_that_are_not_utf_8_do_not_become_one_class(write_tree, refused):
    folder = write_tree("r", {f"{name}/1": "x" for name in ("pos", "caf\udce9", "caf\udce8")})
    assert "two folders of classes are named 'caf\ufffd'" in refused(f"dir:{folder}")


def test_folders_named_as_in_the_archive_of_20_newsgroups(write_tree):
    folder = write_tree(
        "news", {**tree(top="20news-bydate-train/"), **tree(texts=2, top="20news-bydate-test/")}
    )
    assert Counter(row.split for row in rows_of(folder)) == {"train": 20, "test": 4}


def test_a_class_may_be_called_train(write_tree):
    source = get_source(f"dir:{write_tree('travel', tree(('bus', 'train', 'crash-test')))}", SourceOptions())
    assert source.class_names == ("bus", "crash-test", "train")


def test_files_in_folders_of_a_class(write_tree):
    folder = write_tree("deep", {**tree(), "pos/more/even more/x.txt": "deep"})
    assert ("deep", 1) in [(row.text, row.label) for row in rows_of(folder)]


def test_a_byte_order_mark_is_no_word(write_tree):
    folder = write_tree("marked", {**tree(), "pos/a.txt": b"\xef\xbb\xbffirst"})
    assert "first" in [row.text for row in rows_of(folder)]


def test_another_encoding(write_tree, own_cache, refused):
    folder = write_tree("old", {**tree(), "pos/x.txt": "naïve café".encode("latin-1")})
    message = refused(f"dir:{folder}")
    assert f"{folder / 'pos' / 'x.txt'}: byte 2 (0xef) is not utf-8 text" in message
    assert "--encoding latin-1" in message
    assert "naïve café" in [row.text for row in rows_of(folder, encoding="latin-1")]
    assert "no such encoding; did you mean 'latin-1'" in refused(f"dir:{folder}", "--encoding", "latin1x")
    assert "--encoding base64" in refused(f"dir:{folder}", "--encoding", "base64")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.txt": "x"}, "found no texts; expected a folder per class"),
        ({"train/pos/.hidden": "x", "train/neg/.hidden": "x"}, "found no texts"),
        (tree(("pos",)), "found one class only, 'pos'"),
        (
            {**tree(top="train/"), **tree(("other",), top="test/")},
            "the class 'other' has 10 test texts and none",
        ),
        (
            {**tree(("neg", "Pos"), top="train/"), **tree(top="test/")},
            "the class 'pos' has 10 test texts and none to train on; add some to train, or remove "
            "these, or name it 'Pos'",
        ),
        (
            {**tree(top="train/"), "valid/pos/1": "x", "valid/new/1": "x"},
            "the class 'new' has 1 validation text",
        ),
        ({**tree(), "pos/a.png": b"\x89PNG\r\n\x1a\n\x00"}, "byte 0 (0x89) is not utf-8 text"),
        ({**tree(), "pos/a.bin": b"abc\x00def"}, "a.bin: byte 3 is NUL, so this is a binary file"),
        (tree(texts=1), "has no validation texts"),
        (
            {**tree(top="train/"), **tree(top="val/"), **tree(top="validation/")},
            "val and validation mean the same",
        ),
    ],
)
def test_folders_that_are_no_data_set(write_tree, refused, files, message):
    assert message in refused(f"dir:{write_tree('wrong', files)}")


def test_binary_files_are_refused_in_any_encoding(write_tree, refused):
    folder = write_tree("wrong", {**tree(), "pos/a.bin": b"abc\x00def"})
    assert "byte 3 is NUL" in refused(f"dir:{folder}", "--encoding", "latin-1")


def test_paths_that_are_not_there_or_no_folder(write_tree, refused):
    write_tree("reviews", tree())
    (write_tree("empty", {"x": ""}) / "x").unlink()
    assert refused("dir:reviws") == "dir:reviws: there is no such folder; did you mean 'reviews'?"
    assert "found no texts" in refused("dir:empty")
    assert refused("dir:reviews/pos/1.txt").endswith("to read a table write csv:reviews/pos/1.txt")
    assert refused("dir:") == "data set 'dir:': expected dir:PATH"
    assert refused("drr:reviews") == "there is no kind of data set 'drr:'; did you mean 'dir:reviews'?"
    assert refused("reviews").endswith("to read the folder reviews write dir:reviews")
    assert "--text-column has no meaning for 'dir:reviews'" in refused("dir:reviews", "--text-column", "x")


def test_a_file_too_large_to_be_one_text_is_not_read(write_tree, refused):
    folder = write_tree("large", tree())
    with (folder / "pos" / "huge.txt").open("wb") as file:
        file.truncate(5 << 30)
    assert "huge.txt is larger than 16 MiB; expected one text a file" in refused(f"dir:{folder}")


@pytest.mark.parametrize("change", ["content", "time", "name", "more", "encoding", "share"])
def test_the_key_changes_with_what_decides_the_rows(write_tree, change):
    folder = write_tree("reviews", tree())
    source = get_source(f"dir:{folder}", SourceOptions())
    assert source.key() == get_source(f"dir:{folder}", SourceOptions(encoding="UTF8")).key()
    path, options = folder / "pos" / "1.txt", {}
    if change == "content":
        path.write_text("longer than before")
    elif change == "time":
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    elif change == "name":
        path.rename(path.with_name("renamed.txt"))
    elif change == "more":
        (folder / "pos" / "11.txt").touch()
    elif change == "encoding":
        options = {"encoding": "latin-1"}
    else:
        options = {"validation_share": 0.3}
    assert get_source(f"dir:{folder}", SourceOptions(**options)).key() != source.key()


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("dir:/data/20news", "dir-20news"),
        ("dir:/data/20news.bydate/", "dir-20news.bydate"),
        ("dir:/data/x/..", "dir-data"),
        ("csv:data/reviews.csv", "csv-reviews"),
        ("csv:My Reviews (all)!.jsonl", "csv-My-Reviews-all"),
        ("csv:Bücher.csv", "csv-Bucher"),
        ("tfds:ag_news", "tfds-ag_news"),
        ("tfds:glue/sst2:2.0.0", "tfds-glue-sst2"),
        ("dir:...;rm -rf", "dir-rm-rf"),
        ("imdb", "imdb"),
        ("dir-20news", "dir-20news"),
        ("my:plug-in", "my:plug-in"),
    ],
)
def test_results_have_a_short_and_safe_name(spelling, name):
    assert experiment_name(spelling) == name


def test_a_name_without_any_safe_character_still_has_one():
    first, second = experiment_name("csv:日本.csv"), experiment_name("csv:中国.csv")
    assert first != second
    assert first.isascii()
    assert experiment_name(f"dir:/{'a' * 500}") == "dir-" + "a" * 60


def test_show_prints_facts_and_training_texts_alone(write_tree, own_cache, datasets, monkeypatch):
    train = {f"train/{name}/{n}": f"seen{n} {name} " + "x " * n for name in ("no", "yes") for n in range(10)}
    test = {f"test/{name}/{n}": f"hidden {name} {n}" for name in ("no", "yes") for n in range(3)}
    odd = {
        "train/yes/again": train["train/no/1"],
        "test/no/copy": train["train/no/4"],
        "test/no/empty": " \n",
    }
    folder = write_tree("reviews", {**train, **test, **odd, "train/no/0": "\x1b[31mred"})
    code, out, errors = datasets("show", f"dir:{folder}", "--json")
    assert (code, errors) == (0, "")
    facts = json.loads(out)
    assert facts["name"] == "dir-reviews"
    assert (facts["train"], facts["validation"], facts["test"]) == (17, 4, 8)
    assert facts["class_counts"] == {"train": [8, 9], "validation": [2, 2], "test": [5, 3]}
    assert facts["empty"] == {"texts": 1, "first": ["test/no/empty"]}
    repeated = {tuple(sorted(pair)) for record in facts["duplicates"] for pair in record["first"]}
    assert repeated == {("train/no/1", "train/yes/again"), ("test/no/copy", "train/no/4")}
    assert facts["lengths"]["train"]["longest"] == facts["longest"]
    assert len(facts["examples"]) == 3
    assert {example["class"] for example in facts["examples"]} == {"no", "yes"}
    assert "hidden" not in out

    # All of it is there when the test split is gone: showing does not look at it.
    opened = []
    open_texts = "benchmark.data.dataset.MappedTexts.__init__"
    from benchmark.data.dataset import MappedTexts

    original = MappedTexts.__init__
    monkeypatch.setattr(open_texts, lambda self, path: (opened.append(path.name), original(self, path))[1])
    code, out, _ = datasets("show", f"dir:{folder}")
    assert code == 0
    assert set(opened) == {"open"}
    assert "\x1b" not in out
    assert "1 text is empty: test/no/empty" in out
    assert "train/no/1 = train/yes/again" in out
    assert "hidden" not in out


def test_views_work_as_for_every_set(write_tree, own_cache):
    dataset = prepare(get_source(f"dir:{write_tree('r', tree(texts=20))}", SourceOptions()))
    view = dataset.view("train", ViewSettings(sequence_length=5))
    assert view.x.shape == (len(view.y), 2)
    assert sorted(set(view.y.tolist())) == [0, 1]


@pytest.mark.imdb
def test_20_newsgroups(real_data, tmp_path, own_cache, refused, datasets):
    folder = tmp_path / "20news"
    with tarfile.open(real_data / "archives" / "20news-bydate.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    message = refused(f"dir:{folder}")
    assert f"{folder}/20news-bydate-train/" in message
    assert "is not utf-8 text; if it is in another encoding say which" in message
    code, out, _ = datasets("show", f"dir:{folder}", "--encoding", "latin-1", "--json")
    assert code == 0
    facts = json.loads(out)
    assert len(facts["classes"]) == 20
    assert facts["train"] + facts["validation"] == 11_314
    assert facts["test"] == 7_532
    assert facts["class_counts"]["test"][:2] == [319, 389]
