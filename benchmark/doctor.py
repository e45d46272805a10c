"""What this machine has and lacks, each with its fix. Run as ``python -m benchmark.doctor``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from benchmark import cli

if TYPE_CHECKING:
    from argparse import Namespace

_DESCRIPTION = """\
Check what a sweep needs: packages, cores, memory, device, folders, locks, stores, data sets and search
spaces. What is wrong is printed with its fix. Nothing is changed, and nothing is left behind. The exit code
is 0 where there is no problem, and 1 where there is one."""


parser = partial(
    cli.make_parser,
    "doctor",
    _DESCRIPTION,
    cli.DATA_DIR,
    cli.TRACKING_URI,
    cli.option("--storage", "URL", cli.possible_path, "Optuna storage that is to be used"),
    cli.DEVICE,
    cli.JSON,
)


@cli.command(parser)
def main(options: Namespace) -> int:
    """Carry out the command; see `parser` for its arguments."""
    from benchmark.checks.findings import Setup
    from benchmark.checks.run import run_checks

    if options.data_dir is not None:
        cli.data_dir(options.data_dir)
    setup = Setup(cli.RUNS, options.data_dir, options.tracking_uri, options.storage, options.device)
    findings = run_checks(setup)
    problems = sum(finding.level == "problem" for finding in findings)
    record = {"problems": problems, "findings": [asdict(finding) for finding in findings]}
    lines = [
        f"{each.level:<8} {each.message}" + f"\n{'':<8} fix: {each.fix}" * bool(each.fix) for each in findings
    ]
    cli.show(
        record, "\n".join([*lines, "", f"{problems or 'no'} problem{'s' * (problems != 1)}"]), options.json
    )
    return cli.SOME_FAILED if problems else cli.DONE


if __name__ == "__main__":
    sys.exit(main())
