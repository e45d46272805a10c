"""Modules that plug-ins and stored models of version 0.1.0 name, under the names that they had then."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType

_PACKAGE = "benchmark."
_MOVED = {
    "config": "spec.config",
    "data.archived": "data.archive",
    "data.choose": "data.prepare",
    "data.columns": "data.table",
    "data.description": "data.data_profile",
    "data.facts": "data.data_profile",
    "data.hub_modules": "vectors.hub_modules",
    "data.hub_writer": "vectors.hub_modules",
    "data.imdb": "data.tfds_source",
    "data.ledger": "data.ledger_chain",
    "data.lines": "data.files",
    "data.network": "support.retries",
    "data.object_arrays": "data.imdb_int",
    "data.parts": "data.source",
    "data.sample_source": "data.sample",
    "data.show": "data.data_profile",
    "data.splits": "data.source",
    "data.stack_overflow": "data.archive",
    "data.train_vectors": "vectors.word2vec",
    "data.transport": "data.prepare",
    "data.vectors": "vectors.text_files",
    "databases": "support.databases",
    "errors": "support.errors",
    "interrupts": "support.signals",
    "locks": "support.files",
    "models.describe": "models.source_description",
    "models.hub_layer": "models.hub",
    "models.masked_average": "models.avg_pool",
    "models.zero_padding": "models.cnn",
    "printable": "support.printable",
    "quiet": "support.tensorflow_setup",
    "registry": "support.registry",
    "search.budget": "plan.space",
    "search.folders": "plan.space",
    "search.ranges": "plan.ranges",
    "search.schema": "plan.space",
    "search.space": "plan.space",
    "seeds": "spec.config",
    "source_files": "support.source_files",
    "spec.seeds": "spec.config",
    "training.epochs": "training.batches",
    "training.build": "training.network",
    "training.modes": "training.compile_mode",
    "training.plain": "training.saving",
    "training.result": "spec.result",
    "training.servable": "serving.mlflow_model",
    "urls": "support.printable",
    "yamlfile": "support.yaml_file",
}
"""Old names and present ones, below the package: of what models, data sets, engines and stored models use."""


class _OldPaths(MetaPathFinder, Loader):
    """Finds a module under its old name: it is the module of the present name, not a copy of it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.removeprefix(_PACKAGE) not in _MOVED or not fullname.startswith(_PACKAGE):
            return None
        return spec_from_loader(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        present = importlib.import_module(_PACKAGE + _MOVED[name.removeprefix(_PACKAGE)])
        sys.modules[name] = present


def answer_to_old_paths() -> None:
    """Let the modules of this package be imported under the names of version 0.1.0 as well."""
    if not any(isinstance(finder, _OldPaths) for finder in sys.meta_path):
        sys.meta_path.append(_OldPaths())
