"""Published configurations beside their figures. Run as ``python -m benchmark.reproduce``."""

from __future__ import annotations

import json
import re
import shlex
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import cli
from benchmark.support.errors import UserError, did_you_mean, file_errors
from benchmark.support.files import write_whole
from benchmark.support.printable import redacted

if TYPE_CHECKING:
    from benchmark.publications.configurations import Case, Publication
    from benchmark.publications.reproduction import ReproductionRow
    from benchmark.tracking.runs import StoredRun


@cli.command(
    "reproduce",
    cli.option("names NAME", "published configurations (default: all)", nargs="*"),
    cli.option(
        "--seeds K",
        "runs of each in total (default: 5; with few labels at least 20 draws; of a slow one 1, unless it is "
        "named)",
        cli.whole_number(1),
    ),
    cli.DATA_DIR,
    cli.option(
        "--vectors DIR",
        "folder of the embeddings command: what reads vectors or a module is measured with these, too",
    ),
    cli.option(
        "--output DIR",
        "folder of reproduction.md, reproduction.csv and the curves (default: mlruns/reproduce)",
        default=str(cli.RUNS / "reproduce"),
    ),
    cli.option("--published DIR", "folder of other published configurations (YAML files)"),
    cli.SEED,
    cli.DEVICE,
    cli.TRACKING_URI,
    cli.switch("--list", "list the published configurations, run nothing"),
    cli.JSON_AT_END,
)
def main(options: Namespace) -> int:
    """Run the published configurations of the tutorials exactly as published, over seeds, and print what
    comes out beside the published figures. Without a name: all of them, the cheapest first; slow ones
    then have one seed. The same command again trains nothing that is there; --seeds is a total.

    examples:
      python -m benchmark.reproduce --list
      python -m benchmark.reproduce --data-dir DATA
      python -m benchmark.reproduce tf-basic keras-flatten --seeds 10
      python -m benchmark.reproduce tf-hub glove-200 --vectors FOLDER_OF_THE_EMBEDDINGS_COMMAND
    """
    if options.list:
        return _list(_chosen(options), options.json)
    command = redacted(shlex.join(["python", "-m", "benchmark.reproduce", *options.arguments]))
    return _run(cases(options), options, command)


def _chosen(options: Namespace) -> dict[str, Publication]:
    """Return the publications that were asked for, in the order in which they are run."""
    from benchmark.publications.configurations import load_publications

    publications = load_publications(Path(options.published) if options.published else None)
    for name in options.names:
        if name not in publications:
            hint = did_you_mean(name, publications)
            raise UserError(f"there is no published configuration named '{name}'; {hint}")
    return {name: publications[name] for name in publications if name in (options.names or publications)}


def _list(publications: Mapping[str, Publication], as_json: bool) -> int:
    from benchmark.publications.reproduction import FIGURES, published_text

    lines = []
    for item in publications.values():
        figures = ", ".join(f"{FIGURES[each.metric]} {published_text(each)}" for each in item.published)
        lines += [
            f"{item.name}: {item.title} ({item.model} on {item.dataset.label}, {item.cost})",
            f"  {item.source.title}" + (f", {item.source.url}" if item.source.url else ""),
            f"  published: {figures or 'no figure'}",
        ]
    cli.show([item.model_dump(mode="json") for item in publications.values()], "\n".join(lines), as_json)
    return cli.DONE


def cases(options: Namespace) -> list[Case]:
    """Return what is to be measured, in the order in which it is run.

    Parameters
    ----------
    options : Namespace
        Of `parser`.

    Raises
    ------
    UserError
        For a name that does not exist, with the nearest, and for vectors that nothing asked for reads.
    """
    from benchmark.publications.configurations import Case

    publications = _chosen(options)
    vectors = None if options.vectors is None else Path(options.vectors)
    if vectors is not None:
        if not vectors.is_dir():
            raise UserError("there is no such folder", setting="vectors", value=vectors)
        if not any(item.own_vectors for item in publications.values()):
            reason = f"none of {', '.join(publications)} reads vectors or a module"
            raise UserError(reason, setting="vectors")
    found = []
    for name, item in publications.items():
        seeds = item.runs(options.seeds, name in options.names)
        found.append(Case(item, seeds))
        if vectors is not None and item.own_vectors:
            found.append(Case(item.with_vectors(vectors), seeds, own_vectors=True))
    return found


def _run(to_do: Sequence[Case], options: Namespace, command: str) -> int:
    from benchmark.display.live import make_display
    from benchmark.driver.session import open_session
    from benchmark.publications.measurement import measure
    from benchmark.publications.rendering import to_csv, to_markdown, to_table
    from benchmark.publications.reproduction import reproduction_rows
    from benchmark.training.devices import check_device

    data_dir = cli.data_dir(options.data_dir)
    check_device(options.device)
    output = _output_folder(options.output)
    rows: list[ReproductionRow] = []
    pictures: dict[str, str] = {}
    with (
        make_display(options.json) as display,
        open_session(cli.RUNS, options.tracking_uri, display) as session,
    ):
        for case in to_do:
            measured, runs = measure(
                case, session, data_dir=data_dir, seed=options.seed, device=options.device
            )
            rows += (own := reproduction_rows(case, measured))
            if runs:
                pictures[own[0].label] = _draw(case, runs, output)
    write_whole(output / "reproduction.md", to_markdown(rows, command, pictures))
    write_whole(output / "reproduction.csv", to_csv(rows))
    if options.json:
        print(json.dumps({"rows": [row.model_dump(mode="json") for row in rows]}, indent=1))
    else:
        print()
        print(to_table(rows, width=cli.terminal_width(), color=sys.stdout.isatty()))
        cli.say(f"The same with curves and with what is not as published: {output / 'reproduction.md'}")
    return cli.SOME_FAILED if any(row.incomplete for row in rows) else cli.DONE


def _draw(case: Case, runs: Sequence[StoredRun], output: Path) -> str:
    """Draw the curves of all seeds; return the name of the file."""
    from benchmark.report.plots import curves_png

    path = output / f"curves-{re.sub(r'[^a-z0-9]+', '-', case.name).strip('-')}.png"
    curves_png([run.curves for run in runs], path, f"{case.name}: {case.publication.title}")
    return path.name


def _output_folder(name: str) -> Path:
    """Make the folder, and make sure before anything is trained that it can be written."""
    folder = Path(name)
    with file_errors(folder, setting="output"):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / ".probe", "")
        (folder / ".probe").unlink()
    return folder


if __name__ == "__main__":
    sys.exit(main())
