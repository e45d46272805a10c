"""What this machine has and lacks, each with its fix. Run as ``python -m benchmark.doctor``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from benchmark import cli

if TYPE_CHECKING:
    from argparse import Namespace

    from benchmark.checks import Finding

_DESCRIPTION = """\
Check what a sweep needs: packages, cores, memory, device, folders, locks, stores, data sets and search
spaces. What is wrong is printed with its fix. Nothing is changed, and nothing is left behind. The exit code
is 0 where there is no problem, and 1 where there is one."""


def parser() -> cli.Parser:
    """Return the command's argument parser."""
    parser = cli.make_parser("doctor", _DESCRIPTION)
    cli.add_data_dir_option(parser)
    cli.add_store_options(parser)
    parser.add_argument(
        "--storage", type=cli.possible_path, metavar="URL", help="Optuna storage that is to be used"
    )
    cli.add_device_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


@cli.command(parser)
def main(options: Namespace) -> int:
    """Carry out the command; see `parser` for its arguments."""
    from benchmark.checks import Setup, run_checks

    if options.data_dir is not None:
        cli.data_dir(options.data_dir)
    setup = Setup(cli.RUNS, options.data_dir, options.tracking_uri, options.storage, options.device)
    findings = run_checks(setup)
    problems = sum(finding.level == "problem" for finding in findings)
    if options.json:
        print(
            json.dumps(
                {"problems": problems, "findings": [asdict(finding) for finding in findings]}, indent=1
            )
        )
    else:
        _print(findings)
        print(f"\n{problems or 'no'} problem{'s' * (problems != 1)}")
    return cli.SOME_FAILED if problems else cli.DONE


def _print(findings: Sequence[Finding]) -> None:
    for finding in findings:
        cli.say(f"{finding.level:<8} {finding.message}")
        if finding.fix:
            cli.say(f"{'':<8} fix: {finding.fix}")


if __name__ == "__main__":
    sys.exit(main())
