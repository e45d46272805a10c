"""Addresses as they may be shown: without the password that they may carry."""

from __future__ import annotations

import re

# SQLAlchemy takes a password with a slash in it: what stands before the last @ of the word is dropped.
# A path (sqlite:///…) follows the slashes at once and has no user.
_USER = re.compile(r"(\b[a-zA-Z][\w+.-]*://)[^\s/]\S*@")


def redacted(text: str) -> str:
    """Return a URL, or a text with URLs in it, without user names and passwords.

    Examples
    --------
    >>> redacted("postgresql://me:secret@host/name cannot be used")
    'postgresql://host/name cannot be used'
    """
    return _USER.sub(r"\1", text)
