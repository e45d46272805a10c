"""Budgets: the shipped ones, and every mistake in a file of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmark.plan.space import get_budget, load_budgets
from benchmark.spec.config import Confirmation
from benchmark.support.errors import UserError


def test_shipped_budgets():
    found = {
        name: (budget.trials, budget.seeds, budget.epochs, budget.train_share, budget.seconds)
        for name, budget in load_budgets().items()
    }
    assert found == {
        "smoke": (2, 2, 2, 0.25, 60.0),
        "quick": (8, 3, 40, 1.0, 120.0),
        "standard": (30, 5, 40, 1.0, None),
        "full": (100, 10, 100, 1.0, None),
    }
    confirmed = {name: budget.confirm for name, budget in load_budgets().items()}
    assert confirmed == {
        "smoke": None,
        "quick": Confirmation(configurations=2, runs=1),
        "standard": Confirmation(configurations=3, runs=2),
        "full": Confirmation(configurations=5, runs=3),
    }
    starts = {name: budget.random_start for name, budget in load_budgets().items()}
    assert starts == {"smoke": 2, "quick": 5, "standard": 10, "full": 10}
    assert list(found) == ["smoke", "quick", "standard", "full"]


def test_get_budget():
    assert get_budget("quick") == load_budgets()["quick"]
    with pytest.raises(UserError, match=r"^there is no budget named 'smok'; did you mean 'smoke'\?$"):
        get_budget("smok")
    with pytest.raises(UserError, match="choose from full, quick, smoke, standard"):
        get_budget("xyz")


def test_budgets_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        get_budget("smoke").trials = 3


GOOD = "tiny:\n  trials: 1\n  seeds: 1\n  epochs: 1\n  train_share: 0.5\n  seconds: null\n"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("trials: 1", "trials: 0", "line 2: 'trials' should be greater than or equal to 1, got 0"),
        ("trials: 1", "trials: 1.5", "line 2: 'trials' should be a valid integer, got 1.5"),
        ("trials: 1", "trials: true", "line 2: 'trials' should be a valid integer, got true"),
        ("seeds: 1", "seeds: '1'", "line 3: 'seeds' should be a valid integer, got '1'"),
        ("epochs: 1", "epoch: 1", "line 4: 'epoch' is not a known key; did you mean 'epochs'? (and 1 more)"),
        ("  epochs: 1\n", "", "line 1: 'epochs' is missing"),
        ("0.5", "0", "line 5: 'train_share' should be greater than 0, got 0"),
        ("0.5", "1.1", "line 5: 'train_share' should be less than or equal to 1, got 1.1"),
        ("null", "0", "line 6: 'seconds' should be greater than 0, got 0"),
        ("null", ".inf", "line 6: 'seconds' should be a finite number, got inf"),
        (
            "null",
            "null\n  confirm: {configurations: 1, runs: 1}",
            "line 7: 'configurations' should be greater than or equal to 2, got 1",
        ),
        (
            "null",
            "null\n  random_start: 0",
            "line 7: 'random_start' should be greater than or equal to 1, got 0",
        ),
        (
            "null",
            "null\n  small_data: {version: 1, below: 0.5, steps: 30}",
            "line 7: 'version' should be 2, got 1",
        ),
        (
            "null",
            "null\n  small_data: {version: 2, below: 2, steps: 30}",
            "line 7: 'below' should be less than or equal to 1, got 2",
        ),
        (
            "null",
            "null\n  confirm: {configurations: 2, run: 1}",
            "line 7: 'run' is not a known key; did you mean 'runs'? (and 1 more)",
        ),
        ("null", "null\n  name: tiny", "line 7: 'name' is not a known key"),
    ],
)
def test_bad_budgets(tmp_path, monkeypatch, old, new, expected):
    monkeypatch.chdir(tmp_path)
    path = Path("budgets.yaml")
    path.write_text(GOOD)
    assert load_budgets(path)["tiny"].trials == 1
    assert GOOD.count(old) == 1
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(UserError) as caught:
        load_budgets(path)
    assert str(caught.value).startswith(f"budgets.yaml, {expected}")
    assert "\n" not in str(caught.value)


def test_budget_that_is_no_mapping(tmp_path):
    path = tmp_path / "budgets.yaml"
    path.write_text("tiny: 5\n")
    with pytest.raises(UserError, match=r"line 1: 'tiny' should be a mapping, got 5$"):
        load_budgets(path)
