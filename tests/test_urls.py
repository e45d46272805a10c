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
        (
            "postgresql://host/name?user=me&password=secret&x=1",
            "postgresql://host/name?user=me&password=***&x=1",
        ),
        ("'https://host/a?sv=1&sig=secret' is gone", "'https://host/a?sv=1&sig=***' is gone"),
        ("https://host/a?API_KEY=secret", "https://host/a?API_KEY=***"),
        ("https://tfhub.dev/x/1?tf-hub-format=compressed", "https://tfhub.dev/x/1?tf-hub-format=compressed"),
        ("which key? one=two", "which key? one=two"),
    ],
)
def test_user_and_password_are_left_out(text, shown):
    assert redacted(text) == shown
