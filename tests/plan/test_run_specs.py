"""Plans: what a sweep of a model that reads files of its own is made of."""

import hashlib
from pathlib import Path

import pytest
from tiny_models import READER

from benchmark.plan.run_specs import make_plan
from benchmark.spec.config import Confirmation, Resource, SweepConfig
from benchmark.support.errors import MissingResource, UserError

CONFIG = SweepConfig(budget="smoke", trials=2, seeds=2, epochs=2, train_share=1.0)


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("reader.py").write_text(READER.replace("__RESOURCE__", '"reader.py:identify"'))
    return "reader.py:build"


def test_the_content_of_a_named_file_is_part_of_the_run(model, sample):
    Path("numbers.txt").write_text("pretrained")
    first = make_plan(model, sample, CONFIG)
    spec = first.final_specs(first.default)[0]
    assert spec.resources == {
        "numbers": Resource(digest=hashlib.sha256(b"pretrained").hexdigest()[:32], protocol="pretrained")
    }
    assert (spec.view, spec.training.epochs) == (None, 2)
    assert spec.hparams == {"numbers": "numbers.txt", "units": 4}
    study = first.study

    Path("numbers.txt").write_text("unlabelled " + sample.digest)
    other = make_plan(model, sample, CONFIG)
    assert other.final_specs(other.default)[0].spec_id != spec.spec_id
    assert other.study != study


@pytest.mark.parametrize(
    ("content", "protocol"),
    [("pretrained", "pretrained"), ("unlabelled {digest}", "unlabelled"), ("unlabelled 0123", "pretrained")],
)
def test_the_protocol_says_what_the_model_has_seen(model, sample, content, protocol):
    Path("numbers.txt").write_text(content.format(digest=sample.digest))
    plan = make_plan(model, sample, CONFIG)
    assert plan.protocol == plan.trial_spec(plan.default, 0).protocol == protocol
    assert make_plan("majority", sample, CONFIG).protocol == "inductive"


def test_what_cannot_be_had_is_found_out_before_the_search(model, sample):
    with pytest.raises(MissingResource, match=r"reader.py:build: there is no file numbers.txt; bring one"):
        make_plan(model, sample, CONFIG)
    Path("numbers.txt").write_text("pretrained")
    Path("space.yaml").write_text(
        "model: reader.py:build\nsource: a test\ndefault: {numbers: numbers.txt}\n"
        "search:\n  numbers: {type: categorical, choices: [numbers.txt, others.txt]}\n"
    )
    with pytest.raises(MissingResource, match=r"there is no file others.txt"):
        make_plan(model, sample, CONFIG, Path("space.yaml"))


def test_a_model_that_reads_raw_texts_is_not_for_xla(model, sample):
    Path("numbers.txt").write_text("pretrained")
    with pytest.raises(UserError, match=r"`compile` xla: 'reader.py:build' reads raw texts"):
        make_plan(model, sample, CONFIG.model_copy(update={"compile": "xla"}))


def test_settings_for_one_model_of_several(model, sample):
    Path("numbers.txt").write_text("pretrained")
    config = CONFIG.model_copy(update={"overrides": {"reader.units": 8, "avg-pool.units": 32}})
    assert make_plan(model, sample, config).default["units"] == 8
    assert make_plan("avg-pool", sample, config).default["units"] == 32
    assert make_plan("lstm", sample, config).default["units"] == 100
    with pytest.raises(UserError, match="did you mean 'units'"):
        make_plan(model, sample, CONFIG.model_copy(update={"overrides": {"reader.unit": 8}}))


def overridden(**values):
    return CONFIG.model_copy(update={"overrides": values})


def test_trim_is_for_models_that_ignore_padding(sample):
    with pytest.raises(UserError, match=r"^trim: 'flatten' gives different answers when padding is left off"):
        make_plan("flatten", sample, overridden(trim=True))
    with pytest.raises(
        UserError,
        match=r"^trim: 'cnn' .*padding only when mask_zero is true; add `set` mask_zero=true",
    ):
        make_plan("cnn", sample, overridden(trim=True))
    with pytest.raises(UserError, match="only when mask is true"):  # it is searched there
        make_plan("avg-pool", sample, overridden(trim=True))
    with pytest.raises(UserError, match=r"^`compile` xla: batches of changing width"):
        make_plan("fasttext", sample, overridden(trim=True).model_copy(update={"compile": "xla"}))
    assert make_plan("cnn", sample, overridden(trim=True, mask_zero=True)).default["trim"] is True
    assert make_plan("fasttext", sample, overridden(trim=True)).default["trim"] is True


@pytest.mark.parametrize(("condition", "allowed"), [("", False), (", when: {mask_zero: true}", True)])
def test_trim_may_be_searched_where_padding_is_left_out_of_account(sample, tmp_path, condition, allowed):
    space = tmp_path / "space.yaml"
    space.write_text(
        "model: cnn\nsource: here\ndefault: {mask_zero: false, trim: false}\nsearch:\n"
        "  mask_zero: {type: categorical, choices: [false, true]}\n"
        f"  trim: {{type: categorical, choices: [false, true]{condition}}}\n"
    )
    if allowed:
        assert make_plan("cnn", sample, CONFIG, space).space.search["trim"].when == {"mask_zero": True}
    else:
        with pytest.raises(UserError, match=r"'when: {mask_zero: true}' to the search of trim"):
            make_plan("cnn", sample, CONFIG, space)


def test_precision_is_a_part_of_networks_and_of_their_search(sample):
    half = CONFIG.model_copy(update={"precision": "bfloat16"})
    for name in ("avg-pool", "nbsvm"):
        plain, precise = make_plan(name, sample, CONFIG), make_plan(name, sample, half)
        assert (plain.identity == precise.identity) == (name == "nbsvm")
        same = plain.trial_spec(plain.default, 0) == precise.trial_spec(precise.default, 0)
        assert same == (name == "nbsvm")
    network = make_plan("avg-pool", sample, half)
    assert network.trial_spec(network.default, 0).training.precision == "bfloat16"


def test_what_the_tracking_store_would_refuse_or_cut_is_found_before_training(sample):
    Path("noted.py").write_text("def build(task, *, note: str = 'short', **more): ...\n")
    with pytest.raises(UserError, match=r"note=xxx.* has 7000 characters; MLflow keeps at most 6000"):
        make_plan("noted.py", sample, CONFIG.model_copy(update={"overrides": {"note": "x" * 7000}}))
    Path("noted.yaml").write_text("model: noted.py\nsource: a test\ndefault: {a b@c: 1}\n")
    with pytest.raises(UserError, match=r"'a b@c' has a name that MLflow refuses; .* as 'a b_c'"):
        make_plan("noted.py", sample, CONFIG)


def test_what_is_deterministic_is_not_confirmed(sample):
    confirm = Confirmation(configurations=2, runs=1)

    def confirming(model, **settings):
        config = CONFIG.model_copy(update={"trials": 5, "confirm": confirm, **settings})
        return make_plan(model, sample, config).confirming

    assert confirming("linear-words") == confirming("tfidf-logreg", train_examples=4000) == 0
    assert confirming("nbsvm") == confirming("avg-pool") == 2
    assert confirming("linear-words", train_examples=100) == 2  # drawn by the seed
    assert confirming("linear-words", train_share=0.5) == 2


def test_settings_that_came_later_leave_no_trace_in_ids_of_pipelines(sample):
    """The ids are those of runs from before there were the settings."""
    known = {"tfidf-logreg": "60e9d84e400424fa", "nbsvm": "8ecf8bf159d6b95e"}
    found = {}
    for model in known:
        plan = make_plan(model, sample, CONFIG)
        found[model] = plan.final_specs(plan.default)[0].spec_id
    assert found == known
    plan = make_plan("tfidf-logreg", sample, CONFIG)
    for name, value in (("tokens", "words"), ("analyzer", "characters"), ("token_pattern", "all")):
        changed = plan.final_specs({**plan.default, name: value})[0]
        assert changed.spec_id != found["tfidf-logreg"]
        assert changed.hparams[name] == value


@pytest.mark.parametrize(
    ("model", "name", "value", "nearest"),
    [
        ("linear-words", "tokens", "unicode_word", "'unicode_words'"),
        ("linear-words", "tokens", "pattern", "words"),
        ("tfidf-logreg", "analyzer", "character", "'characters'"),
        ("nbsvm", "tokens", "patern", "'pattern'"),
    ],
)
def test_a_choice_that_there_is_not(sample, model, name, value, nearest):
    config = CONFIG.model_copy(update={"overrides": {name: value}})
    with pytest.raises(UserError, match=f"{model}: {name} is '{value}'") as caught:
        make_plan(model, sample, config)
    assert nearest in str(caught.value)
