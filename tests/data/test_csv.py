"""Tables: four formats read alike, columns found or named, splits honoured, and files that are no table."""

import json
import os
import time
import tracemalloc
from collections import Counter

import pytest

from benchmark import sweep
from benchmark.data.data_profile import describe
from benchmark.data.dataset import count_test_duplicates
from benchmark.data.files import LONGEST, text_lines
from benchmark.data.prepare import prepare
from benchmark.data.source import SourceOptions, get_source
from benchmark.support.errors import UserError

TEXTS = ['He said "no", twice;\nthen\tleft', "naïve ☕", "  spaces  ", "plain"] * 6
LABELS = ["neg", "pos", "neg", "pos"] * 6


def write_csv(path, header="text,label", rows=None, encoding="utf-8"):
    rows = [(text, label) for text, label in zip(TEXTS, LABELS, strict=True)] if rows is None else rows
    quoted = (",".join('"' + str(value).replace('"', '""') + '"' for value in row) for row in rows)
    path.write_bytes("\n".join([header, *quoted, ""]).encode(encoding))
    return path


def write_table(path, rows):
    import pyarrow
    import pyarrow.parquet

    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix in (".jsonl", ".ndjson"):
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    else:
        import pandas

        pandas.DataFrame(rows).to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


def get(path, **options):
    return get_source(f"csv:{path}", SourceOptions(**options))


def numbered(classes=("a", "b"), size=20):
    return [(f"text {number}", classes[number % len(classes)]) for number in range(size)]


@pytest.mark.parametrize("name", ["r.csv", "r.tsv", "r.jsonl", "r.NDJSON", "r.parquet"])
def test_every_format_gives_the_same_rows(tmp_path, own_cache, name):
    rows = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]
    path = tmp_path / name
    write_table(path.with_suffix(path.suffix.lower()), rows).rename(path)
    source = get(path)
    assert source.class_names == ("neg", "pos")
    assert [(row.text, row.label) for row in source.rows()] == [
        (text, ["neg", "pos"].index(label)) for text, label in zip(TEXTS, LABELS, strict=True)
    ]
    csv = prepare(get(write_csv(tmp_path / "same.csv")))
    assert prepare(source).digest == csv.digest
    assert csv.sizes == {"train": 16, "validation": 4, "test": 4}
    assert "no test split" in " ".join(describe(csv)["notices"])


@pytest.mark.parametrize("name", ["r.csv", "r.jsonl", "r.parquet"])
@pytest.mark.parametrize("column", ["split", "part", "Split"])
def test_the_column_of_parts_is_honoured(tmp_path, own_cache, name, column):
    splits = ["train", "dev", "test", "Validation"]
    rows = [{"sentence": f"t{n}", "class": n % 3, column: splits[n % 4]} for n in range(24)]
    source = get(write_table(tmp_path / name, rows))
    assert source.validation_share == 0.0
    assert source.class_names == ("0", "1", "2")
    expected = ["train", "validation", "test", "validation"] * 6
    assert [(row.split, row.text, row.label) for row in source.rows()] == [
        (expected[n], f"t{n}", n % 3) for n in range(24)
    ]
    assert prepare(source).sizes == {"train": 6, "validation": 12, "test": 6}
    with pytest.raises(UserError, match="already has a validation split"):
        prepare(get(tmp_path / name, validation_share=0.3))


def test_without_test_rows_they_are_drawn_from_train_alone(tmp_path):
    rows = [(f"t{n}", "ab"[n % 2], "val" if n < 10 else "train") for n in range(60)]
    source = get(write_csv(tmp_path / "r.csv", "text,label,split", rows))
    assert Counter(row.split for row in source.rows()) == {"validation": 10, "train": 40, "test": 10}
    assert {row.text for row in source.rows() if row.split == "validation"} == {f"t{n}" for n in range(10)}


@pytest.mark.parametrize(
    ("header", "options", "expected"),
    [
        ("label,text", {}, ("t", "l")),
        ("Category,Body", {}, ("t", "l")),
        ("sentiment,whatever", {}, ("t", "l")),
        ("whatever,review", {}, ("t", "l")),
        ("a,b", {"text_column": "b", "label_column": "a"}, ("t", "l")),
        ("text,label", {"text_column": "label", "label_column": "text"}, ("t", "l")),
        ("a,b", {"text_column": "b"}, ("t", "l")),
    ],
)
def test_columns_are_found_or_named(tmp_path, header, options, expected):
    rows = [(f"l{n % 2}", f"t{n}") for n in range(10)]
    first = next(get(write_csv(tmp_path / "r.csv", header, rows), **options).rows())
    assert (first.text, get(tmp_path / "r.csv", **options).class_names) == ("t0", ("l0", "l1"))


def test_a_column_without_a_name_can_be_the_text(tmp_path):
    source = get(
        write_table(tmp_path / "r.jsonl", [{"": text, "label": label} for text, label in numbered()])
    )
    assert [row.text for row in source.rows()] == [text for text, _ in numbered()]


def test_unknown_columns(tmp_path, refused):
    write_csv(tmp_path / "r.csv", "id,heading,body_text,stars", [("1", "h", "b", "5")])
    assert refused("csv:r.csv", "--text-column", "body") == (
        "--text-column: csv:r.csv has no column 'body'; did you mean 'body_text'?"
    )
    assert refused("csv:r.csv", "--label-column", "xyz").endswith("choose from body_text, heading, id, stars")
    assert refused("csv:r.csv") == (
        "csv:r.csv: no column is clearly the text; name it with --text-column; the columns in its first "
        "line, which must name them (split at ','): 'id', 'heading', 'body_text', 'stars'"
    )
    assert "twice" in refused("csv:" + str(write_csv(tmp_path / "two.csv", "text,label,text", [])))


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_of_csv(tmp_path, separator):
    lines = [f"text{separator}label", *(f"one, two {n}{separator}{n % 2}" for n in range(6))]
    (tmp_path / "r.csv").write_text("\r\n".join(lines))
    assert [row.text for row in get(tmp_path / "r.csv").rows()] == [f"one, two {n}" for n in range(6)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("excel.csv", "sep=;\r\ntext;label\r\none;1\r\ntwo;2\r\n"),
        ("mac.csv", "text,label\rone,1\rtwo,2\r"),
        ("bar.csv", "text|label\none|1\ntwo|2\n"),
        ("comma.tsv", "text,label\none,1\ntwo,2\n"),
        ("marked.csv", '\ufeff\ufeff"text","label"\n\none,1\n\ntwo,2\n'),
        ("lines.json", '{"text": "one", "label": 1}\n{"text": "two", "label": 2}\n'),
    ],
)
def test_tables_as_other_programs_write_them(tmp_path, name, content):
    (tmp_path / name).write_text(content, newline="")
    source = get(tmp_path / name)
    assert [row.text for row in source.rows()] == ["one", "two"]
    assert source.class_names == ("1", "2")


@pytest.mark.parametrize("head", ["text\tlabel", "label\ttext", "text,label", "label,text"])
def test_quotes_that_are_text_do_not_take_in_records_without_a_word(tmp_path, own_cache, refused, head):
    separator = "\t" if "\t" in head else ","
    texts = [f"word {n}" for n in range(40)]
    texts[5], texts[9], texts[20] = '"word 5', '""word 9""', 'word 20"'
    rows = [(text, str(n % 2)) for n, text in enumerate(texts)]
    lines = [separator.join(row if head.startswith("text") else row[::-1]) for row in rows]
    path = tmp_path / ("r.tsv" if separator == "\t" else "r.csv")
    path.write_text("\n".join([head, *lines]))
    message = refused(f"csv:{path.name}")
    assert all(
        word in message for word in (path.name, "lines 7 to 22", "--quoting none", "--quoting minimal")
    )
    assert [row.text for row in get(path, quoting="none").rows()] == texts
    assert len(list(get(path, quoting="minimal").rows())) == 25
    assert get(path, quoting="none").key() != get(path, quoting="minimal").key()


def test_quoted_texts_of_several_lines_are_read_as_they_are(tmp_path):
    texts = [
        "I liked it, really\nbut dull",
        "Dear Sir,\n\nthe end, of it\nis 1, or 2\nbye",
        'a "b"\r\n,c',
        "d",
    ] * 6
    assert [
        row.text for row in get(write_csv(tmp_path / "r.csv", rows=zip(texts, LABELS, strict=True))).rows()
    ] == texts
    rows = [{"text": text, "label": label} for text, label in zip(texts, LABELS, strict=True)]
    assert [row.text for row in get(write_table(tmp_path / "r.tsv", rows)).rows()] == texts


@pytest.mark.parametrize(
    ("labels", "classes", "notices"),
    [
        ([0, 1.0, "0", 1, 0.0], ("0", "1"), ["'0' = '0.0', '1' = '1.0'"]),
        (["1.0", "10.0", "2.0"], ("1.0", "2.0", "10.0"), []),
        ([1.5, "1.50", 10, 9], ("1.5", "9", "10"), ["'1.5' = '1.50'"]),
        (["1e0", " 1", "+2", "2", "-0.0", 0], ("0", "1", "2"), ["'1' = '1e0', '+2' = '2', '-0.0' = '0'"]),
        (
            ["12345678901234567891", 12345678901234567890, 9.0],
            ("9.0", "12345678901234567890", "12345678901234567891"),
            [],
        ),
        (["01", "1", "02"], ("01", "1", "02"), ["similar, and different classes: '01' and '1'"]),
        ([True, "true", False], ("False", "True"), ["'True' = 'true'"]),
        (["caf\u00e9", "cafe\u0301", "x"], ("caf\u00e9", "x"), [r"'cafe\u0301' = 'caf\xe9'"]),
        (["cafe\u0301", "x"], ("cafe\u0301", "x"), []),
        (["Pos", "pos", "1.0"], ("1.0", "Pos", "pos"), ["similar, and different classes: 'Pos' and 'pos'"]),
        (
            ["pos", "pos\u200b", "\ufeffneg", "neg"],
            ("neg", "pos"),
            [r"'pos' = 'pos\u200b', 'neg' = '\ufeffneg'"],
        ),
        (["1", "\uff11", "2"], ("1", "2", "\uff11"), ["similar, and different classes: '1' and '\uff11'"]),
        (["a\u200db", "ab"], ("ab", "a\u200db"), ["similar"]),
    ],
)
def test_a_label_is_one_class_however_it_is_spelled(tmp_path, labels, classes, notices):
    rows = [
        {"text": f"t{n}", "label": labels[n % len(labels)], "split": split}
        for n, split in enumerate(["train"] * 30 + ["test"])
    ]
    source = get(write_table(tmp_path / "r.jsonl", rows))
    assert source.class_names == classes
    named = [classes[row.label] for row in source.rows()][: len(labels)]
    assert len(set(named)) == len(classes)
    assert len(source.notices) == len(notices)
    assert all(expected in notice for expected, notice in zip(notices, source.notices, strict=True))


def test_labels_that_are_numbers_are_ordered_as_numbers(tmp_path):
    assert get(write_csv(tmp_path / "n.csv", rows=numbered(("10", "9", "-1")))).class_names == (
        "-1",
        "9",
        "10",
    )
    assert get(write_csv(tmp_path / "w.csv", rows=numbered(("10", "9", "x")))).class_names == ("10", "9", "x")


def test_many_classes_keep_their_names(tmp_path, own_cache):
    names = [f"class {number:03}" for number in range(150)]
    dataset = prepare(get(write_csv(tmp_path / "r.csv", rows=numbered(names, 1500))))
    assert dataset.class_names == tuple(names)
    assert dataset.sizes == {"train": 900, "validation": 300, "test": 300}


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252", "utf-8-sig"])
def test_encodings(tmp_path, encoding):
    rows = [("naïve café", "a"), ("plain", "b")] * 5
    path = write_csv(tmp_path / "r.csv", rows=rows, encoding=encoding)
    assert [row.text for row in get(path, encoding=encoding).rows()] == ["naïve café", "plain"] * 5


@pytest.mark.parametrize(
    ("written", "asked", "message"),
    [
        ("utf-8", "utf-16", "is utf-8 text, not utf-16; read it with --encoding utf-8"),
        ("utf-8", "utf-16-be", "is utf-8 text, not utf-16-be; read it with --encoding utf-8"),
        ("utf-8-sig", "latin-1", "byte order mark of utf-8, so it is not iso8859-1 text"),
        ("utf-16", "latin-1", "byte order mark of utf-16-le, so it is not iso8859-1 text"),
        ("utf-16", "utf-16-be", "byte order mark of utf-16-le, so it is not utf-16-be text"),
        (
            "utf-16-be",
            "utf-16",
            "it has no byte order mark; say which order, --encoding utf-16-le or utf-16-be",
        ),
        ("utf-16-be", "utf-8", "of utf-16 say --encoding utf-16-le"),
        ("utf-8", "utf-32", "--encoding utf-8"),
        *(
            ("utf-8", word, f"--encoding {word}: no such encoding")
            for word in ("utf-7", "idna", "rot13", "zip")
        ),
    ],
)
def test_a_wrong_encoding_never_becomes_texts(tmp_path, refused, written, asked, message):
    write_csv(tmp_path / "r.csv", rows=numbered(size=21), encoding=written)
    assert message in refused("csv:r.csv", "--encoding", asked)


@pytest.mark.parametrize("before", [0, 10, (1 << 18) - 20, (1 << 18) - 19, (1 << 18) - 18, 1 << 18, 3 << 18])
def test_a_wrong_byte_is_named_wherever_it_stands(tmp_path, before):
    content = b"\xef\xbb\xbftext,label\n" + b"x" * before + "é".encode() + b"\xe9 caf,pos\n"
    (tmp_path / "r.csv").write_bytes(content)
    with pytest.raises(UserError) as caught:
        list(text_lines(tmp_path / "r.csv", "utf-8"))
    offset = content.index(b"\xe9 caf")
    assert f"r.csv: byte {offset} (0xe9) is not utf-8 text" in str(caught.value)
    (tmp_path / "r.csv").write_bytes(content.replace(b"\xe9 caf", b"\x00 caf"))
    with pytest.raises(UserError, match=f"byte {offset} is NUL"):
        list(text_lines(tmp_path / "r.csv", "utf-8"))


def test_a_wrong_encoding_is_one_line(tmp_path, refused, datasets):
    write_csv(tmp_path / "r.csv", rows=[("naïve café", "a"), ("plain", "b")] * 20, encoding="latin-1")
    message = refused("csv:r.csv")
    assert message.startswith("r.csv: byte 14 (0xef) is not utf-8 text")
    assert message.endswith("--encoding latin-1")
    assert datasets("show", "csv:r.csv", "--encoding", "latin-1")[0] == 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.csv", "", "r.csv is empty; expected column names"),
        ("r.csv", "text,label\n", "has column names and no records"),
        ("r.csv", "text,label\na,x\nb,x\n", "all 2 records have the label 'x'; expected two classes or more"),
        (
            "r.csv",
            "text,label\na,x\nb,\nc,\nd,y\ne,\nf,  \n",
            "4 of 6 records have no label in the column 'label' (li",
        ),
        ("r.csv", "text,label\na,x\n,y\nb,y\n", "1 of 3 records have no text in the column 'text' (line 3)"),
        ("r.csv", "text,label\na,x\nb,y,z\n", "line 3 has 3 fields; expected 2"),
        ("r.csv", 'text,label\n"a,x\nb,y\n', "line 2: unexpected end of data; are the quotes in order?"),
        ("r.csv", 'text,label\n\n"a"b,x\n', "line 3: ',' expected after '\"'"),
        (
            "r.csv",
            "text,label,split\na,x,train\nb,y,tset\n",
            "line 3: 'tset' in the column 'split' is not a split",
        ),
        ("r.csv", "text,label,part\na,x,train\nb,y,\n", "line 3: '' in the column 'part' is not a split"),
        ("r.csv", "a,b,test\n", "no column is clearly the text"),
        ("r.csv", "text,label,split\na,x,test\nb,y,test\n", "has no train texts"),
        ("r.jsonl", "", "r.jsonl is empty"),
        ("r.jsonl", "[1]\n", "line 1 is not a JSON object"),
        ("r.jsonl", '{"text": "a", "label": 1}\n{"text": \n', "line 2 is not JSON"),
        ("r.jsonl", "[" * 100_000, "line 1 is not JSON"),
        ("r.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}\n', "1 of 2 records have no label"),
        ("r.jsonl", '{"text": null, "label": 1}\n{"text": "b", "label": 2}\n', "have no text"),
        (
            "r.jsonl",
            '{"text": 1, "label": 1}\n{"text": "b", "label": 2}\n',
            "line 1: the text is of type int",
        ),
        ("r.jsonl", '{"text": "a", "label": [1]}\n', "line 1: the label is of type list; expected a word"),
        ("r.parquet", "text,label\n", "r.parquet cannot be read as Parquet"),
        (
            "r.xlsx",
            "PK",
            "the ending '.xlsx'; choose from .csv, .json, .jsonl, .ndjson, .parquet, .tab, .tsv",
        ),
        ("r.jsn", "{}", "the format is unknown from the ending '.jsn'; did you mean '.json'?"),
        ("r.csv.gz", "x", "the ending '.gz'; unpack it first"),
        ("r.csv", "text,label\na,x\n\ufefftext,label\nb,y\n", "line 3 repeats the names of the columns"),
        ("r.csv", 'text, label\na, "x"\nb, y\n', 'line 2: there is a space before the quotes of "x"'),
        ("r.csv", 'text,label\n"a \\"b\\" c",x\n', 'a quote inside quotes is written ""; --quoting none'),
        ("r.csv", 'text,label\n"a,x\nb,y\nc,z",x,y\n', "lines 2 to 4 has 3 fields; expected 2"),
        ("r.csv", "text,label\na,x\rb,y\n", "line 2: a carriage return stands inside"),
        ("r.csv", "text,label\na,0\nb,1\nc,NaN\nd,NaN\n", "2 of 4 records have 'NaN' in the column 'label'"),
        ("r.csv", "great film,1\nbad film,0\n", "in its first line, which must name them (split at ',')"),
        (
            "r.csv",
            "text,label,split\na,x,train\nb,y,train\nc,Y,val\nd,x,test\n",
            "the class 'Y' has 1 validation text and",
        ),
        ("r.json", '[\n{"text": "a", "label": 1}\n]', "line 1 is not JSON"),
        ("r.json", '[{"text": "a", "label": 1}]', "jq -c '.[]' r.json"),
        ("r.jsonl", '{"data": [{"text": "a", "label": 1}]}', """jq -c '.["data"][]' r.jsonl"""),
        (
            "r.jsonl",
            '{"text": "a", "label": 1, "text": "b"}',
            "line 1 is not JSON: the key 'text' stands there",
        ),
        ("noending", "x", "the format is unknown from the ending ''"),
        ("r.csv", b"text,label\nab\x00c,x\n", "r.csv: byte 13 is NUL, so this is a binary file"),
        ("r.csv", b"\x1f\x8b\x08\x00", "r.csv: byte 1 (0x8b) is not utf-8 text"),
        ("r.jsonl", b"PK\x03\x04\x14\x00", "r.jsonl: byte 5 is NUL"),
    ],
)
def test_files_that_are_no_data_set(tmp_path, refused, name, content, message):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert message in refused(f"csv:{name}")


def test_missing_labels_are_counted_and_the_first_few_named(tmp_path, refused):
    write_csv(tmp_path / "r.csv", rows=[*numbered(), *((f"x{n}", "") for n in range(5))])
    assert refused("csv:r.csv") == (
        "csv:r.csv: 5 of 25 records have no label in the column 'label' (line 22, line 23, line 24, …); "
        "leave them out with --drop-missing"
    )


def test_paths_that_are_not_there_or_no_file(tmp_path, refused):
    write_csv(tmp_path / "reviews.csv")
    (tmp_path / "folder").mkdir()
    assert refused("csv:review.csv") == "csv:review.csv: there is no such file; did you mean 'reviews.csv'?"
    assert refused("csv:folder").endswith("to read a folder per class write dir:folder")
    assert refused("reviews.csv").endswith("to read the file reviews.csv write csv:reviews.csv")
    for name in ("x" * 400, "x\x00y"):
        for words in ([f"csv:{name}"], [f"dir:{name}"], ["sample", "--data-dir", name]):
            assert ("NUL" if "\x00" in name else "too long") in refused(*words)
    os.mkfifo(tmp_path / "pipe.csv")
    assert "not a regular file" in refused("csv:pipe.csv")


def seconds_and_mebibytes(work):
    tracemalloc.start()
    started = time.monotonic()
    work()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return time.monotonic() - started, peak


@pytest.mark.parametrize("head", [b"", b"text,label\na,b\n"])
def test_five_binary_gigabytes_called_csv_by_mistake_fail_at_once(tmp_path, refused, head):
    with (tmp_path / "disk.csv").open("wb") as file:
        file.write(head)
        file.truncate(5 << 30)
    messages = []
    seconds, peak = seconds_and_mebibytes(lambda: messages.append(refused("csv:disk.csv")))
    assert f"byte {len(head)} is NUL" in messages[0]
    assert seconds < 3
    assert peak < 20


@pytest.mark.parametrize("name", ["long.csv", "long.jsonl"])
def test_a_line_without_end_is_not_read_into_memory(tmp_path, refused, name):
    with (tmp_path / name).open("wb") as file:
        for _ in range(60):
            file.write(b"a" * (1 << 20))
    messages = []
    _, peak = seconds_and_mebibytes(lambda: messages.append(refused(f"csv:{name}")))
    assert f"line 1 is longer than {LONGEST:,} characters" in messages[0]
    assert peak < 60  # less than the file


def test_a_quote_that_is_never_closed_does_not_take_in_the_whole_file(tmp_path, refused, monkeypatch):
    monkeypatch.setattr("benchmark.data.records.LONGEST", 10_000)
    lines = ["text,label", "a,x", '"open,y', *(f"line {n},x" for n in range(5_000))]
    (tmp_path / "r.csv").write_text("\n".join(lines))
    message = refused("csv:r.csv")
    assert "r.csv, line 3: field larger than field limit (10000); are the quotes in order?" in message


def test_characters_that_no_text_holds_are_refused(tmp_path, refused):
    for bad in ("\\ud800", "\\u0000"):
        lines = [f'{{"text": "t{n}", "label": "{"ab"[n % 2]}{bad}"}}\n' for n in range(20)]
        (tmp_path / "r.jsonl").write_text("".join(lines))
        message = refused("csv:r.jsonl")
        assert "r.jsonl, line 1" in message
        assert "label" in message
    import pyarrow
    import pyarrow.parquet

    texts = pyarrow.array([b"abc\xff"] * 20, pyarrow.binary())
    texts = pyarrow.StringArray.from_buffers(20, *texts.buffers()[1:])
    table = pyarrow.table({"text": texts, "label": [n % 2 for n in range(20)]})
    pyarrow.parquet.write_table(table, tmp_path / "r.parquet")
    assert "r.parquet cannot be read as Parquet" in refused("csv:r.parquet")


def test_long_texts_are_read_and_the_limit_of_the_process_stays(tmp_path):
    import csv

    limit = csv.field_size_limit()
    long = "word " * 60_000  # above the limit that Python sets
    source = get(write_csv(tmp_path / "r.csv", rows=[(long, "a"), ("b", "b")] * 3))
    assert next(source.rows()).text == long
    assert csv.field_size_limit() == limit


@pytest.mark.long
def test_a_large_table_streams(tmp_path):
    path = tmp_path / "r.csv"
    with path.open("w") as file:
        file.write("text,label\n")
        for number in range(20_000):
            file.write(f"{'word ' * 200}{number},{number % 2}\n")
    _, peak = seconds_and_mebibytes(lambda: sum(1 for _ in get(path).rows()))
    assert path.stat().st_size > 19 * 2**20
    assert peak < 12


def test_empty_and_repeated_texts_are_facts(tmp_path, own_cache):
    splits = ["train"] * 12 + ["test"] * 4
    texts = ["same", "same", " ", *(f"t{n}" for n in range(9)), "same", "x", "same", "t3"]
    rows = [(text, n % 2, split) for n, (text, split) in enumerate(zip(texts, splits, strict=True))]
    write_csv(tmp_path / "v.csv", "text,label,split", [*rows, ("v0", 0, "val"), ("t3", 1, "val")])
    facts = describe(prepare(get(tmp_path / "v.csv")))
    assert facts["empty"] == {"texts": 1, "first": ["line 4"]}
    assert facts["duplicates"] == [
        {"parts": ["train"], "texts": 1, "first": [["line 2", "line 3"]]},
        {"parts": ["test"], "texts": 1, "first": [["line 14", "line 16"]]},
        {"parts": ["train", "validation"], "texts": 1, "first": [["line 8", "line 19"]]},
        {"parts": ["train", "test"], "texts": 2, "first": [["line 2", "line 14"], ["line 8", "line 17"]]},
        {"parts": ["validation", "test"], "texts": 1, "first": [["line 19", "line 17"]]},
    ]
    assert facts["test_duplicates"] == 3  # of 4 test texts
    del facts["test_duplicates"]  # as a data set that an older version prepared
    assert count_test_duplicates(facts) == 3
    assert ["a text has 0.9 words" in notice for notice in facts["notices"]] == [True]


@pytest.mark.parametrize("change", ["content", "time", "encoding", "share", "columns"])
def test_the_key_changes_with_what_decides_the_rows(tmp_path, change):
    path, options = write_csv(tmp_path / "r.csv", "text,label,title", [("a", "b", "c")]), {}
    key = get(path).key()
    assert get(path).key() == key
    if change == "content":
        write_csv(path, "text,label,title", [("a", "b", "cc")])
    elif change == "time":
        os.utime(path, ns=(0, 0))
    else:
        choices = {"encoding": "latin-1", "share": 0.3, "columns": "title"}
        names = {"encoding": "encoding", "share": "validation_share", "columns": "text_column"}
        options = {names[change]: choices[change]}
    assert get(path, **options).key() != key


def test_a_table_that_changes_while_it_is_read(tmp_path):
    path = write_csv(tmp_path / "r.csv", rows=numbered())
    source = get(path)
    assert source.class_names == ("a", "b")
    write_csv(path, rows=numbered(size=10))
    with pytest.raises(UserError, match="was changed while it was read"):
        list(source.rows())


def test_options_of_tables_are_refused_where_they_mean_nothing(tmp_path, refused):
    assert refused("sample", "--text-column", "x") == (
        "--text-column has no meaning for 'sample'; it is for csv:PATH, hf:NAME, tfds:NAME"
    )
    assert "--quoting has no meaning for 'dir:x'; it is for csv:PATH" in refused("dir:x", "--quoting", "none")
    write_table(tmp_path / "r.jsonl", [{"text": "a", "label": 1}])
    assert "it is for CSV and TSV" in refused("csv:r.jsonl", "--quoting", "none")
    assert "--encoding has no meaning for 'imdb'; it is for stack-overflow, csv:PATH" in refused(
        "imdb", "--encoding", "latin-1"
    )


def test_a_sweep_takes_a_table_by_its_spelling(tmp_path, own_cache, capsys):
    write_csv(tmp_path / "reviews.csv", "body,stars", numbered(("1", "5"), 200))
    words = [
        "--model",
        "avg-pool",
        "--dataset",
        "csv:reviews.csv",
        "--dry-run",
        "--trials",
        "1",
        "--seeds",
        "1",
    ]
    words += ["--set", "batch_size=64", "--epochs", "1", "--json"]
    assert sweep.main(words) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["plan"][0]["dataset"] == "csv-reviews"
    assert "no test split" in " ".join(captured.err.replace("!!", " ").split())
    assert sweep.main([*words, "--text-column", "bdoy"]) == 2
    assert "did you mean 'body'" in capsys.readouterr().err


def test_a_sweep_finds_out_what_is_misspelt_before_it_prepares_anything(tmp_path, own_cache, capsys):
    for name, message in (
        ("csv:nothing.csv", "no such file"),
        ("dir:nothing", "no such folder"),
        ("tfds:../../etc", "expected a name of TensorFlow Datasets"),
        ("dirr:x", "did you mean 'dir:x'"),
    ):
        assert sweep.main(["--model", "avg-pool", "--dataset", name]) == 2
        assert message in capsys.readouterr().err
    assert not own_cache.exists()
    assert not (tmp_path / "mlruns").exists()
