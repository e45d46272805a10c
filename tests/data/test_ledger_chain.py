"""The ledger: every look at the test split is written down, and tampering is noticed."""

import hashlib
import json

import numpy as np
import pytest
from ledgers import reads

from benchmark.data.ledger_chain import append, examine, read_test_split
from benchmark.data.prepare import prepare
from benchmark.spec.config import RunSpec, TrainSettings, ViewSettings, seed_bundle
from benchmark.support.errors import UserError


@pytest.fixture
def ledger(tmp_path):
    return tmp_path / "mlruns" / "ledger.jsonl"


def spec_of(dataset, model="lstm", kind="final", index=0, **view):
    return RunSpec(
        model=model,
        dataset=dataset.name,
        dataset_digest=dataset.digest,
        kind=kind,
        view=ViewSettings(**view),
        training=TrainSettings(),
        hparams={},
        seeds=seed_bundle(0, "final", index),
    )


def entries_of(ledger):
    return [json.loads(line) for line in ledger.read_text().splitlines()]


def assert_chained(entries):
    previous = "0" * 64
    for entry in entries:
        body = {name: value for name, value in entry.items() if name != "hash"}
        assert entry["previous"] == previous
        assert entry["hash"] == hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        previous = entry["hash"]


def test_reading_the_test_split_gives_its_texts(make_source, ledger):
    rows = [
        *(("train", f"a b c w{i}", i % 2) for i in range(10)),
        ("test", "c, a zzz B", 1),
        ("test", "b", 0),
    ]
    dataset = prepare(make_source(rows))
    view = read_test_split(dataset, spec_of(dataset), ledger)
    ids = {word: number for number, word in enumerate(dataset.vocabulary(ViewSettings()), 2)}
    assert view.x.tolist() == [[ids["c"], ids["a"], 1, ids["b"]], [ids["b"], 0, 0, 0]]
    assert view.y.tolist() == [1, 0]
    assert view.rows.tolist() == [0, 1]


def test_each_look_is_an_entry_chained_to_the_one_before(sample, ledger):
    specs = [spec_of(sample, index=index, sequence_length=8) for index in range(3)]
    for spec in specs:
        assert len(read_test_split(sample, spec, ledger).x) == sample.sizes["test"]
    entries = entries_of(ledger)
    assert [entry["spec_id"] for entry in entries] == [spec.spec_id for spec in specs]
    assert {entry["dataset_digest"] for entry in entries} == {sample.digest}
    assert all(entry["who"] and entry["when"].endswith("+00:00") for entry in entries)
    assert_chained(entries)


def test_reads_are_counted_by_model_and_data_set(sample, make_source, ledger):
    rows = [*(("train", "a", i % 2) for i in range(10)), ("test", "a", 1)]
    other = prepare(make_source(rows))
    for model in ("lstm", "lstm", "avg-pool", "some/where/mine.py:build"):
        read_test_split(sample, spec_of(sample, model), ledger)
    read_test_split(other, spec_of(other), ledger)
    assert reads(ledger, sample.digest) == {"lstm": 2, "avg-pool": 1, "mine": 1}
    assert reads(ledger, other.digest) == {"lstm": 1}
    assert reads(ledger) == {"lstm": 3, "avg-pool": 1, "mine": 1}
    assert reads(ledger, "never seen") == {}


def test_no_ledger_means_no_looks(ledger):
    assert reads(ledger) == {}
    assert not ledger.parent.exists()


def test_a_trial_never_reads_the_test_split(sample, ledger):
    with pytest.raises(ValueError, match="may not read the test split"):
        read_test_split(sample, spec_of(sample, kind="trial"), ledger)
    assert not ledger.exists()


def test_the_look_is_recorded_before_the_data_is_read(make_source, own_cache, ledger):
    dataset = prepare(make_source([*(("train", "a", i % 2) for i in range(10)), ("test", "a", 1)]))
    (dataset.folder / "test" / "tokens.npy").unlink()
    with pytest.raises(FileNotFoundError):
        read_test_split(dataset, spec_of(dataset), ledger)
    assert reads(ledger) == {"lstm": 1}


APPEND = """
import sys
from pathlib import Path
from benchmark.data.ledger_chain import append
for number in range(20):
    append(Path(sys.argv[1]), {"model": sys.argv[2], "dataset_digest": "d", "number": number})
"""


def test_processes_that_append_at_once_keep_the_chain(start_python, ledger):
    processes = [start_python(APPEND, ledger, f"model{number}") for number in range(4)]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    entries = entries_of(ledger)
    assert_chained(entries)
    assert reads(ledger, "d") == {f"model{number}": 20 for number in range(4)}
    for number in range(4):
        own = [entry["number"] for entry in entries if entry["model"] == f"model{number}"]
        assert own == list(range(20))


APPEND_WITHOUT_ROOM = """
import resource, signal, sys
from pathlib import Path
from benchmark.data.ledger_chain import append
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
append(Path(sys.argv[1]), {"model": "no room", "dataset_digest": "d"})
"""


def _replace(old, new):
    return lambda content: content.replace(old, new, 1)


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        pytest.param(_replace(b'"second"', b'"hidden"'), 2, id="an entry changed"),
        pytest.param(lambda c: b"".join(c.splitlines(True)[::2]), 2, id="an entry taken out"),
        pytest.param(lambda c: b"".join(c.splitlines(True)[1:]), 1, id="the first taken out"),
        pytest.param(lambda c: b"".join(reversed(c.splitlines(True))), 1, id="order changed"),
        pytest.param(lambda c: c[:-20] + b"\n", 3, id="the last one cut short"),
        pytest.param(lambda c: c + b"not JSON\n", 4, id="not JSON"),
        pytest.param(lambda c: c + b"\xff\xfe\n", 4, id="not text"),
        pytest.param(lambda c: c + b"[" * 100_000 + b"\n", 4, id="nested too deeply"),
        pytest.param(lambda c: c + b"[1, 2]\n", 4, id="not an entry"),
        pytest.param(lambda c: b"{}\n" + c, 1, id="an empty entry"),
    ],
)
def test_a_damaged_ledger_is_refused_and_left_alone(ledger, damage, line):
    for model in ("first", "second", "third"):
        append(ledger, {"model": model, "dataset_digest": "d"})
    damaged = damage(ledger.read_bytes())
    ledger.write_bytes(damaged)
    for use in (reads, lambda path: append(path, {"model": "next", "dataset_digest": "d"})):
        with pytest.raises(UserError, match=f"line {line}: the ledger is damaged") as caught:
            use(ledger)
        assert str(ledger) in str(caught.value)
    assert ledger.read_bytes() == damaged


def test_a_ledger_cut_off_anywhere_goes_on_and_loses_no_whole_entry(ledger):
    """As a machine leaves it that loses its power while an entry is written."""
    for model in ("first", "second"):
        append(ledger, {"model": model, "dataset_digest": "d"})
    whole = ledger.read_bytes()
    first_ends = whole.index(b"\n")
    for size in range(len(whole) + 1):
        ledger.write_bytes(whole[:size])
        # An entry that lacks no more than the end of its line is whole.
        left = (size >= first_ends) + (size >= len(whole) - 1)
        assert reads(ledger).total() == left
        assert ledger.read_bytes() == whole[:size]
        append(ledger, {"model": "next", "dataset_digest": "d"})
        entries = entries_of(ledger)
        assert_chained(entries)
        assert [entry["model"] for entry in entries] == [*["first", "second"][:left], "next"]
        # What was cut off can be read on.
        assert b"".join(whole.splitlines(True)[:left]) + entries[-1].get("torn", "").encode() in (
            whole[:size],
            whole[:size] + b"\n",
        )


def test_an_entry_cut_off_is_damage_until_it_is_kept(ledger):
    append(ledger, {"model": "first", "dataset_digest": "d"})
    ledger.write_bytes(ledger.read_bytes() + b'{"model": "sec')
    assert [(found.line, found.what) for found in examine(ledger)[1]] == [(2, "this is not an entry")]
    append(ledger, {"model": "next", "dataset_digest": "d"})
    assert examine(ledger)[1] == []
    assert entries_of(ledger)[-1]["torn"] == '{"model": "sec'


@pytest.mark.long
def test_a_full_disk_leaves_the_ledger_as_it_was(ledger, start_python):
    append(ledger, {"model": "first", "dataset_digest": "d"})
    before = ledger.read_bytes()
    for room in (0, 1, 40):
        process = start_python(APPEND_WITHOUT_ROOM, ledger, len(before) + room)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "OSError" in errors
        assert ledger.read_bytes() == before
    append(ledger, {"model": "next", "dataset_digest": "d"})
    assert reads(ledger) == {"first": 1, "next": 1}


def test_the_test_split_is_cut_like_the_other_parts(sample, ledger):
    view = read_test_split(sample, spec_of(sample, sequence_length=6, vocabulary_size=40), ledger)
    assert view.x.shape == (sample.sizes["test"], 6)
    assert view.x.max() < 40
    assert np.bincount(view.y).tolist() == [sample.sizes["test"] // 2] * 2
