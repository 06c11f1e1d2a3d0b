"""All results on one sheet, small, each under its name."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from nst_jax import images

Pixels = Float32[np.ndarray, "_ _ 3"]

SIDE = 160  # of a picture on the sheet
MOST = 1000  # pictures
# Columns and rows, where somebody has asked for columns; a JPEG has 65500 px at most.
_WIDEST, _TALLEST = 20, 200
_GAP = 8
_LETTERS = 14  # the height of a name


class Panel(NamedTuple):
    """A picture, or None where there is none, and its name."""

    pixels: Pixels | None
    name: str


def small(pixels: Pixels) -> Pixels:
    """The picture as it goes on the sheet."""
    shape = images.working_size(pixels.shape[:2], SIDE, "long", 1)
    return np.clip(images.resize(pixels, shape, filter="area"), 0, 1)


def drawn(panels: Sequence[Panel], columns: int = 0) -> Pixels:
    """The sheet: rows of so many pictures.

    Without `columns`, or where it would be too narrow or too long so, it is as near to
    a square as can be.
    """
    if not (1 < columns <= _WIDEST and len(panels) <= columns * _TALLEST):
        columns = math.ceil(math.sqrt(len(panels)))
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    shown = [_crossed() if p.pixels is None else p.pixels for p in panels]
    tallest = max(pixels.shape[0] for pixels in shown)
    cell = SIDE + _GAP, tallest + _LETTERS + _GAP
    sheet = np.ones((rows * cell[1] + _GAP, columns * cell[0] + _GAP, 3), np.float32)
    for number, (panel, pixels) in enumerate(zip(panels, shown, strict=True)):
        top = number // columns * cell[1] + _GAP
        left = number % columns * cell[0] + _GAP
        name = images.lettering(panel.name, SIDE, _LETTERS)
        sheet[top : top + _LETTERS, left : left + SIDE] = name[..., None]
        height, width = pixels.shape[:2]
        top += _LETTERS
        sheet[top : top + height, left : left + width] = pixels
    return sheet


def _crossed() -> Pixels:
    """What stands for a picture that could not be made."""
    side = np.abs(np.linspace(-1, 1, SIDE, dtype=np.float32))
    grey = np.where(np.abs(side[:, None] - side) < 0.03, 0.6, 0.9).astype(np.float32)
    return np.stack([grey] * 3, axis=-1)
