"""The list of commands, and the console script ``textbench`` that offers the same ones."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from benchmark import __version__
from benchmark.support.errors import did_you_mean
from benchmark.support.printable import printable

COMMANDS = {
    "sweep": ("benchmark.sweep", "search, then final runs on fresh seeds, then the board: the main job"),
    "reproduce": ("benchmark.reproduce", "published configurations of tutorials beside their figures"),
    "leaderboard": (
        "benchmark.leaderboard",
        "the board of a data set: table, HTML, Markdown, LaTeX, CSV, JSON",
    ),
    "compare": ("benchmark.compare", "which of two models is better, or how many more seeds it takes"),
    "curve": ("benchmark.curve", "the test metric against the number of training texts: label more?"),
    "predict": ("benchmark.predict", "label raw texts with a trained model"),
    "export": ("benchmark.export", "a trained model as a TensorFlow SavedModel and a plain Keras file"),
    "datasets": ("benchmark.datasets", "list, describe and prepare data sets"),
    "models": ("benchmark.models.__main__", "list and describe architectures"),
    "ledger": ("benchmark.ledger", "reads of test splits, and whether their record is whole"),
    "results": (
        "benchmark.results",
        "finished results as a file, from one folder or server to a different one",
    ),
    "sync": ("benchmark.sync", "bring results to the tracking store that could not be brought before"),
    "embeddings": ("benchmark.embeddings", "learn word vectors from a data set's texts"),
    "doctor": ("benchmark.doctor", "what this machine has and lacks, each with its fix"),
    "conformance": (
        "benchmark.conformance",
        "check a model, data set or engine of your own, or print a template of one",
    ),
    "completion": ("benchmark.completion", "completion of commands and their options in bash and zsh"),
    "ui": ("benchmark.ui", "the MLflow UI on this folder's runs"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``textbench COMMAND …``; without a command, list them."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(f"Textbench {__version__}: which text classifier is better, by how much, at what cost?\n")
        for name, (_, summary) in COMMANDS.items():
            print(f"  python -m benchmark.{name:<12} {summary}")
        print("\nEach has --help. 'textbench COMMAND' is the same as 'python -m benchmark.COMMAND'.")
        return 0
    if words[0] == "--version":
        print(__version__)
        return 0
    if words[0] not in COMMANDS:
        hint = did_you_mean(words[0], COMMANDS)
        print(printable(f"error: there is no command '{words[0]}'; {hint}"), file=sys.stderr)
        return 2
    command: int = importlib.import_module(COMMANDS[words[0]][0]).main(words[1:])
    return command


if __name__ == "__main__":
    sys.exit(main())
