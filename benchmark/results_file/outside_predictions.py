"""Predictions of a model that was trained elsewhere: read, checked, and made a final run of kind imported."""

from __future__ import annotations

import csv
import hashlib
import itertools
import uuid
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.dataset import Dataset
from benchmark.data.ledger_chain import read_true_classes, text_ids, user_name
from benchmark.metrics.metric import Predictions, all_metrics
from benchmark.results_file.importer import figures
from benchmark.spec.result import TEST_VALUE
from benchmark.support.errors import UserError, did_you_mean, file_errors, one_line
from benchmark.tracking import names
from benchmark.tracking.outbox import Outbox
from benchmark.tracking.record import Point, Record, cleaned, dataset_input, milliseconds
from benchmark.tracking.runs import find_runs

ID, LABEL, PROBABILITIES = "id", "label", "probabilities"
KINDS = (".csv", ".parquet", ".npz")
_SUM = 1e-3


@dataclass(frozen=True)
class OutsideModel:
    """Who made predictions, and what is said of it.

    Attributes
    ----------
    name : str
        Of the row.
    seed : int
        Which of its repetitions.
    seconds : float or None
        Of training.
    note : str
        Anything.
    tags : dict of str to str
        Of the run, as far as they follow from this.
    """

    name: str
    seed: int = 0
    seconds: float | None = None
    note: str = ""
    tags: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        tier = dict.fromkeys((names.TIER, names.BUDGET, names.PROTOCOL), names.IMPORTED)
        shared = {
            names.KIND: names.FINAL_RUN,
            names.STATUS: "ok",
            names.USER: user_name(),
            names.NOTE: self.note,
        }
        own = {names.MODEL: self.name, names.SEED: str(self.seed), names.SOURCE: "benchmark.results"}
        object.__setattr__(self, "tags", {**tier, **shared, **own})


def read_outside(path: Path, dataset: Dataset) -> tuple[NDArray[np.float32], bool]:
    """Read predictions for all test texts of a data set.

    Parameters
    ----------
    path : Path
        CSV or Parquet with a column ``id`` and either ``label``, a class name, or a column of probabilities
        for each class, named as the class; or npz with ``id`` and ``label`` or ``probabilities``.
    dataset : Dataset
        The data set.

    Returns
    -------
    ndarray of float32, shape (N, classes)
        In the order of the split; 0 and 1 where there were labels.
    bool
        Whether there were labels.

    Raises
    ------
    UserError
        Which names line and value.
    """
    with file_errors(path):
        columns = _columns(path, dataset.class_names)
    where = f"{path}, line" if path.suffix == ".csv" else f"{path}, row"
    ids = [str(one) for one in columns[ID]]
    first = 2 if path.suffix == ".csv" else 0
    places = {name: place for place, name in enumerate(text_ids(dataset))}
    seen: dict[str, int] = {}
    for line, one in enumerate(ids, first):
        if one not in places:
            raise UserError(
                f"{where} {line}: '{one[:60]}' is not the id of a test text of '{dataset.name}'; expected "
                f"those of `datasets export`, {next(iter(places))} to {next(reversed(places))}"
            )
        if one in seen:
            raise UserError(f"{where} {line}: id {one} stands in {where.rpartition(' ')[2]} {seen[one]}, too")
        seen[one] = line
    if missing := [one for one in places if one not in seen]:
        raise UserError(f"{path}: {len(missing)} of {len(places)} ids are missing, the first is {missing[0]}")
    classes, given = dataset.class_names, np.zeros((len(ids), len(dataset.class_names)), dtype=np.float32)
    for line, (one, *values) in enumerate(zip(ids, *_values(columns), strict=True), first):
        row = given[places[one]]
        if LABEL in columns:
            if values[0] not in classes:
                hint = did_you_mean(values[0], classes)
                raise UserError(
                    f"{where} {line}: '{values[0][:60]}' is not a class of '{dataset.name}'; {hint}"
                )
            row[classes.index(values[0])] = 1
            continue
        for name, text in zip(classes, values, strict=True):
            row[classes.index(name)] = value = _number(text)
            if not 0 <= value <= 1 + _SUM:
                raise UserError(f"{where} {line}: '{text}' of {name} is not a probability from 0 to 1")
        if abs(float(row.sum(dtype=np.float64)) - 1) > _SUM:
            raise UserError(f"{where} {line}: the probabilities of {one} sum to {row.sum():.4g}; expected 1")
    return given, LABEL in columns


def _of_probabilities(name: str) -> bool:
    """Whether a figure says nothing where classes alone are known."""
    metrics = {TEST_VALUE.format(metric.name) for metric in all_metrics() if metric.needs_probabilities}
    return name == names.TEST_LOSS or name in metrics


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _values(columns: Mapping[str, Sequence[Any]]) -> list[list[str]]:
    """Return the columns that are not ids, as texts."""
    return [[str(one) for one in column] for name, column in columns.items() if name != ID]


def _columns(path: Path, classes: Sequence[str]) -> dict[str, Sequence[Any]]:
    """Return ids and either labels, or probabilities by class, in the order of the classes."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            try:
                header, *rows = csv.reader(file, strict=True)
            except (csv.Error, ValueError) as error:
                raise UserError(f"{path}: this is not a CSV with a header: {one_line(error)}") from error
        for line, row in enumerate(rows, 2):
            if len(row) != len(header):
                raise UserError(f"{path}, line {line}: {len(row)} fields; expected {len(header)}")
        found = dict(zip(header, zip(*rows, strict=True) if rows else itertools.repeat(()), strict=False))
    elif path.suffix == ".parquet":
        import pandas as pd

        try:
            found = {str(name): tuple(column) for name, column in pd.read_parquet(path).items()}
        except (ValueError, ImportError) as error:
            raise UserError(f"{path}: {one_line(error)}") from error
    elif path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as stored:
                found = {name: tuple(stored[name].tolist()) for name in stored}
        except (ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: this is not an npz; expected arrays without objects") from error
        table = found.pop(PROBABILITIES, None)
        if table is not None:
            if any(not isinstance(row, list) or len(row) != len(classes) for row in table):
                raise UserError(f"{path}: {PROBABILITIES}: expected {len(classes)} columns, one a class")
            found |= dict(zip(classes, zip(*table, strict=True), strict=True))
    else:
        raise UserError(f"{path}: expected a file that ends in {', '.join(KINDS)}, or a results file .zip")
    wanted = (LABEL,) if LABEL in found else tuple(classes)
    if missing := [name for name in (ID, *wanted) if name not in found]:
        expected = f"{ID} and {LABEL}, or {ID} and a column for each of {', '.join(classes)}"
        raise UserError(f"{path}: there is no column '{missing[0]}'; expected {expected}")
    if len({len(found[name]) for name in (ID, *wanted)}) > 1:
        raise UserError(f"{path}: its columns differ in length")
    return {name: found[name] for name in (ID, *wanted)}


def import_predictions(
    given: NDArray[np.float32],
    labels_only: bool,
    dataset: Dataset,
    model: OutsideModel,
    client: Any,
    outbox: Outbox,
    ledger: Path,
    location: str | None,
) -> dict[str, float]:
    """Make predictions a final run, unless they are one, and return their test figures.

    Parameters
    ----------
    given, labels_only
        From `read_outside`.
    dataset : Dataset
        The data set.
    model : OutsideModel
        Who made them.
    client, outbox, ledger, location
        As `benchmark.results_file.importer.import_results` has them; measuring them is a test read.

    Raises
    ------
    UserError
        Where there are different ones of the same model and seed.
    """
    content = hashlib.sha256(
        f"{dataset.digest} {model.name} {model.seed} ".encode() + given.tobytes()
    ).hexdigest()
    runs = find_runs(client, dataset.name, (names.FINAL_RUN,), spool=outbox.spool, MODEL=model.name)
    for run in runs:
        if run.dataset_digest == dataset.digest and names.IMPORTED not in run.tiers:
            raise UserError("a sweep has made a row of this name; choose a different one", setting="model")
        if run.dataset_digest == dataset.digest and run.seed == model.seed:
            if run.spec_id == content[:16]:
                return {}
            reason = f"there are different predictions of '{model.name}' with it; choose a different one"
            raise UserError(reason, setting="seed", value=model.seed)
    truth = read_true_classes(dataset, content[:16], model.name, ledger)
    test, now = Predictions(truth, given), milliseconds()
    found = {
        name: value for name, value in figures(test).items() if not (labels_only and _of_probabilities(name))
    }
    seconds = {} if model.seconds is None else {names.TRAIN_SECONDS: model.seconds}
    tags = {
        **model.tags,
        names.DATASET: dataset.name,
        names.DATASET_DIGEST: dataset.digest,
        names.STUDY: f"imported-{model.name}-{dataset.digest[:8]}",
        names.SPEC_ID: content[:16],
        names.LABELS_ONLY: "true" if labels_only else "",
        names.TEST_DUPLICATES: f"{dataset.test_duplicates} of {dataset.sizes['test']}",
    }
    record = Record(
        key=uuid.uuid5(uuid.NAMESPACE_URL, f"imported/{content}").hex,
        experiment=dataset.name,
        location=location,
        run_name=f"{model.name} imported seed {model.seed}",
        start_time=now,
        end_time=now,
        tags=cleaned({name: value for name, value in tags.items() if value}),
        metrics=tuple(Point(name, value, now, 0) for name, value in {**found, **seconds}.items()),
        dataset=dataset_input(dataset),
        status="FINISHED",
    )

    def write(folder: Path) -> None:
        np.savez_compressed(folder / names.PREDICTIONS, probabilities=given, labels=truth)

    outbox.spool.commit(record, write)
    return found
