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
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_shtab_textbench
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
        command = ["bash", "--norc", "-c", _ASK, "ask", str(script), "textbench", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert not done.stderr
        return done.stdout.split()

    return ask


def test_all_commands_are_offered(complete):
    assert set(complete("")) == set(COMMANDS)
    assert complete("lea") == ["leaderboard"]


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
    assert set(complete(*words)) == set(offered)


def test_all_models_are_offered(complete):
    assert set(complete("sweep", "--model", "")) == {*MODELS, "all"}


def test_files_and_folders_are_offered(complete):
    Path("spaces").mkdir()
    Path("space.yaml").touch()
    assert set(complete("sweep", "--space", "spa")) == {"spaces", "space.yaml"}
    assert complete("sweep", "--data-dir", "spa") == ["spaces"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
def test_zsh_can_read_its_script(tmp_path):
    (tmp_path / "script").write_text(completion.script("zsh"))
    code = 'autoload -Uz compinit; compinit -u -D; eval "$(<script)"; print $_comps[textbench]'
    done = subprocess.run(["zsh", "-f", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("_shtab_textbench\n", "")


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
