"""Models described from their source, without running it."""

import inspect
from pathlib import Path

import pytest

from benchmark.models import MODELS, load_builder
from benchmark.models.source_description import describe
from benchmark.support.errors import UserError


@pytest.fixture
def write(tmp_path):
    def _write(content, name="mine.py"):
        (tmp_path / name).write_text(content)
        return name

    return _write


def test_parameters_are_read_without_tensorflow(run_python):
    code = """
import sys
from benchmark.models import MODELS
from benchmark.models.source_description import describe
for name in MODELS:
    print(name, sorted(describe(name).parameters))
print([name for name in ("tensorflow", "keras", "benchmark.models.avg_pool") if name in sys.modules])
"""
    *models, heavy = run_python(code).splitlines()
    assert "avg-pool ['dropout', 'embedding_dim', 'embedding_dropout', 'mask', 'units']" in models
    assert heavy == "[]"


@pytest.mark.parametrize("name", sorted(MODELS))
def test_parameters_are_those_of_the_builder(name):
    signature = inspect.signature(load_builder(name))
    keywords = list(signature.parameters.values())[1:]
    expected = {item.name: item.default for item in keywords if item.kind is not item.VAR_KEYWORD}
    assert describe(name).parameters == expected


@pytest.mark.parametrize("name", sorted(MODELS))
def test_built_in_models_say_what_they_are(name):
    model = describe(name)
    assert (model.name, model.label, model.digest) == (name, name, "")
    assert model.summary
    assert "\n" not in model.summary
    assert model.file.is_file()
    assert model.source
    assert not model.open_ended


def test_a_file_is_read_and_not_run(write):
    content = '''"""My model: small.

Source: me, 2024,
two lines.

More.
"""
raise RuntimeError("this file must not be run")

def helper(x=1): ...

def build(task, width=8, *, rate=-1e-3, flag=True, name="a", nothing=None, needed):
    """Build it."""
'''
    model = describe(write(content))
    assert model.parameters == {
        "width": 8,
        "rate": -1e-3,
        "flag": True,
        "name": "a",
        "nothing": None,
        "needed": None,
    }
    assert model.summary == "My model: small."
    assert model.source == "me, 2024, two lines."
    assert (model.name, model.label, model.file) == ("mine.py", "mine", Path("mine.py"))
    assert not model.open_ended


def test_the_digest_follows_the_content(write):
    first = describe(write("def build(task): pass\n")).digest
    assert describe(write("def build(task): pass\n", "copy.py")).digest == first != ""
    assert describe(write("def build(task): return 1\n")).digest != first


def test_another_function_of_the_file(write):
    name = write("def build(task, a=1): pass\n\ndef other(task, *, b=2):\n    '''Other one.'''\n")
    assert describe(name).parameters == {"a": 1}
    other = describe(f"{name}:other")
    assert other.parameters == {"b": 2}
    assert other.summary == "Other one."


def test_keyword_arguments_make_a_model_open_ended(write):
    model = describe(write("def build(task, *, a=1, **kwargs): pass\n"))
    assert model.open_ended
    assert model.parameters == {"a": 1}


def test_an_object_that_is_no_function_is_open_ended(write):
    model = describe(write("import functools\nbuild = functools.partial(print, end='')\n"))
    assert model.open_ended
    assert model.parameters == {}


@pytest.mark.parametrize(
    "signature", ["task=None, /, *, a=1", "task=None, a=1", "task, /, a=1", "task=None, extra=2, /, a=1"]
)
def test_the_task_is_no_hyper_parameter(write, signature):
    assert describe(write(f"def build({signature}): pass\n")).parameters == {"a": 1}


@pytest.mark.parametrize("default", ["WIDTH", "2 * 8", "(64, 32)", "max", "[1]", "float('inf')"])
def test_a_default_that_is_no_plain_value_is_named(write, default):
    name = write(f"WIDTH = 3\ndef build(\n    task,\n    *,\n    width={default},\n): pass\n")
    with pytest.raises(UserError, match=r"mine\.py, line 5: the default of 'width' is .*plain value"):
        describe(name)


def test_a_syntax_error_is_named_with_its_line(write):
    with pytest.raises(UserError) as caught:
        describe(write("x = 1\ndef build(:\n    pass\n"))
    assert str(caught.value) == "model file mine.py, line 2: not valid Python (invalid syntax)"


def test_what_is_not_python_at_all(tmp_path):
    (tmp_path / "binary.py").write_bytes(b"\x00\xff\xfe")
    with pytest.raises(UserError, match=r"model file binary\.py.*not valid Python"):
        describe("binary.py")


def test_a_missing_file_is_named():
    with pytest.raises(UserError, match=r"^model file nowhere\.py: no such file or directory$"):
        describe("nowhere.py:build")


def test_a_missing_function_is_answered_with_the_nearest(write):
    with pytest.raises(UserError, match=r"mine\.py has no 'bulid'; did you mean 'build'\?"):
        describe(f"{write('def build(task): pass')}:bulid")


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r"there is no model named 'ltsm'; did you mean 'lstm'\?"):
        describe("ltsm")
