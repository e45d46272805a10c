"""A row of a board."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

WATERMARK = "SMOKE TEST - not a result"


class BoardRow(BaseModel):
    """One model in one tier on the board of a data set; floats are finite or None.

    Attributes
    ----------
    rank : int or None
        Place among the rows of the same data set, budget and protocol; rows that cannot be
        separated share it. None for smoke tests and where no seed finished.
    test_accuracy_mean, test_accuracy_ci_low, test_accuracy_ci_high : float or None
        Mean over ok seeds in [0, 1], and its 95 % interval (None below 3 seeds).
    test_accuracy_std : float or None
        Standard deviation over ok seeds (``ddof=1``), None below 2.
    n_seeds : int
        Seeds in the mean; with ``n_failed``, ``n_diverged`` and ``n_missing`` they add up to
        ``seeds_expected``.
    search_trials, search_seconds : int, float or None
        What the search cost; 0 for the default tier, which needed none.
    versions : str
        For example ``"tensorflow 2.21.0, keras 3.15.1"``.
    test_looks : int
        How often this model has read the test part.
    watermark : str or None
        Set for smoke tests.
    run_ids : tuple of str
        The runs in the mean, by seed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)

    rank: int | None
    model: str
    tier: str
    budget: str
    dataset: str
    dataset_digest: str
    study: str
    protocol: str
    test_accuracy_mean: float | None
    test_accuracy_ci_low: float | None
    test_accuracy_ci_high: float | None
    test_accuracy_std: float | None
    test_accuracy_median: float | None
    test_accuracy_min: float | None
    test_accuracy_max: float | None
    test_loss_mean: float | None
    n_seeds: int
    seeds_expected: int
    n_failed: int
    n_diverged: int
    n_missing: int
    val_accuracy_mean: float | None
    parameters: int | None
    train_seconds_median: float | None
    epochs_median: float | None
    search_trials: int
    search_seconds: float | None
    device: str
    versions: str
    git_commit: str
    test_looks: int
    watermark: str | None
    notes: tuple[str, ...]
    run_ids: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every expected seed is in the mean."""
        return self.n_seeds == self.seeds_expected
