"""A final run as the tracking store remembers it; free of MLflow."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FinalStatus = Literal["ok", "diverged", "failed", "oom", "timeout", "interrupted"]


class FinalRun(BaseModel):
    """One final run as the tracking store remembers it.

    Attributes
    ----------
    tiers : tuple of str
        ``"default"``, ``"tuned"``, or both where the winner of the search is the default.
    seed : int
        Index of the seed bundle, from 0.
    status : {"ok", "diverged", "failed", "oom", "timeout", "interrupted"}
        How it ended; only ``ok`` counts in a mean.
    test_accuracy, val_accuracy : float or None
        Shares in [0, 1], at the restored (best) epoch.
    parameters : int or None
        Number of weights.
    train_seconds : float or None
        Wall time of training.
    epochs_run : int or None
        Epochs trained, the ones after the best included.
    seeds_expected : int
        How many seeds the sweep was asked for.
    search_trials, search_seconds : int, float or None
        What the search that chose the configuration cost.
    ended_at : float
        Seconds since the epoch; the latest ok run of a seed counts.
    search_ended : str
        Why the search ended before its last trial; empty where it did not.
    test_duplicates : str
        How many test texts are also in the training split, as ``123 of 25000``; empty where unknown.
    spec_id : str
        Of its run spec, which the ledger names, too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    run_id: str
    model: str
    tiers: tuple[str, ...]
    budget: str
    dataset: str
    dataset_digest: str
    study: str
    protocol: str
    seed: int = Field(ge=0)
    status: FinalStatus
    test_accuracy: float | None
    test_loss: float | None
    val_accuracy: float | None
    parameters: int | None
    train_seconds: float | None
    epochs_run: int | None
    device: str
    versions: str
    git_commit: str
    seeds_expected: int = Field(ge=0)
    search_trials: int = Field(ge=0)
    search_seconds: float | None
    ended_at: float
    search_ended: str = ""
    test_duplicates: str = ""
    spec_id: str = ""
