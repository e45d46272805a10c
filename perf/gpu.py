"""What a GPU changes: ``python perf/gpu.py [--minutes 10] [--dry-run] [QUESTION ...]``.

A table and a verdict for each question: `determinism` (what deterministic operations cost an embedding
network, and whether runs are bit-equal), `convolution` (XLA with the installed cuDNN), `padding` (masked
padding in front, which cuDNN refuses), `bidirectional` (a bilstm under XLA), `bfloat16` (recurrent networks
in lower precision), `memory` (whether it is taken as it is needed) and `workers` (two on one GPU).

Steps are those of Textbench, in processes that may die: what one was at is reported as that, and a fresh one
goes on with the rest. Seconds of a step are the least of some epochs; the first epoch, which traces and
compiles, stands apart. A case "unguarded" leaves to cuDNN what Textbench does not. Without a GPU, and with
``--dry-run``, small networks are trained on the CPU: this shows that the script works, and nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from benchmark.execution.processes import visible_gpus
from benchmark.spec.config import (
    Deterministic,
    Mode,
    Precision,
    RunSpec,
    Side,
    TrainSettings,
    ViewSettings,
    seed_bundle,
)
from benchmark.training.devices import cudnn_version, nvidia_smi

WORDS, STEPS, ROUNDS, SECONDS = 10_000, 8, 5, 100
LITTLE_STEPS, LITTLE_ROUNDS, LITTLE_SECONDS, LITTLE_LENGTH = 2, 1, 600, 12
SHAPES = {"avg-pool": (512, 256), "cnn": (128, 400)}  # texts of a batch, and tokens of each
USUAL_SHAPE = (64, 500)
PLAIN: dict[str, Any] = {"recurrent_dropout": 0.0}
WAYS: tuple[Mode, ...] = ("graph", "xla")
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "float16")
SCATTER = "--xla_gpu_enable_scatter_determinism_expander"

Answer = dict[str, Any]
Answers = dict[str, Answer]


@dataclass(frozen=True)
class Case:
    """A network that is trained for some steps in one way."""

    question: str
    name: str
    model: str
    way: Mode = "graph"
    hparams: dict[str, Any] = field(default_factory=dict)
    side: Side = "post"
    precision: Precision = "float32"
    guarded: bool = True
    deterministic: Deterministic = "on"
    flags: str = ""
    on_cpu: bool = True

    @property
    def key(self) -> str:
        """Its name among all cases."""
        return f"{self.question}: {self.name}"

    @property
    def setting(self) -> tuple[str, str]:
        """What holds for a whole process."""
        return self.deterministic, self.flags


def cases() -> list[Case]:
    """Return all cases."""
    found = [
        Case("determinism", f"{way}, {on}", "avg-pool", way, deterministic=on)
        for on in ("off", "on")
        for way in WAYS
    ]
    loop = {"flags": f"{SCATTER}=false", "on_cpu": False}
    found.append(Case("determinism", "xla, on, scatter as a loop", "avg-pool", "xla", **loop))
    found += [Case("convolution", way, "cnn", way) for way in WAYS]
    for model in ("lstm", "gru", "bilstm"):
        plain = {} if model == "bilstm" else PLAIN
        masked, once = {**plain, "mask_zero": True}, {"on_cpu": model == "lstm"}
        unguarded = {"guarded": False, "on_cpu": False}
        found += [
            Case("padding", f"{model}, not masked", model, "graph", plain, "pre", **once),
            Case("padding", f"{model}, behind", model, "graph", masked, "post", **once),
            Case("padding", f"{model}, in front", model, "graph", masked, "pre", **once),
            Case("padding", f"{model}, in front, unguarded", model, "graph", masked, "pre", **unguarded),
        ]
    found += [Case("bidirectional", way, "bilstm", way) for way in WAYS]
    found.append(Case("bidirectional", "xla, unguarded", "bilstm", "xla", guarded=False, on_cpu=False))
    for model in ("lstm", "gru"):
        for precision in PRECISIONS:
            here = {"guarded": False, "on_cpu": model == "lstm" and precision != "float16"}
            name = f"{model}, {precision}"
            found.append(Case("bfloat16", name, model, "graph", PLAIN, precision=precision, **here))
    return found


QUESTIONS = {
    "determinism": (
        "`--deterministic auto` is off where the fastest way takes over twice as long as without",
        [("graph, on", "graph, off"), ("xla, on", "xla, off"), ("xla, on, scatter as a loop", "xla, on")],
    ),
    "convolution": ("where XLA fails, `--compile auto` leaves it out and records that", [("xla", "graph")]),
    "padding": (
        "the guard is needed where the unguarded case fails; its cost is that beside padding behind",
        [
            (f"{model}, in front{guard}", f"{model}, behind")
            for model in ("lstm", "gru", "bilstm")
            for guard in ("", ", unguarded")
        ],
    ),
    "bidirectional": ("unguarded, XLA is to fail", [("xla", "graph"), ("xla, unguarded", "graph")]),
    "bfloat16": (
        "where one fails, Textbench leaves it to TensorFlow, by a trial of its own",
        [(f"{model}, {one}", f"{model}, float32") for model in ("lstm", "gru") for one in PRECISIONS[1:]],
    ),
    "memory": ("most of it in use would say that it is not taken as it is needed", []),
    "workers": ("below 1, two are slower than one", []),
}
"""What the answers to a question mean, and which cases are compared."""


def make(case: Case, little: bool) -> tuple[Callable[[], float], Any]:
    """Build a case's network; return what trains an epoch and gives its seconds, and the network."""
    import numpy as np
    import tensorflow as tf

    from benchmark.models.task import Task
    from benchmark.training.batches import make_epoch, prepare, shuffled
    from benchmark.training.cudnn import limit_cudnn
    from benchmark.training.network import build_model

    size, length = SHAPES.get(case.model, USUAL_SHAPE)
    if little:
        size, length = size // 8, LITTLE_LENGTH
    count = size * (LITTLE_STEPS if little else STEPS)
    generator = np.random.default_rng(0)
    x = generator.integers(2, WORDS, (count, length), dtype=np.int32)
    padding = np.arange(length) >= generator.integers(length // 3, length + 1, (count, 1))
    x[padding if case.side == "post" else padding[:, ::-1]] = 0
    spec = RunSpec(
        model=case.model,
        dataset="random",
        dataset_digest="",
        kind="trial",
        view=ViewSettings(vocabulary_size=WORDS, sequence_length=length, padding=case.side),
        training=TrainSettings(batch_size=size, precision=case.precision),
        hparams=case.hparams,
        seeds=seed_bundle(0, "search", 0),
    )
    _, model = build_model(spec, Task(("neg", "pos"), WORDS, length), count // size)
    if case.guarded:
        limit_cudnn(model, x, case.side, case.precision, xla=case.way == "xla")
    data, labels = tf.constant(x), tf.constant(np.arange(count, dtype=np.int32) % 2)
    prepare(model, data, labels)
    epoch, batches = make_epoch(model, case.way), shuffled(generator, count, size)

    def run() -> float:
        started = time.perf_counter()
        epoch(data, labels, batches)
        return time.perf_counter() - started

    return run, model


def trained(case: Case, little: bool) -> Answer:
    """Train a case twice, or once, and say what came out."""
    from benchmark.training.cudnn import cudnn_layers

    digests = []
    for _ in range(2 if case.question == "determinism" else 1):
        run, model = make(case, little)
        by = "cuDNN" if cudnn_layers(model) and case.way != "xla" else "TensorFlow"
        first = run()
        least = min(run() for _ in range(LITTLE_ROUNDS if little else ROUNDS))
        weights = b"".join(weight.tobytes() for weight in model.get_weights())
        digests.append(hashlib.sha256(weights).hexdigest())
    step = least / (LITTLE_STEPS if little else STEPS)
    equal = len(set(digests)) == 1 if len(digests) > 1 else None
    return {"by": by, "first": first, "step": step, "equal": equal}


def child(names: list[str], little: bool) -> None:
    """Train cases of one process setting, and print a line of JSON before and after each."""
    from benchmark.training.determinism import set_determinism
    from benchmark.training.devices import set_up_device

    chosen = [case for case in cases() if case.key in names]
    device = set_up_device("cpu" if little else "auto")
    set_determinism(chosen[0].deterministic, device)
    print(json.dumps({"device": device}), flush=True)
    for case in chosen:
        signal.alarm(LITTLE_SECONDS if little else SECONDS)
        try:
            answer = trained(case, little)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]}
        print(json.dumps({"name": case.key, **answer}), flush=True)
    signal.alarm(0)
    used = nvidia_smi("--query-gpu=memory.used,memory.total", "--format=csv,noheader,nounits")
    print(json.dumps({"memory": used[:1]}), flush=True)


def worker(little: bool) -> None:
    """Train for as long as it takes once all are ready, and print the seconds."""
    from benchmark.training.devices import set_up_device

    set_up_device("cpu" if little else "auto")
    run, _ = make(Case("workers", "", "avg-pool"), little)
    run()
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.perf_counter()
    for _ in range(2 if little else 60):
        run()
    print(time.perf_counter() - started, flush=True)


def start(*words: str, flags: str, little: bool, deadline: float) -> subprocess.Popen[str]:
    """Start a process of this script, which is killed when the time is over."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if flags:
        environment["XLA_FLAGS"] = flags
    if little:
        environment["CUDA_VISIBLE_DEVICES"] = ""
        words = (*words, "--dry-run")
    process = subprocess.Popen(
        [sys.executable, __file__, *words],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    timer = threading.Timer(max(deadline - time.monotonic(), 0), process.kill)
    timer.daemon = True
    timer.start()
    return process


def ask(chosen: Sequence[Case], little: bool, deadline: float) -> tuple[Answers, Answer]:
    """Train cases that share a process setting; go on in a fresh process where one dies."""
    answers: Answers = {}
    more: Answer = {}
    left = [case.key for case in chosen]
    while left and time.monotonic() < deadline:
        with start(
            "--child", json.dumps(left), flags=chosen[0].flags, little=little, deadline=deadline
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if not line.startswith("{"):
                    continue
                said = json.loads(line)
                if "name" in said:
                    answers[said.pop("name")] = said
                else:
                    more |= said
        left = [name for name in left if name not in answers]
        if left:
            code = process.returncode
            reason = "it took too long" if code == -signal.SIGALRM else f"the process died ({code})"
            answers[left.pop(0)] = {"error": reason}
    return answers | {name: {"error": "not measured: the time is over"} for name in left}, more


def rates(little: bool, deadline: float) -> list[float]:
    """Return the steps a second, all together, of one worker and of two at a time; 0 where that failed."""
    found = []
    for count in (1, 2):
        with ExitStack() as stack:
            workers = [
                stack.enter_context(start("--worker", flags="", little=little, deadline=deadline))
                for _ in range(count)
            ]
            ready = [one.stdout.readline() for one in workers]  # type: ignore[union-attr]
            for one in workers:
                if all(ready):
                    print(file=one.stdin, flush=True)
                one.stdin.close()  # type: ignore[union-attr]
            ends = [one.stdout.readline() for one in workers]  # type: ignore[union-attr]
        epochs, steps = (2, LITTLE_STEPS) if little else (60, STEPS)
        found.append(count * epochs * steps / max(map(float, ends)) if all(ready) and all(ends) else 0.0)
    return found


def verdict(question: str, answers: Answers) -> str:
    """Say how many times as long cases take as others, or that they fail, and what that means."""
    meaning, compared = QUESTIONS[question]
    lines = []
    for one, other in compared:
        if one not in answers:
            continue
        steps = [answers.get(name, {}).get("step") for name in (one, other)]
        ratio = f"{steps[0] / steps[1]:.2f} times as long as {other}" if all(steps) else "not compared"
        lines.append(f"{one}: " + ("FAILS" if "error" in answers[one] else ratio))
    unequal = [name for name, one in answers.items() if one.get("equal") is False]
    if question == "determinism":
        lines.append(f"not bit-equal: {'; '.join(unequal) or 'none'}")
    return "\n- ".join([f"Verdict ({meaning}):", *lines])


def table(question: str, answers: Answers) -> str:
    """Write the rows of a question."""
    lines = [f"| {question} | by | seconds a step | first epoch, s | error |", "| --- " * 5 + "|"]
    for name, one in answers.items():
        if "error" in one:
            lines.append(f"| {name} | | | | {one['error'].replace('|', '/')} |")
        else:
            lines.append(f"| {name} | {one['by']} | {one['step']:.5f} | {one['first']:.1f} | |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print tables and verdicts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=", ".join(QUESTIONS))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child or options.worker:
        child(options.child, options.dry_run) if options.child else worker(options.dry_run)
        return
    asked = options.questions or [*QUESTIONS]
    if unknown := [name for name in asked if name not in QUESTIONS]:
        parser.error(f"unknown question '{unknown[0]}'; expected {', '.join(QUESTIONS)}")
    deadline = time.monotonic() + 60 * options.minutes
    gpus = nvidia_smi("--query-gpu=name,driver_version", "--format=csv,noheader") if visible_gpus() else []
    little = options.dry_run or not gpus
    print(f"{platform.machine()}; {gpus[0] if gpus else 'no GPU'}; cuDNN {cudnn_version() or 'unknown'}")
    if little:
        print("Small networks on the CPU: these figures say nothing of a GPU, only that the script works.")
    chosen = [case for case in cases() if case.question in asked and (case.on_cpu or not little)]
    answers: Answers = {}
    more: Answer = {}
    chosen = chosen or cases()[:1]  # there is memory to ask about, and a device to name
    for setting in dict.fromkeys(case.setting for case in chosen):
        found, also = ask([case for case in chosen if case.setting == setting], little, deadline)
        answers |= found
        more |= also
    print(f"trained on: {more.get('device', 'nothing, no process came so far')}")
    for question in asked:
        own = {
            name.removeprefix(f"{question}: "): one
            for name, one in answers.items()
            if name.startswith(f"{question}: ")
        }
        if question == "workers":
            alone, both = rates(little, deadline)
            print(f"\n{verdict(question, {})} ", end="")
            ratio = f"{both / alone:.2f} times" if alone and both else "no figure, one FAILED, of"
            print(f"two train {both:.2f} steps a second in all, {ratio} the {alone:.2f} of one")
        elif question == "memory":
            print(f"\n{verdict(question, {})} MiB in use, and of all, after the last network: ", end="")
            print(*(more.get("memory") or ["not asked on a CPU"]))
        else:
            print(f"\n{table(question, own)}\n\n{verdict(question, own)}", flush=True)


if __name__ == "__main__":
    main()
