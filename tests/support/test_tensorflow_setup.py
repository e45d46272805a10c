"""Start-up chatter is held back, and shown where something fails."""

import os

import pytest

from benchmark.support.tensorflow_setup import quiet_stderr


def test_native_chatter_is_held_back(capfd):
    with quiet_stderr():
        os.write(2, b"chatter\n")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"


def test_it_is_shown_if_the_block_fails(capfd):
    def fail():
        with quiet_stderr():
            os.write(2, b"the reason\n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert capfd.readouterr().err == "the reason\n"


@pytest.mark.long
def test_importing_tensorflow_prints_nothing_and_leaves_out_what_networks_do_not_need(start_python):
    process = start_python(
        "from benchmark.support.tensorflow_setup import quiet_tensorflow; quiet_tensorflow()\n"
        "import sys; print('keras' in sys.modules, {'matplotlib', 'sklearn'} & {*sys.modules})\n"
        "import matplotlib.figure, sklearn.base"
    )
    assert process.communicate(timeout=120) == ("True set()\n", "")
    assert process.returncode == 0


@pytest.mark.long
def test_what_was_imported_before_stays(start_python):
    process = start_python(
        "import sklearn, sys\n"
        "from benchmark.support.tensorflow_setup import quiet_tensorflow; quiet_tensorflow()\n"
        "sys.exit(sys.modules['sklearn'] is not sklearn)"
    )
    assert process.communicate(timeout=120) == ("", "")
    assert process.returncode == 0
