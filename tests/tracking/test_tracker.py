"""What a sweep leaves in MLflow, and what it reads of an earlier one, the spool included."""

from dataclasses import replace
from pathlib import Path

import pytest
from tracked import Faulty, contents, final, make_plan_of, runs_of, train, trial

from benchmark.spec.result import Result
from benchmark.support.errors import UserError
from benchmark.tracking import names
from benchmark.tracking.store import StoreClient, default_artifacts
from benchmark.tracking.tracker import FURTHER, Tracker

PATIENCE = 60.0


@pytest.fixture
def open_tracker(client, spool, uri, outbox, monkeypatch):
    """``open_tracker(plan)`` gives a tracker with an outbox of its own, as a new process has it."""
    monkeypatch.setattr("benchmark.tracking.tracker._BEGIN_PATIENCE", 1.0)

    def make(plan, faults=None, **more):
        used = client if faults is None else Faulty(client, faults)
        tracker = Tracker(
            client, plan, default_artifacts(uri, Path("mlruns"), "toy"), outbox(used, spool), **more
        )
        tracker.begin()
        return tracker

    return make


def away(name):
    return "before"


def test_a_sweep_and_its_runs(client, open_tracker):
    plan = make_plan_of()
    tracker = open_tracker(plan)
    trial(tracker, plan, 0)
    trial(tracker, plan, 1, result=Result("pruned", train_seconds=1.0))
    trial(tracker, plan, 2, result=Result("failed", error="Traceback"))
    final(tracker, plan, 0)
    tracker.finish(
        {names.SEARCH_TRIALS: 3.0}, lambda folder: (folder / names.TRIALS_CSV).write_text("a\n") and None
    )
    assert tracker.outbox.close(PATIENCE) == 0
    runs = {run.info.run_id: run for run in runs_of(client)}
    parent = runs.pop(tracker.parent_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {names.SEARCH_TRIALS: 3.0}
    assert parent.data.tags[names.SEEDS_EXPECTED] == "3"
    assert parent.data.params["trials"] == "6"
    assert sorted(run.info.status for run in runs.values()) == ["FAILED", "FINISHED", "FINISHED", "FINISHED"]
    assert {run.data.tags[names.PARENT] for run in runs.values()} == {tracker.parent_id}
    (last,) = [run for run in runs.values() if run.data.tags[names.KIND] == names.FINAL_RUN]
    assert last.data.params["embedding_dim"] == str(plan.default["embedding_dim"])
    assert last.data.metrics["loss"] == pytest.approx(1 / 3)
    assert {item.path for item in client.list_artifacts(last.info.run_id)} == {"note.txt"}
    assert len(client.get_metric_history(last.info.run_id, "loss")) == 3


def test_a_sweep_that_goes_on_knows_its_runs_whether_they_are_delivered_or_not(client, open_tracker):
    plan = make_plan_of()
    first = open_tracker(plan)
    trial(first, plan, 0)
    final(first, plan, 0)
    first.outbox.close(PATIENCE)
    second = open_tracker(plan, faults=away)  # from here on the store takes nothing
    trial(second, plan, 1, result=Result("pruned", train_seconds=1.0))
    trial(second, plan, 2, result=Result("interrupted"))
    final(second, plan, 1)
    (earlier,) = second.finals
    second.tag(earlier, names.TIER, "superseded")
    second.abort("KILLED")
    assert second.outbox.close(0.1) > 0

    third = open_tracker(plan, faults=away)
    tiers = {run.tags[names.SEED]: run.tags[names.TIER] for run in third.finals}
    assert tiers == {"0": "superseded", "1": "default"}
    assert third.trial_end(0).status == "ok"
    assert (third.trial_end(0).value, third.trial_end(0).seconds) == (0.5, 2.0)
    assert third.trial_end(1).status == "pruned"
    assert third.trial_end(2) is None  # an interrupted trial is tried again
    assert third.trial_end(3) is None
    specs = [spec.spec_id for spec in plan.final_specs(plan.default)]
    assert [third.has_finished(spec_id) for spec_id in specs] == [True, True, False]
    assert third.parent_id == first.parent_id
    third.outbox.close(0)

    fourth = open_tracker(plan)
    assert fourth.outbox.close(PATIENCE) == 0
    found = contents(client)
    assert len(found) == 1 + 3 + 2
    assert [run.info.status for run in runs_of(client)].count("RUNNING") == 1  # the sweep itself


def test_a_sweep_tells_how_many_test_texts_are_training_texts_also_one_that_an_older_version_began(
    client, open_tracker
):
    plan = make_plan_of()
    assert open_tracker(plan).outbox.close(PATIENCE) == 0
    assert runs_of(client)[0].data.tags[names.TEST_DUPLICATES] == "0 of 3"
    again = replace(plan, dataset=replace(plan.dataset, test_duplicates=2))
    assert open_tracker(again).outbox.close(PATIENCE) == 0
    (parent,) = runs_of(client)
    assert parent.data.tags[names.TEST_DUPLICATES] == "2 of 3"


def test_a_sweep_that_was_begun_without_its_store_has_one_run(client, open_tracker):
    plan = make_plan_of()
    first = open_tracker(plan, faults=away)
    assert first.parent_id == ""
    trial(first, plan, 0)
    first.abort("KILLED")
    assert first.outbox.close(0.1) == 3
    second = open_tracker(plan)
    trial(second, plan, 1)
    second.finish({}, lambda folder: None)
    assert second.outbox.close(PATIENCE) == 0
    runs = runs_of(client)
    assert len(runs) == 3
    parents = {run.data.tags.get(names.PARENT) for run in runs}
    assert parents == {None, second.parent_id}
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_two_sweeps_of_a_study_that_begin_at_the_same_time_have_one_run(client, open_tracker, spool, outbox):
    plan = make_plan_of()
    late = Tracker(client, plan, None, outbox(client, spool))  # which has found no run yet
    first = open_tracker(plan)
    late.begin()
    assert late.outbox.close(PATIENCE) == 0
    assert late.parent_id == first.parent_id
    assert len(runs_of(client)) == 1


class Others:
    """Processes that share a study, one of them alive."""

    def __init__(self, token):
        self.token = token

    def alive(self, token):
        return token == "alive"


def test_runs_of_dead_processes_are_closed_and_those_of_others_left_alone(client, open_tracker):
    plan = make_plan_of()
    for token in ("dead", "alive"):
        tracker = open_tracker(plan, owner=Others(token))
        key = tracker.start(plan.trial_spec(plan.default, 0), token, {names.KIND: names.TRIAL_RUN})
        while tracker.outbox.run_id(key) is None:
            pass
        tracker.outbox.close(PATIENCE)  # without an end
    last = open_tracker(plan, owner=Others("third"))
    last.outbox.close(PATIENCE)
    ends = {run.info.run_name: run for run in runs_of(client)}
    assert ends["alive"].info.status == "RUNNING"
    assert ends["dead"].info.status == "KILLED"
    assert ends["dead"].data.tags[names.STATUS] == "interrupted"


def test_further_runs_leave_the_number_of_seeds_alone(client, open_tracker):
    open_tracker(make_plan_of(study="x")).outbox.close(PATIENCE)
    further = open_tracker(make_plan_of(study="x", seeds=9), purpose=FURTHER)
    further.outbox.close(PATIENCE)
    (run,) = runs_of(client)
    assert run.data.tags[names.SEEDS_EXPECTED] == "3"
    open_tracker(make_plan_of(study="x", seeds=9)).outbox.close(PATIENCE)
    (run,) = runs_of(client)
    assert run.data.tags[names.SEEDS_EXPECTED] == "9"


def test_a_run_whose_artifacts_have_no_room_is_not_recorded(open_tracker, spool):
    plan = make_plan_of()
    tracker = open_tracker(plan, faults=away)
    before = spool.names()

    def write(folder):
        (folder / "half").write_text("x")
        raise OSError(28, "No space left on device")

    key = tracker.start(plan.trial_spec(plan.default, 0), "trial 0", {names.KIND: names.TRIAL_RUN})
    with pytest.raises(OSError, match="No space"):
        tracker.end(key, Result("ok"), write)
    assert spool.names() == before
    assert not list(spool.home.glob(".*.tmp"))
    tracker.end(key, Result("interrupted"), lambda folder: None)  # which has room
    assert len(spool.names()) == len(before) + 1


def test_no_password_becomes_a_tag_or_a_param(client, open_tracker, spool):
    plan = make_plan_of(study="postgresql://me:s3cr3t@host/x")
    tracker = open_tracker(plan)
    spec = plan.trial_spec(plan.default, 0)
    spec = spec.model_copy(update={"hparams": {**spec.hparams, "url": "https://me:s3cr3t@host/module"}})
    train(tracker, spec, {names.KIND: names.TRIAL_RUN})
    tracker.outbox.close(PATIENCE)
    assert "s3cr3t" not in repr([(run.data.tags, run.data.params) for run in runs_of(client)])
    assert len(runs_of(client)) == 2
    assert open_tracker(plan).parent_id == tracker.parent_id


def test_a_store_that_has_gone_is_one_line(client, spool, outbox, monkeypatch):
    monkeypatch.setattr("benchmark.tracking.store._PATIENCE", 0.1)
    with pytest.raises(UserError, match="does not answer") as error:
        Tracker(Faulty(client, away), make_plan_of(), None, outbox(client, spool))
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.long
def test_a_flaky_store_is_asked_again(client, spool, outbox, open_tracker):
    plan = make_plan_of()
    trial(first := open_tracker(plan), plan, 0)
    first.outbox.close(PATIENCE)
    turns = iter(range(1000))
    flaky = Faulty(client, lambda name: "before" if next(turns) % 2 == 0 else None)
    store = StoreClient("http://flaky", flaky)
    assert Tracker(store, plan, None, outbox(client, spool)).trial_end(0).status == "ok"
    assert len(runs_of(StoreClient("http://flaky", flaky))) == 2
    assert flaky.failed > 3
