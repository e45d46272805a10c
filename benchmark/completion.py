"""Completion of commands, options and values in bash and zsh. Run as ``python -m benchmark.completion``."""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmark import cli
from benchmark.datasets import ACTIONS as DATASET_ACTIONS

SHELLS = ("bash", "zsh")


@cli.command(
    "completion",
    cli.option("shell SHELL", "bash or zsh", cli.Choice("shell", SHELLS)),
)
def main(options: argparse.Namespace) -> int:
    """Print a script that completes commands, options, models, data sets, budgets and the like of 'textbench
    COMMAND'. Plug-ins installed later are known once the script is made again.

    in bash:
      textbench completion bash > ~/.textbench-completion
      echo 'source ~/.textbench-completion' >> ~/.bashrc
    in zsh, after compinit:
      textbench completion zsh > ~/.textbench-completion
      echo 'eval "$(<~/.textbench-completion)"' >> ~/.zshrc
    """
    print(script(options.shell))
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
    from benchmark.data.source import DATASETS
    from benchmark.models import MODELS
    from benchmark.plan.space import load_budgets
    from benchmark.publications.configurations import load_publications

    # By the name that the help gives an argument, or by its own.
    words: dict[str, list[str]] = {
        **{name: [*MODELS, "all"] for name in ("M", "a", "b")},
        "D": list(DATASETS),
        "budget": list(load_budgets()),
        "names": list(load_publications()),
        "action": list(DATASET_ACTIONS),
    }
    places = {"FILE": shtab.FILE, "DIR": shtab.DIRECTORY}
    whole = argparse.ArgumentParser(prog="textbench")
    whole.add_argument("--version", action="store_true", help="print the version")
    commands = whole.add_subparsers(metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        command: argparse.ArgumentParser = importlib.import_module(module).main.parser()
        for action in command._actions:  # argparse has no public list of them
            known = {str(action.metavar), action.dest}
            if isinstance(action.type, cli.Choice):
                action.choices = action.type.choices
            elif found := known & words.keys():
                action.choices = words[found.pop()]
            elif found := known & places.keys():
                action.complete = places[found.pop()]  # type: ignore[attr-defined]
        commands.add_parser(name, parents=[command], add_help=False, help=summary)
    written: str = shtab.complete(whole, shell)
    return written


if __name__ == "__main__":
    sys.exit(main())
