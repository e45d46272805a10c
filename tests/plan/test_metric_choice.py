"""Which metric a sweep follows, what it is part of, and what is refused before any training."""

from pathlib import Path

import pytest

from benchmark.data.dataset import Dataset
from benchmark.data.prepare import prepare
from benchmark.plan.run_specs import make_plan
from benchmark.plan.space import load_space
from benchmark.spec.config import SweepConfig
from benchmark.support.errors import UserError

TOY = Dataset(Path("x"), "toy", "0" * 32, ("a", "b"), {"train": 9, "validation": 3, "test": 3}, 50, 9)
CONFIG = SweepConfig(budget="quick", trials=6, seeds=3, epochs=5, train_share=1.0)
SPACE = "model: nbsvm\nsource: a test\nmetric: {}\ndefault: {{ngrams: 2}}\n"
NO_PROBABILITIES = '''
"""Says a class, not how probable it is."""
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

INPUT = "texts"


def build(task, *, broken: bool = False):
    """Build it."""
    if broken:
        raise RuntimeError("it cannot be built")
    return Pipeline([("count", CountVectorizer()), ("svm", LinearSVC())])
'''


def asked(metric, dataset=TOY, model="nbsvm", space=None, **more):
    return make_plan(model, dataset, CONFIG.model_copy(update={"metric": metric, **more}), space)


@pytest.mark.parametrize(
    ("model", "identity", "trial", "final"),
    # As they were before there was a metric.
    [
        ("avg-pool", "e4fb235744f96c58c883d600a9c727d8", "368262975b25339c", "9294450acd9f7d15"),
        ("nbsvm", "633b76a0a2f0b921b35f6551d02e31b7", "5cd40e32cb1b0258", "a6d2190e2ba9a65f"),
    ],
)
@pytest.mark.parametrize("metric", [None, "accuracy"])
def test_studies_and_runs_by_accuracy_keep_their_ids(model, identity, trial, final, metric):
    plan = asked(metric, model=model)
    assert plan.identity.startswith(identity)
    assert plan.study == f"{model}-toy-quick-{identity[:8]}"
    assert plan.trial_spec(plan.default, 0).spec_id == trial
    assert plan.final_specs(plan.default)[1].spec_id == final


def test_another_metric_is_another_study_with_other_runs():
    plans = [asked(metric) for metric in ("accuracy", "macro_f1", "log_loss")]
    assert len({plan.identity for plan in plans}) == 3
    assert len({plan.trial_spec(plan.default, 0).spec_id for plan in plans}) == 3
    assert plans[1].final_specs(plans[1].default)[0].metric == "macro_f1"


def test_a_space_and_a_data_set_can_name_it_and_the_option_decides(tmp_path, make_source):
    source = make_source([("train", f"word{n}", n % 2) for n in range(20)] + [("test", "x", 0)])
    source.metric = "mcc"
    dataset, file = prepare(source), tmp_path / "space.yaml"
    file.write_text(SPACE.format("roc_auc"))
    assert (dataset.metric, TOY.metric) == ("mcc", None)
    assert asked(None, dataset).metric == "mcc"
    by_space = asked(None, TOY, space=file)
    assert by_space.metric == "roc_auc"
    assert asked("brier", TOY, space=file).metric == "brier"
    # What decides is which metric it is, not who named it.
    assert by_space.identity == asked("roc_auc", TOY, space=file).identity


def test_a_metric_that_a_space_misspells_is_an_error_of_that_line(tmp_path):
    (tmp_path / "space.yaml").write_text(SPACE.format("makro_f1"))
    with pytest.raises(UserError, match=r"line 3: 'makro_f1' is not a metric .*did you mean 'macro_f1'\?"):
        load_space(tmp_path / "space.yaml")


def test_a_metric_of_a_class_without_test_texts_is_unavailable(make_source):
    rows = [("train", f"word{n}", n % 3) for n in range(30)] + [("test", f"t{n}", n % 2) for n in range(6)]
    dataset = prepare(make_source(rows, class_names=("tea", "coffee", "water")))
    assert dataset.class_counts["test"] == [3, 3, 0]
    with pytest.raises(UserError) as error:
        asked("average_precision", dataset)
    assert str(error.value).startswith("`metric` average_precision: ")
    assert "the test split has none of water" in str(error.value)
    assert asked("macro_f1", dataset).metric == "macro_f1"


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc"])
def test_a_pipeline_without_probabilities_is_refused_before_its_first_run(tmp_path, monkeypatch, metric):
    monkeypatch.chdir(tmp_path)
    Path("svm.py").write_text(NO_PROBABILITIES)
    with pytest.raises(UserError, match=r"svm.py:build: LinearSVC, its last step, has no predict_proba"):
        asked(metric, model="svm.py:build")
    assert asked(metric, model="svm.py:build", overrides={"broken": "true"})  # its first run says why


def test_what_describes_a_row_drives_no_search():
    with pytest.raises(UserError, match=r"`metric` ece: .* ranks nothing; expected one of accuracy"):
        asked("ece")
