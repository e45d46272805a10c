"""The search on small data: the published default, then the scaled one; studies from before go on."""

import json

import pytest

from benchmark.data.dataset import Dataset
from benchmark.plan.run_specs import make_plan
from benchmark.plan.space import get_budget
from benchmark.search.study import Search
from benchmark.spec.config import CONFIRMING, SweepConfig
from benchmark.spec.result import Result
from benchmark.support.errors import UserError

SMALL = get_budget("quick").small_data
TWICE = {"configurations": 2, "runs": 1}


def planned(folder, model="avg-pool", **settings):
    sizes = {"train": 1600, "validation": 400, "test": 5000}
    dataset = Dataset(folder, "csv-reviews", "0" * 32, ("a", "b"), sizes, 50, 9)
    common = {"budget": "quick", "trials": 6, "seeds": 3, "epochs": 40, "train_share": 1.0, "pruner": "none"}
    return make_plan(model, dataset, SweepConfig(**{"small_data": SMALL, **common, **settings}))


def value(spec):
    return spec.training.learning_rate


def run_all(search, limit=100):
    """Carry a search on; return what was proposed, by slot."""
    specs = {}
    while len(specs) < limit and (proposal := search.proposal()):
        specs[proposal.slot] = proposal.spec
        result = Result("ok", best_val_accuracy=value(proposal.spec), train_seconds=1.0)
        search.tell(proposal.number, result)
    return specs


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "cmaes"])
def test_the_published_default_comes_first_and_the_scaled_one_second(tmp_path, sampler):
    plan = planned(tmp_path, sampler=sampler)
    specs = run_all(Search(plan, None, tmp_path))
    assert specs[0] == planned(tmp_path, small_data=None).trial_spec(plan.default, 0)
    assert specs[0].training.batch_size == 512
    assert specs[1] == plan.trial_spec(plan.searched.default, 1)
    assert {specs[slot].training.batch_size for slot in range(1, 6)} == {32}
    assert len({specs[slot].config_id for slot in range(6)}) == 6


@pytest.mark.parametrize("model", ["avg-pool", "transformer"])
@pytest.mark.parametrize("sampler", ["tpe", "qmc"])
def test_a_search_that_goes_on_equals_one_without_a_pause(tmp_path, sampler, model):
    whole = run_all(Search(planned(tmp_path, model, sampler=sampler), None, tmp_path / "whole"))
    parts = {}
    for trials in (1, 2, 4, 6):
        plan = planned(tmp_path, model, sampler=sampler, trials=trials)
        parts |= run_all(Search(plan, None, tmp_path / "parts"))
    assert parts == whole


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_trial_of_a_process_that_is_gone_is_tried_again(tmp_path, lost):
    whole = run_all(Search(planned(tmp_path), None, tmp_path / "whole"))
    search = Search(planned(tmp_path), None, tmp_path / "parts")
    parts = run_all(search, limit=lost)
    assert search.proposal().slot == lost  # this process ends without a word
    parts |= run_all(Search(planned(tmp_path), None, tmp_path / "parts"))
    assert parts == whole


def test_what_confirms_the_published_default_is_the_published_default(tmp_path):
    # Its learning rate, of 0.001, is the largest of those there are.
    plan = planned(tmp_path, trials=3, confirm=TWICE, overrides={"learning_rate": 1e-3})
    specs = run_all(Search(plan, None, tmp_path))
    assert specs[CONFIRMING] == plan.trial_spec(plan.default, CONFIRMING)
    assert specs[CONFIRMING + 1] == plan.trial_spec(plan.searched.default, CONFIRMING + 1)
    assert Search(plan, None, tmp_path).winner().hparams == plan.default


def test_a_grid_starts_from_both(tmp_path):
    fixed = {"batch_size", "units"}
    plan = planned(tmp_path, sampler="grid", trials=100)
    search = {name: one for name, one in plan.space.search.items() if name in fixed}
    space = plan.space.model_copy(update={"search": search})
    plan = type(plan)(plan.model, plan.dataset, space, plan.config)
    specs = run_all(Search(plan, None, tmp_path))
    assert [specs[slot].training.batch_size for slot in range(5)] == [512, 32, 32, 32, 32]
    assert [specs[slot].hparams["units"] for slot in range(2)] == [16, 16]
    assert {specs[slot].hparams["units"] for slot in range(1, 5)} == {0, 16, 32, 64}
    assert len(specs) == 5
    assert Search(plan, None, tmp_path).settled


def test_a_study_from_before_goes_on_as_it_was(tmp_path):
    before = planned(tmp_path, small_data=None, trials=4, sampler="random")
    old = run_all(Search(before, None, tmp_path / "old"))
    now = planned(tmp_path, trials=6, sampler="random")
    assert now.study == before.study
    search = Search(now, None, tmp_path / "old")
    assert not search.plan.is_scaled
    whole = run_all(Search(planned(tmp_path, small_data=None, sampler="random"), None, tmp_path / "whole"))
    assert {**old, **run_all(search)} == whole
    assert search.winner().hparams in [dict(spec.flat()) for spec in whole.values()]


def test_the_study_names_the_version_of_the_budget(tmp_path):
    for name, small in (("new", SMALL), ("old", None)):
        plan = planned(tmp_path, small_data=small)
        Search(plan, None, tmp_path / name)
        text = (tmp_path / name / f"{plan.study}.journal").read_text()
        settings, _ = json.JSONDecoder().raw_decode(text, text.index('"settings":') + len('"settings":'))
        assert settings.get("small_data") == (small and small.model_dump())
    # And it keeps it: whoever goes on with it without is told nothing new.
    search = Search(planned(tmp_path, small_data=None), None, tmp_path / "new")
    assert search.plan.is_scaled
    (file,) = (tmp_path / "new").glob("*.journal")
    file.write_text(file.read_text().replace('"version":2', '"version":7'))
    with pytest.raises(UserError, match=r"its 'settings' are .*'version': 7.* the storage was changed"):
        Search(planned(tmp_path), None, tmp_path / "new")


def test_a_time_limit_lets_the_scaled_default_be_tried(tmp_path):
    plan = planned(tmp_path, timeout=0.5, confirm=TWICE)
    assert list(run_all(Search(plan, None, tmp_path))) == [0, 1]
    search = Search(plan, None, tmp_path)
    assert search.settled
    assert search.shortfall.startswith("after 2 of 6 trials")
    before = planned(tmp_path, timeout=0.5, confirm=TWICE, small_data=None)
    assert list(run_all(Search(before, None, tmp_path / "before"))) == [0]
