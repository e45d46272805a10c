"""The file of a suite: what it names, where its paths are, and every mistake in one."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from benchmark.plan.suite import read_suite, suite_schema
from benchmark.support.errors import UserError

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "docs" / "suite.schema.json"
SUITE = """\
datasets:
  - sample
  - {dataset: csv:reviews.csv, name: reviews, label_column: stars, train_examples: 100}
models: [majority, mine.py:build]
metric: macro_f1
budget: smoke
seeds: 2
set: {majority.units: 3}
"""


def written(text: str, folder: str = ".") -> Path:
    path = Path(folder) / "mine.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_a_suite_has_what_its_file_says() -> None:
    suite = read_suite(written(SUITE))
    assert (suite.name, suite.models, suite.metric) == ("mine", ("majority", "mine.py:build"), "macro_f1")
    assert suite.options == {"budget": "smoke", "seeds": 2, "set": {"majority.units": 3}}
    sample, reviews = suite.datasets
    assert (sample.name, sample.dataset, sample.options) == ("sample", "sample", {})
    assert (reviews.name, reviews.dataset) == ("reviews", "csv:reviews.csv")
    assert reviews.options == {"label_column": "stars", "train_examples": 100}


def test_paths_are_relative_to_the_file() -> None:
    suite = read_suite(written(SUITE.replace("sample", "hf:./folder"), "suites"))
    assert [one.dataset for one in suite.datasets] == ["hf:suites/./folder", "csv:suites/reviews.csv"]
    assert suite.models == ("majority", "suites/mine.py:build")
    there = read_suite(written(SUITE.replace("reviews.csv", "/there/reviews.csv"), "suites"))
    assert there.datasets[1].dataset == "csv:/there/reviews.csv"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("budget:", "buget:", "line 6: 'buget' is not a known key; did you mean 'budget'?"),
        (
            "label_column",
            "label_colum",
            "line 3: 'label_colum' is not a known key; did you mean 'label_column'?",
        ),
        ("smoke", "smok", "line 6: there is no budget named 'smok'; did you mean 'smoke'?"),
        ("[majority", "[majorty", "line 4: there is no model named 'majorty'; did you mean 'majority'?"),
        ("macro_f1", "macro_f2", "line 5: 'macro_f2' is not a metric that drives a search; did you mean"),
        ("- sample", "- sampel", "line 2: there is no data set named 'sampel'; did you mean 'sample'?"),
        ("- sample", "- cvs:a.csv", "line 2: there is no kind of data set 'cvs:'; did you mean 'csv:a.csv'?"),
        ("seeds: 2", "seeds: many", "line 7: 'seeds' should be a valid integer, got 'many'"),
        (
            "seeds: 2",
            "sampler: tp",
            "line 7: 'sampler' should be 'tpe', 'random', 'qmc', 'gp', 'cmaes' or 'grid'",
        ),
        ("- sample", "- {dataset: sample, name: reviews}", "line 3: two data sets are called 'reviews'"),
        ("[majority, mine.py:build]", "[]", "line 4: 'models' "),
        ("models: [majority, mine.py:build]\n", "", "line 1: 'models' is missing"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(old: str, new: str, message: str) -> None:
    assert old in SUITE
    path = written(SUITE.replace(old, new))
    with pytest.raises(UserError) as error:
        read_suite(path)
    assert str(error.value).startswith(f"mine.yaml, {message}")
    assert "\n" not in str(error.value)


def test_the_schema_is_that_of_the_code() -> None:
    command = "python -c 'from benchmark.plan.suite import *; print(suite_schema(), end=str())'"
    assert SCHEMA.read_text("utf-8") == suite_schema(), f"run: {command} > docs/suite.schema.json"


def test_the_schema_accepts_what_is_read_and_no_other_key() -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    content = yaml.safe_load(SUITE)
    jsonschema.validate(content, schema)
    for wrong in ({**content, "buget": "smoke"}, {**content, "datasets": [{"dataset": "a", "nam": "b"}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
