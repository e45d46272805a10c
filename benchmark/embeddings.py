"""Learn word vectors from a data set's texts. Run as ``python -m benchmark.embeddings``."""

from __future__ import annotations

import json
import shlex
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import cli
from benchmark.support.errors import spelled
from benchmark.support.signals import INTERRUPTED

if TYPE_CHECKING:
    from benchmark.vectors.word2vec import VectorSettings

_METHODS = ("skipgram", "cbow")
_SETTINGS = ("dim", "epochs", "words", "min_count", "window", "method", "workers", "seed")


_NUMBERS = [
    cli.option(f"--{name} N", f"{text} (default: {default})", cli.whole_number(low), default=default)
    for name, low, default, text in (
        ("dim", 1, 50, "numbers of a vector"),
        ("epochs", 1, 5, "passes over the texts"),
        ("words", 1, 50_000, "most words that get a vector, the most frequent first"),
        ("min-count", 1, 5, "times a word must occur"),
        ("window", 1, 5, "words looked at on each side"),
        ("workers", 1, 1, "threads; with more than one, two trainings give different vectors"),
        ("seed", 0, 0, "of weights and draws"),
    )
]


@cli.command(
    "embeddings",
    cli.option("--dataset D", "a name, dir:PATH, csv:PATH, hf:NAME, tfds:NAME", required=True),
    cli.option("--output DIR", "the folder to make", required=True),
    *_NUMBERS,
    cli.option(
        "--method M",
        "skipgram, or cbow, which is several times as fast (default: skipgram)",
        cli.Choice("method", _METHODS),
        default="skipgram",
    ),
    *cli.DATA_OPTIONS,
)
def main(options: Namespace) -> int:
    """Learn word vectors (word2vec) from the training texts of a data set, and from its unlabelled texts
    where it has some. Texts of the validation and test splits are left out. The folder that is written has
    vectors.txt, for the architecture 'glove', and module/, for the architecture 'hub'. Needs gensim: pip
    install 'textbench[vectors]'.

    example:
      python -m benchmark.embeddings --dataset imdb --output imdb-vectors
      python -m benchmark.sweep --model glove --set vectors=imdb-vectors/vectors.txt --dataset imdb
    """
    output = Path(options.output).expanduser().absolute()
    from benchmark.vectors.word2vec import VectorSettings, need_gensim

    settings = VectorSettings(**{name: getattr(options, name) for name in _SETTINGS})
    try:
        with cli.new_folder(output) as folder:
            need_gensim()
            _fill(folder, options, settings)
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return INTERRUPTED
    cli.say(f"written: {output / 'vectors.txt'} and {output / 'module'}")
    return cli.DONE


def _fill(folder: Path, options: Namespace, settings: VectorSettings) -> None:
    """Train, and write all files into a folder."""
    from benchmark.data.prepare import choose_dataset
    from benchmark.data.source import get_source
    from benchmark.vectors.hub_modules import write_module
    from benchmark.vectors.text_files import write_vectors
    from benchmark.vectors.word2vec import Corpus, own_texts, train_vectors

    source_options = cli.source_options(options)

    def say(text: str) -> None:
        cli.say(spelled(text))

    source = get_source(options.dataset, source_options)
    say(f"{options.dataset}: reading the texts")
    dataset = choose_dataset(options.dataset, source_options, say, say)
    training, unlabelled = own_texts(source, dataset)
    tokens = folder / "tokens.txt"
    corpus = Corpus(tokens, (text for texts in (training, unlabelled) for text in texts))
    labelled = dataset.sizes["train"]
    total = corpus.counts.total()
    cli.say(
        f"{options.dataset}: {corpus.texts:,} texts ({labelled:,} of the training split, "
        f"{corpus.texts - labelled:,} unlabelled), {total:,} tokens, {len(corpus.counts):,} words"
    )
    started = time.perf_counter()

    def on_epoch(epoch: int) -> None:
        cli.say(f"epoch {epoch} of {settings.epochs}, {time.perf_counter() - started:.0f} s")

    words, vectors = train_vectors(corpus, settings, on_epoch)
    covered = sum(corpus.counts[word] for word in words) / total
    cli.say(f"{len(words):,} words have a vector of {settings.dim}: {covered:.1%} of the tokens")
    cli.say("writing the vectors and the module")
    tokens.unlink()
    write_vectors(folder / "vectors.txt", words, vectors)
    write_module(folder / "module", words, vectors)
    sidecar = {
        "protocol": "unlabelled",
        "dataset": dataset.name,
        "dataset_digest": dataset.digest,
        "texts": corpus.texts,
        "words": len(words),
        "dim": settings.dim,
        "made_by": _command(options),
    }
    for path in (folder / "vectors.txt.json", folder / "module" / "textbench.json"):
        path.write_text(json.dumps(sidecar, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _command(options: Namespace) -> str:
    """Return the command with all that makes the vectors, defaults included."""
    words = ["python", "-m", "benchmark.embeddings", "--dataset", options.dataset]
    data = ("validation_share", "encoding", "quoting", "text_column", "label_column", "columns")
    names = (*data, "drop_missing", "min_per_class", *_SETTINGS)
    given = {name: getattr(options, name) for name in names}
    for name, value in given.items():
        if value not in (None, False) or name in _SETTINGS:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join(words)


if __name__ == "__main__":
    sys.exit(main())
