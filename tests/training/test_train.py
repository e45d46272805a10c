"""Training: the same in every way of running it, honest about its end."""

import pickle
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from ledgers import reads
from mlflow.utils.validation import _validate_metric_name
from run_specs import make_spec

from benchmark.execution.engine import Job, Workplace
from benchmark.execution.worker import serve
from benchmark.models.source_description import describe
from benchmark.models.task import reporter
from benchmark.spec.config import ViewSettings
from benchmark.spec.result import EpochReport, Result
from benchmark.support import source_files
from benchmark.tracking import names
from benchmark.training.batches import make_epoch, prepare, shuffled
from benchmark.training.train import share_of, train

BUILDERS = """
import keras
import tensorflow as tf

def _model(task, *layers):
    ids = keras.Input((task.sequence_length,), dtype="int32")
    x = keras.layers.Embedding(task.vocabulary_size, 4)(ids)
    for layer in layers:
        x = layer(x)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(ids, keras.layers.Dense(task.n_outputs)(x))

def plain(task):
    return _model(task)

def dropout(task):
    return _model(task, keras.layers.Dropout(0.5))

def nan(task):
    return _model(task, keras.layers.Rescaling(float("nan")))

def raises(task):
    raise RuntimeError("this model cannot be built")

class Python(keras.layers.Layer):
    def call(self, x):
        return x + tf.ensure_shape(tf.numpy_function(lambda x: 0 * x, [x], x.dtype), x.shape)

def unsavable(task):
    return _model(task, Python())

def too_wide(task):
    ids = keras.Input((task.sequence_length,), dtype="int32")
    return keras.Model(ids, keras.layers.Embedding(task.vocabulary_size, 7)(ids)[:, 0])
"""


@pytest.fixture
def builders(tmp_path):
    path = tmp_path / "builders.py"
    path.write_text(BUILDERS)
    return path


@pytest.mark.parametrize(
    "mode", [*(pytest.param(mode, marks=pytest.mark.long) for mode in ("fit", "xla")), "graph"]
)
def test_the_same_spec_gives_bit_equal_curves(sample, mode):
    spec = make_spec(sample, hparams={"dropout": 0.3})
    first, again = (train(spec, sample, compile=mode) for _ in range(2))
    other = train(make_spec(sample, seed=1, hparams=spec.hparams), sample, compile=mode)
    curves = [[result.history[name] for name in ("loss", "val_loss")] for result in (first, again, other)]
    assert first.status == "ok", first.error
    assert curves[0] == curves[1]
    assert curves[0] != curves[2]


@pytest.mark.parametrize(
    ("model", "hparams"),
    [
        ("avg-pool", {}),
        pytest.param("avg-pool", {"dropout": 0.4, "embedding_dropout": 0.2}, marks=pytest.mark.long),
        pytest.param("lstm", {"embedding_dim": 8, "units": 8}, marks=pytest.mark.long),
    ],
)
def test_compiled_epochs_have_keras_semantics(sample, model, hparams):
    # 4,000 texts in batches of 300: the last batch is a partial one.
    spec = make_spec(sample, model, hparams=hparams, batch_size=300, epochs=3, patience=3)
    # XLA draws other dropout masks than a plain graph, so only a model without them can be compared.
    modes = ("fit", "graph", "xla") if hparams == {} else ("fit", "graph")
    fit, *others = (train(spec, sample, compile=mode) for mode in modes)
    for other in others:
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            np.testing.assert_allclose(other.history[name], fit.history[name], rtol=2e-3, atol=2e-3)
    assert tuple(result.compile for result in (fit, *others)) == modes


@pytest.mark.long
def test_streams_are_independent(sample, builders):
    """The dropout stream decides the masks; without dropout it changes nothing."""

    def losses(model, dropout_seed):
        spec = make_spec(sample, f"{builders}:{model}", epochs=1)
        seeds = spec.seeds.model_copy(update={"dropout": dropout_seed})
        return train(spec.model_copy(update={"seeds": seeds}), sample).history["loss"]

    assert losses("dropout", 1) != losses("dropout", 2)
    assert losses("plain", 1) == losses("plain", 2)


def test_dropout_under_xla_drops_its_share_and_keeps_the_mean():
    before = tf.nn.experimental.stateless_dropout
    x, y = tf.ones((64, 400)), tf.zeros((64, 1))
    layer = keras.layers.Dropout(0.3, seed=1)
    model = keras.Sequential([keras.Input((400,)), layer])
    moments = [
        lambda y, out: tf.reduce_mean(tf.cast(out == 0, "float32")),
        lambda y, out: tf.reduce_mean(out),
    ]
    model.compile("sgd", loss=lambda y, out: tf.reduce_sum(out, axis=-1), metrics=moments)
    prepare(model, x, y)
    logs = make_epoch(model, "xla")(x, y, shuffled(np.random.default_rng(0), 64, 32))
    zeros, mean = list(logs.values())[1:]
    assert zeros == pytest.approx(0.3, abs=0.02)
    assert mean == pytest.approx(1, abs=0.03)
    assert tf.nn.experimental.stateless_dropout is before


def test_best_weights_are_restored(sample, tmp_path):
    """With a learning rate that overshoots, the last epoch is not the best one."""
    spec = make_spec(sample, learning_rate=0.05, epochs=10, patience=10, batch_size=64)
    result = train(spec, sample, servable=tmp_path / "model")
    curve = result.history["val_accuracy"]
    assert result.best_epoch == int(np.argmax(curve)) + 1
    assert result.best_epoch < len(curve)
    assert result.best_val_accuracy == max(curve)
    from benchmark.serving.mlflow_model import Servable

    validation = sample.view("validation", spec.view)
    served = Servable(tmp_path / "model")._predict(validation.x)
    assert ((served[:, 0] > 0) == validation.y).mean() == result.best_val_accuracy


def test_without_patience_all_epochs_are_trained_and_the_last_weights_kept(sample):
    spec = make_spec(sample, learning_rate=0.3, epochs=12, patience=None)
    result = train(spec, sample)
    values = result.history["val_accuracy"]
    assert result.epochs_run == result.best_epoch == 12
    stopped = train(make_spec(sample, learning_rate=0.3, epochs=12, patience=12), sample)
    assert values == stopped.history["val_accuracy"]
    assert result.best_val_accuracy == values[-1]
    assert result.best_val_loss == result.history["val_loss"][-1] != stopped.best_val_loss
    assert spec.spec_id != make_spec(sample, learning_rate=0.3, epochs=12, patience=12).spec_id


def test_early_stopping_waits_for_its_patience(sample):
    result = train(make_spec(sample, learning_rate=0.3, epochs=40, patience=2), sample)
    assert result.epochs_run == result.best_epoch + 2 < 40


def test_the_caller_can_prune(sample):
    seen = []

    def stop_after_two(report):
        seen.append(report)
        return "pruned" if report.epoch == 2 else None

    result = train(make_spec(sample, epochs=5), sample, on_epoch=stop_after_two)
    assert result.status == "pruned"
    assert result.epochs_run == 2
    assert [report.epoch for report in seen] == [1, 2]
    assert set(seen[0].metrics) == {
        "loss",
        "accuracy",
        "val_loss",
        "val_accuracy",
        "learning_rate",
        "epoch_seconds",
    }
    assert seen[1].best_value == max(result.history["val_accuracy"])


def test_a_loss_that_is_not_finite_ends_the_run_as_diverged(sample, builders):
    result = train(make_spec(sample, f"{builders}:nan", epochs=5), sample)
    assert (result.status, result.epochs_run, result.test_accuracy) == ("diverged", 1, None)


def test_a_model_that_raises_is_a_result_with_its_traceback(sample, builders):
    result = train(make_spec(sample, f"{builders}:raises"), sample)
    assert result.status == "failed"
    assert "this model cannot be built" in result.error


def test_a_figure_that_cannot_be_stored_is_an_error_before_training(sample, builders, tmp_path):
    builders.write_text(BUILDERS + "def reports(task):\n    task.report('precision@1', 0.5)\n")
    result = train(make_spec(sample, f"{builders}:reports", kind="final"), sample, ledger=tmp_path / "ledger")
    assert (result.status, result.epochs_run) == ("failed", 0)
    assert result.error.splitlines()[-1].endswith("the nearest is 'precision_1'")
    assert not (tmp_path / "ledger").exists()


def test_what_a_pipeline_reports_is_kept(sample, tmp_path):
    (tmp_path / "pipeline.py").write_text(
        "from benchmark.models.majority import build as majority\nINPUT = 'texts'\n"
        "def build(task):\n    task.report('half', 0.5)\n    return majority(task)\n"
    )
    spec = make_spec(sample, str(tmp_path / "pipeline.py")).model_copy(
        update={"view": None, "training": None}
    )
    result = train(spec, sample)
    assert (result.status, result.reports) == ("ok", {"half": 0.5})


OWN = (*names.CURVES, "learning_rate", "epoch_seconds", names.BEST_VAL_ACCURACY, names.BEST_VAL_LOSS)
OWN += (names.BEST_EPOCH, names.EPOCHS_RUN, names.TRAIN_SECONDS, names.EXAMPLES_PER_SECOND, names.PARAMETERS)
OWN += (names.TEST_ACCURACY, names.TEST_LOSS, names.SEARCH_TRIALS, names.SEARCH_SECONDS)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("precision@1", "precision_1"),
        ("share of known words (%)", "share of known words"),
        ("", "figure"),
        ("../x", "x"),
        ("a//b", "a/b"),
        ("/a", "a"),
        ("x" * 251, "x" * 250),
        ("line\n", "line"),
        ("test_accuracy", "reported_test_accuracy"),
        ("Loss", "reported_Loss"),
        ("system/cpu", "reported_system/cpu"),
        *((name, f"reported_{name}") for name in OWN),
    ],
)
def test_names_of_figures_are_held_against_mlflow_and_the_programs_own(name, nearest):
    figures = {}
    with pytest.raises(ValueError, match=rf"nearest is '{re.escape(nearest)}'$"):
        reporter(figures)(name, 0.5)
    reporter(figures)(nearest, 0.5)
    _validate_metric_name(nearest)
    assert figures == {nearest: 0.5}


@pytest.mark.parametrize("value", ["0.5", None, float("nan"), float("inf"), 1j, np.ones(2), keras.Input(())])
def test_a_figure_is_a_finite_number(value):
    with pytest.raises(ValueError, match="expected a finite number"):
        reporter({})("figure", value)


def test_a_model_that_cannot_be_stored_keeps_its_result(sample, builders, tmp_path):
    spec = make_spec(sample, f"{builders}:unsavable", kind="final", epochs=1)
    result = train(spec, sample, ledger=tmp_path / "ledger.jsonl", servable=tmp_path / "model")
    assert result.status == "ok"
    assert result.test_accuracy is not None
    assert result.servable is None
    assert "calls Python while it answers" in result.error


def test_wrong_number_of_outputs_is_explained(sample, builders):
    result = train(make_spec(sample, f"{builders}:too_wide"), sample)
    assert result.status == "failed"
    assert "gives 7 outputs, expected 1 logits" in result.error


def test_only_a_final_run_reads_the_test_part_and_it_is_written_down(sample, tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    trial = train(make_spec(sample, epochs=1), sample, ledger=ledger)
    assert trial.test_probabilities is None
    assert not ledger.exists()
    final = train(make_spec(sample, kind="final", epochs=1), sample, ledger=ledger)
    assert reads(ledger, sample.digest) == {"avg-pool": 1}
    assert final.test_probabilities.shape == (2000, 2)
    np.testing.assert_allclose(final.test_probabilities.sum(axis=1), 1, rtol=1e-5)
    agreed = final.test_probabilities.argmax(axis=1) == final.test_labels
    assert final.test_accuracy == pytest.approx(agreed.mean())


def test_a_final_run_without_a_ledger_is_refused(sample):
    result = train(make_spec(sample, kind="final", epochs=1), sample)
    assert result.status == "failed"
    assert "ledger" in result.error


def test_a_share_of_the_training_part_is_stratified_and_drawn_by_seed(sample):
    split = sample.view("train", ViewSettings())
    draws = [share_of(split, make_spec(sample, share=0.1, seed=seed)) for seed in (0, 0, 1)]
    assert [len(draw.y) for draw in draws] == [400, 400, 400]
    assert abs(draws[0].y.mean() - split.y.mean()) < 0.01
    assert (draws[0].rows == draws[1].rows).all()
    assert (draws[0].rows != draws[2].rows).any()


@pytest.mark.parametrize(
    ("schedule", "last"),
    [("constant", 0.01), ("linear", 0.00333), ("cosine", 0.0025), ("exponential", 0.00215)],
)
def test_learning_rate_schedules(sample, schedule, last):
    """The rate at the start of the third of three epochs."""
    result = train(make_spec(sample, schedule=schedule, epochs=3, patience=3), sample)
    assert result.history["learning_rate"][0] == pytest.approx(0.01)
    assert result.history["learning_rate"][2] == pytest.approx(last, rel=0.05)


@pytest.mark.parametrize(
    "optimizer",
    ["sgd", *(pytest.param(name, marks=pytest.mark.long) for name in ("adam", "adamw", "nadam", "rmsprop"))],
)
def test_optimizers(sample, optimizer):
    result = train(make_spec(sample, optimizer=optimizer, epochs=2), sample)
    assert result.status == "ok", result.error
    assert result.history["loss"][1] < result.history["loss"][0]


@pytest.mark.long
def test_no_model_beats_the_ceiling(sample, tmp_path):
    """The leak detector: 5 % of the labels are coin flips that no text tells."""
    from benchmark.data.sample import CEILING

    accuracies = {}
    for model, settings in {
        "avg-pool": {"epochs": 20, "patience": 5},
        "lstm": {"epochs": 6, "batch_size": 64, "learning_rate": 0.005, "patience": 6},
    }.items():
        view = ViewSettings(vocabulary_size=10000, sequence_length=64, padding="pre")
        spec = make_spec(sample, model, kind="final", view=view, **settings)
        accuracies[model] = train(spec, sample, ledger=tmp_path / "ledger.jsonl").test_accuracy
    assert max(accuracies.values()) <= CEILING
    assert 0.6 < accuracies["avg-pool"] < CEILING - 0.1
    assert accuracies["lstm"] > accuracies["avg-pool"] + 0.05


def test_a_masked_average_survives_a_text_without_words(make_source):
    """Average pooling over no word at all is zeros, not a loss that is not finite."""
    from benchmark.data.prepare import prepare

    rows = [
        (split, text, number % 2)
        for split in ("train", "test")
        for number, text in enumerate(["", "a", "b"] * 20)
    ]
    dataset = prepare(make_source(rows, class_names=("x", "y"), validation_share=0.2))
    result = train(make_spec(dataset, hparams={"mask": True}, batch_size=8), dataset)
    assert result.status == "ok", result.error
    assert np.isfinite(result.history["loss"]).all()


def test_a_worker_trains_the_files_that_were_planned(sample, tmp_path, monkeypatch):
    (tmp_path / "m.py").write_text(
        f"from blocks import call\n{BUILDERS}\ndef build(task):\n    return call(_model, task)\n"
    )
    (tmp_path / "blocks.py").write_text("def call(model, task):\n    return model(task)\n")
    model = describe(f"{tmp_path}/m.py")
    spec = make_spec(sample, model.name, epochs=1).model_copy(update={"model_digest": model.digest})
    monkeypatch.setattr(source_files, "_kept", {})  # as in another process
    (tmp_path / "blocks.py").write_text("raise RuntimeError('edited while the sweep runs')\n")
    jobs = [pickle.dumps(job) for job in (Job(0, spec), Job(1, spec, code=model.code))]
    messages = []

    def receive():
        if messages and isinstance(messages[-1], EpochReport):
            return None
        if not jobs:
            raise EOFError
        return pickle.loads(jobs.pop(0))

    place = Workplace(sample, tmp_path / "ledger", "cpu", "graph")
    serve(lambda: place, None, messages.append, receive)
    first, second = [message for message in messages if isinstance(message, Result)]
    assert "was changed since this was planned" in first.error
    assert second.error == ""
    assert second.status == "ok"


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("keras.layers.Dense(task.n_outputs, activation='sigmoid')(x)", "probabilities"),
        ("keras.layers.Softmax()(keras.layers.Dense(task.n_outputs)(x))", "probabilities"),
        ("[keras.layers.Dense(1)(x), keras.layers.Dense(1)(x)]", "shape"),
    ],
)
def test_a_network_that_does_not_give_logits_is_refused_before_training(sample, tmp_path, end, said):
    path = tmp_path / "wrong.py"
    path.write_text(
        "import keras\n\ndef build(task):\n    ids = keras.Input((task.columns,), dtype='int32')\n"
        "    x = keras.layers.GlobalMaxPooling1D()(keras.layers.Embedding(task.vocabulary_size, 4)(ids))\n"
        f"    return keras.Model(ids, {end})\n"
    )
    result = train(make_spec(sample, f"{path}:build"), sample)
    assert (result.status, result.epochs_run) == ("failed", 0)
    assert said in result.error_line
    assert "1 logits" in result.error_line
