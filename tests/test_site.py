"""The documentation: a strict site that loads nothing from elsewhere, with links and commands that hold."""

import importlib
import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from benchmark.__main__ import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
OFFLINE = """\
import socket, sys
def refuse(*words): raise OSError("no network in this test")
socket.socket.connect = socket.getaddrinfo = refuse
from mkdocs.__main__ import cli
cli()
"""


def build(folder, site):
    """Run ``mkdocs build --strict`` without network."""
    command = [sys.executable, "-c", OFFLINE, "build", "--strict", "--site-dir", str(site)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def copied(folder):
    """Copy what the site is built from."""
    shutil.copy(ROOT / "mkdocs.yml", folder)
    shutil.copy(ROOT / "README.md", folder)
    shutil.copytree(ROOT / "docs", folder / "docs")
    (folder / "benchmark").symlink_to(ROOT / "benchmark")
    return folder / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs", reason="it is not installed: pip install textbench[docs]")
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


class Page(HTMLParser):
    """What a page loads, what it links to, and its text."""

    def __init__(self, path):
        super().__init__()
        self.loads, self.links, self.text = [], [], ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag == "a":
            self.links.append(found.get("href") or "")
        elif tag != "form":
            self.loads += [
                found[name] for name in ("src", "srcset", "href", "data", "poster") if name in found
            ]

    def handle_data(self, data):
        self.text += data


def test_each_page_is_built_and_in_the_navigation(site):
    front = Page(site / "index.html")
    for page in [*PAGES, Path("commands.md")]:
        assert (site / page.name).with_suffix(".html").is_file()
        assert page.name == "index.md" or f"{page.stem}.html" in front.links
    assert not (site / "site_hooks.py").exists()


def test_nothing_is_loaded_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    loaded = [address for page in pages for address in Page(page).loads]
    for sheet in site.rglob("*.css"):
        style = re.sub(r"/\*.*?\*/", "", sheet.read_text("utf-8"), flags=re.DOTALL)
        loaded += re.findall(r"""(?:url\(|@import)\s*["']?([^"')]+)""", style)
    assert len(loaded) > 10 * len(pages)
    assert [address for address in loaded if re.match(r"(?!data:)\w+:|//", address)] == []


def test_the_page_of_commands_has_every_option(site):
    text = " ".join(Page(site / "commands.html").text.split())
    for name, (module, summary) in COMMANDS.items():
        assert summary in text
        for action in importlib.import_module(module).main.parser()._actions:
            for option in action.option_strings:
                assert option in ("-h", "--help") or option in text, f"{name} {option}"


def test_a_link_that_leads_nowhere_ends_the_build(site, tmp_path):
    targets = ["nowhere.md", "design.md#nowhere", "nowhere.png", "../nowhere.py"]
    docs = copied(tmp_path)
    (docs / "broken.md").write_text("# Broken\n" + "\n".join(f"[here]({target})" for target in targets))
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    for target in targets:
        assert f"'{target}'" in done.stderr


def test_a_new_page_is_shown_and_may_name_files_of_the_repository(site, tmp_path):
    docs = copied(tmp_path)
    (docs / "zoo.md").write_text(
        "# Zoo\nSee [the front page](../README.md) and [`mkdocs.yml`](../mkdocs.yml)."
    )
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert "zoo.html" in Page(tmp_path / "site/index.html").links
    zoo = Page(tmp_path / "site/zoo.html")
    assert "See the front page (README.md) and mkdocs.yml." in zoo.text
    assert not [link for link in zoo.links if "README" in link]


def test_the_page_of_commands_imports_nothing_heavy():
    code = (
        "import sys; sys.path.insert(0, 'docs'); import site_hooks; site_hooks.commands_page()\n"
        "print([name for name in ('tensorflow', 'mlflow', 'optuna', 'ray') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
class TestAsFiles:
    """What holds for those who read the pages in the repository."""

    def test_links_and_named_files_are_there(self, page):
        text = page.read_text("utf-8")
        linked = re.findall(r"\]\(<?(?!<?\w+:)([^)#>]+)", text)
        named = re.findall(r"`((?:benchmark|docs|perf|tests|search_spaces)/[\w/.-]*\w\.\w+)", text)
        missing = [name for name in linked if not (page.parent / name).exists()]
        missing += [name for name in named if not (ROOT / name).exists()]
        assert missing == [], page.name

    def test_commands_are_what_the_programs_take(self, page):
        for command, words in commands(page.read_text("utf-8")):
            assert command in COMMANDS, f"{page.name}: python -m benchmark.{command}"
            module = importlib.import_module(COMMANDS[command][0])
            module.main.parser().parse_args(words)  # raises UserError

    def test_scripts_and_manifests_are_well_formed(self, page):
        text = page.read_text("utf-8")
        for script in blocks(text, "bash"):
            done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
            assert done.stderr == ""
        for manifest in blocks(text, "yaml"):
            assert all(yaml.safe_load_all(manifest))


def blocks(text, language):
    """Return the blocks of code of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(text):
    """Yield name and arguments of each ``python -m benchmark.NAME`` in a page's code; a variable is 1."""
    for block in blocks(text, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(re.sub(r"\$\w+", "1", line), posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words = list(lexer)
            for place, word in enumerate(words):
                if word.startswith("benchmark.") and words[place - 1] == "-m":
                    rest = words[place + 1 :]
                    end = next((i for i, word in enumerate(rest) if set(word) <= set("|&;<>()")), len(rest))
                    yield word.removeprefix("benchmark."), rest[:end]
