"""What is particular to one architecture, or takes all of them; `testing/test_suites.py` has the rest."""

import json
import sys
from functools import cache

import keras
import numpy as np
import pytest

from benchmark.data.dataset import MappedTexts
from benchmark.models import MODELS, load_builder
from benchmark.models.cnn import parse_widths
from benchmark.models.fasttext import AppendBigrams
from benchmark.models.source_description import describe
from benchmark.models.task import Task
from benchmark.plan.space import find_space, load_space
from benchmark.serving.mlflow_model import Servable
from benchmark.serving.stored_models import pack_model
from benchmark.spec.config import TRAIN_KEYS, VIEW_KEYS, RunSpec, TrainSettings, ViewSettings, seed_bundle
from benchmark.training.train import train

# Those that read ids and nothing else; models with files of their own have tests of their own.
NAMES = sorted(name for name in MODELS if describe(name).input == "ids" and not describe(name).resources)

# Sizes at which a test takes a second; everything else is as published.
SMALL = {
    "bilstm": {"embedding_dim": 16, "units": 8},
    "cnn": {"embedding_dim": 16, "filters": 16},
    "fasttext": {"embedding_dim": 16, "buckets": 500},
    "gru": {"embedding_dim": 16, "units": 16},
    "lstm": {"embedding_dim": 16, "units": 16},
}

# By hand, from the layers of the sources; with one logit for two classes.
PARAMETERS = {
    "avg-pool": 10_000 * 16 + 16 * 16 + 16 + 16 + 1,
    "bilstm": 2_757_761,  # as keras.io's page prints it
    "cnn": 20_000 * 128 + (3 + 4 + 5) * 128 * 100 + 3 * 100 + 300 + 1,
    "fasttext": (20_000 + 100_000) * 10 + 10 + 1,
    "flatten": 80_000 + 161,
    "gru": 20_000 * 128 + 3 * (128 * 128 + 128 * 128 + 2 * 128) + 128 + 1,
    "lstm": 50_000 * 128 + 4 * (128 * 100 + 100 * 100 + 100) + 100 + 1,
    # Vectors; attention (query, key and value into 2 heads of 32, and back); feed-forward; norms; head.
    "transformer": 646_400 + 3 * (32 * 64 + 64) + 64 * 32 + 32 + 2 * (32 * 32 + 32) + 2 * 64 + 660 + 21,
}


def make_task(classes=2, length=7, vocabulary_size=50):
    return Task(tuple(f"class {number}" for number in range(classes)), vocabulary_size, length)


def build(name, task, **hparams):
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    return load_builder(name)(task, **hparams)


def make_spec(dataset, name, *, kind="trial", hparams=None, **training):
    return RunSpec(
        model=name,
        dataset=dataset.name,
        dataset_digest=dataset.digest,
        kind=kind,
        view=ViewSettings(vocabulary_size=2000, sequence_length=32, padding="pre"),
        # 320 texts to train on: the last batch is a partial one.
        training=TrainSettings(**{"batch_size": 24, "learning_rate": 0.01, "patience": 20, **training}),
        hparams={**SMALL.get(name, {}), **(hparams or {})},
        seeds=seed_bundle(0, "search", 0),
    )


@pytest.fixture(scope="module")
def trained(three_classes, tmp_path_factory):
    """``trained(name)`` gives a final run of a model and the folder it can be served from, made once."""
    folder = tmp_path_factory.mktemp("trained")

    @cache
    def run(name):
        spec = make_spec(three_classes, name, kind="final", epochs=8)
        result = train(spec, three_classes, ledger=folder / "ledger.jsonl", servable=folder / name)
        assert result.status == "ok", result.error
        return result, folder / name

    return run


@pytest.mark.long
def test_a_fresh_process_serves_what_was_evaluated(trained, three_classes, run_python, tmp_path):
    store = MappedTexts(three_classes.folder / "test")
    texts = [store.text(row) for row in range(three_classes.sizes["test"])]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    for name in NAMES:
        pack_model(trained(name)[1], tmp_path / name)
    code = """
import json, sys
from pathlib import Path
sys.modules["benchmark"] = None  # whoever imports it fails
import mlflow.pyfunc
texts = json.loads(Path("texts.json").read_text())
classes = ["probability_tea", "probability_coffee", "probability_water"]
print(json.dumps({name: mlflow.pyfunc.load_model(name).predict([*texts, ""])[classes].values.tolist()
                  for name in sys.argv[1:]}))
"""
    answers = json.loads(run_python(code, *NAMES).splitlines()[-1])
    assert sorted(answers) == NAMES
    for name, served in answers.items():
        evaluated = trained(name)[0].test_probabilities
        assert trained(name)[0].test_accuracy > 0.9
        np.testing.assert_allclose(served[:-1], evaluated, rtol=1e-5, atol=1e-6, err_msg=name)
        assert np.isfinite(served[-1]).all(), name


def test_a_served_folder_cannot_name_other_modules(trained, tmp_path, monkeypatch):
    _, folder = trained("fasttext")
    text = json.loads((folder / "text.json").read_text())
    assert "modules" not in text
    (tmp_path / "intruder.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "model.keras").write_bytes((folder / "model.keras").read_bytes())
    (tmp_path / "copy" / "text.json").write_text(json.dumps({**text, "modules": ["intruder"]}))
    assert Servable(tmp_path / "copy").predict(["tea"]).shape == (1, 3)
    assert "intruder" not in sys.modules


# Padding

BLIND = [name for name in NAMES if describe(name).ignores_padding]


def without_padding(name):
    """What makes a model leave padding out of account."""
    said = describe(name).ignores_padding
    return {said: True} if isinstance(said, str) else {}


def test_who_can_leave_padding_out_of_account():
    assert [name for name in NAMES if name not in BLIND] == ["flatten"]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == "avg-pool" else pytest.mark.long) for name in BLIND],
)
def test_batches_cut_to_their_longest_text(three_classes, tmp_path, name):
    """They learn as well, graph and fit agree, and what is served is what was evaluated."""
    spec = make_spec(three_classes, name, kind="final", epochs=8, trim=True, hparams=without_padding(name))
    ledger = tmp_path / "ledger.jsonl"
    result = train(spec, three_classes, compile="graph", ledger=ledger, servable=tmp_path / "model")
    assert result.status == "ok", result.error
    assert result.test_accuracy > 0.9
    store = MappedTexts(three_classes.folder / "test")
    served = Servable(tmp_path / "model").predict(store.texts(np.arange(three_classes.sizes["test"])))
    np.testing.assert_allclose(served, result.test_probabilities, rtol=1e-4, atol=1e-5)
    short = spec.model_copy(update={"training": spec.training.model_copy(update={"epochs": 2})})
    fit = train(short, three_classes, compile="fit", ledger=ledger)
    np.testing.assert_allclose(result.history["loss"][:2], fit.history["loss"], rtol=2e-3)


# Precision


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("avg-pool", "bfloat16"),
        ("avg-pool", "float16"),
        pytest.param("lstm", "bfloat16", marks=pytest.mark.long),
        pytest.param("transformer", "float16", marks=pytest.mark.long),
    ],
)
def test_fewer_digits_learn_as_well(three_classes, tmp_path, name, precision):
    spec = make_spec(three_classes, name, epochs=8, precision=precision)
    result = train(spec, three_classes, servable=tmp_path / "model")
    assert result.status == "ok", result.error
    assert result.best_val_accuracy > 0.9
    model = keras.saving.load_model(tmp_path / "model" / "model.keras", compile=False)
    assert {layer.compute_dtype for layer in model.layers if layer.weights} == {precision, "float32"}
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.layers[-1].compute_dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


# The space files


@pytest.mark.parametrize("name", NAMES)
def test_space_and_builder_have_the_same_hyper_parameters_and_defaults(name):
    parameters = describe(name).parameters
    space = load_space(find_space(name), parameters)
    own = {key: value for key, value in space.default.items() if key not in VIEW_KEYS | TRAIN_KEYS}
    assert own == parameters
    assert {key: type(value) for key, value in own.items()} == {
        key: type(value) for key, value in parameters.items()
    }
    assert space.default.keys() - space.search.keys() - {"mask_zero", "schedule"} == {"epochs", "patience"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in ("avg-pool", "flatten") else pytest.mark.long) for name in NAMES],
)
def test_every_searched_value_makes_another_model(name):
    space = load_space(find_space(name))
    task = make_task()
    seen = [build(name, task).get_config()]
    for key in describe(name).parameters:
        for value in space.search[key].samples() if key in space.search else (True,):
            if value != space.default[key]:
                config = build(name, task, **{key: value}).get_config()
                assert config not in seen, f"{key}={value}"
                seen.append(config)
    assert len(seen) > len(describe(name).parameters)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_of_the_published_configuration(name):
    default = load_space(find_space(name)).default
    task = make_task(2, default["sequence_length"], default["vocabulary_size"])
    assert build(name, task).count_params() == PARAMETERS[name]


# cnn


@pytest.mark.parametrize(("text", "widths"), [("3,4,5", [3, 4, 5]), ("7", [7]), (" 2 , 2", [2, 2])])
def test_widths(text, widths):
    assert parse_widths(text) == widths
    model = build("cnn", make_task(), widths=text)
    kernels = [layer.kernel_size for layer in model.layers if isinstance(layer, keras.layers.Conv1D)]
    assert kernels == [(width,) for width in widths]


@pytest.mark.parametrize("text", ["", "3,", "3;4", "0", "-3", "3.5", "three", "²"])
def test_widths_that_are_none(text):
    with pytest.raises(ValueError, match=f"^got widths '{text}', expected whole numbers above 0"):
        build("cnn", make_task(), widths=text)


@pytest.mark.long
def test_cnn_limits_the_weights_of_a_logit(three_classes, tmp_path):
    longest = {}
    for limit in (0.25, 0.0):
        spec = make_spec(three_classes, "cnn", epochs=1, hparams={"max_norm": limit})
        train(spec, three_classes, servable=tmp_path / str(limit))
        model = keras.saving.load_model(tmp_path / str(limit) / "model.keras", compile=False)
        longest[limit] = np.linalg.norm(model.layers[-1].kernel, axis=0).max()
    assert longest[0.25] <= 0.25 + 1e-5
    assert longest[0.0] > 0.5


# fasttext


def test_bigrams_follow_the_words_and_none_touches_padding():
    ids = np.array([[0, 0, 2, 3, 2], [2, 3, 2, 0, 0], [0, 0, 0, 0, 0]], dtype=np.int32)
    out = np.asarray(AppendBigrams(first=10, buckets=1000)(ids))
    assert out.dtype == np.int32
    assert out.shape == (3, 9)
    np.testing.assert_array_equal(out[:, :5], ids)
    pair, reverse = out[1, 5], out[1, 6]
    assert 10 <= min(pair, reverse) <= max(pair, reverse) < 1010
    assert pair != reverse
    np.testing.assert_array_equal(out[:, 5:], [[0, 0, pair, reverse], [pair, reverse, 0, 0], [0, 0, 0, 0]])


def test_bigrams_have_the_same_ids_for_ever():
    """A stored model depends on them."""
    out = np.asarray(AppendBigrams(first=0, buckets=100_000)(np.array([[2, 3, 19_999, 150_000]])))
    expected = [
        (left * 1_540_483_477 + right * 461_845_907) % (2**31 - 1) % 100_000
        for left, right in ((2, 3), (3, 19_999), (19_999, 150_000))
    ]
    assert out[0, 4:].tolist() == expected


@pytest.mark.parametrize("buckets", [1000, 1024, 4001])
def test_bigrams_of_frequent_words_spread_over_the_buckets(buckets):
    """As evenly as chance would have it: 2,500 pairs of the 50 most frequent words."""
    pairs = np.stack(np.meshgrid(np.arange(2, 52), np.arange(2, 52)), axis=-1).reshape(-1, 2)
    ids = np.asarray(AppendBigrams(first=0, buckets=buckets)(pairs.astype(np.int32)))[:, 2]
    by_chance = buckets * (1 - (1 - 1 / buckets) ** len(pairs))
    assert len(np.unique(ids)) > 0.95 * by_chance


def test_fasttext_does_not_average_padding():
    model = build("fasttext", make_task(length=6), embedding_dim=8, buckets=100)
    shorter = build("fasttext", make_task(length=3), embedding_dim=8, buckets=100)
    shorter.set_weights(model.get_weights())
    front, behind = (np.asarray(model(np.array([ids]))) for ids in ([0, 0, 0, 5, 6, 7], [5, 6, 7, 0, 0, 0]))
    np.testing.assert_allclose(front, behind, rtol=1e-5)
    np.testing.assert_allclose(front, np.asarray(shorter(np.array([[5, 6, 7]]))), rtol=1e-5)


def test_fasttext_tells_the_order_of_words_by_bigrams_alone():
    texts = np.array([[5, 6, 7], [7, 6, 5]])
    with_bigrams, without = (
        np.asarray(build("fasttext", make_task(length=3), buckets=buckets)(texts)) for buckets in (100, 0)
    )
    assert abs(with_bigrams[0] - with_bigrams[1]) > 1e-4
    np.testing.assert_allclose(without[0], without[1], atol=1e-6)


# transformer and bilstm


def test_transformer_tells_the_order_of_words():
    model = build("transformer", make_task(length=3))
    logits = np.asarray(model(np.array([[5, 6, 7], [7, 6, 5]])))
    assert abs(logits[0] - logits[1]) > 1e-4


def test_bilstm_needs_a_layer():
    with pytest.raises(ValueError, match=r"^got layers 0, expected at least 1$"):
        build("bilstm", make_task(), layers=0)
