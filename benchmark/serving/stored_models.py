"""A stored model: packed for MLflow, and found again by its data set's board or by its URI."""

from __future__ import annotations

import argparse
import logging
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import cli
from benchmark.support.errors import UserError, did_you_mean, one_line
from benchmark.support.files import RunsFolder

if TYPE_CHECKING:
    from benchmark.board.rows import BoardRow
    from benchmark.serving.mlflow_model import Servable

_MODEL_CODE = Path(__file__).with_name("mlflow_model.py")
_NEEDS = ("numpy", "pandas", "pydantic")


@dataclass(frozen=True)
class StoredModel:
    """A model in a folder.

    Attributes
    ----------
    asked : str
        How the user named it: a URI, a folder, or the data set whose best it is.
    folder : Path
        Folder that `benchmark.training.saving` wrote.
    facts : dict of str to str
        What the tracking store knows of it, in words for people; empty for a folder.
    trust : callable
        Whether a program from there may be run: the user says so, or a sweep of the store wrote it.
    """

    asked: str
    folder: Path
    facts: dict[str, str]
    trust: Callable[[], bool]

    def load(self) -> Servable:
        """Load it.

        Raises
        ------
        UserError
            When it was made by another version of Textbench, has layers that are not here, is damaged, or
            holds a program that is not trusted.
        """
        for path in self.folder.rglob("*"):  # pipes would be waited for; what a link leads to has no digest
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise UserError(f"{self.asked}: the model cannot be loaded ({path} is not a regular file)")
        from benchmark.serving.mlflow_model import Servable, holds_program, is_pipeline
        from benchmark.support.tensorflow_setup import quiet_tensorflow

        if not is_pipeline(self.folder):
            quiet_tensorflow()
        if holds_program(self.folder) and not self.trust():
            raise UserError(
                f"{self.asked}: the model holds a TensorFlow program (saved_model), which could read and "
                "write your files, and no sweep of this store has recorded it; if you trust where "
                "it comes from, add `trust`"
            )
        try:
            return Servable(self.folder)
        except Exception as error:  # Keras, skops, zipfile and TensorFlow have no common base
            raise UserError(f"{self.asked}: the model cannot be loaded ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    text = str(error)
    if layer := re.search(r"Could not locate class '([^']+)'", text):
        return f"its layer '{layer[1]}' is not known here"
    if refused := re.search(r"deserialization of an? ([\w `]+)", text):
        return f"it holds a {refused[1].strip()}, which could run anything"
    return one_line(error)


def find_model(options: argparse.Namespace) -> StoredModel:
    """Find the model that the options of `add_model_options` name; fetch it where it is elsewhere.

    Raises
    ------
    UserError
        When there is none.
    """
    from benchmark.data.files import folder_digest
    from benchmark.tracking import names
    from benchmark.tracking.store import connect, resolve_uri

    facts: dict[str, str] = {}
    recorded: str | None = None
    uri = resolve_uri(options.tracking_uri, cli.RUNS)
    if options.model_uri and Path(options.model_uri).is_dir():
        folder = Path(options.model_uri)
    else:
        cli.check_embedded_store(uri, options.best)
        client = connect(uri)
        source = options.model_uri or _best(client, options.best, options.model)
        folder = _download(source, uri)
        if (run := _run_of(client, source)) is not None:
            facts, recorded = _facts(run), run.data.tags.get(names.MODEL_DIGEST)  # 0.1.0 recorded none
    asked = f"`model_uri` {options.model_uri}" if options.model_uri else f"`best` {options.best}"
    # An MLflow model keeps ours as one of its artifacts.
    places = ("text.json", "artifacts/*/text.json", "*/artifacts/*/text.json")
    found = next((path for place in places for path in sorted(folder.glob(place)) if path.is_file()), None)
    if found is None:
        raise UserError(f"{asked}: there is no Textbench model in {folder}")
    if recorded and not options.trust and folder_digest(found.parent) != recorded:
        raise UserError(
            f"{asked}: {found.parent} does not hold the files that its sweep stored: the store was changed; "
            "restore them from a copy, or add `trust` if you changed them"
        )
    trust = partial(_is_recorded, found.parent, uri)
    known = options.trust or bool(recorded)
    return StoredModel(asked, found.parent, facts, (lambda: True) if known else trust)


def _is_recorded(folder: Path, uri: str) -> bool:
    """Whether a sweep of the store kept a model of exactly these files."""
    from benchmark.data.files import folder_digest
    from benchmark.tracking import names
    from benchmark.tracking.runs import find_runs
    from benchmark.tracking.store import connect

    try:
        cli.check_embedded_store(uri)
        client = connect(uri)
    except UserError:
        return False
    return bool(find_runs(client, kinds=(names.FINAL_RUN,), MODEL_DIGEST=folder_digest(folder)))


def _best(client: Any, dataset: str, model: str | None) -> str:
    """Return the URI of the stored model of the board's first row, or the first one of a model."""
    from benchmark.board.stored_board import read_board
    from benchmark.tracking import names

    rows = read_board(client, dataset, RunsFolder(cli.RUNS).ledger, single="best").rows
    known = {row.model for row in rows}
    if model and model not in known:
        reason = f"not on the board of '{dataset}'; {did_you_mean(model, known)}"
        raise UserError(reason, setting="model", value=model)
    kept = kept_model(client, [row for row in rows if model in (None, row.model)])
    if kept is None:
        which = f"no row of '{model}' on" if model else "no row of"
        raise UserError(f"{which} the board of '{dataset}' has a stored model; run a sweep on it")
    row, run_id = kept
    mark = f" ({row.watermark})" if row.watermark else ""
    cli.say(f"model: {row.model}, {row.tier}, run {run_id}{mark}", error=True)
    return f"runs:/{run_id}/{names.SERVABLE}"


def kept_model(client: Any, rows: Iterable[BoardRow]) -> tuple[BoardRow, str] | None:
    """Return the first row with an accuracy and a stored model, and the run that kept it."""
    from benchmark.tracking import names
    from benchmark.tracking.runs import artifact_folder

    for row in rows:
        for run_id in row.run_ids if row.test_mean is not None else ():
            if folder := artifact_folder(client, run_id):  # MLflow takes longer to import than this to look
                found = (folder / names.SERVABLE).is_dir()
            else:
                found = any(item.path == names.SERVABLE for item in client.list_artifacts(run_id))
            if found:
                return row, run_id
    return None


def _download(source: str, uri: str) -> Path:
    import mlflow

    from benchmark.support.databases import engine_url

    try:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=source, tracking_uri=engine_url(uri)))
    except Exception as error:
        expected = "expected runs:/RUN_ID/model, models:/NAME/VERSION or a folder"
        reason = f"unavailable ({one_line(error)}); {expected}"
        raise UserError(reason, setting="model_uri", value=source) from error


def _run_of(client: Any, source: str) -> Any:
    """Return the run that made a model ``runs:/RUN_ID/…``; None for other addresses."""
    run_id = re.match(r"runs:/+([^/]+)/", source)
    return client.get_run(run_id[1]) if run_id else None


def _facts(run: Any) -> dict[str, str]:
    """Return what the store knows of the run that made a model."""
    from benchmark.board.rows import WATERMARK
    from benchmark.tracking import names

    data = run.data
    kept = {
        "model": names.MODEL,
        "data set": names.DATASET,
        "tier": names.TIER,
        "budget": names.BUDGET,
        "protocol": names.PROTOCOL,
        "trained with": names.VERSIONS,
    }
    facts = {word: data.tags[tag] for word, tag in kept.items() if data.tags.get(tag)}
    if names.TEST_ACCURACY in data.metrics:
        facts["test accuracy"] = f"{data.metrics[names.TEST_ACCURACY]:.4f} (of this training run)"
    if facts.get("budget") == "smoke":
        facts["note"] = WATERMARK
    return {**facts, "run": run.info.run_id}


def pack_model(servable: Path, target: Path) -> None:
    """Write an MLflow model (python_function) that takes raw text, where Textbench is not installed, too.

    Parameters
    ----------
    servable : Path
        Folder that `benchmark.training.saving` wrote.
    target : Path
        Folder of the MLflow model; must not exist.
    """
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        import mlflow.pyfunc

        from benchmark.data import text, tokens
        from benchmark.serving.mlflow_model import is_pipeline, read_text_processing
        from benchmark.training import scores

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        beside = [Path(str(module.__file__)) for module in (text, tokens, scores)]
        beside.append(tokens.CLASSES)
        for file in (_MODEL_CODE, *beside):
            shutil.copy(file, folder)
        needs: tuple[str, ...] = (
            *_NEEDS,
            *(("scikit-learn", "skops") if is_pipeline(servable) else ("tensorflow", "keras")),
        )
        needs += tuple(name.replace("_", "-") for name in read_text_processing(servable).libraries)
        mlflow.pyfunc.save_model(
            path=str(target),
            python_model=str(Path(folder) / _MODEL_CODE.name),
            artifacts={"servable": str(servable)},
            pip_requirements=[f"{name}=={version(name)}" for name in needs],
        )
        for file in beside:
            shutil.copy(file, target)
