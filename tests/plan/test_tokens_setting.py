"""Tokens are a setting of views: searched, checked before training, without a trace where they are words."""

import sys
from pathlib import Path

import pytest

from benchmark.plan.run_specs import make_plan
from benchmark.spec.config import SweepConfig
from benchmark.support.errors import UserError

OWN = '''"""A network with a parameter of the name."""
import keras


def build(task, *, tokens: int = 8):
    ids = keras.Input((task.sequence_length,), dtype="int32")
    x = keras.layers.Flatten()(keras.layers.Embedding(task.vocabulary_size, tokens)(ids))
    return keras.Model(ids, keras.layers.Dense(task.n_outputs)(x))
'''
SPACE = """
model: avg-pool
source: here
default: {tokens: words, embedding_dim: 4}
search:
  tokens: {type: categorical, choices: [words, FORM]}
"""


def plan_of(sample, model="avg-pool", space=None, **overrides):
    config = SweepConfig(budget="smoke", trials=2, seeds=2, epochs=2, train_share=1.0, overrides=overrides)
    return make_plan(model, sample, config, space)


def test_words_leave_no_trace_and_others_do(sample):
    plain, words, characters = (
        plan_of(sample),
        plan_of(sample, tokens="words"),
        plan_of(sample, tokens="characters"),
    )
    assert plain.identity == words.identity
    assert len({plan.identity for plan in (plain, words, characters)}) == 2
    ids = [plan.trial_spec(plan.default, 0).config_id for plan in (plain, words, characters)]
    assert ids[0] == ids[1] != ids[2]
    assert characters.trial_spec(characters.default, 0).view.tokens == "characters"


def test_a_form_that_is_not_known_is_refused_with_the_ones_that_are(sample):
    with pytest.raises(UserError, match="'words', 'unicode_words', 'characters' or 'subwords', got 'chars'"):
        plan_of(sample, tokens="chars")


def test_forms_of_a_search_are_checked_before_it(sample, monkeypatch):
    Path("space.yaml").write_text(SPACE.replace("FORM", "letters"))
    with pytest.raises(UserError, match="'letters'"):
        plan_of(sample, space=Path("space.yaml"))
    Path("space.yaml").write_text(SPACE.replace("FORM", "subwords"))
    assert plan_of(sample, space=Path("space.yaml")).space.search["tokens"]
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UserError, match=r"pip install 'textbench\[subwords\]'"):
        plan_of(sample, space=Path("space.yaml"))


def test_a_parameter_of_the_name_takes_its_place(sample):
    Path("own.py").write_text(OWN)
    plan = plan_of(sample, "own.py:build")
    spec = plan.trial_spec(plan.default, 0)
    assert spec.hparams == {"tokens": 8}
    assert spec.view.tokens == "words"
