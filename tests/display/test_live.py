"""Displays: exact lines without a terminal, and a live table on terminals of any size."""

import io
import re
import subprocess
import sys
from unittest.mock import Mock

import pytest
from rich.console import Console

from benchmark.display.events import (
    Display,
    EpochEnded,
    FinalsPlanned,
    RunEnded,
    RunStarted,
    SuitePlanned,
    SuiteState,
    SweepEnded,
    SweepStarted,
    SweepState,
    duration,
    params_text,
    roughly,
    sparkline,
)
from benchmark.display.live import LiveDisplay, NotebookDisplay, PlainDisplay, make_display, view
from benchmark.support.printable import show_anything

NONE = {"search": 0, "final": 0}


def runs(search, final):
    """Runs by phase."""
    return {"search": search, "final": final}


DEFAULT = {"learning_rate": 0.001, "units": 64, "padding": "post"}


def drive(display, trials=4, finals=2, end=True):
    """Report a small sweep: trial 1 diverges, trial 2 is pruned, the last final run goes on."""
    display.show(SweepStarted("lstm", "imdb", "study-1", runs(trials, finals), NONE))
    for number in range(trials):
        label = f"trial {number}"
        display.show(RunStarted(label, number, "search", {**DEFAULT, "units": 64 + 16 * number}))
        for epoch in range(1, 4):
            display.show(EpochEnded(label, epoch, 3, 0.7 + 0.05 * epoch))
        if number == 1:
            display.show(RunEnded(label, "search", "diverged", None, 4.0, 0.8, "loss is NaN\nin epoch 2"))
        elif number == 2:
            display.show(RunEnded(label, "search", "pruned", 0.7, 2.0, 0.8))
        else:
            display.show(RunEnded(label, "search", "ok", 0.8 + 0.01 * number, 10.0, 0.8 + 0.01 * number, ""))
    for number in range(finals):
        label = f"final tuned seed {number}"
        display.show(RunStarted(label, number, "final", DEFAULT))
        display.show(EpochEnded(label, 1, 3, 0.75))
        if number < finals - 1:
            display.show(RunEnded(label, "final", "ok", 0.8123, 20.0, 0.8123))
    if end:
        display.show(SweepEnded("lstm", 100.0))
        display.close()


def terminal(width=80, height=24):
    return Console(
        file=io.StringIO(), force_terminal=True, width=width, height=height, record=True, color_system=None
    )


def test_plain_lines():
    stream = io.StringIO()
    drive(PlainDisplay(stream))
    assert stream.getvalue().splitlines() == [
        "lstm on imdb (study study-1): 4 trials, 2 final runs to do",
        "trial 0: ok 0.8000 in 10.0 s, best 0.8000 | 1/4 trials, 50 s left | published default",
        "trial 1: diverged in 4.0 s, best 0.8000 | 2/4 trials, 34 s left | units=80 | loss is NaN in epoch 2",
        "trial 2: pruned 0.7000 in 2.0 s, best 0.8000 | 3/4 trials, 25 s left | units=96",
        "trial 3: ok 0.8300 in 10.0 s, best 0.8300 | 4/4 trials, 20 s left | units=112",
        "final tuned seed 0: ok 0.8123 in 20.0 s, best 0.8123 | 1/2 final runs, 20 s left",
        "lstm: done in 1 min 40 s",
    ]


def test_a_metric_is_named_where_it_is_not_accuracy():
    started = SweepStarted("lstm", "imdb", "study-1", runs(2, 1), NONE, "macro F1")
    stream = io.StringIO()
    PlainDisplay(stream).show(started)
    assert stream.getvalue() == "lstm on imdb (study study-1, by macro F1): 2 trials, 1 final runs to do\n"
    state = SweepState(started)
    for label, phase in (("trial 0", "search"), ("final tuned seed 0", "final")):
        state.update(RunStarted(label, 0, phase, DEFAULT))
    console = terminal()
    console.print(view(state, 80, 24))
    said = console.export_text()
    assert "val macro F1" in said
    assert "test macro F1" in said
    assert "acc." not in said


def test_plain_continued_sweep():
    stream = io.StringIO()
    display = PlainDisplay(stream)
    display.show(SweepStarted("lstm", "imdb", "study-1", runs(20, 10), runs(15, 0)))
    assert stream.getvalue() == "lstm on imdb (study study-1): 5 of 20 trials, 10 final runs to do\n"


def test_final_runs_of_an_earlier_winner_count_no_more():
    stream = io.StringIO()
    display = PlainDisplay(stream)
    display.show(SweepStarted("avg-pool", "imdb", "study", runs(2, 6), runs(2, 4)))
    display.show(FinalsPlanned(6, 2))
    display.show(RunStarted("final tuned seed 0", 0, "final", {}))
    display.show(RunEnded("final tuned seed 0", "final", "ok", 0.5, 1.0, 0.5))
    assert "3/6 final runs" in stream.getvalue()


def test_plain_notice_stands_out():
    stream = io.StringIO()
    PlainDisplay(stream).notice("Using the sample. " + "word " * 30)
    lines = stream.getvalue().splitlines()
    assert lines[0] == lines[-1] == "=" * 78
    assert lines[1].startswith("!!  Using the sample. word")
    assert len(lines) > 4
    assert all(len(line) <= 78 for line in lines)


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", r"mod\xe8le - 5 +/- 1 ..."), ("latin-1", "modèle - 5 ± 1 ...")]
)
def test_plain_writes_at_once_on_streams_that_lack_characters(encoding, shown):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=False)
    show_anything(stream)
    PlainDisplay(stream).line("modèle – 5 ± 1 …")
    assert raw.getvalue().decode(encoding) == shown + "\n"


def test_names_and_notices_steer_no_terminal():
    stream, console = io.StringIO(), terminal(width=200)
    for display in (PlainDisplay(stream), LiveDisplay(console)):
        display.notice("first\x1b[2J\nsecond\u202e")
        display.line("\x9b2Jline")
        display.show(SweepStarted("mod\x1bel", "s\u202eet", "study", runs(1, 0), NONE))
        display.show(RunStarted("trial 0", 0, "search", DEFAULT))
        display.close()
    for text in (stream.getvalue(), console.export_text()):
        assert r"first\x1b[2J" in text
        assert r"second\u202e" in text
        assert r"\x9b2Jline" in text
        assert r"mod\x1bel on s\u202eet" in text


def test_plain_keeps_unicode_where_it_can():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8")
    PlainDisplay(stream).line("modèle – 5 …")
    assert raw.getvalue().decode().rstrip() == "modèle – 5 …"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_live_shows_what_happened(width):
    console = terminal(width)
    drive(LiveDisplay(console))
    text = console.export_text()
    last = text[text.rindex("lstm on imdb") :]
    assert re.search(r"trial 3 +ok +0\.8300", last)
    assert re.search(r"trial 1 +diverged", last)
    assert re.search(r"final tuned s.*epoch 1/3", last)
    assert "4/4 trials" in last
    assert last.rstrip().endswith("lstm: done in 1 min 40 s")
    assert all(len(line) <= width for line in last.splitlines())
    assert bool(re.search("▁[▄▅]█", last)) == (width >= 80)
    assert ("units=112" in last) == (width >= 80)
    assert ("loss is NaN in epoch 2" in last) == (width >= 80)


def test_live_gives_the_cursor_back():
    console = terminal()
    display = LiveDisplay(console)
    drive(display, end=False)
    assert "\x1b[?25l" in console.file.getvalue()
    display.close()
    display.close()
    assert console.file.getvalue().rindex("\x1b[?25h") > console.file.getvalue().rindex("\x1b[?25l")


def test_live_lines_and_notices_stand_above_the_table():
    console = terminal()
    display = LiveDisplay(console)
    display.notice("using the [bold]sample[/bold]")
    drive(display, end=False)
    display.line("spool [3] sent")
    display.close()
    text = console.export_text()
    assert "using the [bold]sample[/bold]" in text
    assert "NOTICE" in text
    assert text.index("spool [3] sent") < text.rindex("lstm on imdb")


def test_live_with_nothing_to_do_draws_no_table():
    console = terminal()
    display = LiveDisplay(console)
    display.show(SweepStarted("lstm", "imdb", "study-1", runs(4, 2), runs(4, 2)))
    display.line("nothing to do")
    display.close()
    assert console.export_text() == "nothing to do\n"


def test_live_sweeps_follow_one_another():
    console = terminal()
    display = LiveDisplay(console)
    drive(display)
    drive(display, trials=1, finals=1, end=False)
    display.close()
    text = console.export_text()
    assert "trial 3" not in text[text.rindex("lstm on imdb") :]


@pytest.mark.parametrize("height", [1, 2, 3, 5, 8, 24, 60])
@pytest.mark.parametrize("width", [1, 2, 5, 10, 20, 36, 50, 60, 72, 100, 200])
def test_view_always_fits(width, height):
    state = SweepState(SweepStarted("a-model", "a-data-set", "s", runs(40, 10), NONE))
    console = Console(file=io.StringIO(), width=width, height=height)
    for number in range(40):
        state.update(
            RunStarted(f"trial {number}", number, "search", {**DEFAULT, "units": number, "note": "x" * 90})
        )
        state.update(EpochEnded(f"trial {number}", 1, 10, 0.5))
        if number < 36:
            state.update(
                RunEnded(
                    f"trial {number}", "search", "failed", 0.5, 3.0, 0.5, "line\nbreak \x1b[2J" + "y" * 90
                )
            )
    for number in range(10):
        state.update(RunStarted(f"final tuned seed {number}", number, "final", DEFAULT))
    names = [f"{kind}-{number}" for kind in ("model", "\x1b[2Jset") for number in range(12)]
    suite = SuiteState(SuitePlanned({(model, data): 14 for data in names[12:] for model in names[:6]}))
    for given in (None, suite):
        with console.capture() as capture:
            console.print(view(state, width, height, suite=given))
        lines = capture.get().splitlines()
        assert 1 <= len(lines) <= max(1, height - 1)
        assert max(map(len, lines)) <= width
        assert "\x1b" not in capture.get()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 2), (12, 4)])
def test_live_survives_a_tiny_terminal(width, height):
    console = terminal(width, height)
    display = LiveDisplay(console)
    display.notice("a notice")
    drive(display)
    assert console.file.getvalue()


def test_running_runs_are_always_in_view():
    state = SweepState(SweepStarted("m", "d", "s", runs(40, 0), NONE))
    state.update(RunStarted("slow trial", 0, "search", DEFAULT))
    for number in range(1, 30):
        state.update(RunStarted(f"trial {number}", number, "search", DEFAULT))
        state.update(RunEnded(f"trial {number}", "search", "ok", 0.5, 3.0, 0.5))
    console = Console(file=io.StringIO(), width=80, height=24)
    console.print(view(state, 80, 24))
    assert "slow trial" in console.file.getvalue()


def test_curves_without_block_characters():
    state = SweepState(SweepStarted("m", "d", "s", runs(4, 0), NONE))
    state.update(RunStarted("trial 0", 0, "search", DEFAULT))
    for epoch, accuracy in enumerate((0.5, 0.6, 0.7), start=1):
        state.update(EpochEnded("trial 0", epoch, 5, accuracy))
    console = Console(file=io.StringIO(), width=80)
    console.print(view(state, 80, 24, ascii_only=True))
    assert "_=@" in console.file.getvalue() or "_+@" in console.file.getvalue()
    state.update(RunEnded("trial 0", "search", "failed", None, 3.0, None, "why " * 90))
    for ascii_only in (True, False):
        with console.capture() as capture:
            console.print(view(state, 80, 24, ascii_only=ascii_only))
        assert ("…" in capture.get()) != ascii_only  # it would become three characters, and wrap


def test_time_left_counts_workers_and_skips_an_ended_search():
    state = SweepState(SweepStarted("m", "d", "s", runs(10, 4), NONE))
    assert state.seconds_left() is None
    state.update(RunStarted("a", 0, "search", {}))
    state.update(RunStarted("b", 1, "search", {}))
    state.update(RunEnded("a", "search", "ok", 0.8, 10.0, 0.8))
    # 9 trials and 4 final runs of 10 s on 2 workers.
    assert state.seconds_left() == pytest.approx(65)
    state.update(RunEnded("b", "search", "ok", 0.8, 20.0, 0.8))
    assert state.seconds_left() == pytest.approx((8 * 15 + 4 * 20) / 2)
    state.update(RunStarted("c", 0, "final", {}))
    assert state.seconds_left() == pytest.approx(4 * 20 / 2)
    state.update(RunEnded("c", "final", "interrupted", None, 3.0, None))
    assert state.done["final"] == 0


SUITE = SuitePlanned({("a", "one"): 4, ("b", "one"): 2, ("a", "two"): 4, ("b", "two"): 0})


def sweep_of_a_suite(show, model, dataset, runs_now, left, tick=lambda: None):
    """Report a sweep, of which some runs are left for later."""
    show(SweepStarted(model, dataset, "s", runs(runs_now, 0), NONE))
    for number in range(runs_now):
        show(RunStarted(f"trial {number}", number, "search", DEFAULT))
        tick()
        show(RunEnded(f"trial {number}", "search", "ok", 0.8, 0.1, 0.8))
    show(SweepEnded(model, 1.0, left))


def test_time_left_of_a_suite_is_by_the_time_between_runs_of_each_model():
    now = [0.0]
    state = SuiteState(SUITE, clock=lambda: now[0])
    assert (state.seconds_left(), state.text()) == (None, "1 of 4 sweeps, 0 of 10 runs")

    def tick(seconds):
        now[0] += seconds

    sweep_of_a_suite(state.update, "a", "one", 3, 1, lambda: tick(10))
    # Of model b nothing is known yet: 2 runs as long as any, and 5 of model a.
    assert state.seconds_left() == pytest.approx(70)
    sweep_of_a_suite(state.update, "b", "one", 1, 1, lambda: tick(2))
    assert state.seconds_left() == pytest.approx(5 * 10 + 2)
    state.update(RunEnded("trial 1", "search", "interrupted", None, 0.1, None))
    assert state.left == {("a", "one"): 1, ("b", "one"): 1, ("a", "two"): 4, ("b", "two"): 0}
    sweep_of_a_suite(state.update, "b", "one", 1, 0, lambda: tick(2))
    assert state.text() == "2 of 4 sweeps, 5 of 10 runs, 50 s left of all"


def test_plain_lines_of_a_suite_say_how_much_is_left_of_all():
    stream = io.StringIO()
    display = PlainDisplay(stream)
    display.show(SUITE)
    sweep_of_a_suite(display.show, "a", "one", 3, 0)
    assert "(2 of 4 sweeps, 3 of 9 runs, " in stream.getvalue().splitlines()[-1]


def test_live_has_one_table_for_all_sweeps_of_a_suite():
    console = terminal(80, 40)
    display = LiveDisplay(console)
    display.show(SUITE)
    sweep_of_a_suite(display.show, "a", "one", 3, 1)
    sweep_of_a_suite(display.show, "b", "one", 1, 0)
    display.close()
    text = console.export_text()
    assert text.count("b on one") == 1
    assert "a on one" not in text
    table = text[text.index("runs left") :].splitlines()
    assert [line.split() for line in table[:3]] == [
        ["runs", "left", "a", "b"],
        ["one", "1", "done"],
        ["two", "4", "done"],
    ]
    assert table[3].startswith("2 of 4 sweeps, 4 of 9 runs")


def test_params_text():
    assert params_text(DEFAULT, DEFAULT) == "published default"
    assert params_text({**DEFAULT, "learning_rate": 0.00123456}, DEFAULT) == "learning_rate=0.001235"
    assert params_text({"a": 1, "b": None}, None) == "a=1 b=None"


def test_sparkline():
    assert sparkline([0.0, 0.5, 1.0], 10) == "▁▅█"
    assert sparkline([0.0, float("nan"), 1.0], 10) == "▁ █"
    assert sparkline([0.7, 0.7], 10) == "▅▅"
    assert sparkline([], 10) == ""
    assert sparkline([float("nan")], 10) == " "
    long = sparkline(range(100), 8)
    assert long == "▁▂▃▄▅▆▇█"
    assert sparkline(range(100), 1) != ""
    assert sparkline(range(100), 0) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (59.97, "1 min 00 s"), (125, "2 min 05 s"), (3840, "1 h 04 min")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.1, "1 s"), (40.2, "40 s"), (720, "12 min"), (12_600, "3.5 h")]
)
def test_roughly(seconds, text):
    assert roughly(seconds) == text


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_make_display(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert isinstance(make_display(), PlainDisplay)
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert isinstance(make_display(), LiveDisplay)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(make_display(), PlainDisplay)


@pytest.mark.parametrize(("shell", "kind"), [(None, PlainDisplay), (Mock(kernel=1), NotebookDisplay)])
def test_a_notebook_is_known_by_its_kernel(monkeypatch, shell, kind):
    monkeypatch.setitem(sys.modules, "ipykernel", Mock())
    monkeypatch.setitem(sys.modules, "IPython", Mock(get_ipython=lambda: shell))
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert type(make_display()) is kind


def test_json_keeps_standard_output_clean(capsys):
    display = make_display(json=True)
    display.line("progress")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "progress\n"


def test_silent(capsys):
    display = Display()
    display.notice("x")
    drive(display)
    assert capsys.readouterr() == ("", "")


def test_import_is_cheap():
    code = (
        "import sys, benchmark.display.live, benchmark.report.tables, benchmark.report.plots\n"
        "import benchmark.board.board\n"
        "print(sorted({'rich', 'matplotlib', 'scipy', 'tensorflow', 'mlflow', 'optuna'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
