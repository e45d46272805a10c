"""What this machine can do, and the parts of an epoch: ``python perf/limits.py``.

Bytes a second of a copy, operations a second of products of matrices as large as 1,024 × 1,024 and as small
as those of an LSTM, and the seconds that parts of an epoch of avg-pool take under XLA: 20,000 texts of 256
words, 10,000 words in the vocabulary (frequent ones as frequent as in English, by Zipf's law), vectors of 16
numbers, batches of 512. Beside them the floor: the bytes of table rows, gradients and Adam's moments that
the part has to move, at the speed of the copy.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmark.models.avg_pool import build
from benchmark.models.task import Task
from benchmark.training.batches import prepare

TEXTS, LENGTH, WORDS, WIDTH, BATCH, ROUNDS = 20_000, 256, 10_000, 16, 512, 7
STEPS = TEXTS // BATCH


def seconds(run: Callable[[], Any]) -> float:
    """Return the median of some calls, the first one left out."""
    run()
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def bytes_a_second() -> float:
    """Copy 160 MB; each byte is read once and written once."""
    source = np.ones(20_000_000)
    target = np.empty_like(source)
    return 2 * source.nbytes / seconds(lambda: np.copyto(target, source))


def operations_a_second(rows: int, inner: int, columns: int) -> float:
    """Multiply matrices, 50 products a call."""
    left, right = tf.random.normal((rows, inner)), tf.random.normal((inner, columns))

    @tf.function
    def products() -> tf.Tensor:
        total = tf.zeros((rows, columns))
        for number in tf.range(50):
            total += tf.matmul(left * tf.cast(number, tf.float32), right)
        return total

    return 50 * 2 * rows * inner * columns / seconds(lambda: products().numpy())


def parts() -> list[tuple[str, float, int]]:
    """Return name, seconds an epoch, and bytes that have to be moved, of parts that contain each other."""
    generator = np.random.default_rng(0)
    frequency = 1 / np.arange(1, WORDS + 1)
    words = generator.choice(WORDS, (STEPS * BATCH, LENGTH), p=frequency / frequency.sum())
    ids, labels = tf.constant(words.astype("int32")), tf.constant(np.arange(len(words), dtype="int32") % 2)
    order = tf.constant(generator.permutation(len(words)).astype("int32"))
    model = build(Task(("neg", "pos"), WORDS, LENGTH))
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True), metrics=["accuracy"])
    prepare(model, ids, labels[:, None])

    def loss(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return model.compute_loss(x, y[:, None], model(x, training=True))

    def gradients(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            value = loss(x, y)
        found = tape.gradient(value, model.trainable_variables)
        # Adding up the rows of words that occur more than once is a part of it.
        return tf.add_n([tf.reduce_sum(tf.convert_to_tensor(one)) for one in found])

    def step(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        model.train_step((x, y[:, None]))
        return tf.constant(0.0)

    rows, table = TEXTS * LENGTH * WIDTH * 4, WORDS * WIDTH * 4
    moved = [rows, 2 * rows + STEPS * table, 2 * rows + STEPS * 7 * table]
    answer = []
    names = ("forward", "forward and backward", "the whole step, with Adam")
    for name, part, size in zip(names, (loss, gradients, step), moved, strict=True):

        @tf.function(jit_compile=True)
        def epoch(part: Callable[..., tf.Tensor] = part) -> tf.Tensor:
            total = tf.constant(0.0)
            for number in tf.range(STEPS):
                taken = tf.slice(order, [number * BATCH], [BATCH])
                total += part(tf.gather(ids, taken), tf.gather(labels, taken))
            return total

        answer.append((name, seconds(lambda epoch=epoch: epoch().numpy()), size))  # type: ignore[misc]
    return answer


def main() -> None:
    """Measure and print."""
    speed = bytes_a_second()
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, TensorFlow {tf.__version__}\n")
    print(f"a copy of 160 MB moves {speed / 1e9:.0f} GB/s")
    for sizes in ((1024, 1024, 1024), (64, 228, 400)):
        print(f"{sizes[0]} × {sizes[1]} by {sizes[1]} × {sizes[2]}: ", end="")
        print(f"{operations_a_second(*sizes) / 1e9:.0f} GFLOP/s")
    print("\n| part of an epoch of avg-pool | seconds | bytes to move | at the speed of the copy |")
    print("| --- | --- | --- | --- |")
    for name, took, size in parts():
        print(f"| {name} | {took:.3f} | {size / 1e6:.0f} MB | {size / speed:.3f} s |")


if __name__ == "__main__":
    main()
