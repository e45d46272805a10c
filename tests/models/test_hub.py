"""Hub: a saved module under a small head, fine-tuned or frozen, from raw texts to a served model."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from pretrained import check_session
from small_modules import write_module

from benchmark import sweep
from benchmark.models.hub import ModuleLayer, build
from benchmark.models.source_description import describe
from benchmark.models.task import Task
from benchmark.plan.space import find_space, load_space
from benchmark.serving.stored_models import pack_model
from benchmark.spec.config import TRAIN_KEYS, RunSpec, TrainSettings, seed_bundle
from benchmark.training.train import train

WORDS = ["tea", "coffee", "water", *(f"word{number}" for number in range(40)), "unused"]
TASK = Task(("neg", "pos"), 0, 0)


@pytest.fixture(scope="session")
def module(tmp_path_factory):
    return write_module(tmp_path_factory.mktemp("hub") / "module", WORDS)


@pytest.fixture(scope="session")
def run(three_classes, tmp_path_factory):
    """``run(handle, trainable=…, epochs=…)`` gives the result of a final run and its model's folder."""

    def run(handle, *, trainable=True, epochs=6, **training):
        spec = RunSpec(
            model="hub",
            dataset=three_classes.name,
            dataset_digest=three_classes.digest,
            kind="final",
            view=None,
            training=TrainSettings(batch_size=24, learning_rate=0.1, epochs=epochs, **training),
            hparams={"handle": str(handle), "trainable": trainable, "units": 16, "dropout": 0.2},
            seeds=seed_bundle(0, "search", 0),
        )
        folder = tmp_path_factory.mktemp("run")
        result = train(spec, three_classes, ledger=folder / "ledger.jsonl", servable=folder / "served")
        assert (result.status, result.error) == ("ok", "")
        return result, folder / "served"

    return run


@pytest.fixture(scope="session")
def tuned(run, module):
    """A fine-tuned run; the folder of its module is gone."""
    own = shutil.copytree(module, module.with_name("own"))
    trained = run(own, patience=6)
    shutil.rmtree(own)
    return trained


def table(folder):
    """Return the word vectors in a SavedModel; there is one copy of them."""
    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    tables = [reader.get_tensor(name) for name in reader.get_variable_to_shape_map()]
    (found,) = (array for array in tables if getattr(array, "shape", None) == (len(WORDS) + 1, 8))
    return found


@pytest.mark.long
def test_fine_tuning_changes_the_vectors_of_the_words_that_occur(tuned, module):
    result, folder = tuned
    before, after = table(module), table(folder / "saved_model")
    seen = [word != "unused" for word in [*WORDS, "any unknown word"]]
    np.testing.assert_array_equal((before != after).any(axis=1), seen)
    assert result.test_accuracy > 0.9


@pytest.mark.long
def test_a_frozen_module_stays_as_it_is(run, tuned, module):
    frozen, folder = run(module, trainable=False, epochs=2)
    np.testing.assert_array_equal(table(folder / "saved_model"), table(module))
    assert frozen.history["loss"] != tuned[0].history["loss"][:2]
    assert frozen.parameters == tuned[0].parameters


@pytest.mark.long
def test_a_run_begins_with_the_saved_vectors_and_ends_with_those_of_the_best_epoch(run, tuned, module):
    """One that stops at the best epoch of another goes the same way, and ends where that one returned to."""
    longer, _ = tuned
    assert 1 < longer.best_epoch < 6
    shorter, _ = run(module, epochs=longer.best_epoch, patience=None)
    for curve in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert shorter.history[curve] == longer.history[curve][: longer.best_epoch]
    np.testing.assert_array_equal(shorter.test_probabilities, longer.test_probabilities)


SERVED = """
import json, sys
from pathlib import Path
import mlflow
from benchmark.serving.mlflow_model import Servable
folder, packed, texts = Path(sys.argv[1]), sys.argv[2], json.loads(Path(sys.argv[3]).read_text())
answer = mlflow.pyfunc.load_model(packed).predict(texts)
columns = [name for name in answer.columns if name.startswith("probability_")]
served = Servable(folder)
odd = served.predict(["", "no such words", "\\ud800", "caf\\xe9 \\u6620\\u753b"])
print(json.dumps([served.predict(texts).tolist(), answer[columns].values.tolist(), odd.tolist()]))
"""


@pytest.mark.long
def test_served_without_its_module_it_gives_the_same_answers(tuned, three_classes, tmp_path, run_python):
    result, folder = tuned
    pack_model(folder, tmp_path / "packed")
    from benchmark.data.dataset import MappedTexts

    texts = MappedTexts(three_classes.folder / "test").texts(np.arange(three_classes.sizes["test"]))
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    output = run_python(SERVED, folder, tmp_path / "packed", tmp_path / "texts.json")
    served, packed, odd = (np.array(part, np.float32) for part in json.loads(output.splitlines()[-1]))
    np.testing.assert_array_equal(served, result.test_probabilities)
    np.testing.assert_array_equal(packed, result.test_probabilities)
    assert odd.shape == (4, 3)
    assert np.isfinite(odd).all()


@pytest.mark.long
def test_a_session(module, capsys):
    options = ["--budget", "smoke", "--trials", "1", "--seeds", "1", "--epochs", "1"]
    assert sweep.main(["--model", "hub", "--dataset", "sample", "--set", f"handle={module}", *options]) == 0
    check_session(capsys)


def test_without_its_module_the_command_says_how_to_bring_one(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody listens
    assert sweep.main(["--model", "hub", "--dataset", "sample", "--budget", "smoke"]) == 2
    error = capsys.readouterr().err
    assert "nnlm-en-dim50/2' cannot be fetched (tfhub.dev cannot be reached from here); name a cache" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()


# The architecture


@pytest.mark.parametrize(
    ("hparams", "parameters"),
    [
        ({}, 8 * 16 + 16 + 16 + 1),
        ({"units": 0}, 8 + 1),
        ({"units": 4, "dropout": 0.5}, 8 * 4 + 4 + 4 + 1),
    ],
)
def test_parameters(module, hparams, parameters):
    vectors = 8 * (len(WORDS) + 1) + 1  # and a weight that is not to be trained
    model = build(TASK, handle=str(module), **hparams)
    assert model.count_params() == vectors + parameters
    assert len(model.trainable_variables) == 1 + (4 if hparams.get("units", 16) else 2)
    frozen = build(TASK, handle=str(module), trainable=False, **hparams)
    assert len(frozen.trainable_variables) == len(model.trainable_variables) - 1


def test_the_layer_gives_what_the_module_gives(module):
    texts = tf.constant(["tea coffee", "", "no such words", "tea"])
    original = tf.saved_model.load(str(module))
    np.testing.assert_array_equal(ModuleLayer(module)(texts), original(texts))
    vectors = table(module)
    np.testing.assert_allclose(original(texts)[0], vectors[:2].sum(axis=0) / np.sqrt(2), rtol=1e-6)


def test_a_module_whose_signature_hides_its_shapes(tmp_path):
    folder = write_module(tmp_path / "module", ["great"], dim=5, shapes_known=False)
    layer = ModuleLayer(folder)
    assert layer(keras.Input((), dtype="string")).shape == (None, 5)
    model = build(TASK, handle=str(folder))
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    before = model.get_weights()
    model.fit(tf.constant(["great", "dull"]), np.array([1, 0]), verbose=0)
    assert all(
        (old != new).any() for old, new in zip(before, model.get_weights(), strict=True) if old.ndim == 2
    )


def test_space_and_builder_have_the_same_hyper_parameters_and_defaults():
    described = describe("hub")
    assert (described.input, described.resources) == (
        "strings",
        {"handle": "benchmark.vectors.hub_modules:identify"},
    )
    space = load_space(find_space("hub"), described.parameters)
    own = {name: value for name, value in space.default.items() if name not in TRAIN_KEYS}
    assert own == described.parameters
    assert space.default.keys() - space.search.keys() == {"handle", "optimizer", "epochs", "patience"}
