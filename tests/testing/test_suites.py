"""The suites find what is broken, and what this project has itself passes them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import benchmark
from benchmark.execution import inline
from benchmark.models import MODELS
from benchmark.models.avg_pool import build
from benchmark.support.errors import UserError
from benchmark.testing import DatasetSuite, EngineSuite, ModelSuite
from benchmark.testing.toy_data import ToyData

# What the project has itself. Their names are those of the registry; models with files of their own have
# tests of their own, and `majority` learns nothing by design.


class TestAvgPool(ModelSuite):
    model = staticmethod(build)
    hparams = {"mask": True}  # noqa: RUF012
    test_stored = None  # see `models/test_architectures.py`


@pytest.mark.long
class TestNbsvm(ModelSuite):
    model = "nbsvm"


class TestMajority(ModelSuite):
    model = "majority"
    test_learns = None
    test_stored = None


SMALL = {
    "bilstm": {"embedding_dim": 16, "units": 8},
    "cnn": {"embedding_dim": 16, "filters": 16, "mask_zero": True},
    "fasttext": {"embedding_dim": 16, "buckets": 500},
    "gru": {"embedding_dim": 16, "units": 16},
    "lstm": {"embedding_dim": 16, "units": 16},
}
# Sorted: the order of a set differs between processes.
for _name in sorted({*MODELS} - {"avg-pool", "nbsvm", "majority", "glove", "hub", "encoder", "encoder-head"}):
    _own = {"model": _name, "hparams": SMALL.get(_name, {})}
    if _name != "tfidf-logreg":  # one process answers for all networks in models/test_architectures.py
        _own["test_stored"] = None
    _suite = type(f"Test_{_name}", (ModelSuite,), _own)
    globals()[_suite.__name__] = pytest.mark.long(_suite)


class TestToyData(DatasetSuite):
    dataset = ToyData


@pytest.mark.long
class TestSample(DatasetSuite):
    dataset = "sample"


# What is broken


def failure(base, test, **attributes):
    """Return why a test of a suite fails, without what may follow the reason."""
    suite = type("Made", (base,), attributes)
    suite.setup_class()
    try:
        with pytest.raises((AssertionError, UserError, AttributeError)) as caught:
            getattr(suite(), f"test_{test}")()
    finally:
        suite.teardown_class()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


MODEL = '''
"""A model made by a test."""
import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

{head}


class Twice(keras.layers.Layer):
    def call(self, x):
        return x + tf.ensure_shape(tf.numpy_function(lambda x: x, [x], x.dtype), x.shape)


def build(task, *, units: int = 8{more}):
    dense = keras.layers.Dense(task.n_outputs)
    ids = keras.Input((task.columns,), dtype="int32")
    x = keras.layers.Embedding(task.vocabulary_size, units)(ids)
    x = keras.layers.GlobalAveragePooling1D()(x)
    {body}
    return keras.Model(ids, outputs)
'''


def model_failure(test, body="outputs = dense(x)", head="", more=""):
    content = MODEL.format(body=body.replace("\n", "\n    "), head=head, more=more)
    Path("made.py").write_text(content)
    return failure(ModelSuite, test, model="made.py:build")


@pytest.mark.parametrize(
    ("test", "body", "reason"),
    [
        (
            "logits",
            "outputs = keras.layers.Activation('sigmoid' if task.n_outputs == 1 else 'softmax')(dense(x))",
            "outputs are probabilities, not logits",
        ),
        (
            "builds",
            "outputs = keras.layers.Dense(len(task.class_names))(x)",
            "for 2 classes its output has the shape (None, 2), expected (None, 1)",
        ),
        ("logits", "outputs = dense(keras.ops.log(keras.ops.relu(x) - 1.0))", "outputs are not finite"),
        ("logits", "outputs = dense(keras.ops.ones_like(x))", "the input is not used"),
        (
            "repeatable",
            "noise = np.random.default_rng().normal(size=units)\n"
            "outputs = dense(x + keras.ops.cast(noise, 'float32'))",
            "two runs with the same seeds differ",
        ),
        (
            "trial_does_not_read_test",
            "for labels in Path(os.environ['BENCHMARK_CACHE_DIR']).rglob('test/labels.npy'):\n"
            "    np.load(labels)\n"
            "outputs = dense(x)",
            "the test split was read while a trial was trained (labels.npy)",
        ),
        ("stored", "outputs = dense(Twice()(x))", "calls Python while it answers"),
        (
            "learns",
            "outputs = keras.layers.Dense(task.n_outputs, kernel_initializer='zeros', trainable=False)(x)",
            "expected more than 0.",
        ),
    ],
)
def test_broken_models(test, body, reason):
    assert reason in model_failure(test, body)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (", widths=[3, 4]", "the default of 'widths' is [3, 4]"),
        (", width: int", "'width' has no default"),
        (", learning_rate: float = 0.1", "'learning_rate' is the name of a setting of all models"),
    ],
)
def test_signatures(more, reason):
    assert reason in model_failure("signature", more=more)


@pytest.mark.parametrize(
    ("claim", "reason"),
    [("True", "padding (post) changes the outputs"), ("'maks'", "'maks', which is not a hyper-parameter")],
)
def test_claims_about_padding(claim, reason):
    assert reason in model_failure("padding", head=f"IGNORES_PADDING = {claim}")


def test_a_space_that_does_not_fit():
    Path("made.yaml").write_text("model: made\nsource: a test\ndefault: {unist: 8}\n")
    message = model_failure("space")
    assert "made.yaml" in message
    assert "'units'" in message


SOURCE = '''
"""A data set made by a test."""
import numpy as np
from benchmark.data.source import Row
from benchmark.testing.toy_data import ToyData


class Broken(ToyData):
    {body}


source = Broken
'''
ROWS = "def rows(self):\n        "
MANY = "(Row(('train', 'test')[n % 4 == 0], f'{n} ' * 12_000, n % 3) for n in range(400))"


@pytest.mark.parametrize(
    ("test", "body", "reason"),
    [
        (
            "rows",
            f"{ROWS}yield Row('train', 'a', 3)",
            "a row of train has label 3, and there are 3 class_names",
        ),
        ("rows", f"{ROWS}yield Row('train', 'a', np.int64(1))", "a label is int64"),
        ("rows", f"{ROWS}yield Row('train', b'a', 1)", "a text is bytes"),
        ("rows", f"{ROWS}yield ('train', 'a', 1)", "a row is \"('train', 'a', 1)\""),
        ("rows", f"{ROWS}yield Row('dev', 'a', 1, 'line 7')", "a row is of split 'dev' (line 7)"),
        ("rows", f"{ROWS}yield Row('train', ' ', 1, 'line 7')", "a text of train is empty (line 7)"),
        ("rows", f"{ROWS}yield Row('train', '\\ud800', 1, 'line 7')", "is not UTF-8 (line 7)"),
        ("rows", f"{ROWS}return iter(())", "rows() yields nothing"),
        ("streams", f"{ROWS}return list(super().rows())", "rows() returns a list"),
        ("streams", f"{ROWS}yield from list({MANY})", "18 MB are held while 18 MB are read"),
        (
            "splits",
            f"{ROWS}for row in super().rows():\n            yield row\n"
            "            yield row._replace(split='train')",
            "90 of 90 test texts are also in train or validation",
        ),
        ("splits", "class_names = (*ToyData.class_names, 'milk')", "no text of train is of the class 'milk'"),
        (
            "splits",
            "def __init__(self, options):\n        self.validation_share = 0",
            "0 rows are validation, and validation_share is 0",
        ),
        ("prepares", f"{ROWS}yield Row('train', 'a', 0)", "has no "),
        ("attributes", "class_names = ['low', 'high']", "class_names is ['low', 'high']"),
        ("attributes", "class_names = ('low',)", "class_names is ('low',)"),
        ("attributes", "home = ''", "home is ''"),
        ("attributes", "home = property()", "home"),
        (
            "key",
            "def key(self):\n        return str(hash('made'))",
            "in another process key() or the rows differ",
        ),
        (
            "key",
            f"{ROWS}yield from sorted(super().rows(), key=hash)",
            "in another process key() or the rows differ",
        ),
        (
            "repeatable",
            "def __init__(self, options):\n        super().__init__(options)\n"
            f"        self.left = list(super().rows())\n    {ROWS}while self.left:\n"
            "            yield self.left.pop(0)",
            "the rows read again are none",
        ),
    ],
)
def test_broken_data_sets(test, body, reason):
    Path("made.py").write_text(SOURCE.format(body=body))
    assert reason in failure(DatasetSuite, test, dataset="made.py:source")


@pytest.mark.long
def test_a_large_data_set_that_is_streamed():
    Path("made.py").write_text(SOURCE.format(body=f"{ROWS}yield from {MANY}"))
    suite = type("Made", (DatasetSuite,), {"dataset": "made.py:source"})
    suite().test_streams()
    assert suite.reading().characters > 17e6


ON_EPOCH = "on_epoch=lambda report, job=job: handler.epoch(job, report)"
OTHER = "__import__('benchmark.spec.config').spec.config.seed_bundle(0, 'search', 9)"


@pytest.mark.parametrize(
    ("test", "old", "new", "reason"),
    [
        ("pruning", ON_EPOCH, f"{ON_EPOCH} and None", "the run finished with status ok after epoch 6"),
        pytest.param(
            *("stop", ON_EPOCH, f"{ON_EPOCH} and None", "after a stop runs finished with status ok"),
            marks=pytest.mark.long,
        ),
        ("waiting", "continue", "return", "1 of 2 runs"),
        ("runs", "handler.started(job)", "pass", "was reported: epoch 1, epoch 2, ended"),
        pytest.param(
            *("runs", "handler.ended(job, result)", "job.number == 1 or handler.ended(job, result)"),
            "epoch 2;",
            marks=pytest.mark.long,
        ),
        pytest.param(
            *("runs", "job.spec,", f"job.spec.model_copy(update={{'seeds': {OTHER}}}),"),
            "the losses of a run are",
            marks=pytest.mark.long,
        ),
        pytest.param(
            *("failures", "handler.ended(job, result)", "result.error = ''; handler.ended(job, result)"),
            "traceback",
            marks=pytest.mark.long,
        ),
        (
            "failures",
            "handler.ended(job, result)",
            "assert not result.error; handler.ended(job, result)",
            "raised",
        ),
        ("final_run", "ledger=place.ledger", "ledger=None", "no test probabilities (ValueError: a final run"),
        ("final_run", "servable=job.servable", "servable=None", "its model was not kept"),
        ("ledger", "ledger=place.ledger", "ledger=lambda *look: None", "a final run finished with status ok"),
        ("closes_twice", "def close", "def shut", "no attribute 'close'"),
    ],
)
def test_broken_engines(test, old, new, reason):
    content = Path(inline.__file__).read_text()
    assert content.count(old) == 1
    Path("made.py").write_text(content.replace(old, new))
    assert reason in failure(EngineSuite, test, engine="made.py:engine")


def test_an_engine_that_hangs():
    Path("made.py").write_text(
        "import time\n\n\nclass engine:\n    def __init__(self, place): pass\n    def close(self): pass\n"
        "    def run(self, handler): time.sleep(3)\n"
    )
    assert "did not return" in failure(EngineSuite, "runs", engine="made.py:engine", patience=0.3)


def test_a_plug_in_has_the_suite_in_few_lines():
    Path("made.py").write_text(SOURCE.format(body=f"{ROWS}yield Row('train', b'a', 1)"))
    Path("test_made.py").write_text(
        "from benchmark.testing import DatasetSuite\n\n\n"
        "class TestMade(DatasetSuite):\n    dataset = 'made.py:source'\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-k", "attributes or rows"],
        env={**os.environ, "PYTHONPATH": str(Path(benchmark.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "PASSED test_made.py::TestMade::test_attributes" in done.stdout
    assert "FAILED test_made.py::TestMade::test_rows - AssertionError: a text is bytes" in done.stdout
