"""Completion of commands, options and values in bash and zsh. Run as ``python -m benchmark.completion``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from benchmark import cli
from benchmark.datasets import ACTIONS as DATASET_ACTIONS

SHELLS = ("bash", "zsh")

_EPILOG = """\
in bash:
  textbench completion bash > ~/.textbench-completion
  echo 'source ~/.textbench-completion' >> ~/.bashrc
in zsh, after compinit:
  textbench completion zsh > ~/.textbench-completion
  echo 'eval "$(<~/.textbench-completion)"' >> ~/.zshrc"""

_BASH = """\
_textbench_model_or_file() {
  compgen -W "@MODELS@" -- "$1"
  compgen -f -X '!*.py' -- "$1"
  compgen -d -- "$1"
}

# python -m benchmark.COMMAND is completed as textbench COMMAND, anything else of python as before.
_textbench_python_before=$(complete -p python 2>/dev/null | sed -n 's/.* -F \\([^ ]*\\).*/\\1/p')
[ "$_textbench_python_before" = _textbench_python ] && _textbench_python_before=
_textbench_python() {
  if [[ ${COMP_WORDS[1]-} == -m && $COMP_CWORD == 2 && ${COMP_WORDS[2]} == b* ]]; then
    COMPREPLY=($(compgen -W "@MODULES@" -- "${COMP_WORDS[2]}"))
  elif [[ ${COMP_WORDS[1]-} == -m && ${COMP_WORDS[2]-} == benchmark.* && $COMP_CWORD -gt 2 ]]; then
    COMP_WORDS=(textbench "${COMP_WORDS[2]#benchmark.}" "${COMP_WORDS[@]:3}")
    COMP_CWORD=$((COMP_CWORD - 1))
    _shtab_textbench
  elif [ -n "$_textbench_python_before" ]; then
    "$_textbench_python_before" "$@"
  else
    COMPREPLY=()
  fi
}
complete -o bashdefault -o default -F _textbench_python python python3
"""

_ZSH = """\
_textbench_model_or_file() {
  _alternative 'models:model:(@MODELS@)' 'files:file:_files -g "*.py"'
}

# python -m benchmark.COMMAND is completed as textbench COMMAND, anything else of python as before.
_textbench_python() {
  if [[ ${words[2]} == -m && $CURRENT == 3 && ${words[3]} == b* ]]; then
    compadd -- @MODULES@
  elif [[ ${words[2]} == -m && ${words[3]} == benchmark.* && $CURRENT -gt 3 ]]; then
    words=(textbench "${words[3]#benchmark.}" "${words[@]:3}")
    (( CURRENT -= 1 ))
    _shtab_textbench
  elif [[ -n $_textbench_python_before ]]; then
    $_textbench_python_before "$@"
  else
    _default
  fi
}
if [[ $zsh_eval_context[-1] == eval ]]; then
  [[ ${_comps[python]-} == _textbench_python ]] || _textbench_python_before=${_comps[python]-}
  compdef _textbench_python python python3
fi
"""


def parser() -> cli.Parser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "completion",
        "Print a script that completes commands, options, models, data sets, budgets and the like, for "
        "'textbench COMMAND' and 'python -m benchmark.COMMAND'. Plug-ins installed later are known once the "
        "script is made again.",
        _EPILOG,
    )
    parser.add_argument("shell", metavar="SHELL", type=cli.choice("shell", SHELLS), help="bash or zsh")
    return parser


def completion(arguments: Sequence[str]) -> int:
    """Carry out the command; see `parser` for its arguments."""
    print(script(parser().parse_args(arguments).shell))
    return cli.DONE


def script(shell: str) -> str:
    """Return the completion script of a shell, made from the parsers of all commands.

    Parameters
    ----------
    shell : {"bash", "zsh"}
        Which one.
    """
    import shtab

    from benchmark.__main__ import COMMANDS
    from benchmark.models import MODELS

    preamble = {"bash": _BASH, "zsh": _ZSH}[shell]
    preamble = preamble.replace("@MODELS@", " ".join([*MODELS, "all"]))
    preamble = preamble.replace("@MODULES@", " ".join(f"benchmark.{name}" for name in COMMANDS))
    written: str = shtab.complete(_all_commands(), shell, preamble=preamble)
    return written


def _all_commands() -> argparse.ArgumentParser:
    """Return one parser of which each command is a part, with what can be completed."""
    from benchmark.__main__ import COMMANDS

    whole = argparse.ArgumentParser(prog="textbench")
    whole.add_argument("--version", action="store_true", help="print the version")
    commands = whole.add_subparsers(metavar="COMMAND")
    words = _words()
    for name, (module, summary) in COMMANDS.items():
        own: argparse.ArgumentParser = importlib.import_module(module).parser()
        for action in own._actions:  # argparse has no public list of them
            _complete(action, words)
        commands.add_parser(name, parents=[own], add_help=False, help=summary)
    return whole


def _words() -> dict[str, list[str]]:
    """Return what arguments can be, by the name that their help gives them, or by their own."""
    from benchmark.data.source import DATASETS
    from benchmark.plan.budget import load_budgets
    from benchmark.publications.configurations import load_publications

    return {
        "D": list(DATASETS),
        "budget": list(load_budgets()),
        "names": list(load_publications()),
        "action": list(DATASET_ACTIONS),
    }


def _complete(action: argparse.Action, words: dict[str, list[str]]) -> None:
    """Let an argument be completed, where it is known what it can be."""
    import shtab

    model = dict.fromkeys(SHELLS, "_textbench_model_or_file")
    places = {"M": model, "a": model, "b": model, "FILE": shtab.FILE, "DIR": shtab.DIRECTORY}
    known = {str(action.metavar), action.dest}
    if isinstance(action.type, cli.Choice):
        action.choices = action.type.choices
    elif found := known & words.keys():
        action.choices = words[found.pop()]
    elif found := known & places.keys():
        action.complete = places[found.pop()]  # type: ignore[attr-defined]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return cli.run_command(completion, arguments)


if __name__ == "__main__":
    sys.exit(main())
