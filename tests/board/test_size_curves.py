"""Size curves: their figures, their comparisons, and what they say of crossings."""

import numpy as np
import pytest
from board_samples import EXAMPLES, Reading, run

from benchmark.board.size_curves import _paired, size_curves
from benchmark.report import size_curves as report
from benchmark.stats.differences import paired_differences
from benchmark.stats.verdicts import family
from benchmark.tracking import names

SIZES = (100, 300, 1000, 3000)


def curves(means, *, seeds=5, shared=0.02, noise=0.002, expected=5, protocols=None, **changes):
    """Curves of models whose runs have the given means, and swing together with the draw of their texts."""
    generator = np.random.default_rng(0)
    draws = shared * generator.normal(size=(len(SIZES), seeds))
    draws -= draws.mean(axis=1, keepdims=True)
    answers, runs = {}, {}
    for model, of_model in means.items():
        own = noise * generator.normal(size=(len(SIZES), seeds))
        for place, (texts, mean) in enumerate(zip(SIZES, of_model, strict=True)):
            if mean is None:
                continue
            for seed in range(seeds):
                accuracy = round((mean + draws[place, seed] + own[place, seed]) * EXAMPLES) / EXAMPLES
                protocol = (protocols or {}).get(model, "inductive")
                one = run(accuracy, seed, model=model, budget=f"curve {texts}", protocol=protocol, **changes)
                ease = np.arange(EXAMPLES) + generator.normal(0, EXAMPLES / 50, EXAMPLES)
                answers[one.run_id] = np.argsort(np.argsort(ease)) < round(accuracy * EXAMPLES)
                runs.setdefault((model, texts), []).append(one)
    labels = np.arange(EXAMPLES, dtype=np.int32) % 2
    return size_curves(runs, Reading(answers.__getitem__, labels=labels), expected)


def outcomes(found, a, b):
    return [found.comparisons[(a, texts), (b, texts)].outcome for texts in SIZES]


def test_two_models_that_cross_are_said_to():
    found = curves({"linear": (0.70, 0.76, 0.80, 0.81), "deep": (0.60, 0.70, 0.80, 0.88)})
    assert outcomes(found, "linear", "deep")[0] == "better"
    assert outcomes(found, "linear", "deep")[-1] == "worse"
    sentence = found.sentences[0]
    assert sentence.startswith("linear and deep: linear is better at 100 to 300 texts by 10.")
    assert "deep is better at 3,000 texts by 6." in sentence
    assert sentence.endswith("they cross between 300 and 3,000 texts")
    assert (found.models, found.sizes) == (["linear", "deep"], list(SIZES))


def test_a_model_that_is_better_everywhere_does_not_cross():
    found = curves({"good": (0.70, 0.76, 0.80, 0.84), "bad": (0.60, 0.66, 0.70, 0.74)})
    assert found.sentences[0].endswith("; they do not cross within these sizes")
    assert "at 100 to 3,000 texts" in found.sentences[0]


def test_means_that_change_their_order_by_chance_are_no_crossing():
    found = curves({"a": (0.70, 0.76, 0.801, 0.84), "b": (0.60, 0.66, 0.80, 0.841)}, noise=0.01)
    assert "no crossing is shown" in found.sentences[0]
    assert "undecided at 1,000" in found.sentences[0]


def test_the_last_step_says_what_more_texts_bring():
    found = curves({"a": (0.60, 0.70, 0.78, 0.84), "b": (0.6, 0.7, 0.8, 0.8)}, shared=0.002)
    steps = {couple for couple in found.comparisons if couple[0][0] == couple[1][0]}
    assert steps == {(("a", 3000), ("a", 1000)), (("b", 3000), ("b", 1000))}
    assert found.sentences[1].startswith("a with 3,000 texts is better than a with 1,000 texts by ")


def test_what_draws_have_in_common_is_not_in_the_way():
    """The draws swing by 6 points, and the models by 1 point apart: only pairs can tell."""
    means = {"a": (0.72, 0.72, 0.72, 0.72), "b": (0.70, 0.70, 0.70, 0.70)}
    found = curves(means, shared=0.06, noise=0.001)
    assert outcomes(found, "a", "b") == ["better"] * 4
    row = found.points["a", 100]
    assert row.test_ci_high - row.test_ci_low > 0.05


def test_few_draws_are_compared_with_nothing():
    found = curves({"a": (0.6, 0.7, 0.8, 0.9), "b": (0.5, 0.6, 0.7, 0.8)}, seeds=2, expected=2)
    assert found.comparisons == {}
    assert found.sentences == ["nothing is compared: that takes 3 draws of a point, with predictions"]
    texts, a, b = report.cells(found)[1]
    assert (texts, float(a), float(b)) == ("100", pytest.approx(60, abs=0.5), pytest.approx(50, abs=0.5))


def test_a_point_that_is_missing_is_not_compared():
    found = curves({"a": (0.6, 0.7, 0.8, 0.9), "b": (0.5, None, 0.7, 0.8)})
    assert "not compared at 300 texts" in found.sentences[0]
    assert report.cells(found)[2] == ["300", report.cells(found)[2][1], "-"]


def test_a_draw_from_which_nothing_is_learned_is_in_the_mean():
    """A board leaves out such seeds; here they are what few texts do."""
    means = {"a": (0.75,) * 4}
    found = curves(means, shared=0.0, noise=0.0)
    assert found.points["a", 100].n_seeds == 5
    generator = np.random.default_rng(1)
    runs, answers = [], {}
    for seed, accuracy in enumerate((0.75, 0.75, 0.5)):
        one = run(accuracy, seed, model="a", budget="curve 100")
        answers[one.run_id] = generator.permutation(EXAMPLES) < accuracy * EXAMPLES
        runs.append(one)
    labels = np.arange(EXAMPLES, dtype=np.int32) % 2
    (row,) = size_curves({("a", 100): runs}, Reading(answers.__getitem__, labels=labels), 3).points.values()
    assert (row.n_seeds, row.n_unlearned) == (3, 0)
    assert row.test_mean == pytest.approx((0.75 + 0.75 + 0.5) / 3)


def test_protocols_are_compared_and_named():
    means = {"a": (0.70, 0.76, 0.80, 0.84), "encoder": (0.80, 0.82, 0.84, 0.86)}
    found = curves(means, protocols={"encoder": "pretrained"})
    assert outcomes(found, "a", "encoder")[0] == "worse"
    assert "encoder: protocol pretrained" in report.notes(found)
    assert not any("ranked within" in note for note in report.notes(found))


def test_missing_draws_are_marked():
    found = curves({"a": (0.6, 0.7, 0.8, 0.9)}, seeds=3, expected=5)
    assert report.cells(found)[1][1].endswith(", 3 of 5 (2 missing)")
    assert any(note.startswith("a: 2 of 5 seeds missing") for note in report.notes(found))
    assert {row.budget for row in found.points.values()} == {str(texts) for texts in SIZES}


def test_scaled_defaults_are_said_once_a_model():
    found = curves({"a": (0.6, 0.7, 0.8, 0.9)})
    assert found.scaled == {}
    one = run(0.6, 0, model="a")
    one.tags[names.SCALED] = "batch_size 2"
    reading = Reading({one.run_id: np.arange(EXAMPLES) < 0.6 * EXAMPLES}.__getitem__)
    found = size_curves({("a", 100): [one]}, reading, 1)
    assert "a: its default is scaled to few texts: 100 (batch_size 2)" in report.notes(found)


@pytest.mark.long
@pytest.mark.parametrize(("seeds", "most"), [(3, 0.09), (5, 0.075)])
def test_a_family_along_sizes_rarely_errs(seeds, most):
    """Six sizes of two equal models, whose draws vary six times less at the last than at the first."""
    generator = np.random.default_rng(seeds)
    false, simulated = 0, 500
    for _ in range(simulated):
        values, couples = {}, []
        hard = generator.normal(size=1000)
        for size in range(1, 7):
            together = generator.normal(size=seeds) * 0.12
            for model in "ab":
                moved = (together + generator.normal(size=seeds) * 0.09) / size
                each = hard + generator.normal(size=1000) * 0.3 + generator.normal(size=(seeds, 1000)) * 0.5
                values[model, size] = dict(enumerate(each + 0.7 + moved[:, None] > 0))
            couples.append((("a", size), ("b", size)))
        pairs = _paired([couples], values)
        found = family(paired_differences(list(pairs.values())), [(seeds, seeds)] * 6)
        false += any(one.outcome in ("better", "worse") for one in found)
    assert false / simulated < most
