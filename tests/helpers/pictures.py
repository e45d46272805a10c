"""What the tests of pictures look at: colours and ink of a PNG, texts of an SVG."""

import re
from xml.etree import ElementTree

import numpy as np
from matplotlib.image import imread

BLUE, ORANGE = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)


def pixels(path):
    """Red, green and blue of a picture, as whole numbers; fails for anything but a readable PNG."""
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    return np.rint(255 * imread(path)[..., :3]).astype(int)


def count(picture, color):
    return int((np.abs(picture - np.array(color)).max(axis=-1) < 12).sum())


def ink(picture):
    """Share of pixels that are not white."""
    return float((picture.min(axis=-1) < 200).mean())


def texts(path):
    """What is written in an SVG, in which letters are drawn; fails for anything but a readable SVG."""
    content = path.read_text("utf-8")
    assert ElementTree.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"
    return [text.strip() for text in re.findall(r"<!--(.*?)-->", content)]
