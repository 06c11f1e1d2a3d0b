"""The river: ripples that bend the mirrored picture."""

import numpy as np
from scipy import ndimage

from drawing.noise import Floats, fractal, mix, rgb, sample, smoothstep
from drawing.raster import Camera

_DEEP = rgb(0.035, 0.075, 0.075)
# Lengths of the waves in metres, and how steep they are.
_WAVES = ((9.0, 0.010), (2.6, 0.018), (0.8, 0.018))


def water(rng: np.random.Generator, camera: Camera, mirrored: Floats) -> Floats:
    """What the water shows; rows above the horizon mean nothing.

    The flatter the look, the more is mirror; a steep one sees the green depth.
    """
    h, w = camera.shape
    rows, columns = np.mgrid[:h, :w].astype(np.float32)
    below = np.maximum(rows - camera.horizon, 0.7)
    z = camera.eye * camera.focal / below
    x = (columns - w / 2) / camera.focal * z
    tilt, aside = waves(rng, x, z)
    # A tilted mirror moves what it shows mostly up and down.
    row = np.clip(rows + 0.9 * camera.focal * tilt, camera.horizon, h - 1)
    column = np.clip(columns + 0.25 * camera.focal * aside, 0, w - 1)
    # Waves smaller than a pixel blur the picture, mostly along its height.
    soft = ndimage.gaussian_filter(mirrored, (0.0016 * h, 0.0006 * h, 0))
    shown = [
        ndimage.map_coordinates(channel, (row, column), order=1)
        for channel in np.moveaxis(soft, -1, 0)
    ]
    look = below / np.hypot(below, camera.focal)
    mirror = 0.05 + 0.95 * (1 - np.clip(look - 0.6 * tilt, 0, 1)) ** 3.2
    return mix(_DEEP, np.stack(shown, -1) * rgb(0.90, 0.93, 0.95), mirror)


def waves(rng: np.random.Generator, x: Floats, z: Floats) -> Floats:
    """Slopes of the water towards the eye and aside, (2, h, w); calm in patches."""
    slopes = np.zeros((2, *x.shape), np.float32)
    calm = smoothstep(-0.9, 1.2, sample(fractal(rng, (64, 64), 1.6), z / 4, x / 3))
    for length, steep in _WAVES:
        field = fractal(rng, (256, 256), 1.5, lowest=10)
        # A pixel far away holds many waves and sees their mean.
        seen = steep / (1 + (z / (90 * length)) ** 2) * (0.35 + 0.65 * calm)
        for i in range(2):
            slopes[i] += seen * sample(field, z / length * 13 + 57 * i, x / length * 5)
    return slopes
