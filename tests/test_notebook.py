"""The notebook of the documentation, run as it stands."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.long
def test_the_notebook_runs_and_shows_what_is_stored(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    stored = nbformat.read(ROOT / "docs/notebook.ipynb", 4)
    book = nbformat.from_dict(stored)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=900, kernel_name="python3", resources=resources).execute()

    def kinds(notebook):
        """For each cell, what it shows at its end."""
        return [
            sorted(cell.outputs[-1].get("data", {"text": ""})) if cell.get("outputs") else None
            for cell in notebook.cells
        ]

    assert kinds(book) == kinds(stored)
    assert any(found and "image/png" in found for found in kinds(book))
    assert book.cells[-1].outputs[0]["text"] == stored.cells[-1].outputs[0]["text"]
