"""Modules under the names that they had in version 0.1.0: what was stored or written then goes on loading."""

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
    "boards": "board.stored_board",
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
    "details": "board.page_content",
    "errors": "support.errors",
    "estimate": "driver.estimate",
    "interrupts": "support.signals",
    "locks": "support.files",
    "measure": "publications.measurement",
    "models.describe": "models.source_description",
    "models.hub_layer": "models.hub",
    "models.masked_average": "models.avg_pool",
    "models.zero_padding": "models.cnn",
    "more_seeds": "driver.further_seeds",
    "phases": "driver.phases",
    "printable": "support.printable",
    "quiet": "support.tensorflow_setup",
    "registry": "support.registry",
    "report.board": "board.board",
    "report.display": "display.events",
    "report.export": "report.tables",
    "report.live": "display.live",
    "report.live_view": "display.live",
    "report.printed": "report.tiers",
    "report.progress": "display.events",
    "report.ranking": "board.ranking",
    "report.reproduction": "publications.reproduction",
    "report.reproduction_plot": "publications.rendering",
    "report.reproduction_table": "publications.rendering",
    "report.rows": "board.rows",
    "search.budget": "plan.space",
    "search.folders": "plan.space",
    "search.ranges": "plan.ranges",
    "search.schema": "plan.schema",
    "search.space": "plan.space",
    "seeds": "spec.seeds",
    "source_files": "support.source_files",
    "stored": "serving.stored_models",
    "sweep_options": "driver.sweep_options",
    "tracking.answers": "tracking.predictions",
    "tracking.earlier": "tracking.runs",
    "tracking.looked": "tracking.runs",
    "tracking.published": "tracking.runs",
    "tracking.records": "tracking.runs",
    "training.batches": "training.epochs",
    "training.build": "training.network",
    "training.modes": "training.compile_mode",
    "training.plain": "training.saving",
    "training.result": "spec.result",
    "training.servable": "serving.mlflow_model",
    "urls": "support.printable",
    "yamlfile": "support.yaml_file",
}
"""Old names and present ones, below the package."""


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
