"""Predictions of a model that was trained elsewhere: read, checked, and made a final run of kind imported."""

from __future__ import annotations

import hashlib
import re
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.dataset import Dataset
from benchmark.data.ledger_chain import read_true_classes, text_ids, user_name
from benchmark.data.records import FORMATS, Table, open_table
from benchmark.metrics.metric import Predictions, all_metrics
from benchmark.results_file.importer import figures
from benchmark.spec.result import TEST_VALUE
from benchmark.support.errors import UserError, did_you_mean, file_errors
from benchmark.support.printable import printable
from benchmark.tracking import names
from benchmark.tracking.outbox import Outbox
from benchmark.tracking.record import Point, Record, cleaned, dataset_input, milliseconds
from benchmark.tracking.runs import find_runs

ID, LABEL, PROBABILITIES = "id", "label", "probabilities"
NPZ = ".npz"
KINDS = (*FORMATS, NPZ)
_SUM = 1e-3
_LONGEST_NOTE = 5000  # characters of a tag, in the strictest of MLflow's stores
_DAMAGE = (
    *(ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError),
    *(RuntimeError, MemoryError),
)


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
        if not re.fullmatch(r"[^\s:](?:[^:]{0,98}[^\s:])?", self.name) or not self.name.isprintable():
            reason = (
                "expected a name of 1 to 100 characters in one line, without ':' and without spaces around it"
            )
            raise UserError(reason, setting="model", value=f"'{_shown(self.name)}'")
        if len(self.note) > _LONGEST_NOTE:
            raise UserError(
                f"{len(self.note):,} characters; expected {_LONGEST_NOTE:,} at most", setting="note"
            )
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
        Table (`benchmark.data.records`) with a column ``id`` and either ``label``, a class name, or a column
        of probabilities for each class, named as the class; or npz with such arrays, or ``probabilities``.
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
    classes = dataset.class_names
    numbers = {name: number for number, name in enumerate(classes)}
    with file_errors(path):
        table = _open(path, classes)
    wanted = _wanted(path, table.columns, classes)
    places = {name: place for place, name in enumerate(text_ids(dataset))}
    seen: dict[str, str] = {}
    given = np.zeros((len(places), len(classes)), dtype=np.float32)
    for where, record in table.records((ID, *wanted)):
        one, *values = ("" if value is None else str(value) for value in record)
        place = f"{path}, {where}"
        if one not in places:
            raise UserError(
                f"{place}: '{_shown(one)}' is not the id of a test text of '{dataset.name}'; expected those "
                f"of `datasets export`, {next(iter(places))} to {next(reversed(places))}"
            )
        if one in seen:
            raise UserError(f"{place}: id {one} stands in {seen[one]}, too")
        seen[one] = where
        if wanted == (LABEL,):
            if values[0] not in numbers:
                hint = did_you_mean(values[0], classes)
                raise UserError(f"{place}: '{_shown(values[0])}' is not a class of '{dataset.name}'; {hint}")
            given[places[one], numbers[values[0]]] = 1
            continue
        row = [_number(text) for text in values]
        for name, text, value in zip(classes, values, row, strict=True):
            if not 0 <= value <= 1 + _SUM:
                raise UserError(f"{place}: '{_shown(text)}' of {name} is not a probability from 0 to 1")
        if abs(sum(row) - 1) > _SUM:
            raise UserError(f"{place}: the probabilities of {one} sum to {sum(row):.4g}; expected 1")
        given[places[one]] = row
    if missing := [one for one in places if one not in seen]:
        raise UserError(f"{path}: {len(missing)} of {len(places)} ids are missing, the first is {missing[0]}")
    return given, wanted == (LABEL,)


def _wanted(path: Path, columns: Sequence[str], classes: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of the answers: the label, or a probability for each class."""
    expected = f"{ID} and {LABEL}, or {ID} and a column for each of {', '.join(classes)}"
    labels, probabilities = LABEL in columns, set(classes) <= set(columns)
    if labels and probabilities and LABEL not in classes:
        raise UserError(f"{path}: it has labels and probabilities; expected {expected}")
    wanted = tuple(classes) if probabilities or not labels else (LABEL,)
    if missing := [name for name in (ID, *wanted) if name not in columns]:
        there = _shown(", ".join(columns))
        raise UserError(f"{path}: there is no column '{missing[0]}'; expected {expected}; there are: {there}")
    return wanted


def _open(path: Path, classes: Sequence[str]) -> Table:
    if path.suffix.lower() not in KINDS:
        raise UserError(f"{path}: expected a file that ends in {', '.join(KINDS)}, or a results file .zip")
    return NpzTable(path, classes) if path.suffix.lower() == NPZ else open_table(path, "utf-8", None)


class NpzTable(Table):
    """Arrays of an npz, one value a row; of ``probabilities`` a column is a class."""

    origin = "there"

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        self._path = path
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored}
        except _DAMAGE as error:
            raise UserError(f"{path}: this is not an npz; expected arrays without objects") from error
        table = arrays.pop(PROBABILITIES, None)
        if table is not None:
            if table.ndim != 2 or table.shape[1] != len(classes):
                raise UserError(f"{path}: {PROBABILITIES}: expected {len(classes)} columns, one a class")
            arrays |= dict(zip(classes, table.T, strict=True))
        self._arrays = {
            name: np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array
            for name, array in arrays.items()
            if array.ndim == 1
        }
        self.columns = tuple(self._arrays)

    def records(self, columns: Sequence[str]) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Yield records."""
        chosen = [self._arrays[name] for name in columns]
        if len({len(array) for array in chosen}) > 1:
            raise UserError(f"{self._path}: its columns differ in length")
        for number, values in enumerate(zip(*(array.tolist() for array in chosen), strict=True), 1):
            yield f"row {number}", values


def _shown(text: str) -> str:
    return printable(text)[:60]


def _of_probabilities(name: str) -> bool:
    """Whether a figure says nothing where classes alone are known."""
    metrics = {TEST_VALUE.format(metric.name) for metric in all_metrics() if metric.needs_probabilities}
    return name == names.TEST_LOSS or name in metrics


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


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
