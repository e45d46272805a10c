"""Made-up runs for the tests of tracking, and a client whose answers get lost."""

import random
from pathlib import Path

from benchmark.data.dataset import Dataset
from benchmark.plan.run_specs import make_plan
from benchmark.spec.config import SweepConfig
from benchmark.spec.result import EpochReport, Result
from benchmark.tracking import names
from benchmark.tracking.record import Point, Record
from benchmark.tracking.runs import all_runs

EPOCHS = 3


def make_plan_of(dataset="toy", **settings):
    """A plan from facts of a data set alone."""
    facts = Dataset(Path(), dataset, "0" * 32, ("a", "b"), {"train": 9, "validation": 3, "test": 3}, 50, 9)
    values = {"budget": "quick", "trials": 6, "seeds": 3, "epochs": 5, "train_share": 1.0, "pruner": "none"}
    return make_plan("avg-pool", facts, SweepConfig(**{**values, **settings}))


def a_record(number=0, **changes):
    """A finished run."""
    values = {
        "key": f"{number:032x}",
        "experiment": "toy",
        "run_name": f"trial {number}",
        "start_time": 1000 + number,
        "end_time": 2000 + number,
        "params": {f"param {place}": str(place) for place in range(130)},
        "tags": {names.KIND: names.TRIAL_RUN, names.STATUS: "ok", names.TRIAL: str(number)},
        "metrics": tuple(
            Point(name, value / (step + 1), 1000 + step, step)
            for step in range(EPOCHS)
            for name, value in (("loss", 0.7), ("endless", float("inf")), ("nothing", float("nan")))
        ),
        "dataset": {"name": "toy", "digest": "0" * 32, "source": "{}", "profile": "{}"},
        "status": "FINISHED",
    }
    return Record(**{**values, **changes})


def fill(text="hello"):
    """What writes two artifacts, one of them in a folder."""

    def write(folder):
        (folder / "model").mkdir()
        (folder / "spec.json").write_text("{}")
        (folder / "model" / "weights.txt").write_text(text)

    return write


def train(tracker, spec, tags, result=None, epochs=EPOCHS, text="hello"):
    """Track a run from its beginning to its end."""
    key = tracker.start(spec, f"run {spec.spec_id}", tags)
    for epoch in range(1, epochs + 1):
        tracker.epoch(key, EpochReport(epoch, epochs, {"loss": 1 / epoch, "val_accuracy": 0.5}, 0.5))
    result = result or Result("ok", best_val_accuracy=0.5, train_seconds=2.0)
    tracker.end(key, result, lambda folder: (folder / "note.txt").write_text(text))
    return key


def trial(tracker, plan, slot, **more):
    tags = {names.KIND: names.TRIAL_RUN, names.TRIAL: str(slot)}
    return train(tracker, plan.trial_spec(plan.default, slot), tags, **more)


def final(tracker, plan, seed, **more):
    tags = {names.KIND: names.FINAL_RUN, names.TIER: "default", names.SEED: str(seed)}
    return train(tracker, plan.final_specs(plan.default)[seed], tags, **more)


def runs_of(client, dataset="toy"):
    """Every run of a data set that was not deleted."""
    experiment = client.get_experiment_by_name(dataset)
    return [] if experiment is None else all_runs(client, [experiment.experiment_id], "")


def contents(client, dataset="toy"):
    """All that the runs of a data set are made of, by our key; fails where a key stands for two runs."""
    runs = runs_of(client, dataset)
    found = {}
    for run in runs:
        run_id = run.info.run_id
        histories = {
            name: [
                (point.step, point.timestamp, repr(point.value))
                for point in client.get_metric_history(run_id, name)
            ]
            for name in run.data.metrics
        }
        tags = {name: value for name, value in run.data.tags.items() if name != names.PARENT}
        inputs = [(item.dataset.name, item.dataset.digest) for item in run.inputs.dataset_inputs]
        found[run.data.tags[names.RUN_KEY]] = (
            (run.info.run_name, run.info.status, run.info.start_time, run.info.end_time),
            (tags, run.data.params, histories, inputs, artifacts(client, run_id)),
        )
    assert len(found) == len(runs)
    return found


def artifacts(client, run_id, folder=None):
    """Paths of a run's artifacts, and the size of each."""
    found = {}
    for item in client.list_artifacts(run_id, folder):
        found |= artifacts(client, run_id, item.path) if item.is_dir else {item.path: item.file_size}
    return found


class Faulty:
    """A client of a real store that fails before or after what it was asked to do.

    Parameters
    ----------
    faults : callable
        By name of the method: ``"before"``, ``"after"``, or None for no fault.
    """

    def __init__(self, client, faults):
        self._client, self._faults = client, faults
        self.failed = 0

    def __getattr__(self, name):
        value = getattr(self._client, name)
        if not callable(value):
            return value

        def ask(*words, **options):
            fault = self._faults(name)
            self.failed += fault is not None
            if fault == "before":
                raise ConnectionError("http://me:secret@host does not answer")
            answer = value(*words, **options)
            if fault == "after":
                raise ConnectionError("http://me:secret@host does not answer")
            return answer

        return ask


def half_the_time(seed):
    """Faults of a server that answers half of all requests with 500."""
    generator = random.Random(seed)
    return lambda name: generator.choice(["before", "after", None, None])
