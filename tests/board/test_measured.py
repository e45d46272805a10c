"""Boards by a metric: figures from stored predictions, direction, small classes, and what is exploratory."""

import numpy as np
import pytest
from board_samples import Reading, run
from board_samples import board as board_of

from benchmark.metrics.metric import Predictions, get_metric
from benchmark.report.columns import captions, columns, sections
from benchmark.report.latex import to_latex
from benchmark.report.tables import to_markdown, to_table
from benchmark.stats.intervals import mean_interval
from benchmark.tracking.predictions import Measured, Usefulness

RARE, SIZE = 0.1, 2000


class Stored(Reading):
    """Reads made-up predictions, by the functions that read real ones."""

    def __init__(self, predictions):
        self.predictions = predictions

    def right(self, run_id):
        found = self.predictions.get(run_id)
        return None if found is None else found.answers == found.labels

    def ties(self, run_id):
        return 0

    def labels(self, run_id):
        return self.predictions[run_id].labels

    def measured(self, run_id, metric):
        found = self.predictions.get(run_id)
        return found and Measured(metric.value(found), metric.pseudo_values(found))

    def usefulness(self, run_id):
        answers = self.predictions[run_id].answers
        return Usefulness(one_class=len(np.unique(answers)) == 1, unordered=False)


def predictions(signal, seed, size=SIZE, rare=RARE):
    """A model that knows the rare class by so many standard deviations; by 0 it never answers it."""
    labels = (np.arange(size) < rare * size).astype(np.int32)
    hard = np.random.default_rng(0).normal(size=size)
    generator = np.random.default_rng([seed, int(100 * signal)])
    score = signal * labels + hard + 0.3 * generator.normal(size=size) - 2.0
    score = score if signal else np.full(size, -2.0)
    second = 1 / (1 + np.exp(-score))
    return Predictions(labels, np.stack([1 - second, second], axis=1).astype(np.float32))


def finals_of(made, **changes):
    """A final run for each (model, seed) with predictions."""
    return [
        run(
            float(np.mean(found.answers == found.labels)),
            seed,
            model=model,
            run_id=f"{model}{seed}",
            seeds_expected=5,
            **changes,
        )
        for (model, seed), found in made.items()
    ]


def made_up(seeds=5, size=SIZE, rare=RARE):
    signals = {"majority": 0.0, "weak": 1.0, "strong": 2.5}
    return {
        (model, seed): predictions(signal, seed, size, rare)
        for model, signal in signals.items()
        for seed in range(seeds)
    }


def reading(made):
    return Stored({f"{model}{seed}": found for (model, seed), found in made.items()})


@pytest.fixture(scope="module")
def made():
    return made_up()


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1", "mcc", "roc_auc", "average_precision"])
def test_figures_are_those_of_the_metric_and_rows_are_told_apart(made, name):
    board = board_of(finals_of(made), reading=reading(made), metric=name)
    strong, weak, majority = board.rows
    assert (strong.model, weak.model, majority.model) == ("strong", "weak", "majority")
    values = [get_metric(name).value(made["strong", seed]) for seed in range(5)]
    assert strong.test_values == tuple(values)
    assert strong.test_mean == pytest.approx(np.mean(values))
    assert strong.metric == name
    assert (strong.rank, strong.rank_worst) == (1, 1)
    assert weak.rank == 2
    assert majority.baseline is None or majority.difference_outcome == "worse"
    assert strong.sampling_ci_low < strong.test_mean < strong.sampling_ci_high
    interval = mean_interval(values)
    assert strong.test_ci_low == pytest.approx(interval.low, abs=0.002)
    assert strong.test_ci_high < 1


def test_of_a_loss_less_is_better(made):
    board = board_of(finals_of(made), reading=reading(made), metric="log_loss")
    assert [row.model for row in board.rows] == ["strong", "weak", "majority"]
    assert board.rows[0].test_mean < board.rows[1].test_mean
    first = next(pair for pair in board.comparisons if (pair.a, pair.b) == (0, 1))
    assert first.outcome == "better"
    assert first.difference < 0
    assert board.metrics["log_loss"].margin is None
    assert "Of log loss less is better" in captions(board)
    assert any("nothing is equivalent by log loss" in line for line in captions(board))
    with_margin = board_of(finals_of(made), reading=reading(made), metric="log_loss", margin=0.005)
    assert with_margin.metrics["log_loss"].margin == pytest.approx(0.5)  # 0.5 as it is written, not points
    assert {pair.outcome for pair in with_margin.comparisons} == {"equivalent"}


def test_a_few_examples_of_a_class_decide_nothing():
    made = made_up(size=600, rare=0.015)  # nine of them
    board = board_of(finals_of(made), reading=reading(made), metric="macro_f1")
    assert {pair.outcome for pair in board.comparisons} == {"undecided"}
    assert {row.sampling_error for row in board.rows} == {None}
    assert all("too few test examples of class 1" in "".join(row.notes) for row in board.rows)
    assert {row.test_ci_low for row in board.rows} == {None}
    assert board_of(finals_of(made), reading=reading(made)).rows[0].sampling_error > 0  # of accuracy


def test_a_row_without_predictions_has_what_was_recorded(made):
    finals = finals_of(made)
    bare = {key: found for key, found in made.items() if key[0] != "weak"}
    recorded = [
        one
        if one.model != "weak"
        else one.__class__(**{**vars(one), "metrics": {**one.metrics, "test_mcc": 0.3}})
        for one in finals
    ]
    row = next(
        row for row in board_of(recorded, reading=reading(bare), metric="mcc").rows if row.model == "weak"
    )
    assert (row.test_mean, row.rank) == (pytest.approx(0.3), None)
    row = next(
        row for row in board_of(finals, reading=reading(bare), metric="mcc").rows if row.model == "weak"
    )
    assert (row.test_mean, row.test_values) == (None, ())
    assert "unknown: no stored predictions" in row.notes[-1]


def test_runs_that_were_optimised_for_different_metrics_are_apart(made):
    finals = finals_of({key: found for key, found in made.items() if key[0] != "weak"})
    other = [
        one.__class__(**{**vars(one), "tags": {**one.tags, "benchmark.metric": "macro_f1"}})
        for one in finals_of({key: found for key, found in made.items() if key[0] == "weak"}, study="other")
    ]
    board = board_of(finals + other, reading=reading(made))
    assert {row.model: row.metric for row in board.rows} == {
        "strong": "accuracy", "majority": "accuracy", "weak": "macro_f1"
    }  # fmt: skip
    titles = [part.title for part in sections(board.rows)]
    assert sorted(titles) == ["imdb, budget standard", "imdb, budget standard, by macro F1"]
    assert not any(row.exploratory for row in board.rows)
    asked = board_of(finals + other, reading=reading(made), metric="macro_f1")
    assert {row.model: row.exploratory for row in asked.rows} == {
        "strong": True, "majority": True, "weak": False
    }  # fmt: skip
    for text in (to_table(asked), to_markdown(asked), to_latex(asked)):
        assert "exploratory" in text
        assert "macro F1" in text


def test_what_accuracy_hides_is_said(made):
    board = board_of(finals_of(made), reading=reading(made))
    assert any("90 % of the test texts are of one class" in line for line in captions(board))
    majority = next(row for row in board.rows if row.model == "majority")
    assert "answers one class alone" in majority.notes
    (part,) = sections(board_of(finals_of(made), reading=reading(made), metric="roc_auc").rows)
    assert "test area under the ROC curve %" in [column.heading for column in columns(part.rows)]
