"""Stack Overflow questions: a folder, an archive, a download from a real server, and hostile archives."""

import io
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmark.data.archive import unpack
from benchmark.data.dataset import MappedTexts
from benchmark.data.prepare import prepare
from benchmark.data.source import SourceOptions, get_source
from benchmark.support.errors import UserError

TAGS = ("csharp", "java", "javascript", "python")
TREE = {
    f"{split}/{tag}/{number}.txt": f'"how do i {tag[::-1]} {number} in blank"\n'
    for split, size in (("train", 10), ("test", 5))
    for tag in TAGS
    for number in range(size)
}
FOLDER, ARCHIVE = "stack_overflow_16k", "stack_overflow_16k.tar.gz"


def make_archive(path, members=TREE, extra=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, text in members.items():
            add(tar, tarfile.TarInfo(name), text.encode())
        for info, content in extra:
            add(tar, info, content)
    return path


def add(tar, info, content=b""):
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def assert_prepared(data_dir=None):
    dataset = prepare(get_source("stack-overflow", SourceOptions(data_dir)))
    assert dataset.class_names == TAGS
    assert dataset.sizes == {"train": 32, "validation": 8, "test": 20}
    return dataset


@pytest.fixture
def server(monkeypatch, no_network):
    """A server at the address of the download; its `answer` is (status, headers, content)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            status, headers, content = self.server.answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/{ARCHIVE}"
        monkeypatch.setattr("benchmark.data.archive._QUESTIONS_URL", url)
        yield server
        server.shutdown()
        thread.join()


def answer_with(content):
    return 200, {"Content-Length": str(len(content))}, content


def test_the_address_is_the_official_one():
    from benchmark.data import archive

    assert archive._QUESTIONS_URL == (
        "https://storage.googleapis.com/download.tensorflow.org/data/stack_overflow_16k.tar.gz"
    )


@pytest.mark.usefixtures("no_network", "own_cache")
def test_a_folder_in_the_data_folder(tmp_path, write_tree):
    write_tree(FOLDER, {**TREE, "README.md": "x"})
    dataset = assert_prepared(tmp_path)
    assert MappedTexts(dataset.folder / "open").text(0) == '"how do i prahsc 0 in blank"\n'


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("place", [f"archives/{ARCHIVE}", ARCHIVE])
@pytest.mark.parametrize("top", ["", f"{FOLDER}/"])
def test_an_archive_in_the_data_folder_is_the_same(tmp_path, write_tree, own_cache, place, top):
    make_archive(tmp_path / "data" / place, {top + name: text for name, text in TREE.items()})
    from_archive = assert_prepared(tmp_path / "data")
    write_tree(FOLDER, TREE)
    assert assert_prepared(tmp_path).digest == from_archive.digest
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [place.split("/")[0]]


def test_it_is_fetched_once(tmp_path, own_cache, server):
    server.answer = answer_with(make_archive(tmp_path / "a.tar.gz").read_bytes())
    dataset = assert_prepared()
    assert server.asked == [f"/{ARCHIVE}"]
    assert assert_prepared() == dataset
    larger = prepare(get_source("stack-overflow", SourceOptions(validation_share=0.5)))
    assert larger.sizes == {"train": 20, "validation": 20, "test": 20}
    assert server.asked == [f"/{ARCHIVE}"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((404, {}, b""), "cannot be fetched (HTTPError: HTTP Error 404"),
        ((200, {"Content-Length": "100"}, b"half"), "cut off after 4 of 100 bytes"),
        (answer_with(b"<html>please log in</html>"), "cannot be unpacked (ReadError"),
        (answer_with(b"x" * 3000), "is larger than 0 MiB, so it is not the data"),
    ],
)
def test_a_download_that_goes_wrong_leaves_nothing(own_cache, refused, server, monkeypatch, answer, message):
    monkeypatch.setattr("benchmark.data.archive.StackOverflowSource.most_bytes", 2000)
    server.answer = answer
    assert message in refused("stack-overflow")
    assert refused("stack-overflow")
    assert len(server.asked) == 2  # asked again: nothing wrong was kept


@pytest.mark.usefixtures("no_network")
def test_without_files_and_network_it_says_within_seconds_what_it_needs(refused):
    started = time.monotonic()
    message = refused("stack-overflow")
    assert time.monotonic() - started < 6
    for word in ("cannot be reached", FOLDER, f"archives/{ARCHIVE}", "--data-dir", "--dataset sample"):
        assert word in message


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(member("../outside.txt"), id="parent"),
        pytest.param(member("train/../../outside.txt"), id="parent in the middle"),
        pytest.param(member("train/link", tarfile.SYMTYPE, "/etc"), id="absolute link"),
        pytest.param(member("train/link", tarfile.SYMTYPE, "../../outside"), id="link to outside"),
        pytest.param(member("train/hard", tarfile.LNKTYPE, "../outside"), id="hard link"),
        pytest.param(member("train/pipe", tarfile.FIFOTYPE), id="pipe"),
        pytest.param(member("train/device", tarfile.CHRTYPE), id="device"),
    ],
)
def test_a_hostile_member_is_refused(tmp_path, refused, hostile):
    make_archive(tmp_path / "data" / "archives" / ARCHIVE, extra=[(hostile, b"")])
    message = refused("stack-overflow", "--data-dir", tmp_path / "data")
    assert "is not safe to unpack" in message
    assert not list(tmp_path.rglob("outside*"))


def test_nothing_is_written_outside(tmp_path):
    archive = make_archive(tmp_path / "a.tar.gz", {"a/b": "x", "/abs/c": "y"}, [(member("../../d"), b"z")])
    folder = tmp_path / "deep" / "folder"
    folder.mkdir(parents=True)
    with pytest.raises(UserError, match="not safe to unpack"):
        unpack(archive, folder)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == {
        "a.tar.gz",
        "deep/folder/a/b",
        "deep/folder/abs/c",
    }


@pytest.mark.parametrize("limit", ["_MOST_BYTES", "_MOST_MEMBERS"])
def test_an_archive_that_unfolds_too_far_is_refused(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(f"benchmark.data.archive.{limit}", 50)
    with pytest.raises(UserError, match="holds more than"):
        unpack(make_archive(tmp_path / "a.tar.gz"), tmp_path)
    assert sum(path.is_file() for path in tmp_path.rglob("*.txt")) <= 50


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_archive_is_one_line(tmp_path, refused, damage):
    path = make_archive(tmp_path / "archives" / ARCHIVE)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 2] ^= 255
    path.write_bytes(content)
    assert "cannot be unpacked" in refused("stack-overflow", "--data-dir", tmp_path)
    assert path.exists()


def test_a_text_in_another_encoding_is_named_within_the_archive(tmp_path, refused, own_cache):
    path = make_archive(tmp_path / "archives" / ARCHIVE, extra=[(member("train/java/x"), b"caf\xe9")])
    message = refused("stack-overflow", "--data-dir", tmp_path)
    assert message.startswith(f"{path}/train/java/x: byte 3 (0xe9) is not utf-8 text")
    dataset = prepare(get_source("stack-overflow", SourceOptions(tmp_path, encoding="latin-1")))
    assert dataset.sizes["train"] == 33


@pytest.mark.parametrize("gone", ["python", "test"])
def test_another_tree_is_refused(tmp_path, write_tree, refused, gone):
    write_tree(FOLDER, {name: text for name, text in TREE.items() if gone not in name.split("/")})
    message = refused("stack-overflow", "--data-dir", tmp_path)
    assert "expected train and test with csharp, java, javascript, python" in message


def test_a_wrong_tree_does_not_break_the_list(tmp_path, write_tree, datasets):
    write_tree(FOLDER, {"train/a/1": "x", "train/b/1": "x"})
    code, out, errors = datasets("list", "--data-dir", tmp_path)
    assert (code, errors) == (0, "")
    assert "not usable: data set 'stack-overflow'" in out
    assert "sample" in out
