"""A painting of nothing but brush strokes that follow a field of vortices.

Strokes run along the level lines of a stream function; the same function chooses
their colours, so that bands of paint turn with the flow.
"""

import numpy as np

from drawing.brush import Brush, Canvas, Strokes, gloss, lay_strokes, trace
from drawing.noise import Floats, fractal, rgb, sample, shrink

SIZE = (768, 640)
_FINE = 2  # drawn this many times larger, then shrunk
# A stroke takes its place in this row from the stream function.
_PALETTE = (
    rgb(0.035, 0.05, 0.17),
    rgb(0.06, 0.11, 0.37),
    rgb(0.10, 0.22, 0.58),
    rgb(0.10, 0.42, 0.62),
    rgb(0.20, 0.56, 0.58),
    rgb(0.55, 0.74, 0.66),
    rgb(0.93, 0.89, 0.70),
    rgb(0.95, 0.76, 0.30),
    rgb(0.88, 0.50, 0.13),
)
_ACCENTS = (0, 1, 6, 7, 8)
# Where the vortices are (x, y in 0..1), their radius and their turn.
VORTICES = (
    (0.30, 0.34, 0.24, 1.0),
    (0.76, 0.26, 0.15, -0.8),
    (0.62, 0.66, 0.21, 0.9),
    (0.12, 0.78, 0.15, -0.75),
    (0.93, 0.72, 0.12, -0.6),
    (0.52, 0.07, 0.10, 0.5),
    (0.36, 0.90, 0.11, 0.55),
)
# A ground of short strokes, then ever finer brushes; lengths in final pixels.
_BRUSHES = (
    Brush(width=26, length=70, cover=3.0, contrast=0.06, dryness=0.01, load=0.9),
    Brush(width=34, length=200, cover=3.0, contrast=0.08, dryness=0.02, load=1.1),
    Brush(width=15, length=130, cover=1.3, contrast=0.09, dryness=0.10, load=0.6),
    Brush(width=9, length=85, cover=0.9, contrast=0.13, dryness=0.16, load=0.4),
    Brush(width=5, length=50, cover=0.4, contrast=0.17, dryness=0.20, load=0.3),
)


def draw(seed: int, scale: float = 1.0) -> Floats:
    """The painting, h w 3 in 0..1; `scale` draws it smaller, for tests."""
    rng = np.random.default_rng(seed)
    w, h = (round(side * scale) * _FINE for side in SIZE)
    stream, tone = composition(rng, (h, w))
    # An underpainting in warmer colours, for the few gaps that strokes leave.
    ground = palette(tone + 0.1) * rgb(0.9, 0.7, 0.6)
    canvas = Canvas(ground.astype(np.float32), np.zeros((h, w), np.float32))
    flow = along_levels(stream)
    for brush in _BRUSHES:
        paint_layer(rng, canvas, flow, tone, brush.times(scale * _FINE))
    return shrink(gloss(canvas, scale * _FINE), _FINE)


def composition(
    rng: np.random.Generator, shape: tuple[int, int]
) -> tuple[Floats, Floats]:
    """The stream function, and the tone (a place in the palette) everywhere."""
    h, w = shape
    y, x = np.mgrid[:h, :w].astype(np.float32) / w
    stream = 0.30 * (y + 0.10 * np.sin(6.5 * x + 1))
    glow = np.zeros(shape, np.float32)
    for column, row, radius, turn in VORTICES:
        square = ((x - column) ** 2 + (y - row * h / w) ** 2) / radius**2
        stream += 0.80 * turn * radius * np.exp(-1.3 * square)
        glow += abs(turn) * np.exp(-8 * square)
    stream += 0.008 * sample(fractal(rng, (128, 128), 2.2), y * 100, x * 100)
    slow = sample(fractal(rng, (64, 64), 1.8), y * 40, x * 40)
    bands = 0.5 + 0.5 * np.sin(stream * 58)
    return stream, 0.10 + 0.42 * bands + 0.10 * slow + 0.75 * glow


def along_levels(stream: Floats) -> Floats:
    """The direction of the level lines, (2, h, w) as (down, right), of length 1."""
    down, right = np.gradient(stream)
    flow = np.stack([right, -down])
    return flow / (np.hypot(right, down) + 1e-9)


def paint_layer(
    rng: np.random.Generator, canvas: Canvas, flow: Floats, tone: Floats, brush: Brush
) -> None:
    """Cover the canvas with one brush, in random order; memory wants batches."""
    h, w = tone.shape
    count = max(4, int(brush.cover * h * w / (brush.width * brush.length)))
    # Steps by powers of the plastic number's inverse fill a square evenly.
    even = np.arange(count)[:, None] * (0.7548777, 0.5698403) + rng.uniform(size=2)
    starts = rng.permutation(even % 1 * (h, w)).astype(np.float32)
    for batch in np.array_split(starts, max(1, count // 100)):
        lengths = brush.length * rng.uniform(0.5, 1.3, len(batch))
        strokes = Strokes(
            paths=trace(flow, batch, lengths.astype(np.float32)),
            widths=brush.width * rng.uniform(0.65, 1.25, len(batch)).astype(np.float32),
            colours=stroke_colours(rng, tone, brush.contrast, batch),
        )
        lay_strokes(rng, canvas, strokes, brush)


def palette(tone: Floats) -> Floats:
    """The colour at each place of the palette's row, 0..1."""
    place = np.clip(tone, 0, 1) * (len(_PALETTE) - 1)
    channels = np.array(_PALETTE).T
    mixed = [np.interp(place, range(len(_PALETTE)), channel) for channel in channels]
    return np.stack(mixed, -1).astype(np.float32)


def stroke_colours(
    rng: np.random.Generator, tone: Floats, contrast: float, starts: Floats
) -> Floats:
    """One colour per stroke: the place's tone, strayed; a few answer it instead."""
    row, column = starts.astype(int).T
    count = len(starts)
    colour = palette(tone[row, column] + contrast * rng.standard_normal(count))
    accent = rng.uniform(size=(count, 1)) < 0.05
    answer = np.array(_PALETTE)[rng.choice(_ACCENTS, count)]
    colour = np.where(accent, answer, colour)
    colour = colour * (1 + 0.12 * rng.standard_normal((count, 1)))
    return np.clip(colour, 0.01, 1).astype(np.float32)
