"""``ui``: the server that it starts ends with it, however it ends."""

import os
import signal
from pathlib import Path

import pytest
from waiting import until

# A server and a worker of it; both write who they are, and stay.
SERVER = """
import os, pathlib, subprocess, sys, time
code = "import os, pathlib, time; pathlib.Path('worker').write_text(str(os.getpid())); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", code])
while not (os.path.exists("worker") and os.path.getsize("worker")):
    time.sleep(0.02)
pathlib.Path("server").write_text(str(os.getpid()))
time.sleep(600)
"""
UI = """
import os, signal, sys
from benchmark import cli, ui

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup has ignored
sys.exit(cli.run_command(lambda words: ui._serve([sys.executable, "-c", *words], os.environ), [sys.argv[1]]))
"""


def is_there(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        *(
            pytest.param(signal.Signals[name], marks=pytest.mark.long)
            for name in ("SIGTERM", "SIGINT", "SIGHUP")
        ),
    ],
)
def test_the_server_and_its_workers_end_with_the_command(start_python, number):
    process = start_python(UI, SERVER)
    until(lambda: Path("server").is_file() and Path("server").read_text())
    pids = [int(Path(name).read_text()) for name in ("server", "worker")]
    assert all(map(is_there, pids))
    os.kill(process.pid, number)
    assert process.wait(60) == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    if number == signal.SIGKILL:
        until(lambda: not any(map(is_there, pids)))
    assert not any(map(is_there, pids))


def test_the_exit_code_is_that_of_the_server(start_python):
    assert start_python(UI, "import sys; sys.exit(7)").wait(60) == 7
