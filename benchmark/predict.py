"""Label raw texts with a trained model. Run as ``python -m benchmark.predict``."""

from __future__ import annotations

import codecs
import json
import os
import sys
from argparse import Namespace
from pathlib import Path

from benchmark import cli
from benchmark.serving.stored_models import find_model
from benchmark.support.errors import UserError, file_errors
from benchmark.support.printable import printable


@cli.command(
    "predict",
    cli.option("texts TEXT", "texts to label", nargs="*"),
    *cli.MODEL_OPTIONS,
    cli.option("--file FILE", "read texts from a file, one a line"),
    cli.switch("--json", "print JSON lines with all probabilities"),
)
def main(options: Namespace) -> int:
    r"""Label raw texts: from the arguments, a file with one text a line, or standard input. Each gets one
    line, in their order, an empty text too; control characters in it are shown as escapes such as \n.

    examples:
      echo 'a dull, lifeless film' | python -m benchmark.predict --best imdb
      python -m benchmark.predict --model-uri runs:/RUN_ID/model 'a dull film' 'a great one'
    """
    cli.check_model_options(options)
    texts = _texts(options)
    if not texts:
        raise UserError("there are no texts; give them as arguments, with --file, or on standard input")
    stored = find_model(options)
    servable = stored.load()
    from benchmark.serving.mlflow_model import NoAnswer

    try:
        probabilities = servable.predict(texts)
    except NoAnswer as error:
        raise UserError(f"{stored.asked}: {error}") from error
    for text, label, row in zip(texts, servable.labels(probabilities), probabilities, strict=True):
        classes = dict(zip(servable.class_names, (float(value) for value in row), strict=True))
        if options.json:
            record = {"text": text, "label": label, "probability": classes[label], "probabilities": classes}
            print(json.dumps(record))  # in ASCII: valid on any terminal, and nothing in it steers one
        else:
            print(f"{printable(label)}\t{classes[label]:.4f}\t{printable(text)}")
    return cli.DONE


def _texts(options: Namespace) -> list[str]:
    """Return the texts, without the byte order marks that programs put in front."""
    if options.texts and options.file:
        raise UserError("give texts as arguments or with --file, not both")
    if options.texts:
        # Python decodes arguments by the locale, which may know less than the texts need.
        texts = [
            _decoded(os.fsencode(text), f"text {number}") for number, text in enumerate(options.texts, 1)
        ]
    else:
        where = f"--file {options.file}" if options.file else "standard input"
        with file_errors(where):
            content = Path(options.file).read_bytes() if options.file else sys.stdin.buffer.read()
        # Lines of a file end as they do for other programs; str.splitlines knows eight more ways.
        lines = _decoded(content, where).split("\n")
        texts = [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]
    return [text.lstrip("\ufeff") for text in texts]


def _decoded(content: bytes, where: str) -> str:
    encoding, reason = "UTF-16", "holds NUL bytes, as UTF-16 and binary files do"
    try:
        text = content.decode("utf-8")
        if "\x00" not in text:
            return text
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        encoding, reason = "LATIN1", f"not UTF-8 at byte {error.start} (line {line})"
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            encoding, reason = "UTF-16", "this is UTF-16"
    raise UserError(
        f"{where}: {reason}; expected UTF-8, convert it from the encoding that it is in, for example with "
        f"iconv -f {encoding} -t UTF-8"
    )


if __name__ == "__main__":
    sys.exit(main())
