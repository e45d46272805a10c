"""Search spaces: the shipped ones, what a trial gets from them, and every mistake in one."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import warnings
from pathlib import Path

import optuna
import pytest
import yaml
from pydantic import ValidationError

from benchmark.plan.space import SCHEMAS, Space, find_space, load_space, main, schema_text, spaces_folder
from benchmark.support.errors import UserError

SHIPPED = ("avg-pool", "bilstm", "cnn", "fasttext", "flatten", "gru", "lstm", "transformer")
BASE = """\
model: toy
source: here
default:
  units: 16
  dropout: 0.0
  epochs: 3
search:
  units: {type: categorical, choices: [0, 16]}
  dropout: {type: float, low: 0, high: 0.5, step: 0.1, when: {units: 16}}
"""


@pytest.fixture(autouse=True)
def _no_warning_from_optuna():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def _load(text: str) -> Space:
        Path("toy.yaml").write_text(text)
        return load_space("toy.yaml")

    return _load


def toy(default: dict, search: dict) -> Space:
    return Space.model_validate({"model": "toy", "source": "here", "default": default, "search": search})


def random_study(seed: int = 0) -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))


def exactly(left: dict, right: dict) -> bool:
    """Equal, in the types, too: 0 and 0.0 give different spec ids."""
    return left == right and all(type(left[key]) is type(right[key]) for key in left)


# The shipped files


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_space_is_for_its_model_and_complete(name):
    space = load_space(find_space(name))
    assert space.model == name
    assert space.source
    shared = {"sequence_length", "vocabulary_size", "padding", "truncation"}
    shared |= {"optimizer", "learning_rate", "batch_size", "epochs", "patience"}
    assert shared < space.default.keys()
    assert space.default.keys() - space.search.keys() - {"mask_zero", "schedule"} == {"epochs", "patience"}


def test_published_defaults():
    assert exactly(
        load_space(find_space("avg-pool")).default,
        {
            "sequence_length": 256,
            "vocabulary_size": 10000,
            "padding": "post",
            "truncation": "pre",
            "embedding_dim": 16,
            "embedding_dropout": 0.0,
            "mask": False,
            "units": 16,
            "dropout": 0.0,
            "optimizer": "adam",
            "learning_rate": 0.001,
            "batch_size": 512,
            "epochs": 40,
            "patience": 5,
        },
    )
    assert exactly(
        load_space(find_space("lstm")).default,
        {
            "vocabulary_size": 50000,
            "sequence_length": 500,
            "padding": "pre",
            "truncation": "pre",
            "embedding_dim": 128,
            "units": 100,
            "dropout": 0.2,
            "recurrent_dropout": 0.2,
            "mask_zero": False,
            "optimizer": "adam",
            "learning_rate": 0.001,
            "batch_size": 64,
            "epochs": 10,
            "patience": 2,
        },
    )


def test_every_yaml_file_names_a_schema_that_is_there():
    files = sorted(spaces_folder().glob("*.yaml"))
    assert {file.stem for file in files} >= {*SHIPPED, "budgets"}
    for file in files:
        first = file.read_text("utf-8").splitlines()[0]
        start, _, schema = first.partition("$schema=")
        assert start == "# yaml-language-server: ", file
        assert schema == ("budgets.schema.json" if file.stem == "budgets" else "schema.json")
        assert (file.parent / schema).is_file()
        if file.stem != "budgets":
            assert load_space(file).model == file.stem


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("sampler", [optuna.samplers.TPESampler, optuna.samplers.RandomSampler])
def test_trial_0_is_the_default_exactly(name, sampler):
    space = load_space(find_space(name))
    study = optuna.create_study(sampler=sampler(seed=0))
    study.enqueue_trial(space.enqueue_params())
    trial = study.ask()
    assert exactly(space.suggest(trial), space.default)
    assert list(space.suggest(trial)) == list(space.default)
    assert trial.params == space.enqueue_params()


@pytest.mark.parametrize("name", SHIPPED)
def test_random_suggestions_lie_in_their_ranges_and_differ(name):
    space, study = load_space(find_space(name)), random_study()
    seen: dict[str, set] = {key: set() for key in space.default}
    for _ in range(200):
        values = space.suggest(study.ask())
        assert values.keys() == space.default.keys()
        for key, value in values.items():
            seen[key].add(value)
            assert type(value) is type(space.default[key])
            assert space.search[key].holds(value) if key in space.search else value == space.default[key]
    assert all((len(seen[key]) > 1) == (key in space.search) for key in seen)
    for key, searched in space.search.items():
        if not getattr(searched, "log", False):
            assert seen[key] == set(searched.values(key))


def test_stepped_floats_are_the_ones_people_write():
    space = toy({"x": 0.3}, {"x": {"type": "float", "low": 0.0, "high": 0.7, "step": 0.1}})
    study = random_study()
    seen = {space.suggest(study.ask())["x"] for _ in range(200)}
    assert seen == {0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7}


def test_a_finished_trial_gives_its_configuration_back():
    space, study = load_space(find_space("avg-pool")), random_study()
    trial = study.ask()
    values = space.suggest(trial)
    study.tell(trial, 0.5)
    assert exactly(space.suggest(study.trials[0]), values)


def test_default_is_written_as_its_range_writes_it(load):
    assert exactly(load(edited("dropout: 0.0", "dropout: 0")).default, load(BASE).default)


# Conditions


def test_inactive_parameter_is_not_suggested_and_takes_its_default(load):
    space, study = load(BASE), random_study()
    active = set()
    for _ in range(100):
        trial = study.ask()
        values = space.suggest(trial)
        assert ("dropout" in trial.params) == (values["units"] == 16)
        if values["units"] == 0:
            assert values["dropout"] == 0.0
        else:
            active.add(values["dropout"])
    assert len(active) == 6


def test_default_with_inactive_parameter_is_enqueued_without_it(load):
    space, study = load(BASE.replace("units: 16\n  drop", "units: 0\n  drop")), random_study()
    assert space.enqueue_params() == {"units": 0}
    study.enqueue_trial(space.enqueue_params())
    trial = study.ask()
    assert exactly(space.suggest(trial), space.default)
    assert trial.params == {"units": 0}


def test_conditions_are_decided_in_order_whatever_the_order_of_the_file():
    def category(when: dict) -> dict:
        return {"type": "categorical", "choices": ["x", "y"], "when": when}

    space = toy(
        {"c": "x", "b": "x", "a": "x"},
        {"c": category({"b": "y"}), "b": category({"a": ["y"]}), "a": category({})},
    )
    study, seen = random_study(), set()
    for _ in range(100):
        trial = study.ask()
        seen.add("".join(space.suggest(trial)[key] for key in "abc"))
        assert ("c" in trial.params) == (trial.params.get("b") == "y")
    assert seen == {"xxx", "yxx", "yyx", "yyy"}


def test_condition_on_two_parameters_needs_both():
    flag = {"type": "categorical", "choices": [False, True]}
    search = {"a": flag, "b": flag, "c": {**flag, "when": {"a": True, "b": True}}}
    space, study = toy({"a": False, "b": False, "c": False}, search), random_study()
    for _ in range(50):
        trial = study.ask()
        values = space.suggest(trial)
        assert ("c" in trial.params) == (values["a"] and values["b"])


# Fixing


def test_fix_replaces_the_default_and_leaves_the_search(load):
    space = load(BASE)
    fixed = space.fix({"dropout": 0.25, "epochs": 7})
    assert fixed.default == {"units": 16, "dropout": 0.25, "epochs": 7}
    assert set(fixed.search) == {"units"}
    assert (space.default["dropout"], set(space.search)) == (0.0, {"units", "dropout"})
    study = random_study()
    assert {fixed.suggest(study.ask())["dropout"] for _ in range(20)} == {0.25}


def test_conditions_hold_for_fixed_values(load):
    on, off = load(BASE).fix({"units": 16}), load(BASE).fix({"units": 0})
    study = random_study()
    assert {space_params(on, study) for _ in range(20)} == {("dropout",)}
    assert {space_params(off, study) for _ in range(20)} == {()}
    assert (on.enqueue_params(), off.enqueue_params()) == ({"dropout": 0.0}, {})


def space_params(space: Space, study: optuna.Study) -> tuple[str, ...]:
    trial = study.ask()
    space.suggest(trial)
    return tuple(trial.params)


def test_fix_converts_numbers_to_the_type_of_the_parameter(load):
    fixed = load(BASE).fix({"dropout": 0, "units": 32.0})
    assert exactly(fixed.default, {"units": 32, "dropout": 0.0, "epochs": 3})


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (2.5, "2.5"), ("03", "03"), ("1e2", "1e2"), ("true", "true"), ("2,3", "2,3")],
)
def test_fix_keeps_the_text_of_a_parameter_that_is_text(value, text):
    assert load_space(find_space("cnn")).fix({"widths": value}).default["widths"] == text


def test_fix_reads_text_as_the_type_of_the_parameter(load):
    fixed = load(BASE).fix({"dropout": "1e-1", "units": "32"})
    assert exactly(fixed.default, {"units": 32, "dropout": 0.1, "epochs": 3})


def test_fix_takes_no_truth_for_text():
    with pytest.raises(UserError, match="`set` widths=True: expected text, got true"):
        load_space(find_space("cnn")).fix({"widths": True})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"unit": 3}, "`set` unit: 'toy' has no such parameter; did you mean 'units'?"),
        ({"units": "many"}, "`set` units=many: expected a whole number, got 'many'"),
        ({"units": 1.5}, "`set` units=1.5: expected a whole number, got 1.5"),
        ({"units": True}, "`set` units=True: expected a whole number, got true"),
        ({"dropout": "1e-4x"}, "`set` dropout=1e-4x: expected a number, got '1e-4x'"),
        ({"dropout": None}, "`set` dropout=None: expected a number, got null"),
        ({"dropout": math.nan}, "`set` dropout: 'dropout': expected a finite number, got nan"),
        ({"epochs": 0}, "`set` epochs: 'epochs' should be greater than or equal to 1, got 0"),
    ],
)
def test_fix_rejects(load, values, expected):
    with pytest.raises(UserError) as caught:
        load(BASE).fix(values)
    assert str(caught.value) == expected


def test_fix_rejects_a_setting_that_no_model_can_have():
    with pytest.raises(
        UserError, match=r"^`set` padding: 'padding' should be 'pre' or 'post', got 'middle'$"
    ):
        load_space(find_space("lstm")).fix({"padding": "middle"})


# Grids


def test_grid_lists_the_values_people_write(load):
    assert load(BASE).grid() == {"units": [0, 16], "dropout": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]}


def test_grid_runs_in_optuna(load):
    space = load(BASE)
    study = optuna.create_study(sampler=optuna.samplers.GridSampler(space.grid(), seed=0))
    seen = []

    def objective(trial: optuna.Trial) -> float:
        seen.append(tuple(space.suggest(trial).items()))
        return 0.0

    study.optimize(objective)
    assert len(seen) == 12
    assert len(set(seen)) == 7


@pytest.mark.parametrize(
    ("searched", "expected"),
    [
        (
            {"type": "float", "low": 0.1, "high": 1},
            "'x' is continuous (0.1 to 1.0); give it a 'step' or make it 'categorical'",
        ),
        (
            {"type": "float", "low": 0.1, "high": 1, "log": True},
            "'x' is a log range (0.1 to 1.0 on a log scale); make it 'categorical'",
        ),
        (
            {"type": "int", "low": 1, "high": 8, "log": True},
            "'x' is a log range (1 to 8 on a log scale); make it 'categorical'",
        ),
        (
            {"type": "int", "low": 1, "high": 10**9},
            "'x' is a range of 1,000,000,000 values; give it a larger",
        ),
    ],
)
def test_no_grid(searched, expected):
    with pytest.raises(UserError) as caught:
        toy({"x": 1}, {"x": searched}).grid()
    assert str(caught.value).startswith("a grid search needs a list of values, but " + expected)


# Mistakes


def edited(old: str, new: str) -> str:
    assert BASE.count(old) == 1, old
    return BASE.replace(old, new)


UNITS, DROPOUT = BASE.splitlines()[7:9]
INT = "  units:\n    type: int\n    "


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("source", "sauce", "line 2: 'sauce' is not a known key; did you mean 'source'? (and 1 more)"),
        ("source: here\n", "", "line 1: 'source' is missing"),
        (DROPOUT, "  drop: {type: int, low: 1, high: 2}", "line 9: 'drop' is searched but has no default"),
        (
            "units: 16\n",
            "units: 17\n",
            "line 4: the default of 'units', 17, is not in its range (one of 0, 16)",
        ),
        ("units: 16\n", "units: '16'\n", "line 4: the default of 'units', '16', is not in its range"),
        (
            "dropout: 0.0",
            "dropout: 0.25",
            "line 5: the default of 'dropout', 0.25, is not in its range (0.0 to 0.5 in steps of 0.1)",
        ),
        ("units: 16\n", "units: false\n", "line 4: the default of 'units', false, is not in its range"),
        ("dropout: 0.0", "dropout: 0.6", "line 5: the default of 'dropout', 0.6, is not in its range"),
        ("dropout: 0.0", "dropout: false", "line 5: the default of 'dropout', false, is not in its range"),
        (
            "dropout: 0.0",
            "dropout: [0.1]",
            "line 5: 'dropout': expected text, a number, true, false or null, got a list",
        ),
        ("epochs: 3", "epochs: .nan", "line 6: 'epochs': expected a finite number, got nan"),
        ("epochs: 3", "epochs: 2020-01-01", "line 6: 'epochs' should be a valid integer, got '2020-01-01'"),
        ("epochs: 3", "epochs: 3\n  optimizer: adm", "line 7: 'optimizer' should be 'adam', 'adamw'"),
        ("[0, 16]", "[]", "line 8: 'choices' needs at least one value"),
        ("[0, 16]", "[0, 16, 0]", "line 8: 0 stands twice in choices"),
        ("[0, 16]", "[16, 1, true]", "line 8: true stands twice in choices"),
        (
            "[0, 16]",
            "[16, [1]]",
            "line 8: 'choices': expected text, a number, true, false or null, got a list",
        ),
        ("[0, 16]", "16", "line 8: 'choices' should be a list, got 16"),
        ("categorical", "category", "line 8: 'category' is not a known type; did you mean 'categorical'?"),
        ("type: categorical, ", "", "line 8: 'units' has no 'type'; choose from categorical, float, int"),
        (UNITS, "  units: [0, 16]", "line 8: 'units' has no 'type'; choose from categorical, float, int"),
        ("choices", "choice", "line 8: 'choice' is not a known key; did you mean 'choices'?"),
        (UNITS, INT + "high: 50\n    low: 100", "line 11: low 100 lies above high 50"),
        (UNITS, INT + "low: 0.5\n    high: 16", "line 10: 'low' should be a valid integer, got 0.5"),
        (
            UNITS,
            INT + "low: -16\n    high: 16\n    log: true",
            "line 10: low -16 must be above 0 in a log range",
        ),
        (
            UNITS,
            INT + "low: 1\n    high: 16\n    step: 3\n    log: true",
            "line 12: a log range has no step; leave out one of the two",
        ),
        (UNITS, INT + "low: 0\n    high: 16\n    step: 0", "line 12: 'step' should be greater than 0, got 0"),
        (
            UNITS,
            INT + "low: 6\n    high: 130\n    step: 10",
            "line 11: high 130 is not low 6 plus a multiple of step 10; use 126",
        ),
        (
            UNITS,
            "  units: {type: int, low: 0, high: 1" + "0" * 30 + "}",
            "line 8: 'high' should be less than or equal to 9007199254740992",
        ),
        ("high: 0.5", "high: 0.55", "line 9: high 0.55 is not low 0.0 plus a multiple of step 0.1; use 0.5"),
        ("high: 0.5", "high: '1e-4'", "line 9: 'high' should be a valid number, got '1e-4'"),
        ("high: 0.5", "high: .inf", "line 9: 'high' should be a finite number, got inf"),
        ("step: 0.1", "step: 0.1, log: true", "line 9: low 0.0 must be above 0 in a log range"),
        (
            "low: 0, high: 0.5, step: 0.1",
            "low: 0.1, high: 0.5, step: 0.1, log: true",
            "line 9: a log range has no step",
        ),
        ("step: 0.1", "step: -0.1", "line 9: 'step' should be greater than 0, got -0.1"),
        ("step: 0.1", "step: 1e-300", "line 9: step 1e-300 is too small between low and high"),
        (
            "low: 0, high: 0.5, step: 0.1",
            "low: -1e308, high: 1e308",
            "line 9: low -1e+308 and high 1e+308 are",
        ),
        ("step: 0.1", "log: maybe", "line 9: 'log' should be a valid boolean, got 'maybe'"),
        ("{units: 16}", "{unit: 16}", "line 9: 'unit' is not a parameter; did you mean 'units'?"),
        ("{units: 16}", "{units: [16, 32]}", "line 9: 'units' is never 32: it is searched in one of 0, 16"),
        ("{units: 16}", "{units: '16'}", "line 9: 'units' is never '16'"),
        (
            "{units: 16}",
            "{units: []}",
            "line 9: 'units': the list is empty, so the condition could never hold",
        ),
        (
            "{units: 16}",
            "{units: {}}",
            "line 9: 'units': expected text, a number, true, false or null, got a mapping",
        ),
        ("{units: 16}", "16", "line 9: 'when' should be a mapping, got 16"),
        (
            "{units: 16}",
            "{dropout: 0.0}",
            "line 9: conditions go round in a circle: 'dropout' needs 'dropout'",
        ),
        (
            "[0, 16]",
            "[0, 16], when: {dropout: 0.1}",
            "conditions go round in a circle: 'units' needs 'dropout' needs 'units'",
        ),
    ],
)
def test_bad_space(load, old, new, expected):
    with pytest.raises(UserError) as caught:
        load(edited(old, new))
    found = str(caught.value)
    assert found.startswith("toy.yaml, line ")
    assert expected in found
    assert "\n" not in found


def test_the_range_of_a_shared_setting_is_checked_too():
    searched = {"type": "categorical", "choices": ["adam", "adagrad"]}
    with pytest.raises(ValidationError, match="'adagrad'"):
        toy({"optimizer": "adam"}, {"optimizer": searched})
    with pytest.raises(ValidationError, match="'batch_size' should be greater than or equal to 1, got 0"):
        toy({"batch_size": 8}, {"batch_size": {"type": "int", "low": 0, "high": 8}})


def test_misspelt_default_is_found_where_the_parameters_are_known(load):
    path = Path("toy.yaml")
    load(edited("epochs: 3", "epoch: 3"))
    with pytest.raises(UserError) as caught:
        load_space(path, names=["units", "dropout"])
    assert str(caught.value) == "toy.yaml, line 6: 'epoch' is not a known key; did you mean 'epochs'?"
    load(BASE)
    assert load_space(path, names=["units", "dropout"]).model == "toy"


def test_long_integers_do_not_overflow(load):
    with pytest.raises(UserError, match="line 4: 'units': expected a whole number of at most"):
        load(
            edited("units: 16\n", f"units: {10**400}\n").replace(
                UNITS, "  units: {type: int, low: 1, high: 9}"
            )
        )


# Files


@pytest.mark.parametrize(
    "name", ["none", "budgets", "", "..", "../search_spaces/lstm", "a/b.py:build", "lstm.yaml"]
)
def test_no_packaged_space(name):
    assert find_space(name) is None


def test_packaged_folder_wins_over_the_checkout(tmp_path, monkeypatch):
    import benchmark

    package = tmp_path / "benchmark"
    package.mkdir()
    monkeypatch.setattr(benchmark, "__file__", str(package / "__init__.py"))
    with pytest.raises(UserError, match="no search_spaces folder"):
        spaces_folder()
    (tmp_path / "search_spaces").mkdir()
    assert spaces_folder() == tmp_path / "search_spaces"
    (package / "search_spaces").mkdir()
    assert spaces_folder() == package / "search_spaces"


def test_schemas_are_current():
    for name in SCHEMAS:
        now = (spaces_folder() / name).read_text("utf-8")
        assert now == schema_text(name), "run `python -m benchmark.plan.space`"


def test_schema_command(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmark.plan.space.spaces_folder", lambda: tmp_path)
    main()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(SCHEMAS)
    assert (tmp_path / "schema.json").read_text() == schema_text("schema.json")


def test_schema_knows_every_key_of_the_shipped_files():
    schema = json.loads(schema_text("schema.json"))
    known = {key for part in schema["$defs"].values() for key in part["properties"]}
    for name in SHIPPED:
        content = yaml.safe_load(find_space(name).read_text("utf-8"))
        assert content.keys() <= schema["properties"].keys()
        assert {key for searched in content["search"].values() for key in searched} <= known


def test_shipped_files_read_the_same_with_any_yaml_reader():
    for name in SHIPPED:
        content = yaml.safe_load(find_space(name).read_text("utf-8"))
        assert exactly(content["default"], load_space(find_space(name)).default)
        assert isinstance(content["search"]["learning_rate"]["low"], float)


def test_imports_nothing_heavy():
    code = (
        "import sys, benchmark.support.yaml_file, benchmark.plan.space;"
        "print(sorted({'tensorflow', 'keras', 'mlflow', 'optuna', 'ray'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
