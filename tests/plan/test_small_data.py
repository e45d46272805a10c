"""What changes where data are far smaller than what a default was made for, and what stays."""

from pathlib import Path

import pytest

from benchmark.data.dataset import Dataset
from benchmark.models import MODELS
from benchmark.models.source_description import describe
from benchmark.plan.run_specs import make_plan, plan_finals, resolve_space
from benchmark.plan.space import Space, get_budget
from benchmark.spec.config import SmallData, SweepConfig

SMALL = get_budget("quick").small_data
NETWORKS = ("avg-pool", "bilstm", "cnn", "fasttext", "flatten", "gru", "lstm", "transformer")


def planned(model="avg-pool", texts=1600, name="csv-reviews", **settings):
    sizes = {"train": texts, "validation": 400, "test": 5000}
    dataset = Dataset(Path("x"), name, "0" * 32, ("a", "b"), sizes, 50, 9)
    common = {
        "budget": "quick",
        "trials": 8,
        "seeds": 3,
        "epochs": 40,
        "train_share": 1.0,
        "small_data": SMALL,
    }
    return make_plan(model, dataset, SweepConfig(**{**common, **settings}))


def settings_of(plan):
    return {name: plan.searched.default[name] for name in ("batch_size", "epochs", "patience")}


@pytest.mark.parametrize("texts", [240, 400, 1600, 4000, 9000])
@pytest.mark.parametrize("model", NETWORKS)
def test_epochs_have_30_steps_in_the_scaled_default_and_in_all_that_is_searched(model, texts):
    plan = planned(model, texts)
    searched = plan.searched.search.get("batch_size")
    sizes = {plan.searched.default["batch_size"], *(searched.choices if searched else ())}
    assert all(texts / size >= 30 for size in sizes)
    assert searched is None or searched.holds(plan.searched.default["batch_size"])
    # No larger than it was, and no smaller than it must be.
    published = plan.default["batch_size"]
    least = min(published, texts / 30)
    assert least / 2 < plan.searched.default["batch_size"] <= published


@pytest.mark.parametrize(
    ("model", "texts", "expected"),
    [
        ("avg-pool", 1600, {"batch_size": 32, "epochs": 40, "patience": 5}),
        ("avg-pool", 4000, {"batch_size": 128, "epochs": 50, "patience": 7}),
        ("cnn", 1600, {"batch_size": 50, "epochs": 20, "patience": 8}),
        ("cnn", 4000, {"batch_size": 50, "epochs": 13, "patience": 5}),
        ("transformer", 400, {"batch_size": 8, "epochs": 8, "patience": 8}),
    ],
)
def test_epochs_and_patience_grow_with_the_root_of_what_steps_shrink_by(model, texts, expected):
    plan = planned(model, texts)
    assert settings_of(plan) == expected
    assert plan.max_epochs == expected["epochs"]
    spec = plan.trial_spec(plan.searched.default, 1)
    assert (spec.training.epochs, spec.training.batch_size) == (expected["epochs"], expected["batch_size"])
    changed = [f"{name} {value}" for name, value in expected.items() if value != plan.default[name]]
    assert plan.scaling.endswith(
        f"here are {texts:,}; the search starts from it, then with {', '.join(changed)}"
    )


@pytest.mark.parametrize("model", NETWORKS)
def test_the_published_default_and_the_identity_stay(model):
    new, old = planned(model), planned(model, small_data=None)
    assert new.is_scaled
    assert not old.is_scaled
    assert (new.identity, new.study, new.default) == (old.identity, old.study, old.default)
    assert [one.spec_id for one in new.final_specs(new.default)] == [
        one.spec_id for one in old.final_specs(old.default)
    ]
    first = new.space_of(0)
    assert first.default == old.space.default
    assert all(one.holds(first.default[name]) for name, one in first.search.items())


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "sample"},
        {"texts": 12_500},
        {"train_examples": 500},
        {"small_data": None},
        {"model": "tfidf-logreg"},
        {"model": "majority"},
    ],
)
def test_nothing_is_scaled(changes):
    plan = planned(**changes)
    assert plan.searched is plan.space
    assert (plan.config.small_data, plan.made_for, plan.scaling) == (None, "", "")
    assert len(plan.starts) == 1


def test_a_pipeline_is_marked_and_has_nothing_to_scale():
    plan = planned("nbsvm")
    assert (plan.made_for, plan.is_scaled) == ("1600 of 25000", False)


def test_smoke_tests_stay_as_they_are():
    assert get_budget("smoke").small_data is None
    assert {get_budget(name).small_data for name in ("standard", "full")} == {SMALL}


def test_what_the_user_says_is_not_scaled():
    plan = planned("cnn", 400, overrides={"batch_size": 128, "avg-pool.epochs": 3})
    assert settings_of(plan) == {"batch_size": 128, "epochs": 40, "patience": 16}
    assert "batch_size" not in plan.searched.search
    plan = planned("cnn", 400, overrides={"cnn.patience": 3, "epochs": 60})
    assert settings_of(plan) == {"batch_size": 8, "epochs": 40, "patience": 3}
    assert plan.trial_spec(plan.searched.default, 1).training.epochs == 40
    plan = planned("cnn", 400, epochs=2, epochs_exact=True)
    assert plan.max_epochs == plan.trial_spec(plan.searched.default, 1).training.epochs == 2
    assert plan.searched.default["batch_size"] == 8


@pytest.mark.parametrize("name", list(MODELS))
def test_every_network_of_which_the_data_are_known_says_how_many_texts_it_was_made_for(name):
    description = describe(name)
    made_for = resolve_space(description).made_for
    pipelines = {"tfidf-logreg", "majority", "linear-words", "linear-characters"}
    assert made_for == (None if name in pipelines | {"glove", "encoder", "encoder-head"} else 25_000)


@pytest.mark.parametrize(
    ("searched", "texts", "expected"),
    [
        ({"type": "int", "low": 16, "high": 512, "step": 16}, 1600, (16, 48)),
        ({"type": "int", "low": 16, "high": 512, "log": True}, 1600, (16, 53)),
        ({"type": "int", "low": 16, "high": 512, "log": True}, 400, None),
        ({"type": "categorical", "choices": [48, 96, 512]}, 3000, (48, 96)),
    ],
)
def test_ranges_of_a_user_are_bounded_in_their_own_steps(searched, texts, expected):
    space = Space(
        model="mine",
        source="a test",
        made_for=25_000,
        default={"batch_size": 512},
        search={"batch_size": searched},
    ).scaled(texts, SmallData(version=2, below=0.5, steps=30), 40)
    bounded = space.search.get("batch_size")
    assert (bounded and bounded.samples()) == expected
    assert space.default["batch_size"] == (expected[1] if expected else 8)


def finals(model="avg-pool", drawn=None, texts=20_000, name="csv-reviews", **settings):
    dataset = Dataset(
        Path("x"), name, "0" * 32, ("a", "b"), {"train": texts, "validation": 400, "test": 5000}, 50, 9
    )
    common = {"budget": "curve", "trials": 1, "seeds": 3, "epochs": 40, "train_share": 1.0}
    config = SweepConfig(**{**common, "small_data": SMALL, "train_examples": drawn, **settings})
    return plan_finals(model, dataset, config)


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        (100, {"batch_size": 2}),
        (1000, {"batch_size": 32, "epochs": 50, "patience": 7}),
        (12_000, {"batch_size": 256, "epochs": 41, "patience": 6}),
        (13_000, {}),
        (None, {}),
    ],
)
def test_a_plan_of_finals_alone_is_scaled_to_what_is_drawn(drawn, expected):
    plan, scaled = finals(drawn=drawn)
    assert scaled == expected
    spec = plan.final_specs(plan.default)[0]
    assert spec.train_examples == drawn
    values = {"batch_size": 512, "epochs": 40, "patience": 5} | expected
    assert {name: getattr(spec.training, name) for name in values} == values
    assert plan.space.search == {}


def test_what_is_fixed_is_not_scaled_there_and_pipelines_never_are():
    _, scaled = finals(drawn=1000, overrides={"batch_size": 64, "avg-pool.epochs": 3})
    assert "batch_size" not in scaled
    assert "epochs" not in scaled
    assert finals("nbsvm", drawn=100)[1] == {}


def test_finals_of_all_texts_are_the_default_tier_of_a_sweep():
    plan, _ = finals()
    sweep = planned(texts=20_000)
    assert plan.final_specs(plan.default) == sweep.final_specs(sweep.default)
