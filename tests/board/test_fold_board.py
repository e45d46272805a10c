"""The board over folds is a combination of the boards of its folds, in every format."""

import json
from dataclasses import replace

import numpy as np
import pytest
from board_samples import Reading, answers_of, run

from benchmark.board.board import build_board
from benchmark.board.fold_board import HEURISTIC, fold_board
from benchmark.board.ranking import verdict
from benchmark.data.folds import Fold
from benchmark.report.html import to_html
from benchmark.report.tables import to_csv, to_json, to_markdown, to_table
from benchmark.stats.intervals import mean_interval
from benchmark.tracking import names
from benchmark.tracking.predictions import Measured

FOLDS = 5
LSTM = (0.80, 0.82, 0.79, 0.81, 0.80)
CNN = (0.75, 0.78, 0.75, 0.76, 0.76)


def finals(fold, accuracy, model, seeds=2, **changes):
    suffix = Fold(fold, FOLDS, "").suffix
    found = []
    for seed in range(seeds):
        one = run(
            accuracy + seed * 0.002,
            seed,
            model=model,
            dataset="csv-x--5-folds",
            dataset_digest=f"fold{fold}",
            study=f"{model}-study{suffix}",
            run_id=f"{model}-{fold}-{seed}-{changes.get('tiers', ('tuned',))[0]}",
            seeds_expected=seeds,
            **changes,
        )
        tags = {names.FOLD: f"{fold} of {FOLDS}", names.FOLDS_DIGEST: "all"}
        found.append(replace(one, tags={**one.tags, **tags}))
    return found


def boards(rows=None, **changes):
    rows = rows or {"lstm": LSTM, "cnn": CNN}
    found = {}
    for place in range(FOLDS):
        runs = [
            one
            for model, values in rows.items()
            if values[place] is not None
            for one in finals(place + 1, values[place], model, **changes)
        ]
        reads = {(f"fold{place + 1}", model): 2 for model in rows}
        found[Fold(place + 1, FOLDS, "all")] = build_board(runs, reads, Reading(answers_of(runs))).board
    return found


def combined(found=None, **options):
    return fold_board(found or boards(), {"all": 500}, **options)


def test_figures_are_means_over_folds_with_the_inflated_error():
    rows = combined().board.rows
    assert [row.model for row in rows] == ["lstm", "cnn"]
    row, values = rows[0], [value + 0.001 for value in LSTM]
    interval = mean_interval(values, folds=True)
    assert row.test_values == pytest.approx(values)
    assert (row.test_mean, row.test_ci_low) == pytest.approx((np.mean(values), interval.low))
    assert (row.n_seeds, row.seeds_expected, row.test_reads, row.folds) == (10, 10, 10, (1, 2, 3, 4, 5))
    assert (row.study, row.dataset_digest, row.sampling_error) == ("lstm-study", "all", None)
    assert (row.rank, row.rank_worst) == (1, 1)
    assert row.notes == (HEURISTIC,)
    assert rows[0].difference == pytest.approx(np.mean(LSTM) - np.mean(CNN))
    assert rows[0].difference_outcome == "better"
    assert rows[0].detectable_by_more is None


def test_one_seed_a_fold_is_enough():
    row = combined(boards(seeds=1)).board.rows[0]
    assert row.rank == 1
    assert "no interval" not in str(row.notes)


def test_a_row_that_lacks_a_fold_is_neither_ranked_nor_taken_for_whole():
    row = combined(boards({"lstm": (*LSTM[:4], None), "cnn": CNN})).board.rows[0]
    assert (row.model, row.folds, row.rank, row.test_ci_low) == ("lstm", (1, 2, 3, 4), None, None)
    assert (row.n_seeds, row.seeds_expected, row.n_missing) == (8, 10, 2)
    assert "no interval: 4 of 5 folds have a result" in row.notes


def test_a_loss_which_has_no_largest_value_is_on_the_page():
    found = {}
    for fold, one in boards().items():
        runs = [each for row in one.rows for each in finals(fold.number, row.test_mean, row.model)]
        losses = {each.run_id: 1 - each.test_accuracy for each in runs}
        spread = np.full(2000, 0.1)
        measured = {(run_id, "log_loss"): Measured(loss, loss + spread) for run_id, loss in losses.items()}
        reading = Reading(answers_of(runs), measured=measured)
        found[fold] = build_board(runs, {}, reading, metric="log_loss").board
    board = combined(found).board
    assert board.rows[0].difference is not None
    assert board.rows[0].detectable_by_more is None
    assert "log_loss" in to_html(board)


def test_a_note_of_some_folds_names_them():
    found = boards()
    runs = [*finals(2, 0.82, "lstm", seeds=1), *finals(2, 0.78, "cnn")]
    runs[0] = replace(runs[0], tags={**runs[0].tags, names.SEEDS_EXPECTED: "2"})
    found[Fold(2, FOLDS, "all")] = build_board(runs, {}, Reading(answers_of(runs))).board
    row = combined(found).board.rows[0]
    assert "fold 2: 1 of 2 seeds missing" in row.notes
    assert not row.complete


def test_two_tiers_that_are_the_same_runs_on_all_folds_are_one():
    found = combined(boards(tiers=("default", "tuned"))).board
    assert [row.tier for row in found.rows] == ["default", "tuned"] * 2
    assert len(found.comparisons) == 1
    assert "default+tuned" in to_table(found)


def test_compare_gives_the_figures_of_the_board():
    board, runs = combined(baseline="cnn")
    found, words = verdict(board.rows, runs, 0, 1)
    assert found.difference == board.rows[0].difference
    assert (found.unit, found.n_seeds, found.n_examples) == ("folds", (5, 5), 500)
    assert "corrected" in words


@pytest.mark.parametrize("write", [to_table, to_markdown, to_html])
def test_formats_for_people_say_that_it_is_a_heuristic(write):
    text = write(combined().board)
    assert "no unbiased variance exists" in text
    assert "10 in 5 folds" in text or write is to_html
    assert "for other seeds on this test set" not in text


def test_formats_for_programs_have_folds_and_the_note():
    board = combined().board
    row = json.loads(to_json(board))["rows"][0]
    assert (row["folds"], len(row["test_values"])) == ([1, 2, 3, 4, 5], 5)
    assert row["notes"] == [HEURISTIC]
    assert "1; 2; 3; 4; 5" in to_csv(board)
