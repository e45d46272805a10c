"""The verdict of ``compare``: one sentence, and the figures behind it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from benchmark.board.rows import BoardRow
from benchmark.report.columns import NOTHING, accuracy, decimal, seeds, whole
from benchmark.stats.comparisons import Comparison
from benchmark.stats.intervals import Interval
from benchmark.stats.verdicts import SequentialPlan, Verdict, sentence


@dataclass(frozen=True)
class Compared:
    """Two rows and what was found.

    Attributes
    ----------
    a, b : BoardRow
        The rows.
    comparison : Comparison
        Of the seeds that both have.
    verdict : Verdict
        From a's side.
    plan : SequentialPlan or None
        Where seeds were added until it was decided: when the data were looked at.
    """

    a: BoardRow
    b: BoardRow
    comparison: Comparison
    verdict: Verdict
    plan: SequentialPlan | None = None

    @property
    def sentence(self) -> str:
        """The verdict in words; models in the same tier go by their names alone."""
        names = (self.a.model, self.b.model)
        if self.a.tier != self.b.tier or self.a.model == self.b.model:
            names = (self.a.name, self.b.name)
        return sentence(self.comparison, *names, self.verdict)

    def record(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "sentence": self.sentence,
            **dataclasses.asdict(self.verdict),
            "comparison": dataclasses.asdict(self.comparison),
            "plan": None if self.plan is None else dataclasses.asdict(self.plan),
            "a": self.a.model_dump(mode="json"),
            "b": self.b.model_dump(mode="json"),
            "notes": notes(self),
        }


def to_text(compared: Compared) -> str:
    """Write the verdict, the two rows, and the figures, for a terminal."""
    figures = [*_figures(compared), *_costs(compared)]
    width = max(len(name) for name, _ in figures)
    lines = [compared.sentence, ""]
    lines += [f"{name:<{width}}  {text}" for name, text in figures]
    return "\n".join([*lines, *("", *notes(compared))])


def _figures(compared: Compared) -> list[tuple[str, str]]:
    found, a = compared.comparison, compared.a.name
    interval = f"{100 * found.level:.4g} % interval"
    wins = NOTHING if found.win_probability is None else f"{100 * found.win_probability:.0f} %"
    seeds_of_both = "1 seed" if found.n_seeds == 1 else f"{found.n_seeds} seeds"
    rows = [(row.name, f"{accuracy(row)} %, {seeds(row)} seeds") for row in (compared.a, compared.b)]
    return [
        *rows,
        ("difference", f"{_signed(found.difference)} points, on {seeds_of_both} of both"),
        (interval, f"{_ends(found.interval)} (other seeds and other test examples)"),
        ("by bootstrap", _ends(found.bootstrap)),
        ("p-value", p_value(found.p_value)),
        ("sign flips over seeds", _sign_flips(compared)),
        ("McNemar, each seed", "p " + ", ".join(map(p_value, found.mcnemar))),
        (f"P({a} wins the next run)", wins),
        (f"seeds that {a} won", f"{found.win_share * found.n_seeds:.4g} of {found.n_seeds}"),
    ]


def _costs(compared: Compared) -> list[tuple[str, str]]:
    found = []
    for row in (compared.a, compared.b):
        trials = "1 trial" if row.search_trials == 1 else f"{row.search_trials} trials"
        search = f"search {trials}, {decimal(row.search_seconds, 0)} s" if row.search_trials else "no search"
        run = f"{decimal(row.train_seconds_median, 1)} s a run, {whole(row.parameters)} parameters"
        found.append((f"cost of {row.name}", f"{run}, {search}"))
    return found


def notes(compared: Compared) -> list[str]:
    """Say what a reader of the verdict must know beside it."""
    a, b, plan = compared.a, compared.b, compared.plan
    found = []
    for what in ("budget", "protocol"):
        if getattr(a, what) != getattr(b, what):
            found.append(f"Not the same {what}: {a.name} {getattr(a, what)}, {b.name} {getattr(b, what)}.")
    if a.search_trials and b.search_trials and a.search_trials != b.search_trials:
        found.append(f"Not tuned at equal cost: {a.search_trials} and {b.search_trials} trials.")
    for row in (a, b):
        if not row.complete:
            found.append(f"{row.name}: {'; '.join(row.notes)}.")
    if plan is not None:
        found.append(
            f"Looked at after each seed from {plan.first} to at most {plan.max_seeds}: the interval is as "
            f"wide as this look's share of the error of {100 * (1 - plan.level):.3g} % asks."
        )
    else:
        found.append("One comparison, not corrected for others: the board's ranks are (Holm).")
    return found


def p_value(p: float | None) -> str:
    """Write a p-value: three decimals, or that it is smaller."""
    if p is None:
        return NOTHING
    return "below 0.001" if p < 0.0005 else f"{p:.3f}"


def _sign_flips(compared: Compared) -> str:
    test, has = compared.comparison.sign_flip, compared.comparison.n_seeds
    if test.p_value is None:
        return f"no p-value: needs {test.seeds_needed} seeds, has {has}"
    return f"p {p_value(test.p_value)} (on this test set)"


def _signed(share: float) -> str:
    text = f"{100 * share:+.2f}"
    return "0.00" if text in ("-0.00", "+0.00") else text


def _ends(interval: Interval | None) -> str:
    if interval is None:
        return f"{NOTHING} (needs 3 seeds)"
    return f"{_signed(interval.low)} to {_signed(interval.high)} points"
