"""A class that few texts have: what weights and thresholds do to it, from the command line to a server."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from benchmark import export, predict, sweep
from benchmark.board.stored_board import read_board
from benchmark.data.dataset import MappedTexts
from benchmark.data.prepare import prepare
from benchmark.data.source import SourceOptions, get_source
from benchmark.plan.run_specs import make_plan
from benchmark.spec.config import SweepConfig
from benchmark.tracking import names
from benchmark.tracking.predictions import PredictionReader, read_predictions
from benchmark.tracking.store import connect, resolve_uri
from benchmark.training.train import train

FINALS = "tags.`benchmark.kind` = 'final'"
ARGUMENTS = ["--dataset", "csv:mail.csv", "--trials", "1", "--seeds", "1", "--epochs", "8"]
FAST = {"tfidf-logreg": {}, "avg-pool": {"learning_rate": 0.03, "batch_size": 64}}
TUNED = ["--set", "class_weight=balanced", "--set", "decision=tuned"]


@pytest.fixture(scope="module")
def mail(tmp_path_factory):
    """A file of mails, of which 8 % are complaints and look much like the others."""
    generator = np.random.default_rng(0)
    words = [f"word{number}" for number in range(60)]
    path = tmp_path_factory.mktemp("mail") / "mail.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(3000):
            rare = number % 25 in (3, 17)
            chosen = [
                *generator.choice(words, 8),
                *(["broken"] * (generator.random() < (0.6, 0.1)[not rare])),
            ]
            writer.writerow(
                [f"{number} {' '.join(generator.permutation(chosen))}", "rare" if rare else "common"]
            )
    return path


@pytest.fixture
def dataset(mail):
    Path("mail.csv").write_bytes(mail.read_bytes())
    return prepare(get_source("csv:mail.csv", SourceOptions()))


def measured(dataset, model="tfidf-logreg", metric="accuracy", **settings):
    config = SweepConfig(
        budget="smoke", trials=1, seeds=1, epochs=8, train_share=1.0, overrides={**FAST[model], **settings}
    )
    plan = make_plan(model, dataset, config)
    spec = plan.final_specs(plan.default)[0].model_copy(update={"metric": metric})
    result = train(spec, dataset, ledger=Path("ledger.jsonl"), compile="graph")
    assert result.status == "ok", result.error
    return result


def answers(result):
    probabilities = result.test_probabilities
    if result.threshold is None:
        return probabilities.argmax(axis=1)
    return (probabilities[:, 1] >= result.threshold).astype(int)


@pytest.mark.parametrize("model", ["tfidf-logreg", "avg-pool"])
def test_weights_and_thresholds_find_the_rare_class(dataset, model):
    assert dataset.class_names == ("common", "rare")
    settings = ({}, {"class_weight": "balanced"}, {"decision": "tuned"})
    plain, weighted, tuned = (measured(dataset, model, "macro_f1", **one) for one in settings)
    recalls = [recall_score(one.test_labels, answers(one)) for one in (plain, weighted, tuned)]
    f1 = [f1_score(one.test_labels, answers(one), average="macro") for one in (plain, tuned)]
    assert recalls[1] > recalls[0] + 0.2
    if model == "tfidf-logreg":  # without weights or a threshold it never answers the rare class
        assert recalls[0] < 0.1
        assert recalls[2] > recalls[0] + 0.3
        assert f1[1] > f1[0] + 0.1
    # The model is the same one; what the search sees is the value at the threshold.
    np.testing.assert_array_equal(tuned.test_probabilities, plain.test_probabilities)
    assert (plain.threshold, tuned.figures["decision_threshold"]) == (None, tuned.threshold)
    assert tuned.figures["best_val_macro_f1"] > 0.6
    assert tuned.test_accuracy == pytest.approx(np.mean(answers(tuned) == tuned.test_labels))
    assert tuned.best_val_accuracy != plain.best_val_accuracy
    assert tuned.history["val_accuracy"] == plain.history["val_accuracy"]


def test_a_metric_of_probabilities_gets_the_threshold_of_balanced_accuracy(dataset):
    one = measured(dataset, metric="roc_auc", decision="tuned")
    other = measured(dataset, metric="balanced_accuracy", decision="tuned")
    assert one.threshold == other.threshold < 0.3


def labelled(capsys, *arguments):
    capsys.readouterr()
    assert predict.main(["--json", *arguments]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("model", ["tfidf-logreg", "avg-pool"])
def test_everything_that_answers_follows_the_threshold(dataset, model, capsys):
    """Weights make the rare class too frequent; a threshold for accuracy takes that back."""
    fast = [part for name, value in FAST[model].items() for part in ("--set", f"{name}={value}")]
    workers = ["--workers", "1"] if model == "avg-pool" else []  # figures come from another process, too
    assert sweep.main(["--model", model, *ARGUMENTS, *TUNED, *fast, *workers]) == 0
    client = connect(resolve_uri(None, Path("mlruns")))
    (experiment,) = {one.experiment_id for one in client.search_experiments() if "mail" in one.name}
    (run,) = client.search_runs([experiment], FINALS)
    assert run.data.params["class_weight"] == "balanced"
    assert run.data.params["decision"] == "tuned"
    stored = read_predictions(client, run.info.run_id)
    assert stored.threshold == run.data.metrics["decision_threshold"] > 0.5
    right = stored.answers == stored.labels
    assert run.data.metrics["test_accuracy"] == pytest.approx(right.mean())
    assert right.mean() > (replace(stored, threshold=None).answers == stored.labels).mean()
    np.testing.assert_array_equal(PredictionReader(client).right(run.info.run_id), right)
    board = read_board(client, client.get_experiment(experiment).name, Path("mlruns/ledger.jsonl"))
    assert board.rows[0].test_values[0] == pytest.approx(right.mean())
    assert run.data.metrics["predict_ms"] > 0
    assert run.data.metrics["predict_texts_per_second"] > 1000 / run.data.metrics["predict_ms"]

    texts = MappedTexts(dataset.folder / "test").texts(np.arange(dataset.sizes["test"]))
    uri = f"runs:/{run.info.run_id}/{names.SERVABLE}"
    Path("texts.txt").write_text("\n".join(texts))
    records = labelled(capsys, "--model-uri", uri, "--file", "texts.txt")
    expected = [dataset.class_names[number] for number in stored.answers]
    assert [one["label"] for one in records] == expected
    assert all(one["probability"] == one["probabilities"][one["label"]] for one in records)
    assert any(one["probability"] < 0.5 for one in records)
    import mlflow

    folder = client.download_artifacts(run.info.run_id, names.SERVABLE)
    assert mlflow.pyfunc.load_model(folder).predict(texts)["label"].tolist() == expected
    if model == "avg-pool":
        assert export.main(["--model-uri", uri, "--output", "out"]) == 0
        import tensorflow as tf

        program = tf.saved_model.load("out/saved_model")
        found = program.signatures["serving_default"](texts=tf.constant(texts))["label"].numpy()
        assert [one.decode() for one in found] == expected
        assert f"rare from a probability of {stored.threshold:.4g} on" in Path("out/README.md").read_text()
