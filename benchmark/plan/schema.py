"""JSON schemas for editors: `python -m benchmark.plan.schema` writes them."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from benchmark.plan.space import Budget, Space, spaces_folder

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


def main() -> None:
    """Write the schemas beside the packaged search spaces."""
    for name in SCHEMAS:
        path = spaces_folder() / name
        path.write_text(schema_text(name), encoding="utf-8")
        print(f"{path}: written")


if __name__ == "__main__":
    main()
