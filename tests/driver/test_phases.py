"""What a sweep asks and tells MLflow about its final runs."""

import threading

import pytest
from mlflow import MlflowClient

from benchmark import sweep
from benchmark.driver.phases import Phase
from benchmark.spec.result import Result

WORDS = ["--model", "majority", "--dataset", "sample", "--trials", "1", "--seeds", "2"]


@pytest.mark.long
def test_nothing_is_asked_of_the_store_while_runs_are_under_way(sample, monkeypatch):
    """It may be gone then; the outbox's thread alone talks to it."""
    under_way, asked = threading.Event(), []
    run, search = Phase.run, MlflowClient.search_runs

    def watched(phase, engine):
        under_way.set()
        run(phase, engine)
        under_way.clear()

    def noted(client, *words, **options):
        main = threading.current_thread() is threading.main_thread()
        asked.append((main, under_way.is_set()))
        return search(client, *words, **options)

    monkeypatch.setattr(Phase, "run", watched)
    monkeypatch.setattr(MlflowClient, "search_runs", noted)
    assert sweep.main(WORDS) == 0
    assert (True, False) in asked
    assert (True, True) not in asked


def test_the_line_that_names_an_error_is_found_among_those_that_follow_it():
    keras_error = (
        'Traceback (most recent call last):\n  File "x.py", line 1, in call\n    raise ValueError("no")\n'
        "ValueError: Exception encountered when calling Layer.call().\n\n\x1b[1mno\x1b[0m\n\n"
        "Arguments received by Layer.call():\n  • args=('<KerasTensor>',)\n"
    )
    message = "ValueError: Exception encountered when calling Layer.call()."
    assert Result("failed", error=keras_error).error_line == message
    assert Result("failed", error="Traceback\nmy.module.MyError: so\n").error_line == "my.module.MyError: so"
    assert Result("failed", error="something else").error_line == "something else"
    assert Result("failed").error_line == ""
