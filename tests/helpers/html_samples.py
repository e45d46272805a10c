"""Boards with all their details for the tests of the HTML page, made by hand."""

import numpy as np
from export_samples import row, versus

from benchmark.board.rows import Board, Details, MetricFacts, Pair
from benchmark.metrics.metric import get_metric

HOSTILE = "</script><img src=x onerror=alert(1)>"
CLASSES = ("neg", "pos")
_MODELS = (
    "transformer", "cnn", "bilstm", "nbsvm", "lstm", "gru", "avg-pool", "fasttext",
    "tfidf-logreg", "hub", "glove", "flatten", "majority",
)  # fmt: skip


def curves(seeds=3, epochs=5, top=0.87):
    """Curves that rise to `top`, another for each seed; the second seed's third loss was not finite."""
    found = []
    for seed in range(seeds):
        rising = top - 0.2 * np.exp(-0.5 * np.arange(epochs)) + 0.004 * seed
        loss = [round(float(value), 4) for value in 1.2 - rising]
        broken = [None if (seed, epoch) == (1, 2) else value for epoch, value in enumerate(loss)]
        found.append(
            {
                "seed": seed,
                "loss": broken,
                "accuracy": np.minimum(rising + 0.05, 0.999).round(4).tolist(),
                "val_loss": (1.25 - rising).round(4).tolist(),
                "val_accuracy": rising.round(4).tolist(),
            }
        )
    return found


def trials(*columns):
    """A search from (value, seconds) of each trial; one without a value has failed."""
    return list(columns)


def small():
    """Four rows in two sections and a smoke test.

    The search of `steady` finds 0.85 at once, that of `late` mostly 0.80, but 0.90 once: the order of
    expected bests changes between one trial and ten.
    """
    rows = (
        row("late", 0.88, **versus(0.03, 0.02, 0.04, "better", p=0.0004, baseline="plain (default)")),
        row("steady", 0.86, rank=2, rank_worst=3, parameters=20_000, train_seconds_median=2.0,
            **versus(0.01, -0.004, 0.024, "undecided", finds=0.009, baseline="plain (default)")),
        row("plain", 0.85, rank=2, rank_worst=3, tier="default", search_trials=0, search_seconds=0.0,
            n_seeds=2,
            n_failed=1, n_missing=0, parameters=500, train_seconds_median=0.5,
            notes=("1 of 3 seeds failed",)),
        row("vectors", 0.9, protocol="pretrained"),
        row("quick", 0.99, budget="smoke"),
    )  # fmt: skip
    pair = Pair(
        a=0, b=1, difference=0.02, ci_low=0.01, ci_high=0.03, ci_level=0.98, p_value=0.001, p_corrected=0.002,
        outcome="better",
    )  # fmt: skip
    board = Board(level=0.95, rows=rows, comparisons=(pair,))
    details = Details(
        curves={0: curves(top=0.88), 1: curves(top=0.86), 4: curves(1)},
        searches={
            0: trials((0.9, 20.0), *[(0.8, 20.0)] * 8, (None, 1.0)),
            1: trials(*[(0.85, 10.0), (0.852, 10.0)] * 5),
        },
        confusions={0: ((900, 100), (60, 940))},
        class_names={"d1": CLASSES},
        hard_examples={
            "d1": (
                {
                    "index": 7,
                    "label": "pos",
                    "text": "Not bad at all. " * 40,
                    "answers": {"late (tuned)": "neg"},
                },
                {"index": 9, "label": "neg", "text": None, "answers": {"late (tuned)": "pos"}},
            )
        },
        hard_total={"d1": 31},
        links={0: "http://127.0.0.1:5000/#/compare-runs", 1: "javascript:alert(1)"},
    )
    return board, details


def by_metric(board, name, change):
    """The same board by another metric: its values are `change` of the accuracies, order and ranks follow."""
    metric = get_metric(name)
    values = ("test_mean", "test_ci_low", "test_ci_high", "test_min", "test_max", "test_median", "val_mean")
    rows = []
    for one in board.rows:
        new = {
            field: None if getattr(one, field) is None else change(getattr(one, field)) for field in values
        }
        if new["test_ci_low"] is not None:
            new["test_ci_low"], new["test_ci_high"] = sorted((new["test_ci_low"], new["test_ci_high"]))
        each = tuple(map(change, one.test_values))
        rows.append(one.model_copy(update={"metric": name, **new, "test_values": each}))
    # Best first, smoke tests last, as boards are.
    order = sorted(
        range(len(rows)), key=lambda k: (rows[k].watermark is not None, -metric.sign * rows[k].test_mean)
    )
    ranks = {k: place + 1 for place, k in enumerate(order) if rows[k].rank is not None}
    changed = [
        rows[k].model_copy(update={"rank": ranks[k], "rank_worst": ranks[k]}) if k in ranks else rows[k]
        for k in order
    ]
    pairs = [
        pair.model_copy(update={"a": order.index(pair.a), "b": order.index(pair.b), "difference": 0.0123})
        for pair in board.comparisons
    ]
    facts = MetricFacts(
        **{field: getattr(metric, field) for field in ("title", "larger_is_better", "percent", "margin")}
    )
    summary = (f"in a sentence by {name}",)
    update = {
        "rows": tuple(changed),
        "comparisons": tuple(pairs),
        "metrics": {name: facts},
        "summary": summary,
    }
    return board.model_copy(update=update)


def switched():
    """The small board, and the same by macro F1, where the order is another, and by log loss."""
    board, details = small()
    timed = [
        row.model_copy(update={"predict_ms": 1.5 * (place + 1), "predict_texts_per_second": 900.0})
        for place, row in enumerate(board.rows[:2])
    ]
    board = board.model_copy(update={"rows": (*timed, *board.rows[2:]), "summary": ("first",)})
    swapped = {0.88: 0.61, 0.86: 0.72}
    others = (
        by_metric(board, "macro_f1", lambda value: swapped.get(value, value - 0.2)),
        by_metric(board, "log_loss", lambda value: 1.2 - value),
    )
    return board, details, others


def hostile():
    """A board and details with names that try to be HTML, script and styles, in every place."""
    name = HOSTILE
    board, details = small()
    words = dict.fromkeys(("model", "study", "device", "versions", "git_commit", "dataset"), name)
    first = board.rows[0].model_copy(update={**words, "notes": (name,), "run_ids": (name,) * 3})
    second = board.rows[1].model_copy(update={"tier": name, "model": "{{script}}", "dataset": name})
    third = board.rows[2].model_copy(update={"model": "x" * 90, "study": "y" * 200})
    board = board.model_copy(update={"rows": (first, second, third, *board.rows[3:])})
    example = {"index": 1, "label": name, "text": f"{name}\u2028--><!--", "answers": {first.name: name}}
    return board, details.model_copy(
        update={"class_names": {"d1": (name, "pos")}, "hard_examples": {"d1": (example,)}}
    )


def large(count=26, seeds=6, epochs=20, n_trials=20, every_search=True):
    """Many rows: half as published, half tuned, with curves, searches, pairs, and confusion matrices."""
    draw = np.random.default_rng(0)
    means = np.sort(draw.normal(0.87, 0.012, count))[::-1]
    means[-1] = 0.5
    rows, searches = [], {}
    for place, mean in enumerate(means):
        tier = "tuned" if place % 2 else "default"
        spread = float(draw.uniform(0.002, 0.006))
        accuracies = tuple(float(value) for value in mean + spread * draw.normal(size=seeds))
        half = 2.6 * spread / np.sqrt(seeds)
        verdict = versus(float(mean - means[2]), float(mean - means[2] - 0.006),
                         float(mean - means[2] + 0.006), "better" if place < 2 else "undecided",
                         p=0.001 if place < 2 else 0.4, finds=0.004 if place < 2 else 0.014)  # fmt: skip
        name = _MODELS[place // 2 % len(_MODELS)] + ("" if place < 26 else f"-{place // 26}")
        rows.append(
            row(
                name if place < count - 1 else "majority", float(mean),
                rank=1 + 2 * (place // 3), rank_worst=count - place // 2,
                tier=tier, n_seeds=seeds, seeds_expected=seeds,
                test_values=accuracies, test_ci_low=float(mean - half),
                test_ci_high=float(mean + half), test_std=spread,
                parameters=int(draw.integers(10_000, 3_000_000)),
                train_seconds_median=float(np.exp(draw.uniform(0, 6))),
                search_trials=n_trials if place % 2 else 0,
                search_seconds=float(n_trials * 20) if place % 2 else 0.0,
                val_test_gap=float(draw.normal(0.005, 0.004)), seeds=tuple(range(seeds)),
                run_ids=tuple(f"{place:04d}{seed:04d}" + 24 * "f" for seed in range(seeds)),
                **({} if place == 2 else verdict),
            )
        )  # fmt: skip
        if place % 2 and (every_search or place < 26):
            searches[place] = trials(
                *[
                    (min(float(value), 0.99), float(cost))
                    for value, cost in zip(
                        mean + 0.01 - draw.exponential(0.01, n_trials),
                        draw.uniform(5, 60, n_trials),
                        strict=True,
                    )
                ]
            )
    pairs = [
        Pair(a=a, b=b, ci_level=0.99, difference=float(means[a] - means[b]),
             ci_low=float(means[a] - means[b] - 0.006), ci_high=float(means[a] - means[b] + 0.006),
             p_value=0.01, p_corrected=0.2, outcome="undecided" if means[a] - means[b] < 0.006 else "better")
        for a in range(count) for b in range(a + 1, count)
    ]  # fmt: skip
    board = Board(level=0.95, rows=tuple(rows), comparisons=tuple(pairs))
    text = "I expected little of this film and got even less. The cast tries, the script does not. " * 6
    details = Details(
        curves={place: curves(seeds, epochs, float(mean)) for place, mean in enumerate(means)},
        searches=searches,
        confusions=dict.fromkeys(range(count), ((65000, 10000), (9000, 66000))),
        class_names={"d1": CLASSES},
        hard_examples={
            "d1": tuple(
                {
                    "index": 17 * number, "label": CLASSES[number % 2], "text": text[: 120 + 60 * number],
                    "answers": {one.name: CLASSES[1 - number % 2] for one in rows},
                }
                for number in range(8)
            )
        },
        hard_total={"d1": 412},
        links=dict.fromkeys(range(count), "http://127.0.0.1:5000/#/experiments/1"),
    )  # fmt: skip
    return board, details
