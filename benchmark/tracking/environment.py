"""What a result must say about where it was made: versions and commit."""

from __future__ import annotations

import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@cache
def versions() -> str:
    """Return the versions that decide a result, for example ``"tensorflow 2.21.0, keras 3.15.1"``."""
    found = []
    for package in ("textbench", "tensorflow", "keras", "scikit-learn", "numpy"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


@cache
def git_state() -> tuple[str, bool]:
    """Return the commit of the checkout that this code runs from, and whether it has changes.

    An installed copy has neither: ``("", False)``.
    """
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return "", False
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit, bool(_git(folder, "status", "--porcelain"))
    except (OSError, subprocess.SubprocessError):
        return "", False


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
