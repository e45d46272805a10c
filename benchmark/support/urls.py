"""Addresses as they may be shown: without the passwords that they may carry."""

from __future__ import annotations

import re
from importlib.util import find_spec

# SQLAlchemy takes a password with a slash in it: what stands before the last @ of the word is dropped.
# A path (sqlite:///…) follows the slashes at once and has no user. A path that was made of an address has one
# slash, and an address that was made part of an address has its signs in percent.
_COLON, _AT = "(?::|%3A)", "(?:@|%40)"
_WEB = "https?|ftps?|s3|gs|wss?|postgres(?:ql)?|mysql|mariadb|mongodb|redis"
_USER = re.compile(
    rf"(\b(?:[a-z][\w+.-]*{_COLON}(?:/|%2F){{2}}|(?:{_WEB})(?:\+\w+)?{_COLON}(?:/|%2F)))(?!/|%2F)"
    rf"(?:\S+@|[^\s/?#]+{_AT})",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"((?:[?&;]|%3F|%26)[^=&;\s]*?(?:pass|pwd|secret|token|sig|key|credential|auth)[^=&;\s]*?(?:=|%3D))"
    r"(?:(?!%26)[^&;\s'\"])+",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """Return a URL, or a text with URLs in it, without user names and passwords.

    They stand before the host, or in the query: SQLAlchemy takes a password there, and signed addresses
    have their signature there.

    Examples
    --------
    >>> redacted("postgresql://me:secret@host/name cannot be used")
    'postgresql://host/name cannot be used'
    """
    return _SECRET.sub(r"\1***", _USER.sub(r"\1", text))


def driver_url(url: str) -> str:
    """Return the URL of a database as SQLAlchemy takes it: PostgreSQL with a driver that is there.

    Examples
    --------
    >>> driver_url("postgres://host/name")  # where psycopg is installed, or no driver at all
    'postgresql+psycopg://host/name'
    >>> driver_url("sqlite:///file.db")
    'sqlite:///file.db'
    """
    scheme, separator, rest = url.partition("://")
    if scheme.lower() not in ("postgres", "postgresql"):
        return url
    only_the_old_one = find_spec("psycopg") is None and find_spec("psycopg2") is not None
    return f"postgresql+{'psycopg2' if only_the_old_one else 'psycopg'}{separator}{rest}"
