"""Preparation: fixed splits, a vocabulary of the training split alone, and a cache that can be trusted."""

import json
import os
import shutil
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from benchmark.data.dataset import MappedTexts
from benchmark.data.prepare import cached, prepare
from benchmark.data.source import split_validation
from benchmark.data.text import OOV
from benchmark.spec.config import ViewSettings
from benchmark.support.errors import UserError

WIDE = ViewSettings(vocabulary_size=1000, sequence_length=1000)
ROWS = [
    ("train", "b b a a c", 0),
    ("train", "d c", 1),
    ("validation", "z z z z c", 0),
    ("test", "z y y d", 1),
    ("train", "B, a!", 1),
]


def files_of(folder):
    """Return every file below a folder but for locks, with its content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


@pytest.fixture
def source(make_source):
    return make_source(ROWS, validation_share=0.0)


@pytest.fixture
def many(make_source):
    """A source of 230 texts, 150 of one class and 60 of the other in train."""
    rows = [("train", f"word{number % 7} text {number}", int(number % 7 > 4)) for number in range(210)]
    return make_source([*rows, *(("test", f"text {number}", number % 2) for number in range(20))])


def test_words_are_ranked_by_their_frequency_in_training_and_ties_by_the_word(source):
    dataset = prepare(source)
    assert dataset.vocabulary(WIDE) == ["a", "b", "c", "d"]  # a: 3, b: 3, c: 2 (not 3), d: 1
    assert dataset.vocabulary_total == 4


def test_ranks_agree_with_a_naive_count(make_source):
    generator = np.random.default_rng(0)
    words = [f"w{number}" for number in range(40)]
    texts = [" ".join(generator.choice(words, generator.integers(0, 30))) for _ in range(300)]
    splits = generator.choice(["train", "validation", "test"], 300)
    source = make_source(
        [(split, text, i % 2) for i, (split, text) in enumerate(zip(splits, texts, strict=True))]
    )
    counts = Counter(
        w for split, text in zip(splits, texts, strict=True) if split == "train" for w in text.split()
    )
    expected = sorted(counts, key=lambda word: (-counts[word], word))
    assert prepare(source).vocabulary(WIDE) == expected


def test_words_only_in_validation_or_test_are_out_of_vocabulary(source):
    dataset = prepare(source)
    assert dataset.view("validation", WIDE).x.tolist() == [[OOV] * 4 + [4]]
    test = MappedTexts(dataset.folder / "test")
    assert np.asarray(test.tokens).tolist() == [OOV, OOV, OOV, 5]


def test_texts_labels_and_parts_are_kept(source):
    dataset = prepare(source)
    assert dataset.sizes == {"train": 3, "validation": 1, "test": 1}
    train = dataset.view("train", WIDE)
    store = MappedTexts(dataset.folder / "open")
    assert [store.text(row) for row in train.rows] == ["b b a a c", "d c", "B, a!"]
    assert train.y.tolist() == [0, 1, 1]
    assert dataset.view("validation", WIDE).y.tolist() == [0]
    assert dataset.class_names == ("neg", "pos")
    assert dataset.longest == 5


def test_nasty_texts_are_stored_as_they_are(make_source):
    texts = ["", "...", "日本語 é 👍", "a\nb\r\nc\x00d", "  \u2028 "]
    source = make_source([("train", text, i % 2) for i, text in enumerate(texts * 4)] + [("test", "", 0)])
    dataset = prepare(source)
    store = MappedTexts(dataset.folder / "open")
    assert [store.text(row) for row in range(20)] == texts * 4
    assert MappedTexts(dataset.folder / "test").text(0) == ""


def test_data_without_any_word_can_be_prepared(make_source):
    source = make_source([*(("train", "...", i % 2) for i in range(10)), ("test", "", 0)])
    dataset = prepare(source)
    assert dataset.vocabulary(WIDE) == []
    assert dataset.view("train", WIDE).x.tolist() == [[0]] * 8


def test_a_lone_surrogate_does_not_stop_preparation(make_source):
    dataset = prepare(make_source([("train", "ok", 0)] * 5 + [("validation", "\ud800", 0), ("test", "x", 0)]))
    assert MappedTexts(dataset.folder / "open").text(5) == "?"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"content": [("train", "b b a a d", 0), *ROWS[1:]]}, id="text"),
        pytest.param({"content": [ROWS[0], ("train", "d c", 0), *ROWS[2:]]}, id="label"),
        pytest.param({"content": [ROWS[0], ("validation", "d c", 1), *ROWS[2:]]}, id="split"),
        pytest.param({"content": [*ROWS[:3], ("test", "z y y D", 1), ROWS[4]]}, id="case of a test text"),
        pytest.param({"content": ROWS[:4]}, id="a text less"),
        pytest.param({"class_names": ("negative", "pos")}, id="class name"),
        pytest.param({"class_names": ("neg", "pos", "third")}, id="number of classes"),
        pytest.param({"validation_share": 0.1}, id="share"),
    ],
)
def test_the_digest_changes_with_the_content(source, change):
    assert prepare(replace(source, **change)).digest != prepare(source).digest


def test_the_digest_changes_with_nothing_else(source, make_source, monkeypatch, tmp_path):
    digest = prepare(source).digest
    other = replace(source, name="other", home="elsewhere")
    other.key = lambda: "another key"
    monkeypatch.setenv("BENCHMARK_CACHE_DIR", str(tmp_path / "another-place"))
    assert prepare(other).digest == digest
    assert len(digest) <= 36  # what MLflow accepts


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_validation_is_drawn_from_each_class(many, share):
    dataset = prepare(replace(many, validation_share=share))
    train, validation = dataset.view("train", WIDE), dataset.view("validation", WIDE)
    assert Counter(validation.y.tolist()) == {0: 150 * share, 1: 60 * share}
    assert sorted([*train.rows, *validation.rows]) == list(range(210))
    assert dataset.validation_share == share


def test_the_drawn_part_is_spread_over_the_file_and_always_the_same():
    labels = np.repeat(np.arange(2, dtype=np.int32), 5)
    train, validation = split_validation(labels, np.zeros(10, dtype=bool), 0.4)
    assert validation.tolist() == [1, 2, 5, 9]  # golden: SPLIT_SEED is fixed for ever
    assert train.tolist() == [0, 3, 4, 6, 7, 8]


def test_a_validation_part_of_its_own_is_used_as_it_is(make_source):
    rows = [("validation" if number in (3, 7) else "train", f"w{number}", 0) for number in range(10)]
    dataset = prepare(make_source([*rows, ("test", "w", 0)], validation_share=0.0))
    assert dataset.view("validation", WIDE).rows.tolist() == [3, 7]
    assert dataset.view("train", WIDE).rows.tolist() == [0, 1, 2, 4, 5, 6, 8, 9]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no train texts"),
        ([row for row in ROWS if row[0] != "train"], "no train texts"),
        ([row for row in ROWS if row[0] != "validation"], "no validation texts"),
        ([row for row in ROWS if row[0] != "test"], "no test texts"),
        ([*ROWS, ("train", "x", 2)], "label 2; expected 0 to 1"),
        ([*ROWS, ("test", "x", -1)], "label -1; expected 0 to 1"),
        ([*ROWS, ("valid", "x", 1)], "split 'valid'; expected train, validation or test"),
    ],
)
def test_wrong_data_is_named_and_leaves_nothing(make_source, own_cache, rows, message):
    source = make_source(rows, validation_share=0.0)
    with pytest.raises(UserError, match=message) as caught:
        prepare(source)
    assert "'tiny'" in str(caught.value)
    assert files_of(own_cache) == {}
    assert cached(source) is None


def test_a_prepared_data_set_is_not_read_again(source, own_cache):
    first = prepare(source)
    assert prepare(source) == first
    assert source.reads == 1


def _flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _truncate(path):
    os.truncate(path, path.stat().st_size - 1)


def _edit_meta(path):
    meta = json.loads(path.read_text())
    path.write_text(json.dumps({**meta, "longest": meta["longest"] - 1}))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("open/tokens.npy", _flip),
        ("open/texts.bin", _flip),
        ("test/labels.npy", _flip),
        ("train_rows.npy", _flip),
        ("vocabulary.txt", _truncate),
        ("test/tokens.npy", _truncate),
        ("validation_rows.npy", lambda path: path.unlink()),
        ("test", shutil.rmtree),
        ("meta.json", lambda path: path.unlink()),
        ("meta.json", _truncate),
        ("meta.json", _edit_meta),
        ("meta.json", lambda path: path.write_bytes(b"\xff\x00 garbage")),
        ("meta.json", lambda path: path.write_text('{"files": {}}')),
        ("meta.json", lambda path: path.write_text("[]")),
    ],
)
def test_a_damaged_entry_is_noticed_and_made_again(source, own_cache, name, damage):
    dataset = prepare(source)
    before = files_of(own_cache)
    damage(dataset.folder / name)
    assert files_of(own_cache) != before
    assert cached(source) is None
    assert prepare(source) == dataset
    assert files_of(own_cache) == before
    assert source.reads == 2


SLOW_SOURCE = """
import os, sys, time
from pathlib import Path
from benchmark.spec.config import ViewSettings
from benchmark.data.prepare import prepare
from benchmark.data.source import Row

class Slow:
    name, class_names, validation_share, home = "slow", ("a", "b"), 0.2, "here"
    def key(self):
        return "slow"
    def rows(self):
        with open("builds", "a") as file:
            file.write(f"{os.getpid()}\\n")
        for number in range(100):
            if number == 50 and sys.argv[1] == "die":
                os.kill(os.getpid(), 9)
            time.sleep(0.005)
            yield Row("test" if number % 5 == 0 else "train", f"text {number}", number % 2)

Path(f"ready-{os.getpid()}").touch()
while not Path("go").exists():
    time.sleep(0.005)
dataset = prepare(Slow())
print(dataset.digest, len(dataset.view("train", ViewSettings()).x))
"""


def test_four_processes_that_ask_at_once_build_it_once(start_python, own_cache, tmp_path):
    processes = [start_python(SLOW_SOURCE, "live") for _ in range(4)]
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("ready-*"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    (tmp_path / "go").touch()
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, answers
    assert len({output for output, _ in answers}) == 1
    assert answers[0][0].split()[1] == "64"
    assert len((tmp_path / "builds").read_text().splitlines()) == 1


@pytest.mark.long
def test_a_process_killed_half_way_leaves_nothing_visible(start_python, own_cache, tmp_path):
    (tmp_path / "go").touch()
    killed = start_python(SLOW_SOURCE, "die")
    killed.communicate(timeout=60)
    assert killed.returncode == -9
    folder = own_cache / "datasets"
    assert [path for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir()] == []
    assert [path for path in folder.iterdir() if path.name.startswith(".") and path.is_dir()]  # it had begun
    survivor = start_python(SLOW_SOURCE, "live")
    output, errors = survivor.communicate(timeout=60)
    assert survivor.returncode == 0, errors
    assert output.split()[1] == "64"
    assert [path.name for path in folder.iterdir() if path.suffix == ".tmp"] == []


def test_an_error_half_way_leaves_nothing(source, own_cache):
    def rows():
        yield from list(type(source).rows(source))[:3]
        raise RuntimeError("the source broke")

    source.rows = rows
    with pytest.raises(RuntimeError, match="the source broke"):
        prepare(source)
    assert files_of(own_cache) == {}
    del source.rows
    assert prepare(source).sizes["train"] == 3


def test_a_cache_folder_that_cannot_be_made_is_a_user_error(source, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BENCHMARK_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(UserError, match="set BENCHMARK_CACHE_DIR to a folder that can"):
        prepare(source)
    assert (tmp_path / "file").read_text() == "in the way"
