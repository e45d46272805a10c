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
    assert located.line("title") == 2
    assert located.line("shapes", "b", "kind") == 5
    assert located.line("shapes", "c", "kind") == 7
    # The tag of a union in pydantic's location is no key; what is missing has the line of its parent.
    assert located.line("shapes", "c", "square", "side") == 6
    assert str(located.error("no", "shapes")) == "file.yaml, line 3: no"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1.0e-4", 1e-4),
        ("-.5", -0.5),
        ("1E3", 1000.0),
        ("+12", 12),
        ("10_000", 10_000),
        ("010", 10),
        ("0x1f", 31),
        ("0o17", 15),
        ("1:30", "1:30"),
        ("no", "no"),
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


def test_quotes_make_text(write):
    assert read_yaml(write("key: '1e-4'\n")).data == {"key": "1e-4"}


def test_parse_scalar_reads_no_structure():
    assert parse_scalar("a: b") == "a: b"
    assert parse_scalar("[1, 2]") == "[1, 2]"
    assert parse_scalar("9" * 5000) == "9" * 5000


def test_byte_order_mark_is_not_part_of_the_first_key(write):
    assert read_yaml(write(b"\xef\xbb\xbftitle: a\n")).data == {"title": "a"}


def test_aliases_are_allowed(write):
    assert read_yaml(write("a: &x [1]\nb: *x\n")).data == {"a": [1], "b": [1]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "file.yaml: the file is empty; expected keys and values"),
        ("# only a comment\n", "file.yaml: the file is empty; expected keys and values"),
        ("\n- a\n- b\n", "file.yaml, line 2: expected keys and values, got a list"),
        ("just text", "file.yaml, line 1: expected keys and values, got 'just text'"),
        ("a: 1\nb: 2\na: 3\n", "file.yaml, line 3: 'a' is given twice, first in line 1"),
        ("a:\n  b: 1\n  b: 1\n", "file.yaml, line 3: 'b' is given twice, first in line 2"),
        ("a: 1\n5: x\n", "file.yaml, line 2: the key 5 is not text; put it in quotes"),
        ("a: 1\n[b]: x\n", "file.yaml, line 2: a key is not text; put it in quotes"),
        ("a: 1\nb: &x\n  c: *x\n", "file.yaml, line 2: an alias that contains itself is not allowed"),
        ("a: &x [*x]\n", "file.yaml, line 1: an alias that contains itself is not allowed"),
        ("a: 1\nb: *x\n", "file.yaml, line 2: not valid YAML: found undefined alias 'x'"),
        ("a: 1\nb: c: d\n", "file.yaml, line 2: not valid YAML: mapping values are not allowed here"),
        ("a:\n\tb: 1\n", "file.yaml, line 2: not valid YAML: indent with spaces, not with tabs"),
        ("a: 1\n---\nb: 1\n", "file.yaml, line 2: not valid YAML: expected a single document"),
        ("a: 1\nb: \x01\n", "file.yaml, line 2: not valid YAML: a control character is not allowed"),
        (b"a: 1\nb: caf\xe9\n", "file.yaml, line 2: is not UTF-8; save it with that encoding"),
        ("a: 1\nb: !!python/name:os.system\n", "file.yaml, line 2: the tag '!!python/name:os.system' is not"),
        ("a: !!int x\n", "file.yaml: not valid YAML: invalid literal for int()"),
        ("a: !!bool x\n", "file.yaml: not valid YAML: 'x'"),
        ("a: " + "9" * 5000, "file.yaml: not valid YAML: Exceeds the limit"),
        ("a: " + "[" * 5000, "file.yaml: is nested too deeply"),
        ("a: " + "b" * 1_000_000, "file.yaml: is longer than 1 MB"),
        ('"a\\nb\\e": 1\n"a\\nb\\e": 1\n', "file.yaml, line 2: 'a\\nb\\x1b' is given twice"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_bad_files(write, content, expected):
    assert message(write(content)).startswith(expected)


def test_an_exponential_alias_bomb_is_read_in_linear_time(write):
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    assert len(read_yaml(write("\n".join(lines))).data) == 60


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message(tmp_path / "none.yaml") == "none.yaml: there is no such file"
    assert message("/nowhere/none.yaml") == "/nowhere/none.yaml: there is no such file"
    Path("folder").mkdir()
    assert message("folder") == "folder: is a folder; expected a YAML file"
    Path("loop.yaml").symlink_to("loop.yaml")
    assert message("loop.yaml") == "loop.yaml: cannot be read: Too many levels of symbolic links"
    assert message("a\0b.yaml") == "a\\x00b.yaml: cannot be read: embedded null byte"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("title: a\n\nepoch: 3\n", "line 3: 'epoch' is not a known key; did you mean 'epochs'?"),
        ("titel: a\n", "line 1: 'titel' is not a known key; did you mean 'title'? (and 1 more)"),
        ("epochs: 3\n", "line 1: 'title' is missing"),
        ("title: a\nepochs: few\n", "line 2: 'epochs' should be a valid integer"),
        ("title: 5\n", "line 1: 'title' should be text, got 5"),
        ("title: a\npoints: 5\n", "line 2: 'points' should be a list, got 5"),
        ("title: a\npoints:\n  - 1\n  - x\n", "line 4: 'points' should be a valid integer"),
        ("title: a\nshapes: [1]\n", "line 2: 'shapes' should be a mapping, got a list"),
        ("title: a\nshapes:\n  a: null\n", "line 3: 'a' should be a mapping, got null"),
        ("title: a\nshapes:\n  a: {radius: 1}\n", "line 3: 'a' has no 'kind'; choose from round, square"),
        (
            "title: a\nshapes:\n  a:\n    kind: squared\n",
            "line 3: 'squared' is not a known kind; did you mean 'square'?",
        ),
        (
            "title: a\nshapes:\n  a:\n    kind: round\n    raduis: 1\n    radius: 1\n",
            "line 5: 'raduis' is not a known key; did you mean 'radius'?",
        ),
        (
            "title: a\nshapes:\n  a:\n    kind: round\n    radius: '1'\n",
            "line 5: 'radius' should be a number, got '1'",
        ),
        (
            "title: a\nshapes:\n  a:\n    kind: round\n    radius: 0\n",
            "line 5: 'radius' should be greater than 0, got 0",
        ),
    ],
)
def test_bad_content(write, content, expected):
    assert message(write(content)).startswith(f"file.yaml, {expected}")


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
