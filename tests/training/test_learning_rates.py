"""Warm-up and weight decay: what the optimizer of a run does at each step, and that old ids stay."""

import keras
import numpy as np
import pytest

from benchmark.spec.config import TrainSettings, without_later
from benchmark.training.network import _optimizer


def rates(**settings):
    optimizer = _optimizer(TrainSettings(learning_rate=1.0, epochs=10, **settings), 10)
    weight = keras.Variable(np.zeros(1, np.float32))
    optimizer.build([weight])
    found = []
    for _ in range(100):
        found.append(float(optimizer.learning_rate))
        optimizer.apply([np.ones(1, np.float32)], [weight])
    return np.array(found)


def test_a_rate_rises_evenly_and_then_falls_to_0():
    found = rates(schedule="linear", warmup=0.2)
    np.testing.assert_allclose(found[:20], np.arange(1, 21) / 20, rtol=1e-5)
    np.testing.assert_allclose(found[20:], 1 - np.arange(80) / 80, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "exponential"])
def test_after_the_rise_a_schedule_starts_at_its_beginning(schedule):
    found = rates(schedule=schedule, warmup=0.5)
    assert found[49] == pytest.approx(1.0)
    assert found[50] == pytest.approx(1.0)
    assert found[99] == pytest.approx({"constant": 1, "cosine": 0, "exponential": 0.1}[schedule], abs=0.01)


def test_without_a_rise_and_decay_nothing_is_new():
    assert not without_later({"warmup": 0.0, "weight_decay": None})
    assert (rates() == 1).all()


def test_weight_decay_is_the_settings():
    settings = TrainSettings(optimizer="adamw", weight_decay=0.25)
    assert _optimizer(settings, 1).weight_decay == 0.25
    default = _optimizer(TrainSettings(optimizer="adamw"), 1).weight_decay
    assert default == keras.optimizers.AdamW().weight_decay
