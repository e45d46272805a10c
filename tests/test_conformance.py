"""The command that runs the suites of `benchmark.testing`; what these find is held by their own tests."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import benchmark
from benchmark import conformance
from benchmark.support.errors import UserError

ROOT = Path(benchmark.__file__).parents[1]
BYTES = """
from benchmark.data.source import Row
from benchmark.testing.toy_data import ToyData


class source(ToyData):
    def rows(self):
        yield Row("train", b"a", 1)
"""


@pytest.mark.long
def test_the_model_of_the_readme_passes(capsys):
    """As a user runs it, in this process."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (model,) = (block for block in blocks if block.startswith("# my_model.py"))
    Path("my_model.py").write_text(model)
    cache = os.environ["BENCHMARK_CACHE_DIR"]
    assert conformance.main(["my_model.py", "--set", "units=4"]) == 0, capsys.readouterr().out
    *tests, empty, last = capsys.readouterr().out.splitlines()
    names = ["signature", "space", "builds", "logits", "padding", "modes", "repeatable", "learns"]
    names += ["trial does not read test", "stored"]
    assert tests == [
        "not applicable padding: IGNORES_PADDING is not claimed"
        if name == "padding"
        else f"passed         {name}"
        for name in names
    ]
    assert (empty, last) == ("", "model my_model.py:build: passed")
    assert os.environ["BENCHMARK_CACHE_DIR"] == cache
    assert sorted(path.name for path in Path().iterdir()) == ["my_model.py"]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["model", "dataset", "engine"])
def test_templates_pass(kind, capsys):
    assert conformance.main(["--template", kind]) == 0
    Path("mine.py").write_text(capsys.readouterr().out)
    assert conformance.main(["mine.py", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["kind"], answer["failed"]) == (kind, 0)
    assert {check["status"] for check in answer["checks"]} <= {"passed", "not applicable"}


def test_a_failure_is_1_with_its_reason_and_ends_what_depends_on_it(capsys):
    Path("made.py").write_text(BYTES)
    assert conformance.main(["made.py"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "passed         attributes"
    assert lines[1].startswith("failed         rows: a text is bytes")
    assert lines[2:-2] == [
        f"not applicable {name}: 'rows' has to pass first"
        for name in ("splits", "repeatable", "key", "streams", "prepares")
    ]
    assert lines[-1] == "dataset made.py:source: 1 of 7 tests failed"


@pytest.mark.long
def test_it_needs_no_pytest():
    code = (
        "import sys; sys.modules['pytest'] = None; from benchmark.conformance import main; sys.exit(main())"
    )
    words = [sys.executable, "-c", code, "benchmark.testing.toy_data:source", "--kind", "dataset"]
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run(
        [sys.executable, "-O", "-m", "benchmark.conformance", "sample"], capture_output=True
    )
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name a file to be checked, or --template model, dataset or engine"),
        (["gone.py"], "gone.py: no such file or directory"),
        (["empty.py"], "empty.py has no build, source, engine; name one function, as empty.py:build"),
        (["empty.py:other"], "empty.py:build, and its --kind"),
        (["wrong.py"], "wrong.py, line 1: not valid Python"),
        (["lstn"], "there is no file, model or data set 'lstn'; did you mean 'lstm'?"),
        (["my_package:engine"], "my_package:engine: say what it is: --kind model, dataset, engine"),
        (["sample", "--set", "units=3"], "--set: sample is not a model"),
        (["--template", "modle"], "'modle' is not a kind; did you mean 'model'?"),
    ],
)
def test_mistakes_are_one_line_and_2(words, message, capsys):
    Path("empty.py").touch()
    Path("wrong.py").write_text("def build(:")
    assert conformance.main(words) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert len(errors.splitlines()) == 1


def test_what_a_target_is():
    Path("both.py").write_text("def build(task): ...\nfrom elsewhere import source\n")
    with pytest.raises(UserError, match=r"both\.py has build, source; name one function"):
        conformance.resolve("both.py")
    assert conformance.resolve("both.py:source") == ("both.py:source", "dataset")
    assert conformance.resolve("both.py:other", "engine") == ("both.py:other", "engine")
    assert conformance.resolve("both.py", "model") == ("both.py:build", "model")
    assert conformance.resolve("lstm") == ("lstm", "model")
    assert conformance.resolve("dir:x") == ("dir:x", "dataset")
