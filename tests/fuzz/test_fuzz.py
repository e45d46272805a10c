"""Any input gives a result or an error of one line: a few inputs always, about 2,500 in the longer run."""

import hashlib
import shutil

import pytest
from hypothesis import HealthCheck, Phase, given, settings

FEW = 10
# More of what is quick to check.
MANY = {"space": 400, "budgets": 220, "csv": 260, "tsv": 160, "jsonl": 220, "parquet": 160, "dir": 120}
MANY |= {
    "vectors": 200,
    "arrays": 160,
    "archive": 200,
    "cache entry": 60,
    "ledger": 300,
    "journal": 340,
    "spool": 340,
    "command": 60,
}


@pytest.fixture
def attack(tmp_path, monkeypatch):
    """``attack(name, number)`` checks so many inputs of a target, and returns how many were different."""
    monkeypatch.setenv("BENCHMARK_CACHE_DIR", str(tmp_path / "input" / "cache"))

    from fuzz_targets import targets

    def run(name, number):
        target, seen = targets()[name], set()

        # The same inputs each time, so that a failure is the work of the last change.
        @settings(
            max_examples=number,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],  # to make a failing input small takes minutes
            suppress_health_check=list(HealthCheck),
        )
        @given(target.inputs)
        def check(content):
            seen.add(hashlib.sha256(repr(content).encode()).digest())
            shutil.rmtree(tmp_path / "input", ignore_errors=True)
            (tmp_path / "input" / "cache").mkdir(parents=True)
            target.check(content, tmp_path / "input")

        check()
        return len(seen)

    return run


@pytest.mark.parametrize("name", MANY)
def test_a_few_inputs(attack, name):
    assert attack(name, FEW) >= FEW // 2


@pytest.mark.long
def test_many_inputs(attack, capsys):
    """About 2,500 different inputs, of all kinds together; says how many of each."""
    from fuzz_targets import targets

    counts = {name: attack(name, number) for name, number in MANY.items()}
    with capsys.disabled():
        print("\nfuzzed:", ", ".join(f"{count:,} {name}" for name, count in counts.items()), end=" ")
        print(f"({sum(counts.values()):,} in all)")
    assert counts.keys() == targets().keys()
    assert sum(counts.values()) >= 2_000
