"""Views: texts as integer arrays, cut as Keras cuts them."""

import pickle

import numpy as np
import pytest

from benchmark.data.dataset import MappedTexts, View
from benchmark.data.prepare import prepare
from benchmark.data.text import OOV, PAD, cut, tokenize
from benchmark.spec.config import ViewSettings
from benchmark.support.tensorflow_setup import quiet_tensorflow

SIDES = [(padding, truncation) for padding in ("pre", "post") for truncation in ("pre", "post")]
sides = pytest.mark.parametrize(("padding", "truncation"), SIDES)


def naive(texts, size, length, padding, truncation):
    result = []
    for text in texts:
        ids = [number if number < size else OOV for number in text]
        if len(ids) > length:
            ids = ids[:length] if truncation == "post" else ids[len(ids) - length :]
        filler = [PAD] * (length - len(ids))
        result.append(ids + filler if padding == "post" else filler + ids)
    return result


def random_texts(n, seed=0, words=50):
    generator = np.random.default_rng(seed)
    return [generator.integers(2, words, generator.integers(0, 25)).tolist() for _ in range(n)]


def cut_texts(texts, settings, length):
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    tokens = np.array([number for text in texts for number in text], dtype=np.int32)
    return cut(tokens, np.cumsum(lengths) - lengths, lengths, settings, length)


@sides
@pytest.mark.parametrize("size", [3, 20, 10_000])
@pytest.mark.parametrize("length", [1, 7, 24, 40])
def test_cut_agrees_with_a_naive_loop(padding, truncation, size, length):
    texts = [[], *random_texts(60, seed=length), []]
    settings = ViewSettings(vocabulary_size=size, padding=padding, truncation=truncation)
    x = cut_texts(texts, settings, length)
    assert x.dtype == np.int32
    assert x.tolist() == naive(texts, size, length, padding, truncation)


@sides
def test_cut_of_many_texts_in_any_order(padding, truncation):
    texts = random_texts(1500)
    order = np.random.default_rng(1).permutation(1500)[:1300]
    lengths = np.array([len(text) for text in texts])
    tokens = np.concatenate([np.array(text, dtype=np.int32) for text in texts])
    starts = np.cumsum(lengths) - lengths
    settings = ViewSettings(vocabulary_size=30, padding=padding, truncation=truncation)
    x = cut(tokens, starts[order], lengths[order], settings, 12)
    assert x.tolist() == naive([texts[row] for row in order], 30, 12, padding, truncation)


@sides
def test_cut_agrees_with_keras(padding, truncation):
    quiet_tensorflow()
    import keras

    texts = [[], *random_texts(100)]
    settings = ViewSettings(vocabulary_size=1000, padding=padding, truncation=truncation)
    expected = keras.utils.pad_sequences(texts, maxlen=10, padding=padding, truncating=truncation)
    np.testing.assert_array_equal(cut_texts(texts, settings, 10), expected)


def test_cut_of_nothing():
    assert cut_texts([], ViewSettings(), 5).shape == (0, 5)
    assert cut_texts([[], []], ViewSettings(), 3).tolist() == [[0, 0, 0], [0, 0, 0]]


@sides
def test_a_view_is_what_the_texts_say(sample, padding, truncation):
    settings = ViewSettings(vocabulary_size=300, sequence_length=12, padding=padding, truncation=truncation)
    words = sample.vocabulary(settings)
    ids = {word.encode(): number for number, word in enumerate(words, 2)}
    for split in ("train", "validation"):
        view = sample.view(split, settings)
        assert isinstance(view, View)
        chosen = np.random.default_rng(0).choice(len(view.rows), 50, replace=False)
        texts = [MappedTexts(sample.folder / "open").text(row) for row in view.rows[chosen]]
        numbers = [[ids.get(token, OOV) for token in tokenize(text)] for text in texts]
        assert view.x[chosen].tolist() == naive(numbers, 300, 12, padding, truncation)


@pytest.mark.parametrize("size", [3, 100, 1_000_000])
def test_vocabulary_sizes_count_padding_and_oov(sample, size):
    settings = ViewSettings(vocabulary_size=size, sequence_length=20)
    actual = sample.vocabulary_size(settings)
    assert actual == min(size, sample.vocabulary_total + 2)
    assert len(sample.vocabulary(settings)) == actual - 2
    x = sample.view("train", settings).x
    assert x.max() == actual - 1
    assert x.min() >= 0


def test_a_smaller_vocabulary_is_the_beginning_of_a_larger_one(sample):
    small, large = (sample.vocabulary(ViewSettings(vocabulary_size=size)) for size in (50, 500))
    assert small == large[:48]


def test_a_view_is_never_longer_than_the_longest_training_text(make_source):
    rows = [*(("train", "one two three", i % 2) for i in range(8)), ("test", "a " * 50, 0)]
    dataset = prepare(make_source([*rows, ("validation", "four " * 30, 1)], validation_share=0.0))
    assert dataset.longest == 3
    settings = ViewSettings(sequence_length=256)
    assert dataset.view("train", settings).x.shape == (8, 3)
    assert dataset.view("validation", settings).x.shape == (1, 3)
    assert dataset.view("train", ViewSettings(sequence_length=2)).x.shape == (8, 2)


@pytest.mark.parametrize("split", ["test", "open", "../test", ""])
def test_a_view_never_opens_the_test_split(sample, split):
    with pytest.raises(ValueError, match="expected 'train' or 'validation'"):
        sample.view(split, ViewSettings())


def test_the_rows_of_train_and_validation_are_disjoint_and_hold_no_test_text(sample):
    settings = ViewSettings(sequence_length=1)
    rows = [*sample.view("train", settings).rows, *sample.view("validation", settings).rows]
    assert sorted(rows) == list(range(sample.sizes["train"] + sample.sizes["validation"]))
    assert len(MappedTexts(sample.folder / "open").labels) == len(rows)


def test_an_opened_data_set_goes_to_another_process_as_a_path(sample):
    settings = ViewSettings(sequence_length=9)
    x = sample.view("train", settings).x
    pickled = pickle.dumps(sample)
    assert len(pickled) < 5_000
    np.testing.assert_array_equal(pickle.loads(pickled).view("train", settings).x, x)


def test_runs_of_one_shape_share_a_view_that_none_can_change(sample, monkeypatch):
    settings = ViewSettings(sequence_length=11)
    first = sample.view("train", settings)
    assert sample.view("train", ViewSettings(sequence_length=11)).x is first.x
    with pytest.raises(ValueError, match="read-only"):
        first.x[0, 0] = 1
    for length in (12, 13, 14, 15):
        sample.view("train", ViewSettings(sequence_length=length))
    again = sample.view("train", settings)
    assert again.x is not first.x
    np.testing.assert_array_equal(again.x, first.x)
    monkeypatch.setattr("benchmark.data.dataset._LARGEST_KEPT", 10)  # bytes
    large = ViewSettings(sequence_length=16)
    assert sample.view("train", large).x is not sample.view("train", large).x
