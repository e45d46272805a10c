"""What this machine has and lacks, each with its fix. Run as ``python -m benchmark.doctor``."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import asdict

from benchmark import cli
from benchmark.support.errors import spelled


@cli.command(
    "doctor",
    cli.DATA_DIR,
    cli.TRACKING_URI,
    cli.option("--storage URL", "Optuna storage that is to be used"),
    cli.DEVICE,
    cli.JSON,
)
def main(options: Namespace) -> int:
    """Check what a sweep needs: packages, cores, memory, device, folders, locks, stores, data sets and
    search spaces. What is wrong is printed with its fix. Nothing is changed, and nothing is left behind.
    The exit code is 0 where there is no problem, and 1 where there is one.
    """
    from benchmark.checks import Setup, run_checks

    if options.data_dir is not None:
        cli.data_dir(options.data_dir)
    setup = Setup(cli.RUNS, options.data_dir, options.tracking_uri, options.storage, options.device)
    findings = run_checks(setup)
    problems = sum(finding.level == "problem" for finding in findings)
    records = [{name: spelled(value) for name, value in asdict(finding).items()} for finding in findings]
    lines = []
    for record in records:
        lines.append(f"{record['level']:<8} {record['message']}")
        if record["fix"]:
            lines.append(f"{'':<8} fix: {record['fix']}")
    lines.append(f"\n{problems or 'no'} problem{'s' * (problems != 1)}")
    cli.show({"problems": problems, "findings": records}, "\n".join(lines), options.json)
    return cli.SOME_FAILED if problems else cli.DONE


if __name__ == "__main__":
    sys.exit(main())
