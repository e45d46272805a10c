"""YAML files: every mistake is one line that names the file and the line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from benchmark.support.errors import UserError
from benchmark.support.yaml_file import parse_scalar, problem, read_yaml, validate


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Round(Strict):
    kind: Literal["round"]
    radius: float = Field(gt=0, strict=True)


class Square(Strict):
    kind: Literal["square"]
    side: int


class Drawing(Strict):
    title: str
    epochs: int = 1
    shapes: dict[str, Annotated[Round | Square, Field(discriminator="kind")]] = {}
    points: tuple[int, ...] = ()


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def _write(content: str | bytes) -> Path:
        path = Path("file.yaml")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


def message(path, kind=Drawing) -> str:
    with pytest.raises(UserError) as caught:
        validate(read_yaml(path), kind)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert text.isprintable()
    return text


def test_lines_of_keys(write):
    located = read_yaml(write("# comment\ntitle: a\nshapes:\n\n  b: {kind: round}\n  c:\n    kind: square\n"))
    assert located.find("title")[1] == 2
    assert located.find("shapes", "b", "kind")[1] == 5
    assert located.find("shapes", "c", "kind")[1] == 7
    # The tag of a union in pydantic's location is no key; what is missing has the line of its parent.
    assert located.find("shapes", "c", "square", "side")[1] == 6
    assert str(located.error("no", "shapes")) == "file.yaml, line 3: no"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1.0e-4", 1e-4),
        ("-.5", -0.5),
        (".5e3", 500.0),
        ("1E3", 1000.0),
        ("+12", 12),
        ("10_000", 10_000),
        ("010", 10),
        ("0x1f", 31),
        ("0o17", 15),
        ("0b11", "0b11"),
        ("-0x1f", "-0x1f"),
        ("1._5", "1._5"),
        ("<<", "<<"),
        ("=", "="),
        ("1:30", "1:30"),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("2020-01-01", "2020-01-01"),
        ("1e", "1e"),
        ("e4", "e4"),
        (".", "."),
        ("-.inf", float("-inf")),
        ("pre", "pre"),
    ],
)
def test_scalars(write, text, value):
    read = read_yaml(write(f"key: {text}\n")).data["key"]
    assert (read, type(read)) == (value, type(value))
    parsed = parse_scalar(text)
    assert (parsed, type(parsed)) == (value, type(value))


def test_a_declared_version_changes_nothing(write):
    path = write("%YAML 1.1\n---\na: no\nb: 010\nc: 1e-4\nd: 2020-01-01\n")
    assert read_yaml(path).data == {"a": "no", "b": 10, "c": 1e-4, "d": "2020-01-01"}


def test_quotes_make_text(write):
    assert read_yaml(write("key: '1e-4'\n")).data == {"key": "1e-4"}


@pytest.mark.parametrize("text", ["|\n  a\n  b\n", ">\n  a\n\n  b\n", "&x a\n", "!!str 5\n"])
def test_text_is_plain_text(write, text):
    assert type(read_yaml(write(f"key: {text}")).data["key"]) is str


def test_parse_scalar_reads_no_structure():
    assert parse_scalar("a: b") == "a: b"
    assert parse_scalar("[1, 2]") == "[1, 2]"
    assert parse_scalar("9" * 5000) == "9" * 5000


def test_byte_order_mark_is_not_part_of_the_first_key(write):
    assert read_yaml(write(b"\xef\xbb\xbftitle: a\n")).data == {"title": "a"}


def test_aliases_are_allowed(write):
    assert read_yaml(write("a: &x [1]\nb: *x\n")).data == {"a": [1], "b": [1]}


@pytest.mark.parametrize(
    ("content", "line", "named"),
    [
        ("", None, ["keys and values", "null"]),
        ("# only a comment\n", None, ["keys and values", "null"]),
        ("\n- a\n- b\n", None, ["keys and values", "a list"]),
        ("just text", None, ["keys and values", "'just text'"]),
        ("a: 1\nb: 2\na: 3\n", 3, ["'a'", "twice", "line 1"]),
        ("a:\n  b: 1\n  b: 1\n", 3, ["'b'", "twice", "line 2"]),
        ("'a': 1\nb: 1\n\"a\": 2\n", 3, ["'a'", "twice", "line 1"]),
        ("a: 1\n5: x\n", 2, ["5", "quotes"]),
        ("a: 1\ntrue: x\n", 2, ["true", "quotes"]),
        ("a: 1\n[b]: x\n", 2, ["a list", "quotes"]),
        ("a: 1\n? {b: 1}\n: x\n", 2, ["a mapping", "quotes"]),
        ("a: 1\nb: &x\n  c: *x\n", 2, ["alias", "itself"]),
        ("&x a: 1\nb: &y [1, [*y]]\n", 2, ["alias", "itself"]),
        ("--- &x\na: *x\n", 1, ["alias", "itself"]),
        ("a: 1\nb: *x\n", 2, ["alias", "'x'"]),
        ("a: 1\nb: c: d\n", 2, ["mapping values"]),
        ("a:\n\tb: 1\n", 2, ["\\t"]),
        ("a: 1\n---\nb: 1\n", 2, ["single document"]),
        ("a: \u00e9\nb: \x01\n", 2, ["control character"]),
        (b"a: 1\nb: caf\xe9\n", 2, ["UTF-8"]),
        ("a: 1\nb: !!python/name:os.system\n", 2, ["tag", "python/name:os.system"]),
        ("a: 1\nb: !own x\n", 2, ["tag", "!own"]),
        ("a: 1\nb: !!binary aGk=\n", 2, ["tag", "binary"]),
        ("a: 1\nb: !!set {c}\n", 2, ["tag", "set"]),
        ("a: !!int x\n", None, ["int()", "'x'"]),
        ("a: !!bool x\n", None, ["'x'"]),
        ("a: " + "9" * 5000, None, ["4300 digits"]),
        ("a: " + "[" * 1200, None, ["nested too deeply"]),
        ("a: " + "b" * 1_000_000, None, ["1 MB"]),
        ('"a\\nb\\e": 1\n"a\\nb\\e": 1\n', 2, ["'a\\nb\\x1b'", "twice"]),
    ],
    ids=lambda value: str(value)[:20],
)
def test_bad_files(write, content, line, named):
    text = message(write(content))
    assert text.startswith("file.yaml: " if line is None else f"file.yaml, line {line}: ")
    assert [word for word in named if word not in text] == []
    assert len(text) < 300


def test_an_exponential_alias_bomb_is_read_in_linear_time(write):
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    assert len(read_yaml(write("\n".join(lines))).data) == 60
    assert "'a59' is given twice" in message(write("\n".join([*lines, "a59: *a58"])))
    assert "'a0' should be a valid string, got a list (and 59 more)" in message(
        write("\n".join(lines)), dict[str, str]
    )


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("loop.yaml").symlink_to("loop.yaml")
    for path, shown, reason in [
        (tmp_path / "none.yaml", "none.yaml", "no such file"),
        ("/nowhere/none.yaml", "/nowhere/none.yaml", "no such file"),
        ("folder", "folder", "directory"),
        ("loop.yaml", "loop.yaml", "symbolic links"),
        ("a\0b.yaml", "a\\x00b.yaml", "null byte"),
    ]:
        text = message(path)
        assert text.startswith(f"{shown}: ")
        assert reason in text


@pytest.mark.parametrize(
    ("content", "line", "named"),
    [
        ("title: a\n\nepoch: 3\n", 3, ["'epoch'", "did you mean 'epochs'?"]),
        ("titel: a\n", 1, ["'titel'", "did you mean 'title'?", "1 more"]),
        ("epochs: 3\n", 1, ["'title' is missing"]),
        ("title: a\nepochs: few\n", 2, ["'epochs'", "integer", "'few'"]),
        ("title: 5\n", 1, ["'title'", "got 5"]),
        ("title: a\npoints: 5\n", 2, ["'points'", "list", "got 5"]),
        ("title: a\npoints:\n  - 1\n  - x\n", 4, ["'points'", "integer", "'x'"]),
        ("title: a\nshapes: [1]\n", 2, ["'shapes'", "mapping", "got a list"]),
        ("title: a\nshapes:\n  a: null\n", 3, ["'a'", "mapping", "got null"]),
        ("title: a\nshapes:\n  a: {radius: 1}\n", 3, ["'a'", "'kind'", "round, square"]),
        ("title: a\nshapes:\n  a:\n    kind: squared\n", 3, ["'squared'", "kind", "did you mean 'square'?"]),
        (
            "title: a\nshapes:\n  a:\n    kind: round\n    raduis: 1\n    radius: 1\n",
            *(5, ["'raduis'", "did you mean 'radius'?"]),
        ),
        ("title: a\nshapes:\n  a:\n    kind: round\n    radius: '1'\n", 5, ["'radius'", "number", "'1'"]),
        ("title: a\nshapes:\n  a:\n    kind: round\n    radius: 0\n", 5, ["'radius'", "than 0", "got 0"]),
    ],
)
def test_bad_content(write, content, line, named):
    text = message(write(content))
    assert text.startswith(f"file.yaml, line {line}: ")
    assert [word for word in named if word not in text] == []


def test_unknown_key_inside_a_dict_of_models(write):
    text = message(write("a:\n  kind: square\n  sid: 1\n  side: 1\n"), dict[str, Square])
    assert text == "file.yaml, line 3: 'sid' is not a known key; did you mean 'side'?"


def test_problem_has_the_line_of_the_key_it_names(write):
    class Interval(Strict):
        low: int
        high: int

        @model_validator(mode="after")
        def check(self):
            if self.low > self.high:
                raise problem(f"low {self.low} lies above high {self.high}", "low")
            return self

    path = write("a:\n  high: 50\n  low: 100\n")
    assert message(path, dict[str, Interval]) == "file.yaml, line 3: low 100 lies above high 50"


def test_valid_content(write):
    path = write("title: a\nshapes:\n  a: {kind: round, radius: 1e-1}\n")
    assert validate(read_yaml(path), Drawing).shapes["a"] == Round(kind="round", radius=0.1)
