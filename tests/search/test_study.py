"""The search on real Optuna studies: continuing, repeating, pruning, choosing."""

import json
import re
import sqlite3

import optuna
import pytest

from benchmark.data.dataset import Dataset
from benchmark.models.source_description import describe
from benchmark.plan.run_specs import Plan, make_plan
from benchmark.plan.space import Space
from benchmark.search.study import Search
from benchmark.search.trials import check_trials
from benchmark.spec.config import CONFIRMING, SweepConfig
from benchmark.spec.result import Result, TrialEnd
from benchmark.support.errors import UserError

LONG_PRUNERS = [pytest.param(name, marks=pytest.mark.long) for name in ("hyperband", "percentile")]


@pytest.fixture
def dataset(tmp_path):
    """Facts of a data set; a search needs no more than these."""
    return Dataset(tmp_path, "toy", "0" * 32, ("a", "b"), {"train": 9, "validation": 3, "test": 3}, 50, 9)


def make(dataset, *, space=None, **settings):
    values = {"budget": "quick", "trials": 6, "seeds": 3, "epochs": 5, "train_share": 1.0, "pruner": "none"}
    config = SweepConfig(**{**values, **settings})
    plan = make_plan("avg-pool", dataset, config)
    return Plan(plan.model, dataset, space, config) if space else plan


def tiny_space(**search):
    return Space.model_validate(
        {
            "model": "avg-pool",
            "source": "a test",
            "default": {**make_defaults(), "units": 16},
            "search": {"units": {"type": "categorical", "choices": [0, 16]}, **search},
        }
    )


def make_defaults():
    return dict(describe("avg-pool").parameters)


TWICE = {"configurations": 2, "runs": 1}


def lines_of(folder, plan):
    return (folder / f"{plan.study}.journal").read_bytes().splitlines(keepends=True)


def proposals(search):
    """Ask for one trial after another, until there is none."""
    return iter(search.proposal, None)


def run_all(search, value=lambda spec: 0.5, limit=100):
    specs = []
    for proposal, _ in zip(proposals(search), range(limit), strict=False):
        specs.append(proposal.spec)
        search.tell(proposal.number, Result("ok", best_val_accuracy=value(proposal.spec), train_seconds=1.0))
    return specs


def test_the_published_default_is_trial_0(dataset, tmp_path):
    plan = make(dataset)
    first = Search(plan, None, tmp_path).proposal()
    assert first.slot == 0
    assert first.spec.flat() == plan.trial_spec(plan.default, 0).flat()


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "cmaes"])
def test_samplers_are_seeded(dataset, tmp_path, sampler):
    runs = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        plan = make(dataset, sampler=sampler, seed=seed)
        specs = run_all(Search(plan, None, tmp_path / name), lambda spec: spec.training.learning_rate)
        runs.append([spec.flat() for spec in specs])
    assert runs[0] == runs[1]
    assert runs[0][1:] != runs[2][1:]
    assert len({str(flat) for flat in runs[0]}) > 3


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_a_search_that_goes_on_equals_one_without_a_pause(dataset, tmp_path, sampler):
    def value(spec):
        return spec.training.learning_rate

    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = run_all(Search(make(dataset, sampler=sampler), None, tmp_path / "whole"), value)
    parts = []
    for trials in (2, 3, 6):
        plan = make(dataset, sampler=sampler, trials=trials)
        parts += run_all(Search(plan, None, tmp_path / "parts"), value)
    assert [spec.spec_id for spec in parts] == [spec.spec_id for spec in whole]


def test_trials_are_a_total(dataset, tmp_path):
    assert len(run_all(Search(make(dataset), None, tmp_path))) == 6
    assert run_all(Search(make(dataset), None, tmp_path)) == []
    again = Search(make(dataset, trials=9), None, tmp_path)
    assert len(run_all(again)) == 3
    assert again.done == 9
    assert again.seconds == 9.0


def test_an_interrupted_trial_is_tried_first_in_its_slot(dataset, tmp_path):
    search = Search(make(dataset, sampler="random"), None, tmp_path)
    asked = proposals(search)
    search.tell(next(asked).number, Result("ok", best_val_accuracy=0.6))
    lost = next(asked)  # this process ends without a word
    again = Search(make(dataset, sampler="random"), None, tmp_path).proposal()
    assert (again.slot, again.spec.spec_id) == (lost.slot, lost.spec.spec_id)
    assert again.number != lost.number


def test_a_trial_told_to_be_interrupted_does_not_count(dataset, tmp_path):
    search = Search(make(dataset, trials=2), None, tmp_path)
    asked = proposals(search)
    first = next(asked)
    search.tell(first.number, Result("interrupted"))
    assert search.done == 0
    assert next(asked).spec.spec_id == first.spec.spec_id


def test_a_repeated_configuration_gets_a_new_seed_and_the_mean(dataset, tmp_path):
    plan = make(dataset, space=tiny_space(), trials=12, sampler="random")
    search = Search(plan, None, tmp_path)
    values = iter([0.9, 0.5, 0.7, 0.6, 0.8, 0.55, 0.65, 0.75, 0.85, 0.4, 0.45, 0.35])
    by_config = {}
    seeds = set()
    for proposal in proposals(search):
        value = next(values)
        by_config.setdefault(proposal.spec.config_id, []).append(value)
        seeds.add(proposal.spec.seeds.init)
        search.tell(proposal.number, Result("ok", best_val_accuracy=value))
        told = optuna.load_study(study_name=plan.study, storage=journal(tmp_path, plan)).trials[-1].value
        mine = by_config[proposal.spec.config_id]
        assert told == pytest.approx(sum(mine) / len(mine))
    assert len(by_config) == 2
    assert len(seeds) == 12
    means = {config: sum(values) / len(values) for config, values in by_config.items()}
    winner = search.winner()
    assert winner.config_id == max(means, key=means.get)
    assert winner.value == pytest.approx(max(means.values()))


def journal(folder, plan):
    backend = optuna.storages.journal.JournalFileBackend(str(folder / f"{plan.study}.journal"))
    return optuna.storages.JournalStorage(backend)


def test_how_statuses_are_told(dataset, tmp_path):
    plan = make(dataset, trials=4)
    search = Search(plan, None, tmp_path)
    statuses = iter(["failed", "diverged", "pruned", "ok"])
    for proposal in proposals(search):
        status = next(statuses)
        search.tell(proposal.number, Result(status, best_val_accuracy=0.5 if status == "ok" else None))
    states = [
        trial.state.name
        for trial in optuna.load_study(study_name=plan.study, storage=journal(tmp_path, plan)).trials
    ]
    assert states == ["FAIL", "PRUNED", "PRUNED", "COMPLETE"]
    assert search.winner().slot == 3
    assert [row["status"] for row in search.table()] == ["failed", "diverged", "pruned", "ok"]


def test_no_winner_without_a_successful_trial(dataset, tmp_path):
    search = Search(make(dataset, trials=1), None, tmp_path)
    search.tell(search.proposal().number, Result("diverged"))
    assert search.winner() is None


@pytest.mark.parametrize("pruner", ["median", *LONG_PRUNERS])
def test_poor_trials_are_pruned_but_never_the_default(dataset, tmp_path, pruner):
    search = Search(make(dataset, trials=30, epochs=9, pruner=pruner), None, tmp_path)
    pruned = []
    for proposal in proposals(search):
        level = 0.1 if proposal.slot in (0, 25, 26, 27, 28, 29) else 0.8 + proposal.slot / 1000
        for epoch in range(1, 10):
            if not search.report(proposal.number, epoch, level):
                pruned.append(proposal.slot)
                search.tell(proposal.number, Result("pruned"))
                break
        else:
            search.tell(proposal.number, Result("ok", best_val_accuracy=level))
    assert 0 not in pruned
    assert {25, 26, 27, 28, 29} <= set(pruned)


@pytest.mark.parametrize("pruner", ["median", "percentile"])
@pytest.mark.parametrize(("epochs", "free"), [(40, 4), (9, 3), (4, 1)])
def test_a_slow_starter_has_time_to_catch_up(dataset, tmp_path, pruner, epochs, free):
    search = Search(make(dataset, trials=9, epochs=epochs, epochs_exact=True, pruner=pruner), None, tmp_path)
    for proposal in proposals(search):
        for epoch in range(1, epochs + 1):
            slow, late = proposal.slot >= 7, epoch > free + (proposal.slot == 8)
            goes_on = search.report(proposal.number, epoch, 0.9 if late or not slow else 0.1)
            if not goes_on:
                break
        assert goes_on == (proposal.slot < 8)  # the last one starts an epoch too late
        assert epoch == (epochs if goes_on else free + 1)
        status = "ok" if goes_on else "pruned"
        search.tell(proposal.number, Result(status, best_val_accuracy=0.9))


def test_a_grid_ends_with_its_last_point(dataset, tmp_path):
    space = tiny_space(embedding_dim={"type": "categorical", "choices": [8, 16, 32]})
    search = Search(make(dataset, space=space, sampler="grid", trials=50), None, tmp_path)
    specs = run_all(search)
    assert len(specs) == search.total == 6
    assert len({(spec.hparams["units"], spec.hparams["embedding_dim"]) for spec in specs}) == 6


def test_a_time_limit_counts_the_seconds_of_all_trials_the_earlier_ones_too(dataset, tmp_path):
    spent = run_all(Search(make(dataset, trials=6, timeout=2.5), None, tmp_path))
    assert len(spent) == 3
    again = Search(make(dataset, trials=6, timeout=2.5), None, tmp_path)
    assert again.finished
    assert again.proposal() is None
    assert len(run_all(Search(make(dataset, trials=6, timeout=4.5), None, tmp_path))) == 2


@pytest.mark.long
def test_a_database_remembers_like_a_journal(dataset, tmp_path):
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    first = run_all(Search(make(dataset, trials=3), url, tmp_path))
    rest = run_all(Search(make(dataset, trials=5), url, tmp_path))
    assert (len(first), len(rest)) == (3, 2)
    assert not list(tmp_path.glob("*.journal"))


def test_another_search_under_the_same_name_is_refused(dataset, tmp_path):
    Search(make(dataset, study="mine"), None, tmp_path)
    with pytest.raises(UserError, match="`study` mine: this study was started with another"):
        Search(make(dataset, study="mine", seed=1), None, tmp_path)


def test_totals_are_not_part_of_the_identity(dataset):
    assert make(dataset, trials=3, seeds=9, timeout=5.0).study == make(dataset).study
    assert make(dataset, seed=1).study != make(dataset).study


def test_a_damaged_journal_is_one_clear_line(dataset, tmp_path):
    plan = make(dataset)
    run_all(Search(plan, None, tmp_path), limit=2)
    path = tmp_path / f"{plan.study}.journal"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b'{"op_co\n', *lines[2:]]))
    with pytest.raises(UserError, match=r"journal .* is damaged"):
        Search(plan, None, tmp_path)


@pytest.mark.parametrize(
    "url", ["nosuchdb://host/x", "sqlite:////no/such/folder/x.db", "postgresql://u:secret@127.0.0.1:1/x"]
)
def test_a_storage_that_cannot_be_used_is_one_clear_line(dataset, tmp_path, url):
    with pytest.raises(UserError, match="`storage`") as caught:
        Search(make(dataset), url, tmp_path)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_gp_without_pytorch_says_how_to_install_it(dataset, tmp_path):
    pytest.importorskip("optuna")
    try:
        import torch  # noqa: F401
    except ImportError:
        search = Search(make(dataset, sampler="gp"), None, tmp_path)
        with pytest.raises(UserError, match="textbench\\[gp\\]"):
            search.proposal()
    else:
        assert len(run_all(Search(make(dataset, sampler="gp", trials=3), None, tmp_path))) == 3


@pytest.mark.parametrize("sampler", ["random", "qmc", "grid"])
def test_configurations_do_not_depend_on_how_many_trials_are_under_way_at_a_time(dataset, tmp_path, sampler):
    space = tiny_space(embedding_dim={"type": "int", "low": 8, "high": 512, "step": 8})
    found = []
    for workers in (1, 3):
        search = Search(
            make(dataset, space=space, sampler=sampler, trials=9, pruner="none"),
            None,
            tmp_path / str(workers),
        )
        under_way, specs = [], {}
        while not search.settled:
            while len(under_way) < workers and (proposal := search.proposal()):
                under_way.append(proposal)
                specs[proposal.slot] = proposal.spec.spec_id
            ended = under_way.pop(-1)  # the last one begun is the first to end
            search.tell(
                ended.number, Result("ok", best_val_accuracy=ended.spec.hparams["embedding_dim"] / 999)
            )
        found.append(specs)
    assert found[0] == found[1]
    assert len(set(found[0].values())) == 9


@pytest.mark.parametrize(("name", "value"), [("slot", "one"), ("value", None), ("hparams", 3)])
def test_a_trial_that_is_damaged_is_named(dataset, tmp_path, name, value):
    search = Search(make(dataset, trials=1), None, tmp_path)
    run_all(search)
    search._study._storage._replay_result._trials[0].user_attrs[name] = value
    trial = search._trials()[0]
    with pytest.raises(UserError, match=f"study mine, trial 0: its '{name}' is damaged"):
        check_trials([trial], "mine")


def two_trials(plan, storage, folder):
    """Search with values 0.75 and 0.25; return the ends as the tracking store would have them."""
    search, ends = Search(plan, storage, folder), {}
    for value, seconds in ((0.75, 2.5), (0.25, 1.5)):
        proposal = search.proposal()
        search.tell(proposal.number, Result("ok", best_val_accuracy=value, train_seconds=seconds))
        ends[proposal.slot] = [TrialEnd("ok", value, seconds, proposal.spec.config_id)]
    return ends


WIDTHS = {"embedding_dim": {"type": "int", "low": 2, "high": 4096}}


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('"value":0.25', '"value":0.99', "trial 1: its value is 0.99, but 0.25 in"),
        ('"values":[0.25]', '"values":[0.99]', "trial 1: its value is 0.25, but 0.99 in"),
        ('"units":16', '"units":99', "trial 0: its hparams is {'units': 99}, but {'units': 16} in"),
        ('"status":"ok"', '"status":"failed"', "trial 0: its status is failed, but COMPLETE in"),
        ('"seconds":1.5', '"seconds":9', "trial 1: its seconds is 9, but 1.5 in the tracking store"),
        ("0.25", "0.99", "trial 1: its value is 0.99, but 0.25 in the tracking store"),
    ],
)
def test_a_journal_that_was_changed_is_not_believed(dataset, tmp_path, old, new, named, sealed):
    plan = make(dataset, trials=2, space=tiny_space(**WIDTHS))
    ends = two_trials(plan, None, tmp_path)
    (file,) = tmp_path.glob("*.journal")
    if not sealed:  # as version 0.1.0 wrote it
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for line in lines if '"seal"' not in line))
    Search(plan, None, tmp_path, recorded=lambda: ends)
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(UserError, match=re.escape(named)) as error:
        Search(plan, None, tmp_path, recorded=lambda: ends)
    assert plan.study in str(error.value)
    assert "choose a different `study`" in str(error.value)


@pytest.mark.parametrize(
    ("gone", "old", "new", "named"),
    [
        ('"status"', "", "", "trial 0: its status is missing, but COMPLETE in"),
        ('"status"', '"state":1', '"state":3', "trial 0: its status is missing, but FAIL in"),
        (
            '"seal"',
            '"status":"ok"',
            '"status":"interrupted"',
            "trial 0: its status is interrupted, but COMPLETE",
        ),
        ('"seal"', '"slot":0', '"slot":3', "trial 0: its slot is 3, but 0 in the tracking store"),
        ("[]", '"directions":[2]', '"directions":[1]', "its direction is MINIMIZE, not MAXIMIZE"),
        ('"identity"', "", "", "it has 2 trials, but no 'identity'"),
    ],
)
def test_what_was_taken_out_of_a_journal_is_missed(dataset, tmp_path, gone, old, new, named):
    plan = make(dataset, trials=2, space=tiny_space(**WIDTHS))
    ends = two_trials(plan, None, tmp_path)
    (file,) = tmp_path.glob("*.journal")
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if gone not in line).replace(old, new))
    with pytest.raises(UserError, match=re.escape(named)) as error:
        Search(plan, None, tmp_path, recorded=lambda: ends)
    assert plan.study in str(error.value)
    assert "choose a different `study`" in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"), [("value", 0.751), ("seconds", 7), ("slot", 5), ("config_id", "0a")]
)
def test_a_checksum_shows_what_no_second_record_does(dataset, tmp_path, name, value):
    plan = make(dataset, trials=3, space=tiny_space(**WIDTHS))
    two_trials(plan, "sqlite:///study.db", tmp_path)
    with sqlite3.connect("study.db") as db:
        db.execute(
            "UPDATE trial_user_attributes SET value_json = ? WHERE key = ? AND trial_id = 1",
            [json.dumps(value), name],
        )
        if name == "value":
            db.execute("UPDATE trial_values SET value = 0.751 WHERE trial_id = 1")
    with pytest.raises(
        UserError, match=r"trial 0: its checksum is \w+, but \w+ in .*: the storage was changed"
    ):
        Search(plan, "sqlite:///study.db", tmp_path)


class Alive:
    """A presence that knows which other processes are there."""

    token = "own"

    def __init__(self, *others):
        self.others = others

    def take(self, name):
        return True

    def release(self, name):
        return None

    def alive(self, token):
        return token in self.others

    def close(self):
        return None


def test_processes_share_a_study_and_inherit_what_a_dead_one_left(dataset, tmp_path):
    plan = make(dataset, trials=3, sampler="random")
    other = Alive()
    other.token = "other"
    theirs = Search(plan, None, tmp_path, other)
    taken = theirs.proposal()
    ours = Search(plan, None, tmp_path, Alive("other"))
    specs = {taken.slot: taken.spec.spec_id}
    for _ in range(2):
        proposal = ours.proposal()
        specs[proposal.slot] = proposal.spec.spec_id
        ours.tell(proposal.number, Result("ok", best_val_accuracy=0.5))
    assert sorted(specs) == [0, 1, 2]
    assert ours.proposal() is None
    assert not ours.settled  # the other process is still at it
    left = Search(plan, None, tmp_path, Alive())
    again = left.proposal()
    assert (again.slot, again.spec.spec_id) == (taken.slot, taken.spec.spec_id)
    left.tell(again.number, Result("ok", best_val_accuracy=0.5))
    assert left.settled
    assert left.done == 3


def test_a_process_that_dies_while_another_one_counts_leaves_no_gap(dataset, tmp_path):
    plan = make(dataset, trials=3, sampler="random")
    other = Alive()
    other.token = "other"
    Search(plan, None, tmp_path, other).proposal()
    ours = Search(plan, None, tmp_path, Alive("other"))
    for _ in range(2):
        ours.tell(ours.proposal().number, Result("ok", best_val_accuracy=0.5))
    calls = iter([True])  # it is there when its trial would be queued again, and gone from then on
    ours._presence.alive = lambda token: next(calls, False)
    assert ours.proposal() is None
    assert ours.proposal().slot == 0


def test_slots_that_broke_off_beyond_a_smaller_total_wait_until_it_is_raised(dataset, tmp_path):
    """They are not tried in the place of the runs that confirm."""
    plan = make(dataset, trials=6, sampler="random", confirm=TWICE)
    value = lambda spec: spec.training.learning_rate  # noqa: E731
    search = Search(plan, None, tmp_path)
    for _ in range(3):
        proposal = search.proposal()
        search.tell(proposal.number, Result("ok", best_val_accuracy=value(proposal.spec)))
    assert [search.proposal().slot for _ in range(3)] == [3, 4, 5]  # and then this process is gone
    fewer = make(dataset, trials=4, sampler="random", confirm=TWICE)
    again = Search(fewer, None, tmp_path)
    run_all(again, value)
    slots = [(row["trial"], row["run"]) for row in again.table()]
    assert slots[:4] == [(0, 1), (1, 1), (2, 1), (3, 1)]
    assert [run for _, run in slots[4:]] == [2, 2]
    assert again.settled
    run_all(Search(plan, None, tmp_path), value)
    assert [row["trial"] for row in Search(plan, None, tmp_path).table() if row["run"] == 1] == list(range(6))


def test_a_trial_whose_end_another_memory_knows_is_not_tried_again(dataset, tmp_path):
    plan = make(dataset, trials=2, sampler="random")
    search = Search(plan, None, tmp_path)
    first = search.proposal()
    search.tell(first.number, Result("ok", best_val_accuracy=0.6))
    search.proposal()  # its result is recorded, and then this process is gone
    known = {1: TrialEnd("ok", 0.7, 2.0)}
    again = Search(plan, None, tmp_path, ended=known.get)
    assert again.settled
    assert again.winner().value == 0.7
    assert again.seconds == 2.0


@pytest.mark.long
@pytest.mark.parametrize("confirm", [None, {"configurations": 2, "runs": 2}])
def test_a_process_may_die_after_any_line_that_it_writes(dataset, tmp_path, confirm):
    """Each slot is settled once, with the configuration of an undisturbed search, and the same one wins."""
    plan = make(dataset, trials=3, sampler="random", confirm=confirm)
    value = lambda spec: spec.training.learning_rate / (1 + spec.seeds.index)  # noqa: E731
    whole = Search(plan, None, tmp_path / "whole")
    run_all(whole, value)
    assert len(whole.table()) == (7 if confirm else 3)
    lines = lines_of(tmp_path / "whole", plan)
    assert len(lines) > (70 if confirm else 30)
    for count in range(len(lines)):
        folder = tmp_path / str(count)
        folder.mkdir()
        (folder / f"{plan.study}.journal").write_bytes(b"".join(lines[:count]))
        again = Search(plan, None, folder)
        run_all(again, value)
        assert again.settled
        assert again.table() == whole.table()
        assert again.winner() == whole.winner()


def confirmed(dataset, folder, values, again, **settings):
    """Search with a value for each trial, and for each further run by trial; None diverges."""
    search = Search(make(dataset, **{"sampler": "random", "confirm": TWICE, **settings}), None, folder)
    ran = []
    for proposal in proposals(search):
        run, slot = divmod(proposal.slot, CONFIRMING)
        value = again[slot] if run else values[slot]
        ran.append((slot, run, proposal.spec))
        status = "diverged" if value is None else "ok"
        search.tell(proposal.number, Result(status, best_val_accuracy=value, train_seconds=1.0))
    return search, ran


def test_the_best_configurations_are_trained_again_and_the_best_mean_wins(dataset, tmp_path):
    search, ran = confirmed(dataset, tmp_path, [0.5, 0.9, 0.7, 0.8, 0.6], {1: 0.6, 3: 0.78}, trials=5)
    assert [(slot, run) for slot, run, _ in ran[5:]] == [(1, 1), (3, 1)]
    specs = {(slot, run): spec for slot, run, spec in ran}
    for slot in (1, 3):
        assert specs[slot, 1].config_id == specs[slot, 0].config_id
    assert len({spec.seeds.init for spec in specs.values()}) == 7
    assert all(spec.seeds.branch == "search" for spec in specs.values())
    winner = search.winner()
    assert (winner.slot, winner.value) == (3, pytest.approx(0.79))
    assert (search.done, search.total, search.trials, search.seconds) == (7, 7, 5, 7.0)
    assert [(row["trial"], row["run"]) for row in search.table()[4:]] == [(4, 1), (1, 2), (3, 2)]
    assert search.settled


def test_what_was_tried_once_does_not_win_over_what_was_confirmed(dataset, tmp_path):
    search, _ = confirmed(dataset, tmp_path, [0.5, 0.9, 0.8, 0.85], {1: 0.1, 3: 0.2}, trials=4)
    assert search.winner().slot == 3  # of mean 0.525, below trial 2


def test_what_diverges_when_it_is_trained_again_does_not_win(dataset, tmp_path):
    search, _ = confirmed(dataset, tmp_path, [0.5, 0.9, 0.7, 0.8], {1: None, 3: 0.2}, trials=4)
    assert search.winner().slot == 3
    search, _ = confirmed(dataset, tmp_path / "both", [0.5, 0.9, 0.7, 0.8], {1: None, 3: None}, trials=4)
    assert search.winner().slot == 1


@pytest.mark.parametrize(("trials", "further"), [(1, 0), (2, 0), (3, 2)])
def test_nothing_is_confirmed_where_there_is_nothing_to_choose(dataset, tmp_path, trials, further):
    search, ran = confirmed(dataset, tmp_path, [0.5, 0.9, 0.7], {1: 0.9, 2: 0.7}, trials=trials)
    assert len(ran) == search.total == trials + further
    assert search.settled


def test_unsuccessful_trials_are_not_counted_as_configurations(dataset, tmp_path):
    search, ran = confirmed(dataset, tmp_path, [0.5, 0.9, None, None], {}, trials=4)
    assert (len(ran), search.total, search.settled) == (4, 4, True)


def test_a_study_keeps_the_settings_that_it_was_made_with(dataset, tmp_path):
    """One from before there were any is not confirmed, and its sampler goes on as it did."""
    plans = [make(dataset, trials=trials, sampler="tpe") for trials in (5, 12)]
    old, whole = tmp_path / "old", tmp_path / "whole"
    value = lambda spec: spec.training.learning_rate  # noqa: E731
    run_all(Search(plans[0], None, old), value)
    rest = [line for line in lines_of(old, plans[0]) if b'"settings"' not in line]
    assert len(rest) == len(lines_of(old, plans[0])) - 1
    (old / f"{plans[0].study}.journal").write_bytes(b"".join(rest))
    expected = run_all(Search(plans[1], None, whole), value)
    now = {"sampler": "tpe", "confirm": TWICE, "random_start": 2}
    same = Search(make(dataset, trials=5, **now), None, old)
    assert same.settled
    assert lines_of(old, plans[0])[: len(rest)] == rest
    specs = run_all(Search(make(dataset, trials=12, **now), None, old), value)
    assert [spec.spec_id for spec in specs] == [spec.spec_id for spec in expected[5:]]
    new = Search(make(dataset, trials=5, **now), None, tmp_path / "new")
    assert len(run_all(new, value)) == 7
    assert Search(plans[0], None, tmp_path / "new").total == 7
    assert make(dataset, **now).identity == plans[0].identity


def test_settings_that_were_changed_are_refused(dataset, tmp_path):
    plan = make(dataset, confirm=TWICE)
    Search(plan, None, tmp_path)
    (file,) = tmp_path.glob("*.journal")
    file.write_text(file.read_text().replace('"runs":1', '"runs":0'))
    with pytest.raises(UserError, match=r"its 'settings' are .*'runs': 0.* the storage was changed"):
        Search(plan, None, tmp_path)


def test_a_time_limit_leaves_its_share_to_what_confirms(dataset, tmp_path):
    settings = {"trials": 6, "timeout": 8.0}  # three quarters for the trials
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    search, ran = confirmed(dataset, tmp_path / "all", values, dict(enumerate(values)), **settings)
    assert (len(ran), search.shortfall) == (8, "")
    settings["timeout"] = 6.0
    search, ran = confirmed(dataset, tmp_path / "six", values, dict(enumerate(values)), **settings)
    assert [(slot, run) for slot, run, _ in ran[4:]] == [(4, 0), (4, 1)]
    assert search.settled
    assert search.winner().slot == 4
    assert search.shortfall == (
        "after 5 of 6 trials and 1 of 2 that confirm the best: 6 s of training were used up"
    )
    settings["timeout"] = 5.0
    search, ran = confirmed(dataset, tmp_path / "five", values, dict(enumerate(values)), **settings)
    assert [(slot, run) for slot, run, _ in ran[3:]] == [(3, 0), (3, 1)]
    settings["timeout"] = 6.5
    search, ran = confirmed(dataset, tmp_path / "five", values, dict(enumerate(values)), **settings)
    assert [(slot, run) for slot, run, _ in ran] == [(2, 1)]
    what_is_left = "(of 6.5 s; what is left is for confirming the best)"
    assert search.shortfall == f"after 4 of 6 trials: 4.875 s of training were used up {what_is_left}"


@pytest.mark.parametrize("pruner", ["none", "median"])
@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_a_search_that_goes_on_after_it_was_confirmed_equals_one_without_a_pause(
    dataset, tmp_path, sampler, pruner
):
    """Neither sampler nor pruner sees what confirms; and the same configuration wins."""

    def search_of(trials, folder):
        plan = make(
            dataset, trials=trials, sampler=sampler, pruner=pruner, confirm=TWICE, random_start=3, epochs=8
        )
        search, ran = Search(plan, None, folder), {}
        for proposal in proposals(search):
            rate, index = proposal.spec.training.learning_rate, proposal.spec.seeds.init % 7
            value, status = 0.5 + 10 * rate - index / 100 + (proposal.slot >= CONFIRMING) / 5, "ok"
            for epoch in range(1, 9):
                if not search.report(proposal.number, epoch, value - 0.1 / epoch):
                    status = "pruned"
                    break
            search.tell(proposal.number, Result(status, best_val_accuracy=value if status == "ok" else None))
            ran[proposal.slot] = proposal.spec.spec_id, status
        return search, ran

    whole, expected = search_of(14, tmp_path / "whole")
    assert any(status == "pruned" for _, status in expected.values()) == (pruner == "median")
    parts = {}
    for trials in (6, 9, 14):
        search, ran = search_of(trials, tmp_path / "parts")
        assert not parts.keys() & ran.keys()
        parts |= ran
    assert {slot: parts[slot] for slot in expected} == expected
    assert search.winner() == whole.winner()


def test_what_confirms_is_never_pruned(dataset, tmp_path):
    search = Search(make(dataset, trials=9, epochs=9, pruner="median", confirm=TWICE), None, tmp_path)
    for proposal in proposals(search):
        again = proposal.slot >= CONFIRMING
        for epoch in range(1, 10):
            assert search.report(proposal.number, epoch, 0.1 if again else 0.8)
        search.tell(proposal.number, Result("ok", best_val_accuracy=0.1 if again else 0.8))
    assert search.done == 11


def test_processes_share_what_confirms_and_wait_for_the_last_trials(dataset, tmp_path):
    plan = make(dataset, trials=3, sampler="random", confirm=TWICE)
    other = Alive()
    other.token = "other"
    theirs = Search(plan, None, tmp_path, other)
    taken = theirs.proposal()
    ours = Search(plan, None, tmp_path, Alive("other"))
    for value in (0.5, 0.6):
        ours.tell(ours.proposal().number, Result("ok", best_val_accuracy=value))
    assert ours.proposal() is None  # which are the best is not known yet
    assert not ours.settled
    theirs.tell(taken.number, Result("ok", best_val_accuracy=0.9))
    first, second = theirs.proposal(), ours.proposal()
    assert {first.slot, second.slot} == {CONFIRMING, CONFIRMING + 2}
    assert ours.proposal() is None
    assert not ours.settled
    ours.tell(second.number, Result("ok", best_val_accuracy=0.9))
    left = Search(plan, None, tmp_path, Alive())  # the other process is gone
    again = left.proposal()
    assert (again.slot, again.spec.spec_id) == (first.slot, first.spec.spec_id)
    left.tell(again.number, Result("ok", best_val_accuracy=0.9))
    assert left.settled
    assert left.done == 5


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('"value":0.25', '"value":0.99', "its checksum is"),
        ('"status":"ok"', '"status":"failed"', "its checksum is"),
    ],
)
def test_a_change_of_what_confirms_is_noticed(dataset, tmp_path, old, new, named):
    confirmed(dataset, tmp_path, [0.5, 0.9, 0.7], {1: 0.25, 2: 0.25}, trials=3)
    (file,) = tmp_path.glob("*.journal")
    head, mark, tail = file.read_text().rpartition(old)
    assert mark
    file.write_text(head + new + tail)
    with pytest.raises(UserError, match=named):
        Search(make(dataset, trials=3, sampler="random", confirm=TWICE), None, tmp_path)


@pytest.mark.parametrize("sampler", ["tpe"])
def test_a_sampler_leaves_its_random_start(dataset, tmp_path, sampler):
    """From then on its proposals depend on what came out."""
    found = []
    for sign in (1, -1):
        search = Search(make(dataset, trials=9, sampler=sampler, random_start=3), None, tmp_path / str(sign))
        found.append(run_all(search, lambda spec, sign=sign: 0.5 + sign * spec.training.learning_rate))
    same = [one.spec_id == other.spec_id for one, other in zip(*found, strict=True)]
    assert same[:3] == [True] * 3
    assert not any(same[3:])


def loss_of(spec):
    return abs(spec.hparams["embedding_dim"] - 20) / 10


def told(proposal, value):
    return Result("ok", best_val_accuracy=0.5, figures={"best_val_log_loss": value}, train_seconds=1.0)


def test_a_search_by_log_loss_looks_for_the_least(dataset, tmp_path):
    plan = make(dataset, trials=8, confirm={"configurations": 2, "runs": 1}, metric="log_loss")
    search, confirmed, values = Search(plan, None, tmp_path), set(), {}
    for proposal in proposals(search):
        value = loss_of(proposal.spec)
        if proposal.slot >= CONFIRMING:
            confirmed.add(proposal.spec.config_id)
        values[proposal.spec.config_id] = value
        search.tell(proposal.number, told(proposal, value))
    study = optuna.load_study(study_name=plan.study, storage=search._study._storage)
    assert [direction.name for direction in study.directions] == ["MINIMIZE"]
    assert confirmed == set(sorted(values, key=values.get)[:2])
    assert search.winner().value == study.best_value == min(values.values())
    assert {row["val_log_loss"] for row in search.table()} == set(values.values())
    Search(plan, None, tmp_path)  # read again, its direction is the expected one
    with pytest.raises(UserError, match="another model, data set, space, budget, metric, sampler"):
        Search(make(dataset, trials=8, metric="brier", study=plan.study), None, tmp_path)
    with pytest.raises(UserError, match="its direction is MINIMIZE, not MAXIMIZE"):
        Search(make(dataset, trials=8, study=plan.study), None, tmp_path)


@pytest.mark.filterwarnings("ignore:All-NaN slice")
def test_a_search_by_log_loss_ends_the_trials_with_the_most_and_those_without_a_value(dataset, tmp_path):
    search = Search(make(dataset, trials=8, pruner="median", epochs=1, metric="log_loss"), None, tmp_path)
    asked = proposals(search)
    for _ in range(5):
        proposal = next(asked)
        search.report(proposal.number, 1, 0.5)
        search.tell(proposal.number, told(proposal, 0.5))
    assert search.report(next(asked).number, 1, 0.4)
    assert not search.report(next(asked).number, 1, 0.6)
    assert not search.report(next(asked).number, 1, float("nan"))
