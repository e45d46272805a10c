"""No message shows a password."""

import pytest

from benchmark.urls import redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql+psycopg://me:secret@host:5432/name", "postgresql+psycopg://host:5432/name"),
        ("https://token@host/path", "https://host/path"),
        ("mysql://me:se/cr@et@host/name", "mysql://host/name"),
        ("https://:secret@[::1]:5000", "https://[::1]:5000"),
        (
            "(OperationalError) on http://a:b@one/x, then http://c:d@two",
            "(OperationalError) on http://one/x, then http://two",
        ),
        ("no user: http://host:5000/path?x=1", "no user: http://host:5000/path?x=1"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("write to me@host", "write to me@host"),
    ],
)
def test_user_and_password_are_left_out(text, shown):
    assert redacted(text) == shown
