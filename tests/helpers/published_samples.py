"""Small published configurations on the built-in data set, as files."""

from pathlib import Path

TINY = """\
name: tiny
title: flatten, small
source: {title: A tutorial, url: "https://example.org/tutorial"}
dataset: {name: sample}
model: flatten
settings:
  vocabulary_size: 500
  sequence_length: 16
  padding: post
  truncation: pre
  embedding_dim: 4
  units: 0
  dropout: 0.0
  optimizer: adam
  learning_rate: 0.01
  schedule: constant
  batch_size: 512
  epochs: 2
  patience: null
published:
  - {metric: test_accuracy, value: 0.99}
  - {metric: test_loss, low: 0.1, high: 2}
band: {metric: test_accuracy, low: 0.9, high: 1}
differs: [The texts are made by a program.]
cost: quick
seconds: 2
"""

ABSENT = TINY.replace("name: tiny", "name: absent").replace("{name: sample}", "{name: imdb-int}")
"""Its data set is not on any machine of the tests."""

SLOW = (
    TINY.replace("name: tiny", "name: slow")
    .replace("cost: quick", "cost: slow")
    .replace("seconds: 2", "seconds: 1")
)


def write(folder, **files):
    """Write ``folder/NAME.yaml`` for each; return the folder."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder
