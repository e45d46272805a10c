"""What a board is: rows, comparisons, and what its HTML page shows beyond them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmark.metrics.metric import ACCURACY
from benchmark.stats.verdicts import Outcome

WATERMARK = "SMOKE TEST - not a result"
CHANGED = "the store was changed"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)


class BoardRow(_Record):
    """One model in one tier on the board of a data set; floats are finite or None.

    Attributes
    ----------
    rank, rank_worst : int or None
        The best and the worst rank among the rows of the same data set, budget and protocol that the
        comparisons leave open: 1 plus the rows shown to be better, and the number of rows less those shown
        to be worse. None for smoke tests, below 3 seeds, without predictions, and where stored predictions
        contradict a stored accuracy, which is withheld then.
    metric : str
        The metric of the row's figures, of ranks and comparisons.
    optimised_for : str
        What its search and early stopping followed. Where it is a different metric, verdicts are
        exploratory: the metric was chosen after the runs.
    test_mean, test_ci_low, test_ci_high : float or None
        Mean of the metric over ok seeds that learned, and its 95 % interval over seeds (None below 3 seeds).
    test_std : float or None
        Standard deviation over ok seeds (``ddof=1``), None below 2.
    test_values : tuple of float
        Of each of `seeds`, or of `folds`.
    sampling_error, sampling_ci_low, sampling_ci_high : float or None
        Standard error of the mean over other test examples of this kind, for the same trained models, and
        the 95 % interval that follows. None where predictions are not at hand, or too few examples of a
        class.
    n_seeds : int
        Seeds in the mean; with ``n_failed``, ``n_diverged``, ``n_unlearned`` and ``n_missing`` they add up to
        ``seeds_expected``.
    n_unlearned : int
        Seeds that failed to learn (`benchmark.stats.failures.failed_to_learn`).
    failure_bound : float or None
        Upper bound, at 95 %, of the probability that a seed diverges or fails to learn; None where none
        finished.
    val_mean : float or None
        Mean of the metric on the validation split at the restored epochs, where it was recorded.
    val_test_gap : float or None
        Mean on the validation split less that on the test split.
    baseline : str or None
        The row that `difference` is to, as ``model (tier)``; None for the baseline itself and where the
        rows cannot be compared.
    difference, difference_ci_low, difference_ci_high : float or None
        Mean less that of the baseline, and its interval over new seeds and new examples.
    difference_ci_level : float or None
        Coverage of that interval: the one at which the verdict was reached, corrected for all rows that are
        compared with the baseline.
    difference_p : float or None
        p-value corrected in the same way (Holm).
    difference_outcome : str or None
        ``better``, ``worse``, ``equivalent`` or ``undecided``.
    detectable, detectable_by_more : float or None
        The difference to the baseline that is found with 80 %, by the seeds that are there, and by 10 of
        both; None where there is none that large, or too few test examples for a verdict.
    search_trials, search_seconds : int, float or None
        What the search cost; 0 for the default tier, which needed none.
    predict_ms, predict_texts_per_second : float or None
        Milliseconds a text one by one, and texts a second in batches of 256, of the stored model.
    machine : str
        The processor and its cores, "" where it was not recorded; costs of different ones are not compared.
    versions : str
        For example ``"tensorflow 2.21.0, keras 3.15.1"``.
    test_reads : int
        How often this model has read the test split, `test_reads_unrecorded` included.
    test_reads_unrecorded : int
        Runs of this model with a test accuracy and no entry in the ledger; with any, `test_reads` is the
        least that it can be.
    test_duplicates : str or None
        How many test texts are also in the training split, as ``123 of 25000 (0.49 %)``; None where none or
        unknown.
    watermark : str or None
        Set for smoke tests.
    seeds : tuple of int
        The seed bundles in the mean.
    run_ids : tuple of str
        Their MLflow runs.
    folds : tuple of int
        The folds in the mean, from 1, where the data are divided into folds; empty otherwise. Then figures
        are means over folds, of each the mean over its seeds; spread and intervals are over folds, and
        heuristic (`benchmark.stats.intervals.inflation`); counts of seeds are of all folds together.
    refit_texts : int or None
        Training and validation texts that its runs were fitted on before they were tested; None where they
        were trained on the training split alone, as usual. Its value on the validation split is of a fit
        without it.
    """

    rank: int | None
    rank_worst: int | None
    model: str
    tier: str
    budget: str
    dataset: str
    dataset_digest: str
    study: str
    protocol: str
    metric: str = ACCURACY
    optimised_for: str = ACCURACY
    test_mean: float | None
    test_ci_low: float | None
    test_ci_high: float | None
    test_std: float | None
    test_median: float | None
    test_min: float | None
    test_max: float | None
    test_values: tuple[float, ...]
    test_loss_mean: float | None
    sampling_error: float | None
    sampling_ci_low: float | None
    sampling_ci_high: float | None
    n_seeds: int
    seeds_expected: int
    n_failed: int
    n_diverged: int
    n_unlearned: int
    failure_bound: float | None
    n_missing: int
    val_mean: float | None
    val_test_gap: float | None
    baseline: str | None
    difference: float | None
    difference_ci_low: float | None
    difference_ci_high: float | None
    difference_ci_level: float | None
    difference_p: float | None
    difference_outcome: Outcome | None
    detectable: float | None
    detectable_by_more: float | None
    parameters: int | None
    train_seconds_median: float | None
    epochs_median: float | None
    search_trials: int
    search_seconds: float | None
    predict_ms: float | None = None
    predict_texts_per_second: float | None = None
    device: str
    machine: str = ""
    versions: str
    git_commit: str
    test_reads: int
    test_reads_unrecorded: int = 0
    test_duplicates: str | None = None
    watermark: str | None
    notes: tuple[str, ...]
    seeds: tuple[int, ...]
    run_ids: tuple[str, ...]
    folds: tuple[int, ...] = ()
    refit_texts: int | None = None

    @property
    def complete(self) -> bool:
        """Whether every expected seed is in the mean."""
        return self.n_seeds == self.seeds_expected

    @property
    def counts(self) -> bool:
        """Whether it has a result that may be compared."""
        return self.watermark is None and self.test_mean is not None

    @property
    def unsteady(self) -> bool:
        """Whether runs of it diverged or failed to learn; such a row wins nothing."""
        return self.n_diverged + self.n_unlearned > 0

    @property
    def name(self) -> str:
        """The row in words: ``avg-pool (tuned)``."""
        return f"{self.model} ({self.tier})"

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells it from the other rows of a board, by whatever metric."""
        return (*self.race, self.model, self.tier, self.study)

    @property
    def race(self) -> tuple[str, str, str, str]:
        """What rows that are ranked together have in common: data, budget, protocol, what was optimised."""
        return self.dataset_digest, self.budget, self.protocol, self.optimised_for

    @property
    def exploratory(self) -> bool:
        """Whether its metric was chosen after its runs."""
        return self.metric != self.optimised_for


class Pair(_Record):
    """What is known of two rows that are ranked together.

    Attributes
    ----------
    a, b : int
        Places of the two in `Board.rows`; a is the earlier one.
    difference, ci_low, ci_high : float
        Mean of a less that of b, with its interval over new seeds and new examples.
    ci_level : float
        Coverage of that interval: the one at which the verdict was reached, corrected for all pairs of the
        section.
    p_value, p_corrected : float
        Of no difference; the latter corrected in the same way (Holm).
    outcome : str
        From a's side, by the corrected p-value and the margin.
    """

    a: int
    b: int
    difference: float
    ci_low: float
    ci_high: float
    ci_level: float
    p_value: float
    p_corrected: float
    outcome: Outcome


class MetricFacts(_Record):
    """What a reader of a board must know of a metric.

    Attributes
    ----------
    title : str
        As people read it.
    larger_is_better, percent : bool
        Its direction, and whether it is written in percent and its differences in points.
    margin : float or None
        The smallest difference worth talking about; None where none is too small.
    """

    title: str
    larger_is_better: bool
    percent: bool
    margin: float | None = Field(ge=0)


_OF_ACCURACY = MetricFacts(title=ACCURACY, larger_is_better=True, percent=True, margin=0.005)


class Board(_Record):
    """All rows of a data set.

    Attributes
    ----------
    version : int
        Of this format.
    metrics : dict of str to MetricFacts
        What a reader must know of the metrics of the rows.
    majority : dict of str to float
        Share of the most frequent class in the test split, by digest of the data set, where that is known.
    level : float
        Nominal coverage of the rows' intervals, and 1 minus the error that is allowed for each family of
        comparisons.
    summary : tuple of str
        A sentence for each section: the cheapest row that is not shown to be worse than the best, what it
        costs, and what remains open.
    rows : tuple of BoardRow
        By data set, best first, smoke tests last.
    comparisons : tuple of Pair
        Of all rows that are ranked together and have 3 seeds or more. Rows that are the same runs (the
        default has won its search) are one system and are not compared.
    examples_shown : dict of str to int
        How often test examples were shown to people, by digest of the data set.
    versions : tuple of str
        Where several data sets share a name: each as ``NAME@DIGEST (where it is from, its last run)``. The
        rows' ``dataset`` is then ``NAME@DIGEST``.
    """

    version: Literal[3] = 3
    metrics: dict[str, MetricFacts] = {ACCURACY: _OF_ACCURACY}
    majority: dict[str, float] = {}
    level: float = Field(gt=0, lt=1)
    rows: tuple[BoardRow, ...]
    comparisons: tuple[Pair, ...]
    summary: tuple[str, ...] = ()
    examples_shown: dict[str, int] = {}
    versions: tuple[str, ...] = ()


class Details(_Record):
    """What the HTML page shows beyond the board.

    Rows are named by their place in `Board.rows` of the board as it is printed, where rows that are the same
    runs are one (`benchmark.board.ranking.as_printed`).

    Attributes
    ----------
    curves : dict of int to list of dict
        Of each final run of a row: ``seed`` and, for each of ``loss``, ``accuracy``, ``val_loss`` and
        ``val_accuracy``, a value for each epoch; None where one was not finite.
    searches : dict of int to list of (float or None, float)
        Of each tuned row, in the order in which the trials were run: the best value on the validation split
        of what the row was optimised for, None where the trial failed, and seconds of training.
    confusions : dict of int to list of list of int
        ``[i][j]`` answers j to examples of class i, summed over seeds.
    class_names : dict of str to tuple of str
        By digest of the data set.
    hard_examples : dict of str to list of dict
        Test examples that no row gets right in most of its seeds, by digest of the data set: ``index`` in the
        test split, from 0, ``label``, ``text`` (None where the data set is not at hand), and ``answers``, the
        class that most seeds say by `BoardRow.name`.
    hard_total : dict of str to int
        How many there are in all; only the first are listed.
    links : dict of int to str
        Address in the MLflow UI that compares the runs of a row.
    """

    curves: dict[int, list[dict[str, Any]]] = {}
    searches: dict[int, list[tuple[float | None, float]]] = {}
    confusions: dict[int, list[list[int]]] = {}
    class_names: dict[str, tuple[str, ...]] = {}
    hard_examples: dict[str, list[dict[str, Any]]] = {}
    hard_total: dict[str, int] = {}
    links: dict[int, str] = {}
