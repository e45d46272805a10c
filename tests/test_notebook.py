"""The notebook of the documentation, run as it stands."""

import json
from pathlib import Path

import pytest
from waiting import until

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


SWEEP = """
from benchmark.api import sweep
result = sweep("avg-pool", dataset="sample", trials=4, seeds=3, epochs=2)
"""
COUNTED = "print([result.sweeps[0].trials, len(result.board.board.rows), result.failed])"


@pytest.mark.long
def test_a_kernel_that_is_interrupted_continues_with_the_same_cell(tmp_path, monkeypatch):
    manager = pytest.importorskip("jupyter_client.manager")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    kernel, client = manager.start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    printed = []

    def has_a_trial():
        files = (tmp_path / "mlruns/studies").glob("*.journal")
        return any(b'"state":1,' in file.read_bytes().replace(b" ", b"") for file in files)

    def show(message):
        printed.append(message["content"].get("text", ""))

    try:
        asked = client.execute(SWEEP)
        until(has_a_trial, seconds=300)
        kernel.interrupt_kernel()
        answer = client.get_shell_msg(timeout=300)
        assert answer["parent_header"]["msg_id"] == asked
        assert answer["content"]["ename"] == "KeyboardInterrupt"
        assert answer["content"]["evalue"].startswith("interrupted: what was done is recorded")
        client.execute_interactive(SWEEP + COUNTED, timeout=900, output_hook=show)
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
    trials, rows, failed = json.loads("".join(printed).splitlines()[-1])
    assert 1 <= trials < 6  # without the first of four, and with two that confirm the best
    assert rows >= 1
    assert failed == 0
