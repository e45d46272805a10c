"""The cache, prediction, an exported program and a served model cut a text into the same tokens."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from languages import Languages

import benchmark
from benchmark.data.dataset import MappedTexts
from benchmark.data.prepare import prepare
from benchmark.serving.mlflow_model import Servable, read_text_processing
from benchmark.serving.saved_model import export_model, readme
from benchmark.serving.stored_models import pack_model
from benchmark.spec.config import ViewSettings
from benchmark.training.saving import save_servable
from benchmark.training.scores import make_predict, probabilities

FORMS = ("words", "unicode_words", "characters", "subwords")
SIDES = {"words": "pre", "unicode_words": "post", "characters": "pre", "subwords": "post"}

SERVE = """
import json, sys
sys.path[:] = [place for place in sys.path if place != sys.argv[1]]
sys.modules["benchmark"] = None  # whoever imports it fails
import mlflow.pyfunc
answers = {}
for form in sys.argv[2:]:
    model = mlflow.pyfunc.load_model(f"{form}/packed")
    answers[form] = model.predict(json.load(open("texts.json"))).to_dict("list")
json.dump(answers, open("answers.json", "w"))
"""


@pytest.fixture(scope="module")
def languages():
    return prepare(Languages())


@pytest.fixture(scope="module")
def stored(languages, tmp_path_factory):
    """A folder for each form: a network that tells ids apart, stored and exported; and the test texts."""
    folder = tmp_path_factory.mktemp("forms")
    texts = MappedTexts(languages.folder / "test").texts(np.arange(languages.sizes["test"]))
    (folder / "texts.json").write_text(json.dumps(texts))
    for form in FORMS:
        view, place = view_of(form), folder / form
        keras.utils.set_random_seed(0)
        ids = keras.Input((languages.length(view),), dtype="int32")
        x = keras.layers.Flatten()(keras.layers.Embedding(languages.vocabulary_size(view), 4, "normal")(ids))
        network = keras.Model(ids, keras.layers.Dense(1)(x))
        save_servable(place / "servable", network, languages, view)
        (place / "out").mkdir()
        exported = export_model(place / "servable", Servable(place / "servable"), place / "out")
        (place / "out" / "README.md").write_text(readme(exported, {}, "0"), encoding="utf-8")
    return folder, texts


def view_of(form):
    side = SIDES[form]
    return ViewSettings(tokens=form, vocabulary_size=120, sequence_length=40, padding=side, truncation=side)


def cached_ids(languages, form):
    view = view_of(form)
    mapped = MappedTexts(languages.folder / "test", languages.tokenised(view).folder / "test")
    return mapped.view(np.arange(languages.sizes["test"]), view, languages.length(view)).x


def evaluated(folder, languages, form):
    network = keras.saving.load_model(folder / form / "servable" / "model.keras", compile=False)
    return probabilities(make_predict(network)(cached_ids(languages, form)))


@pytest.mark.parametrize("form", FORMS)
def test_an_exported_program_has_the_ids_of_the_cache(languages, stored, form):
    folder, texts = stored
    program = tf.saved_model.load(str(folder / form / "out" / "saved_model"))
    found = program.word_ids(tf.constant(texts))["word_ids"].numpy()
    np.testing.assert_array_equal(found, cached_ids(languages, form))
    assert len(np.unique(found)) > 60
    answers = program.serving_default(tf.constant(texts))["probabilities"].numpy()
    np.testing.assert_allclose(answers, evaluated(folder, languages, form), atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_prediction_answers_as_was_evaluated_on_the_ids_of_the_cache(languages, stored, form):
    folder, texts = stored
    expected = evaluated(folder, languages, form)
    np.testing.assert_allclose(Servable(folder / form / "servable").predict(texts), expected, atol=1e-6)
    assert np.ptp(expected[:, 0]) > 0.05  # the network tells texts apart


@pytest.mark.parametrize("form", FORMS[1:])
def test_older_programs_refuse_a_model_with_tokens_that_they_do_not_know(stored, form):
    text = json.loads((stored[0] / form / "servable" / "text.json").read_text())
    assert (text["standardizer"], text["view"]["tokens"]) == (2, form)
    words = json.loads((stored[0] / "words" / "servable" / "text.json").read_text())
    assert words["standardizer"] == 1
    assert "tokens" not in words["view"]
    assert "merges" not in words


def test_damaged_merges_are_found_out(stored, tmp_path):
    text = json.loads((stored[0] / "subwords" / "servable" / "text.json").read_text())
    (tmp_path / "text.json").write_text(json.dumps({**text, "merges": ["ab"]}))
    with pytest.raises(ValueError, match=r"text\.json, merges: expected pairs with a space between them"):
        read_text_processing(tmp_path)


@pytest.mark.parametrize("form", FORMS[1:])
def test_the_readme_says_how_texts_are_cut_and_where_ids_are_from(stored, form):
    content = (stored[0] / form / "out" / "README.md").read_text(encoding="utf-8")
    assert {"characters": "grapheme", "subwords": "byte-pair", "unicode_words": "UAX 29"}[form] in content
    assert "string.punctuation" not in content
    assert "word_ids" in content


@pytest.mark.long
def test_a_served_model_answers_where_textbench_is_not_installed(languages, stored):
    folder, texts = stored
    for form in FORMS:
        pack_model(folder / form / "servable", folder / form / "packed")
    root = str(Path(benchmark.__file__).parents[1])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", SERVE, root, *FORMS]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    answers = json.loads((folder / "answers.json").read_text())
    for form in FORMS:
        expected = evaluated(folder, languages, form)
        np.testing.assert_allclose(answers[form]["probability_odd"], expected[:, 0], atol=1e-6)
        exported = tf.saved_model.load(str(folder / form / "out" / "saved_model"))
        labels = exported.serving_default(tf.constant(texts))["label"].numpy()
        assert [label.decode() for label in labels] == answers[form]["label"]
