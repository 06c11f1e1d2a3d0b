"""A window of coloured glass: cells with leads between them, lit from behind."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

from drawing.noise import Floats, fractal, rgb, sample, shrink, smoothstep

SIZE = (640, 512)
_FINE = 2  # drawn this many times larger, then shrunk
_CELLS = 17  # across
_LEAD = 5.0  # width of a lead, in final pixels
# A pane takes its place in this row from slow noise, so that neighbours belong
# together.
_PALETTE = (
    rgb(0.30, 0.03, 0.10),
    rgb(0.66, 0.06, 0.09),
    rgb(0.88, 0.26, 0.08),
    rgb(0.96, 0.56, 0.10),
    rgb(0.99, 0.83, 0.34),
    rgb(0.97, 0.93, 0.74),
    rgb(0.56, 0.66, 0.22),
    rgb(0.10, 0.40, 0.25),
    rgb(0.05, 0.24, 0.27),
)


def draw(seed: int, scale: float = 1.0) -> Floats:
    """The window, h w 3 in 0..1; `scale` draws it smaller, for tests."""
    rng = np.random.default_rng(seed)
    w, h = (round(side * scale) * _FINE for side in SIZE)
    y, x = np.mgrid[:h, :w].astype(np.float32)
    # Bent coordinates give the panes curved sides.
    bend = 0.012 * w
    across = sample(fractal(rng, (64, 64), 2.0), y * (40 / w), x * (40 / w))
    down = sample(fractal(rng, (64, 64), 2.0), y * (40 / w), x * (40 / w))
    places = np.stack([y + bend * down, x + bend * across], -1).reshape(-1, 2)
    seeds = panes(rng, (h, w))
    distances, nearest = spatial.cKDTree(seeds).query(places, k=2)
    gap = (distances[:, 1] - distances[:, 0]).reshape(h, w)
    pane = nearest[:, 0].reshape(h, w)
    light = colours(rng, seeds, w)[pane] * ripples(rng, (h, w), pane)[..., None]
    width = _LEAD * scale * _FINE
    lead = smoothstep(1.1 * width, 0.8 * width, gap)
    # A lead is round: lighter along its middle.
    round_lead = 0.05 + 0.16 * smoothstep(0.7 * width, 0, gap)
    halo = ndimage.gaussian_filter(light, (width, width, 0))
    window = (0.86 * light + 0.2 * halo) * (1 - lead[..., None])
    window += lead[..., None] * round_lead[..., None] * rgb(0.9, 0.95, 1.1)
    return shrink(np.clip(window, 0, 1).astype(np.float32), _FINE)


def panes(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """The panes' middles, about one in each square of a grid that reaches beyond."""
    step = shape[1] / _CELLS
    rows, columns = np.mgrid[-1 : shape[0] // step + 2, -1 : _CELLS + 1]
    middles = np.stack([rows.ravel(), columns.ravel()], -1)
    return (middles + rng.uniform(0.05, 0.95, middles.shape)) * step


def colours(rng: np.random.Generator, seeds: Floats, width: int) -> Floats:
    """One colour for each pane."""
    row, column = (seeds * (22 / width)).T
    slow = sample(fractal(rng, (48, 48), 1.9), row, column)
    place = 4.0 + 2.6 * slow + 0.9 * rng.standard_normal(len(seeds))
    place = np.clip(place, 0, len(_PALETTE) - 1)
    channels = np.array(_PALETTE).T
    mixed = [np.interp(place, range(len(_PALETTE)), channel) for channel in channels]
    light = rng.uniform(0.85, 1.1, len(seeds))
    return np.stack(mixed, -1) * light[:, None]


def ripples(
    rng: np.random.Generator, shape: tuple[int, int], pane: NDArray[np.intp]
) -> Floats:
    """How much light each point lets through: streaks of its own in every pane."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) / shape[1]
    turn = rng.uniform(0, np.pi, pane.max() + 1)[pane]
    shift = rng.uniform(0, 256, pane.max() + 1)[pane]
    along, across = np.cos(turn), np.sin(turn)
    texture = fractal(rng, (256, 256), 1.2)
    streaks = sample(texture, (along * y + across * x) * 60 + shift,
                     (along * x - across * y) * 420)  # fmt: skip
    return np.clip(1 + 0.11 * streaks, 0.5, 1.4)
