"""A results file, written from the stores of a folder."""

from __future__ import annotations

import hashlib
import io
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from benchmark.board.stored_board import single_version
from benchmark.data.ledger_chain import all_chains
from benchmark.results_file import schema
from benchmark.results_file.schema import Manifest, RunEntry
from benchmark.search.finished_search import read_search
from benchmark.support.errors import UserError
from benchmark.support.files import RunsFolder, written_whole
from benchmark.tracking import names
from benchmark.tracking.runs import (
    StoredRun,
    artifact_path,
    dataset_inputs,
    find_runs,
    read_points,
    read_spec,
)
from benchmark.tracking.store import of_store

_SEARCH_TOTALS = (names.SEARCH_TRIALS, names.SEARCH_SECONDS)
_NO_FILE = (OSError, KeyError, ValueError, zipfile.BadZipFile)


def export_results(
    client: Any,
    dataset: str,
    runs: RunsFolder,
    target: Path,
    storage: str | None = None,
    notice: Callable[[str], None] = lambda text: None,
) -> dict[str, int]:
    """Write the finished runs of a data set, its searches and the ledger to a file.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store.
    dataset : str
        As `benchmark.board.stored_board.board_builder` takes it; it must be a single one.
    runs : RunsFolder
        With the ledger, and the journals of the studies.
    target : Path
        The file; one that is there is replaced.
    storage : str, optional
        URL of the database with the studies.
    notice : callable
        Gets what is left out, and why.

    Returns
    -------
    dict of str to int
        How many sweeps, trials, final runs and searches it has.

    Raises
    ------
    UserError
        When nothing is known of the data set, or the ledger or a study is damaged.
    """
    name, digest = single_version(client, dataset)
    found = find_runs(client, name, (names.SWEEP, names.TRIAL_RUN, names.FINAL_RUN))
    if any(run.fold for run in found):
        raise UserError(f"{name}: runs on folds are on several data sets, and a results file has one")
    used = next((one for one in dataset_inputs(client, name) if one.digest == digest and one.profile), None)
    if used is None:
        raise UserError(f"{name}: its runs were made by a version that did not record the classes")
    found = [run for run in found if run.dataset_digest == digest]
    sweeps = {run.study: run for run in found if run.kind == names.SWEEP}
    files: dict[str, bytes] = {}
    entries, left_out = [], 0
    for run in (*sweeps.values(), *(run for run in found if run.kind != names.SWEEP)):
        if run.kind != names.SWEEP and run.mlflow_status == "RUNNING":
            continue
        try:
            if run.study not in sweeps:
                raise KeyError(run.study)
            entries.append(_entry(client, run, files))
        except _NO_FILE as error:
            if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
                raise
            left_out += 1
        except Exception as error:
            if not of_store(error):
                raise
            left_out += 1
    if left_out:
        notice(f"left out: {left_out} runs that were imported, or lack a spec or predictions")
    searches = [read_search(study, storage, runs.studies) for study in sweeps]
    known = [search for search in searches if search is not None]
    if missing := [study for study, search in zip(sweeps, searches, strict=True) if search is None]:
        notice(
            f"without their search: {', '.join(missing)} (no study of the name here; name its `storage`); "
            "elsewhere, the same sweep would search again"
        )
    files[schema.RUNS] = b"".join(entry.model_dump_json().encode() + b"\n" for entry in entries)
    files[schema.SEARCHES] = b"".join(search.model_dump_json().encode() + b"\n" for search in known)
    files |= {schema.LEDGER.format(place): chain for place, chain in enumerate(all_chains(runs.ledger))}
    checksums = {one: hashlib.sha256(content).hexdigest() for one, content in sorted(files.items())}
    facts = {"name": name, "digest": digest, "source": used.source, "profile": used.profile}
    try:
        manifest = Manifest(dataset=facts, files=checksums)
    except ValidationError as error:
        raise UserError(f"{name}: {error.errors()[0]['msg']}") from error
    with written_whole(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for one, content in {schema.MANIFEST: manifest.model_dump_json(indent=1).encode(), **files}.items():
            # A fixed date: equal results are equal files.
            archive.writestr(zipfile.ZipInfo(one), content, zipfile.ZIP_DEFLATED)
    kinds = Counter(entry.kind for entry in entries)
    return {**{kind: kinds[kind] for kind in ("sweep", "trial", "final")}, "search": len(known)}


def _entry(client: Any, run: StoredRun, files: dict[str, bytes]) -> RunEntry:
    """Return a run, its predictions added to the files."""
    whole = client.get_run(run.run_id)
    tags = {name: value for name, value in run.tags.items() if name in schema.TAGS and value}
    entry: dict[str, Any] = {
        # Runs of version 0.1.0 may have no key of ours.
        "key": run.key or uuid.uuid5(uuid.NAMESPACE_URL, f"run/{run.run_id}").hex,
        "kind": run.kind,
        "name": whole.info.run_name or run.kind,
        "start_time": run.start_time,
        "end_time": run.end_time,
        "status": "KILLED" if run.mlflow_status == "RUNNING" else run.mlflow_status,
    }
    if run.kind == names.SWEEP:
        wanted = [name for name in _SEARCH_TOTALS if name in run.metrics]
        params = dict(whole.data.params)
    else:
        wanted = [name for name in run.metrics if not name.startswith("system/")]
        params = {}
        spec = read_spec(client, run.run_id)
        entry |= {"spec": spec}
        tags = {**tags, names.STATUS: run.status}
    if run.kind == names.FINAL_RUN and run.status == "ok":
        with np.load(artifact_path(client, run.run_id, names.PREDICTIONS), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in schema.ARRAYS if name in stored}
            entry["threshold"] = float(stored["threshold"]) if "threshold" in stored else None
        entry["arrays"] = {name: _add_array(files, array) for name, array in arrays.items()}
    metrics = tuple(read_points(client, run.run_id, wanted))
    made = RunEntry(**entry, tags=tags, params=params, metrics=metrics)
    kept = made.spec_tags
    return made.model_copy(update={"tags": {name: value for name, value in tags.items() if name not in kept}})


def _add_array(files: dict[str, bytes], array: NDArray[Any]) -> str:
    """Add an array, half as long where that loses nothing; equal ones, as labels are, are there once.

    Rounded to half precision, probabilities would change figures that a board prints: the fourth digit of
    a log loss, and answers where two classes are nearly equal.
    """
    if array.dtype == np.float32 and np.array_equal(array.astype(np.float16).astype(np.float32), array):
        array = array.astype(np.float16)
    content = io.BytesIO()
    np.lib.format.write_array(content, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    files[schema.ARRAY.format(digest)] = content.getvalue()
    return digest
