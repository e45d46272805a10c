"""JSON schemas for editors: `python -m benchmark.plan.schema` writes them, `--check` compares."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from benchmark.plan.budget import Budget
from benchmark.plan.space import Space, spaces_folder
from benchmark.support.errors import UserError

SCHEMAS: dict[str, tuple[str, Any]] = {
    "schema.json": ("Textbench search space", Space),
    "budgets.schema.json": ("Textbench budgets", dict[str, Budget]),
}


def schema_text(name: str) -> str:
    """Return the content of one of the files in `SCHEMAS`."""
    title, kind = SCHEMAS[name]
    schema = TypeAdapter(kind).json_schema()
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps({**head, **schema, "title": title}, indent=2) + "\n"


def stale(folder: Path) -> list[str]:
    """Return the names of the files in a folder that are missing or differ."""
    return [
        name
        for name in SCHEMAS
        if not (folder / name).is_file() or (folder / name).read_text("utf-8") != schema_text(name)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the schemas, or with ``--check`` return 1 where one is stale."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.plan.schema", description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit with 1 if a file is stale")
    parser.add_argument("--folder", type=Path, help="where the files are (default: search_spaces)")
    options = parser.parse_args(arguments)
    try:
        folder: Path = options.folder or spaces_folder()
        names = stale(folder)
        for name in () if options.check else names:
            temporary = folder / f".{name}.{os.getpid()}"
            temporary.write_text(schema_text(name), encoding="utf-8")
            temporary.replace(folder / name)
    except (OSError, UserError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name in names:
        print(f"{folder / name}: {'stale' if options.check else 'written'}")
    return 1 if options.check and names else 0


if __name__ == "__main__":
    sys.exit(main())
