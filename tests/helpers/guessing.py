"""A pipeline that guesses, with a grid of four points: a search that costs next to nothing."""

from pathlib import Path

GUESSING = '''
"""Guesses."""
import time
from pathlib import Path

from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline

INPUT = "texts"


def build(task, *, number: int = 0):
    """Guess."""
    while number == 1 and not Path("go").exists():
        Path("waiting").touch()
        time.sleep(0.05)
    return Pipeline([("guess", DummyClassifier(strategy="uniform", random_state=number))])
'''
SPACE = """
model: guessing
source: a test
default: {number: 0}
search:
  number: {type: categorical, choices: [0, 1, 2, 3]}
"""
GUESS = ["--model", "guessing.py:build", "--space", "guessing.yaml", "--dataset", "sample"]
GUESS += ["--sampler", "grid"]


def write_guessing():
    """Write the files that `GUESS` names; number 1 is tried once there is a file `go`."""
    Path("guessing.py").write_text(GUESSING)
    Path("guessing.yaml").write_text(SPACE)
