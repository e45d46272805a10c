"""Speed of prediction: of the stored model, on validation texts, and never at the cost of a run."""

import time

import pytest
from run_specs import make_spec

from benchmark.serving import speed
from benchmark.serving.mlflow_model import Servable
from benchmark.serving.speed import prediction_speed
from benchmark.training.train import MOST_TEXTS, train

FIGURES = {"predict_ms", "predict_texts_per_second"}


def final(sample, folder, measure):
    spec = make_spec(sample, kind="final", epochs=1)
    return train(spec, sample, ledger=folder / "ledger.jsonl", servable=folder / "model", measure=measure)


def test_a_stored_model_is_measured_on_validation_texts(sample, tmp_path):
    seen = []

    def measure(folder, texts):
        seen.append((folder, texts))
        return prediction_speed(folder, texts)

    result = final(sample, tmp_path, measure)
    validation = sample.view("validation", None).texts()
    assert seen == [(tmp_path / "model", validation[:MOST_TEXTS])]
    assert result.figures.keys() >= FIGURES
    assert 0 < result.figures["predict_ms"] < 1000
    assert result.figures["predict_texts_per_second"] > 1000 / result.figures["predict_ms"]


def test_what_cannot_be_measured_fails_no_run(sample, tmp_path):
    def measure(folder, texts):
        raise MemoryError

    result = final(sample, tmp_path, measure)
    assert (result.status, result.error) == ("ok", "")
    assert not FIGURES & result.figures.keys()
    assert result.servable == tmp_path / "model"


def test_nothing_is_measured_of_a_model_that_is_not_kept(sample, tmp_path):
    spec = make_spec(sample, kind="final", epochs=1)
    result = train(spec, sample, ledger=tmp_path / "ledger.jsonl", measure=prediction_speed)
    assert not FIGURES & result.figures.keys()


def test_a_slow_model_is_asked_few_times(sample, tmp_path, monkeypatch):
    final(sample, tmp_path, None)
    asked = []

    def predict(self, texts):
        asked.append(len(texts))
        clock[0] += 0.4 * len(texts)

    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(Servable, "predict", predict)
    figures = prediction_speed(tmp_path / "model", ["one", "two"])
    assert asked == [1, speed.BATCH, 1, 1, 1, speed.BATCH]
    assert figures["predict_ms"] == pytest.approx(400)
    assert figures["predict_texts_per_second"] == pytest.approx(2.5)
