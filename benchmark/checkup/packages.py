"""Versions of Python and of packages, held against what this project and the packages themselves ask for."""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

import benchmark
from benchmark.checkup.finding import Finding, Place, note, ok, problem

_ROOT = Path(benchmark.__file__).parents[1]
_MODULES = {"scikit-learn": "sklearn", "pyyaml": "yaml"}
"""Modules of distributions that have other names than their modules."""

_MAIN = ("tensorflow", "keras", "mlflow", "optuna", "tensorflow-datasets", "tensorflow-hub", "numpy")
_OPTIONAL = {
    "psycopg": "stores in PostgreSQL (the extra 'postgres')",
    "gensim": "vectors from a data set's own texts (the extra 'vectors')",
    "ray": "--engine ray (the extra 'ray')",
    "torch": "the sampler gp (the extra 'gp')",
}
_SHOWN = 5


def python(place: Place) -> Iterator[Finding]:
    """Hold the version of Python against the range of this project."""
    here = platform.python_version()
    wanted = _requirements()[0]
    if here in SpecifierSet(wanted, prereleases=True):
        yield ok(f"Python {here}")
    else:
        yield problem(
            f"Python {here} is not one of those that Textbench is made for ({wanted})",
            "make a new environment with such a Python: python3.11 -m venv .venv",
        )


def own_requirements(place: Place) -> Iterator[Finding]:
    """Hold installed packages against the ranges of this project."""
    found = {}
    for requirement in _requirements()[1]:
        name, here = requirement.name, _version(requirement.name)
        if here is None:
            yield problem(
                f"{name} is not installed, and Textbench needs {requirement}", _install(requirement)
            )
        elif not _allows(requirement, here):
            yield problem(
                f"{name} {here} is installed, but Textbench needs {requirement}", _install(requirement)
            )
        elif find_spec(_MODULES.get(canonicalize_name(name), name.replace("-", "_"))) is None:
            yield problem(
                f"{name} {here} is on record as installed, but its files are not there",
                f"pip install --force-reinstall --no-deps '{name}=={here}'",
            )
        else:
            found[name] = here
    yield ok("packages: " + ", ".join(f"{name} {found[name]}" for name in _MAIN if name in found))


def their_requirements(place: Place) -> Iterator[Finding]:
    """Hold the packages that this project uses against what each of them asks of others."""
    for owner in _requirements()[1]:
        for requirement in _required_by(owner.name):
            here = _version(requirement.name)
            if here is None or not _allows(requirement, here):
                state = "is not installed" if here is None else f"{here} is installed"
                asked = f"{owner.name} {_version(owner.name)} needs {_short(requirement)}"
                yield problem(f"{requirement.name} {state}, but {asked}", _install(requirement))


def tested_versions(place: Place) -> Iterator[Finding]:
    """Hold installed packages against the versions that were tested together."""
    file = _ROOT / "constraints.txt"
    if not file.is_file():
        return
    tested = dict(
        line.split("==") for line in file.read_text(encoding="utf-8").split() if line.count("==") == 1
    )
    others = [
        f"{name} {here} ({tested[name]})"
        for name in sorted(tested, key=str.lower)
        if (here := _version(name)) is not None and here != tested[name]
    ]
    if others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        yield note(
            f"not the versions that were tested together (in brackets): {', '.join(others[:_SHOWN])}{more}",
            "pip install -c constraints.txt -e .",
        )
    else:
        yield ok("the versions of constraints.txt, which were tested together")


def optional(place: Place) -> Iterator[Finding]:
    """Tell what else is there, and what it would be for."""
    here = {name: _version(name) for name in _OPTIONAL}
    there = [f"{name} {number}" for name, number in here.items() if number]
    missing = [f"{name}, for {_OPTIONAL[name]}" for name, number in here.items() if not number]
    parts = ["there: " + ", ".join(there)] * bool(there) + ["not there: " + "; ".join(missing)] * bool(
        missing
    )
    yield ok("optional packages " + "; ".join(parts))


@cache
def _requirements() -> tuple[str, list[Requirement]]:
    """Return the range of Python, and the packages needed: of the checkout, or as they were installed."""
    file = _ROOT / "pyproject.toml"
    if file.is_file():
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        return project["requires-python"], [Requirement(line) for line in project["dependencies"]]
    needed = [Requirement(line) for line in requires("textbench") or ()]
    return str(metadata("textbench")["Requires-Python"]), [item for item in needed if item.marker is None]


def _required_by(name: str) -> Iterator[Requirement]:
    """Yield what an installed package asks of others on this machine, without its extras."""
    try:
        lines = requires(name) or ()
    except PackageNotFoundError:
        return
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _allows(requirement: Requirement, here: str) -> bool:
    try:
        return requirement.specifier.contains(here, prereleases=True)
    except InvalidVersion:
        return False


def _short(requirement: Requirement) -> str:
    return f"{requirement.name}{requirement.specifier}"


def _install(requirement: Requirement) -> str:
    tested = " -c constraints.txt" if (_ROOT / "constraints.txt").is_file() else ""
    return f"pip install{tested} '{_short(requirement)}'"
