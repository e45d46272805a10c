"""What a results file holds: its members, and the type of each (docs/results.md describes it)."""

from __future__ import annotations

import json
import math
import posixpath
import re
from functools import cached_property
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from benchmark.spec.config import Frozen, RunSpec
from benchmark.spec.result import Status
from benchmark.support.registry import label_of
from benchmark.tracking import names
from benchmark.tracking.record import Point

FORMAT: Literal["textbench results"] = "textbench results"
VERSION = 1
MANIFEST, RUNS, SEARCHES = "manifest.json", "runs.jsonl", "searches.jsonl"
LEDGER, ARRAY = "ledgers/{}.jsonl", "arrays/{}.npy"
MEMBER = re.compile(
    r"manifest\.json|runs\.jsonl|searches\.jsonl|(ledgers/[0-9]+\.jsonl|arrays/[0-9a-f]{64}\.npy)"
)
"""Names that members may have; each is read by its name and none is ever unpacked to it."""

ARRAYS = ("probabilities", "labels", "val_probabilities", "val_labels")
RECOMPUTED = "test_"
"""Metrics of this prefix are computed from the predictions where a file is imported."""

_TEXT, _NUMBER = r"[^\0]{0,5000}", r"[0-9]{1,9}"
TAGS = dict.fromkeys(
    (
        *(names.STUDY, names.BUDGET, names.PHASE, names.DEVICE, names.COMPILE, names.VERSIONS, names.USER),
        *(names.SOURCE, names.GIT_COMMIT, names.GIT_DIRTY, names.SEARCH_ENDED, names.MODEL, names.METRIC),
        *(names.MADE_FOR, names.PROTOCOL, names.DETERMINISTIC, names.MACHINE),
    ),
    _TEXT,
)
TAGS |= dict.fromkeys((names.TRIAL, names.WORKERS, names.THREADS, names.SEEDS_EXPECTED), _NUMBER)
TAGS |= {
    names.TIER: f"default|tuned|{re.escape(names.BOTH_TIERS)}|{names.NO_TIER}",
    names.STATUS: "ok|pruned|diverged|timeout|oom|failed|interrupted",
    names.TEST_DUPLICATES: r"[0-9]+ of [0-9]+",
}
"""Tags that travel, and what they may say; those that follow from a run's spec do not."""

_LATEST = 1 << 53  # milliseconds
_LONGEST = {"source": 65_535, "profile": 16_000_000}  # characters that MLflow takes
_LONGEST_PARAM = 6000


class Manifest(Frozen):
    """The first member.

    Attributes
    ----------
    format, version : str, int
        Of this schema; a file of another version is refused.
    dataset : dict of str to str
        Name, digest, source and profile, as MLflow has them.
    files : dict of str to str
        SHA-256 of each other member.
    """

    format: Literal["textbench results"] = FORMAT
    version: int = VERSION
    dataset: dict[str, str]
    files: dict[str, str]

    @model_validator(mode="after")
    def _is_whole(self) -> Manifest:
        if set(self.dataset) != {"name", "digest", "source", "profile"}:
            raise ValueError("dataset: expected name, digest, source and profile")
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", self.dataset["name"]):
            raise ValueError("dataset: its name is not one")
        if not re.fullmatch("[0-9a-f]{1,36}", self.dataset["digest"]):
            raise ValueError("dataset: its digest is not one")
        for part, most in _LONGEST.items():
            if len(self.dataset[part]) > most:
                raise ValueError(f"dataset: its {part} has more than {most:,} characters")
        classes, size = self.classes, self.profile.get("test")
        named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
        if not named or len(set(classes)) < max(2, len(classes)) or not isinstance(size, int) or size < 1:
            raise ValueError("dataset: its profile says neither classes nor the size of the test split")
        return self

    @cached_property
    def profile(self) -> dict[str, Any]:
        """Sizes of the splits, and the names of the classes."""
        found = json.loads(self.dataset["profile"])
        return found if isinstance(found, dict) else {}

    @property
    def classes(self) -> list[str]:
        """Names of the classes."""
        found: list[str] = self.profile.get("classes", [])
        return found


class RunEntry(Frozen):
    """A line of ``runs.jsonl``: one run of MLflow, whose ids and test metrics are computed where it is read.

    Attributes
    ----------
    key : str
        Our id of the run, the same in every store.
    kind : {"sweep", "trial", "final"}
        Which run it is.
    name, start_time, end_time, status
        As MLflow has them; times in milliseconds.
    tags, params : dict of str to str
        Those of `TAGS`; and, of a sweep, what it was asked for.
    metrics : tuple of Point
        All values with their times.
    spec : RunSpec or None
        What was run; None for a sweep.
    arrays : dict of str to str
        SHA-256 of the members that are the predictions, by `ARRAYS`.
    threshold : float or None
        As in `benchmark.metrics.metric.Predictions`.
    """

    model_config = ConfigDict(ser_json_inf_nan="constants")

    key: str = Field(pattern="^[0-9a-f]{32}$")
    kind: Literal["sweep", "trial", "final"]
    name: str = Field(pattern=r"^[^\x00-\x1f]{1,500}$")
    start_time: int = Field(ge=0, lt=_LATEST)
    end_time: int = Field(ge=0, lt=_LATEST)
    status: Literal["FINISHED", "FAILED", "KILLED"]
    tags: dict[str, str]
    params: dict[str, str] = Field(default_factory=dict)
    metrics: tuple[Point, ...] = ()
    spec: RunSpec | None = None
    arrays: dict[str, str] = Field(default_factory=dict)
    threshold: float | None = Field(default=None, ge=0, le=1)

    @property
    def study(self) -> str:
        """Of whose sweep it is."""
        return self.tags[names.STUDY]

    @property
    def ended(self) -> Status | None:
        """How a trial or final run ended."""
        return self.tags.get(names.STATUS)  # type: ignore[return-value]

    @property
    def spec_tags(self) -> dict[str, str]:
        """The tags that follow from the spec."""
        if self.spec is None:
            return {}
        return {
            names.MODEL: label_of(self.spec.model),
            names.METRIC: self.spec.metric,
            names.PROTOCOL: self.spec.protocol,
            names.SPEC_ID: self.spec.spec_id,
            names.CONFIG_ID: self.spec.config_id,
            names.SEED: str(self.spec.seeds.index),
        }

    @field_validator("tags")
    @classmethod
    def _known_tags(cls, tags: dict[str, str]) -> dict[str, str]:
        for name, value in tags.items():
            if name not in TAGS or not re.fullmatch(TAGS[name], value):
                raise ValueError(f"tag {name[:60]}: {value[:60]!r} is not a value of it")
        if not tags.get(names.STUDY):
            raise ValueError("it has no study")
        return tags

    @model_validator(mode="after")
    def _is_whole(self) -> RunEntry:
        if (self.spec is None) != (self.kind == "sweep"):
            raise ValueError("a trial or final run has a spec, and a sweep has none")
        if self.spec is not None and (self.spec.kind != self.kind or self.ended is None):
            raise ValueError(f"its spec is of a {self.spec.kind}, or it has no status")
        needed = {names.TRIAL} if self.kind == "trial" else {names.TIER} if self.kind == "final" else set()
        if not needed <= self.tags.keys():
            raise ValueError(f"it lacks {', '.join(needed)}")
        predicted = self.kind == "final" and self.ended == "ok"
        if not self.arrays.keys() <= set(ARRAYS) or predicted != ({*ARRAYS[:2]} <= self.arrays.keys()):
            raise ValueError("a final run that is ok has predictions, and no other run has")
        if (ARRAYS[2] in self.arrays) != (ARRAYS[3] in self.arrays) or (self.arrays and not predicted):
            raise ValueError("its validation predictions are not whole")
        self._check_storable()
        for point in self.metrics:
            if self.ended == "ok" and not point.step and not math.isfinite(point.value):
                raise ValueError(f"{point.name[:60]} is {point.value}; expected a finite number")
        return self

    def _check_storable(self) -> None:
        """Raise a `ValueError` for what MLflow would refuse, when other runs of the file are imported."""
        params = self.spec.flat() if self.spec else self.params
        for name in (*params, *(point.name for point in self.metrics)):
            path = posixpath.normpath(name)
            if not re.fullmatch(r"[\w./ :-]{1,250}", name) or path != name or path.startswith((".", "/")):
                raise ValueError(f"{name[:60]!r} is not a name of a param or metric")
        for name, value in params.items():
            if len(str(value)) > _LONGEST_PARAM or "\0" in str(value):
                raise ValueError(f"param {name}: its value is longer than {_LONGEST_PARAM} or has a NUL")
        for point in self.metrics:
            if not (0 <= point.timestamp < _LATEST and 0 <= point.step < _LATEST):
                raise ValueError(f"{point.name}: a time or step is not from 0 to {_LATEST}")
