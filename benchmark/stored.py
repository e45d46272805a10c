"""A stored model, by its data set's board or by its URI: where it is, and what is known of it."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import cli
from benchmark.errors import UserError, did_you_mean
from benchmark.urls import redacted

if TYPE_CHECKING:
    from benchmark.training.servable import Servable


@dataclass(frozen=True)
class StoredModel:
    """A model in a folder.

    Attributes
    ----------
    asked : str
        How the user named it: a URI, a folder, or the data set whose best it is.
    folder : Path
        Folder that `benchmark.training.servable` wrote.
    facts : dict of str to str
        What the tracking store knows of it, in words for people; empty for a folder.
    """

    asked: str
    folder: Path
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def is_pipeline(self) -> bool:
        """Whether it is scikit-learn's, not TensorFlow's."""
        return (self.folder / "pipeline.skops").is_file()

    def load(self) -> Servable:
        """Load it.

        Raises
        ------
        UserError
            When it was made by another version of Textbench, or has layers that are not here.
        """
        from benchmark.quiet import quiet_tensorflow

        quiet_tensorflow()
        from benchmark.training.servable import Servable

        try:
            return Servable(self.folder)
        except (TypeError, ValueError) as error:
            layer = re.search(r"Could not locate class '([^']+)'", str(error))
            reason = f"its layer '{layer[1]}' is not known here" if layer else str(error).partition("\n")[0]
            raise UserError(f"{self.asked}: the model cannot be loaded ({reason[:200]})") from error


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name one stored model, and its store."""
    parser.add_argument(
        "--best", type=cli.data_set, metavar="D", help="use the first row of this data set's board"
    )
    parser.add_argument("--model", metavar="M", help="with --best: the first row of this architecture")
    parser.add_argument(
        "--model-uri", type=cli.possible_path, metavar="URI", help="use this MLflow model, or folder"
    )
    cli.add_store_options(parser)


def check_model_options(options: argparse.Namespace) -> None:
    """Refuse no model and two models."""
    if (options.best is None) == (options.model_uri is None):
        raise UserError("name one model: --best DATASET or --model-uri URI")
    if options.model and options.best is None:
        raise UserError(f"--model {options.model}: goes with --best DATASET, not with --model-uri")


def find_model(options: argparse.Namespace) -> StoredModel:
    """Find the model that the options of `add_model_options` name; fetch it where it is elsewhere.

    Raises
    ------
    UserError
        When there is none.
    """
    facts: dict[str, str] = {}
    if options.model_uri and Path(options.model_uri).is_dir():
        folder = Path(options.model_uri)
    else:
        from benchmark.tracking.store import connect, resolve_uri

        uri = resolve_uri(options.tracking_uri, cli.RUNS)
        cli.check_embedded_store(uri)
        client = connect(uri)
        source = options.model_uri or _best(client, options.best, options.model)
        folder = _download(source, uri)
        facts = _facts(client, source)
    asked = f"--model-uri {options.model_uri}" if options.model_uri else f"--best {options.best}"
    # An MLflow model keeps ours as one of its artifacts.
    found = next(iter(sorted(folder.rglob("text.json"))), None)
    if found is None:
        raise UserError(f"{asked}: there is no Textbench model in {folder}")
    return StoredModel(asked, found.parent, facts)


def _best(client: Any, dataset: str, model: str | None) -> str:
    """Return the URI of the stored model of the board's first row, or the first one of a model."""
    from benchmark.boards import read_board
    from benchmark.data.source import experiment_name
    from benchmark.tracking import names

    rows = read_board(client, experiment_name(dataset), cli.RUNS / "ledger.jsonl").rows
    known = {row.model for row in rows}
    if model and model not in known:
        raise UserError(f"--model {model}: not on the board of '{dataset}'; {did_you_mean(model, known)}")
    for row in rows:
        if model and row.model != model:
            continue
        for run_id in row.run_ids:
            if any(item.path == names.SERVABLE for item in client.list_artifacts(run_id)):
                mark = f" ({row.watermark})" if row.watermark else ""
                cli.say(f"model: {row.model}, {row.tier}, run {run_id}{mark}", error=True)
                return f"runs:/{run_id}/{names.SERVABLE}"
    which = f"no row of '{model}' on" if model else "no row of"
    raise UserError(f"{which} the board of '{dataset}' has a stored model; run a sweep on it")


def _download(source: str, uri: str) -> Path:
    import mlflow

    from benchmark.databases import engine_url

    try:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=source, tracking_uri=engine_url(uri)))
    except Exception as error:
        reason = redacted(str(error)).partition("\n")[0][:200]
        raise UserError(f"--model-uri {source}: cannot be had ({reason})") from error


def _facts(client: Any, source: str) -> dict[str, str]:
    """Return what the store knows of the run that made a model ``runs:/RUN_ID/…``."""
    from benchmark.report.rows import WATERMARK
    from benchmark.tracking import names

    run_id = re.match(r"runs:/+([^/]+)/", source)
    if run_id is None:
        return {}
    data = client.get_run(run_id[1]).data
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
    return {**facts, "run": run_id[1]}
