"""What MkDocs asks of us when it builds the site: the page of commands, the order of pages, links, styles.

The page of commands is made from the parsers of the commands themselves, so it lists what they take. It is a
page of the site only; who reads these files as they are has ``--help``.
"""

from __future__ import annotations

import html
import importlib
import json
import logging
import re
import sys
from argparse import Action, ArgumentParser
from collections.abc import Collection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

LOG = logging.getLogger("mkdocs.hooks.textbench")
"""Below MkDocs' own logger: a warning ends a strict build."""

_LINK_OUTSIDE = re.compile(r"!?\[([^\]]*)\]\((\.\./[^)#\s]+)[^)\s]*\)")

_HEAD = """\
# Commands

`python -m benchmark.NAME` and `textbench NAME` are the same. This page is made from the commands themselves
when the site is built; `--help` prints the same. All take `--debug`, which shows tracebacks.

Exit codes: 0 done; 1 some runs failed, the rest is recorded; 2 the request is wrong and nothing was started;
130 interrupted, recorded, and continued by the same command.

| command | what it does |
| --- | --- |
"""

_CSS = """\
div.col-md-9 table { display: block; overflow-x: auto; width: fit-content; max-width: 100%; }
div.col-md-9 img { max-width: 100%; }
td:first-child code { white-space: nowrap; }
.headerlink { margin-left: .4em; text-decoration: none; opacity: 0; }
:is(h1, h2, h3):hover .headerlink, .headerlink:focus { opacity: .6; }
"""


def on_files(files: Any, *, config: Any) -> Any:
    """Add the generated files, and put the pages in order."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "commands.md", content=commands_page()))
    for file in list(files):
        if file.src_uri.endswith(".ipynb"):
            content = notebook_page(Path(file.abs_src_path).read_text("utf-8"))
            files.append(File.generated(config, file.src_uri.replace(".ipynb", ".md"), content=content))
    files.append(File.generated(config, "site.css", content=_CSS + code_style()))
    pages = [file.src_uri for file in files.documentation_pages()]
    config.nav = complete_nav(config.nav, pages)
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turn links to files of the repository that are not pages into their names."""

    def name(match: re.Match[str]) -> str:
        path = (ROOT / "docs" / page.file.src_uri).parent.joinpath(match[2]).resolve()
        if not path.exists():
            LOG.warning("Doc file '%s' links to '%s', which does not exist", page.file.src_uri, match[2])
            return match[0]
        own = path.relative_to(ROOT).as_posix()
        return f"`{own}`" if match[1].strip("`") == own else f"{match[1]} (`{own}`)"

    return _LINK_OUTSIDE.sub(name, markdown)


def complete_nav(nav: list[dict[str, list[str]]], pages: Collection[str]) -> list[dict[str, list[str]]]:
    """Return the sections with the pages that there are, and all others in one at the end."""
    named = {page for section in nav for group in section.values() for page in group}
    known = [{title: [page for page in group if page in pages]} for s in nav for title, group in s.items()]
    rest = sorted(set(pages) - named)
    return [section for section in [*known, {"More": rest}] if any(section.values())]


def code_style() -> str:
    """Return the colours of code, in light and in dark."""
    from pygments.formatters import HtmlFormatter

    styles = {"light": "default", "dark": "github-dark"}
    return "\n".join(
        HtmlFormatter(style=style, nobackground=True).get_style_defs(f'[data-bs-theme="{mode}"] .codehilite')
        for mode, style in styles.items()
    )


def notebook_page(text: str) -> str:
    """Return a notebook with its output, in Markdown."""
    parts = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        parts += [_output(output) for output in cell.get("outputs", ())]
    return "\n\n".join(parts) + "\n"


def _output(output: dict[str, Any]) -> str:
    """Return what a cell shows: a picture, HTML, or text."""
    data = output.get("data", {"text/plain": output.get("text", "")})
    found = {kind: "".join(value) for kind, value in data.items()}
    if "image/png" in found:
        picture = found["image/png"].replace("\n", "")
        return f'<img alt="{html.escape(found["text/plain"])}" src="data:image/png;base64,{picture}">'
    if "text/html" in found:
        return "<div>" + "".join(found["text/html"].splitlines()).strip() + "</div>"
    return f"```text\n{found['text/plain'].rstrip()}\n```"


def commands_page() -> str:
    """Return the page of commands, in Markdown."""
    from benchmark.__main__ import COMMANDS

    table = [f"| [`{name}`](#{name}) | {_cell(summary)} |" for name, (_, summary) in COMMANDS.items()]
    parsers = {name: importlib.import_module(module).main.parser() for name, (module, _) in COMMANDS.items()}
    return _HEAD + "\n".join([*table, "", *(_section(name, parser) for name, parser in parsers.items())])


def _section(name: str, parser: ArgumentParser) -> str:
    """Return what one command is and takes."""
    rows = [
        f"| {_name(action)} | {_cell(parser._get_formatter()._expand_help(action) if action.help else '')} |"
        for action in parser._actions
        if action.dest not in ("help", "debug")
    ]
    words = [f"## {name}", "", html.escape(parser.description or "", quote=False), ""]
    if rows:
        words += ["| argument or option | meaning |", "| --- | --- |", *rows, ""]
    if parser.epilog:
        words += ["```text", parser.epilog, "```", ""]
    return "\n".join(words)


def _name(action: Action) -> str:
    """Return how an argument is written: ``NAME``, ``--option VALUE``."""
    if not action.option_strings:
        value = action.metavar or action.dest
        return " ".join(f"`{word}`" for word in ([value] if isinstance(value, str) else value))
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    needed = " (needed)" if action.required else ""
    return ", ".join(f"`{option}{value}`" for option in action.option_strings) + needed


def _cell(text: str) -> str:
    """Return a text as the cell of a table: no line breaks, no markup."""
    return re.sub(r"([|*_`\[\]\\])", r"\\\1", html.escape(" ".join(text.split()), quote=False))
