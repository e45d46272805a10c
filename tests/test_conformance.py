"""The checks of third-party models, data sets and engines: sound ones pass, each broken one is told why."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import benchmark
from benchmark.conformance import __main__ as command
from benchmark.conformance.check import Examination, Options
from benchmark.conformance.target import resolve
from benchmark.support.errors import UserError

ROOT = Path(benchmark.__file__).parents[1]

MODEL = '''
"""A model made by a test."""
import keras
import numpy as np

HEAD


def build(task, *, units: int = 8MORE):
    ids = keras.Input((task.columns,), dtype="int32")
    x = keras.layers.Embedding(task.vocabulary_size, units)(ids)
    x = keras.layers.GlobalAveragePooling1D()(x)
    BODY
    return keras.Model(ids, outputs)
'''
DENSE = "outputs = keras.layers.Dense(task.n_outputs)(x)"

SOURCE = '''
"""A data set made by a test."""
import numpy as np
from benchmark.data.source import Row


class Made:
    name, home, class_names, validation_share = "made", "a test", ("low", "high"), 0.2

    def key(self):
        return "made v1"

    def rows(self):
        for part, size in (("train", 40), ("test", 10)):
            for number in range(size):
                yield Row(part, f"{part} {number}", number % 2)


class Broken(Made):
    BODY


def source(options):
    return CLASS()
'''


def write_model(body=DENSE, head="", more=""):
    content = MODEL.replace("BODY", body.replace("\n", "\n    ")).replace("HEAD", head).replace("MORE", more)
    Path("made.py").write_text(content)
    return "made.py"


def write_source(body="pass", kind="Broken"):
    Path("made.py").write_text(SOURCE.replace("BODY", body.replace("\n", "\n    ")).replace("CLASS", kind))
    return "made.py"


def examine(target, name=None, kind=None):
    """Carry out all checks, or one and the basic ones before it; return their outcomes by name."""
    with Examination(*resolve(target, kind), Options({})) as examination:
        wanted = list(examination.checks)
        if name is not None:
            while wanted[-1].name != name:
                wanted.pop()
            wanted = [check for check in wanted if check.basic or check.name == name]
        return {check.name: examination.carry_out(check) for check in wanted}


def failures(outcomes):
    return {name: outcome for name, outcome in outcomes.items() if outcome.status == "fail"}


def the_failure(outcomes, name):
    """The reason of the only failure, which has a mend."""
    failed = failures(outcomes)
    assert set(failed) == {name}, failed
    assert failed[name].mend
    assert len(failed[name].message.splitlines()) == 1
    return failed[name].message


# Models


def readme_model():
    """The model of the section "Your own architecture"."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (found,) = (block for block in blocks if block.startswith("# my_model.py"))
    return found


def test_the_model_of_the_readme_passes(capsys):
    """As a user runs it, in this process."""
    Path("my_model.py").write_text(readme_model())
    cache = os.environ["BENCHMARK_CACHE_DIR"]
    assert command.main(["my_model.py"]) == 0, capsys.readouterr().out
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if line and line[0] != "m"] == [
        "pass  signature",
        "pass  space",
        "pass  builds",
        "pass  logits",
        "skip  padding",
        "pass  size and time",
        "pass  every mode",
        "pass  deterministic",
        "pass  learns",
        "pass  no look at test",
        "pass  stored",
    ]
    assert lines[-1] == "model my_model.py:build: passed"
    assert os.environ["BENCHMARK_CACHE_DIR"] == cache
    assert sorted(path.name for path in Path().iterdir()) == ["my_model.py"]


@pytest.mark.parametrize(
    ("body", "check", "reason"),
    [
        (
            'end = "sigmoid" if task.n_outputs == 1 else "softmax"\n'
            "outputs = keras.layers.Dense(task.n_outputs, end)(x)",
            "logits",
            "outputs are probabilities, not logits",
        ),
        (
            "outputs = keras.layers.Dense(len(task.class_names))(x)",
            "builds",
            "for 2 classes its output has the shape (None, 2), expected (None, 1)",
        ),
        (
            "outputs = keras.layers.Dense(task.n_outputs)(keras.ops.log(keras.ops.relu(x) - 1.0))",
            "logits",
            "outputs are not finite",
        ),
        (
            "outputs = keras.layers.Dense(task.n_outputs)(keras.ops.ones_like(x))",
            "logits",
            "the input is not used",
        ),
        (
            "noise = np.random.default_rng().normal(size=units)\n"
            "outputs = keras.layers.Dense(task.n_outputs)(x + keras.ops.cast(noise, 'float32'))",
            "deterministic",
            "two runs with the same seeds differ",
        ),
        (
            "import os\nfrom pathlib import Path\n"
            "for labels in Path(os.environ['BENCHMARK_CACHE_DIR']).rglob('test/labels.npy'):\n"
            f"    np.load(labels)\n{DENSE}",
            "no look at test",
            "the test part was read while a trial was trained (labels.npy)",
        ),
    ],
    ids=["softmax", "outputs", "not finite", "ids", "random", "test part"],
)
def test_broken_models_are_told_why(body, check, reason):
    assert reason in the_failure(examine(write_model(body), check), check)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (", widths=[3, 4]", "line 9: the default of 'widths' is [3, 4]; expected a plain value"),
        (", width: int", "'width' has no default"),
        (", learning_rate: float = 0.1", "'learning_rate' is the name of a setting of all models"),
    ],
)
def test_signatures_that_do_not_do(more, reason):
    outcomes = examine(write_model(more=more))
    assert reason in the_failure(outcomes, "signature")
    assert {outcome.status for name, outcome in outcomes.items() if name != "signature"} == {"skip"}


def test_a_claim_about_padding():
    claim = "IGNORES_PADDING = True"
    assert "padding (post) changes the answers" in the_failure(
        examine(write_model(head=claim), "padding"), "padding"
    )
    true = write_model(
        "x = keras.layers.Embedding(task.vocabulary_size, units, mask_zero=True)(ids)\n"
        f"x = keras.layers.GlobalAveragePooling1D()(x)\n{DENSE}",
        claim,
    )
    assert examine(true, "padding")["padding"].status == "pass"
    unknown = write_model(head='IGNORES_PADDING = "maks"')
    assert "which is no hyper-parameter" in the_failure(examine(unknown, "padding"), "padding")


@pytest.mark.long
def test_a_layer_of_its_own_is_stored_unless_it_calls_python():
    head = (
        "import tensorflow as tf\nclass Twice(keras.layers.Layer):\n    def call(self, x):\n        return "
    )
    outcomes = examine(write_model(f"x = Twice()(x)\n{DENSE}", head + "2 * x"), "stored")
    assert outcomes["stored"].status == "pass"
    python = "x + tf.ensure_shape(tf.numpy_function(lambda x: 0 * x, [x], x.dtype), x.shape)"
    outcomes = examine(write_model(f"x = Twice()(x)\n{DENSE}", head + python), "stored")
    assert "calls Python while it answers" in the_failure(outcomes, "stored")


@pytest.mark.long
def test_a_model_that_does_not_learn():
    body = "for layer in [keras.layers.Dense(task.n_outputs, kernel_initializer='zeros', trainable=False)]:\n"
    outcomes = examine(write_model(f"{body}    outputs = layer(x)"), "learns")
    assert "expected more than 0.5" in failures(outcomes)["learns"].message


@pytest.mark.long
@pytest.mark.parametrize("words", [["tfidf-logreg"], ["cnn", "--set=mask_zero=true", "--set=filters=16"]])
def test_built_in_models_pass(words, capsys):
    assert command.main(words) == 0, capsys.readouterr().out


def test_a_space_that_does_not_fit():
    target = write_model()
    Path("made.yaml").write_text("model: made\nsource: a test\ndefault: {unist: 8}\n")
    message = the_failure(examine(target), "space")
    assert "made.yaml" in message
    assert "did you mean 'units'?" in message


# Data sets


def test_a_sound_data_set_passes():
    assert not failures(examine(write_source(kind="Made")))


@pytest.mark.parametrize(
    ("body", "check", "reason"),
    [
        (
            'def rows(self):\n    yield Row("train", "a", 2)',
            "rows",
            "a row of train has label 2, and there are 2 class_names",
        ),
        ('def rows(self):\n    yield Row("train", "a", np.int64(1))', "rows", "a label is int64"),
        ('def rows(self):\n    yield Row("train", b"a", 1)', "rows", "a text is bytes"),
        (
            'def rows(self):\n    yield Row("dev", "a", 1, "line 7")',
            "rows",
            "a row is of part 'dev' (line 7)",
        ),
        ("def rows(self):\n    return iter(())", "rows", "rows() yields nothing"),
        ("def rows(self):\n    return list(super().rows())", "streams", "rows() returns a list"),
        (
            'def rows(self):\n    yield Row("train", " ", 1, "line 7")\n    yield from super().rows()',
            "texts",
            "a text of train is empty (line 7)",
        ),
        (
            "def rows(self):\n    for row in super().rows():\n        yield row\n"
            '        yield row._replace(part="train")',
            "parts",
            "10 of 10 test texts also stand in train or validation",
        ),
        ("class_names = ('low', 'high', 'none')", "parts", "no text of train is of the class 'none'"),
        ("validation_share = 0", "parts", "0 rows are validation, and validation_share is 0"),
        ("class_names = ['low', 'high']", "attributes", "class_names is ['low', 'high']"),
        ("home = ''", "attributes", "home is ''"),
        (
            "def key(self):\n    return str(hash('made'))",
            "key",
            "in another process key() or the rows are others",
        ),
        (
            "def rows(self):\n    for text in sorted({row.text for row in super().rows()}, key=hash):\n"
            "        yield Row(text.split()[0], text, int(text.split()[1]) % 2)",
            "key",
            "in another process key() or the rows are others",
        ),
        (
            "def __init__(self):\n    self.left = list(super().rows())\n"
            "def rows(self):\n    while self.left:\n        yield self.left.pop(0)",
            "repeatable",
            "the rows read again are none",
        ),
    ],
)
def test_broken_data_sets_are_told_why(body, check, reason):
    assert reason in failures(examine(write_source(body), check))[check].message


def test_a_data_set_that_is_held_in_memory():
    lines = "for number in range(400):\n            yield Row('test' if number % 4 == 0 else 'train', "
    lines += "f'{number} ' * 12_000, number % 2)"
    streamed = f"def rows(self):\n    if True:\n        {lines}"
    outcome = examine(write_source(streamed), "streams")["streams"]
    assert outcome.status == "pass"
    assert re.match(r"\d MB are held while 18 MB", outcome.message), outcome.message
    held = f"def all(self):\n    if True:\n        {lines}\ndef rows(self):\n    yield from list(self.all())"
    assert "18 MB of texts are read" in the_failure(examine(write_source(held), "streams"), "streams")


@pytest.mark.long
def test_built_in_data_sets_pass():
    assert not failures(examine("sample"))


# Engines


def test_the_engine_of_this_process_passes():
    outcomes = examine("benchmark.execution.inline:InlineEngine", kind="engine")
    assert {outcome.status for outcome in outcomes.values()} == {"pass"}, failures(outcomes)


@pytest.mark.parametrize(
    ("change", "check", "reason"),
    [
        (
            ("return handler.epoch(job, report)", "handler.epoch(job, report)"),
            "obeys answers",
            "answered 'pruned' after epoch 2 of 6, the run ended as ok after 6 epochs",
        ),
        pytest.param(
            ("time.sleep(PAUSE)\n                continue", "return"),
            "waits for jobs",
            "1 of 2 came to their end",
            marks=pytest.mark.long,
        ),
        pytest.param(
            ("handler.started(job)\n", "pass\n"),
            "tells everything",
            "was told: epoch 1, epoch 2, ended",
            marks=pytest.mark.long,
        ),
        pytest.param(
            ("ledger=place.ledger", "ledger=None"),
            "final runs",
            "a final run has no test probabilities (ValueError: a final run needs the ledger",
            marks=pytest.mark.long,
        ),
    ],
)
def test_broken_engines_are_told_why(change, check, reason):
    template = ROOT / "benchmark/conformance/templates/engine.py"
    content = template.read_text(encoding="utf-8")
    assert change[0] in content
    Path("engine_of_mine.py").write_text(content.replace(*change))
    assert reason in the_failure(examine("engine_of_mine.py", check), check)


def test_an_engine_that_hangs_is_told(monkeypatch):
    monkeypatch.setattr("benchmark.conformance.engines._PATIENCE", 0.3)
    Path("slow.py").write_text(
        "import time\n\n\nclass engine:\n    def __init__(self, place): pass\n    def close(self): pass\n"
        "    def run(self, handler): time.sleep(3)\n"
    )
    assert "did not come back" in the_failure(examine("slow.py", "tells everything"), "tells everything")


# The command and the plug-in


@pytest.mark.parametrize(
    "kind", ["dataset", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("model", "engine"))]
)
def test_templates_pass(kind, capsys):
    assert command.main(["--template", kind]) == 0
    Path("mine.py").write_text(capsys.readouterr().out)
    assert command.main(["mine.py", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["kind"], answer["failed"]) == (kind, 0)
    assert {check["status"] for check in answer["checks"]} <= {"pass", "skip"}


def test_a_failure_is_1_with_reason_and_mend(capsys):
    write_source('def rows(self):\n    yield Row("train", b"a", 1)')
    assert command.main(["made.py"]) == 1
    out = capsys.readouterr().out
    assert 'fail  rows: a text is bytes\n      mend: a str; bytes: text.decode("utf-8")\n' in out
    assert "skip  prepares: 'rows' has to be passed first" in out
    assert out.endswith("dataset made.py:source: 1 of 8 checks failed\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name a file to be checked, or --template model, dataset or engine"),
        (["gone.py"], "gone.py: no such file or directory"),
        (["empty.py"], "empty.py has no build, source, engine; name one function, as empty.py:build"),
        (["wrong.py"], "wrong.py, line 1: not valid Python"),
        (["lstn"], "there is no file, model or data set 'lstn'; did you mean 'lstm'?"),
        (["my_package:engine"], "my_package:engine: say what it is: --kind model, dataset, engine"),
        (["sample", "--set", "units=3"], "--set: sample is no model"),
        (["--template", "modle"], "'modle' is not a kind; did you mean 'model'?"),
    ],
)
def test_mistakes_are_one_line_and_2(words, message, capsys):
    Path("empty.py").touch()
    Path("wrong.py").write_text("def build(:")
    assert command.main(words) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert len(errors.splitlines()) == 1


def test_what_a_target_is():
    Path("both.py").write_text("def build(task): ...\ndef source(options): ...\n")
    with pytest.raises(UserError, match=r"both\.py has build and source; name one function"):
        resolve("both.py")
    assert resolve("both.py:source") == ("both.py:source", "dataset")
    assert resolve("both.py", "model") == ("both.py:build", "model")
    assert resolve("lstm") == ("lstm", "model")
    assert resolve("dir:x") == ("dir:x", "dataset")


def run_pytest(*words):
    """Run pytest with the plug-in in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-p", "benchmark.conformance.plugin", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_plug_in_makes_a_test_of_each_check():
    write_source('def rows(self):\n    yield Row("train", b"a", 1)')
    Path("test_other.py").write_text("def test_other(): assert False\n")
    code, out = run_pytest("--conformance", "made.py")
    assert code == 1, out
    assert "PASSED made.py::attributes" in out
    assert "FAILED made.py::rows" in out
    assert "a text is bytes\nmend: a str" in out
    assert "1 failed, 1 passed, 6 skipped" in out  # and not test_other
    code, out = run_pytest("--conformance", "gone.py")
    assert code == 4
    assert "ERROR: --conformance: gone.py: no such file or directory" in out


def test_the_plug_in_leaves_others_alone():
    write_source(kind="Made")
    Path("test_other.py").write_text(
        "import sys\ndef test_other():\n    assert not {'tensorflow', 'keras', 'mlflow'} & set(sys.modules)\n"
    )
    code, out = run_pytest("test_other.py", "--conformance", "made.py")
    assert (code, "9 passed" in out) == (0, True), out
