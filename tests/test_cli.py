"""What all commands share: errors in one line, exit codes, option types."""

import errno
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark import cli
from benchmark.__main__ import main
from benchmark.data.source import no_runs
from benchmark.support.errors import UserError

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def parser():
    return cli.make_parser(
        "try",
        "Try something.",
        cli.option("--trials N", "how many", cli.whole_number(1), required=True),
        cli.option("--timeout S", "seconds", cli.positive_number),
        cli.option("--sampler X", "which", cli.Choice("sampler", ("tpe", "random"))),
    )


@pytest.fixture(autouse=True)
def _restore_signal():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def error_of(parser, *words):
    with pytest.raises(UserError) as caught:
        parser.parse_args(words)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trials=3", "--tiemout=5"], "there is no option '--tiemout'; did you mean '--timeout'?"),
        (["--trials=3", "--trial", "4"], "there is no option '--trial'; did you mean '--trials'?"),
        (["--trials=3", "extra"], "there is no option 'extra'"),
        (["--trials=3", ""], "there is no option ''"),
        ([], "the following arguments are required: --trials"),
        (["--trials"], "argument --trials: expected one argument"),
        (["--trials=0"], "argument --trials: got 0, expected 1 or more"),
        (["--trials=2.5"], "argument --trials: '2.5' is not a whole number"),
        (["--trials=1", "--timeout=soon"], "argument --timeout: 'soon' is not a number"),
        (["--trials=1", "--sampler=tep"], "argument --sampler: 'tep' is not a sampler; did you mean 'tpe'?"),
    ],
)
def test_mistakes_are_one_line(parser, words, message, capsys):
    assert error_of(parser, *words) == message
    assert capsys.readouterr() == ("", "")


def test_valid_words_are_accepted(parser):
    options = parser.parse_args(["--trials", "20", "--timeout", "1e3", "--sampler", "tpe", "--debug"])
    assert (options.trials, options.timeout, options.sampler, options.debug) == (20, 1000.0, "tpe", True)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "-inf", "1e999", "", "one"])
def test_a_positive_number_is_finite_and_above_0(parser, value):
    assert "--timeout" in error_of(parser, "--trials=1", f"--timeout={value}")


@pytest.mark.parametrize("value", ["-1", "1.0", "1e3", "", "x"])
def test_a_whole_number_has_no_fraction(parser, value):
    assert "--trials" in error_of(parser, f"--trials={value}")


def test_0_may_be_allowed():
    assert cli.whole_number(0)("0") == 0


def test_help_exits_with_0_and_names_the_command(parser, capsys):
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--help"])
    assert caught.value.code == 0
    assert "usage: python -m benchmark.try" in capsys.readouterr().out


def raising(error):
    def run(words):
        raise error

    return run


@pytest.mark.parametrize("code", [cli.DONE, cli.SOME_FAILED])
def test_the_exit_code_is_that_of_the_command(code):
    assert cli.run_command(lambda words: code, []) == code


def test_the_command_gets_the_words(monkeypatch):
    seen = []
    cli.run_command(lambda words: seen.extend(words) or 0, ["a", "--b"])
    monkeypatch.setattr("sys.argv", ["program", "c"])
    cli.run_command(lambda words: seen.extend(words) or 0)
    assert seen == ["a", "--b", "c"]


def test_a_users_mistake_is_one_line_and_2(capsys):
    assert cli.run_command(raising(UserError("no such thing")), []) == cli.WRONG_REQUEST == 2
    assert capsys.readouterr() == ("", "error: no such thing\n")


def test_a_function_becomes_a_command(capsys):
    @cli.command("try", cli.option("--trials N", "how many", cli.whole_number(1)))
    def main(options):
        """Try something.

        examples:
          try it
        """
        raise UserError(
            f"{options.trials} of {options.arguments}; see `max_seeds`", setting="set", value="a=1"
        )

    assert main(["--trials", "3"]) == 2
    assert capsys.readouterr().err == "error: --set a=1: 3 of ['--trials', '3']; see --max-seeds\n"
    assert main(["--trials", "0"]) == 2
    assert "--trials: got 0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert shown.index("Try something.") < shown.index("how many") < shown.index("examples:\n  try it")


def test_debug_shows_the_traceback_and_exits_with_2_all_the_same(capsys):
    assert cli.run_command(raising(UserError("no such thing")), ["--debug"]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("Traceback")
    assert "UserError: no such thing" in errors


def test_an_interruption_is_130(capsys):
    assert cli.run_command(raising(KeyboardInterrupt()), []) == cli.INTERRUPTED == 130
    errors = capsys.readouterr().err
    assert "the same command continues it" in errors
    assert "Traceback" not in errors


def test_a_defect_of_the_program_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        cli.run_command(raising(ZeroDivisionError()), [])


def wrapped(error):
    """An error as a library tells it on: MLflow and SQLAlchemy wrap those of the database."""
    try:
        raise error
    except type(error) as first:
        try:
            raise RuntimeError("could not be written\nat all") from first
        except RuntimeError as second:
            return second


FULL = [
    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "mlruns/x"),
    OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
    OSError("62500 requested and 31712 written"),  # NumPy
    shutil.Error([("a", "b", f"[Errno 28] {os.strerror(errno.ENOSPC)}: 'b'")]),
    sqlite3.OperationalError("database or disk is full"),
]


@pytest.mark.parametrize("error", [*FULL, *map(wrapped, FULL)], ids=repr)
def test_a_full_disk_is_one_line_and_no_wrong_request(error, capsys):
    assert cli.run_command(raising(error), []) == cli.SOME_FAILED == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("error: the disk is full (")
    assert errors.endswith("what was recorded is kept: free some room and run the same command again\n")
    assert len(errors.splitlines()) == 1
    with pytest.raises(type(error)):
        cli.run_command(raising(error), ["--debug"])


GONE = OSError(errno.ENOENT, "no such file", "mlruns/x")
DENIED = [
    *(
        OSError(getattr(errno, name), "refused", "mlruns/x")
        for name in ("EACCES", "EPERM", "EROFS", "EIO", "ESTALE")
    ),
    sqlite3.OperationalError("attempt to write a readonly database"),
]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        *((error, "cannot be read or written") for error in [*DENIED, *map(wrapped, DENIED)]),
        *((error, "a file or folder is gone") for error in (GONE, wrapped(GONE))),
    ],
    ids=repr,
)
def test_a_file_that_cannot_be_used_any_more_is_one_line_and_no_wrong_request(error, expected, capsys):
    assert cli.run_command(raising(error), []) == cli.SOME_FAILED == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert "mlruns/x" in line or "readonly database" in line
    assert line.endswith("run the same command again")
    with pytest.raises(type(error)):
        cli.run_command(raising(error), ["--debug"])


def test_another_error_is_not_hidden():
    with pytest.raises(RuntimeError):
        cli.run_command(raising(wrapped(ValueError("is full"))), [])


def test_names_from_outside_cannot_break_the_line(capsys):
    assert cli.run_command(raising(UserError("no 'a\nb\x1b[2J\udcff\x9b\u202e\u2028'")), []) == 2
    assert capsys.readouterr().err == "error: no 'a\\nb\\x1b[2J\\udcff\\x9b\\u202e\\u2028'\n"
    kept = "naïve 中文 हिन्दी עברית\u200f \U0001f468\u200d\U0001f469\u00a0\u200c"
    assert cli.run_command(raising(UserError(kept)), []) == 2
    assert capsys.readouterr().err == f"error: {kept}\n"


def test_what_is_said_has_no_password_and_no_escapes(capsys):
    cli.say("3 more for https://bob:secret@host\x1b[2J\nsecond line")
    cli.say("a notice\u202e", error=True)
    assert capsys.readouterr() == ("3 more for https://host\\x1b[2J\nsecond line\n", "a notice\\u202e\n")


TERMINATED = """
import sys, time
from benchmark import cli
def run(words):
    print("running", flush=True)
    time.sleep(60)
    return 0
sys.exit(cli.run_command(run, []))
"""


def test_being_terminated_is_an_interruption(start_python):
    process = start_python(TERMINATED)
    assert process.stdout.readline() == "running\n"
    started = time.monotonic()
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - started < 10
    assert process.returncode == 130
    assert errors.startswith("interrupted:")


PIPED = """
import sys
from benchmark import cli
def run(words):
    for number in range(int(sys.argv[1])):
        print("line", number)
    return 1
sys.exit(cli.run_command(run, []))
"""


@pytest.mark.parametrize("lines", [1, 100_000])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_is_no_error(start_python, monkeypatch, lines, unbuffered):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    reader, writer = os.pipe()
    os.close(reader)
    process = start_python(PIPED, lines, stdout=writer)
    os.close(writer)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


def test_another_broken_pipe_is_an_error(capfd):
    with pytest.raises(BrokenPipeError):
        cli.run_command(raising(BrokenPipeError("a worker has died")), [])


WRITES = """
import sys
from benchmark import cli
def run(words):
    print("mod\u00e8le 5 \u2013 6 \u00b1 1 \u2026 \u6620", flush=True)
    print("err\u00e8ur", file=sys.stderr, flush=True)
    open("first", "w").write("x")  # would take the place of an output that is closed
    return 0
sys.exit(cli.run_command(run, []))
"""


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", rb"mod\xe8le 5 - 6 +/- 1 ... \u6620"),
        ("latin-1", b"mod\xe8le 5 - 6 \xb1 1 ... \\u6620"),
        ("cp1252", b"mod\xe8le 5 \x96 6 \xb1 1 \x85 \\u6620"),
        ("utf-8", "modèle 5 – 6 ± 1 … 映".encode()),
    ],
)
def test_no_encoding_of_the_output_ends_a_command(encoding, shown):
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", WRITES], capture_output=True, env=environment)
    assert (done.returncode, done.stdout) == (0, shown + b"\n"), done.stderr


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">&-", "2>&-"])
def test_a_closed_output_ends_no_command_and_gets_into_no_file(closed):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = ["sh", "-c", f'"$0" -c "$1" {closed}', sys.executable, WRITES]
    assert subprocess.run(command, env=environment, stdout=-1, stderr=-1).returncode == 0
    assert Path("first").read_text() == "x"


@pytest.mark.parametrize("value", ["a" * 400, "x/" * 2500, "x\0y"])
def test_names_that_no_file_can_have_are_one_line(value, capsys):
    requests = [
        ["sweep", "--model", "majority", "--dataset", f"dir:{value}"],
        ["sweep", "--model", "glove", "--dataset", "sample", "--set", f"vectors={value}", "--dry-run"],
        ["predict", "--best", "sample", "--file", value],
        ["leaderboard", "--output", value],
        ["leaderboard", "--tracking-uri", f"sqlite:///{value}"],
    ]
    for words in requests:
        assert main(words) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "\0" not in error


@pytest.mark.parametrize(
    "address", ["https://bob:secret@host/x", "https:/bob:secret@host/x", "https://host/x?token=secret"]
)
@pytest.mark.parametrize(
    "words",
    [
        ["leaderboard", "--output"],
        ["leaderboard", "--dataset", "dir:"],
        ["predict", "--best", "sample", "--file"],
        ["sweep", "--model", "majority", "--data-dir"],
        ["sweep", "--model", "majority", "--space"],
        ["sweep", "--model", "majority", "--dataset", "csv:"],
    ],
)
def test_an_address_is_no_path_and_its_password_is_not_shown(words, address, capsys):
    *words, last = words
    assert main([*words, last + address] if last.endswith(":") else [*words, last, address]) == 2
    error = capsys.readouterr().err
    assert "secret" not in error
    for named in ("is an address; expected", "host/x", last if last.startswith("--") else "--dataset"):
        assert named in error
    assert error.count("\n") == 1


def test_the_data_folder(tmp_path, monkeypatch):
    assert cli.data_dir(None) is None
    assert cli.data_dir(str(tmp_path)) == tmp_path
    with pytest.raises(UserError, match="`data_dir` nowhere: there is no such folder"):
        cli.data_dir("nowhere")
    monkeypatch.setenv("BENCHMARK_DATA_DIR", "elsewhere")
    with pytest.raises(UserError, match="BENCHMARK_DATA_DIR elsewhere: there is no such folder"):
        cli.data_dir(None)
    assert cli.data_dir(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["leaderboard", "--dataset", "imbd"],
        ["leaderboard", "--dataset", "imbd@1a2b"],
        ["predict", "--best", "imbd", "great"],
        ["export", "--best", "imbd", "--output", "new"],
    ],
)
def test_a_misspelt_data_set_comes_with_the_nearest_where_there_are_no_runs(words, capsys):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "there are no runs here" in error
    assert "did you mean the data set 'imdb'? then run a sweep first" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("dataset", "known", "hint"),
    [
        (None, [], "run a sweep first: python -m benchmark.sweep --model avg-pool"),
        ("sample", [], "run a sweep first: python -m benchmark.sweep --model avg-pool"),
        ("csv:imbd", [], "run a sweep first: python -m benchmark.sweep --model avg-pool"),
        ("csv-imdb", [], "run a sweep first: python -m benchmark.sweep --model avg-pool"),
        ("imbd", ["imdb", "sample"], "did you mean the data set 'imdb'?"),
        ("imbd", ["sample"], "did you mean the data set 'imdb'? then run a sweep first: .* --dataset imdb"),
        ("sample", ["imdb"], "choose from imdb"),
        ("xyz", ["imdb", "sample"], "choose from imdb, sample"),
    ],
)
def test_what_to_do_where_there_are_no_runs(dataset, known, hint):
    assert re.fullmatch(
        f"there are no runs here; {hint.replace('?', '[?]')}", str(no_runs("here", dataset, known))
    )
