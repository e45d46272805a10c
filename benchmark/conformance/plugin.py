"""The checks as tests of pytest: ``pytest --conformance my_model.py``. Light: loaded at its start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from benchmark.conformance.check import Check, Examination


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("textbench").addoption(
        "--conformance",
        action="append",
        default=[],
        metavar="FILE",
        help="check a model, data set or engine of Textbench, each check as a test; may be repeated",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect nothing else where nothing else is named."""
    if config.getoption("conformance") and config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = []


def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Add the checks behind all other tests."""
    for target in session.config.getoption("conformance"):
        items.extend(Target.from_parent(session, name=target, nodeid=target).collect())


class Target(pytest.Collector):
    """What is checked: one file, or one name."""

    _examination: Examination | None = None

    @property
    def examination(self) -> Examination:
        """The checks, opened when they are first asked for."""
        from benchmark.conformance.check import Examination
        from benchmark.conformance.target import resolve
        from benchmark.support.errors import UserError

        if self._examination is None:
            try:
                self._examination = Examination(*resolve(self.name))
            except UserError as error:
                raise pytest.UsageError(f"--conformance: {error}") from error
            self.config.add_cleanup(self._examination.close)
        return self._examination

    def collect(self) -> Iterator[CheckItem]:
        """Yield a test for each check."""
        for check in self.examination.checks:
            yield CheckItem.from_parent(self, name=check.name.replace(" ", "_"), check=check)


class CheckItem(pytest.Item):
    """One check."""

    def __init__(self, *, check: Check, **options: Any) -> None:
        super().__init__(**options)
        self.check = check

    def runtest(self) -> None:
        """Carry out the check."""
        assert isinstance(self.parent, Target)
        outcome = self.parent.examination.carry_out(self.check)
        if outcome.status == "skip":
            pytest.skip(outcome.message)
        if outcome.status == "fail":
            pytest.fail(f"{outcome.message}\nmend: {outcome.mend}", pytrace=False)

    def reportinfo(self) -> tuple[str, None, str]:
        """Name the check in reports."""
        assert self.parent is not None
        return self.parent.name, None, f"{self.parent.name}: {self.check.name}"
