"""The wheel carries what an installed copy needs outside the checkout."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.long
def test_an_installed_copy_works_outside_the_checkout(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("textbench-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    shipped = {path.name for path in (tmp_path / "site/benchmark/search_spaces").iterdir()}
    assert shipped == {path.name for path in (ROOT / "search_spaces").iterdir()}
    published = {path.name for path in (tmp_path / "site/benchmark/publications/data").glob("*.yaml")}
    assert {"tf-basic.yaml", "lstm-notes.yaml"} <= published
    page = {path.name for path in (tmp_path / "site/benchmark/report/page").iterdir()}
    assert {"page.html", "page.css", "page.js"} <= page
    done = subprocess.run(
        [sys.executable, "-m", "benchmark.models", "lstm"],
        cwd=tmp_path / "site",
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(tmp_path) in done.stdout
    assert re.search(r"units\s+100\s+20 to 140", done.stdout)


def test_constraints_are_exact_and_name_no_index():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:1] != "#"]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^\s@/;]+", line) for line in lines)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["vectors"], *extras["docs"], *extras["test"]]
    wanted = [line for line in wanted if not line.startswith("textbench[")]
    needed = [re.match(r"[A-Za-z0-9._-]+", line).group() for line in wanted]
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    assert {name.lower().replace("_", "-") for name in needed} <= pinned


def test_runs_are_ignored_by_git():
    assert (ROOT / "mlruns/.gitignore").read_text().split() == ["*", "!.gitignore"]
