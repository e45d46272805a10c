"""Configuration: a run's id follows everything that determines it, and nothing else."""

import pytest
from pydantic import ValidationError

from benchmark.driver.sweep_options import PRUNERS, SAMPLERS
from benchmark.spec.config import (
    CommonSettings,
    Resource,
    RunSpec,
    SweepConfig,
    TrainSettings,
    ViewSettings,
    seed_bundle,
)


@pytest.fixture
def spec():
    return RunSpec(
        model="lstm",
        dataset="imdb",
        dataset_digest="d" * 32,
        kind="trial",
        view=ViewSettings(),
        training=TrainSettings(),
        hparams={"units": 32, "dropout": 0.5, "mask": True, "cell": "gru", "nothing": None},
        seeds=seed_bundle(0, "search", 0),
    )


CHANGES = {
    "model": "avg-pool",
    "model_digest": "0123",
    "dataset": "sample",
    "dataset_digest": "e" * 32,
    "kind": "final",
    "view": ViewSettings(sequence_length=255),
    "training": TrainSettings(epochs=11),
    "hparams": {"units": 32, "dropout": 0.5, "mask": True, "cell": "gru"},
    "seeds": seed_bundle(0, "search", 1),
    "train_share": 0.5,
    "train_examples": 200,
    "resources": {"vectors": Resource(digest="f" * 32, protocol="pretrained")},
    "metric": "macro_f1",
    "class_weight": "balanced",
    "decision": "tuned",
    "refit": True,
}
VIEW_CHANGES = {
    "vocabulary_size": 9_999,
    "sequence_length": 255,
    "padding": "pre",
    "truncation": "pre",
    "tokens": "characters",
}
TRAIN_CHANGES = {
    "optimizer": "sgd",
    "learning_rate": 2e-3,
    "schedule": "cosine",
    "batch_size": 65,
    "epochs": 11,
    "patience": 4,
    "trim": True,
    "precision": "bfloat16",
    "warmup": 0.1,
    "weight_decay": 0.01,
}


def test_the_changes_below_cover_every_field():
    assert set(CHANGES) == set(RunSpec.model_fields)
    assert set(VIEW_CHANGES) == set(ViewSettings.model_fields)
    assert set(TRAIN_CHANGES) == set(TrainSettings.model_fields)


def changed(spec, name, value):
    return RunSpec.model_validate({**{key: getattr(spec, key) for key in RunSpec.model_fields}, name: value})


@pytest.mark.parametrize(("name", "value"), CHANGES.items(), ids=list(CHANGES))
def test_every_field_changes_the_spec_id(spec, name, value):
    assert changed(spec, name, value).spec_id != spec.spec_id


@pytest.mark.parametrize(("name", "value"), CHANGES.items(), ids=list(CHANGES))
def test_the_config_id_ignores_seeds_and_kind_only(spec, name, value):
    same = changed(spec, name, value).config_id == spec.config_id
    assert same is (name in ("seeds", "kind"))


@pytest.mark.parametrize(("name", "value"), VIEW_CHANGES.items())
def test_every_view_setting_changes_both_ids(spec, name, value):
    other = changed(spec, "view", ViewSettings(**{name: value}))
    assert other.spec_id != spec.spec_id
    assert other.config_id != spec.config_id


@pytest.mark.parametrize(("name", "value"), TRAIN_CHANGES.items())
def test_every_training_setting_changes_both_ids(spec, name, value):
    other = changed(spec, "training", TrainSettings(**{name: value}))
    assert other.spec_id != spec.spec_id
    assert other.config_id != spec.config_id


@pytest.mark.parametrize("field", ["init", "shuffle", "dropout", "fewshot", "split", "index"])
def test_every_seed_changes_the_spec_id(spec, field):
    seeds = spec.seeds.model_copy(update={field: getattr(spec.seeds, field) + 1})
    assert changed(spec, "seeds", seeds).spec_id != spec.spec_id


def test_hyper_parameters_keep_their_types(spec):
    ids = {changed(spec, "hparams", {"x": value}).spec_id for value in (1, True, "1", None, "None", 1.5)}
    assert len(ids) == 6


def test_equal_specs_have_equal_ids(spec):
    twin = RunSpec.model_validate(spec.model_dump())
    stored = RunSpec.model_validate_json(spec.model_dump_json())
    reordered = changed(spec, "hparams", dict(reversed(spec.hparams.items())))
    assert spec.spec_id == twin.spec_id == stored.spec_id == reordered.spec_id
    assert spec.config_id == stored.config_id != spec.spec_id
    assert len(spec.spec_id) == len(spec.config_id) == 16
    assert int(spec.spec_id, 16) >= 0


def test_ids_are_the_same_in_another_process(spec, run_python):
    code = """
import sys
from benchmark.spec.config import RunSpec
spec = RunSpec.model_validate_json(sys.argv[1])
print(spec.spec_id, spec.config_id)
"""
    assert run_python(code, spec.model_dump_json()).split() == [spec.spec_id, spec.config_id]


def test_flat_shows_every_setting_under_its_own_name(spec):
    flat = spec.flat()
    assert flat["units"] == 32
    assert flat["learning_rate"] == 1e-3
    assert flat["padding"] == "post"
    assert (flat["class_weight"], flat["decision"]) == ("none", "argmax")
    parts = (ViewSettings, TrainSettings, CommonSettings)
    assert set(flat) == {*(name for part in parts for name in part.model_fields), *spec.hparams}
    assert changed(spec, "class_weight", "balanced").flat()["class_weight"] == "balanced"
    assert changed(spec, "hparams", {"class_weight": 3}).flat()["class_weight"] == 3  # the builder's own


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (ViewSettings, {"sequence_lenght": 5}),
        (TrainSettings, {"lr": 0.1}),
        (
            SweepConfig,
            {"budget": "quick", "trials": 1, "seeds": 1, "epochs": 1, "train_share": 1, "seed_": 1},
        ),
    ],
)
def test_unknown_keys_are_refused(kind, values):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        kind(**values)


def test_unknown_keys_of_a_run_are_refused(spec):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        RunSpec.model_validate({**spec.model_dump(), "device": "gpu"})


def test_a_spec_is_frozen(spec):
    for part, name, value in ((spec, "kind", "final"), (spec.view, "padding", "pre")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, name, value)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (ViewSettings, {"vocabulary_size": 2}),
        (ViewSettings, {"sequence_length": 0}),
        (ViewSettings, {"padding": "left"}),
        (TrainSettings, {"learning_rate": 0}),
        (TrainSettings, {"learning_rate": float("inf")}),
        (TrainSettings, {"learning_rate": float("nan")}),
        (TrainSettings, {"batch_size": 0}),
        (TrainSettings, {"epochs": 0}),
        (TrainSettings, {"patience": 0}),
        (TrainSettings, {"optimizer": "adagrad"}),
    ],
)
def test_values_that_make_no_sense_are_refused(kind, values):
    with pytest.raises(ValidationError):
        kind(**values)


@pytest.mark.parametrize("share", [0, -0.1, 1.01])
def test_a_share_lies_above_0_and_up_to_1(spec, share):
    with pytest.raises(ValidationError):
        changed(spec, "train_share", share)


def test_the_words_for_samplers_and_pruners_are_those_of_the_configuration():
    schema = SweepConfig.model_json_schema()["properties"]
    assert schema["sampler"]["enum"] == list(SAMPLERS)
    assert schema["pruner"]["enum"] == list(PRUNERS)


def test_settings_that_came_later_leave_the_ids_of_earlier_runs_alone():
    spec = RunSpec(
        model="avg-pool",
        dataset="sample",
        dataset_digest="d" * 32,
        kind="trial",
        view=ViewSettings(),
        training=TrainSettings(),
        hparams={"units": 16},
        seeds=seed_bundle(0, "search", 0),
    )
    # Printed by the version before there were `trim` and `precision`.
    assert (spec.spec_id, spec.config_id) == ("3182f2ec88cacadb", "cd25d6230dc2084b")
