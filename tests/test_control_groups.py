"""What a control group allows is found out, and heeded."""

import os
import subprocess
import sys

import pytest
from groups import control_group

from benchmark import control_groups
from benchmark.training import devices


def test_limits_of_control_groups_2(tmp_path):
    own = tmp_path / "own"
    own.write_text("0::/outer/inner\n")
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    for place, name, text in (
        (".", "cgroup.controllers", "cpu memory"),
        ("outer/inner", "cpu.max", "max 100000"),
        ("outer", "cpu.max", "150000 100000"),
        ("outer/inner", "memory.max", "4000000000"),
        ("outer", "memory.max", "max"),
        ("outer/inner", "memory.current", "1000000000"),
    ):
        (tmp_path / place / name).write_text(text + "\n")
    assert control_groups.cpu_quota(tmp_path, own) == 1.5
    assert control_groups.memory_limit(tmp_path, own) == 4_000_000_000
    assert control_groups.memory_used(tmp_path, own) == 1_000_000_000


def test_limits_of_control_groups_1_as_seen_in_a_container(tmp_path):
    own = tmp_path / "own"
    own.write_text("4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n")
    for folder, name, text in (
        ("cpu", "cpu.cfs_quota_us", "200000"),
        ("cpu", "cpu.cfs_period_us", "100000"),
        ("memory", "memory.limit_in_bytes", "9223372036854771712"),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(text)
    assert control_groups.cpu_quota(tmp_path, own) == 2
    assert control_groups.memory_limit(tmp_path, own) is None


@pytest.mark.parametrize(("quota", "expected"), [(None, 16), (0.5, 1), (1.5, 2), (4.0, 4), (64.0, 16)])
def test_cores_that_are_worth_a_thread(quota, expected, monkeypatch):
    monkeypatch.setattr(devices, "visible_cores", lambda: 16)
    monkeypatch.setattr(devices, "cpu_quota", lambda: quota)
    assert devices.cores() == expected


LOOK = """
import sys; open(sys.argv[1], "w").write("0")
from benchmark.training.devices import cores, set_up_device, threads, visible_cores
set_up_device("cpu")
import os; print(visible_cores(), cores(), threads(), os.environ["TF_NUM_INTRAOP_THREADS"])
"""


@pytest.mark.skipif(devices.visible_cores() < 2, reason="one core has no other thread to leave out")
def test_tensorflow_heeds_the_quota_of_a_control_group():
    environment = {name: value for name, value in os.environ.items() if "_THREADS" not in name}
    with control_group({"cpu/cpu.cfs_quota_us": 100_000}, {"cpu.max": "100000 100000"}) as members:
        ended = subprocess.run(
            [sys.executable, "-c", LOOK, str(members)], capture_output=True, text=True, env=environment
        )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split()[1:] == ["1", "1", "1"]
