"""Ray Tune with Optuna's search: two CPUs, one for each trial."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.search.optuna import OptunaSearch


def objective(config: dict[str, Any]) -> None:
    """Train one configuration."""
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    from task import Configuration, Work, train

    work = Work(Path(config["folder"]))
    number = config["configuration"]
    curve = train(Configuration.of(work.configurations[number]), work)
    work.done(number, curve)
    tune.report({"val_accuracy": max(curve)})


def main() -> None:
    """Search."""
    from task import Work

    work = Work()
    here = str(Path(__file__).resolve().parent)
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": here}},
    )
    points = [{"configuration": number} for number in range(len(work.configurations))]
    search = OptunaSearch(metric="val_accuracy", mode="max", points_to_evaluate=points)
    tuner = tune.Tuner(
        tune.with_resources(objective, {"cpu": 1}),
        param_space={"configuration": tune.choice(range(len(points))), "folder": str(work.folder)},
        tune_config=tune.TuneConfig(search_alg=search, num_samples=len(points)),
        run_config=tune.RunConfig(storage_path=str(work.folder / "ray"), verbose=0),
    )
    tuner.fit()
    ray.shutdown()


if __name__ == "__main__":
    main()
