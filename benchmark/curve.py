"""The test metric against the number of training texts. Run as ``python -m benchmark.curve``."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError, Namespace
from itertools import chain
from typing import TYPE_CHECKING, Any

from benchmark import cli
from benchmark.report.results import CurveResult
from benchmark.support.errors import UserError, file_errors
from benchmark.support.registry import label_of
from benchmark.sweep import PlannedSweeps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmark.board.size_curves import Point, SizeCurves
    from benchmark.display.events import Display
    from benchmark.driver.curve_points import PlannedPoint
    from benchmark.spec.config import SweepConfig

_BUDGET = "standard"
_FORMATS = ("table", "md", "csv", "json")
_ALL = "all"


def _sizes(text: str) -> list[int | None]:
    """Accept numbers of texts and ``all``, which is None, with commas between them."""
    try:
        found = [None if word.strip().lower() == _ALL else int(word) for word in text.split(",")]
    except ValueError:
        found = [0]
    if any(one is not None and one < 1 for one in found):
        raise ArgumentTypeError(f"'{text}': expected numbers of texts and all, as 100,300,1000,all")
    return found


@cli.command(
    "curve",
    cli.option(
        "--model M",
        "architecture: a registered name, or path/to/file.py:build; repeated for several",
        action="append",
        required=True,
    ),
    cli.option(
        "--dataset D",
        "data set: a name, dir:PATH, csv:PATH, hf:NAME or tfds:NAME (default: imdb where it is available, "
        "otherwise sample)",
    ),
    cli.option(
        "--sizes N,N",
        "numbers of training texts, as 100,300,1000,all",
        _sizes,
        nargs="+",
        action="extend",
        required=True,
    ),
    cli.option("--seeds K", "draws of each size in total (default: 5)", cli.whole_number(1), default=5),
    cli.option(
        "--metric NAME",
        "what early stopping follows and the curves show (default: what the space or the data set names, "
        "otherwise accuracy)",
        cli.metric_name,
    ),
    cli.option(
        "--set NAME=VALUE",
        "change a hyper-parameter; MODEL.NAME=VALUE is for one model of several; may be repeated",
        action="append",
        default=[],
    ),
    cli.FOLDS,
    cli.option(
        "--workers N",
        "train in N processes side by side (default: in this process, and by as many as are fastest where "
        "that pays)",
        cli.whole_number(1),
    ),
    cli.one_of("--format F", "format", _FORMATS, "table"),
    cli.option("--picture FILE", "also draw the curves as a PNG or SVG"),
    cli.DEVICE,
    *cli.DATA_OPTIONS,
    cli.TRACKING_URI,
    cli.switch("--dry-run", "print what would be trained, run nothing"),
)
def main(options: Namespace) -> int:
    """Train models on different numbers of texts, several draws of each, and print the test metric against
    that number, where two models cross, and what more texts bring. A draw is the same for all models. The
    published defaults are trained, scaled to few texts; nothing is searched. The same command again
    continues where it stopped.

    examples:
      python -m benchmark.curve --model nbsvm --model avg-pool --dataset imdb --sizes 100,300,1000,3000,all
      python -m benchmark.curve --model nbsvm --model linear-words --sizes 100,1000 --picture curve.png
      python -m benchmark.curve --model avg-pool --sizes 300,all --format csv > curve.csv
    """
    from benchmark.display.live import make_display

    with make_display(options.format != "table") as display:
        result = run(options, display)
    if isinstance(result, PlannedSweeps):
        cli.say(result.text)
        return cli.DONE
    print(_text(result.curves, options.format).rstrip("\n"))
    return cli.DONE if result.complete else cli.SOME_FAILED


def _text(curves: SizeCurves, form: str) -> str:
    from benchmark.report import size_curves

    if form == "table":
        width, color = cli.terminal_width(), sys.stdout.isatty()
        return "\n" + size_curves.to_table(curves, width=width, color=color)
    writers = {"md": size_curves.to_markdown, "csv": size_curves.to_csv, "json": size_curves.to_json}
    return writers[form](curves)


def run(options: Namespace, display: Display) -> CurveResult | PlannedSweeps:
    """Train what is missing of curves, and compute them; or say what would be trained."""
    sizes = list(chain.from_iterable(options.sizes))
    _check(options, sizes)
    from benchmark.data.prepare import choose_dataset
    from benchmark.data.source import get_source
    from benchmark.driver.curve_points import measure, numbers_of_texts, plan_points
    from benchmark.driver.session import open_session
    from benchmark.driver.sweep_options import check_names
    from benchmark.training.devices import check_device, threads_asked

    threads_asked()  # which every run reads from the environment
    source, config = cli.source_options(options), _config(options)
    check_names(options.model, config)
    if options.dataset is not None:
        get_source(options.dataset, source)
    display.line(f"{', '.join(options.model)}: reading the data set, or preparing it")
    dataset = choose_dataset(options.dataset, source, display.notice, display.line)
    points = plan_points(options.model, dataset, numbers_of_texts(sizes, dataset), config)
    if options.dry_run:
        return _planned(points)
    check_device(options.device)
    settings = {"workers": options.workers, "spread": True}
    with open_session(cli.RUNS, options.tracking_uri, display, **settings) as session:
        result = CurveResult(measure(points, session))
    if options.picture:
        from benchmark.report.plot_style import save

        with file_errors(options.picture, setting="picture"):
            save(result.figure(), options.picture)
    return result


def _check(options: Namespace, sizes: Sequence[int | None]) -> None:
    """Find out what is wrong before any data is prepared."""
    if options.folds:
        reason = "a curve reads one test split at all sizes; leave it out"
        raise UserError(reason, setting="folds", value=options.folds)
    cli.check_picture(options.picture)
    labels = [label_of(model) for model in options.model]
    for setting, given in (("model", labels), ("sizes", [str(one or _ALL) for one in sizes])):
        if twice := next((one for one in given if given.count(one) > 1), None):
            raise UserError("is there twice", setting=setting, value=twice)
    if len(sizes) < 2:
        reason = "a curve has two sizes at least, as 100,300,1000,all"
        raise UserError(reason, setting="sizes", value=sizes[0] or _ALL)


def _config(options: Namespace) -> SweepConfig:
    from benchmark.plan.space import get_budget
    from benchmark.spec.config import SweepConfig

    budget = get_budget(_BUDGET)
    return SweepConfig(
        budget=_BUDGET,
        trials=1,
        seeds=options.seeds,
        epochs=budget.epochs,
        train_share=1.0,
        small_data=budget.small_data,
        overrides=cli.fixed_settings(options.set),
        device=options.device,
        metric=options.metric,
    )


def _planned(points: Mapping[Point, PlannedPoint]) -> PlannedSweeps:
    from benchmark.report.columns import counted

    found: list[dict[str, Any]] = [
        {"model": model, "texts": texts, "seeds": one.plan.config.seeds, "scaled": one.scaled}
        for (model, texts), one in points.items()
    ]
    lines = [
        f"{one['model']}: {counted(one['seeds'], 'draw')} of {one['texts']:,} texts"
        + (f", default scaled to few texts: {one['scaled']}" if one["scaled"] else "")
        for one in found
    ]
    return PlannedSweeps({"plan": found}, "\n".join([*lines, "dry run: nothing was started"]))


if __name__ == "__main__":
    sys.exit(main())
