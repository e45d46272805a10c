"""Word vectors learned from a data set's texts: word2vec, by gensim, which is imported here alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.data.dataset import Dataset
from benchmark.data.source import Source
from benchmark.data.text import tokenize
from benchmark.support.errors import UserError

INSTALL = "pip install 'textbench[vectors]'"

_ROWS = 4096  # texts read at a time
_LONGEST = 10_000  # tokens; gensim drops what is behind


@dataclass(frozen=True)
class VectorSettings:
    """How word vectors are trained; what is not here is gensim's default.

    Attributes
    ----------
    dim : int
        Numbers of a vector.
    epochs : int
        Passes over the texts.
    words : int
        Most words that get a vector, the most frequent first.
    min_count : int
        Times a word must occur.
    window : int
        Words taken in on each side.
    method : {"skipgram", "cbow"}
        Predict the neighbours from the word, or the word from its neighbours.
    workers : int
        Threads; with more than one, two trainings differ.
    seed : int
        Of weights and draws.
    """

    dim: int
    epochs: int
    words: int
    min_count: int
    window: int
    method: str
    workers: int
    seed: int


class Corpus:
    """Tokenised texts in a file, one a line, read again for each epoch.

    Attributes
    ----------
    texts : int
        How many there were.
    counts : Counter of str
        Occurrences of each word.
    """

    def __init__(self, path: Path, texts: Iterable[str]) -> None:
        self._path = path
        self.texts = 0
        counts: Counter[bytes] = Counter()
        with path.open("wb") as file:
            for text in texts:
                tokens = tokenize(text)
                counts.update(tokens)
                self.texts += 1
                for start in range(0, len(tokens), _LONGEST):
                    file.write(b" ".join(tokens[start : start + _LONGEST]) + b"\n")
        self.counts = Counter({word.decode("utf-8"): count for word, count in counts.items()})

    def __iter__(self) -> Iterator[list[str]]:
        with self._path.open("rb") as file:
            for line in file:
                yield line.rstrip(b"\n").decode("utf-8").split(" ")

    def frequent(self, words: int, min_count: int) -> dict[str, int]:
        """Return the most frequent words with their counts, ties by the word."""
        known = [(word, count) for word, count in self.counts.items() if count >= min_count]
        return dict(sorted(known, key=lambda item: (-item[1], item[0]))[:words])


def own_texts(source: Source, dataset: Dataset) -> tuple[Iterator[str], Iterator[str]]:
    """Return the texts of a data set that word vectors may be learned from.

    Parameters
    ----------
    source : Source
        Where it comes from; it may have texts without a label (`unlabelled`), and leaves out those that
        also stand in its test split.
    dataset : Dataset
        The same, prepared.

    Returns
    -------
    training, unlabelled : iterator of str
        The training split, and the texts without a label but for those that also stand in the
        validation split.
    """
    train = dataset.view("train", None)
    validation = set(dataset.view("validation", None).texts())
    blocks = (train.rows[start : start + _ROWS] for start in range(0, len(train.rows), _ROWS))
    unlabelled: Callable[[], Iterator[str]] = getattr(source, "unlabelled", lambda: iter(()))
    return (
        (text for rows in blocks for text in train.mapped.texts(rows)),
        (text for text in unlabelled() if text not in validation),
    )


def need_gensim() -> None:
    """Raise `UserError` with the install command where gensim is missing."""
    try:
        import gensim.models.word2vec  # noqa: F401
    except ImportError as error:
        raise UserError(f"word vectors are trained with gensim, which is missing here; {INSTALL}") from error


def train_vectors(
    corpus: Corpus, settings: VectorSettings, on_epoch: Callable[[int], None] = lambda epoch: None
) -> tuple[list[str], NDArray[np.float32]]:
    """Learn word vectors (Mikolov et al. 2013, arXiv 1301.3781 and 1310.4546).

    With one worker, the same texts and settings give the same vectors on the same machine.

    Parameters
    ----------
    corpus : Corpus
        The texts.
    settings : VectorSettings
        How they are trained.
    on_epoch : callable
        Gets the number of each epoch that is done, from 1.

    Returns
    -------
    words : list of str
        Most frequent first.
    vectors : ndarray of float32, shape [words, dim]
        Theirs.

    Raises
    ------
    UserError
        When gensim is missing, or no word is frequent enough.
    """
    need_gensim()
    from gensim.models.callbacks import CallbackAny2Vec
    from gensim.models.word2vec import Word2Vec

    class Epochs(CallbackAny2Vec):  # type: ignore[misc]
        done = 0

        def on_epoch_end(self, model: Word2Vec) -> None:
            self.done += 1
            on_epoch(self.done)

    frequent = corpus.frequent(settings.words, settings.min_count)
    if not frequent:
        raise UserError(
            "no word occurs that often in the texts", setting="min_count", value=settings.min_count
        )
    model = Word2Vec(
        vector_size=settings.dim,
        window=settings.window,
        sg=int(settings.method == "skipgram"),
        min_count=1,
        workers=settings.workers,
        seed=int(np.random.SeedSequence(settings.seed).generate_state(1)[0]),
    )
    model.build_vocab_from_freq(frequent, corpus_count=corpus.texts)
    tokens = corpus.counts.total()
    model.train(corpus, total_words=tokens, epochs=settings.epochs, callbacks=[Epochs()])
    words = list(frequent)
    return words, np.asarray(model.wv[words], dtype=np.float32)
