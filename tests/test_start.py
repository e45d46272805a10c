"""How a command starts: what it imports, and what it says before that."""

import subprocess
import sys

import pytest

COMMANDS = """
import sys
from benchmark import sweep

def told(*names, **where):
    print("imported:", *(name for name in names if name in sys.modules), flush=True, **where)

SWEEP = ["--model", "majority", "--model", "tfidf-logreg", "--dataset", "sample", "--trials", "2"]
"""
RUNS = "sweep.main([*SWEEP, '--seeds', '3']); told('tensorflow', 'keras')"
NOTHING = "sweep.main([*SWEEP, '--seeds', '3']); told('tensorflow', 'keras', 'mlflow', 'sklearn', 'pandas')"
READ = """
from benchmark import compare, leaderboard
leaderboard.main(["--dataset", "sample"])
compare.main(["majority", "tfidf-logreg", "--dataset", "sample"])
told("tensorflow", "keras")
"""
PREDICT = """
from benchmark import predict
predict.main(["--best", "sample", "a dull film"]); told("tensorflow", "keras")
"""


def started(program: str) -> list[str]:
    """Return the lines of a program in a fresh process."""
    done = subprocess.run([sys.executable, "-c", COMMANDS + program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def swept(sample):
    return started(RUNS)


def test_pipelines_are_trained_stored_and_read_without_tensorflow(swept):
    assert swept[0] == "majority, tfidf-logreg: reading the data set, or preparing it"
    assert sum(line.startswith("final ") for line in swept) == 6  # one tier of each
    again = started(NOTHING)
    assert sum(line.startswith("nothing to do") for line in again) == 2
    assert "tfidf-logreg (default+tuned)" in "\n".join(again)
    outputs = swept, again, started(READ), started(PREDICT)
    assert [[line for line in lines if line.startswith("imported:")] for lines in outputs] == [
        ["imported:"]
    ] * 4


def test_the_first_line_comes_before_anything_slow_is_imported():
    program = """
import contextlib, io
class Screen(io.StringIO):
    def write(self, text):
        told("numpy", "pydantic", "optuna", "rich", file=sys.__stdout__) if not self.tell() else None
        return super().write(text)
with contextlib.redirect_stdout(Screen()) as screen:
    assert sweep.main(["--model", "majoriti"]) == 2
print(screen.getvalue())
"""
    imported, line, *_ = started(program)
    assert (imported, line) == ("imported:", "majoriti: reading the data set, or preparing it")
