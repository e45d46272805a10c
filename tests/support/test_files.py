"""Files are written whole or not at all."""

import pytest

from benchmark.support.files import write_whole, written_whole


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_or_folder_is_there_once_all_is_written(tmp_path, durable):
    file, folder = tmp_path / "file.txt", tmp_path / "folder"
    write_whole(file, "old")
    with written_whole(file, durable=durable) as temporary:
        temporary.write_text("new")
        assert file.read_text() == "old"
    with written_whole(folder, durable=durable) as temporary:
        temporary.mkdir()
        (temporary / "a").write_text("a")
        assert not folder.exists()
    assert file.read_text() == "new"
    assert (folder / "a").read_text() == "a"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "file.txt", "folder"]


def test_nothing_is_left_where_the_writing_fails(tmp_path):
    def fail(folder):
        with written_whole(tmp_path / "target") as temporary:
            if folder:
                temporary.mkdir()
                (temporary / "a").write_text("a")
            else:
                temporary.write_text("half")
            raise RuntimeError

    for folder in (True, False):
        with pytest.raises(RuntimeError):
            fail(folder)
    assert list(tmp_path.iterdir()) == []
