"""Which data set: an explicit name never falls back; without one, `sample` with a notice."""

import shutil
import time

import pytest

from benchmark.data.prepare import choose_dataset
from benchmark.data.source import SourceOptions
from benchmark.support.errors import UserError


@pytest.fixture
def notices():
    return []


@pytest.mark.usefixtures("no_network")
def test_without_imdb_and_network_the_sample_is_taken_with_a_notice(sample, notices):
    started = time.monotonic()
    assert choose_dataset(None, SourceOptions(), notices.append) == sample
    assert time.monotonic() - started < 6
    assert len(notices) == 1
    for word in ("IMDB", "'sample'", "say nothing about real reviews", "`data_dir`"):
        assert word in notices[0]
    assert "`validation_share`" not in notices[0]


@pytest.mark.usefixtures("sample")
def test_why_imdb_could_not_be_fetched_is_said(own_cache, monkeypatch, notices):
    def broken(*_, **__):
        raise OSError("the proxy answers with a page")

    monkeypatch.setattr("benchmark.data.tfds_source.reachable", lambda host, port: True)
    monkeypatch.setattr("tensorflow_datasets.builder", broken)
    assert choose_dataset(None, SourceOptions(), notices.append).name == "sample"
    assert "cannot be fetched from" in notices[0]
    assert "the proxy answers with a page" in notices[0]


@pytest.mark.usefixtures("no_network", "sample")
def test_the_notice_says_that_the_sample_ignores_the_share(notices):
    dataset = choose_dataset(None, SourceOptions(validation_share=0.4), notices.append)
    assert dataset.sizes["validation"] == 1000
    assert "`validation_share` has no effect" in notices[0]


@pytest.mark.usefixtures("no_network")
def test_an_explicit_name_never_falls_back(own_cache, notices):
    with pytest.raises(UserError, match="'imdb' cannot be fetched"):
        choose_dataset("imdb", SourceOptions(), notices.append)
    assert notices == []


@pytest.mark.usefixtures("no_network")
def test_imdb_is_taken_where_it_is_prepared_and_later_from_the_cache(tiny_imdb, tmp_path, own_cache, notices):
    shutil.copytree(tiny_imdb, tmp_path / "data")
    options, lines = SourceOptions(tmp_path / "data"), []
    dataset = choose_dataset(None, options, notices.append, lines.append)
    assert dataset.name == "imdb"
    assert f"imdb: found in {tmp_path / 'data'}" in lines.pop()
    shutil.rmtree(tmp_path / "data")
    assert choose_dataset(None, SourceOptions(), notices.append, lines.append) == dataset
    assert "imdb: prepared in the cache" in lines.pop()
    assert choose_dataset("imdb", SourceOptions(), notices.append, lines.append) == dataset
    assert lines == notices == []


def test_texts_that_stand_in_two_splits_are_said(make_source, own_cache, monkeypatch, notices):
    rows = [("train", f"text {n}", n % 2) for n in range(8)]
    rows += [
        ("validation", "text 1", 1),
        ("validation", "v", 0),
        ("test", "text 1", 1),
        ("test", "text 1", 1),
    ]
    rows += [("test", "v", 0), ("test", "t", 1)]
    monkeypatch.setattr("benchmark.data.prepare.get_source", lambda name, options: make_source(rows))
    lines = []
    choose_dataset("tiny", SourceOptions(), notices.append, lines.append)
    (line,) = lines
    for words in ("train or validation: 3 of 4 (75 %)", "both train and validation: 1"):
        assert words in line


def test_an_explicit_sample_needs_no_notice(sample, notices):
    assert choose_dataset("sample", SourceOptions(), notices.append) == sample
    assert notices == []


def test_an_unknown_name_is_answered_with_the_nearest(notices):
    with pytest.raises(UserError, match="there is no data set named 'smaple'; did you mean 'sample'"):
        choose_dataset("smaple", SourceOptions(), notices.append)


@pytest.mark.parametrize("name", [None, "imdb", "sample"])
@pytest.mark.parametrize("share", [1.0, 1.5])
def test_a_share_of_everything_is_refused(name, share, notices):
    with pytest.raises(UserError, match=f"`validation_share`: got {share}, expected less than 1"):
        choose_dataset(name, SourceOptions(validation_share=share), notices.append)


def test_the_sample_has_a_validation_part_of_its_own(notices):
    with pytest.raises(UserError, match="'sample' has a validation split"):
        choose_dataset("sample", SourceOptions(validation_share=0.3), notices.append)
