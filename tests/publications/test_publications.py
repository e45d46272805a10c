"""Published configurations: the packaged files, and every mistake that a file can have."""

from pathlib import Path

import pytest
from published_samples import ABSENT, SLOW, TINY, write

from benchmark.models.source_description import describe
from benchmark.plan.run_specs import resolve_space
from benchmark.publications.configurations import Case, load_publication, load_publications
from benchmark.publications.measurement import plan_case
from benchmark.spec.config import without_later
from benchmark.support.errors import UserError

NAMES = {
    "tf-basic": "imdb-int",
    "tf-raw": "dir:aclImdb",
    "stack-overflow": "stack-overflow",
    "tf-hub": "imdb",
    "tf-hub-dim50-norm": "imdb",
    "tf-hub-dim128": "imdb",
    "tf-hub-dim128-norm": "imdb",
    "tf-hub-use": "imdb",
    "keras-flatten": "imdb",
    "glove-200": "imdb",
    "glove-200-learned": "imdb",
    "lstm-notes": "imdb",
}


def test_the_packaged_configurations():
    found = load_publications()
    assert {name: item.dataset.label for name, item in found.items()} == NAMES
    order = list(found)
    assert order[-1] == "lstm-notes"
    assert [item.seconds for item in found.values() if item.cost == "quick"] == sorted(
        item.seconds for item in found.values() if item.cost == "quick"
    )
    for item in found.values():
        assert item.settings["patience"] is None  # tutorials keep the last weights
        assert item.differs


def test_published_bands_and_figures():
    found = load_publications()
    bands = {
        name: (item.band.metric, item.band.low, item.band.high) for name, item in found.items() if item.band
    }
    assert bands == {
        "tf-basic": ("test_accuracy", 0.866, 0.880),
        "tf-raw": ("test_accuracy", 0.855, 0.880),
        "keras-flatten": ("val_accuracy", 0.755, 0.775),
    }
    assert [figure.value for figure in found["tf-hub"].published] == [0.853, 0.356]
    assert found["glove-200"].published[0].ends == (0.5366, 0.56)
    assert found["keras-flatten"].published[0].ends == pytest.approx((0.755, 0.765))
    assert found["lstm-notes"].published == ()


@pytest.mark.parametrize("name", ["tf-basic", "tf-hub", "keras-flatten", "glove-200", "lstm-notes"])
def test_a_space_and_its_publication_have_the_same_default(name):
    item = load_publications()[name]
    default = resolve_space(describe(item.model)).default
    same = {key: value for key, value in item.settings.items() if key != "patience"}
    assert same == {key: value for key, value in without_later(default).items() if key != "patience"}


def test_how_many_runs():
    found = load_publications()
    quick, few, slow = found["tf-basic"], found["glove-200"], found["lstm-notes"]
    for item, expected in ((quick, 5), (few, 20), (slow, 1)):
        assert item.runs(None, named=False) == expected
        assert item.runs(None, named=True) == expected
    for item, expected in ((quick, 2), (few, 20), (slow, 1)):
        assert item.runs(2, named=False) == expected
    assert few.runs(30, named=False) == 30
    assert slow.runs(3, named=False) == 1
    assert slow.runs(3, named=True) == 3


def test_a_plan_is_the_configuration_and_nothing_else(tmp_path, sample):
    item = load_publications(write(tmp_path / "p", tiny=TINY))["tiny"]
    plan = plan_case(Case(item, 3), sample, seed=7)
    specs = plan.final_specs(plan.default)
    assert [without_later(spec.flat()) for spec in specs] == [dict(item.settings)] * 3
    assert {spec.kind for spec in specs} == {"final"}
    assert len({spec.spec_id for spec in specs}) == 3
    assert plan.space.search == {}
    assert (plan.study, plan.config.budget) == ("reproduce tiny", "published")


def test_own_vectors_take_the_place_of_the_published_ones(tmp_path):
    item = load_publications()["tf-hub"]
    own = item.with_vectors(Path("vectors"))
    assert own.settings == {**item.settings, "handle": str((tmp_path / "vectors/module").resolve())}


def test_more_training_texts_than_there_are(tmp_path, sample):
    text = TINY + "train_examples: 100000\n"
    item = load_publications(write(tmp_path / "p", tiny=text))["tiny"]
    with pytest.raises(UserError, match="tiny wants 100000 training texts; 'sample' has"):
        plan_case(Case(item, 1), sample)


def change(old, new):
    assert old in TINY
    return TINY.replace(old, new, 1)


WRONG = [
    (change("epochs: 2", "epoch: 2"), 18, "'epoch' is not a known key; did you mean 'epochs'?"),
    (change("  units: 0\n", ""), 6, "'units' is missing; nothing is left to defaults here"),
    (change("units: 0", "units: many"), 12, "'units' is 'many'; expected a value like 0"),
    (change("units: 0", "units: true"), 12, "'units' is true; expected a value like 0"),
    (change("padding: post", "padding: left"), 9, "'padding' should be 'pre' or 'post', got 'left'"),
    (change("batch_size: 512", "batch_size: 0"), 17, "'batch_size'"),
    (change("patience: null", "patience: 0"), 19, "'patience'"),
    (
        change("model: flatten", "model: flaten"),
        5,
        "there is no model named 'flaten'; did you mean 'flatten'?",
    ),
    (change("name: tiny", "name: other"), 1, "'name' is 'other', expected 'tiny' as the file"),
    (change("name: tiny", "name: Tiny one"), 1, "'name'"),
    (change("https://example.org", "example.org"), 3, "'url'"),
    (change("{name: sample}", "{nam: sample}"), 4, "'nam' is not a known key; did you mean 'name'?"),
    (change("{name: sample}", "{}"), 4, "expected either 'name' or 'archive'"),
    (change("{name: sample}", "{archive: a.tar.gz}"), 4, "'archive' and 'folder' go together"),
    (change("{name: sample}", "{name: sample, validation_share: 1}"), 4, "'validation_share'"),
    (change("value: 0.99", "value: 87.3"), 21, "'value' is 87.3; expected a share, at most 1"),
    (change("value: 0.99", "value: '0.99'"), 21, "'value' should be a"),
    (change("value: 0.99", "low: 0.99"), 21, "expected either 'value' or both 'low' and 'high'"),
    (change("value: 0.99", "value: 0.99, low: 0.9, high: 1"), 21, "expected either 'value' or both"),
    (change("low: 0.1, high: 2", "low: 2, high: 0.1"), 22, "'low' is 2.0, expected less than 'high', 0.1"),
    (change("low: 0.1, high: 2", "low: 1, high: 2, about: 0.1"), 22, "'about' belongs to 'value'"),
    (change("metric: test_loss", "metric: test_los"), 22, "'metric' should be 'test_accuracy'"),
    (change("low: 0.9, high: 1}", "low: 0.9}"), 23, "'high' is missing"),
    (change("low: 0.9, high: 1}", "low: 1, high: 0.9}"), 23, "'low' is 1.0, expected less than 'high', 0.9"),
    (change("cost: quick", "cost: cheap"), 25, "'cost' should be 'quick' or 'slow', got 'cheap'"),
    (change("seconds: 2", "seconds: 0"), 26, "'seconds'"),
    (TINY + "seeds: 0\n", 27, "'seeds'"),
    (TINY + "own_vectors: {handel: module}\n", 27, "'handel' is not one of the settings"),
    (change("differs: [The texts are made by a program.]\n", ""), 1, "'differs' is missing"),
    (TINY + "name: tiny\n", 27, "'name' is given twice, first in line 1"),
]


@pytest.mark.parametrize(("text", "line", "message"), WRONG, ids=[message for _, _, message in WRONG])
def test_a_mistake_is_one_line_with_file_and_line(text, line, message, tmp_path):
    path = write(tmp_path / "p", tiny=text) / "tiny.yaml"
    with pytest.raises(UserError) as error:
        load_publication(path)
    said = str(error.value)
    assert said.startswith(f"p/tiny.yaml, line {line}: ")
    assert message in said
    assert "\n" not in said


def test_folders_without_configurations(tmp_path):
    with pytest.raises(UserError, match="there is no such folder"):
        load_publications(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"there are no \.yaml files in it"):
        load_publications(tmp_path)


def test_the_cheapest_comes_first_and_slow_ones_last(tmp_path):
    cheaper = ABSENT.replace("seconds: 2", "seconds: 1")
    assert list(load_publications(write(tmp_path / "p", tiny=TINY, absent=cheaper, slow=SLOW))) == [
        "absent",
        "tiny",
        "slow",
    ]
