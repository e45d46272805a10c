"""Files as people have them: rows without a label, columns of other names, ratings, tiny classes, UTF-16."""

import json

import numpy as np
import pytest

from benchmark import cli
from benchmark.cli.options import make_parser
from benchmark.data.data_profile import describe
from benchmark.data.dataset import MappedTexts
from benchmark.data.labels import rating
from benchmark.data.prepare import find_prepared, prepare
from benchmark.data.source import SourceOptions, draw_stratified, get_source
from benchmark.support.errors import UserError


def write(path, rows, header="text,label"):
    lines = [",".join('"' + str(value).replace('"', '""') + '"' for value in row) for row in rows]
    path.write_text("\n".join([header, *lines, ""]))
    return path


def get(path, kind="csv", **options):
    return get_source(f"{kind}:{path}", SourceOptions(**options))


def rows(size, classes=("a", "b")):
    return [(f"text {number}", classes[number % len(classes)]) for number in range(size)]


def parsed(*words):
    return cli.source_options(make_parser("x", "", *cli.DATA_OPTIONS).parse_args(words))


MISSING = [*rows(30), ("no label", ""), ("", "a"), ("  ", "b"), ("", ""), ("late", "a")]


def test_rows_without_label_or_text_are_left_out_when_asked(tmp_path, own_cache, refused, datasets):
    write(tmp_path / "r.csv", MISSING)
    message = refused("csv:r.csv")
    assert "2 of 35 records have no label in the column 'label' (line 32, line 35)" in message
    assert message.endswith("leave them out with --drop-missing")
    code, out, _ = datasets("show", "csv:r.csv", "--drop-missing", "--json")
    facts = json.loads(out)
    assert (code, facts["train"] + facts["validation"] + facts["test"]) == (0, 31)
    assert "4 of 35 records without a label or a text left out (label: 2, text: 3)" in facts["notices"][0]
    texts = [row.text for row in get(tmp_path / "r.csv", drop_missing=True).rows()]
    assert texts == [f"text {number}" for number in range(30)] + ["late"]
    assert "drop_missing" in facts["home"]
    assert find_prepared(facts["digest"]).digest == facts["digest"]


def test_nothing_missing_is_the_same_data(tmp_path, own_cache):
    path = write(tmp_path / "r.csv", rows(30))
    plain, dropped = prepare(get(path)), prepare(get(path, drop_missing=True, min_per_class=2))
    assert plain.digest == dropped.digest
    assert plain.folder != dropped.folder


@pytest.mark.parametrize("word", ["NaN", "n/a", "null"])
def test_words_for_no_number_are_missing_beside_numbers_alone(tmp_path, refused, word):
    write(tmp_path / "n.csv", [*rows(20, ("0", "1")), ("x", word), ("y", word)])
    assert f"2 of 22 records have '{word}'" in refused("csv:n.csv")
    source = get(tmp_path / "n.csv", drop_missing=True)
    assert [row.text for row in source.rows()] == [f"text {number}" for number in range(20)]
    assert "2 of 22 records without" in source.notices[0]
    write(tmp_path / "w.csv", [*rows(20), ("x", word), ("y", word)])
    assert set(get(tmp_path / "w.csv", drop_missing=True).class_names) == {"a", "b", word}


def test_null_and_missing_keys_of_json_lines(tmp_path):
    records = [{"text": "a", "label": "x"}, {"text": None, "label": "x"}, {"text": "b"}, {"label": "y"}]
    records += [{"text": "c", "label": "y"}, {"text": "d", "label": None}]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, records)))
    assert [row.text for row in get(tmp_path / "r.jsonl", drop_missing=True).rows()] == ["a", "c"]


def test_nothing_left(tmp_path, refused):
    write(tmp_path / "r.csv", [("", "a"), ("x", "")])
    assert "none of 2 records has both a text and a label" in refused("csv:r.csv", "--drop-missing")


def test_columns_in_one_word(tmp_path, own_cache, datasets, refused):
    header = "id,the text,grade,who,use,label"
    content = [(n, f"t{n}", "ab"[n % 2], n // 4, ("train", "dev", "test")[n % 3], n) for n in range(24)]
    write(tmp_path / "r.csv", content, header)
    words = ("--columns", "text=the text,label=grade,split=use,group=who")
    assert "--columns split: csv:r.csv has no column 'uses'; did you mean 'use'?" in refused(
        "csv:r.csv", "--columns", "text=the text,label=grade,split=uses"
    )
    assert "text and group cannot both be the column" in refused(
        "csv:r.csv", "--columns", "text=the text,label=grade,group=the text"
    )
    code, out, _ = datasets("show", "csv:r.csv", *words, "--json")
    facts = json.loads(out)
    assert (code, facts["classes"], facts["train"], facts["test"]) == (0, ["a", "b"], 8, 8)
    assert "group_column 'who'" in facts["home"]
    single = get(tmp_path / "r.csv", text_column="the text", label_column="grade", split_column="use")
    assert [row.split for row in single.rows()][:3] == ["train", "validation", "test"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("txt=a", "'txt=a': did you mean 'text'?"),
        ("text", "'text': expected for example text=body,label=stars"),
        ("", "expected for example"),
        ("text=", "expected the name of a column after text="),
        ("text=a,text=b", "'text' has two columns"),
        ("text=a,label=b", "--text-column says 'c'"),
    ],
)
def test_columns_that_are_none(refused, tmp_path, value, message):
    write(tmp_path / "r.csv", rows(20))
    assert message in refused("csv:r.csv", "--columns", value, "--text-column", "c")


def test_names_of_columns_may_hold_commas_and_a_split_may_be_none():
    options = parsed("--columns", "text=a,b=c, label=d,split=")
    assert (options.text_column, options.label_column, options.split_column) == ("a,b=c", "d", "")
    assert parsed("--columns", "text=a", "--text-column", "a").text_column == "a"


def test_a_column_part_that_is_no_split(tmp_path, refused):
    path = write(
        tmp_path / "r.csv", [(f"t{n}", "ab"[n % 2], "Part One") for n in range(20)], "text,label,part"
    )
    assert "'Part One' in the column 'part' is not a split" in refused("csv:r.csv")
    assert len(list(get(path, split_column="").rows())) == 20
    assert get(path, split_column="").key() != get(path).key()


def test_settings_of_files_are_refused_where_they_have_no_meaning(refused, write_tree):
    assert "--drop-missing has no meaning for 'sample'; it is for csv:PATH" in refused(
        "sample", "--drop-missing"
    )
    assert "--columns has no meaning for 'sample'" in refused("sample", "--columns", "group=x")
    assert "--min-per-class has no meaning for 'imdb'" in refused("imdb", "--min-per-class", "3")
    folder = write_tree("d", {f"{name}/{n}": "x" for name in "ab" for n in range(9)})
    assert "--columns has no meaning for" in refused(f"dir:{folder}", "--columns", "split=")


def test_classes_without_a_validation_text_are_told_with_the_way_out(tmp_path, own_cache, refused, datasets):
    path = write(tmp_path / "r.csv", [*rows(40), *((f"rare {n}", "c") for n in range(3)), ("one", "d")])
    message = refused("csv:r.csv", "--min-per-class", "21")
    assert "0 of 4 classes have 21 texts or more; expected two or more (the second largest has 20)" in message
    dataset = prepare(get(path))
    (said,) = (line for line in describe(dataset)["notices"] if "validation" in line)
    assert "2 classes have no validation text" in said
    assert "('c', 'd'); leave out classes of few texts with `min_per_class` 4" in said
    smaller = prepare(get(path, min_per_class=4))
    assert smaller.class_names == ("a", "b")
    assert smaller.digest != dataset.digest
    assert smaller.digest == prepare(get(write(tmp_path / "s.csv", rows(40)))).digest
    said = describe(smaller)["notices"]
    assert any("2 classes of fewer than 4 texts left out ('c', 'd': 4 texts)" in line for line in said)
    assert not any("no validation text" in line for line in said)
    assert "--min-per-class 4" in datasets("show", "csv:r.csv")[1]


def test_small_classes_of_folders(tmp_path, own_cache, write_tree):
    files = {f"{name}/{n}": f"{name} {n}" for name in "ab" for n in range(20)}
    folder = write_tree("d", files | {"rare/1": "x", "rare/2": "y"})
    dataset = prepare(get(folder, "dir"))
    assert any("`min_per_class` 3" in line for line in describe(dataset)["notices"])
    smaller = prepare(get(folder, "dir", min_per_class=3))
    assert (smaller.class_names, sum(smaller.sizes.values())) == (("a", "b"), 40)
    assert smaller.digest == prepare(get(write_tree("e", files), "dir")).digest


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([f"{n / 10}" for n in range(47)], "looks like a rating: 47 values from 0.0 to 4.6"),
        ([str(n * n) for n in range(47)], "looks like a rating: 47 values from 0 to 2116"),
        ([f"{n / 2}" for n in range(1, 11)], ""),  # stars, in halves
        (["1.0", "10.0", "2.0", "3.0"], ""),
        ([str(n) for n in range(150)], ""),  # numbers of classes
        (["0", "2", "1000"], ""),
        ([*(f"{n / 10}" for n in range(47)), "none"], ""),
        ([], ""),
    ],
)
def test_a_rating_is_recognised(names, said):
    assert rating(names) == said


def test_a_rating_is_told_and_named_where_a_class_cannot_be_trained(tmp_path, own_cache, refused):
    content = [(f"t{n}", n % 47 / 10, "test" if n % 5 == 0 else "train") for n in range(300)]
    write(tmp_path / "q.csv", [*content, ("x", 9.9, "test")], "text,score,split")
    assert "the class '9.9' has 1 test text" in (message := refused("csv:q.csv"))
    assert "looks like a rating: 48 values" in message
    path = write(tmp_path / "r.csv", content, "text,score,split")
    said = describe(prepare(get(path)))["notices"]
    assert any("the column 'score' looks like a rating: 47 values from 0.0 to 4.6" in line for line in said)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["r.csv", "r.jsonl"])
def test_a_byte_order_mark_says_the_encoding(tmp_path, own_cache, encoding, name):
    texts = [f"naïve ☕ {n}" for n in range(20)]
    lines = [f"{text},{'ab'[n % 2]}" for n, text in enumerate(texts)]
    if name == "r.jsonl":
        lines = [json.dumps({"text": t, "label": "ab"[n % 2]}) for n, t in enumerate(texts)]
    content = "\r\n".join(lines if name == "r.jsonl" else ["text,label", *lines])
    (tmp_path / name).write_bytes(content.encode(encoding))
    assert [row.text for row in get(tmp_path / name).rows()] == texts
    assert [row.text for row in get(tmp_path / name, encoding=encoding).rows()] == texts


def test_each_file_of_a_folder_may_have_its_mark(write_tree):
    files = {f"a/{n}": f"é {n}".encode("utf-16") for n in range(5)}
    folder = write_tree("d", files | {f"b/{n}": f"é {n}" for n in range(5)})
    assert sorted(row.text for row in get(folder, "dir").rows()) == sorted([f"é {n}" for n in range(5)] * 2)


def authors(size=120, each=6):
    return [(f"t{n}", "ab"[n // 3 % 2], f"author {n // each}") for n in range(size)]


def test_texts_of_a_group_stay_in_one_split(tmp_path, own_cache):
    path = write(tmp_path / "r.csv", authors(), "text,label,author")
    dataset = prepare(get(path, group_column="author"))
    views = {split: dataset.view(split, None) for split in ("train", "validation")}
    test = MappedTexts(dataset.folder / "test")
    views["test"] = test.view(np.arange(dataset.sizes["test"]), None, 0)
    groups = {split: set(view.groups().tolist()) for split, view in views.items()}
    assert sorted(map(len, groups.values())) == [3, 4, 13]
    assert len(set.union(*groups.values())) == 20
    for view in views.values():
        expected = [int(text[1:]) // 6 for text in view.texts()]
        assert view.groups().tolist() == expected  # numbers in the order of the file
    plain = prepare(get(path))
    assert plain.digest != dataset.digest
    assert plain.view("train", None).groups() is None


def test_groups_are_part_of_the_digest_and_absent_ones_are_alone(tmp_path, own_cache):
    splits = ["train", "train", "validation", "test"]
    content = [(f"t{n}", "ab"[n // 4 % 2], splits[n % 4], n // 8, "" if n < 8 else n // 4) for n in range(40)]
    path = write(tmp_path / "r.csv", content, "text,label,split,film,writer")
    film, writer = (prepare(get(path, group_column=name)) for name in ("film", "writer"))
    plain = prepare(get(path))
    assert len({plain.digest, film.digest, writer.digest}) == 3
    assert any(
        "8 of 40 records have no group in the column 'writer'" in line for line in describe(writer)["notices"]
    )
    groups = [
        int(number) for split in ("train", "validation") for number in writer.view(split, None).groups()
    ]
    assert len(groups) == 30
    assert len(set(groups)) == 6 + 8  # two of the eight that are alone are test texts
    assert get(path).test_drawn is False


@pytest.mark.parametrize("groups", [2, 5, 40, 200])
def test_groups_are_drawn_whole_and_near_to_the_share(groups):
    generator = np.random.default_rng(0)
    labels, members = generator.integers(0, 3, 1000), generator.integers(0, groups, 1000)
    drawn = draw_stratified(labels, 0.2, 1, members)
    assert all(len(set(drawn[members == group])) < 2 for group in range(groups))
    assert 0 < drawn.sum() < 1000
    if groups >= 40:
        for label in range(3):
            assert 0.15 < drawn[labels == label].mean() < 0.25
    assert (drawn == draw_stratified(labels, 0.2, 1, members.astype(str))).all() or groups > 10


def test_one_group_cannot_be_divided(tmp_path, refused):
    write(tmp_path / "r.csv", [(*row, "same") for row in rows(20)], "text,label,author")
    assert "has no train texts" in refused("csv:r.csv", "--columns", "group=author")


def test_an_option_of_files_without_a_data_set(own_cache):
    from benchmark.data.prepare import choose_dataset

    with pytest.raises(UserError, match="`columns`: name the data set that it is about"):
        choose_dataset(None, SourceOptions(group_column="x"), print)
