"""What the suites share: a scratch folder with a separate cache, and other processes."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest, mock

import benchmark
from benchmark.data.dataset import Dataset
from benchmark.data.prepare import prepare
from benchmark.data.source import SourceOptions
from benchmark.support.errors import UserError, one_line, spelled
from benchmark.testing.toy_data import ToyData


class Suite:
    """Tests of one target; pytest collects a subclass, ``python -m benchmark.conformance`` needs no pytest.

    A test that fails raises `AssertionError` with what was seen and what to do; one that does not apply
    raises `unittest.SkipTest`.

    Attributes
    ----------
    basic : tuple of str
        Tests without which the others make no sense; where one fails, the command stops there.
    patience : float
        Seconds after which code under test counts as hanging.
    folder : Path
        Scratch folder while the tests run.
    """

    basic: ClassVar[tuple[str, ...]] = ()
    patience: ClassVar[float] = 300.0
    folder: ClassVar[Path]
    resources: ClassVar[ExitStack]

    @classmethod
    def setup_class(cls) -> None:
        """Prepare data in a scratch folder, so that nothing is left in the user's cache."""
        cls.resources = ExitStack()
        cls.folder = Path(cls.resources.enter_context(tempfile.TemporaryDirectory(prefix="textbench-")))
        cache = {"BENCHMARK_CACHE_DIR": str(cls.folder / "cache")}
        cls.resources.enter_context(mock.patch.dict(os.environ, cache))

    @classmethod
    def teardown_class(cls) -> None:
        """Delete the scratch folder."""
        cls.resources.close()

    @classmethod
    @cache
    def toy_data(cls) -> Dataset:
        """Return the data set of all runs."""
        return prepare(ToyData(SourceOptions()))

    @classmethod
    def run_tests(cls) -> Iterator[tuple[str, str, str, Exception | None]]:
        """Run the tests without pytest; yield of each its name, status and reason, and the exception."""
        missing = ""
        cls.setup_class()
        try:
            for test in (name for kind in cls.__mro__ for name in vars(kind) if name.startswith("test_")):
                name = test.removeprefix("test_").replace("_", " ")
                if missing:
                    yield name, "not applicable", f"'{missing}' has to pass first", None
                    continue
                try:
                    getattr(cls(), test)()
                    yield name, "passed", "", None
                except SkipTest as reason:
                    yield name, "not applicable", str(reason), None
                except Exception as error:
                    expected = isinstance(error, AssertionError | UserError)
                    message = one_line(error, named=not expected, longest=400)
                    yield name, "failed", spelled(message), error
                    missing = name if test in cls.basic else ""
        finally:
            cls.teardown_class()

    @classmethod
    def run_python(cls, code: str, *arguments: object, **environment: str) -> Any:
        """Run code in another process and return the JSON that its last line of output is."""
        path = os.pathsep.join(
            filter(None, (str(Path(benchmark.__file__).parents[1]), os.environ.get("PYTHONPATH")))
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": path, **environment},
            capture_output=True,
            text=True,
            timeout=cls.patience,
        )
        assert not done.returncode, f"it fails in another process ({last_line(done.stderr)})"
        return json.loads(last_line(done.stdout))


def name_of(target: str | Callable[..., Any]) -> str:
    """Return a target as text: a function as its file and name."""
    return target if isinstance(target, str) else f"{inspect.getsourcefile(target)}:{target.__name__}"


def last_line(text: str) -> str:
    """Return the last line of what a process printed, or of a traceback."""
    return (text.strip().splitlines() or ["no reason given"])[-1]
