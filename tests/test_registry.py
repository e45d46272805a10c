"""The registry: nothing is imported before it is used, and every mistake is named."""

import os
import sys

import pytest

from benchmark import registry as registry_module
from benchmark.data.source import DATASETS
from benchmark.errors import UserError
from benchmark.models import MODELS, load_builder
from benchmark.registry import Registry, is_file_target, label_of, load_target

GROUP = "textbench.tests"


@pytest.fixture
def registry():
    return Registry("thing", GROUP, {"path": "os.path:join", "dumps": "json:dumps"})


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install a distribution with entry points, as pip would: a ``.dist-info`` on the path."""

    def install(entry_points, **modules):
        info = tmp_path / "site" / "fake_plugin-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-plugin\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entry_points)
        for name, content in modules.items():
            (tmp_path / "site" / f"{name}.py").write_text(content)
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(tmp_path / "site")

    return install


def test_listing_imports_nothing(run_python):
    code = """
import sys
from benchmark.data.source import DATASETS
from benchmark.models import MODELS
assert {"lstm", "avg-pool"} <= set(MODELS) and {"imdb", "sample"} <= set(DATASETS)
assert "lstm" in MODELS and "nothing" not in MODELS
MODELS.target("lstm")
heavy = ("tensorflow", "keras", "tensorflow_datasets", "mlflow", "optuna", "benchmark.models.lstm",
         "benchmark.data.imdb", "benchmark.data.sample")
print([name for name in heavy if name in sys.modules])
"""
    assert run_python(code).strip() == "[]"


def test_loading_gives_the_object(registry):
    assert registry.load("path") is os.path.join
    assert list(registry) == ["path", "dumps"]


@pytest.mark.parametrize("registry_", [MODELS, DATASETS], ids=["models", "data sets"])
def test_every_built_in_name_can_be_loaded(registry_):
    assert all(callable(registry_.load(name)) for name in registry_)


def test_an_unknown_name_is_answered_with_the_nearest(registry):
    with pytest.raises(UserError, match=r"^there is no thing named 'dump'; did you mean 'dumps'\?$"):
        registry.load("dump")
    with pytest.raises(UserError, match=r"^there is no thing named 'xyz'; choose from dumps, path$"):
        registry.target("xyz")


def test_entry_points_of_other_packages_are_found(plugin, registry):
    plugin(
        f"[{GROUP}]\nextra = fakeplug:make\nwith-extras = fakeplug:make [gpu]\ndumps = fakeplug:make\n",
        fakeplug="def make():\n    return 'made by the plug-in'\n",
    )
    assert set(registry) == {"path", "dumps", "extra", "with-extras"}
    assert "fakeplug" not in sys.modules
    assert registry.load("extra")() == "made by the plug-in"
    assert registry.load("with-extras")() == "made by the plug-in"
    assert registry.load("dumps")([1]) == "[1]"  # built-in names win


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("import not_installed_anywhere", "No module named 'not_installed_anywhere'"),
        ("undefined_name", "NameError: name 'undefined_name' is not defined"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_a_plugin_that_fails_at_import_is_named(plugin, registry, content, reason):
    plugin(f"[{GROUP}]\nbad = fakebroken:make\n", fakebroken=content)
    assert "bad" in registry
    with pytest.raises(UserError, match="the thing in 'fakebroken' cannot be imported") as caught:
        registry.load("bad")
    assert reason in str(caught.value)


def test_a_missing_attribute_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r"^json has no 'dump_s'; did you mean 'dumps'\?$"):
        load_target("json:dump_s")


@pytest.mark.parametrize(
    ("name", "is_file", "label"),
    [
        ("lstm", False, "lstm"),
        ("mine.py", True, "mine"),
        ("a/b/mine.py:make", True, "mine"),
        ("/abs/my.model.py:build", True, "my.model"),
        ("package.module:build", False, "package.module:build"),
        ("not.python", False, "not.python"),
        ("folder.py/file", False, "folder.py/file"),
    ],
)
def test_file_targets_are_told_from_names(name, is_file, label):
    assert is_file_target(name) is is_file
    assert label_of(name) == label


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def build():\n    return 'default'\n\ndef other():\n    return 'other'\n")
    return path


def test_an_attribute_of_a_file(model_file, monkeypatch):
    assert load_target(f"{model_file}:other")() == "other"
    assert load_target(str(model_file))() == "default"
    assert load_target("mine.py")() == "default"  # relative to the current folder
    assert load_builder("./mine.py:other")() == "other"


def test_a_file_is_executed_once(tmp_path):
    path = tmp_path / "counted.py"
    path.write_text("open('runs', 'a').write('x')\ndef build(): pass\n")
    assert load_target(str(path)) is load_target("counted.py:build")
    assert (tmp_path / "runs").read_text() == "x"


def test_files_of_the_same_name_do_not_collide(tmp_path):
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "same.py").write_text(f"def build():\n    return {number}\n")
    assert [load_target(f"{number}/same.py")() for number in (1, 2)] == [1, 2]


def test_an_edited_file_is_loaded_anew(tmp_path, monkeypatch):
    # Same size, same second: Python's own cache of byte code would not notice.
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "edited.py"
    answers = []
    for number in (1, 2, 3):
        path.write_text(f"def build():\n    return {number}\n")
        os.utime(path, (1_700_000_000, 1_700_000_000))
        answers.append(load_target(str(path))())
    assert answers == [1, 2, 3]


def test_a_loaded_function_knows_its_module(model_file):
    function = load_target(str(model_file))
    module = sys.modules[function.__module__]
    assert module.build is function
    assert module.__file__ == str(model_file)


def test_a_file_that_another_machine_sent_need_not_be_here(monkeypatch):
    monkeypatch.setattr(registry_module, "_kept", {})
    registry_module.keep_file("nowhere/sent.py:build", b"def build():\n    return 7\n")
    assert load_target("./nowhere/sent.py:build")() == 7
    with pytest.raises(UserError, match="there is no such file"):
        load_target("nowhere/other.py:build")


def test_a_missing_file_and_a_missing_function(model_file):
    with pytest.raises(UserError, match=r"--model nowhere\.py: there is no such file"):
        load_target("nowhere.py:build", "model")
    with pytest.raises(UserError, match=r"mine\.py has no 'buidl'; did you mean 'build'\?"):
        load_target(f"{model_file}:buidl")


def test_a_file_that_fails_at_import_is_named_and_can_be_mended(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("def build():\n    pass\n\n1 / 0\n")
    for _ in range(2):
        with pytest.raises(UserError, match=r"broken\.py fails at import: ZeroDivisionError"):
            load_target(str(path))
    path.write_text("def build():\n    return 'mended'\n")
    assert load_target(str(path))() == "mended"
