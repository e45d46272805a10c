"""Predictions made elsewhere: what is refused, and the row that they become."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark import compare, datasets, leaderboard, results
from benchmark.data.ledger_chain import EXPORTED, read_entries, true_classes
from benchmark.results_file.outside_predictions import OutsideModel, read_outside
from benchmark.stats.intervals import example_difference
from benchmark.support.errors import UserError


@pytest.fixture
def answers(sample):
    """Ids and certain answers, of which every tenth is wrong."""
    truth = true_classes(sample)
    given = np.where(np.arange(len(truth)) % 10 == 0, 1 - truth, truth)
    ids = [f"{sample.digest[:8]}-{number}" for number in range(len(truth))]
    return pd.DataFrame({"id": ids, "label": [sample.class_names[one] for one in given]})


def with_probabilities(answers, sure=0.75):
    """The same answers, less certain."""
    positive = np.where(answers["label"] == "pos", sure, 1 - sure)
    return pd.DataFrame({"id": answers["id"], "neg": 1 - positive, "pos": positive})


def test_an_export_has_ids_and_texts_and_is_on_record(sample):
    """The classes of the test split stay where they are; the other splits are no test reads."""
    assert datasets.main(["export", "sample", "--split", "train", "--output", "train.csv"]) == 0
    assert not Path("mlruns").exists()
    assert datasets.main(["export", "sample", "--split", "test", "--output", "test.csv"]) == 0
    with Path("test.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["id", "text"]
    assert [row[0] for row in rows] == [f"{sample.digest[:8]}-{number}" for number in range(len(rows))]
    (entry,) = read_entries(Path("mlruns/ledger.jsonl"))
    assert (entry["model"], entry["examples"]) == (EXPORTED, sample.sizes["test"])
    train = pd.read_csv("train.csv")
    view = sample.view("train", None)
    assert list(train["text"]) == view.texts()
    assert [sample.class_names[label] for label in view.y] == list(train["label"])


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_reads_what_was_written_in_any_order(sample, answers, kind):
    """All three formats give the same array, in the order of the split."""
    table = with_probabilities(answers)
    shuffled = table.iloc[np.random.default_rng(0).permutation(len(table))]
    path = Path(f"given.{kind}")
    if kind == "csv":
        shuffled.to_csv(path, index=False)
    elif kind == "parquet":
        shuffled.to_parquet(path)
    else:
        np.savez(path, id=np.array(shuffled["id"], dtype=str), probabilities=shuffled[["neg", "pos"]])
    given, labels_only = read_outside(path, sample)
    assert not labels_only
    assert given.dtype == np.float32
    np.testing.assert_allclose(given, table[["neg", "pos"]].to_numpy(), atol=1e-7)


def changed(column, value, row=3):
    def change(table):
        table = table.astype({column: object})
        table.loc[row, column] = value
        return table

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            changed("id", "text-9"),
            "line 5: 'text-9' is not the id of a test text of 'sample'; expected those",
        ),
        (changed("id", "00000000-3"), "line 5: '00000000-3' is not the id"),
        (lambda table: table.iloc[:-7], "7 of 2000 ids are missing, the first is"),
        (lambda table: pd.concat([table, table.iloc[:1]]), "line 2002: id"),
        (changed("pos", 0.95), "line 5: the probabilities of"),
        (changed("pos", "nan"), "line 5: 'nan' of pos is not a probability from 0 to 1"),
        (changed("pos", "inf"), "line 5: 'inf' of pos"),
        (changed("neg", -0.25), "line 5: '-0.25' of neg"),
        (changed("neg", "much"), "line 5: 'much' of neg"),
        (
            lambda table: table.rename(columns={"neg": "no"}),
            "there is no column 'neg'; expected id and label",
        ),
        (lambda table: table.drop(columns="id"), "there is no column 'id'"),
    ],
)
def test_names_line_and_value_of_what_is_wrong(sample, answers, change, words):
    change(with_probabilities(answers)).to_csv("bad.csv", index=False)
    with pytest.raises(UserError) as caught:
        read_outside(Path("bad.csv"), sample)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("given.csv", lambda text: "\ufeff" + text),
        ("given.csv", lambda text: text.replace(",", ";")),
        ("given.csv", lambda text: "sep=;\n" + text.replace(",", ";")),
        ("given.CSV", lambda text: text.replace("\n", "\r\n") + "\r\n"),
        ("given.tsv", lambda text: text.replace(",", "\t")),
        ("given.csv", lambda text: text.replace("\n", ',"a ""text"",\nof two lines"\n')),
    ],
)
def test_reads_a_table_as_a_spreadsheet_writes_it(sample, answers, name, change):
    """Marks of byte order, semicolons, tabs, blank lines, and further columns of texts with line ends."""
    table = with_probabilities(answers)
    Path(name).write_text(change(table.to_csv(index=False)), encoding="utf-8", newline="")
    given, _ = read_outside(Path(name), sample)
    np.testing.assert_allclose(given, table[["neg", "pos"]].to_numpy(), atol=1e-7)


def test_names_the_line_of_the_file_behind_texts_of_several_lines(sample, answers):
    table = answers.assign(text='a "text"\nof two lines')
    table.loc[3, "id"] = "oops"
    table.to_csv("bad.csv", index=False)
    with pytest.raises(UserError, match="line 8: 'oops' is not the id"):
        read_outside(Path("bad.csv"), sample)


def test_labels_beside_probabilities_are_refused(sample, answers):
    """Which of both were meant is unknown: a threshold may be between them."""
    with_probabilities(answers).assign(label=answers["label"]).to_csv("both.csv", index=False)
    with pytest.raises(UserError, match="it has labels and probabilities; expected id and label, or"):
        read_outside(Path("both.csv"), sample)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (lambda ids, given: {"probabilities": given}, "no column 'id'"),
        (lambda ids, given: {"id": ids, "probabilities": given[:, 1]}, "expected 2 columns"),
        (lambda ids, given: {"id": ids, "probabilities": given[:-1]}, "differ in length"),
        (lambda ids, given: {"id": ids[:0], "probabilities": given[:0]}, "2000 of 2000 ids are missing"),
        (lambda ids, given: {"id": ids, "label": given[:, 1].astype(int)}, "row 1: '0' is not a class"),
    ],
)
def test_arrays_of_other_shapes_are_refused(sample, answers, arrays, words):
    given = with_probabilities(answers)[["neg", "pos"]].to_numpy()
    np.savez("bad.npz", **arrays(np.array(answers["id"], dtype="S"), given))
    with pytest.raises(UserError, match=words):
        read_outside(Path("bad.npz"), sample)


def test_names_the_nearest_class(sample, answers):
    changed("label", "poss")(answers).to_csv("bad.csv", index=False)
    with pytest.raises(UserError, match="line 5: 'poss' is not a class of 'sample'; did you mean 'pos'"):
        read_outside(Path("bad.csv"), sample)


@pytest.mark.parametrize("content", [b"", b"id,label\n\xff\xfe,pos\n", b"id,label\na,b,c\n", b'id,label\n"a'])
def test_refuses_what_is_not_a_table(sample, content):
    for name in ("bad.csv", "bad.npz", "bad.parquet", "bad.txt"):
        Path(name).write_bytes(content)
        with pytest.raises(UserError) as caught:
            read_outside(Path(name), sample)
        assert "\n" not in str(caught.value)


def test_objects_in_an_npz_are_not_loaded(sample, answers):
    np.savez("bad.npz", id=np.array(answers["id"], dtype=object), label=np.array(answers["label"], dtype=str))
    with pytest.raises(UserError, match="expected arrays without objects"):
        read_outside(Path("bad.npz"), sample)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a ", "a:b", "\x1b[31mred", "a" * 101])
def test_a_row_has_a_name_that_can_be_printed(name):
    with pytest.raises(UserError, match=r"`model` .*: expected a name of 1 to 100 characters") as caught:
        OutsideModel(name)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="`note`: 5,001 characters"):
        OutsideModel("a prompt", note="x" * 5001)


def test_a_row_of_its_own_kind(answers, copied_sweep, capsys):
    """It is measured once, ranked apart, and compared for these trained models."""
    with_probabilities(answers).to_csv("given.csv", index=False)
    answers.to_csv("labels.csv", index=False)
    words = ["--dataset", "sample", "--model"]
    before = len(read_entries(Path("mlruns/ledger.jsonl")))
    for _ in range(2):
        assert results.main(["import", "given.csv", *words, "outside", "--seconds", "4"]) == 0
    assert results.main(["import", "labels.csv", *words, "certain", "--note", "by a prompt"]) == 0
    reads = [entry["model"] for entry in read_entries(Path("mlruns/ledger.jsonl"))[before:]]
    assert reads == ["outside", "certain"]
    assert results.main(["import", "labels.csv", *words, "outside"]) == 2
    assert "--seed 0: there are different predictions of 'outside'" in capsys.readouterr().err
    assert results.main(["import", "labels.csv", *words, "avg-pool"]) == 2
    assert "a sweep has made a row of this name" in capsys.readouterr().err

    def rows(*more):
        leaderboard.main(["--dataset", "sample", "--format", "json", "--output", "board.json", *more])
        return {
            (row["model"], row["tier"]): row for row in json.loads(Path("board.json").read_text())["rows"]
        }

    row = rows()["outside", "imported"]
    assert (row["test_values"], row["train_seconds_median"], row["test_reads"]) == ([0.9], 4.0, 1)
    assert row["budget"] == row["protocol"] == "imported"
    assert row["test_ci_low"] is row["rank"] is None
    assert "imported: protocol not enforced; search and test reads unknown" in row["notes"]
    assert rows("--with-imported")["outside", "imported"]["budget"] == "quick"
    by_loss = rows("--metric", "log_loss")
    assert by_loss["outside", "imported"]["test_mean"] is not None
    assert by_loss["certain", "imported"]["test_mean"] is None
    capsys.readouterr()
    assert compare.main(["outside", "avg-pool:default", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sentence"].startswith("outside (imported) is better than avg-pool (default), difference ")
    assert "for these trained models, on other examples of this kind" in found["sentence"]
    assert compare.main(["outside", "certain"]) == 0
    assert "certain (imported) are equivalent within 0.5 points" in capsys.readouterr().out
    assert compare.main(["outside", "avg-pool", "--until-decided"]) == 2


def test_the_difference_over_examples_is_the_paired_one():
    """Against scipy's paired test, which is its limit for many examples; equal answers differ in nothing."""
    from scipy import stats

    generator = np.random.default_rng(0)
    a, b = generator.random(5000) < 0.8, generator.random(5000) < 0.77
    mean, interval, p_value = example_difference(a.astype(float), b.astype(float))
    paired = stats.ttest_rel(a.astype(float), b.astype(float))
    assert p_value == pytest.approx(paired.pvalue, rel=0.01)
    assert (interval.low, interval.high) == pytest.approx(tuple(paired.confidence_interval()), rel=0.01)
    assert mean == pytest.approx(a.mean() - b.mean())
    assert example_difference(a.astype(float), a.astype(float))[2] == 1.0
