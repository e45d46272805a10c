"""Size curves: the test metric of models against the number of training texts, and where they cross."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, groupby, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.board.board import build_board
from benchmark.board.ranking import LEVEL, scale_of
from benchmark.board.rows import BoardRow
from benchmark.metrics.metric import ACCURACY, Metric, get_metric
from benchmark.stats.differences import Runs, borrowing, paired_differences, runs_of
from benchmark.stats.intervals import MIN_SEEDS
from benchmark.stats.moderation import FloatArray
from benchmark.stats.verdicts import Comparison, family, sentence, too_few
from benchmark.tracking import names
from benchmark.tracking.predictions import PredictionReader
from benchmark.tracking.runs import StoredRun, find_runs

Point = tuple[str, int]
"""A model, and its number of training texts."""

Couple = tuple[Point, Point]


@dataclass(frozen=True)
class SizeCurves:
    """The test metric of some models by the number of their training texts.

    Attributes
    ----------
    dataset : str
        Its name.
    metric : Metric
        Of all figures.
    points : dict of (str, int) to BoardRow
        By model and number of texts, in order.
    comparisons : dict of ((str, int), (str, int)) to Comparison
        Of two models with as many texts, and of a model with the most and with the next fewer texts; from the
        first's side.
    networks : bool
        Whether a model is a network, whose training is followed on the validation split.
    scaled : dict of (str, int) to str
        How the default of a network was scaled to few texts.
    """

    dataset: str
    metric: Metric
    points: Mapping[Point, BoardRow]
    comparisons: Mapping[Couple, Comparison]
    networks: bool
    scaled: Mapping[Point, str]

    @property
    def models(self) -> list[str]:
        """Their names, in order."""
        return list(dict.fromkeys(model for model, _ in self.points))

    @property
    def sizes(self) -> list[int]:
        """Numbers of training texts, rising."""
        return sorted({texts for _, texts in self.points})

    @property
    def sentences(self) -> list[str]:
        """Where two models cross, or that they do not, and what the last step to more texts brings each."""
        if not self.comparisons:
            return [f"nothing is compared: that takes {MIN_SEEDS} draws of a point, with predictions"]
        few = dict.fromkeys(filter(None, map(too_few, self.comparisons.values())))
        steps = [
            sentence(one, *(f"{model} with {span([texts])}" for model, texts in couple))
            for couple, one in self.comparisons.items()
            if couple[0][0] == couple[1][0]
        ]
        return [*few, *(self._crossing(a, b) for a, b in combinations(self.models, 2)), *steps]

    def _crossing(self, a: str, b: str) -> str:
        """Say at which sizes which of two models is better, and whether they cross."""
        found = {texts: self.comparisons.get(((a, texts), (b, texts))) for texts in self.sizes}
        verdicts = []
        for _, group in groupby(found.items(), lambda one: one[1] and one[1].outcome):
            near = dict(group)
            verdicts.append(_verdict(a, b, [one for one in near.values() if one is not None], span(near)))
        return f"{a} and {b}: {', '.join(verdicts)}; {_conclusion(found)}"


def span(sizes: Iterable[int]) -> str:
    """Write neighbouring numbers of texts: ``300 to 3,000 texts``."""
    first, *more = sizes
    return f"{first:,}{f' to {more[-1]:,}' if more else ''} texts"


def _verdict(a: str, b: str, near: Sequence[Comparison], where: str) -> str:
    """Say what was found at neighbouring sizes, the same at each."""
    if not near or near[0].outcome == "undecided":
        return f"{'undecided' if near else 'not compared'} at {where}"
    scale = near[0].scale
    if near[0].outcome == "equivalent":
        return f"equivalent within {scale.with_unit(near[0].margin or 0.0)} at {where}"
    by = scale.with_unit(abs(near[-1].difference))
    by = f"{scale.text(abs(near[0].difference))} to {by}" if len(near) > 1 else by
    return f"{a if near[0].outcome == 'better' else b} is better at {where} by {by}"


def _conclusion(found: Mapping[int, Comparison | None]) -> str:
    """Say whether two models cross, as far as that is shown."""
    known = {texts: one for texts, one in found.items() if one is not None}
    shown = {texts: one.outcome for texts, one in known.items() if one.outcome in ("better", "worse")}
    if crossings := _changes(shown):
        return f"they cross {crossings}"
    if crossings := _changes({texts: one.a_is_ahead for texts, one in known.items()}):
        return f"no crossing is shown, but their means cross {crossings}"
    if len(shown) == len(found):
        return "they do not cross within these sizes"
    return "no crossing is shown within these sizes"


def _changes(values: Mapping[int, object]) -> str:
    places = [(n, m) for (n, one), (m, other) in pairwise(values.items()) if one != other]
    return " and ".join(f"between {n:,} and {m:,} texts" for n, m in places)


def size_curves(
    runs: Mapping[Point, Sequence[StoredRun]], predictions: PredictionReader, seeds: int
) -> SizeCurves:
    """Compute curves from final runs.

    Parameters
    ----------
    runs : mapping of (str, int) to sequence of StoredRun
        Of each model and number of training texts, all of one configuration but for that number, of one data
        set and metric; at least one in all.
    predictions : PredictionReader
        Of these runs.
    seeds : int
        How many draws there are to be of each point.

    Notes
    -----
    A point is a row of a board that has one section for each number of texts, so its figures are those of
    any row. Comparisons are paired over seeds and over test texts: a seed draws the same texts for all
    models, and those of a larger number contain those of a smaller one. All comparisons of models are one
    family, the last steps to more texts another (`benchmark.stats.verdicts.family`). Variances over draws are
    borrowed along the sizes of two models, or the steps of one, but never become smaller by that: few texts
    vary more than many (a test simulates the errors of this).
    """
    shown = [_as_row(run, *point, seeds) for point, found in runs.items() for run in found]
    board, measured = build_board(shown, {}, predictions, draws=True)
    rows = {(row.model, int(row.budget)): row for row in board.rows}
    points = {point: rows[point] for point in runs if point in rows}
    metric = get_metric(board.rows[0].metric)
    values = {
        (row.model, int(row.budget)): _values(row, metric, predictions)
        for row in (board.rows[place] for place in measured)
    }
    classes = next((one.classes for one in measured.values() if isinstance(one, Runs)), None)
    models, sizes = dict.fromkeys(model for model, _ in points), sorted({texts for _, texts in points})
    across = [[((a, n), (b, n)) for n in sizes] for a, b in combinations(models, 2)]
    along = [[((one, more), (one, fewer)) for fewer, more in pairwise(sizes)] for one in models]
    last = {group[-1] for group in along if group}
    steps = {couple: one for couple, one in _paired(along, values).items() if couple in last}
    comparisons: dict[Couple, Comparison] = {}
    for pairs in filter(None, (_paired(across, values), steps)):
        found = family(
            paired_differences(list(pairs.values()), classes),
            [(one.n_seeds, one.n_seeds) for one in pairs.values()],
            margin=metric.margin,
            level=LEVEL,
            unsteady=[(points[a].unsteady, points[b].unsteady) for a, b in pairs],
            scale=scale_of(metric),
        )
        comparisons |= zip(pairs, found, strict=True)
    tags = {point: found[0].tags for point, found in runs.items() if found}
    return SizeCurves(
        board.rows[0].dataset,
        metric,
        points,
        comparisons,
        networks=any(run.deterministic for run in shown),
        scaled={point: tags[point][names.SCALED] for point in points if names.SCALED in tags[point]},
    )


def _as_row(run: StoredRun, model: str, texts: int, seeds: int) -> StoredRun:
    """Return a run of a point as one of a row of its own."""
    facts = {names.MODEL: model, names.BUDGET: str(texts), names.SEEDS_EXPECTED: str(seeds)}
    return replace(run, tags={**run.tags, **facts, names.TIER: "default", names.STUDY: ""})


def _values(row: BoardRow, metric: Metric, predictions: PredictionReader) -> dict[int, NDArray[Any]]:
    """Return by seed what the run of a row has of each test text, as comparisons need it."""
    found: dict[int, NDArray[Any] | None] = {}
    for seed, run_id in zip(row.seeds, row.run_ids, strict=True):
        if metric.name == ACCURACY:
            found[seed] = predictions.right(run_id)
        elif measured := predictions.measured(run_id, metric):
            found[seed] = measured.pseudo_values
    return {seed: one for seed, one in found.items() if one is not None}


def _paired(
    groups: Iterable[Sequence[Couple]], values: Mapping[Point, Mapping[int, NDArray[Any]]]
) -> dict[Couple, Runs]:
    """Summarise the differences of couples; each group borrows variances within itself."""
    found: dict[Couple, Runs] = {}
    for couples in groups:
        tables: dict[Couple, FloatArray] = {}
        for couple in couples:
            a, b = (values.get(point, {}) for point in couple)
            if len(common := sorted(a.keys() & b.keys())) >= MIN_SEEDS:
                tables[couple] = np.stack([np.subtract(a[k], b[k], dtype=np.float64) for k in common])
        own = [runs_of(table) for table in tables.values()]
        pairs = zip(own, borrowing(own), strict=True)
        careful = [replace(one, variance=max(alone.variance, one.variance)) for alone, one in pairs]
        found |= zip(tables, careful, strict=True)
    return found


def read_size_curves(client: Any, dataset: str, digests: Collection[str] = ()) -> list[SizeCurves]:
    """Compute the curves of all runs of the command ``curve`` on a data set, one for each metric.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store.
    dataset : str
        Name of the data set, which is the name of the experiment.
    digests : collection of str
        Those of the data that are meant, where any are; others have the name, too.
    """
    groups: dict[tuple[str, str], list[StoredRun]] = defaultdict(list)
    seeds: Counter[tuple[str, str]] = Counter()
    for run in find_runs(client, dataset, (names.CURVE, names.CURVE_RUN, names.FINAL_RUN)):
        key = run.dataset_digest, run.optimised_for
        if names.CURVE_POINT not in run.tags or (digests and key[0] not in digests):
            continue
        if run.kind == names.CURVE:
            seeds[key] = max(seeds[key], run.seeds_expected)
        elif run.mlflow_status != "RUNNING":
            groups[key].append(run)
    predictions = PredictionReader(client, dataset)
    return [size_curves(_points(found), predictions, seeds[key]) for key, found in groups.items()]


def _points(runs: Sequence[StoredRun]) -> dict[Point, list[StoredRun]]:
    """Group runs, the latest first, by point; of each the configuration of the latest counts."""
    found: dict[tuple[str, str, int], list[StoredRun]] = defaultdict(list)
    for run in runs:
        size, _, settings = run.tags[names.CURVE_POINT].partition(" ")
        found[run.model, settings, int(size)].append(run)
    variants = Counter(model for model, _ in {(model, settings) for model, settings, _ in found})
    points: dict[Point, list[StoredRun]] = {}
    for (model, settings, texts), group in sorted(found.items()):
        name = f"{model} {settings}".strip() if variants[model] > 1 else model
        latest = group[0].tags[names.CONFIG_ID]
        points[name, texts] = [run for run in group if run.tags[names.CONFIG_ID] == latest]
    return points
