"""Command lines: any words give a result or one line, never a traceback; each in a separate process."""

from __future__ import annotations

import os
import signal
import sys
import traceback
import unicodedata
from pathlib import Path

from hypothesis import strategies as st

_SECONDS = 120
_COMMANDS = [
    "datasets",
    "datasets show csv:reviews.csv",
    "datasets show dir:texts --encoding utf-8",
    "datasets show csv:reviews.csv --text-column text --label-column label --validation-share 0.3 --json",
    "models",
    "models show avg-pool",
    "leaderboard --dataset csv-reviews",
    "leaderboard --dataset csv-reviews --format json --output board.json --baseline majority --margin 1",
    "compare majority:default majority:tuned --dataset csv-reviews --margin 0.5 --json",
    "ledger",
    "ledger verify",
    "sync --list",
    "predict --best csv-reviews --model majority --file reviews.csv",
    "predict --model-uri texts --json a b",
    "export --best csv-reviews --output out",
    "sweep --model majority --dataset csv:reviews.csv --budget smoke --trials 1 --seeds 1",
    "sweep --model majority --dataset csv:reviews.csv --sampler random --pruner none --timeout 5 --seed 3",
    "sweep --model nbsvm --dataset dir:texts --space reviews.csv --epochs 2 --train-examples 8 --study s",
    "sweep --model majority --dataset csv:reviews.csv --storage sqlite:///s.db --tracking-uri sqlite:///t.db",
    "sweep --model model.py:build --set units=4 --set model.units=2 --device cpu --precision float32",
    "reproduce --list",
    "reproduce tf-basic --seeds 1 --data-dir texts --output out.md",
    "embeddings --dataset csv:reviews.csv --output vectors --method word2vec",
    "conformance model.py --kind model",
    "completion bash",
]
_ODD = [
    *("", " ", "-", "--", "-1", "0", "NaN", "1e999", "٣", "½", "0x10", "1_000", "9" * 400, "a" * 400),
    *("'", '"', "“", "\\", "%", "%s", "{}", "{0}", "[", "*", "?", "#", "=", "a=b=c", ":", "::", "@", "a@b"),
    *("..", "../..", "/", "/dev/null", "/dev/full", "~", "$HOME", "file:///x", "runs:/x/y"),
    *("https://u:SECRET@h/p", "dir:https://u:SECRET@h/p", "sample@1", "csv-reviews", "tfds:../x"),
    *("e\u0301", "\u00e9", "\u202e", "\u200b", "\u2028", "\ufeff", "\U0001f600", "\udcff"),
    *("\x1b[2J", "a\nb", "a\rb", "csv:", "dir:", "csv:texts", "dir:reviews.csv", "csv:link", "dir:loop"),
    *("--json", "--debug", "--help", "--dataset", "--model=majority", "--set", "--seeds=1"),
    "--encoding=utf-16",
]


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """The words of a command, after some edits: taken out, doubled, swapped, put in, joined, respelled."""
    words = draw(st.sampled_from(_COMMANDS)).split()
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(1, len(words)))
        edit = draw(st.sampled_from(["odd", "odd", "put in", "take out", "double", "swap", "join", "letter"]))
        last = min(place, len(words) - 1)
        if edit == "odd":
            words[last] = draw(st.sampled_from(_ODD))
        elif edit == "put in":
            words.insert(place, draw(st.one_of(st.sampled_from(_ODD), st.text(max_size=6))))
        elif edit == "take out":
            del words[last]
        elif edit == "double":
            words.insert(place, words[last])
        elif edit == "swap":
            other = draw(st.integers(0, len(words) - 1))
            words[last], words[other] = words[other], words[last]
        elif edit == "join" and last:
            words[last - 1 : last + 1] = [f"{words[last - 1]}={words[last]}"]
        elif edit == "letter" and words[last]:
            cut = draw(st.integers(0, len(words[last]) - 1))
            words[last] = (
                words[last][:cut] + draw(st.sampled_from(["", "x", "é", '"'])) + words[last][cut + 1 :]
            )
        if not words:
            break
    if words[:1] == ["sweep"]:
        words.append("--dry-run")  # what is not refused would be trained
    return [word.replace("\0", "") for word in words]


def prepare_folder(folder: Path) -> None:
    """Write the files that the command lines name."""
    rows = "".join(f"a {word} film {number},{word}\n" for number in range(12) for word in ("good", "bad"))
    (folder / "reviews.csv").write_text("text,label\n" + rows)
    for number in range(12):
        (folder / "texts" / ("pos", "neg")[number % 2]).mkdir(parents=True, exist_ok=True)
        (folder / "texts" / ("pos", "neg")[number % 2] / f"{number}.txt").write_text(f"a film {number}")
    (folder / "link").symlink_to("reviews.csv")
    (folder / "loop").symlink_to("loop")
    (folder / "model.py").write_text("def build(task, *, units: int = 8):\n    raise ValueError('no')\n")


def run_line(words: list[str], folder: Path) -> tuple[int, str, str]:
    """Run a command in a child process in a folder, and return exit code, standard output and error."""
    streams = [folder / "stdout", folder / "stderr"]
    child = os.fork()
    if child == 0:
        code = 99
        try:
            signal.alarm(_SECONDS)  # a child that hangs ends by a signal, which is no exit code
            os.chdir(folder)
            for number, path in enumerate([Path(os.devnull), *streams]):
                os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
            sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
            sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
            sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
            from benchmark.__main__ import main

            code = main(words)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 98
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    out, err = (
        path.read_text(encoding="utf-8", errors="replace") if path.exists() else "" for path in streams
    )
    return os.waitstatus_to_exitcode(status), out, err


def is_harmless(line: str) -> bool:
    """Whether nothing in a line steers a terminal, ends the line or turns its direction."""
    steering = {"Cc", "Cs", "Zl", "Zp"}
    return not any(unicodedata.category(char) in steering or "\u202a" <= char <= "\u202e" for char in line)


def check_line(words: list[str], folder: Path) -> None:
    """Hold one command line against what users are promised."""
    prepare_folder(folder)
    code, out, err = run_line(words, folder)
    shown = f"{words}\nexit code {code}\n{out[-1500:]}\n{err[-3000:]}"
    assert code in (0, 1, 2), shown
    assert "SECRET" not in out + err, shown
    if "--debug" in words:
        return
    assert "Traceback" not in err, shown
    if code == 2:
        errors = [line for line in err.split("\n") if line.startswith("error: ")]
        assert len(errors) == 1, shown
        assert err.endswith(f"{errors[0]}\n"), shown
        assert is_harmless(errors[0]), shown
        assert not (folder / "mlruns").exists(), shown
