"""Modules under their names of version 0.1.0, as stored models and plug-ins of that time name them."""

import importlib
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmark.support import old_paths

# Kept by a sweep of version 0.1.0 (--model avg-pool --dataset sample --budget smoke --trials 1 --seeds 1
# --epochs 15 --set vocabulary_size=200 --set embedding_dim=4 --set learning_rate=0.03), without the copy of
# that version's program, and so with imports of modules that have moved since.
KEPT = Path(__file__).with_name("kept_by_0.1.0.zip")
TEXTS = ["a great film, superb", "awful, boring film", ""]
THEN = [0.7997670769691467, 0.41426727175712585, 0.642708957195282]  # what version 0.1.0 answered


@pytest.mark.parametrize("name", sorted(old_paths._MOVED))
def test_an_old_name_is_the_module_of_the_present_one(name):
    old = importlib.import_module(f"benchmark.{name}")
    new = importlib.import_module(f"benchmark.{old_paths._MOVED[name]}")
    assert old is new
    assert new.__spec__.name == new.__name__ == f"benchmark.{old_paths._MOVED[name]}"


def test_a_name_that_never_was_is_an_import_error():
    with pytest.raises(ModuleNotFoundError, match=r"benchmark\.erors"):
        importlib.import_module("benchmark.erors")


def test_a_plugin_with_old_names_raises_and_catches_the_same_errors(tmp_path, monkeypatch):
    (tmp_path / "old_plugin.py").write_text(
        "from benchmark.errors import UserError\n"
        "from benchmark.config import ViewSettings\n"
        "def fail():\n    raise UserError(str(ViewSettings().sequence_length))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from benchmark.spec.config import ViewSettings
    from benchmark.support.errors import UserError

    plugin = importlib.import_module("old_plugin")
    with pytest.raises(UserError, match=str(ViewSettings().sequence_length)):
        plugin.fail()
    del sys.modules["old_plugin"]


def test_a_model_that_version_0_1_0_kept_answers_as_it_did(tmp_path):
    import mlflow.pyfunc

    with zipfile.ZipFile(KEPT) as archive:
        archive.extractall(tmp_path / "kept")
    table = mlflow.pyfunc.load_model(str(tmp_path / "kept")).predict(TEXTS)
    assert list(table["label"]) == ["pos", "neg", "pos"]
    np.testing.assert_allclose(table["probability_pos"], THEN, atol=1e-6)
