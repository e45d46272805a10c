"""Questions to a tracking server that may be flaky: page by page, and more than once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from benchmark.support.printable import redacted
from benchmark.support.retries import retried

Answer = TypeVar("Answer")

_PATIENCE = 10.0
# What MLflow answers to a request that it understood and will never carry out.
_REFUSALS = frozenset(
    {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"}
)
_SQL_REFUSALS = frozenset({"DataError", "IntegrityError", "StatementError"})
_CAUSE = re.compile(r"""\(Caused by \w+\(['"](?:.*: )?(.+?)['"]\)\)$""")
_READS = ("get_", "search_", "list_", "download_")


def all_runs(client: Any, experiment_ids: list[str], filters: str) -> list[Any]:
    """Return every run that fits, page by page: one request stops at 1,000."""
    runs: list[Any] = []
    token = None
    while True:
        page = client.search_runs(experiment_ids, filters, max_results=1000, page_token=token)
        runs.extend(page)
        token = page.token
        if not token:
            return runs


def refused(error: Exception) -> bool:
    """Whether a store will never do what it was asked to; otherwise it may, later."""
    code = getattr(error, "error_code", None)
    if code is not None:
        cause = error.__cause__
        if cause is not None and type(cause).__module__.startswith("sqlalchemy"):
            return type(cause).__name__ in _SQL_REFUSALS
        return code in _REFUSALS
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:  # of an upload
        return 400 <= status < 500 and status not in (401, 403, 407, 408, 425, 429)
    return not (isinstance(error, OSError) or type(error).__module__.startswith("sqlalchemy"))


def reason(error: Exception) -> str:
    """Say in a few words why a store did not do something, without passwords."""
    text = str(error).strip().partition("\n")[0]
    cause = _CAUSE.search(text)  # what MLflow says of a request that failed is long
    return redacted(cause[1] if cause else text)[:160] or type(error).__name__


def patiently(ask: Callable[[], Answer], patience: float | None = None) -> Answer:
    """Ask until there is an answer, or `patience` seconds (by default 10) have passed.

    Raises
    ------
    Exception
        The last one; at once where the store refuses.
    """
    return retried(ask, lambda error: not refused(error), _PATIENCE if patience is None else patience)


class PatientClient:
    """A client that asks again where a question has no answer; what it writes is tried once.

    Parameters
    ----------
    client : mlflow.MlflowClient
        Which asks.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        if not name.startswith(_READS):
            return value
        return lambda *words, **options: patiently(lambda: value(*words, **options))
