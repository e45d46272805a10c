"""Final runs for the tests of the board and its exports."""

from dataclasses import replace

import numpy as np

from benchmark.board.board import build_board
from benchmark.tracking import names
from benchmark.tracking.predictions import PredictionReader
from benchmark.tracking.runs import StoredRun

EXAMPLES = 2000

TAGS = {
    name: getattr(names, name.upper())
    for name in (
        *(
            "model",
            "budget",
            "dataset",
            "dataset_digest",
            "study",
            "protocol",
            "status",
            "device",
            "machine",
            "versions",
        ),
        *(
            "git_commit",
            "search_ended",
            "test_duplicates",
            "spec_id",
            "seed",
            "seeds_expected",
            "deterministic",
            "made_for",
        ),
    )
}
METRICS = {
    name: getattr(names, name.upper())
    for name in (
        *("test_accuracy", "test_loss", "parameters", "train_seconds", "epochs_run"),
        *("search_trials", "search_seconds"),
    )
} | {"val_accuracy": names.BEST_VAL_ACCURACY}


def changed(stored, *, run_id=None, tiers=None, ended_at=None, **changes):
    """The same run with other values of some of its attributes; a metric that is None is one it lacks."""
    tags, metrics = dict(stored.tags), dict(stored.metrics)
    if tiers is not None:
        tags[names.TIER] = "+".join(tiers) or names.NO_TIER
    for name, value in changes.items():
        if name in TAGS:
            tags[TAGS[name]] = str(value)
        elif value is None:
            metrics.pop(METRICS[name], None)
        else:
            metrics[METRICS[name]] = value
    end = stored.end_time if ended_at is None else int(1000 * ended_at)
    return replace(stored, run_id=run_id or stored.run_id, end_time=end, tags=tags, metrics=metrics)


def run(accuracy=0.87, seed=0, **changes):
    """One final run of an LSTM; `changes` replaces any attribute."""
    ok = changes.get("status", "ok") == "ok"
    which = "".join(
        f"-{changes[k]}" for k in ("dataset_digest", "study", "protocol", "tiers") if k in changes
    )
    fields = {
        "run_id": f"run-{changes.get('model', 'lstm')}-{changes.get('budget', 'standard')}{which}-{seed}",
        "model": "lstm",
        "tiers": ("tuned",),
        "budget": "standard",
        "dataset": "imdb",
        "dataset_digest": "d1",
        "study": "study-1",
        "protocol": "inductive",
        "seed": seed,
        "status": "ok",
        "test_accuracy": accuracy if ok else None,
        "test_loss": 0.3 if ok else None,
        "val_accuracy": accuracy + 0.01 if ok else None,
        "parameters": 160_033,
        "train_seconds": 10.0 + seed,
        "epochs_run": 5,
        "device": "cpu",
        "versions": "tensorflow 2.21.0, keras 3.15.1",
        "git_commit": "d083e72",
        "seeds_expected": 3,
        "search_trials": 20,
        "search_seconds": 300.5,
        "ended_at": 100.0 + seed,
    }
    return changed(StoredRun("", "FINISHED"), **{**fields, **changes})


def runs(*accuracies, **changes):
    """One final run for each accuracy, on seeds 0, 1, …"""
    return [run(accuracy, seed, **changes) for seed, accuracy in enumerate(accuracies)]


class Reading(PredictionReader):
    """Predictions of which a test says what is right, and nothing else unless it says that, too."""

    def __init__(self, right, *, ties=0, labels=None, measured=None, usefulness=None):
        self.right = right
        self._ties, self._labels = ties, labels
        self._measured, self._usefulness = measured or {}, usefulness

    def ties(self, run_id):
        return self._ties

    def class_name(self, digest, label):
        return str(label)

    def labels(self, run_id):
        return self._labels

    def measured(self, run_id, metric):
        return self._measured.get((run_id, metric.name))

    def usefulness(self, run_id):
        return self._usefulness


def answers_of(finals):
    """What a board asks for: right and wrong answers that give each run's accuracy.

    All systems find the same examples hard, and each run differs from that in a few.
    """
    known = {final.run_id: final for final in finals}

    def read(run_id):
        final = known[run_id]
        generator = np.random.default_rng([final.seed, *final.model.encode()])
        ease = np.arange(EXAMPLES) + generator.normal(0, EXAMPLES / 100, EXAMPLES)
        right = np.zeros(EXAMPLES, dtype=bool)
        right[np.argsort(ease)[: round(final.test_accuracy * EXAMPLES)]] = True
        return right

    return read


def board(finals, reads=None, *, reading=None, **options):
    """The board of some final runs, whose answers are made up to fit."""
    return build_board(finals, reads or {}, reading or Reading(answers_of(finals)), **options).board


def rows(finals, reads=None, **options):
    """Its rows."""
    return board(finals, reads, **options).rows
