"""No message shows a password, and nothing in it is markup."""

import pytest

from benchmark.support.printable import markdown, redacted


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
        ("https://bob:s%40ecret@host/x", "https://host/x"),
        ("--data-dir https:/bob:secret@host/x: no", "--data-dir https:/host/x: no"),
        ("dir:https://bob:secret@host", "dir:https://host"),
        ("file:///tmp/https%3A//bob%3Asecret%40host/x", "file:///tmp/https%3A//host/x"),
        ("https%3A%2F%2Fbob%3Asecret%40host%2Fx", "https%3A%2F%2Fhost%2Fx"),
        ("https://bob%3Asecret%40host/x", "https://host/x"),
        ("https%3A//host/%3Ftoken%3Dsecret%26x%3D1", "https%3A//host/%3Ftoken%3D***%26x%3D1"),
        ("https://host/a?x=me%40home", "https://host/a?x=me%40home"),
        ("dir:/home/me@work/texts", "dir:/home/me@work/texts"),
        ("file:///home/me@work/texts", "file:///home/me@work/texts"),
        ("which key? one=two", "which key? one=two"),
    ],
)
def test_user_and_password_are_left_out(text, shown):
    assert redacted(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b `c` <b>", r"a\|b \`c\` &lt;b&gt;"),
        ("[text](address)", r"[text\](address)"),
        ("[86.9, 87.7]", "[86.9, 87.7]"),
        ("_x_ and avg_pool", r"\_x\_ and avg_pool"),
        ("two\nlines", r"two\\nlines"),
    ],
)
def test_nothing_is_markup_in_markdown(text, shown):
    assert markdown(text) == shown
    assert markdown("[a] b", in_link=True) == r"\[a\] b"
