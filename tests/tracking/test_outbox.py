"""Delivery to a real store whose answers get lost: everything arrives, once, in order."""

import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tracked import Faulty, a_record, contents, fill, half_the_time, runs_of

from benchmark.display.events import Display
from benchmark.driver.session import Session
from benchmark.support.errors import Unfinished
from benchmark.support.files import RunsFolder
from benchmark.tracking import names
from benchmark.tracking.outbox import Outbox
from benchmark.tracking.runs import find_runs
from benchmark.tracking.spool import Spool
from benchmark.tracking.store import connect

PATIENCE = 60.0


@pytest.fixture
def expected(client, spool, outbox):
    """What three runs look like that were delivered without any trouble, to another experiment."""
    box = outbox(client, spool)
    for number in range(3):
        spool.commit(a_record(number, experiment="calm"), fill("x" * number))
    assert box.close(PATIENCE) == 0
    return contents(client, "calm")


def test_a_repetition_changes_nothing(client, spool, outbox, expected):
    for _ in range(2):  # as after a process that died between delivery and deletion
        box = outbox(client, spool)
        for number in range(3):
            spool.commit(a_record(number), fill("x" * number))
            spool.commit(a_record(number), fill("x" * number))
        assert box.close(PATIENCE) == 0
        assert contents(client) == expected
    assert spool.names() == []
    ((_, (_, params, histories, inputs, files)), *_) = expected.values()
    assert len(params) == 130
    assert [len(histories[name]) for name in ("loss", "endless", "nothing")] == [3, 3, 3]
    assert inputs == [("toy", "0" * 32)]
    assert set(files) == {"spec.json", "model/weights.txt"}


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
def test_a_store_that_fails_half_the_time_gets_everything_once(client, spool, outbox, expected, seed):
    faulty = Faulty(client, half_the_time(seed))
    box = outbox(faulty, spool)
    for number in range(3):
        record = a_record(number)
        box.live(record.model_copy(update={"status": None, "metrics": record.metrics[:4]}))
        spool.commit(record, fill("x" * number))
        box.send(record)
    assert box.close(PATIENCE) == 0
    assert faulty.failed > 10
    assert contents(client) == expected


@pytest.mark.parametrize("fault", ["before", "after"])
def test_the_lost_answer_to_a_creation_makes_no_second_run(client, spool, outbox, fault):
    asked = Counter()

    def first_creation(name):
        asked[name] += 1
        return fault if name == "create_run" and asked[name] == 1 else None

    box = outbox(Faulty(client, first_creation), spool)
    spool.commit(a_record(0))
    assert box.close(PATIENCE) == 0
    assert len(runs_of(client)) == 1
    assert asked["create_run"] == {"before": 2, "after": 1}[fault]


def test_a_creation_that_came_late_is_undone(client, spool, outbox):
    class Late(Faulty):
        """Carries out the first creation after the second: the server was slow, and was taken for dead."""

        late = None

        def create_run(self, *words):
            if self.late is None:
                self.late = words
                raise TimeoutError("no answer")
            run = self._client.create_run(*words)
            self._client.create_run(*self.late)
            return run

    box = outbox(Late(client, lambda name: None), spool)
    spool.commit(a_record(0))
    assert box.close(PATIENCE) == 0
    (run,) = runs_of(client)
    assert run.info.status == "FINISHED"


def test_changes_arrive_in_the_order_in_which_they_were_made(client, spool, outbox):
    box = outbox(Faulty(client, half_the_time(7)), spool)
    spool.commit(a_record(0))
    for tier in ("default", "tuned", "superseded"):
        spool.commit(a_record(0, run_name="", tags={names.TIER: tier}, status="KILLED"))
    assert box.close(PATIENCE) == 0
    (run,) = runs_of(client)
    assert (run.data.tags[names.TIER], run.info.status) == ("superseded", "KILLED")


def test_a_child_finds_its_parent_by_key(client, spool, outbox):
    parent = a_record(9, status="RUNNING", end_time=None)
    spool.commit(parent)
    spool.commit(a_record(0, parent_key=parent.key))
    assert outbox(client, spool).close(PATIENCE) == 0
    spool.commit(a_record(1, parent_key=parent.key))  # in a process that has not seen the parent
    assert outbox(client, spool).close(PATIENCE) == 0
    found = {run.data.tags[names.RUN_KEY]: run for run in runs_of(client)}
    parents = [found[a_record(number).key].data.tags[names.PARENT] for number in (0, 1)]
    assert parents == [found[parent.key].info.run_id] * 2
    assert found[parent.key].info.status == "RUNNING"


def test_a_record_that_is_refused_holds_up_no_other(client, spool, outbox):
    notices = []
    box = outbox(client, spool, notices)
    spool.commit(a_record(0, params={"not a name: %": "1"}), fill())
    spool.commit(a_record(1, run_name=""))  # changes a run that nobody has made
    spool.commit(a_record(2))
    assert box.close(PATIENCE) == 0
    assert a_record(2).key in {run.data.tags[names.RUN_KEY] for run in runs_of(client)}
    assert spool.refused() == len(notices) == 2
    assert all("refused" in notice for notice in notices)
    assert len(list(spool.home.glob("*.files/spec.json"))) == 1


def test_a_store_that_is_away_is_told_of_once_and_so_is_its_return(client, spool, outbox, monkeypatch):
    monkeypatch.setattr("benchmark.tracking.outbox._SILENCE", 0.2)
    monkeypatch.setattr("benchmark.tracking.outbox._LONGEST_PAUSE", 0.2)
    notices, away = [], threading.Event()
    away.set()
    box = outbox(Faulty(client, lambda name: "before" if away.is_set() else None), spool, notices)
    spool.commit(a_record(0))
    assert box.drain(1.0) == 1
    assert runs_of(client) == []
    (notice,) = notices
    assert "results are kept in mlruns/spool" in notice
    assert "secret" not in notice
    away.clear()
    assert box.close(PATIENCE) == 0
    assert len(notices) == 2
    assert "answers again" in notices[1]


@pytest.mark.long
def test_who_waits_for_a_slow_store_is_told_how_long(client, spool, outbox, monkeypatch):
    monkeypatch.setattr("benchmark.tracking.outbox._FIRST_LINE", 0.0)
    monkeypatch.setattr("benchmark.tracking.outbox._LINE_EVERY", 0.05)

    def slow(name):
        time.sleep(0.1)

    said, box = [], outbox(Faulty(client, slow), spool)
    for number in range(3):
        spool.commit(a_record(number), fill())
    # Less than the whole takes: the patience is for a store that does not answer at all.
    assert box.close(2.0, lambda left, seconds: said.append((left, seconds))) == 0
    assert {left for left, _ in said} >= {1, 2, 3}
    assert [left for left, _ in said] == sorted((left for left, _ in said), reverse=True)
    estimates = [seconds for _, seconds in said if seconds is not None]
    assert all(0.1 <= seconds < 60 for seconds in estimates)
    assert estimates[-1] < max(estimates)


def test_a_store_that_does_not_answer_has_no_time_left(client, spool, outbox, monkeypatch):
    monkeypatch.setattr("benchmark.tracking.outbox._FIRST_LINE", 0.0)
    said, box = [], outbox(Faulty(client, lambda name: "before"), spool)
    spool.commit(a_record(0))
    assert box.drain(0.5, lambda left, seconds: said.append((left, seconds))) == 1
    assert said == [(1, None)]


def test_a_locked_database_is_waited_for_in_the_background(client, spool, outbox, uri):
    box = outbox(client, spool)
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        for number in range(3):
            record = a_record(number)
            box.live(record)
            spool.commit(record)
            box.send(record)
        assert box.drain(0.2) == 3
        database.execute("ROLLBACK")
    assert box.close(PATIENCE) == 0
    assert len(contents(client)) == 3


def test_two_processes_with_one_spool_deliver_each_run_once(client, spool, uri, outbox, expected):
    # The lock is one between open files, so two outboxes are to each other what two processes are.
    boxes = [outbox(client, spool), outbox(connect(uri), Spool(spool.home.parents[1], uri))]
    for number in range(3):
        record = a_record(number)
        for box in boxes:
            box.spool.commit(record, fill("x" * number))
            box.send(record)
    assert [box.close(PATIENCE) for box in boxes] == [0, 0]
    assert contents(client) == expected


def test_a_run_is_shown_while_it_is_under_way(client, spool, outbox):
    box = outbox(client, spool)
    record = a_record(0)
    box.live(record.model_copy(update={"status": None, "metrics": record.metrics[:3]}))
    give_up = time.monotonic() + PATIENCE
    while not (box.run_id(record.key) and runs_of(client)[0].data.metrics) and time.monotonic() < give_up:
        time.sleep(0.05)
    (run,) = runs_of(client)
    assert run.info.status == "RUNNING"
    assert run.data.metrics["loss"] == 0.7
    spool.commit(record)
    box.send(record)
    assert box.close(PATIENCE) == 0
    (run,) = runs_of(client)
    assert run.info.status == "FINISHED"
    assert len(client.get_metric_history(run.info.run_id, "loss")) == 3


def test_an_outbox_can_be_closed_twice(client, spool):
    box = Outbox(client, spool, print)
    assert (box.close(1.0), box.close(1.0)) == (0, 0)


def test_a_final_run_that_was_refused_is_not_done_again(client, spool, outbox, uri):
    box = outbox(client, spool)
    tags = {names.STUDY: "mine", names.KIND: names.FINAL_RUN, names.STATUS: "ok"}
    spool.commit(a_record(0, tags=tags, status="FINISHED", params={"not a name: %": "1"}))
    assert box.close(PATIENCE) == 0
    assert (box.refused, spool.refused()) == (1, 1)
    (run,) = find_runs(client, a_record(0).experiment, (names.FINAL_RUN,), spool=spool, STUDY="mine")
    assert run.settled
    session = Session(RunsFolder(Path("mlruns")), client, uri, box, Display())
    plan = SimpleNamespace(study="mine")
    with pytest.raises(Unfinished, match=f"refused: 1; they are kept in {spool.home}"):
        session.check_refused(plan)
    replace(session, outbox=outbox(client, spool)).check_refused(SimpleNamespace(study="other"))
