"""Completion, asked of real shells."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import completion
from benchmark.__main__ import COMMANDS
from benchmark.models import MODELS

_ASK = """
complete -F _former python
_former() { COMPREPLY=(former); }
source "$1"
function=$2
shift 2
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
$function "$1"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    file = tmp_path_factory.mktemp("completion") / "script"
    file.write_text(completion.script("bash"))
    return file


@pytest.fixture
def complete(script):
    """``complete(words)`` gives what bash would offer for the last word, which may be empty."""

    def ask(*words):
        function = "_shtab_textbench" if words[0] == "textbench" else "_textbench_python"
        command = ["bash", "--norc", "-c", _ASK, "ask", str(script), function, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert not done.stderr
        return done.stdout.split()

    return ask


def test_all_commands_are_offered(complete):
    assert set(complete("textbench", "")) == set(COMMANDS)
    assert complete("textbench", "lea") == ["leaderboard"]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["sweep", "--model", "ls"], ["lstm"]),
        (["sweep", "--model", "lstm", "--model", "maj"], ["majority"]),
        (["sweep", "--json", "--dataset", "im"], ["imdb", "imdb-int"]),
        (["sweep", "--budget", "s"], ["smoke", "standard"]),
        (["sweep", "--sampler", "r"], ["random"]),
        (["sweep", "--tr"], ["--trials", "--train-examples", "--tracking-uri"]),
        (["leaderboard", "--format", "t"], ["table", "tex"]),
        (["compare", "avg"], ["avg-pool"]),
        (["compare", "avg-pool", "bil"], ["bilstm"]),
        (["models", "trans"], ["transformer"]),
        (["datasets", "sh"], ["show"]),
        (["datasets", "show", "st"], ["stack-overflow"]),
        (["predict", "--best", "sam"], ["sample"]),
        (["reproduce", "tf-b"], ["tf-basic"]),
        (["completion", ""], ["bash", "zsh"]),
    ],
)
def test_values_are_offered(complete, words, offered):
    assert set(complete("textbench", *words)) == set(offered)
    # The same, and nothing less, of the module.
    if len(words) > 1:
        module = f"benchmark.{words[0]}"
        assert set(complete("python", "-m", module, *words[1:])) == set(offered)


def test_modules_are_offered_and_the_rest_of_python_is_as_before(complete):
    assert complete("python", "-m", "benchmark.sw") == ["benchmark.sweep"]
    assert complete("python", "-m", "http.server", "") == ["former"]
    assert complete("python", "") == ["former"]


def test_models_may_be_files(complete):
    Path("lstm_of_mine.py").touch()
    Path("lstm_of_mine.txt").touch()
    assert complete("textbench", "sweep", "--model", "lst") == ["lstm", "lstm_of_mine.py"]
    assert set(MODELS) < set(complete("textbench", "sweep", "--model", ""))


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
def test_zsh_can_read_its_script(tmp_path):
    (tmp_path / "script").write_text(completion.script("zsh"))
    code = (
        'autoload -Uz compinit; compinit -u -D; eval "$(<script)"; print $_comps[textbench] $_comps[python]'
    )
    done = subprocess.run(["zsh", "-f", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (sorted(done.stdout.split()), done.stderr) == (["python", "textbench"], "")


def test_another_shell_is_refused_in_one_line(capsys):
    assert completion.main(["bahs"]) == 2
    assert capsys.readouterr().err == "error: argument SHELL: 'bahs' is not a shell; did you mean 'bash'?\n"


def test_it_is_made_without_tensorflow():
    code = (
        "import sys; from benchmark import completion; completion.main(['zsh']); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    root = Path(completion.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], cwd=root, stdout=subprocess.DEVNULL, check=True)
