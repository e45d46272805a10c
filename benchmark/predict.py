"""Label raw texts with a trained model. Run as ``python -m benchmark.predict``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import cli
from benchmark.errors import UserError
from benchmark.stored import add_model_options, check_model_options, find_model

if TYPE_CHECKING:
    from argparse import Namespace


def parser() -> cli.Parser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "predict",
        "Label raw texts: from the arguments, a file with one text a line, or standard input.",
        "examples:\n  echo 'a dull, lifeless film' | python -m benchmark.predict --best imdb\n"
        "  python -m benchmark.predict --model-uri runs:/RUN_ID/model 'a dull film' 'a great one'",
    )
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts to label")
    add_model_options(parser)
    parser.add_argument("--file", metavar="FILE", help="read texts from a file, one a line")
    parser.add_argument("--json", action="store_true", help="print JSON lines with all probabilities")
    return parser


def predict(arguments: Sequence[str]) -> int:
    """Carry out the command; see `parser` for its arguments."""
    options = parser().parse_args(arguments)
    check_model_options(options)
    texts = _texts(options)
    if not texts:
        raise UserError("there are no texts; give them as arguments, with --file, or on standard input")
    servable = find_model(options).load()
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return cli.run_command(predict, arguments)


if __name__ == "__main__":
    sys.exit(main())
