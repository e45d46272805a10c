"""The points of size curves: their plans, their runs, and the curves that these give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import numpy as np

from benchmark.board.size_curves import Point, SizeCurves, size_curves
from benchmark.data.dataset import Dataset
from benchmark.driver.session import Session
from benchmark.driver.sweep_driver import Sweep
from benchmark.plan.run_specs import Plan, own_overrides, plan_finals
from benchmark.spec.config import SweepConfig
from benchmark.support.errors import UserError
from benchmark.tracking import names
from benchmark.tracking.predictions import PredictionReader
from benchmark.tracking.runs import StoredRun, find_runs
from benchmark.tracking.tracker import Purpose
from benchmark.training.train import class_quotas


@dataclass(frozen=True)
class PlannedPoint:
    """The runs of a model on a number of texts.

    Attributes
    ----------
    plan : Plan
        With nothing to search.
    scaled : str
        How its default was scaled to few texts; empty where it was not.
    purpose : Purpose
        Of its runs, which are tagged with the point.
    """

    plan: Plan
    scaled: str
    purpose: Purpose


def numbers_of_texts(sizes: Sequence[int | None], dataset: Dataset) -> list[int]:
    """Return numbers of training texts that a data set has, rising; None is all of them.

    Raises
    ------
    UserError
        Where there are fewer, or a class would have none of them.
    """
    counts = np.array(dataset.class_counts["train"])
    total, found = dataset.sizes["train"], []
    for size in sizes:
        texts = total if size is None else size
        if texts > total:
            reason = f"'{dataset.name}' has {total:,} training texts; write all for these"
        elif texts in found:
            reason = f"these are all training texts of '{dataset.name}'; write all, or the number"
        elif (quotas := class_quotas(texts, counts[counts > 0])).min() == 0:
            rare = dataset.class_names[np.flatnonzero(counts > 0)[quotas.argmin()]]
            enough = range(texts, total + 1)
            least = next(one for one in enough if class_quotas(one, counts[counts > 0]).min())
            reason = f"so few texts have none of class '{rare}'; expected {least} or more"
        else:
            found.append(texts)
            continue
        raise UserError(reason, setting="sizes", value="all" if size is None else size)
    return sorted(found)


def plan_points(
    models: Sequence[str], dataset: Dataset, sizes: Sequence[int], config: SweepConfig
) -> dict[Point, PlannedPoint]:
    """Plan the runs of models on numbers of texts, by model; what is all of them is no draw."""
    found = {}
    for model in models:
        for texts in sizes:
            drawn = texts if texts < dataset.sizes["train"] else None
            asked = config.model_copy(update={"budget": f"curve {texts}", "train_examples": drawn})
            plan, changed = plan_finals(model, dataset, asked)
            settings = own_overrides(plan.model, config.overrides)
            place = " ".join([str(texts), *(f"{name}={settings[name]}" for name in sorted(settings))])
            scaled = ", ".join(f"{name} {value}" for name, value in changed.items())
            tags = {names.CURVE_POINT: place} | ({names.SCALED: scaled} if scaled else {})
            purpose = Purpose("benchmark.curve", names.CURVE, names.CURVE_RUN, tags=tags, takes_finals=True)
            found[plan.model.label, texts] = PlannedPoint(plan, scaled, purpose)
    return found


def measure(points: Mapping[Point, PlannedPoint], session: Session) -> SizeCurves:
    """Carry out the missing runs, the smallest sizes first, and compute the curves.

    Final runs of sweeps that are the same runs are not done again.

    Raises
    ------
    UserError
        When runs of a point are under way in another process.
    Unfinished
        When results are not in MLflow at the end.
    """
    plans = [one.plan for one in points.values()]
    dataset = plans[0].dataset.name
    with ExitStack() as stack:
        sweeps = []
        for (_, texts), point in sorted(points.items(), key=lambda one: one[0][1]):
            sweep = Sweep(point.plan, session, point.purpose, f"{texts:,} texts")
            sweeps.append(stack.enter_context(closing(sweep)))
            for run in sweep.tracker.finals:
                for name, value in point.purpose.tags.items():
                    if run.tags.get(name) != value:
                        sweep.tracker.tag(run, name, value)
        to_do = {sweep: len(sweep.finals.missing()) for sweep in sweeps}
        left, total = sum(to_do.values()), sum(sweep.finals.total for sweep in sweeps)
        there = f"nothing to do: all {total} runs are there"
        session.display.line(f"to be trained: {left} of {total} runs" if left else there)
        with closing(session.engine(*plans)) as engine:
            for sweep in sweeps:
                if to_do[sweep]:
                    sweep.run(engine)
    session.display.close()
    session.settle(*plans)
    point_of = {
        spec.spec_id: point
        for point, one in points.items()
        for spec in one.plan.final_specs(one.plan.default)
    }
    runs: dict[Point, list[StoredRun]] = {point: [] for point in points}
    for run in find_runs(session.client, dataset, (names.FINAL_RUN, names.CURVE_RUN)):
        if run.spec_id in point_of and run.mlflow_status != "RUNNING":
            runs[point_of[run.spec_id]].append(run)
    return size_curves(runs, PredictionReader(session.client, dataset), plans[0].config.seeds)
