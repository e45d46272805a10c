"""A published configuration on the real reviews: its mean lies in the band that its file tells."""

import json
import statistics

import pytest

from benchmark import reproduce
from benchmark.publications.configurations import load_publications

pytestmark = pytest.mark.imdb

NAME = "tf-basic"


def test_a_published_configuration_is_in_its_band(real_data, capsys):
    assert reproduce.main([NAME, "--seeds", "2", "--data-dir", str(real_data), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    band = load_publications()[NAME].band
    (row,) = [row for row in rows if row["name"] == NAME and row["metric"] == band.metric]
    assert len(row["values"]) == 2
    assert band.low <= statistics.fmean(row["values"]) <= band.high
