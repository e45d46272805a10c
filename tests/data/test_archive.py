"""A folder of texts in an archive: the same data set as the folder itself."""

import io
import tarfile

import pytest

from benchmark.data.archive import ArchivedSource, unpack
from benchmark.data.prepare import prepare
from benchmark.data.source import SourceOptions, get_source
from benchmark.support.errors import UserError

TREE = {
    f"movies/{split}/{name}/{number}_7.txt": f"a {name} film, number {number}<br />of {split}"
    for split in ("train", "test")
    for name in ("neg", "pos")
    for number in range(10)
} | {"movies/train/unsup/1_0.txt": "no label", "movies/README": "read me", "movies/train/urls.txt": "x"}
PLACE = "archives/movies.tar.gz"


def make_archive(path, members=TREE, prefix=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


def source(folder, url=None, share=0.2):
    options = SourceOptions(folder, validation_share=share)
    return ArchivedSource(PLACE, "movies", ["movies/train/unsup"], url, options)


def test_an_archive_is_the_same_data_set_as_its_folder(tmp_path, own_cache):
    make_archive(tmp_path / "data" / PLACE)
    dataset = prepare(source(tmp_path / "data"))
    assert (dataset.name, dataset.class_names) == ("dir-movies", ("neg", "pos"))
    assert dataset.sizes == {"train": 16, "validation": 4, "test": 20}
    unpack(tmp_path / "data" / PLACE, tmp_path)
    folder = prepare(get_source(f"dir:{tmp_path / 'movies'}", SourceOptions(validation_share=0.2)))
    assert folder.digest == dataset.digest
    beside = prepare(source(tmp_path))  # the data folder holds it unpacked
    assert (beside.digest, beside.home) == (dataset.digest, str(tmp_path / "movies"))


def test_it_is_unpacked_once_and_nothing_of_it_stays(tmp_path, own_cache, monkeypatch):
    from benchmark.data import archive

    calls = []
    monkeypatch.setattr(
        archive, "unpack", lambda *arguments: calls.append(arguments[1]) or unpack(*arguments)
    )
    make_archive(tmp_path / "data" / PLACE)
    prepare(source(tmp_path / "data"))
    prepare(source(tmp_path / "data"))
    assert len(calls) == 1
    assert not calls[0].exists()
    prepare(source(tmp_path / "data", share=0.4))  # another share is another data set
    assert len(calls) == 2


def test_what_is_left_out_is_not_written(tmp_path):
    for number, prefix in enumerate(("", "./")):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = make_archive(tmp_path / f"{number}.tar.gz", prefix=prefix)
        unpack(path, folder, ["movies/train/unsup", "movies/test"])
        assert (folder / "movies/train/pos/3_7.txt").is_file()
        assert not (folder / "movies/train/unsup").exists()
        assert not (folder / "movies/test").exists()


def test_a_member_outside_is_refused_as_ever(tmp_path):
    path = make_archive(tmp_path / "evil.tar.gz", {"../evil.txt": "x"})
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match="not safe to unpack"):
        unpack(path, tmp_path / "in", ["movies"])


def test_an_archive_that_is_not_there(tmp_path, own_cache, no_network):
    with pytest.raises(UserError, match=r"archives/movies\.tar\.gz is not there; give a folder that holds"):
        prepare(source(tmp_path))
    with pytest.raises(UserError, match=r"cannot be fetched: .*give a folder that holds archives/movies"):
        prepare(source(tmp_path, "http://127.0.0.1:9/movies.tar.gz"))


def test_an_archive_without_the_folder(tmp_path, own_cache):
    make_archive(tmp_path / PLACE, {"films/train/pos/1.txt": "x"})
    with pytest.raises(UserError, match=r"movies\.tar\.gz has no folder 'movies'"):
        prepare(source(tmp_path))


def test_what_was_fetched_before_is_used(tmp_path, own_cache):
    make_archive(own_cache / "downloads" / "movies.tar.gz")
    assert prepare(source(None)).sizes["test"] == 20
