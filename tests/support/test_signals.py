"""Signals while runs are under way: a request, then an end; also where Python runs no signal handler."""

import os
import signal
import threading

import pytest

from benchmark.support.signals import stoppable

# One call that takes minutes, runs no Python and notices no signal, as an epoch of TensorFlow's.
STUCK = """
import hashlib, signal, sys
from benchmark.support import signals as interrupts

interrupts._GRACE = float(sys.argv[1])

def give_up():
    print("gave up", flush=True)

with interrupts.stoppable(give_up) as stop:
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_request(number):
    before = signal.getsignal(number)
    with stoppable(lambda: pytest.fail("it stopped in time")) as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        while not stop.is_set():  # a thread is told
            threading.Event().wait(0.01)
    assert signal.getsignal(number) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_who_is_stuck_gives_up_after_a_while(start_python):
    process = start_python(STUCK, 0.3)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert process.stdout.read() == "gave up\n"


def test_a_second_signal_ends_at_once(start_python):
    process = start_python(STUCK, 1000)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    with pytest.raises(Exception, match="timed out"):
        process.wait(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    assert process.stdout.read() == ""


def test_other_threads_leave_signals_alone():
    found = []

    def enter():
        with stoppable(lambda: None) as stop:
            found.append((stop.is_set(), signal.getsignal(signal.SIGINT)))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [(False, before)]
