"""LaTeX: what is written, and that pdfLaTeX sets it without a complaint."""

import re
import shutil
import subprocess

import pytest
from export_samples import board, hostile, row, usual, versus

from benchmark.board.rows import WATERMARK
from benchmark.report.latex import escaped, to_latex

NASTY = (
    r"\input{/etc/passwd}%$#&_{}~^",
    r"\\[1em] \end{tabular}",
    "a\nb\tc\x00\x1b[2J",
    "Zoë Čapek ı ß œ Ł ő ḥ",
    "中文 – “q” ’ … ± × ½ ﬁ \U0001f600 e\u0301\u0301",
    "<b>|--x--|</b> ?` !` ,, '' ``",
    "$x^2_i$ 100%",
    "[x] & [y]",
)
DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs}
\begin{document}
\input{board.tex}
%s
\end{document}
"""


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("avg_pool", r"avg\_pool"),
        ("a&b %$#", r"a\&b \%\$\#"),
        ("{x}", r"\{x\}"),
        ("\\", r"\textbackslash{}"),
        ("~^", r"\textasciitilde{}\textasciicircum{}"),
        ("p<0.001 | >", r"p\textless{}0.001 \textbar{} \textgreater{}"),
        ("a--b---c", "a-{}-b-{}-{}-c"),
        ("''", "'{}'"),
        ("?`", "?{}`"),
        ("±0.2", r"$\pm$0.2"),
        ("Zoë", r"Zo\"{e}"),
        ("e\u0301", r"\'{e}"),
        ("ß", r"{\ss}"),
        ("中", "[U+4E2D]"),
        ("\U0001f600", "[U+1F600]"),
        ("ﬁ", "fi"),
        ("a\nb\x1b", "a b "),
        ("avg-pool (tuned)", "avg-pool (tuned)"),
    ],
)
def test_text_of_users_is_text(text, written):
    assert escaped(text) == written


@pytest.mark.parametrize("name", NASTY)
def test_names_leave_only_what_was_put_there(name):
    """Nothing is left of a name that LaTeX would act on, wherever it stands."""
    fields = {"dataset": name, "dataset_digest": name, "protocol": name, "tier": name, "notes": (name,)}
    nasty, harmless = (
        to_latex(board(row(word, **{key: (word,) if key == "notes" else word for key in fields})))
        for word in (name, "x")
    )
    commands = r"\\(?:input|end\{tabular\}|\\)"
    counts = [len(re.findall(commands, text)) for text in (nasty, harmless)]
    assert counts[0] <= counts[1]  # fewer columns have room
    own = re.compile(r"\$(\\pm|\\times|-)\$")
    lines = [own.sub("", line) for line in nasty.splitlines() if not line.startswith("%")]
    assert not [line for line in lines if re.search(r"(?<!\\)[%$~^#]", line)]
    cells = {len(re.findall(r"(?<!\\)&", line)) for line in lines}
    assert len(cells) == 2  # those of the table, and no cells elsewhere
    assert [line for line in lines if line.startswith("1 &")]
    assert nasty.isascii()


def test_a_baseline_that_has_no_room_does_not_leave_its_comment():
    baseline = "long name " * 20 + "\n\\input{x}"
    text = to_latex(board(row("a", 0.8, **versus(0.1, 0, 0.2, "better", baseline=baseline))))
    (line,) = [line for line in text.splitlines() if "long name" in line]
    assert line.startswith("% No room for: vs long name")
    assert r"\input" not in text.split("\n", 1)[1]


def test_a_table_for_each_section():
    text = to_latex(usual())
    assert text.startswith("% A board of Textbench")
    assert r"The preamble needs \usepackage{booktabs}" in text.splitlines()[0]
    ranked = text.split(r"\end{table}")[0]
    assert text.count(r"\begin{tabular}") == text.count(r"\end{table}") == 2
    assert r"\caption{Test accuracy on imdb (digest d1), budget standard, protocol inductive.}" in ranked
    assert r"\label{tab:textbench-imdb-standard-inductive}" in ranked
    lines = ranked.splitlines()
    assert (
        r"1 & cnn & tuned & 89.3 [88.3, 90.3] & $\pm$0.2 & +1.8 [1.2, 2.4] p\textless{}0.001 & 3 \\"
    ) in lines
    assert any(line.startswith("2--4 & lstm & tuned &") and "+0.4 [$-$0.2, 1.0]" in line for line in lines)
    assert r"gru (tuned): 1 of 5 seeds missing; 1 of 5 seeds diverged.\par" in lines
    assert "reads of the test split: lstm 9, cnn 6, gru 5, nbsvm 3." in ranked
    assert "all places that the comparisons leave open" in ranked
    assert WATERMARK not in ranked
    assert r"% No room for: search trials, val \%, parameters, train s." in lines
    assert "seeds} & \\shortstack[r]{val" in to_latex(board(row("a", 0.8)))


def test_smoke_carries_its_watermark():
    ranked, smoke = to_latex(usual()).split(r"\end{table}")[:2]
    assert rf"\caption{{\textbf{{{WATERMARK}}}. Test accuracy on imdb" in smoke
    assert f"-- & quickie & tuned & {WATERMARK} &" in smoke
    assert "quickie" not in ranked


def test_labels_are_told_apart():
    text = to_latex(board(row(dataset="a b", dataset_digest="1"), row(dataset="a_b", dataset_digest="2")))
    labels = re.findall(r"\\label\{(.*?)\}", text)
    assert labels == ["tab:textbench-a-b-standard-inductive", "tab:textbench-a-b-standard-inductive-2"]


def test_empty_board():
    text = to_latex(board())
    assert "python -m benchmark.sweep" in text
    assert all(line.startswith("%") for line in text.splitlines())


@pytest.fixture
def pdflatex(tmp_path):
    """Set a board and return the log and the text of the PDF's log; fails where LaTeX complains."""
    if shutil.which("pdflatex") is None:
        pytest.skip("needs pdflatex (Debian: texlive-latex-recommended)")

    def run(found, more=""):
        (tmp_path / "board.tex").write_text(to_latex(found), encoding="utf-8")
        (tmp_path / "paper.tex").write_text(DOCUMENT % more, encoding="utf-8")
        for _ in range(2):  # the second time for references
            command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper"]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
            assert done.returncode == 0, done.stdout[-3000:]
        assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")
        return (tmp_path / "paper.log").read_text(errors="replace")

    return run


@pytest.mark.long
def test_pdflatex_sets_a_board_within_the_page(pdflatex):
    log = pdflatex(usual(), r"See table~\ref{tab:textbench-imdb-standard-inductive}.")
    assert "Overfull" not in log
    assert "undefined" not in log
    long_names = versus(-0.018, -0.024, -0.012, "undecided", finds=0.012, baseline="tfidf-logreg (default)")
    named = row("transformer", 0.8, sampling_error=None, n_seeds=9, seeds_expected=10, **long_names)
    assert "Overfull" not in pdflatex(board(named, row("tfidf-logreg", 0.79, tier="default")))


@pytest.mark.long
def test_pdflatex_sets_whatever_users_call_their_things(pdflatex):
    rows = [
        row(
            name, dataset=name, dataset_digest=name, protocol=name, notes=(name,),
            **versus(0.1, 0, 0.2, "better", baseline=name),
        )
        for name in NASTY
    ]  # fmt: skip
    log = pdflatex(board(*rows, *hostile("plain").rows))
    assert "Missing character" not in log
