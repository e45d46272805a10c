"""``benchmark.api``: the commands as functions: keywords, results, errors, and what they leave behind."""

import importlib
import inspect
import json
from pathlib import Path

import pytest

from benchmark import api
from benchmark import leaderboard as leaderboard_command
from benchmark.api import UserError, compare, datasets, leaderboard, sweep
from benchmark.cli.keywords import namespace

COMMANDS = ("sweep", "leaderboard", "compare", "curve", "datasets")
MODELS = {"model": ["tfidf-logreg", "majority"], "dataset": "sample"}


def actions(name):
    parser = importlib.import_module(f"benchmark.{name}").main.parser()
    return parser, {a.dest: a for a in parser._actions if a.dest not in ("help", "debug", "json")}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_function_has_the_options_of_its_command_as_keywords(name):
    _, expected = actions(name)
    signature = inspect.signature(getattr(api, name))
    assert set(signature.parameters) == set(expected)
    for option, parameter in signature.parameters.items():
        if parameter.default is not inspect.Parameter.empty:
            assert parameter.default == expected[option].default
        assert f"\n{option} : " in getattr(api, name).__doc__


def test_keywords_become_what_the_parser_makes_of_options():
    parser, _ = actions("sweep")
    words = ["--model", "lstm", "--trials", "3", "--set", "units=8", "--join", "--timeout", "2.5"]
    typed = vars(parser.parse_args(words))
    given = {"model": "lstm", "trials": 3, "set": {"units": 8}, "join": True, "timeout": 2.5}
    flags = ["--model", "--trials", "--set", "--join", "--timeout"]
    assert {**typed, "arguments": flags} == vars(namespace(parser, given))
    assert vars(namespace(parser, {"model": ["lstm"], "trials": None}))["trials"] is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sweep("lstm", trails=3), "there is no keyword `trails`; did you mean 'trials'?"),
        (lambda: sweep("lstm", trials="many"), "`trials`: 'many' is not a whole number"),
        (lambda: sweep("lstm", trials=2.5), "`trials`: '2.5' is not a whole number"),
        (lambda: sweep("lstm", trials=[2]), "`trials` [2]: expected a text or a number, got a list"),
        (lambda: sweep("lstm", seeds=True), "`seeds` True: expected a text or a number, got bool"),
        (lambda: sweep("lstm", dry_run="yes"), "`dry_run` 'yes': expected True or False"),
        (lambda: sweep("lstm", device="gpus"), "`device`: 'gpus' is not a device; did you mean 'gpu'?"),
        (lambda: sweep("lstm", study="a", model="gru"), "`model`: is given twice"),
        (lambda: sweep("lstmm"), "there is no model named 'lstmm'; did you mean 'lstm'?"),
        (lambda: sweep([]), "name a model by `model`, or a file that names models and data sets by `suite`"),
        (lambda: sweep(), "name a model by `model`, or a file that names models and data sets by `suite`"),
        (lambda: compare(), "the keyword `a` is missing"),
        (lambda: sweep("lstm", data_dir="nowhere"), "`data_dir` nowhere: there is no such folder"),
        (lambda: sweep("lstm", "sample"), "without its name goes only `model`; give keywords"),
        (lambda: leaderboard(format="md"), "`format` md: goes with `output`"),
        (lambda: compare("a", "b", max_seeds=4), "`max_seeds`: goes with `until_decided`"),
        (lambda: datasets("shown", "sample"), "there is no action 'shown'; did you mean 'show'?"),
    ],
)
def test_a_mistake_is_one_line_in_the_words_of_a_caller(call, message):
    with pytest.raises(UserError) as caught:
        call()
    assert str(caught.value) == message
    assert caught.value._render_traceback_() == [f"UserError: {message}"]
    assert not Path("mlruns").exists()


def test_a_password_is_not_in_an_error():
    with pytest.raises(UserError) as caught:
        sweep("majority", dataset="sample", tracking_uri="http://me:secret@127.0.0.1:9/")
    assert "secret" not in str(caught.value)


def test_a_board_is_a_value(finished_sweep, monkeypatch, capsys):
    monkeypatch.chdir(finished_sweep)
    board = leaderboard("sample")
    assert leaderboard_command.main(["--dataset", "sample", "--format", "json"]) == 0
    expected = json.loads(capsys.readouterr().out)["rows"]
    frame = board.to_frame()
    assert list(frame["model"]) == [row["model"] for row in expected]
    assert list(frame["test_mean"]) == [row["test_mean"] for row in expected]
    html = board._repr_html_()
    assert "<table>" in html
    assert "<script" not in html
    assert "http" not in html
    assert len(html) < 20_000
    assert all(row["model"] in html and row["model"] in repr(board) for row in expected)
    assert board.figure()._repr_png_().startswith(b"\x89PNG")


def test_a_board_is_written_where_output_says_so(finished_sweep, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(finished_sweep)
    leaderboard("sample", format="csv", output=tmp_path / "board.csv")
    assert leaderboard_command.main(["--dataset", "sample", "--format", "csv"]) == 0
    assert (tmp_path / "board.csv").read_text() == capsys.readouterr().out


def test_a_comparison_is_a_value(finished_sweep, monkeypatch):
    monkeypatch.chdir(finished_sweep)
    found = compare("tfidf-logreg", "majority")
    assert found.sentence.startswith("tfidf-logreg is better than majority by ")
    (record,) = found.to_frame().to_dict("records")
    assert record["outcome"] == "better"
    assert record["interval_low"] < record["difference"] < record["interval_high"]
    assert found.sentence in found._repr_html_()
    assert found.figure()._repr_png_().startswith(b"\x89PNG")


def test_data_sets_are_listed_and_shown():
    assert "sample" in list(datasets().to_frame()["name"])
    shown = datasets("show", "sample")
    (facts,) = shown.to_frame().to_dict("records")
    assert facts["train"] == 4000
    assert shown.figure()._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(UserError, match="a picture of one data set"):
        datasets().figure()


def test_a_finished_sweep_has_nothing_to_do(copied_sweep, capsys):
    result = sweep("tfidf-logreg", dataset="sample", trials=1, seeds=3)
    assert "raise `trials` or `seeds` for more" in " ".join(capsys.readouterr().out.split())
    (record,) = result.to_frame().to_dict("records")
    assert (record["trials"], record["finals"], result.failed) == (0, 0, 0)
    assert "majority" in result._repr_html_()
    assert result.model_uri.startswith("runs:/")


def test_a_plan_is_a_value():
    planned = sweep("majority", dataset="sample", seeds=4, dry_run=True)
    assert list(planned.to_frame()["seeds"]) == [4]
    assert "nothing was started" in repr(planned)
    assert not Path("mlruns").exists()


STATE = """
import json, logging, os, signal, sys, warnings

def figures():
    # Libraries of TensorFlow may import it; it is to have no figures of ours.
    pyplot = sys.modules.get("matplotlib.pyplot")
    return pyplot.get_fignums() if pyplot else []

def state():
    import matplotlib
    loggers = {None: logging.root, "mlflow": logging.getLogger("mlflow"), "mine": logging.getLogger("mine")}
    return {
        "environment": dict(os.environ), "cwd": os.getcwd(), "hook": repr(sys.excepthook),
        "filters": list(map(str, warnings.filters)), "argv": list(sys.argv),
        "loggers": [(n, l.level, list(map(str, l.handlers)), l.disabled) for n, l in loggers.items()],
        "signals": [repr(signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "wakeup": signal.set_wakeup_fd(-1), "backend": dict.__getitem__(matplotlib.rcParams, "backend"),
        "streams": [repr(sys.stdout), repr(sys.stderr)], "pyplot": figures(),
    }

logging.getLogger("mine").addHandler(logging.NullHandler())
logging.getLogger("mlflow").setLevel(logging.DEBUG)
warnings.simplefilter("once")
from benchmark.api import UserError, compare, datasets, leaderboard, sweep
before = state()
os.makedirs("data")
model = sys.argv[1]
sweep([model, "nbsvm"], dataset="sample", trials=1, seeds=3, epochs=1, data_dir="data")
leaderboard().figure()._repr_png_()
compare(model, "nbsvm").figure()
datasets("show", "sample").figure()
try:
    sweep(model, dataset="sample", trials="x")
except UserError:
    pass
after = state()
print(json.dumps([name for name in before if before[name] != after[name]]))
"""


@pytest.mark.parametrize("model", ["majority", pytest.param("avg-pool", marks=pytest.mark.long)])
def test_a_process_is_left_as_it_was(start_python, model):
    process = start_python(STATE, model)
    printed, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert json.loads(printed.splitlines()[-1]) == []


INTERRUPTED = """
import os, signal, sys
from benchmark.api import sweep
from benchmark.driver import phases
# Ctrl-C, as a kernel sends it, at the end of the first trial.
ended = phases.Phase.ended
count = []
def interrupt(self, job, result):
    ended(self, job, result)
    count.append(result)
    if len(count) == 1:
        os.kill(os.getpid(), signal.SIGINT)
phases.Phase.ended = interrupt
try:
    sweep(sys.argv[1], dataset="sample", trials=2, seeds=3, epochs=2)
except KeyboardInterrupt as error:
    print(error)
phases.Phase.ended = ended
result = sweep(sys.argv[1], dataset="sample", trials=2, seeds=3, epochs=2)
print([result.sweeps[0].trials, len(result.board.board.rows), result.failed])
"""


@pytest.mark.parametrize("model", ["nbsvm", pytest.param("avg-pool", marks=pytest.mark.long)])
def test_an_interrupted_sweep_is_continued_by_the_same_call_in_the_same_process(start_python, model):
    process = start_python(INTERRUPTED, model)
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    printed = output.splitlines()
    assert "interrupted: what was done is recorded; the same call continues it" in printed
    trials, rows, failed = json.loads(printed[[line.startswith("[") for line in printed].index(True)])
    assert 1 <= trials <= 3  # without the first; the best two are trained again
    assert rows >= 2
    assert failed == 0
