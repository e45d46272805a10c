"""Errors in one line, and the settings that they are about."""

import pickle

import pytest

from benchmark.support.errors import MissingResource, UserError, one_line


@pytest.mark.parametrize(
    ("error", "line", "named"),
    [
        (FileNotFoundError(2, "No such file", "/x"), "no such file", "FileNotFoundError: no such file"),
        (ValueError("two\n lines"), "two lines", "ValueError: two lines"),
        (OSError("no number"), "no number", "OSError: no number"),
        (KeyError(), "KeyError", "KeyError"),
        (ValueError("of postgresql://me:secret@host"), "of postgresql://host", "ValueError: of postgresql://host"),
        (ValueError("x" * 999), "x" * 200, "ValueError: " + "x" * 200),
    ],
)  # fmt: skip
def test_an_error_is_one_line(error, line, named):
    assert one_line(error) == line
    assert one_line(error, named=True) == named


@pytest.mark.parametrize("kind", [UserError, MissingResource])
def test_an_error_about_a_setting_keeps_its_message_between_processes(kind):
    error = kind("no such folder", setting="data_dir", value=0)
    assert str(error) == "`data_dir` 0: no such folder"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
