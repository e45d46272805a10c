"""The spool: whole records or none, in order, whatever happens to the files."""

import os
import shutil
import subprocess
import time
from contextlib import suppress

import pytest
from tracked import a_record, fill

from benchmark.tracking.spool import Spool, other_stores, store_name

SECRET = "https://me:s3cr3t@tracking.example/path"


@pytest.fixture
def notices():
    return []


@pytest.fixture
def spool(tmp_path, notices):
    return Spool(tmp_path / "mlruns", SECRET, notices.append)


def test_what_was_committed_comes_back_in_order(spool, tmp_path):
    spool.commit(a_record(2), fill("two"))
    spool.commit(a_record(1))
    spool.commit(a_record(3, tags={"note": 'äß "\\\u2028 {}'}))
    again = Spool(tmp_path / "mlruns", SECRET)
    two, one, three = again.records()
    assert [repr(entry) for entry in (two, one)] == [repr(a_record(2)), repr(a_record(1))]
    assert three.tags == {"note": 'äß "\\\u2028 {}'}
    assert (two.artifacts / "model" / "weights.txt").read_text() == "two"
    assert one.artifacts is None
    again.remove(two.name)
    assert not two.artifacts.exists()
    assert [record.key for record in spool.records()] == [a_record(1).key, a_record(3).key]


def test_order_does_not_depend_on_the_clock(spool, tmp_path, monkeypatch):
    for number, clock in enumerate((5_000, 4_000, 4_000)):
        monkeypatch.setattr(time, "time_ns", lambda clock=clock: clock)
        Spool(tmp_path / "mlruns", SECRET).commit(a_record(number))
    assert [record.start_time for record in spool.records()] == [1000, 1001, 1002]


def test_a_file_that_was_cut_is_set_aside(spool, notices):
    name = spool.commit(a_record(0), fill())
    whole = (spool.home / f"{name}.json").read_bytes()
    spool.commit(a_record(1))
    for size in [*range(0, len(whole), 97), len(whole) - 1]:
        (spool.home / f"{name}.json").write_bytes(whole[:size])
        assert [record.key for record in spool.records()] == [a_record(1).key]
        assert (spool.home / f"{name}.damaged").read_bytes() == whole[:size]
        assert (spool.home / f"{name}.files" / "spec.json").exists()
        assert name in notices.pop()


def test_flipped_bits_are_noticed(spool, notices):
    name = spool.commit(a_record(0))
    path = spool.home / f"{name}.json"
    whole = path.read_bytes()
    for place in range(len(whole)):
        bit = 1 << place % 8
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        assert spool.records() == []
    assert len(notices) == len(whole)
    path.write_bytes(whole)
    assert repr(spool.records()[0]) == repr(a_record(0))


def test_a_record_of_another_version_is_set_aside(spool, notices):
    name = spool.commit(a_record(0))
    path = spool.home / f"{name}.json"
    from benchmark.tracking import spool as module

    content = '{"experiment": "toy", "colour": "red"}'
    digest = module._digest(content.encode())
    path.write_text(f'{{"sha256": "{digest}", "record": {content}}}\n')
    assert spool.records() == []
    assert "damaged" in notices[0]


def test_no_password_is_written(spool, tmp_path):
    spool.commit(a_record(0))
    text = b"".join(path.read_bytes() for path in (tmp_path / "mlruns").rglob("*") if path.is_file())
    assert b"s3cr3t" not in text
    assert (spool.home / "store.txt").read_text() == "https://tracking.example/path\n"
    assert Spool(tmp_path / "mlruns", "https://you:other@tracking.example/path/").home == spool.home


def test_a_folder_that_was_moved_keeps_its_spool(tmp_path):
    runs = tmp_path / "mlruns"
    Spool(runs, f"sqlite:///{runs}/mlflow.db").commit(a_record(0))
    shutil.move(runs, tmp_path / "elsewhere")
    runs = tmp_path / "elsewhere"
    assert len(Spool(runs, f"sqlite:///{runs}/mlflow.db").records()) == 1
    assert store_name("sqlite:////other/place.db", runs) == "sqlite:////other/place.db"


def test_stores_are_kept_apart(spool, tmp_path):
    other = Spool(tmp_path / "mlruns", "http://localhost:1")
    other.commit(a_record(0))
    assert spool.records() == []
    assert other_stores(tmp_path / "mlruns", but=spool.home) == {"http://localhost:1": 1}
    assert other_stores(tmp_path / "mlruns", but=other.home) == {}


def test_what_a_process_left_that_died_is_deleted_later(spool, tmp_path):
    name = spool.commit(a_record(0), fill())
    old = [spool.home / name for name in (".a.tmp", f"{1:020d}-{0:08d}.files", ".x.json.1.tmp")]
    old[0].mkdir()
    old[1].mkdir()
    old[2].write_text("{")
    for path in old:
        os.utime(path, (0, 0))
    os.utime(spool.home / f"{name}.files", (0, 0))
    young = spool.home / ".b.tmp"
    young.mkdir()
    again = Spool(tmp_path / "mlruns", SECRET)
    assert not any(path.exists() for path in old)
    assert young.exists()
    assert again.records()[0].artifacts.exists()


def test_what_was_refused_is_put_back(spool):
    first, second = (spool.commit(a_record(number)) for number in (0, 1))
    spool.set_aside(first, "refused", "it is too long")
    assert spool.names() == [second]
    assert spool.refused() == 1
    spool.take_back()
    assert spool.names() == [first, second]


@pytest.mark.long
def test_a_full_disk_loses_nothing_that_was_committed(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can be made by root only")
    try:
        spool = Spool(disk / "mlruns", SECRET)
        committed = commit_until_full(spool, fill("x" * 1000))
        committed += commit_until_full(spool, None, committed)
        entries = spool.records()
        assert len(entries) == committed > 2
        assert [repr(entry) for entry in entries] == [repr(a_record(n)) for n in range(committed)]
        files = [entry.artifacts / "model" / "weights.txt" for entry in entries if entry.artifacts]
        assert {file.stat().st_size for file in files} == {1000}
        known = {f"{entry.name}.json" for entry in entries} | {f"{entry.name}.files" for entry in entries}
        assert {path.name for path in spool.home.iterdir()} <= {*known, "store.txt"}
        for entry in entries[:2]:
            spool.remove(entry.name)
        there = {path.name for path in spool.home.iterdir()}

        def write(folder):
            fill()(folder)
            with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
                while filler.write(b"x" * 512):
                    pass

        with pytest.raises(OSError, match="No space"):  # there are artifacts, but no room for the record
            spool.commit(a_record(committed), write)
        assert {path.name for path in spool.home.iterdir()} == there
        (disk / "filler").unlink()
        spool.commit(a_record(committed), fill("x" * 1000))
        assert len(spool.records()) == committed - 1
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def commit_until_full(spool, write, number=0):
    """Commit records until the disk is full; return how many there was room for."""
    for committed in range(1000):
        with suppress(OSError):
            spool.commit(a_record(number + committed), write)
            continue
        assert shutil.disk_usage(spool.home).free < 10_000
        return committed
    pytest.fail("the disk is too large")
