"""TensorFlow uses as many threads as this process has cores, where a container has the time of fewer."""

import os
import subprocess
import sys

import pytest

from benchmark.support.tensorflow_setup import quiet_tensorflow
from benchmark.training import devices

SHOW = """
from benchmark.training.devices import cores, set_up_device, threads
set_up_device("cpu")
import os; print(cores(), threads(), os.environ["TF_NUM_INTRAOP_THREADS"])
"""


@pytest.mark.long
@pytest.mark.skipif(devices.visible_cores() < 2, reason="one core has no other thread to leave out")
def test_tensorflow_uses_no_more_threads_than_there_is_time_for():
    environment = {name: value for name, value in os.environ.items() if "_THREADS" not in name}
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        capture_output=True,
        text=True,
        env={**environment, "LOKY_MAX_CPU_COUNT": "1"},  # as little as joblib finds with a quota
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "1", "1"]


@pytest.mark.parametrize(("before", "after"), [(None, "true"), ("false", "false")])
def test_memory_of_a_gpu_is_taken_as_it_is_needed_unless_it_is_said_otherwise(before, after, monkeypatch):
    """Two workers, or a sweep and `predict`, may share a GPU; whether they do is for perf/gpu.py to show."""
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    if before is not None:
        monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", before)
    quiet_tensorflow()
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == after
