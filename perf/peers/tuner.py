"""KerasTuner: a hypermodel whose `fit` vectorises, under RandomSearch or, as ``hyperband``, Hyperband."""

from __future__ import annotations

import sys
from typing import Any

import keras
import keras_tuner
from task import Configuration, Work, build, vectorized


class Reviews(keras_tuner.HyperModel):
    """Which configuration is the hyper-parameter, so that it tries the same ones."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work

    def _configuration(self, hp: Any) -> tuple[int, Configuration]:
        number = hp.Choice("configuration", list(range(len(self.work.configurations))))
        return number, Configuration.of(self.work.configurations[number])

    def build(self, hp: Any) -> keras.Model:
        """Build the model of a configuration."""
        return build(self._configuration(hp)[1], self.work.model)

    def fit(self, hp: Any, model: keras.Model, *args: Any, **options: Any) -> Any:
        """Vectorise the texts and train."""
        number, configuration = self._configuration(hp)
        x, y, validation_x, validation_y = vectorized(configuration, self.work)
        history = model.fit(
            x,
            y,
            *args,
            validation_data=(validation_x, validation_y),
            batch_size=configuration.batch_size,
            **options,
        )
        self.work.done(number, [float(value) for value in history.history["val_accuracy"]])
        return history


def main(kind: str = "random") -> None:
    """Search."""
    work = Work()
    common = {"objective": "val_accuracy", "directory": "tuner", "overwrite": True}
    if kind == "hyperband":
        tuner = keras_tuner.Hyperband(Reviews(work), max_epochs=work.epochs, seed=0, **common)
    else:
        tuner = keras_tuner.RandomSearch(Reviews(work), max_trials=len(work.configurations), seed=0, **common)
    stop = keras.callbacks.EarlyStopping("val_accuracy", patience=work.patience, restore_best_weights=True)
    tuner.search(epochs=work.epochs, callbacks=[stop], verbose=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
