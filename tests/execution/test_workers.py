"""Worker processes as a user meets them: side by side, with results as alone, and lost in every way."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from groups import control_group
from processes import of_kind, runs, start_sweep, workers_of

from benchmark import sweep
from benchmark.execution.processes import oom_kills
from benchmark.tracking import names

pytestmark = pytest.mark.long

FAST = ["--model", "avg-pool", "--dataset", "sample", "--sampler", "random", "--pruner", "none"]
FAST += ["--trials", "5", "--seeds", "2", "--epochs", "2", "--set", "embedding_dropout=0.0"]

# Every way in which a run can end; `do` is what the grid searches.
MISHAPS = '''
"""A model that does what it is told."""
import os
import signal
import time

import keras


def build(task, *, do: str = "train"):
    if do == "hang":
        time.sleep(3600)
    if do == "raise":
        raise RuntimeError("planted")
    if do == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if do == "leave":
        os._exit(7)
    if do == "allocate":
        kept = []
        while True:
            kept.append(bytearray(os.urandom(1 << 20)) * 32)
    bias = float("nan") if do == "diverge" else 0.0
    ids = keras.Input((task.sequence_length,), dtype="int32")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(task.vocabulary_size, 4)(ids))
    outputs = keras.layers.Dense(task.n_outputs, bias_initializer=keras.initializers.Constant(bias))(x)
    return keras.Model(ids, outputs)
'''
SPACE = """
model: mishaps
source: a test
default: {do: train, epochs: 1}
search:
  do: {type: categorical, choices: [CHOICES]}
"""


def write_mishaps(*ways):
    Path("mishaps.py").write_text(MISHAPS)
    Path("mishaps.yaml").write_text(SPACE.replace("CHOICES", ", ".join(["train", *ways])))
    return ["--model", "mishaps.py:build", "--dataset", "sample", "--sampler", "grid", "--seeds", "1"]


def statuses(found):
    return {
        run.data.params["do"]: run.data.tags[names.STATUS]
        for run in of_kind(found, names.TRIAL_RUN)
        if run.data.tags[names.STATUS] != "interrupted"
    }


def test_a_sweep_goes_on_after_every_mishap(sample, capsys):
    words = write_mishaps("hang", "raise", "die", "leave", "diverge")
    assert sweep.main([*words, "--trials", "6", "--workers", "2", "--run-timeout", "20"]) == 1
    found = runs()
    assert statuses(found) == {
        "train": "ok",
        "hang": "timeout",
        "raise": "failed",
        "die": "failed",
        "leave": "failed",
        "diverge": "diverged",
    }
    assert not [run for run in found if run.info.status == "RUNNING"]
    # Lost processes are tried twice more, an exception is not.
    attempts = [run.data.params["do"] for run in of_kind(found, names.TRIAL_RUN)]
    assert {way: attempts.count(way) for way in ("raise", "die", "leave")} == {
        "raise": 1,
        "die": 3,
        "leave": 3,
    }
    assert {run.data.tags[names.STATUS] for run in of_kind(found, names.FINAL_RUN)} == {"ok"}
    out = capsys.readouterr().out
    assert "RuntimeError: planted" in out
    assert "the worker was lost (signal 9)" in out
    # Nothing of it is tried again.
    assert sweep.main([*words, "--trials", "6", "--workers", "2"]) == 0
    assert len(runs()) == len(found)


def test_a_sweep_that_only_fails_is_ended(sample, capsys):
    words = write_mishaps("raise")
    words[words.index("grid")] = "random"
    assert sweep.main([*words, "--set", "do=raise", "--trials", "9", "--max-failures", "3"]) == 1
    assert len(of_kind(runs(), names.TRIAL_RUN)) == 1  # nothing is left to search
    assert len(of_kind(runs(), names.FINAL_RUN)) == 1
    assert "planted" in capsys.readouterr().out
    Path("mishaps.py").write_text(MISHAPS.replace('if do == "raise":', "if True:"))
    assert sweep.main([*words, "--trials", "9", "--max-failures", "3", "--workers", "2"]) == 1
    assert "stopped, since 3 runs in a row failed" in capsys.readouterr().out


def test_a_run_that_eats_all_memory_is_oom(sample):
    words = [*write_mishaps("allocate"), "--trials", "2", "--workers", "1"]
    with control_group({"memory/memory.limit_in_bytes": 4 << 30}, {"memory.max": 4 << 30}) as members:
        # The group is entered by the process itself, so that all it starts is in it.
        code = (
            f"import sys; open({str(members)!r}, 'w').write('0'); from benchmark import sweep; "
            "sys.exit(sweep.main(sys.argv[1:]))"
        )
        ended = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert ended.returncode == 1, ended.stderr
    assert statuses(runs()) == {"train": "ok", "allocate": "oom"}
    assert "out of memory" in ended.stdout


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_recorded_and_the_sweep_goes_on_with_it(sample, workers, number):
    words = [*FAST, "--set", "sequence_length=200", *workers]
    words[words.index("--epochs") + 1] = "400"
    words += ["--set", "patience=400"]
    process = start_sweep(*words)
    while "under way" not in state() and process.poll() is None:
        time.sleep(0.5)
    process.send_signal(number)
    started = time.monotonic()
    assert process.wait(60) == 130, Path("sweep.log").read_text()
    assert time.monotonic() - started < 15  # 10 on a machine that does nothing else
    assert "the same command continues it" in Path("sweep.log").read_text()
    assert not workers_of(process)
    found = runs()
    cut_short = of_kind(found, names.TRIAL_RUN, "interrupted")
    assert len(cut_short) == (2 if workers else 1)
    assert {run.info.status for run in found} == {"KILLED"}


def state():
    """Say that a run is under way when its first epochs are in the store."""
    if not list(Path("mlruns/studies").glob("*.journal")):
        return ""  # the store, which is made before, may not be ready
    trials = of_kind(runs(), names.TRIAL_RUN)
    return "under way" if any("val_accuracy" in run.data.metrics for run in trials) else ""


def test_a_process_that_the_kernel_killed_in_another_group_is_not_ours():
    def of_this_machine():
        return int(Path("/proc/vmstat").read_text().partition("\noom_kill ")[2].split()[0])

    ours, all_of_them = oom_kills(), of_this_machine()
    with control_group({"memory/memory.limit_in_bytes": 64 << 20}, {"memory.max": 64 << 20}) as members:
        code = f"open({str(members)!r}, 'w').write('0'); bytearray(1 << 30)"
        assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert of_this_machine() > all_of_them
    assert oom_kills() == ours
