"""What a process has for all of its code, kept as it was around a block."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def process_state_kept() -> Iterator[None]:
    """Give back environment, warning filters and loggers as they were; what others import may change them."""
    environment, filters = dict(os.environ), list(warnings.filters)
    known = [logging.root, *(one for one in _loggers() if isinstance(one, logging.Logger))]
    loggers = [(one, one.level, list(one.handlers), one.propagate, one.disabled) for one in known]
    # Libraries that are imported in a notebook ask for widgets, which nothing here needs.
    warnings.filterwarnings("ignore", message="IProgress not found")
    try:
        yield
    finally:
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)
        if list(warnings.filters) != filters:
            with warnings.catch_warnings():
                pass  # tells Python that what it remembers of filters is out of date
            warnings.filters[:] = filters  # type: ignore[index]
        for logger, level, handlers, propagate, disabled in loggers:
            logger.setLevel(level)
            logger.propagate, logger.disabled = propagate, disabled
            logger.handlers[:] = handlers


def _loggers() -> list[object]:
    return list(logging.root.manager.loggerDict.values())
