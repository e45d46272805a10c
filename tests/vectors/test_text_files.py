"""Files of word vectors: found, identified, read, and refused with file and line."""

import gzip
import json
import re
import tracemalloc
import zipfile

import numpy as np
import pytest

from benchmark.spec.config import Resource
from benchmark.support.errors import MissingResource, UserError
from benchmark.vectors.text_files import find, identify, read_vectors, write_vectors

GLOVE = b"the 0.5 -1e-3 2\n, .25 0 1\ngood 1 2 3\n"
WORD2VEC = b"3 3\nthe 0.5 -1e-3 2 \n, .25 0 1 \ngood 1 2 3 \n"


@pytest.fixture
def write(tmp_path):
    """``write(name, content)`` writes a file, packed as its name says, and returns its path as a text."""

    def run(name, content, members=None):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if name.endswith(".gz"):
            path.write_bytes(gzip.compress(content))
        elif name.endswith(".zip"):
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                for member in members or ["vectors.txt"]:
                    archive.writestr(member, content)
        else:
            path.write_bytes(content)
        return str(path)

    return run


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """The folder ``vectors`` of a data folder."""
    folder = tmp_path / "data" / "vectors"
    folder.mkdir(parents=True)
    monkeypatch.setenv("BENCHMARK_DATA_DIR", str(folder.parent))
    return folder


def refused(value, words=("the", "good")):
    with pytest.raises(UserError) as caught:
        read_vectors(value, words)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize("content", [GLOVE, WORD2VEC, b"\xef\xbb\xbf" + GLOVE, GLOVE.replace(b"\n", b"\r\n")])
@pytest.mark.parametrize("name", ["v.txt", "v.txt.gz", "v.zip"])
def test_the_words_that_are_asked_for_in_their_order(write, name, content):
    vectors, found = read_vectors(write(name, content), ["good", "absent", "the"])
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[1, 2, 3], [0, 0, 0], pytest.approx([0.5, -0.001, 2])]
    assert found.tolist() == [True, False, True]


def test_no_words_at_all(write):
    vectors, found = read_vectors(write("v.txt", GLOVE), [])
    assert (vectors.shape, found.shape) == ((0, 3), (0,))


def test_odd_words(write):
    words = ["a\u00a0b", "c\u2028d", "e\x85f", ". . .", "at name@domain.com", "3", "x\x1cy", "日本語"]
    lines = "".join(f"{word} {number} 0.5\n" for number, word in enumerate(words))
    vectors, found = read_vectors(write("v.txt", f"the 7 7\n{lines}".encode()), words)
    assert found.all()
    assert vectors[:, 0].tolist() == list(range(len(words)))


def test_the_first_of_two_rows_counts(write):
    vectors, _ = read_vectors(write("v.txt", b"a 1 1\nb 2 2\na 3 3"), ["a"])
    assert vectors.tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "v.txt is empty; expected a word and its numbers on each line"),
        (b"0 3\n", "v.txt is empty"),
        (b"the 1 2\ngood 1\n", "v.txt, line 2 has 1 numbers; expected a word and 2 numbers"),
        (b"the 1 2\n\ngood 1 2\n", "v.txt, line 2 has 0 numbers; expected a word and 2 numbers"),
        (b"the 1 2\ngood 1 2 3\n", "v.txt, line 2 has more than 2 numbers"),
        (b"the 1 2\nrare 1 2 3\n", "v.txt, line 2 has more than 2 numbers"),
        (b"the 1 2\nrare  1 2\nrare 1  2\n", "v.txt, line 3 has more than 2 numbers"),
        (b"the 1 2\nrare one 1 two\n", "v.txt, line 2: 'two' is not a finite number"),
        (b"the 1 2\ngood 1 two\n", "v.txt, line 2: 'two' is not a finite number"),
        (b"the 1 2\ngood 1 nan\n", "v.txt, line 2: 'nan' is not a finite number"),
        (b"the -inf 2\n", "v.txt, line 1: '-inf' is not a finite number"),
        (b"the 1 2\ngood 1 1e39\n", "v.txt, line 2: '1e39' is not a finite number"),
        (b"the 1 2\ncaf\xe9 1 2\n", "v.txt, line 2 is not UTF-8 text"),
        (b"the\t1\t2\n", "v.txt, line 1 has 0 numbers; expected a word and numbers, separated by spaces"),
        (b"3 2\nthe 1 2\ngood 1 2\n", "v.txt has 2 vectors; its first line promises 3"),
        (b"2 3\nthe 1 2\ngood 1 2\n", "v.txt, line 2 has 2 numbers; expected a word and 3 numbers"),
        (b"the" + bytes(1 << 21), "v.txt, line 1 is longer than 1 MiB"),
    ],
)
def test_broken_lines_are_named(write, content, message):
    assert message in refused(write("v.txt", content))


@pytest.mark.parametrize(("name", "content"), [("v.txt.gz", b"the 1 2\n" * 5000), ("v.zip", GLOVE * 2000)])
@pytest.mark.parametrize("damage", ["cut", "flipped", "other"])
def test_damaged_archives(write, tmp_path, name, content, damage):
    path = write(name, content)
    packed = (tmp_path / name).read_bytes()
    middle = len(packed) // 2 if name == "v.zip" else len(packed) - 6
    kept = {
        "cut": packed[:middle],
        "flipped": packed[:middle] + bytes([packed[middle] ^ 255]) + packed[middle + 1 :],
        "other": content,
    }
    (tmp_path / name).write_bytes(kept[damage])
    assert re.search(rf"{name}(#vectors.txt)? cannot be read", refused(path))


def test_an_archive_of_several_files_needs_a_name(write):
    path = write("glove.zip", GLOVE, ["glove.50d.txt", "glove.100d.txt", "__MACOSX/._glove.50d.txt"])
    choices = f"expected one of {path}#glove.50d.txt, {path}#glove.100d.txt"
    assert refused(path) == f"{path} holds 2 files; {choices}"
    assert refused(f"{path}#glove.300d.txt") == f"{path} holds no 'glove.300d.txt'; {choices}"
    assert read_vectors(f"{path}#glove.100d.txt", ["good"])[0].tolist() == [[1, 2, 3]]
    first, second = (identify(f"{path}#glove.{dim}d.txt").digest for dim in (50, 100))
    assert first != second
    plain = write("v.txt", GLOVE)
    wanted = f"{plain} is not a .zip archive, so '#glove.50d.txt' has no meaning"
    assert refused(f"{plain}#glove.50d.txt") == wanted


def test_a_bare_name_is_looked_for_in_the_data_folder(write, shelf, tmp_path):
    packed = write("data/vectors/v.txt.gz", GLOVE)
    assert str(find("v.txt")) == str(find("v.txt.gz")) == packed
    assert str(find(write("data/vectors/v.txt", GLOVE))) == str(find("v.txt")) == str(shelf / "v.txt")
    own = write("v.txt", GLOVE)  # here: the current folder
    assert find("v.txt").path.absolute() == find(own).path
    zipped = write("data/vectors/w.zip", GLOVE, ["a.txt", "b.txt"])
    assert str(find("w.zip#b.txt")) == str(find("w#b.txt")) == f"{zipped}#b.txt"


def test_what_is_missing_says_where_it_looked_and_how_to_bring_it(write, shelf, monkeypatch):
    write("data/vectors/glove.6B.50d.txt.gz", GLOVE)
    with pytest.raises(MissingResource) as caught:
        find("glove.6B.100d.txt")
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert f"nor in {shelf} (there is 'glove.6B.50d.txt.gz')" in message
    assert "python -m benchmark.embeddings" in message
    assert "nlp.stanford.edu/projects/glove" in message
    monkeypatch.delenv("BENCHMARK_DATA_DIR")
    with pytest.raises(MissingResource, match=r"BENCHMARK_DATA_DIR \(or `data_dir`\) is not set"):
        find("glove.6B.100d.txt")


def test_a_folder_is_no_file(tmp_path):
    assert refused(str(tmp_path)) == f"vectors '{tmp_path}' is a folder; expected a file"
    (tmp_path / "vectors.txt").write_bytes(GLOVE)
    assert refused(str(tmp_path)).endswith(f"; did you mean '{tmp_path / 'vectors.txt'}'?")


def test_the_digest_is_of_the_content(write, tmp_path):
    path = write("v.txt", GLOVE)
    first = identify(path)
    assert first == Resource(digest=first.digest, protocol="pretrained")
    assert len(first.digest) == 32
    assert identify(write("copy.txt", GLOVE)) == first
    write("v.txt", GLOVE.replace(b"3", b"4"))
    assert identify(path).digest != first.digest


def test_vectors_of_the_embeddings_command_are_told_by_their_sidecar(write, tmp_path):
    path = write("v.txt", GLOVE)
    said = {"protocol": "unlabelled", "dataset": "imdb", "dataset_digest": "0f" * 16, "texts": 3, "dim": 3}
    sidecar = tmp_path / "v.txt.json"
    sidecar.write_text(json.dumps(said))
    resource = identify(path)
    assert (resource.protocol, resource.dataset) == ("unlabelled", "0f" * 16)
    for wrong in ("{", "[]", json.dumps({**said, "protocol": "inductive"}), '{"protocol": "unlabelled"}'):
        sidecar.write_text(wrong)
        with pytest.raises(UserError, match=r"v\.txt\.json is not what the embeddings command writes"):
            identify(path)


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 100, b"just text\nand more\n"])
def test_what_cannot_be_vectors_is_refused_before_a_run(write, content):
    with pytest.raises(UserError, match=r"v\.txt"):
        identify(write("v.txt", content))


def test_what_is_written_can_be_read(tmp_path):
    words, vectors = ["a\u00a0b", "the"], np.array([[1 / 3, -2e-7], [0, 123456.7]], dtype=np.float32)
    write_vectors(tmp_path / "v.txt", words, vectors)
    assert (tmp_path / "v.txt").read_text().splitlines()[-1] == "the 0 123457"
    again, found = read_vectors(str(tmp_path / "v.txt"), words)
    assert found.all()
    np.testing.assert_allclose(again, vectors, rtol=1e-5)


@pytest.mark.parametrize("name", ["v.txt", "v.txt.gz", "v.zip"])
def test_memory_does_not_grow_with_the_file(write, name):
    numbers = b" 0.125" * 2000
    path = write(name, b"".join(b"word%d%s\n" % (number, numbers) for number in range(1000)))  # 12 MB
    tracemalloc.start()
    vectors, found = read_vectors(path, ["word999", "word0", "absent"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.tolist() == [True, True, False]
    assert vectors[0, 1999] == 0.125
    assert peak < 4e6


@pytest.mark.imdb
def test_a_real_file(real_data, monkeypatch):
    monkeypatch.setenv("BENCHMARK_DATA_DIR", str(real_data))
    words = ["good", "bad", "wonderful", "king", "wasnt"]
    vectors, found = read_vectors("glove.6B.50d.partial.txt", words)
    assert vectors.shape == (5, 50)
    assert found[:2].all()
    good, bad = vectors[:2] / np.linalg.norm(vectors[:2], axis=1, keepdims=True)
    assert 0.6 < good @ bad < 0.9


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("film 0.3 x", r"vectors.txt, line 2: 'x' is not a finite number"),
        ("film 0.3", r"vectors.txt, line 2 has 1 numbers; expected a word and 2 numbers"),
    ],
)
def test_a_broken_line_is_found_before_anything_is_trained(tmp_path, own_cache, line, message):
    path = tmp_path / "vectors.txt"
    path.write_text(f"the 0.1 0.2\n{line}\n")
    for _ in range(2):
        with pytest.raises(UserError, match=message):
            identify(str(path))
    path.write_text("the 0.1 0.2\nfilm 0.25 0.4\n")
    assert identify(str(path)) == identify(str(path))
    assert len(list(own_cache.rglob("*.whole"))) == 1
