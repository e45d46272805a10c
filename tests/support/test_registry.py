"""The registry: nothing is imported before it is used, and every mistake is named."""

import hashlib
import importlib
import json
import os
import sys
from pathlib import Path

import pytest

from benchmark.data.source import DATASETS
from benchmark.models import MODELS, importing, load_builder
from benchmark.models.source_description import describe
from benchmark.support import source_files
from benchmark.support.errors import UserError
from benchmark.support.registry import Registry, is_file_target, label_of, load_target

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
         "benchmark.data.tfds_source", "benchmark.data.sample")
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
    monkeypatch.setattr(source_files, "_kept", {})
    sent = b"def build():\n    return 7\n"
    source_files.keep(source_files.Source(Path("nowhere/sent.py"), Path("/gone"), {"sent.py": sent}))
    assert load_target("./nowhere/sent.py:build")() == 7
    with pytest.raises(UserError, match="there is no such file"):
        load_target("nowhere/other.py:build")


def test_a_missing_file_and_a_missing_function(model_file):
    with pytest.raises(UserError, match=r"`model` nowhere\.py: there is no such file"):
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


@pytest.fixture
def folder(tmp_path):
    """``folder(name, {file: text})`` writes files into a folder and returns that folder."""

    def write(name, files):
        for file, text in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / name

    return write


WAYS = {
    "plain": {"m.py": "import h\ndef build(): return h.x()"},
    "from": {"m.py": "from h import x\ndef build(): return x()"},
    "in the builder": {"m.py": "def build():\n    import h\n    return h.x()"},
    "relative": {"m.py": "from .h import x\ndef build(): return x()"},
    "relative module": {"m.py": "from . import h\ndef build(): return h.x()"},
    "by name": {"m.py": "import importlib\ndef build(): return importlib.import_module('h').x()"},
    "by a helper": {"m.py": "from a import x\ndef build(): return x()", "a.py": "from h import x"},
    "in a circle": {
        "m.py": "import a\ndef build(): return a.h.x()",
        "a.py": "import h\nimport b",
        "b.py": "import a, m",
    },
    "package": {
        "m.py": "from lib.deep import x\ndef build(): return x()",
        "lib/__init__.py": "",
        "lib/deep.py": "from h import x",
    },
    "folder": {"m.py": "import lib.deep\ndef build(): return lib.deep.x()", "lib/deep.py": "from h import x"},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_helper_is_part_of_what_a_model_is(folder, way, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    found = {}
    for number in (1, 2):
        for place in ("one", "two"):  # helpers of the same name do not collide
            here = folder(place, {**WAYS[way], "h.py": f"def x(): return {place!r}, {number}"})
            os.utime(here / "h.py", (1_700_000_000, 1_700_000_000))
            model = describe(str(here / "m.py"))
            with importing(model.name, model.digest):
                assert load_builder(model.name, model.digest)() == (place, number)
            found[place, number] = model
    assert len({model.digest for model in found.values()}) == 4
    assert not {"h", "a", "b", "lib"} & sys.modules.keys()
    first = found["one", 1]  # as it was planned, although the files say something else by now
    with importing(first.name, first.digest):
        assert load_builder(first.name, first.digest)() == ("one", 1)


def test_a_file_without_helpers_keeps_its_digest(folder):
    here = folder(
        "one", {"m.py": "import json, numpy\ndef build(): pass\n", "other.py": "", "json/a.txt": ""}
    )
    content = (here / "m.py").read_bytes()
    assert describe(str(here / "m.py")).digest == hashlib.sha256(content).hexdigest()[:16]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"m.py": "\nfrom block import x"},
            r"m\.py, line 2: there is no module 'block' .*you mean 'blocks'",
        ),
        ({"m.py": "from .block import x"}, r"m\.py, line 1: there is no module 'block' beside it"),
        ({"m.py": "import blocks.deep"}, r"m\.py, line 1: there is no module 'blocks\.deep' beside it"),
        ({"m.py": "from ..h import x"}, r"m\.py, line 1: imports from above the folder"),
        ({"m.py": "import blocks", "blocks.py": "\n\n("}, r"blocks\.py, line 3: not valid Python"),
        (
            {"m.py": "import blocks", "blocks.py": "import gone"},
            r"blocks\.py, line 1: .* no module 'gone'",
        ),
        (
            {"m.py": "import json", "json.py": ""},
            r"m\.py, line 1: 'json' is a file beside it and .*rename",
        ),
        ({"m.py": "import numpy", "numpy.py": ""}, r"m\.py, line 1: 'numpy' is a file beside it and also"),
        (
            {"m.py": "import loose", "../loose.py": ""},
            r"m\.py, line 1: 'loose' is .*\.py, neither beside",
        ),
    ],
)
def test_an_import_that_will_fail_or_go_unnoticed_is_one_line(folder, tmp_path, monkeypatch, files, message):
    monkeypatch.syspath_prepend(str(tmp_path))  # as ``python -m`` does with the current folder
    here = folder("one", {"blocks.py": "", **files})
    with (here / "m.py").open("a") as file:
        file.write("\ndef build(): pass\n")
    with pytest.raises(UserError, match=message):
        describe(str(here / "m.py"))


def test_imports_that_may_fail_are_left_to_the_file(folder):
    text = "try:\n    import gone\nexcept ImportError:\n    gone = None\ndef build(): return gone"
    here = folder("one", {"m.py": text})
    describe(str(here / "m.py"))
    assert load_builder(str(here / "m.py"))() is None


def test_a_helper_that_only_running_the_file_names_is_refused(folder):
    text = "import importlib\ndef build(name='h'): return importlib.import_module(name)"
    here = folder("one", {"m.py": text, "h.py": ""})
    name, digest = str(here / "m.py"), describe(str(here / "m.py")).digest
    with importing(name, digest), pytest.raises(ImportError, match="not a part of what the model is"):
        load_builder(name, digest)()


def test_a_file_on_a_relative_python_path_would_go_unnoticed(folder, monkeypatch):
    folder("lib", {"pphelper.py": ""})
    here = folder("one", {"m.py": "import pphelper\ndef build(): pass\n"})
    for entry in ("lib", "one/../lib", "./lib/"):
        monkeypatch.setenv("PYTHONPATH", entry)
        monkeypatch.setattr(sys, "path", [entry, *sys.path])
        with pytest.raises(UserError, match=r"m\.py, line 1: 'pphelper' is .*pphelper\.py, neither beside"):
            describe(str(here / "m.py"))


@pytest.mark.parametrize("wanted", ["import pphelper", "import space.deep", "import pkg", "import wave"])
def test_a_file_from_a_folder_that_the_model_adds_is_refused(folder, monkeypatch, wanted):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    text = (
        "import os, sys\ndef build():\n    sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))"
    )
    lib = {"pphelper.py": "", "space/deep.py": "", "pkg/__init__.py": "", "wave.py": ""}
    here = folder("one", {"m.py": f"{text}\n    {wanted}\n", **{f"lib/{file}": lib[file] for file in lib}})
    model = describe(str(here / "m.py"))
    with (
        importing(model.name, model.digest),
        pytest.raises(ImportError, match="not a part of what the model"),
    ):
        load_builder(model.name, model.digest)()


def test_installed_packages_can_be_imported_while_a_model_is_built(folder, monkeypatch):
    """Packages in ``site-packages``, in a folder of their own with metadata, and editable ones (``.pth``)."""
    site = folder("site-packages", {"late/__init__.py": "from late import deep", "late/deep.py": ""})
    own = folder("own", {"own_late.py": "", "own-1.dist-info/METADATA": "Name: own\n"})
    (own / "own-1.dist-info" / "top_level.txt").write_text("own_late")
    (site / "linked.pth").write_text(f"import sys\n{folder('linked', {'linked_late.py': ''})}\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(site), str(own), str(site.parent / "linked")])
    text = "def build():\n    import late, own_late, linked_late, this\n    return linked_late.__name__"
    model = describe(str(folder("one", {"m.py": text}) / "m.py"))
    with importing(model.name, model.digest):
        assert load_builder(model.name, model.digest)() == "linked_late"


def test_a_relative_helper_may_have_the_name_of_an_installed_module(folder):
    text = "import sys\nfrom .json import POOL\ndef build(): return sys.modules['json'].dumps(POOL)"
    here = folder("one", {"m.py": text, "json.py": "POOL = 16"})
    model = describe(str(here / "m.py"))
    with importing(model.name, model.digest):
        assert load_builder(model.name, model.digest)() == "16"
        assert importlib.import_module("json") is json


def test_an_edited_file_is_not_taken_for_the_one_that_was_planned(folder, monkeypatch):
    here = folder("one", {"m.py": "from h import x\ndef build(): pass\n", "h.py": "x = 1"})
    digest = describe(str(here / "m.py")).digest
    monkeypatch.setattr(source_files, "_kept", {})  # another process, which was not sent the files
    (here / "h.py").write_text("x = 2")
    with pytest.raises(UserError, match="was changed since"):
        load_builder(str(here / "m.py"), digest)


def test_a_model_file_beside_this_package_may_import_what_it_is_made_of(tmp_path):
    (tmp_path / "benchmark").mkdir()
    for name in ("benchmark/__init__.py", "benchmark/later.py", "model.py"):
        (tmp_path / name).write_text("def build(task): ...")
    found = source_files.helpers_of(source_files.read_source(tmp_path / "model.py"), "model")
    assert found.find_spec("benchmark.later", [str(tmp_path / "benchmark")]) is None
