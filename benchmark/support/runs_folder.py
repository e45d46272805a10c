"""The layout of ``mlruns``, the folder that sweeps leave behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunsFolder:
    """What lies where in ``mlruns``.

    Attributes
    ----------
    path : Path
        The folder.
    """

    path: Path

    @property
    def ledger(self) -> Path:
        """The ledger of test reads."""
        return self.path / "ledger.jsonl"

    @property
    def studies(self) -> Path:
        """Journals and locks of the studies."""
        return self.path / "studies"

    @property
    def spool(self) -> Path:
        """Records of runs that are not in MLflow yet."""
        return self.path / "spool"
