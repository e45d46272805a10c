"""Settings that every model has, with no change in its file: weights of classes, and the decision."""

from pathlib import Path

import pytest
from tiny_models import NETWORK

from benchmark.driver.further_seeds import changed
from benchmark.models.source_description import describe
from benchmark.plan.run_specs import make_plan, resolve_space, shared_settings
from benchmark.spec.config import SweepConfig
from benchmark.support.errors import UserError

CONFIG = SweepConfig(budget="smoke", trials=2, seeds=2, epochs=2, train_share=1.0)
BOTH = {"class_weight": "balanced", "decision": "tuned"}

# A builder that had a parameter of the name before all models had one.
OWN = '''"""A pipeline with a setting of its own that has the name of one of all models."""
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline

INPUT = "texts"


def build(task, *, class_weight: str = "none", rate: float = 0.5):
    return Pipeline([("prior", DummyClassifier())])
'''

NEIGHBOURS = '''"""Its last step takes no weights."""
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

INPUT = "texts"


def build(task, *, count: int = 5):
    return Pipeline([("tfidf", TfidfVectorizer()), ("near", KNeighborsClassifier(count))])
'''

# Study, id of the first final run and of its configuration, as made before there were these settings.
BEFORE = {
    "majority": ("majority-sample-smoke-79f01db2", "df9a56bcd0577a78", "9ffb087f3c7914ae"),
    "nbsvm": ("nbsvm-sample-smoke-07e7bebb", "8ecf8bf159d6b95e", "4ee69a4f605feda1"),
    "avg-pool": ("avg-pool-sample-smoke-25d76076", "09ac9ec016572296", "efc67c4d5be0fcc3"),
    "cnn": ("cnn-sample-smoke-8ab26cd7", "ab25df3f0a12d7a7", "e4448097508fce16"),
    "net.py:build": ("net-sample-smoke-2f3126f6", "a1ed4ce1d2bf0dda", "f029e55184086b76"),
    "own.py:build": ("own-sample-smoke-c9124254", "53a27a63e48580f4", "18573e5a2619807d"),
}


@pytest.fixture(autouse=True)
def models():
    for name, text in {"net": NETWORK, "own": OWN, "near": NEIGHBOURS}.items():
        Path(f"{name}.py").write_text(text)


def overridden(**values):
    return CONFIG.model_copy(update={"overrides": values})


def final(plan):
    return plan.final_specs(plan.default)[0]


@pytest.mark.parametrize("model", BEFORE)
def test_ids_of_what_is_as_before_stay(sample, model):
    plan = make_plan(model, sample, CONFIG)
    assert (plan.study, final(plan).spec_id, final(plan).config_id) == BEFORE[model]


@pytest.mark.parametrize("model", [name for name in BEFORE if name != "own.py:build"])
def test_every_model_has_them(sample, model):
    plain, other = make_plan(model, sample, CONFIG), make_plan(model, sample, overridden(**BOTH))
    before, after = final(plain), final(other)
    assert (before.class_weight, before.decision) == ("none", "argmax")
    assert (after.class_weight, after.decision) == ("balanced", "tuned")
    assert after.hparams == before.hparams
    assert after.flat().items() >= BOTH.items()
    assert (after.config_id, other.study) != (before.config_id, plain.study)
    assert changed(before, after) == 'class_weight was "none" and is "balanced" now'


def test_a_builder_keeps_its_own_parameter_of_the_name(sample):
    plan = make_plan("own.py:build", sample, overridden(class_weight="some", decision="tuned"))
    spec = final(plan)
    assert (spec.class_weight, spec.decision) == ("none", "tuned")
    assert spec.hparams == {"class_weight": "some", "rate": 0.5}
    assert spec.flat()["class_weight"] == "some"
    assert final(make_plan("own.py:build", sample, CONFIG)).hparams["class_weight"] == "none"


def test_a_space_may_search_them(sample):
    Path("space.yaml").write_text(
        "model: tfidf-logreg\nsource: here\ndefault: {class_weight: none, strength: 1.0}\nsearch:\n"
        "  class_weight: {type: categorical, choices: [none, balanced]}\n"
    )
    plan = make_plan("tfidf-logreg", sample, CONFIG, Path("space.yaml"))
    assert plan.space.search["class_weight"].samples() == ("none", "balanced")
    for one in ("none", "balanced"):
        spec = plan.trial_spec({**plan.default, "class_weight": one}, 0)
        assert (spec.class_weight, "class_weight" in spec.hparams) == (one, False)
    assert shared_settings(describe("majority")) == {
        "class_weight": "none",
        "decision": "argmax",
        "refit": False,
    }
    assert resolve_space(describe("lstm")).default["decision"] == "argmax"


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        ("avg-pool", {"class_weight": "balance"}, r"'avg-pool': .*class_weight.*'none' or 'balanced'"),
        (
            "near.py:build",
            {"class_weight": "balanced"},
            r"^class_weight balanced: KNeighborsClassifier, the last step of near.py:build, takes no weights",
        ),
    ],
)
def test_what_cannot_be_had_is_refused_before_training(sample, model, values, message):
    with pytest.raises(UserError, match=message):
        make_plan(model, sample, overridden(**values))


def test_a_search_that_would_come_to_what_cannot_be_had_is_refused(sample):
    Path("space.yaml").write_text(
        "model: near\nsource: here\ndefault: {count: 5, class_weight: none}\nsearch:\n"
        "  class_weight: {type: categorical, choices: [none, balanced]}\n"
    )
    with pytest.raises(UserError, match="takes no weights"):
        make_plan("near.py:build", sample, CONFIG, Path("space.yaml"))
    Path("space.yaml").write_text(
        "model: near\nsource: here\ndefault: {count: 5, class_weight: none}\nsearch:\n"
        "  class_weight: {type: categorical, choices: [none, heavy]}\n"
    )
    with pytest.raises(UserError, match=r"near.py:build: .*class_weight.*'none' or 'balanced'"):
        make_plan("near.py:build", sample, CONFIG, Path("space.yaml"))


def test_a_threshold_is_for_two_classes(three_classes):
    with pytest.raises(UserError, match=r"^decision tuned: .* 'three' has 3; expected argmax$"):
        make_plan("majority", three_classes, overridden(decision="tuned"))
