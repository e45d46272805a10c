"""Control groups that limit what processes may take."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def control_group(first: Mapping[str, object], second: Mapping[str, object]) -> Iterator[Path]:
    """Make a control group with limits, named as in version 1 or 2; yield its list of processes.

    A process that is to be in it writes ``0`` to that file, so that all that it starts is in it, too.
    """
    for limits in (first, second):
        folders = {(Path("/sys/fs/cgroup") / name).parent / f"textbench-{os.getpid()}" for name in limits}
        (group,) = folders
        try:
            group.mkdir()
            for name, value in limits.items():
                (group / Path(name).name).write_text(str(value))
        except OSError:
            if group.is_dir():
                group.rmdir()
            continue
        try:
            yield group / "cgroup.procs"
        finally:
            for _ in range(50):
                try:
                    group.rmdir()
                    break
                except OSError:
                    time.sleep(0.2)
        return
    pytest.skip("no control group can be made here; it takes root and a writable /sys/fs/cgroup")
