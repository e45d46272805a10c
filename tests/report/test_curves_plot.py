"""The curves of several runs in one picture: real PNG files that show every seed."""

import numpy as np
from matplotlib.image import imread

from benchmark.report.plots import curves_png

BLUE = (0x00, 0x72, 0xB2)
FIRST = {
    "loss": [0.6, 0.4, 0.3],
    "val_loss": [0.5, 0.45, 0.5],
    "accuracy": [0.7, 0.8, 0.9],
    "val_accuracy": [0.75, 0.82, 0.81],
}
SECOND = {name: [0.5 * value for value in values] for name, values in FIRST.items()}


def draw(path, *histories):
    curves_png(histories, path, "a $title$")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    return np.rint(255 * imread(path)[..., :3]).astype(int)


def blue(picture):
    return int((np.abs(picture - np.array(BLUE)).max(axis=-1) < 12).sum())


def test_one_seed(tmp_path):
    picture = draw(tmp_path / "new" / "a.png", FIRST)
    assert blue(picture) > 200
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]


def test_every_seed_is_drawn(tmp_path):
    wide = {name: [value + 0.1 for value in values] for name, values in SECOND.items()}
    one = draw(tmp_path / "a.png", FIRST, SECOND, SECOND)
    other = draw(tmp_path / "b.png", FIRST, SECOND, wide)
    assert (one != other).any()


def test_seeds_of_different_length_and_gaps(tmp_path):
    short = {name: values[:1] for name, values in FIRST.items()}
    holes = {name: [float("nan"), *values[1:]] for name, values in FIRST.items()}
    assert blue(draw(tmp_path / "a.png", FIRST, short, holes)) > 50


def test_nothing_recorded(tmp_path):
    assert blue(draw(tmp_path / "a.png", {})) == 0
    assert blue(draw(tmp_path / "b.png")) == 0
