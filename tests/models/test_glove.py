"""GloVe: vectors from a file under a small classifier, frozen or not, and stored without the file."""

import json
import zipfile

import keras
import numpy as np
import pytest

from benchmark.data.dataset import MappedTexts
from benchmark.models.glove import build
from benchmark.models.source_description import describe
from benchmark.models.task import Task
from benchmark.plan.space import find_space, load_space
from benchmark.serving.mlflow_model import Servable
from benchmark.spec.config import TRAIN_KEYS, VIEW_KEYS, RunSpec, TrainSettings, ViewSettings, seed_bundle
from benchmark.training.train import train
from benchmark.vectors import text_files
from benchmark.vectors.text_files import read_vectors, report_coverage, write_vectors

WORDS = ("tea", "coffee", "water", *(f"word{number}" for number in range(40)))  # three_classes has ten more


@pytest.fixture
def vectors(tmp_path):
    """A file of random vectors."""
    table = np.random.default_rng(0).normal(size=(len(WORDS), 8)).astype(np.float32)
    write_vectors(tmp_path / "v.txt", WORDS, table)
    return tmp_path / "v.txt"


def spec_of(dataset, vectors, epochs=8, **hparams):
    return RunSpec(
        model="glove",
        dataset=dataset.name,
        dataset_digest=dataset.digest,
        kind="final",
        view=ViewSettings(vocabulary_size=2000, sequence_length=9, padding="pre"),
        training=TrainSettings(batch_size=24, learning_rate=0.01, epochs=epochs, patience=None),
        hparams={"vectors": str(vectors), **hparams},
        seeds=seed_bundle(0, "search", 0),
    )


def run(dataset, vectors, folder, *, epochs=8, **hparams):
    spec = spec_of(dataset, vectors, epochs, **hparams)
    result = train(spec, dataset, ledger=folder / "ledger.jsonl", servable=folder / "served")
    assert (result.status, result.error) == ("ok", "")
    return result


def table_of(model):
    return np.asarray(model.layers[1].get_weights()[0])


def test_it_is_the_network_of_the_notes(tmp_path):
    (tmp_path / "glove.6B.100d.txt").write_text(f"word3{' 0.5' * 100}\n")  # here: the current folder
    words = tuple(f"word{number}" for number in range(9998))
    model = build(Task(("neg", "pos"), 10_000, 100, words))
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["InputLayer", "Embedding", "Flatten", "Dense", "Dense"]
    assert model.count_params() == 1_320_065  # as the notes print it
    assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == 320_065


def test_known_words_have_their_vectors_and_all_others_zeros(vectors):
    reports = {}
    words = ("water", "absent", "tea", "gone")
    model = build(Task(("neg", "pos"), 6, 3, words, reports.__setitem__), vectors=str(vectors))
    table = table_of(model)
    rows = [line.split() for line in vectors.read_text().splitlines()]
    wanted = {word: [float(number) for number in numbers] for word, *numbers in rows}
    np.testing.assert_allclose(table[[2, 4]], [wanted["water"], wanted["tea"]], rtol=1e-6)
    assert not table[[0, 1, 3, 5]].any()
    assert reports == {"vector_coverage": 0.5}


def test_it_learns_and_tells_its_coverage(three_classes, vectors, tmp_path):
    result = run(three_classes, vectors, tmp_path)
    assert result.test_accuracy > 0.9
    assert result.reports == {"vector_coverage": pytest.approx(43 / 53)}


def test_its_coverage_of_words_and_tokens_is_said_before_it_is_trained(three_classes, vectors):
    spec, lines = spec_of(three_classes, vectors), []
    report_coverage([spec], three_classes, lines.append)
    view = three_classes.view("train", spec.view)
    words = three_classes.vocabulary(spec.view)
    known = {place + 2 for place, word in enumerate(words) if word in WORDS}
    tokens = [token for row in np.asarray(view.x) for token in row if token]
    share = 100 * sum(token in known for token in tokens) / len(tokens)
    assert lines == [
        f"glove: {vectors} has vectors of {100 * 43 / 53:.1f}% of the vocabulary's 53 words, which are "
        f"{share:.1f}% of the tokens of the training texts"
    ]


def test_a_file_is_read_once_until_it_changes(vectors, monkeypatch):
    first, _ = read_vectors(str(vectors), WORDS)
    with monkeypatch.context() as patch:
        patch.setattr(text_files, "_records", None)
        again, _ = read_vectors(str(vectors), WORDS)
        assert again is first
    write_vectors(vectors, WORDS[:2], np.ones((2, 3), np.float32))
    assert read_vectors(str(vectors), WORDS)[0].shape == (len(WORDS), 3)


@pytest.mark.long
@pytest.mark.parametrize("trainable", [False, True])
def test_vectors_are_trained_only_where_asked_and_the_stored_model_needs_no_file(
    three_classes, vectors, tmp_path, trainable
):
    before = table_of(
        build(
            Task(("a", "b", "c"), 55, 9, tuple(three_classes.vocabulary(ViewSettings()))),
            vectors=str(vectors),
        )
    )
    result = run(
        three_classes, vectors, tmp_path, epochs=2, trainable=trainable, pooling="average", dropout=0.2
    )
    vectors.unlink()
    served = Servable(tmp_path / "served")
    store = MappedTexts(three_classes.folder / "test")
    probabilities = served.predict([store.text(row) for row in range(three_classes.sizes["test"])])
    np.testing.assert_allclose(probabilities, result.test_probabilities, rtol=1e-5, atol=1e-6)
    model = keras.saving.load_model(tmp_path / "served" / "model.keras", compile=False)
    assert (table_of(model) != before).any() == trainable
    with zipfile.ZipFile(tmp_path / "served" / "model.keras") as archive:
        config = json.loads(archive.read("config.json"))
    assert len(json.dumps(config)) < 10_000  # the vectors are weights, no part of it
    assert str(vectors) not in json.dumps(config)


def test_an_average_forgets_the_order_of_words_and_flatten_does_not(vectors):
    texts = np.array([[2, 3, 4], [4, 3, 2]])
    for pooling, differs in (("average", False), ("flatten", True)):
        keras.utils.set_random_seed(0)
        model = build(Task(("neg", "pos"), 45, 3, WORDS), vectors=str(vectors), pooling=pooling, units=0)
        first, second = np.asarray(model(texts))
        assert (abs(first - second) > 1e-4) == differs


def test_an_unknown_pooling(vectors):
    with pytest.raises(ValueError, match=r"^got pooling 'avrage'; did you mean 'average'\?$"):
        build(Task(("neg", "pos"), 45, 3, WORDS), vectors=str(vectors), pooling="avrage")


def test_space_and_builder_agree():
    description = describe("glove")
    space = load_space(find_space("glove"), description.parameters)
    own = {key: value for key, value in space.default.items() if key not in VIEW_KEYS | TRAIN_KEYS}
    assert own == description.parameters
    assert space.default.keys() - space.search.keys() == {"epochs", "patience", "vectors"}
    assert description.resources == {"vectors": "benchmark.vectors.text_files:identify"}


def test_vectors_that_no_token_has_are_refused_in_one_line(tmp_path):
    (tmp_path / "v.txt").write_text("film 0.5 0.5\n")
    with pytest.raises(
        ValueError, match=r"^none of the 2 tokens, as '▁味道', has a vector in v\.txt; [^\n]*$"
    ):
        build(Task(("neg", "pos"), 4, 3, ("▁味道", "，")), vectors="v.txt")
