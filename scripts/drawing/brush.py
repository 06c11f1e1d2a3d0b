"""Brush strokes that leave paint and relief, and the lamp that shows the relief."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage, special

from drawing.noise import Floats, smoothstep

_KNOTS = 32  # points of a path
_TOUCHES = 1.25  # per pixel, so that a bent stroke has no holes
_LONGEST, _WIDEST = 1.3, 1.25  # strokes, against their brush


class Brush(NamedTuple):
    """A brush, and how it is used; lengths in pixels."""

    width: float
    length: float
    cover: float  # how many times its strokes would cover the canvas
    contrast: float  # how far a stroke's tone strays
    dryness: float  # share of the bristles that leave no paint
    load: float  # how thick the paint lies
    bristle: float = 0.55  # how wide one is

    def times(self, factor: float) -> "Brush":
        """The same on a larger canvas."""
        return self._replace(
            width=self.width * factor,
            length=self.length * factor,
            bristle=self.bristle * factor,
        )


class Canvas(NamedTuple):
    """Colour and thickness of the paint; strokes are written into both."""

    paint: Floats  # h w 3
    height: Floats  # h w


class Strokes(NamedTuple):
    """What a batch of strokes looks like from afar."""

    paths: Floats  # n knots 2, as (row, column)
    widths: Floats  # n
    colours: Floats  # n 3


def trace(flow: Floats, starts: Floats, lengths: Floats) -> Floats:
    """Paths of the given lengths along the flow, with their starts in the middle."""
    limit = np.array(flow.shape[1:]) - 1
    step = (lengths / _KNOTS)[:, None]

    def direction(point: Floats) -> Floats:
        row, column = np.clip(point.round(), 0, limit).astype(int).T
        return flow[:, row, column].T

    def walk(sign: float) -> list[Floats]:
        point = starts
        points: list[Floats] = []
        for _ in range(_KNOTS // 2):
            # Half a step first: Euler's circles would be spirals.
            middle = point + 0.5 * sign * step * direction(point)
            point = point + sign * step * direction(middle)
            points.append(point)
        return points

    return np.stack([*walk(-1)[::-1], starts, *walk(1)], axis=1)


def lay_strokes(
    rng: np.random.Generator, canvas: Canvas, strokes: Strokes, brush: Brush
) -> None:
    """Put strokes down in their order, as a grid of touches along and across each."""
    n = len(strokes.paths)
    along = max(8, int(brush.length * _LONGEST * _TOUCHES))
    across = max(3, int(brush.width * _WIDEST * _TOUCHES))
    s = np.linspace(0, 1, along, dtype=np.float32)[None, :, None]
    v = np.linspace(-1, 1, across, dtype=np.float32)[None, None, :]
    bristles = streaks(rng, (n, along, across), brush.bristle)
    # Bristles end unevenly, and run dry towards the end of the stroke.
    end = 0.02 + 0.05 * bristles[:, :1]
    kept = (s > end) & (s < 1 - end)
    kept &= bristles > special.ndtri(np.clip(brush.dryness * (0.4 + 1.6 * s), 0, 0.99))
    # Two paints half mixed: the sides of a stroke differ, and so do its bristles.
    sides = rng.standard_normal((n, 1, 1), np.float32)
    shade = 1 + 0.07 * bristles + 0.05 * v * sides
    paint = strokes.colours[:, None, None] * shade[..., None]
    # Paint is pushed to the rim, and stays in a ridge where the brush is lifted.
    rim = np.exp(-(((np.abs(v) - 0.86) / 0.12) ** 2))
    relief = 0.55 + 0.22 * bristles + 0.5 * rim + 0.35 * smoothstep(0.8, 1, s)
    load = 0.35 + brush.load * strokes.widths / brush.width
    relief = relief * load[:, None, None]
    write(canvas, touches(strokes, s, v)[kept], paint[kept], relief[kept])


def streaks(
    rng: np.random.Generator, shape: tuple[int, int, int], bristle: float
) -> Floats:
    """Noise that is rough across a stroke and changes slowly along it, deviation 1."""
    rough = rng.standard_normal(shape, np.float32)
    smooth = ndimage.gaussian_filter1d(rough, 29 * bristle, axis=1, mode="wrap")
    smooth = ndimage.gaussian_filter1d(smooth, bristle, axis=2, mode="wrap")
    return np.asarray(smooth / (smooth.std() + 1e-6), np.float32)


def touches(strokes: Strokes, s: Floats, v: Floats) -> Floats:
    """Where each touch falls, (n, along, across, 2); the brush narrows at the ends."""
    zoom = (1, s.size / strokes.paths.shape[1], 1)
    path = ndimage.zoom(strokes.paths, zoom, order=1)
    ahead = np.gradient(path, axis=1)
    ahead /= np.linalg.norm(ahead, axis=2, keepdims=True) + 1e-6
    aside = np.stack([ahead[..., 1], -ahead[..., 0]], axis=-1)[:, :, None]
    taper = np.sqrt(1 - np.abs(2 * s - 1) ** 6) * (1 - 0.25 * s)
    reach = 0.5 * strokes.widths[:, None, None] * v * taper
    return path[:, :, None] + aside * reach[..., None]


def write(canvas: Canvas, places: Floats, paint: Floats, relief: Floats) -> None:
    """Leave the touches; where several fall on one pixel, the last one stays."""
    h, w = canvas.height.shape
    row, column = places.round().astype(int).T
    on = (row >= 0) & (row < h) & (column >= 0) & (column < w)
    pixel = row[on], column[on]
    canvas.paint[pixel] = paint[on]
    # New paint evens out part of the old relief.
    canvas.height[pixel] = 0.35 * canvas.height[pixel] + relief[on]


def gloss(canvas: Canvas, fine: float) -> Floats:
    """The paint under a lamp at the upper left, with a little shine.

    `fine` is how many pixels of the canvas make one of the final picture.
    """
    height = ndimage.gaussian_filter(canvas.height, 0.45 * fine)
    broad = ndimage.gaussian_filter(canvas.height, 2.0 * fine)
    down, right = np.gradient((2.2 * height + 2.4 * broad) * fine)
    slope = (0.62 * right + 0.78 * down) / np.sqrt(1 + right**2 + down**2)
    facing = np.clip(1 + 0.62 * slope, 0.45, 1.6)
    hollow = np.clip(1 + 0.35 * (height - broad), 0.7, 1.15)
    shine = 0.5 * np.clip(slope - 0.35, 0, 1) ** 2
    paint = ndimage.gaussian_filter(canvas.paint, (0.35 * fine, 0.35 * fine, 0))
    lit = paint * (facing * hollow)[..., None] + shine[..., None]
    return np.clip(lit, 0, 1).astype(np.float32)
