"""Folds: each text is tested once, classes and groups are kept, and what cannot be divided is refused."""

from collections import Counter

import numpy as np
import pytest

from benchmark.data.data_profile import describe
from benchmark.data.folds import Fold, Folds, FoldSource, draw_folds, folds_name, parsed_name
from benchmark.data.prepare import choose_folds, prepare
from benchmark.data.source import Row, SourceOptions
from benchmark.support.errors import UserError

SPAM = ("ham", "spam")


def texts(size=60, split="train", rare=3):
    return [(split, f"text {number} of {number % 7}", int(number % rare == 0)) for number in range(size)]


def all_folds(source, number=5):
    folds = Folds(source, number)
    return [FoldSource(folds, place) for place in range(1, number + 1)]


def write_csv(path, rows):
    path.write_text("text,label\n" + "".join(f"{text},{SPAM[label]}\n" for _, text, label in rows))
    return f"csv:{path}"


def test_each_text_is_tested_once_and_classes_keep_their_shares(tmp_path, own_cache):
    name, said, lines = write_csv(tmp_path / "mine.csv", texts()), [], []
    datasets = choose_folds(name, SourceOptions(), 5, said.append, lines.append)
    assert {one.name for one in datasets} == {"csv-mine--5-folds"}
    assert [one.fold[:2] for one in datasets] == [(number, 5) for number in range(1, 6)]
    assert len({one.digest for one in datasets}) == 5
    assert len({one.fold.digest for one in datasets}) == 1
    assert datasets[2].title == "csv-mine--5-folds, fold 3 of 5"
    tested = Counter()
    for one in datasets:
        assert one.sizes == {"train": 39, "validation": 9, "test": 12}
        assert one.class_counts["test"] == [8, 4]
        tested.update(_test_texts(one))
        assert "no test split" not in str(describe(one)["notices"])
    assert tested == Counter(text for _, text, _ in texts())
    assert said == []
    again = choose_folds(name, SourceOptions(), 5, said.append, lines.append)
    assert [one.digest for one in again] == [one.digest for one in datasets]


def _test_texts(dataset):
    from benchmark.data.dataset import MappedTexts

    return MappedTexts(dataset.folder / "test").texts(np.arange(dataset.sizes["test"]))


def test_a_fold_that_is_cached_reads_nothing(make_source, own_cache):
    source = make_source(texts(50))
    digests = [prepare(one).digest for one in all_folds(source)]
    assert source.reads == 6  # once to divide, then each
    assert [prepare(one).digest for one in all_folds(source)] == digests
    assert source.reads == 6
    other = prepare(all_folds(make_source([*texts(49), ("train", "another", 0)]))[0])
    assert other.fold.digest != prepare(all_folds(source)[0]).fold.digest


def test_groups_stay_together_and_classes_near_their_shares():
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 60, 600)
    labels = (generator.random(600) < 0.3 + 0.3 * (groups % 2)).astype(np.int32)
    fold = draw_folds(labels, groups, 5)
    assert all(len(set(fold[groups == group])) == 1 for group in range(60))
    counts = np.array([[np.sum((fold == k) & (labels == c)) for c in (0, 1)] for k in range(5)])
    assert np.ptp(counts, axis=0).max() <= 6
    assert (draw_folds(labels, groups, 5) == fold).all()


class Grouped:
    """Texts of authors."""

    name, home, class_names, validation_share = "letters", "made by a test", SPAM, 0.2

    def __init__(self, authors):
        self.authors = authors

    def key(self):
        return f"letters {self.authors}"

    def rows(self):
        for number in range(120):
            author = number % self.authors
            yield Row("train", f"letter {number}", author % 2, group=f"author {author}")


def test_no_author_is_both_tested_and_trained_on():
    for source in all_folds(Grouped(20)):
        rows = list(source.rows())
        tested = {row.group for row in rows if row.split == "test"}
        assert len(tested) == 4
        assert not tested & {row.group for row in rows if row.split == "train"}


@pytest.mark.parametrize(
    ("rows", "folds", "message"),
    [
        (
            texts(40, "train") + texts(6, "test"),
            5,
            "'tiny' has a test split of its own; expected data without",
        ),
        (texts(40) + texts(6, "validation"), 5, "'tiny' has a validation split of its own"),
        (texts(40, rare=10), 5, "has 4 texts of class 'pos'; expected 5 or more of each class"),
        (texts(40, rare=5), 10, "has 8 texts of class 'pos'; expected at most 8 folds"),
        (texts(40, rare=99), 5, "has 1 text of class 'pos'"),
    ],
)
def test_what_cannot_be_divided_is_one_line(make_source, rows, folds, message):
    with pytest.raises(UserError, match=message) as refused:
        prepare(all_folds(make_source(rows), folds)[0])
    assert "`folds`" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_too_few_groups_are_one_line():
    with pytest.raises(UserError, match="has 4 groups of class 'ham'; expected 5 or more of each class"):
        prepare(all_folds(Grouped(8))[0])


def test_names_of_folds_are_read_back():
    assert parsed_name(folds_name("csv-mine", 10)) == ("csv-mine", 10)
    assert parsed_name("csv-mine-10-folds") == ("csv-mine-10-folds", None)
    assert str(Fold(3, 10, "d")) == "fold 3 of 10"
