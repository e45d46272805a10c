"""What runs before have counted is not counted again, and nothing that is measured depends on it."""

import pytest
from run_specs import pipeline_spec

from benchmark.data.tokens import split
from benchmark.models.ngram_counts import NgramCounts
from benchmark.training import kept_counts
from benchmark.training.estimators import PipelineLearner
from benchmark.training.train import train


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch):
    forget(monkeypatch)


def forget(monkeypatch):
    kept_counts._kept.clear()
    monkeypatch.setattr(PipelineLearner, "_last", (None, None, 0.0))


@pytest.fixture
def counted(monkeypatch):
    """Numbers of texts, each time that some are cut."""
    calls = []

    def count(self, texts, learning):
        calls.append((len(texts), learning))
        return real(self, texts, learning)

    real = NgramCounts._count
    monkeypatch.setattr(NgramCounts, "_count", count)
    return calls


def result(sample, tmp_path, *, model="linear-words", kind="final", seed=0, examples=None, **hparams):
    spec = pipeline_spec(sample, model, kind=kind, seed=seed, examples=examples, **hparams)
    found = train(spec, sample, ledger=tmp_path / "ledger.jsonl")
    assert found.status == "ok", found.error
    return found


def figures(found):
    history = {name: values for name, values in found.history.items() if name != "epoch_seconds"}
    return found.test_probabilities.tobytes(), history, found.parameters


def test_penalties_and_seeds_share_counts(sample, tmp_path, counted, monkeypatch):
    result(sample, tmp_path, kind="trial")
    assert counted == [(sample.sizes["train"], True), (sample.sizes["validation"], False)]
    weak, again = (result(sample, tmp_path, strength=0.1, seed=seed) for seed in (0, 1))
    assert counted[2:] == [(sample.sizes["test"], False)]
    assert figures(weak) == figures(again)
    forget(monkeypatch)
    assert figures(result(sample, tmp_path, strength=0.1)) == figures(weak)
    assert len(counted) == 6
    result(sample, tmp_path, strength=0.1, ngrams=1)
    assert len(counted) == 9


def test_what_is_larger_than_may_be_kept_is_counted_once_a_run(sample, tmp_path, counted, monkeypatch):
    kept = result(sample, tmp_path)
    del counted[:]
    forget(monkeypatch)
    monkeypatch.setattr(kept_counts, "_LARGEST_KEPT", 0)
    assert figures(result(sample, tmp_path)) == figures(kept)
    assert len(counted) == 3
    assert not kept_counts._kept


def test_only_what_is_deterministic_is_fitted_once(sample, tmp_path, monkeypatch):
    fits = []
    real = PipelineLearner._fit
    monkeypatch.setattr(PipelineLearner, "_fit", lambda *given: fits.append(1) or real(*given))
    for seed in range(3):
        result(sample, tmp_path, seed=seed)
    assert len(fits) == 1
    for seed in range(2):  # other texts
        result(sample, tmp_path, seed=seed, examples=100)
    assert len(fits) == 3
    for seed in range(2):  # its solver draws
        result(sample, tmp_path, model="nbsvm", seed=seed, features=1000)
    assert len(fits) == 5


def test_a_final_run_tells_what_it_costs_alone_and_a_trial_what_it_has_cost(sample, tmp_path, monkeypatch):
    first = result(sample, tmp_path)
    for key, (made, _) in kept_counts._kept.items():
        kept_counts._kept[key] = made, 1000.0
    assert result(sample, tmp_path, seed=1).train_seconds > 2000  # training and validation texts
    assert result(sample, tmp_path, kind="trial").train_seconds < 1000
    assert first.train_seconds < 1000


@pytest.mark.parametrize("model", ["tfidf-logreg", "nbsvm"])
def test_pipelines_see_the_tokens_that_are_set(sample, tmp_path, model):
    result(sample, tmp_path, model=model, tokens="unicode_words")
    (step,) = {made[0] for made, _ in kept_counts._kept.values() if isinstance(made, tuple)}
    assert step.tokens == "unicode_words"
    texts = sample.view("train", None).texts()
    assert set(split(" ".join(texts), "unicode_words")) >= {
        gram for gram in step.vocabulary_ if " " not in gram
    }
