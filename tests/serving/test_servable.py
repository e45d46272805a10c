"""A stored model answers raw texts exactly as it was evaluated."""

import json
import shutil
import zipfile

import keras
import numpy as np
import pytest
import skops.io
import tensorflow as tf
from custom_networks import CUSTOM, PLAIN, Calling, network
from run_specs import make_spec
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import FeatureUnion, Pipeline

from benchmark.models import load_builder
from benchmark.models.task import Task
from benchmark.serving.mlflow_model import Servable, holds_program
from benchmark.spec.config import ViewSettings
from benchmark.training.saving import save_servable
from benchmark.training.saving_pipelines import save_pipeline
from benchmark.training.scores import make_predict, probabilities
from benchmark.training.train import train


@pytest.mark.parametrize(
    "view", [{"padding": "post", "truncation": "post"}, {"padding": "pre", "truncation": "pre"}]
)
def test_raw_texts_give_the_evaluated_answer(sample, tmp_path, view):
    settings = ViewSettings(vocabulary_size=500, sequence_length=20, **view)
    spec = make_spec(sample, kind="final", view=settings, epochs=1)
    result = train(spec, sample, ledger=tmp_path / "ledger.jsonl", servable=tmp_path / "model")
    from benchmark.data.dataset import MappedTexts

    store = MappedTexts(sample.folder / "test")
    texts = [store.text(row) for row in range(sample.sizes["test"])]
    served = Servable(tmp_path / "model")
    assert served.class_names == ("neg", "pos")
    np.testing.assert_allclose(served.predict(texts), result.test_probabilities, rtol=1e-5, atol=1e-6)


def test_odd_texts_are_answered(sample, tmp_path):
    train(make_spec(sample, epochs=1), sample, servable=tmp_path / "model")
    served = Servable(tmp_path / "model")
    answers = served.predict(["", "zzzz qqqq", "good " * 5000, "<br />", "ÉTÉ naïve 映画 🎬"])
    assert answers.shape == (5, 2)
    assert np.isfinite(answers).all()
    assert served.predict([]).shape == (0, 2)


def test_a_network_that_reads_raw_texts_is_stored_with_its_tables_and_states(sample, tmp_path):
    texts = [f"word{number} good word{number % 7}" for number in range(700)]  # more than are answered at once
    words = keras.layers.TextVectorization(100, output_sequence_length=4)
    words.adapt(tf.constant(texts))
    raw = keras.Input((), dtype="string")
    x = keras.layers.Flatten()(keras.layers.Embedding(100, 8)(words(raw)))
    model = keras.Model(raw, keras.layers.Dense(1)(keras.layers.Dropout(0.5)(x)))
    evaluated = make_predict(model)(np.array([text.encode() for text in texts], dtype=object))
    save_servable(tmp_path / "model", model, sample, None)
    served = Servable(tmp_path / "model")
    assert served.class_names == ("neg", "pos")
    np.testing.assert_array_equal(served.predict(texts), probabilities(evaluated))
    assert len(np.unique(evaluated)) > 50
    assert served.predict([]).shape == (0, 2)
    assert np.isfinite(served.predict(["", "\ud800", "a\0b", "ÉTÉ 映画 🎬"])).all()


SMALL = ViewSettings(vocabulary_size=20, sequence_length=8)


def ids_of(sample, texts):
    words = ["", "", *sample.vocabulary(SMALL)]
    ids = np.zeros((len(texts), 8), dtype=np.int32)
    for row, text in zip(ids, texts, strict=True):
        numbers = [words.index(word) if word in words else 1 for word in text.split()][:8]
        row[: len(numbers)] = numbers
    return ids


@pytest.mark.parametrize("name", [*CUSTOM, *PLAIN])
def test_a_network_with_code_of_its_own_is_stored_as_a_program(sample, tmp_path, name):
    """A Keras file would hold the names of that code, which is not there where it is loaded."""
    model = {**CUSTOM, **PLAIN}[name]()
    save_servable(tmp_path, model, sample, SMALL)
    assert holds_program(tmp_path) == (name in CUSTOM)
    assert (tmp_path / "model.keras").is_file() == (name in PLAIN)
    texts = [" ".join(sample.vocabulary(SMALL)[:12]), "the zzzz the", ""]
    expected = probabilities(model(ids_of(sample, texts), training=False).numpy())
    np.testing.assert_allclose(Servable(tmp_path).predict(texts), expected, rtol=1e-5, atol=1e-6)
    assert len(np.unique(expected)) > 2


def test_a_network_that_calls_python_is_not_stored(sample, tmp_path):
    with pytest.raises(ValueError, match="calls Python while it answers"):
        save_servable(tmp_path, network(Calling()), sample, SMALL)


@pytest.mark.long
def test_what_is_needed_for_training_alone_is_not_stored(sample, tmp_path):
    model = PLAIN["plain"]()
    model.compile("adam", "mse")
    model.fit(np.zeros((2, 8), np.int32), np.zeros(2), verbose=0)
    save_servable(tmp_path / "small", model, sample, SMALL)
    model.save(tmp_path / "whole.keras")
    whole, small = (
        keras.saving.load_model(path) for path in (tmp_path / "whole.keras", tmp_path / "small/model.keras")
    )
    assert whole.optimizer.variables
    assert not getattr(small, "optimizer", None)
    model = CUSTOM["layer"]()
    model.compile("adam", "mse")
    model.fit(np.zeros((2, 8), np.int32), np.zeros(2), verbose=0)
    save_servable(tmp_path / "program", model, sample, SMALL)
    kept = {
        name
        for name, _ in tf.train.list_variables(
            tmp_path / "program" / "saved_model" / "variables" / "variables"
        )
    }
    assert len([name for name in kept if "weights" in name]) == len(model.variables)
    assert not [name for name in kept if "others" in name]


def test_words_of_a_pipeline_are_kept_beside_it(tmp_path):
    texts = [f"word{number} word{number % 7}" for number in range(500)]
    parts = [("words", CountVectorizer()), ("letters", CountVectorizer(analyzer="char", ngram_range=(1, 3)))]
    pipeline = Pipeline([("counts", FeatureUnion(parts)), ("bayes", MultinomialNB())])
    pipeline.fit(texts, [number % 2 for number in range(500)])
    skops.io.dump(pipeline, tmp_path / "pipeline.skops")  # as version 0.1.0 stored it
    (tmp_path / "text.json").write_text(json.dumps({"standardizer": 1, "class_names": ["a", "b"]}))
    expected = Servable(tmp_path).predict(texts)
    save_pipeline(tmp_path / "new", pipeline, ["a", "b"])
    np.testing.assert_array_equal(Servable(tmp_path / "new").predict(texts), expected)
    np.testing.assert_array_equal(pipeline.predict_proba(texts).argmax(axis=1), expected.argmax(axis=1))
    sizes = [
        sum(path.stat().st_size for path in folder.glob("*.*")) for folder in (tmp_path, tmp_path / "new")
    ]
    assert sizes[0] > 20 * sizes[1]


@pytest.mark.parametrize(("name", "module"), [("transformer", "transformer"), ("avg-pool", "masked_average")])
def test_a_network_of_an_earlier_version_with_layers_of_ours_answers(sample, tmp_path, name, module):
    task = Task(("neg", "pos"), 20, 8)
    model = load_builder(name)(task, **({"mask": True} if name == "avg-pool" else {}))
    save_servable(tmp_path / "new", model, sample, SMALL)
    shutil.copytree(tmp_path / "new", tmp_path / "old")
    model.save(tmp_path / "model.keras")
    with (
        zipfile.ZipFile(tmp_path / "model.keras") as now,
        zipfile.ZipFile(tmp_path / "old" / "model.keras", "w") as then,
    ):
        for member in now.namelist():  # the layer stood in a module of its own
            content = now.read(member)
            if member == "config.json":
                content = content.replace(b"models.avg_pool", b"models.masked_average")
            then.writestr(member, content)
    assert f"benchmark.models.{module}" in config(tmp_path / "old")
    assert "benchmark" not in config(tmp_path / "new")
    text = json.loads((tmp_path / "new" / "text.json").read_text())
    text["modules"] = [f"benchmark.models.{module}", "benchmark.models.masked_average"]
    (tmp_path / "old" / "text.json").write_text(json.dumps(text))
    texts = [" ".join(sample.vocabulary(SMALL)[:12]), "the zzzz the", ""]
    expected = probabilities(model(ids_of(sample, texts), training=False).numpy())
    for folder in ("new", "old"):
        np.testing.assert_allclose(Servable(tmp_path / folder).predict(texts), expected, rtol=1e-6)


def config(folder):
    with zipfile.ZipFile(folder / "model.keras") as archive:
        return archive.read("config.json").decode()


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c")])
def test_a_pipeline_with_a_step_of_ours_is_stored_as_scikit_learn_s_and_answers_bit_by_bit(tmp_path, classes):
    texts = [f"word{number} word{number % 7} word{number % 3}" for number in range(90)]
    pipeline = load_builder("nbsvm")(Task(classes, 0, 0))
    pipeline.fit(texts, [number % len(classes) for number in range(90)])
    save_pipeline(tmp_path / "new", pipeline, classes)
    (tmp_path / "old").mkdir()
    skops.io.dump(pipeline, tmp_path / "old" / "pipeline.skops")  # as earlier versions stored it
    (tmp_path / "old" / "text.json").write_text(json.dumps({"standardizer": 1, "class_names": classes}))
    stored = [
        skops.io.get_untrusted_types(file=tmp_path / place / "pipeline.skops") for place in ("old", "new")
    ]
    assert stored == [["benchmark.models.nbsvm.LogCountRatio"], []]
    expected = pipeline.predict_proba(texts).astype(np.float32)
    for place in ("old", "new"):
        np.testing.assert_allclose(Servable(tmp_path / place).predict(texts), expected, rtol=1e-6)
    old, new = (Servable(tmp_path / place).predict(texts) for place in ("old", "new"))
    np.testing.assert_array_equal(new, old)
