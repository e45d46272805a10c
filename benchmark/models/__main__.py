"""List and describe architectures. Run as ``python -m benchmark.models``."""

from __future__ import annotations

import sys
from argparse import Namespace

from benchmark import cli


@cli.command(
    "models",
    cli.option("name M", "a registered name, or path/to/file.py:build", nargs="?"),
    cli.JSON,
)
def main(options: Namespace) -> int:
    """List the architectures, or describe one with its search space."""
    from benchmark.models import MODELS
    from benchmark.models.source_description import describe
    from benchmark.plan.run_specs import resolve_space

    if options.name is None:
        found = [describe(name) for name in MODELS]
        records = [{"name": item.name, "summary": item.summary} for item in found]
        cli.show(records, "\n".join(f"{item.name:<14} {item.summary}" for item in found), options.json)
        return cli.DONE
    model = describe(options.name)
    space = resolve_space(model)
    content = {"name": model.name, "summary": model.summary, "source": model.source}
    lines = [
        f"{model.name}: {model.summary}",
        f"source: {model.source or space.source}",
        f"file: {model.file}\n",
        f"{'hyper-parameter':<20} {'default':<12} searched",
        *(
            f"{name:<20} {value!s:<12} {space.search.get(name, '')}".rstrip()
            for name, value in space.default.items()
        ),
    ]
    cli.show({**content, "space": space.model_dump(mode="json")}, "\n".join(lines), options.json)
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())
