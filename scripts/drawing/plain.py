"""Two pictures of few things: a poster of flat shapes, and balls on a pale ground."""

import numpy as np

from drawing.noise import Floats, rgb, shrink

SIZE = (640, 480)
_FINE = 2  # drawn this many times larger, then shrunk
_PAPER = rgb(0.95, 0.90, 0.80)
_INKS = (
    rgb(0.85, 0.10, 0.10),
    rgb(0.05, 0.20, 0.55),
    rgb(0.98, 0.80, 0.10),
    rgb(0.05, 0.05, 0.05),
    rgb(0.10, 0.60, 0.40),
)
# Middle (x, y) and radius in picture widths, and colour.
_BALLS = (
    (0.30, 0.44, 0.15, rgb(0.80, 0.55, 0.50)),
    (0.60, 0.50, 0.10, rgb(0.55, 0.65, 0.50)),
    (0.82, 0.47, 0.12, rgb(0.60, 0.60, 0.75)),
)


def poster(seed: int) -> Floats:
    """Discs and blocks of five inks over slanting stripes, h w 3 in 0..1."""
    rng = np.random.default_rng(seed)
    x, y = _grid()
    picture = np.broadcast_to(_PAPER, (*x.shape, 3)).copy()
    picture[(np.floor((x + y) * 21) % 2 == 0) & (x > 0.6)] = _INKS[3]
    for number in range(40):
        column, row = rng.uniform(0, 1), rng.uniform(0, 0.75)
        radius = rng.uniform(0.025, 0.125)
        right, down = x - column, y - row
        disc = np.hypot(right, down) < radius
        block = (np.abs(down) < 0.6 * radius) & (np.abs(right) < radius)
        picture[disc if number % 2 else block] = _INKS[number % len(_INKS)]
    return shrink(picture, _FINE)


def balls() -> Floats:
    """Three matt balls lit from the left above, h w 3 in 0..1."""
    x, y = _grid()
    picture = rgb(0.75, 0.78, 0.82) + y[..., None] * rgb(0.1, 0.05, -0.05)
    for column, row, radius, colour in _BALLS:
        right, down = (x - column) / radius, (y - row) / radius
        towards = np.sqrt(np.clip(1 - right**2 - down**2, 0, 1))
        light = np.clip(-0.45 * right - 0.55 * down + 0.7 * towards, 0, 1)
        inside = right**2 + down**2 < 1
        picture[inside] = (colour * (0.35 + 0.65 * light[..., None]))[inside]
    return shrink(np.clip(picture, 0, 1), _FINE)


def _grid() -> tuple[Floats, Floats]:
    """Columns and rows of all pixels, in picture widths."""
    w, h = (side * _FINE for side in SIZE)
    y, x = np.mgrid[:h, :w].astype(np.float32) / w
    return x, y
