"""How values spread over examples of classes that count the same at any size: computations by hand."""

import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student

from benchmark.metrics.metric import Predictions, get_metric
from benchmark.stats.differences import differences, runs_of
from benchmark.stats.intervals import Interval, bounded
from benchmark.stats.spread import MIN_OF_CLASS, sampling_of, spread_by_class
from benchmark.stats.verdicts import family

FILE = Path(__file__).resolve().parents[2] / "perf" / "metric_calibration.py"
RNG = np.random.default_rng(4)
CLASSES = np.repeat([0, 1, 2], [60, 30, 7])
PROFILES = RNG.normal(size=(3, 97)) * np.where(CLASSES == 2, 5.0, 1.0)


@pytest.fixture(scope="module")
def calibration():
    spec = importlib.util.spec_from_file_location("metric_calibration", FILE)
    module = sys.modules["metric_calibration"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["metric_calibration"]


def spread(profiles, classes, first=(0,), second=(1,)):
    less = np.asarray(profiles, dtype=float)
    less = less - less.mean(axis=1, keepdims=True)
    return spread_by_class(less, np.array(first), np.array(second), classes)


def by_hand(difference, classes):
    """Spread, degrees of freedom and what an added example weighs, of one pair."""
    difference = difference - difference.mean()
    whole = uncertain = weight = 0.0
    for label in np.unique(classes):
        part = difference[classes == label]
        n, mean, variance = len(part), part.mean(), part.var(ddof=1)
        fourth, second = ((part - mean) ** 4).sum(), ((part - mean) ** 2).sum()
        whole += n * (variance + mean**2)
        freedom = min(n - 1, 2 * (n - 1) / (n * fourth / second**2 - 1))
        uncertain += (n * variance) ** 2 / freedom
        weight += fourth / second
    return whole, whole**2 / uncertain, weight


def test_spread_freedom_and_weight_by_hand():
    first, second = (0, 0, 1), (1, 2, 2)
    found = spread(PROFILES, CLASSES, first, second)
    for place, (a, b) in enumerate(zip(first, second, strict=True)):
        whole, freedom, weight = by_hand(PROFILES[a] - PROFILES[b], CLASSES)
        assert found.spread[place] == pytest.approx(whole)
        assert found.freedom[place] == pytest.approx(freedom)
        assert found.weight[place] == pytest.approx(weight)
        assert 6 <= found.freedom[place] < 94  # the 7 examples of the last class are most of the variance
    assert found.n_of_class == 7
    assert not found.constant.any()


def test_without_classes_all_examples_count_alike():
    found = spread(PROFILES, None)
    difference = PROFILES[0] - PROFILES[1]
    assert found.spread == pytest.approx([97 * difference.var()])
    assert (found.freedom, found.weight, found.constant, found.n_of_class) == (math.inf, 1.0, False, None)


def test_few_answers_that_differ_have_few_degrees_of_freedom_and_whole_answers_are_added():
    classes = np.repeat([0, 1], [150, 50])
    unit = 200 / (2 * 50)  # what a right answer of the rare class is in balanced accuracy
    freedom = []
    for differ in (1, 2, 10, 25):
        rows = np.zeros((2, 200))
        rows[0, :15] = 0.01
        rows[0, 150 : 150 + differ] = unit
        found = spread(rows, classes)
        share = differ / 50
        assert found.weight[0] == pytest.approx(unit**2 * (1 - 3 * share * (1 - share)), abs=1e-4)
        freedom.append(found.freedom[0])
    assert freedom[:2] == pytest.approx([2.1, 4.5], abs=0.3)  # about twice as many as answers that differ
    assert freedom[2] > 40


def test_a_class_without_differences_is_constant():
    rows = PROFILES.copy()
    rows[:, CLASSES == 1] = rows[0, CLASSES == 1] + np.array([[0.0], [0.2], [0.3]])
    found = spread(rows, CLASSES)
    assert found.constant.tolist() == [True]
    rest = [
        by_hand(part - part.mean(), np.zeros(len(part)))[2]
        for part in ((rows[0] - rows[1])[label == CLASSES] for label in (0, 2))
    ]
    assert found.weight[0] == pytest.approx(sum(rest) + (97 / (3 * 30)) ** 2)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e-9, 1e-5, 1.0, 1e3])
def test_rows_that_hardly_differ_give_numbers(size):
    rows = 50 * RNG.normal(size=(2, 400))
    rows[1] = rows[0] + size * RNG.normal(size=400)
    found = spread(rows, np.repeat([0, 1], [380, 20]))
    assert np.isfinite([found.spread[0], found.weight[0]]).all()
    assert found.freedom[0] >= 1.9


def test_bounded_at_the_ends_and_inside():
    assert bounded(1.0, 0.1, 0.9, 0.0, 1.0) == Interval(0.9, 1.0, 0.9)
    ends = bounded(0.0, 0.1, 0.95, 0.0, 1.0)
    assert (ends.low, ends.high) == (0.0, 0.1)
    for mean, half in ((0.97, 0.2), (0.02, 5.0), (0.5, 1e9)):
        inside = bounded(mean, half, 0.95, 0.0, 1.0)
        assert 0 <= inside.low < mean < inside.high <= 1
    small = bounded(0.8, 1e-4, 0.95, -1.0, 1.0)
    assert (small.low, small.high) == pytest.approx((0.7999, 0.8001), abs=1e-7)
    near = bounded(0.9, 0.08, 0.95, 0.0, 1.0)
    assert near.high - 0.9 < 0.9 - near.low
    loss = bounded(0.5, 0.3, 0.95, 0.0, math.inf)
    assert (loss.low, loss.high) == pytest.approx((0.5 / math.exp(0.6), 0.5 * math.exp(0.6)))


def test_sampling_by_hand():
    classes = np.repeat([0, 1], [180, 20])
    profile = 0.7 + RNG.normal(size=200) * np.where(classes == 1, 1.0, 0.2)
    whole, freedom, weight = by_hand(profile, classes)
    error, interval = sampling_of(profile, classes, 0.0, 1.0)
    assert error == pytest.approx(math.sqrt(whole + 2 * weight) / 200)
    expected = bounded(float(profile.mean()), student.ppf(0.975, freedom) * error, 0.95, 0.0, 1.0)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_sampling_says_nothing_of_too_few():
    profile = RNG.random(200)
    enough, few = (np.repeat([0, 1], [200 - n, n]) for n in (MIN_OF_CLASS, MIN_OF_CLASS - 1))
    assert sampling_of(profile, enough, 0.0, 1.0) is not None
    assert sampling_of(profile, few, 0.0, 1.0) is None
    same = np.where(enough == 1, 0.4, profile)  # recall 0 or 1
    assert sampling_of(same, enough, 0.0, 1.0) is None


def answers_of(rare_right, n_of_rare, n=1_000):
    """Runs of balanced accuracy: three alike, right on all of the common class and some of the rare one."""
    labels = np.repeat([0, 1], [n - n_of_rare, n_of_rare]).astype(np.int32)
    second = (labels == 1) & (np.arange(n) < n - n_of_rare + rare_right)
    given = Predictions(labels, np.stack([~second, second], axis=1).astype(np.float32))
    return runs_of(np.tile(get_metric("balanced_accuracy").pseudo_values(given), (3, 1))), labels


def test_rows_that_answer_one_class_only_are_not_equivalent():
    row, labels = answers_of(0, 200)
    found = differences([row, row], [0], [1], classes=labels)
    assert found.constant.all()
    (decided,) = family(found, [(3, 3)], margin=0.5)
    assert (decided.outcome, decided.equivalence_p) == ("undecided", 1.0)
    assert decided.interval.high > 0  # as wide as two answers of each class


def test_too_few_of_a_class_are_undecided():
    for n, outcome in ((MIN_OF_CLASS - 1, "undecided"), (MIN_OF_CLASS, "better")):
        (all_right, labels), (none_right, _) = answers_of(n - 1, n), answers_of(1, n)
        found = differences([all_right, none_right], [0], [1], classes=labels)
        assert family(found, [(3, 3)])[0].outcome == outcome


def test_intervals_of_metrics_cover(calibration):
    found = [one for name in ("plain/0.1/50/2", "five/0.05/20/2") for one in calibration.results(name, 25, 3)]
    assert {one["metric"] for one in found} == set(calibration.METRICS)
    for one in found:
        assert min(one["covers"], one["covers better"], one["row covers"]) >= 76, one
        assert one["false equivalent"] <= 16
    assert np.mean([one["covers"] for one in found if one["seeds"] > 3]) == pytest.approx(97, abs=3)
    assert np.mean([one["row covers"] for one in found]) > 90
    assert max(one["finds"] for one in found) > 20


def test_influences_that_are_too_small_are_found_out(calibration, monkeypatch):
    right = calibration.pseudo_values

    def smaller(name, given):
        values = right(name, given)
        return values.mean() + (values - values.mean()) / 2

    monkeypatch.setattr(calibration, "CHECKED", 0)
    monkeypatch.setattr(calibration, "pseudo_values", smaller)
    found = list(calibration.results("plain/0.1/50/2", 25, 3))
    assert np.mean([one["row covers"] for one in found]) < 80


def test_what_runs_are_worth_is_the_value_on_a_large_sample(calibration):
    cell = calibration.Cell("plain", 0.1, 20_000, 1)
    generator = np.random.default_rng(1)
    labels, case = calibration.labels_of(cell, generator), calibration.CASES["plain"]
    effects = np.array([case.separation + 0.1, case.threshold - 0.1]).reshape(2, 1, 1)
    (given,) = calibration.probabilities_of(cell, labels, effects, [], generator)[0]
    worth = calibration.on_population(cell, *effects[:, 0, 0])
    for name in calibration.METRICS:
        value = get_metric(name).value(Predictions(labels, given))
        assert value == pytest.approx(float(worth[name]), abs=0.01), name
