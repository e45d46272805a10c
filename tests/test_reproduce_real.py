"""Published configurations on the real reviews: their means lie in the bands that their files tell."""

import json
import statistics

import pytest

from benchmark import reproduce
from benchmark.publications import load_publications

pytestmark = pytest.mark.imdb

NAMES = ["tf-basic", "keras-flatten"]


def test_published_configurations_are_in_their_bands(real_data, capsys):
    words = [*NAMES, "--seeds", "2", "--data-dir", str(real_data), "--json"]
    assert reproduce.main(words) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    publications = load_publications()
    for name in NAMES:
        band = publications[name].band
        (row,) = [row for row in rows if row["name"] == name and row["metric"] == band.metric]
        assert len(row["values"]) == 2
        assert band.low <= statistics.fmean(row["values"]) <= band.high, name
