"""Searches in shards, and their trials joined: what one search would have, whatever came first."""

import optuna
import pytest

from benchmark.config import SweepConfig
from benchmark.data.dataset import Dataset
from benchmark.errors import UserError
from benchmark.models.describe import describe
from benchmark.plan import Plan, make_plan
from benchmark.search.merging import joined, read_study, write_study
from benchmark.search.space import Space
from benchmark.search.study import Search
from benchmark.shards import WHOLE, Shard
from benchmark.training.result import Result, TrialEnd

SAMPLERS = ("random", "qmc", "grid")


@pytest.fixture
def plan(tmp_path):
    return lambda **settings: make(tmp_path, **settings)


def make(folder, **settings):
    """A search over six configurations, so that some are tried again."""
    values = {"budget": "quick", "trials": 11, "seeds": 3, "epochs": 5, "train_share": 1.0}
    config = SweepConfig(**{**values, "pruner": "none", "sampler": "random", **settings})
    dataset = Dataset(folder, "toy", "0" * 32, ("a", "b"), {"train": 9, "validation": 3, "test": 3}, 50, 9)
    space = {
        "model": "avg-pool",
        "source": "a test",
        "default": {**describe("avg-pool").parameters, "units": 16, "embedding_dim": 16},
        "search": {
            "units": {"type": "categorical", "choices": [0, 16]},
            "embedding_dim": {"type": "categorical", "choices": [8, 16, 32]},
        },
    }
    found = make_plan("avg-pool", dataset, config)
    return Plan(found.model, dataset, Space.model_validate(space), config)


def run_all(search):
    """Carry out a search; some trials are pruned, some fail, and values depend on seed and configuration."""
    for proposal in iter(search.proposal, None):
        search.report(proposal.number, 1, 0.5)
        seed = proposal.spec.seeds.init
        status = {0: "pruned", 1: "failed"}.get(seed % 7, "ok")
        value = 0.5 + (seed % 1000) / 3000 + proposal.spec.hparams["units"] / 997
        search.tell(proposal.number, Result(status, best_val_accuracy=value, train_seconds=1.0))
    return search


def in_shards(plan, folder, of=3):
    for number in range(1, of + 1):
        run_all(Search(plan, None, folder / str(number), shard=Shard(number, of)))
    return [stored(plan, folder / str(number)) for number in range(1, of + 1)]


def stored(plan, folder):
    return read_study(folder / f"{plan.study}.journal")


def content(trials):
    return [
        (
            trial.number,
            trial.state,
            trial.values,
            trial.params,
            trial.distributions,
            trial.intermediate_values,
            trial.user_attrs,
            trial.system_attrs,
        )
        for trial in trials
    ]


def join_all(plan, studies, folder):
    """Join studies one after another by way of the disk."""
    folder.mkdir()
    for study in studies:
        result = joined(stored(plan, folder), study)
        assert result.changed
        write_study(folder / f"{plan.study}.journal", result.study)
    assert not joined(stored(plan, folder), studies[0]).changed
    return stored(plan, folder)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_shards_of_a_search_joined_in_any_order_equal_the_whole(plan, tmp_path, sampler):
    plan = plan(sampler=sampler)
    whole = run_all(Search(plan, None, tmp_path / "whole"))
    studies = in_shards(plan, tmp_path)
    assert [len(study.trials) for study in studies] == ([2, 2, 2] if sampler == "grid" else [4, 4, 3])
    for order in ((0, 1, 2), (2, 0, 1)):
        folder = tmp_path / f"joined from {order[0]}"
        both = join_all(plan, [studies[place] for place in order], folder)
        assert content(both.trials) == content(stored(plan, tmp_path / "whole").trials)
        search = Search(plan, None, folder)
        assert search.settled
        assert search.winner() == whole.winner()
        assert search.table() == whole.table()
        assert search.seconds == whole.seconds == both.seconds


def test_trials_that_no_shard_has_done_are_done_by_whoever_goes_on(plan, tmp_path):
    plan = plan()
    whole = run_all(Search(plan, None, tmp_path / "whole"))
    studies = in_shards(plan, tmp_path)
    join_all(plan, [studies[2], studies[0]], tmp_path / "some")
    search = Search(plan, None, tmp_path / "some")
    assert (search.done, search.complete) == (7, False)
    run_all(search)
    assert search.complete
    assert search.table() == whole.table()
    assert search.winner() == whole.winner()


def test_a_shard_goes_on_after_an_interruption_with_slots_of_its_own(plan, tmp_path):
    plan = plan()
    search = Search(plan, None, tmp_path / "a", shard=Shard(2, 3))
    first = search.proposal()
    search.tell(first.number, Result("interrupted", train_seconds=0.5))
    again = Search(plan, None, tmp_path / "a", shard=Shard(2, 3))
    assert [proposal.slot for proposal in iter(again.proposal, None)][:1] == [1]
    assert (again.total, Search(plan, None, tmp_path / "b").total) == (4, 11)
    # Of another shard's lost slots it does nothing.
    other = Search(plan, None, tmp_path / "a", shard=Shard(1, 3))
    assert other.proposal().slot == 0


def test_a_time_limit_is_shared(plan, tmp_path):
    plan = plan(timeout=6.0)
    for number in (1, 2, 3):
        search = run_all(Search(plan, None, tmp_path / str(number), shard=Shard(number, 3)))
        assert (search.done, search.finished, search.complete) == (2, True, False)
    studies = [stored(plan, tmp_path / str(number)) for number in (1, 2, 3)]
    join_all(plan, studies, tmp_path / "all")
    assert Search(plan, None, tmp_path / "all").complete


def test_trials_without_an_end_come_along_once_and_are_closed_by_it(plan, tmp_path):
    plan = plan(trials=3)
    left = Search(plan, None, tmp_path / "left", shard=Shard(1, 1))
    first = left.proposal()
    left.tell(first.number, Result("interrupted", train_seconds=0.25))
    left.proposal()  # slot 0 again; then this process is gone
    there = stored(plan, tmp_path / "left")
    folder = tmp_path / "joined"
    both = join_all(plan, [there], folder)
    assert [trial.state.name for trial in both.trials] == ["FAIL", "RUNNING"]
    assert not joined(both, there).changed
    known = {0: TrialEnd("ok", 0.75, 2.0)}
    search = Search(plan, None, folder, ended=known.get)
    assert (search.done, search.seconds, search.winner().value) == (1, 2.25, 0.75)
    # Where another folder has the slot's end, nothing is left open; seconds of interrupted trials count.
    whole = run_all(Search(plan, None, tmp_path / "whole"))
    result = joined(both, stored(plan, tmp_path / "whole"))
    assert result.added == [0, 1, 2]
    assert [trial.state.name for trial in result.study.trials].count("RUNNING") == 0
    assert result.study.seconds == whole.seconds + 0.25


def test_of_two_ends_of_a_slot_the_one_that_is_here_is_kept(plan, tmp_path):
    plan = plan(trials=2)
    studies = []
    for name, value in (("a", 0.5), ("b", 0.75)):
        search = Search(plan, None, tmp_path / name)
        for proposal in iter(search.proposal, None):
            own = value if proposal.slot else 0.25
            search.tell(proposal.number, Result("ok", best_val_accuracy=own, train_seconds=1.0))
        studies.append(stored(plan, tmp_path / name))
    for here, there in (studies, studies[::-1]):
        result = joined(here, there)
        assert (result.changed, result.added, result.differing) == (False, [], [1])
        assert content(result.study.trials) == content(here.trials)


def test_nothing_pickled_comes_from_another_folder(plan, tmp_path):
    plan = plan(trials=2, sampler="cmaes")
    search = Search(plan, None, tmp_path / "a")
    number = search.proposal().number
    trial = search._live[number]
    search._study._storage.set_trial_system_attr(trial._trial_id, "cma:optimizer:0", "8004")
    search.tell(number, Result("ok", best_val_accuracy=0.5, train_seconds=1.0))
    there = stored(plan, tmp_path / "a")
    assert "cma:optimizer:0" in there.trials[0].system_attrs
    (trial,) = joined(None, there).study.trials
    assert set(trial.system_attrs) == {"fixed_params"}


def test_an_end_that_was_noted_and_not_told_is_told(plan, tmp_path):
    plan = plan(trials=2)
    for status in ("ok", "pruned", "failed"):
        search = Search(plan, None, tmp_path / status)
        number = search.proposal().number
        search.report(number, 1, 0.5)
        search._note(search._live[number], TrialEnd(status, 0.75, 1.0))
        noted = joined(None, stored(plan, tmp_path / status)).study.trials
        search._conclude(number)
        assert content(noted) == content(stored(plan, tmp_path / status).trials)
        assert noted[0].datetime_complete is not None


def test_studies_of_other_programs_are_refused_and_empty_ones_left_out(plan, tmp_path):
    assert read_study(tmp_path / "none.journal") is None
    storage = optuna.storages.journal.JournalFileBackend(str(tmp_path / "theirs.journal"))
    study = optuna.create_study(study_name="theirs", storage=optuna.storages.JournalStorage(storage))
    assert read_study(tmp_path / "theirs.journal") is None
    study.ask()
    with pytest.raises(UserError, match=r"theirs\.journal: this is a study of another program"):
        read_study(tmp_path / "theirs.journal")


def test_a_half_written_line_in_a_folder_that_is_read_stays_there(plan, tmp_path):
    plan = plan(trials=2)
    run_all(Search(plan, None, tmp_path / "a"))
    (journal,) = (tmp_path / "a").glob("*.journal")
    whole = stored(plan, tmp_path / "a")
    with journal.open("a") as file:
        file.write('{"op_code": 4, "half')
    before = journal.read_bytes()
    assert content(stored(plan, tmp_path / "a").trials) == content(whole.trials)
    assert journal.read_bytes() == before


def test_shards_take_every_place_once():
    for of in (1, 2, 7):
        shards = [Shard(number, of) for number in range(1, of + 1)]
        for total in (0, 1, 6, 7, 20):
            assert sum(shard.count(total) for shard in shards) == total
            assert [sum(place in shard for shard in shards) for place in range(total)] == [1] * total
            assert all(sum(p in shard for p in range(total)) == shard.count(total) for shard in shards)
    assert Shard(1, 1) == WHOLE
    assert WHOLE.is_whole
