"""Fractal noise, and the small functions that every drawing needs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]


def fractal(
    rng: np.random.Generator, shape: tuple[int, ...], slope: float, lowest: float = 1.0
) -> Floats:
    """Tileable noise of mean 0 and deviation 1, whose amplitude falls as f^-slope.

    Frequencies below `lowest` cycles per tile are left out.
    """
    spectrum = np.fft.rfftn(rng.standard_normal(shape).astype(np.float32))
    axes = [np.fft.fftfreq(size, 1 / size) for size in shape[:-1]]
    axes.append(np.fft.rfftfreq(shape[-1], 1 / shape[-1]))
    squares = sum(np.square(axis) for axis in np.ix_(*axes))
    frequency = np.sqrt(np.maximum(squares, 1e-6))
    spectrum *= np.where(frequency >= lowest, frequency**-slope, 0)
    noise = np.fft.irfftn(spectrum, shape, axes=range(len(shape)))
    return ((noise - noise.mean()) / noise.std()).astype(np.float32)


def sample(texture: Floats, *coordinates: Floats) -> Floats:
    """The texture at fractional indices, repeated without end, linear in between."""
    places = np.broadcast_arrays(*coordinates)
    found = ndimage.map_coordinates(texture, places, order=1, mode="grid-wrap")
    return np.asarray(found, np.float32)


def smoothstep(low: float, high: float, value: Floats) -> Floats:
    """0 at `low`, 1 at `high`, an S-curve in between; `low` may be the larger."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(first: Floats, second: Floats, share: Floats) -> Floats:
    """Colours between two; `share`, which has no channel axis, is the second's."""
    return first + (second - first) * share[..., None]


def rgb(*values: float) -> Floats:
    """A colour, or a point, as an array."""
    return np.array(values, np.float32)


def unit(vectors: Floats) -> Floats:
    """The vectors at length 1."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)


def shrink(picture: Floats, factor: int) -> Floats:
    """The mean over squares of `factor` pixels, which smooths drawn edges."""
    h, w = (size // factor for size in picture.shape[:2])
    squares = picture[: h * factor, : w * factor].reshape(h, factor, w, factor, -1)
    return squares.mean((1, 3)).astype(np.float32)
