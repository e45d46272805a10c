"""Boards for the tests of exports and pictures, made by hand: each field is what the test says."""

from benchmark.board.rows import WATERMARK, Board, BoardRow, Details


def row(model="lstm", accuracy=0.87, **changes):
    """One row of three steady seeds; `changes` replaces any field."""
    known = accuracy is not None
    seeds = changes.get("n_seeds", 3 if known else 0)
    smoke = changes.get("budget") == "smoke"
    spread = 0.004
    fields = {
        "rank": 1 if known and not smoke else None,
        "rank_worst": changes.get("rank", 1) if known and not smoke else None,
        "model": model,
        "tier": "tuned",
        "budget": "standard",
        "dataset": "imdb",
        "dataset_digest": "d1",
        "study": "study-1",
        "protocol": "inductive",
        "test_mean": accuracy,
        "test_ci_low": accuracy - 0.01 if seeds > 2 else None,
        "test_ci_high": accuracy + 0.01 if seeds > 2 else None,
        "test_std": spread if seeds > 1 else None,
        "test_median": accuracy,
        "test_min": accuracy - spread if known else None,
        "test_max": accuracy + spread if known else None,
        "test_values": tuple(accuracy + spread * (seed - 1) for seed in range(seeds)),
        "test_loss_mean": 0.3 if known else None,
        "sampling_error": 0.0021 if known else None,
        "sampling_ci_low": accuracy - 0.004 if known else None,
        "sampling_ci_high": accuracy + 0.004 if known else None,
        "n_seeds": seeds,
        "seeds_expected": 3,
        "n_failed": 0,
        "n_diverged": 0,
        "n_missing": changes.get("seeds_expected", 3) - seeds,
        "val_mean": accuracy + 0.01 if known else None,
        "val_test_gap": 0.01 if known else None,
        "baseline": None,
        "difference": None,
        "difference_ci_low": None,
        "difference_ci_high": None,
        "difference_ci_level": None,
        "difference_p": None,
        "difference_outcome": None,
        "detectable": None,
        "detectable_by_more": None,
        "n_unlearned": 0,
        "failure_bound": None,
        "parameters": 160_033,
        "train_seconds_median": 11.0 if known else None,
        "epochs_median": 5.0 if known else None,
        "search_trials": 20,
        "search_seconds": 300.5,
        "device": "cpu",
        "versions": "tensorflow 2.21.0, keras 3.15.1",
        "git_commit": "d083e72",
        "test_reads": 3,
        "watermark": WATERMARK if smoke else None,
        "notes": (),
        "seeds": tuple(range(seeds)),
        "run_ids": tuple(f"{seed}{model:_<12}{changes.get('tier', 'tuned')}" for seed in range(seeds)),
    }
    return BoardRow(**{**fields, **changes})


def board(*rows, margin=0.005, level=0.95):
    return with_margin(Board(level=level, rows=rows, comparisons=()), margin)


def with_margin(made, margin):
    """The same board with a different margin."""
    facts = made.metrics["accuracy"].model_copy(update={"margin": margin})
    return made.model_copy(update={"metrics": {"accuracy": facts}})


def versus(difference, low, high, outcome, p=0.2, finds=None, baseline="nbsvm (default)"):
    """The fields of a row that tell its difference to the baseline."""
    return {
        "baseline": baseline,
        "difference": difference,
        "difference_ci_low": low,
        "difference_ci_high": high,
        "difference_ci_level": 0.99,
        "difference_p": p,
        "difference_outcome": outcome,
        "detectable": finds,
        "detectable_by_more": None if finds is None else finds / 2,
    }


PLACED = {"rank": 2, "rank_worst": 4}


def usual():
    """Four rows as a sweep leaves them, one with lost seeds, and a smoke test."""
    return board(
        row("cnn", 0.893, test_reads=6, **versus(0.018, 0.012, 0.024, "better", p=0.0004)),
        row("lstm", 0.879, **PLACED, test_reads=9, **versus(0.004, -0.002, 0.01, "undecided", finds=0.009)),
        row("nbsvm", 0.875, **PLACED, tier="default", search_trials=0, search_seconds=0.0, test_reads=3),
        row(
            "gru", 0.86, **PLACED, n_seeds=3, seeds_expected=5, n_diverged=1, n_missing=1, test_reads=5,
            notes=("1 of 5 seeds missing", "1 of 5 seeds diverged"),
            **versus(-0.015, -0.04, 0.01, "undecided"),
        ),
        row("quickie", 0.99, budget="smoke"),
    )  # fmt: skip


def hostile(name):
    """One row whose model has this name."""
    return board(row(name, 0.8))


def searches(*columns):
    """Searches by place of the row: each a list of (value, seconds), without a value a failed trial."""
    return Details(searches={place: list(column) for place, column in enumerate(columns)})
