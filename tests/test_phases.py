"""What a sweep asks and tells MLflow about its final runs."""

from benchmark import sweep
from benchmark.phases import _error_line
from benchmark.tracking.tracker import Tracker

WORDS = ["--model", "majority", "--dataset", "sample", "--trials", "1", "--seeds"]


def test_a_sweep_asks_once_which_final_runs_are_there(sample, monkeypatch):
    finals, asked = Tracker.finals, []
    monkeypatch.setattr(Tracker, "finals", lambda self: asked.append(self) or finals(self))
    for seeds in ("1", "1"):
        assert sweep.main([*WORDS, seeds]) == 0
        assert len(asked) == 1
        asked.clear()


def test_the_line_that_names_an_error_is_found_among_those_that_follow_it():
    keras_error = (
        'Traceback (most recent call last):\n  File "x.py", line 1, in call\n    raise ValueError("no")\n'
        "ValueError: Exception encountered when calling Layer.call().\n\n\x1b[1mno\x1b[0m\n\n"
        "Arguments received by Layer.call():\n  • args=('<KerasTensor>',)\n"
    )
    assert _error_line(keras_error) == "ValueError: Exception encountered when calling Layer.call()."
    assert _error_line("Traceback\nmy.module.MyError: so\n") == "my.module.MyError: so"
    assert (_error_line(""), _error_line("something else")) == ("", "something else")
