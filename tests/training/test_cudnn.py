"""Recurrent layers and cuDNN, with a GPU that Keras is made to believe in.

Keras then leaves layers to cuDNN, as on a GPU, and running its operation fails: there is none on a CPU.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from run_specs import make_spec

from benchmark.data.dataset import View
from benchmark.models import bilstm, gru, lstm
from benchmark.models.task import Task
from benchmark.spec.config import ViewSettings
from benchmark.spec.result import Result
from benchmark.training import compile_mode, cudnn, network
from benchmark.training.cudnn import cudnn_layers, limit_cudnn, masks_padding, trains_by_cudnn
from benchmark.training.network import NetworkLearner
from benchmark.training.train import train

TASK = Task(("neg", "pos"), 2000, 8)
TEXTS = np.array([[5, 6, 7], [8, 0, 0]], dtype=np.int32)
NO_TEXT = np.array([[5, 6, 7], [0, 0, 0]], dtype=np.int32)
SMALL = {"embedding_dim": 4, "units": 4, "dropout": 0.0}


@pytest.fixture
def gpu(monkeypatch):
    """A GPU that is none, whose cuDNN trains an LSTM of 8 units."""
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: ["a GPU"])
    monkeypatch.setattr(cudnn, "trains_by_cudnn", lambda precision: True)
    network.release()
    yield
    network.release()


def spec_of(sample, model="lstm", side="pre", **hparams):
    view = ViewSettings(vocabulary_size=2000, sequence_length=8, padding=side, truncation=side)
    recurrent = {} if model == "bilstm" else {"recurrent_dropout": 0.0}
    return make_spec(sample, model, share=0.1, epochs=1, view=view, hparams={**SMALL, **recurrent, **hparams})


def test_layers_that_keras_leaves_to_cudnn(gpu):
    assert len(cudnn_layers(lstm.build(TASK, recurrent_dropout=0.0))) == 1
    assert len(cudnn_layers(gru.build(TASK, recurrent_dropout=0.0))) == 1
    assert len(cudnn_layers(bilstm.build(TASK, layers=2))) == 4
    assert cudnn_layers(lstm.build(TASK, recurrent_dropout=0.2)) == []
    ids = keras.Input((8, 4))
    other = keras.layers.LSTM(4, activation="relu")(keras.layers.LSTM(4, use_cudnn=False)(ids)[:, None])
    assert cudnn_layers(keras.Model(ids, other)) == []


def test_without_a_gpu_there_are_none():
    assert cudnn_layers(bilstm.build(TASK)) == []


def test_masks_of_padding():
    assert masks_padding(lstm.build(TASK, mask_zero=True))
    assert not masks_padding(lstm.build(TASK))
    inputs = keras.Input((8, 4))
    assert masks_padding(keras.Model(inputs, keras.layers.LSTM(4)(keras.layers.Masking()(inputs))))


@pytest.mark.parametrize(
    ("mask_zero", "side", "texts", "left"),
    [
        (False, "pre", TEXTS[:, ::-1], True),
        (True, "pre", TEXTS[:, ::-1], False),
        (True, "post", TEXTS, True),
        (True, "post", NO_TEXT, False),
        (False, "post", NO_TEXT, True),
        (True, None, np.array([b"raw", b""], dtype=object), False),
    ],
)
@pytest.mark.parametrize("build", [lstm.build, gru.build])
def test_masked_padding_has_to_stand_behind(build, mask_zero, side, texts, left, gpu):
    model = build(TASK, recurrent_dropout=0.0, mask_zero=mask_zero)
    limit_cudnn(model, texts, side, "float32")
    assert bool(cudnn_layers(model)) == left


def test_xla_and_a_precision_that_fails_leave_nothing_to_cudnn(gpu, monkeypatch):
    model = bilstm.build(TASK)
    limit_cudnn(model, TEXTS, "post", "float32", xla=True)
    assert cudnn_layers(model) == []
    monkeypatch.setattr(cudnn, "trains_by_cudnn", lambda precision: precision != "bfloat16")
    model = bilstm.build(TASK)
    limit_cudnn(model, TEXTS, "post", "float32")
    assert len(cudnn_layers(model)) == 4
    limit_cudnn(model, TEXTS, "post", "bfloat16")
    assert cudnn_layers(model) == []


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_cudnn_that_fails_is_found_out_by_a_small_layer(precision, monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: ["a GPU"])
    trains_by_cudnn.cache_clear()
    assert trains_by_cudnn(precision) is False  # as it does on a CPU
    trains_by_cudnn.cache_clear()


LONG = pytest.mark.long


@pytest.mark.parametrize(
    "model", ["lstm", pytest.param("gru", marks=LONG), pytest.param("bilstm", marks=LONG)]
)
def test_a_run_with_masked_padding_in_front_is_trained(model, sample, gpu, monkeypatch):
    result = train(spec_of(sample, model, mask_zero=True), sample, compile="graph")
    assert result.status == "ok", result.error
    monkeypatch.setattr(network, "limit_cudnn", lambda *words, **more: None)  # and fails without its guard
    result = train(spec_of(sample, model, mask_zero=True), sample, compile="graph")
    assert result.status == "failed"
    assert "Cudnn" in result.error


@LONG
def test_xla_compiles_the_layers_of_keras(sample, gpu, monkeypatch):
    result = train(spec_of(sample, "bilstm", layers=1), sample, compile="xla")
    assert result.status == "ok", result.error
    monkeypatch.setattr(network, "limit_cudnn", lambda *words, **more: None)
    result = train(spec_of(sample, "bilstm", layers=1), sample, compile="xla")
    assert result.status == "failed"
    assert "CudnnRNNV3" in result.error


def test_the_measurement_of_ways_does_not_give_cudnn_to_xla(gpu, monkeypatch):
    tried = []
    monkeypatch.setattr(
        compile_mode, "make_epoch", lambda model, mode: lambda *words: tried.append(mode) or {}
    )

    def build():
        model = bilstm.build(TASK, **SMALL)
        model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True), metrics=["accuracy"])
        return model

    x, y = np.ones((64, 8), dtype=np.int32), np.zeros(64, dtype=np.int32)
    speeds = compile_mode.measure_speeds(build, x, y, 32, ["graph", "xla"])
    assert set(tried) == {"graph"}
    assert "xla" not in speeds


def test_an_empty_text_of_another_split_is_not_given_to_cudnn(sample, gpu):
    def learner(mask_zero):
        spec = spec_of(sample, side="post", mask_zero=mask_zero)
        view = sample.view("train", spec.view)
        given = NetworkLearner(spec, TASK, sample, view, Result("ok"), "graph")
        assert len(cudnn_layers(given.model)) == 1
        return given

    empty = View(np.zeros((1, 8), dtype=np.int32), np.zeros(1, dtype=np.int32), np.zeros(1, dtype=int), None)
    masked = learner(mask_zero=True)
    assert masked.logits(empty).shape == (1, 1)
    assert len(cudnn_layers(masked.model)) == 1  # for the next epoch
    with pytest.raises(tf.errors.OpError, match="Cudnn"):  # so cuDNN is asked where nothing is masked
        learner(mask_zero=False).logits(empty)
