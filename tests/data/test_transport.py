"""A prepared data set on its way to another machine: there once and whole, or not at all."""

import threading
from pathlib import Path

import numpy as np
import pytest

from benchmark.data import prepare as preparation
from benchmark.data.cache import pack, unpack
from benchmark.data.prepare import find_entry, prepare, receive
from benchmark.spec.config import ViewSettings
from benchmark.support.errors import UserError

ROWS = [*(("train", f"a b w{number}", number % 2) for number in range(20)), ("test", "a", 1), ("test", "", 0)]


@pytest.fixture
def sent(make_source, own_cache, tmp_path, monkeypatch):
    """A data set, its files, and an empty cache for them, as on another machine."""
    dataset = prepare(make_source(ROWS))
    files = pack(dataset.folder)
    monkeypatch.setenv("BENCHMARK_CACHE_DIR", str(tmp_path / "other"))
    return dataset, files


def left(tmp_path):
    return [path for path in (tmp_path / "other" / "datasets").iterdir() if path.suffix != ".lock"]


def test_it_arrives_as_it_was(sent, tmp_path):
    dataset, files = sent
    entry = dataset.folder.name
    assert find_entry(entry, dataset.digest) is None
    arrived = receive(entry, dataset.digest, files)
    assert arrived.folder == tmp_path / "other" / "datasets" / entry
    assert (arrived.digest, arrived.sizes) == (dataset.digest, dataset.sizes)
    settings = ViewSettings(sequence_length=4)
    for split in ("train", "validation"):
        assert np.array_equal(arrived.view(split, settings).x, dataset.view(split, settings).x)
    assert pack(arrived.folder).keys() == files.keys()
    assert find_entry(entry, dataset.digest) == arrived
    assert find_entry(entry, "another") is None


def test_two_that_are_sent_it_at_the_same_time_write_it_once(sent, monkeypatch):
    dataset, files = sent
    written, write = [], preparation.write_entry
    monkeypatch.setattr(preparation, "write_entry", lambda *words: [written.append(1), write(*words)])
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(receive(dataset.folder.name, dataset.digest, files)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(written) == 1


@pytest.mark.parametrize("name", ["open/tokens.npy", "test/labels.npy", "meta.json"])
def test_what_was_damaged_on_the_way_is_not_kept(sent, tmp_path, name):
    dataset, files = sent
    content = files[name].copy()
    content[-1] ^= 1
    with pytest.raises(UserError, match="is damaged"):
        receive(dataset.folder.name, dataset.digest, {**files, name: content})
    assert left(tmp_path) == []
    assert receive(dataset.folder.name, dataset.digest, files) == find_entry(
        dataset.folder.name, dataset.digest
    )


def test_another_data_set_is_not_taken_for_the_one_that_was_asked_for(sent):
    dataset, files = sent
    with pytest.raises(UserError, match="is not the one that was asked for"):
        receive(dataset.folder.name, "another digest", files)


def test_files_stay_in_their_folder(tmp_path):
    with pytest.raises(ValueError, match="leaves its folder"):
        unpack({"../out": np.zeros(1, np.uint8)}, tmp_path / "in")
    assert not Path(tmp_path / "out").exists()
