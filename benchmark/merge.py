"""Joins what sweeps have left in several folders. Run as ``python -m benchmark.merge``."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import cli
from benchmark.errors import Unfinished, UserError

if TYPE_CHECKING:
    from benchmark.search.merging import Joined, StoredStudy
    from benchmark.tracking.merging import Addition, FolderRuns, Found

_PATIENCE, _PAUSE = 30.0, 1.0
_OURS = ("mlflow.db", "studies", "ledger.jsonl", "spool")

_DESCRIPTION = """\
Join what sweeps have left in several folders, as those of sweep --shard: searches, results with their
artifacts, and the ledger of test reads. The folders are only read. Of each trial and each final run one
counts; where two have other results, the one that is here is kept. The order of the folders does not
matter, the same command again adds nothing, and one that was killed is completed by the same command."""

_EPILOG = """\
examples:
  python -m benchmark.merge shard-1 shard-2 shard-3
  python -m benchmark.merge --into board /media/*/mlruns --dry-run"""


def parser() -> cli.Parser:
    """Return the command's argument parser."""
    parser = cli.make_parser("merge", _DESCRIPTION, _EPILOG)
    parser.add_argument(
        "folders", type=cli.local_path, nargs="+", metavar="DIR", help="folder with an mlruns, or an mlruns"
    )
    parser.add_argument(
        "--into",
        type=cli.local_path,
        metavar="DIR",
        help="folder to whose mlruns is added (default: this one)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="count what would be added, and change nothing"
    )
    return parser


def merge(arguments: Sequence[str]) -> int:
    """Carry out the command; see `parser` for its arguments."""
    options = parser().parse_args(arguments)
    if os.environ.get("MLFLOW_TRACKING_URI"):
        raise UserError("MLFLOW_TRACKING_URI is set, but stores are joined in a folder's mlruns; unset it")
    runs = _target(options.into)
    target, sources = _Folder(str(runs), runs), _sources(options.folders, runs)
    with ExitStack() as stack:
        if not options.dry_run:
            studies = sorted({study for source in sources for study in source.studies})
            for folder in (*sources, target):
                stack.enter_context(_alone(folder, studies))
        joining = _Joining(target, sources)
        if not options.dry_run:
            joining.carry_out()
    joining.report(dry_run=options.dry_run)
    return cli.DONE


@dataclass
class _Folder:
    """A folder with what sweeps have left, or will get it.

    Attributes
    ----------
    name : str
        As the user wrote it.
    runs : Path
        Its ``mlruns``.
    """

    name: str
    runs: Path

    @property
    def ledger(self) -> Path:
        return self.runs / "ledger.jsonl"

    @property
    def studies(self) -> list[str]:
        """Names of the studies that have a journal."""
        return sorted(path.stem for path in (self.runs / "studies").glob("[!.]*.journal"))

    @cached_property
    def store(self) -> FolderRuns:
        from benchmark.tracking.merging import FolderRuns

        return FolderRuns(self.runs)

    @cached_property
    def found(self) -> list[Found]:
        from benchmark.tracking.merging import check_names

        check_names(self.store.all, self.runs)
        return self.store.all

    def search(self, study: str) -> StoredStudy | None:
        """Read a study."""
        from benchmark.search.merging import read_study

        return read_study(self.runs / "studies" / f"{study}.journal")

    def waiting_elsewhere(self) -> dict[str, int]:
        """Return the other stores for which results wait here, and how many."""
        from benchmark.tracking.spool import other_stores, spool_home

        return other_stores(self.runs, but=spool_home(self.runs, self.store.uri))


def _target(into: str | None) -> Path:
    if into is None:
        return cli.RUNS
    folder = Path(into)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--into {into}: this is a file; expected a folder")
    return folder if folder.name == cli.RUNS.name or _is_ours(folder) else folder / cli.RUNS


def _is_ours(folder: Path) -> bool:
    return any((folder / name).exists() for name in _OURS)


def _sources(folders: Sequence[str], target: Path) -> list[_Folder]:
    """Find the ``mlruns`` of each folder that a user names."""
    found: dict[Path, _Folder] = {}
    for name in folders:
        folder = Path(name)
        if not folder.is_dir():
            raise UserError(f"{name}: there is no such folder; expected one with an mlruns in it")
        inside = folder / cli.RUNS
        runs = inside if inside.is_dir() else folder
        if not _is_ours(runs):
            raise UserError(
                f"{name}: no sweep was run there; expected a folder with an mlruns that has one of "
                f"{', '.join(_OURS)}"
            )
        if runs.resolve() == target.resolve():
            raise UserError(f"{name}: this is the folder that the others are joined to; leave it out")
        found.setdefault(runs.resolve(), _Folder(name, runs))
    return list(found.values())


@contextmanager
def _alone(folder: _Folder, studies: Sequence[str]) -> Iterator[None]:
    """Keep sweeps from going on with studies meanwhile, where the folder can be written."""
    from benchmark.search.presence import open_presence

    locks = folder.runs / "studies"
    with ExitStack() as stack:
        for study in studies if os.access(locks, os.W_OK) else ():
            presence = open_presence(None, locks, study)
            stack.callback(presence.close)
            if not presence.take("study"):
                raise UserError(
                    f"{folder.name}: study {study} is being worked on by another process; wait for it"
                )
        yield


class _Joining:
    """What is to be done; nothing is written before all of it has been read and found right."""

    def __init__(self, target: _Folder, sources: Sequence[_Folder]) -> None:
        from benchmark.data.ledger import missing_entries, read_entries
        from benchmark.tracking.merging import Known

        self._target, self._sources = target, sources
        self._known = Known(target.found)
        # Runs first, the ledger last: who reads a test part writes that down before the store hears of it.
        self._additions = [self._known.add(source.found) for source in sources]
        self._studies: dict[str, StoredStudy] = {}
        self._joined = [[self._join(source, study) for study in source.studies] for source in sources]
        entries = read_entries(target.ledger)
        self._entries: list[list[dict[str, Any]]] = []
        for source in sources:
            self._entries.append(missing_entries(entries, read_entries(source.ledger)))
            entries += self._entries[-1]
        self._looks = len(entries)

    def _join(self, source: _Folder, name: str) -> Joined | None:
        from benchmark.search.merging import joined

        here = self._studies.get(name) or self._target.search(name)
        there = source.search(name)
        if there is None:
            return None
        if here is not None and here.identity != there.identity:
            raise UserError(
                f"{source.name}: its study {name} was begun with another model, data set, space, budget, "
                "sampler, pruner or seed than the one here; join it to another folder with --into"
            )
        result = joined(here, there)
        self._studies[name] = result.study
        return result

    def carry_out(self) -> None:
        """Write everything: looks at test parts first, results last."""
        from benchmark.data.ledger import join
        from benchmark.search.merging import write_study
        from benchmark.tracking.store import ensure_runs_folder

        runs = self._target.runs
        ensure_runs_folder(runs)
        for entries in self._entries:
            join(self._target.ledger, entries)
        changed = {one.study.name for found in self._joined for one in found if one and one.changed}
        for name in sorted(changed):
            write_study(runs / "studies" / f"{name}.journal", self._studies[name])
        self._deliver()

    def _deliver(self) -> None:
        from benchmark.report.progress import delivery_progress
        from benchmark.tracking.merging import commit, database_uri
        from benchmark.tracking.outbox import Outbox
        from benchmark.tracking.spool import Spool
        from benchmark.tracking.store import connect

        runs = self._target.runs
        uri = database_uri(runs)
        outbox = Outbox(connect(uri), Spool(runs, uri, _say), _say)
        try:
            for source, addition in zip(self._sources, self._additions, strict=True):
                without = commit(addition, source.store, self._known, outbox.spool, runs, self._totals)
                if without:
                    _say(
                        f"{source.name}: {without} runs came without artifacts: there are none in that folder"
                    )
            left = outbox.drain(_PATIENCE, delivery_progress(_say))
        finally:
            outbox.close(_PAUSE)
        if left or outbox.spool.refused():
            raise Unfinished(
                f"not all results could be delivered; they are kept in {outbox.spool.home}, and the same "
                "command, or python -m benchmark.sync, goes on"
            )

    def _totals(self, study: str) -> dict[str, float]:
        from benchmark.tracking import names

        search = self._studies.get(study)
        if search is None:
            return {}
        return {names.SEARCH_TRIALS: float(len(search.done)), names.SEARCH_SECONDS: search.seconds}

    def report(self, *, dry_run: bool) -> None:
        """Print a line for each folder, then the totals."""
        from benchmark.tracking import names

        finals = (names.FINAL_RUN, names.PUBLISHED_RUN)
        word, has = ("would be added", "would have") if dry_run else ("added", "has")
        sums = [0, 0, 0]
        for place, source in enumerate(self._sources):
            addition = self._additions[place]
            new = [addition.of_kind(names.TRIAL_RUN), addition.of_kind(*finals), len(self._entries[place])]
            sums = [before + more for before, more in zip(sums, new, strict=True)]
            cli.say(f"{source.name}: {_counted(new)} {word}; {addition.present:,} runs were here")
            for line in (*_differing_trials(self._joined[place]), *_differing_finals(addition)):
                cli.say(f"{source.name}: {line}")
            for store, number in source.waiting_elsewhere().items():
                cli.say(f"{source.name}: {number} wait for {store}; there: python -m benchmark.sync")
        total = [self._known.count(names.TRIAL_RUN), self._known.count(*finals), self._looks]
        cli.say(f"{_counted(sums)} {word} to {self._target.name}, which {has} {_counted(total)} now")


def _counted(numbers: Sequence[int]) -> str:
    trials, finals, looks = numbers
    return f"{trials:,} trials, {finals:,} final runs and {looks:,} looks at test parts"


def _differing_trials(joined: Sequence[Joined | None]) -> Iterator[str]:
    for one in joined:
        if one is not None and one.differing:
            slots = ", ".join(map(str, sorted(one.differing)))
            yield f"trials {slots} of {one.study.name} ended otherwise there; those here are kept"


def _differing_finals(addition: Addition) -> Iterator[str]:
    from benchmark.tracking import names

    differing: defaultdict[str, list[str]] = defaultdict(list)
    for found in addition.differing:
        if found.kind != names.TRIAL_RUN:  # the study tells of trials
            tags = found.run.tags
            differing[found.study].append(f"{tags.get(names.TIER)} seed {tags.get(names.SEED)}")
    for study, runs in differing.items():
        which = ", ".join(sorted(runs))
        yield f"final runs of {study} have other results there ({which}); those here are kept"


def _say(text: str) -> None:
    cli.say(text, error=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return cli.run_command(merge, arguments)


if __name__ == "__main__":
    sys.exit(main())
