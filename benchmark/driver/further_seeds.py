"""Further seeds of a row of a board: the same configuration, trained as its sweep would have."""

from __future__ import annotations

import json
from typing import Any

from benchmark.board.rows import BoardRow
from benchmark.data.prepare import find_prepared
from benchmark.driver.session import Session
from benchmark.driver.sweep_driver import run_finals
from benchmark.models.source_description import describe
from benchmark.plan.run_specs import Plan
from benchmark.plan.space import Space
from benchmark.spec.config import RunSpec, SweepConfig
from benchmark.support.errors import UserError
from benchmark.tracking import names
from benchmark.tracking.runs import read_spec
from benchmark.tracking.tracker import FURTHER


def run_seeds(row: BoardRow, seeds: int, session: Session) -> None:
    """Train the final runs of a row that are missing for a number of seeds in all.

    Parameters
    ----------
    row : BoardRow
        With at least one run.
    seeds : int
        Seeds 0 to ``seeds - 1`` are to be there.
    session : Session
        Where the row's runs are, and the new ones will be.

    Raises
    ------
    UserError
        When the row cannot be trained again as it was: the data, the model's file or a resource is not
        what it was, or not here.
    """
    plan, tier = plan_further(row, seeds, session.client)
    run_finals(plan, FURTHER, tier, session)


def plan_further(row: BoardRow, seeds: int, client: Any) -> tuple[Plan, str]:
    """Plan a row's final runs again, and make sure that its old ones are among them.

    Returns
    -------
    plan : Plan
        Whose default is the row's configuration, with nothing to search.
    tier : str
        As the row's runs are tagged.
    """
    run_id = row.run_ids[0]
    spec, tags = read_spec(client, run_id), client.get_run(run_id).data.tags
    dataset = find_prepared(row.dataset_digest)
    if dataset is None:
        raise UserError(
            f"data set '{row.dataset}' (digest {row.dataset_digest}) is not prepared on this machine; "
            "prepare it: python -m benchmark.datasets prepare"
        )
    params = client.get_run(tags[names.PARENT]).data.params  # what the sweep was asked for
    asked = {name: value for name, value in params.items() if value != "None"}
    model = describe(spec.model)
    config = SweepConfig(
        budget=row.budget,
        trials=1,
        seeds=seeds,
        epochs=spec.training.epochs if spec.training else 1,
        epochs_exact=True,
        train_share=spec.train_share,
        train_examples=spec.train_examples,
        seed=int(asked.get("seed", 0)),
        device=asked.get("device", "auto"),
        compile=asked.get("compile", "auto"),
        deterministic=asked.get("deterministic", "auto"),
        study=row.study,
        metric=spec.metric,
    )
    space = Space(model=model.name, source=f"run {run_id}", default=spec.flat())
    plan = Plan(model, dataset, space, config)
    again = plan.final_specs(plan.default)
    if spec.seeds.index < len(again) and again[spec.seeds.index].spec_id != tags[names.SPEC_ID]:
        raise UserError(
            f"{row.name} cannot be trained again as it was: {changed(spec, again[spec.seeds.index])}; "
            "sweep it again"
        )
    return plan, tags[names.TIER]


def changed(old: RunSpec, new: RunSpec) -> str:
    """Name the first thing that differs between two specs."""
    from pandas import json_normalize

    before, after = (
        json_normalize(spec.model_dump(mode="json")).to_dict("records")[0] for spec in (old, new)
    )
    for name in [*before, *(name for name in after if name not in before)]:
        if before.get(name) != after.get(name):
            return f"{name} was {json.dumps(before.get(name))} and is {json.dumps(after.get(name))} now"
    return "it was made by another version of Textbench"
