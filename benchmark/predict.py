"""Label raw texts with a trained model. Run as ``python -m benchmark.predict``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import cli
from benchmark.errors import UserError

if TYPE_CHECKING:
    from argparse import Namespace

    from benchmark.training.servable import Servable


def parser() -> cli.Parser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "predict",
        "Label raw texts: from the arguments, a file with one text a line, or standard input.",
        "examples:\n  echo 'a dull, lifeless film' | python -m benchmark.predict --best imdb\n"
        "  python -m benchmark.predict --model-uri runs:/RUN_ID/model 'a dull film' 'a great one'",
    )
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts to label")
    parser.add_argument("--best", metavar="D", help="use the first row of this data set's board")
    parser.add_argument("--model-uri", metavar="URI", help="use this MLflow model, or folder")
    parser.add_argument("--file", metavar="FILE", help="read texts from a file, one a line")
    parser.add_argument("--json", action="store_true", help="print JSON lines with all probabilities")
    cli.add_store_options(parser)
    return parser


def predict(arguments: Sequence[str]) -> int:
    """Carry out the command; see `parser` for its arguments."""
    options = parser().parse_args(arguments)
    if (options.best is None) == (options.model_uri is None):
        raise UserError("name one model: --best DATASET or --model-uri URI")
    texts = _texts(options)
    if not texts:
        raise UserError("there are no texts; give them as arguments, with --file, or on standard input")
    servable = _load(options)
    probabilities = servable.predict(texts)
    for text, row in zip(texts, probabilities, strict=True):
        best = int(row.argmax())
        label = servable.class_names[best]
        if options.json:
            classes = dict(zip(servable.class_names, (float(value) for value in row), strict=True))
            record = {"text": text, "label": label, "probability": float(row[best]), "probabilities": classes}
            print(json.dumps(record, ensure_ascii=False))
        else:
            print(f"{label}\t{row[best]:.4f}\t{text}")
    return cli.DONE


def _texts(options: Namespace) -> list[str]:
    if options.texts and options.file:
        raise UserError("give texts as arguments or with --file, not both")
    if options.texts:
        return list(options.texts)
    try:
        content = Path(options.file).read_bytes() if options.file else sys.stdin.buffer.read()
        return [line for line in content.decode("utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise UserError(f"--file {options.file}: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        where = options.file or "standard input"
        raise UserError(f"{where}: not UTF-8 at byte {error.start}") from error


def _load(options: Namespace) -> Servable:
    """Return the model, from the store or a folder."""
    from benchmark.quiet import quiet_tensorflow
    from benchmark.tracking.store import connect, resolve_uri

    if options.model_uri and Path(options.model_uri).is_dir():
        folder = Path(options.model_uri)
    else:
        uri = resolve_uri(options.tracking_uri, cli.RUNS)
        cli.check_embedded_store(uri)
        client = connect(uri)
        source = options.model_uri or _best(client, options.best)
        folder = _download(source, uri)
    quiet_tensorflow()
    from benchmark.training.servable import Servable

    # An MLflow model keeps ours as one of its artifacts.
    found = next(iter(sorted(folder.rglob("text.json"))), None)
    if found is None:
        raise UserError(f"{options.model_uri or options.best}: there is no Textbench model in {folder}")
    return Servable(found.parent)


def _best(client: Any, dataset: str) -> str:
    """Return the URI of the stored model of the board's first row."""
    from benchmark.data.source import experiment_name
    from benchmark.leaderboard import board_rows
    from benchmark.tracking import names

    for row in board_rows(client, experiment_name(dataset), cli.RUNS / "ledger.jsonl"):
        for run_id in row.run_ids:
            if any(item.path == names.SERVABLE for item in client.list_artifacts(run_id)):
                mark = f" ({row.watermark})" if row.watermark else ""
                print(f"model: {row.model}, {row.tier}, run {run_id}{mark}", file=sys.stderr)
                return f"runs:/{run_id}/{names.SERVABLE}"
    raise UserError(f"no row of the board of '{dataset}' has a stored model; run a sweep on it")


def _download(source: str, uri: str) -> Path:
    import mlflow

    try:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=source, tracking_uri=uri))
    except Exception as error:
        reason = str(error).partition("\n")[0][:200]
        raise UserError(f"--model-uri {source}: cannot be had ({reason})") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return cli.run_command(predict, arguments)


if __name__ == "__main__":
    sys.exit(main())
