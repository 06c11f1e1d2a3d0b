"""A plain portrait, painted with soft ellipses, and where its face is."""

import numpy as np
from scipy import ndimage

from drawing.noise import Floats, fractal, mix, rgb, sample, shrink, smoothstep

SIZE = (480, 480)
_FINE = 2  # drawn this many times larger, then shrunk


def draw(seed: int, scale: float = 1.0) -> tuple[Floats, Floats]:
    """The portrait, h w 3, and its face's mask, h w, both in 0..1."""
    rng = np.random.default_rng(seed)
    w, h = (round(side * scale) * _FINE for side in SIZE)
    y, x = np.mgrid[:h, :w].astype(np.float32) / w
    picture = wall(rng, y, x)
    picture = clothes(picture, rng, y, x)
    picture = mix(picture, rgb(0.20, 0.09, 0.06), hair(rng, y, x, 0.0))
    picture = head(picture, y, x)
    picture = features(picture, y, x)
    # A fringe over the forehead.
    fringe = hair(rng, y, x, 1.0)
    shine = 0.5 + 0.5 * np.sin(60 * x + 22 * y)
    picture = mix(picture, rgb(0.22, 0.10, 0.06), fringe)
    picture += (0.10 * fringe * shine**4)[..., None] * rgb(1.0, 0.7, 0.4)
    face = oval(y, x, (0.47, 0.5), (0.21, 0.16), 0.25)
    return shrink(np.clip(picture, 0, 1), _FINE), shrink(face[..., None], _FINE)[..., 0]


def oval(
    y: Floats,
    x: Floats,
    centre: tuple[float, float],
    radii: tuple[float, float],
    soft: float = 0.03,
) -> Floats:
    """1 inside an ellipse, 0 outside, with a border of `soft` radii."""
    (row, column), (down, across) = centre, radii
    reach = np.hypot((y - row) / down, (x - column) / across)
    return smoothstep(1 + soft, 1 - soft, reach)


def wall(rng: np.random.Generator, y: Floats, x: Floats) -> Floats:
    """A warm wall with light from the upper left."""
    cloud = sample(fractal(rng, (64, 64), 1.8), y * 30, x * 30)
    glow = np.exp(-3.5 * ((x - 0.25) ** 2 + (y - 0.2) ** 2)) + 0.05 * cloud
    return mix(
        rgb(0.16, 0.24, 0.30) + np.zeros((*y.shape, 3), np.float32),
        np.broadcast_to(rgb(0.72, 0.66, 0.48), (*y.shape, 3)),
        np.clip(glow, 0, 1),
    )


def clothes(picture: Floats, rng: np.random.Generator, y: Floats, x: Floats) -> Floats:
    """Shoulders in a red coat with a light collar."""
    folds = sample(fractal(rng, (64, 64), 1.6), y * 9, x * 34)
    shade = np.clip(0.8 - 0.9 * (x - 0.35) + 0.12 * folds, 0.25, 1.2)
    coat = rgb(0.62, 0.13, 0.12) * shade[..., None]
    picture = mix(picture, coat, oval(y, x, (1.08, 0.5), (0.34, 0.46), 0.015))
    collar = rgb(0.93, 0.90, 0.82) * np.clip(shade + 0.1, 0, 1)[..., None]
    return mix(picture, collar, oval(y, x, (0.80, 0.5), (0.085, 0.17), 0.05))


def hair(rng: np.random.Generator, y: Floats, x: Floats, front: float) -> Floats:
    """Where hair is: behind the head, or the fringe before it."""
    if front:
        top = oval(y, x, (0.325, 0.5), (0.185, 0.205), 0.03)
        bare = oval(y, x, (0.50, 0.545), (0.245, 0.20), 0.05)
        return top * (1 - bare)
    wave = 0.012 * sample(fractal(rng, (64, 64), 1.5), y * 12, x * 12)
    crown = oval(y, x + wave, (0.40, 0.5), (0.27, 0.225), 0.02)
    fall = oval(y, x + wave, (0.60, 0.5), (0.27, 0.215), 0.03)
    return np.maximum(crown, fall)


def head(picture: Floats, y: Floats, x: Floats) -> Floats:
    """Neck and face, lit from the left."""
    skin, dark = rgb(0.94, 0.74, 0.60), rgb(0.55, 0.30, 0.22)
    neck = oval(y, x, (0.72, 0.5), (0.15, 0.075), 0.06)
    picture = mix(picture, np.broadcast_to(0.5 * (skin + dark), picture.shape), neck)
    # As of a ball: how far the surface turns from the light.
    v, u = (y - 0.48) / 0.235, (x - 0.5) / 0.175
    depth = np.sqrt(np.clip(1 - u**2 - v**2, 0, 1))
    light = np.clip(0.30 + 0.72 * (-0.55 * u - 0.35 * v + 0.75 * depth), 0, 1)
    face = mix(np.broadcast_to(dark, picture.shape), skin, light)
    for column in (0.415, 0.585):
        blush = 0.35 * oval(y, x, (0.555, column), (0.05, 0.045), 0.9)
        face = mix(face, rgb(0.90, 0.45, 0.38), blush)
    return mix(picture, face, oval(y, x, (0.48, 0.5), (0.235, 0.175), 0.02))


def features(picture: Floats, y: Floats, x: Floats) -> Floats:
    """Eyes, brows, nose and mouth."""
    ink, white = rgb(0.13, 0.06, 0.05), rgb(0.96, 0.95, 0.92)
    for column in (0.425, 0.575):
        socket = 0.35 * oval(y, x, (0.45, column), (0.045, 0.06), 0.6)
        picture = mix(picture, rgb(0.50, 0.27, 0.22), socket)
        lid = oval(y, x, (0.455, column), (0.026, 0.045), 0.1)
        picture = mix(picture, ink, lid)
        eye = oval(y, x, (0.459, column), (0.019, 0.040), 0.1)
        picture = mix(picture, white, eye)
        iris = oval(y, x, (0.457, column + 0.004), (0.019, 0.018), 0.1)
        picture = mix(picture, rgb(0.16, 0.36, 0.42), iris * eye)
        pupil = oval(y, x, (0.457, column + 0.004), (0.009, 0.009), 0.2)
        picture = mix(picture, ink, pupil)
        spark = oval(y, x, (0.451, column - 0.002), (0.004, 0.004), 0.3)
        picture = mix(picture, white, spark)
        arch = y - 0.395 - 1.6 * (x - column) ** 2 * 2
        brow = np.exp(-((arch / 0.008) ** 2)) * oval(
            y, x, (0.40, column), (0.04, 0.055), 0.2
        )
        picture = mix(picture, ink, 0.9 * brow)
    ridge = oval(y, x, (0.51, 0.517), (0.065, 0.016), 0.9)
    picture = mix(picture, rgb(0.58, 0.32, 0.25), 0.55 * ridge)
    for column in (0.484, 0.516):
        hole = oval(y, x, (0.566, column), (0.006, 0.010), 0.6)
        picture = mix(picture, rgb(0.35, 0.14, 0.12), 0.9 * hole)
    upper = oval(y, x, (0.630, 0.5), (0.016, 0.058), 0.15)
    lower = oval(y, x, (0.640, 0.5), (0.020, 0.048), 0.15)
    picture = mix(picture, rgb(0.76, 0.22, 0.24), np.maximum(upper, lower))
    line = np.exp(-(((y - 0.637 + 1.6 * (x - 0.5) ** 2) / 0.0035) ** 2))
    line *= oval(y, x, (0.634, 0.5), (0.03, 0.06), 0.15)
    picture = mix(picture, rgb(0.30, 0.06, 0.08), line)
    return ndimage.gaussian_filter(picture, (0.6 * _FINE, 0.6 * _FINE, 0))
