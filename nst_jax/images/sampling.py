"""The one place where pixels are resampled: sizes, resizing, cropping.

Arrays are rows first, colour `h w 3` or opacity `h w`, float32 in 0..1.
"""

import math
from typing import Literal

import numpy as np
from jaxtyping import Float32
from PIL import Image

from nst_jax.errors import RequestError
from nst_jax.layers import MIN_SIDE

Filter = Literal["lanczos", "bicubic", "bilinear", "box", "nearest"]
Rule = Literal["long", "short", "width", "height", "area"]


def working_size(
    shape: tuple[int, int], size: int, rule: Rule, least: int = MIN_SIDE
) -> tuple[int, int]:
    """Rows and columns to work at, in the shape's aspect ratio.

    The side that is not given is rounded to the nearest integer, halves up; with
    "area" both are. Sizes larger than the picture's enlarge it.

    Args:
        shape: rows and columns of the picture.
        size: the long side, the short side, the width or the height in pixels; for
            "area" the side of a square with as many pixels. 0: as it is.
        rule: which of these.
        least: pixels that each side must have.

    >>> working_size((300, 400), 512, "long")
    (384, 512)
    """
    height, width = shape
    if size < 0:
        raise RequestError(f"size must be 0 or more pixels, found {size}")
    if size == 0:
        made = (height, width)
    elif rule == "area":
        ratio = math.sqrt(height / width)
        made = (math.floor(size * ratio + 0.5), math.floor(size / ratio + 0.5))
    else:
        side = {
            "long": max(shape),
            "short": min(shape),
            "width": width,
            "height": height,
        }[rule]
        # In integers, so that halves are halves.
        made = (
            (2 * height * size + side) // (2 * side),
            (2 * width * size + side) // (2 * side),
        )
    check_size(shape, made, least)
    return made


def check_size(
    shape: tuple[int, int], made: tuple[int, int], least: int = MIN_SIDE
) -> None:
    """Raises unless a picture of one shape may be worked on at another."""
    if min(made) < least:
        raise RequestError(
            f"a picture of {shape[1]}x{shape[0]} px would be worked on at "
            f"{made[1]}x{made[0]} px, and each side needs at least {least} px; "
            "ask for a larger size, or crop the picture"
        )


def resize(
    pixels: Float32[np.ndarray, "h w *c"],
    shape: tuple[int, int],
    *,
    filter: Filter,
    antialias: bool = True,
) -> Float32[np.ndarray, "rows columns *c"]:
    """The picture, or its opacity, at another size, cut off to 0..1.

    Colour is resampled as it is, not weighted by opacity: the network looks at
    transparent pixels as well. Samples are taken to be the centres of pixels, and
    a filter that reaches over the edge has its weights inside scaled up.

    Args:
        pixels: values in 0..1.
        shape: rows and columns wanted.
        filter: "lanczos" has three lobes; "bicubic" is Keys' with a = -1/2.
        antialias: whether the filter widens when it shrinks, so that all pixels
            count; without it, the filter keeps its width in source pixels (the
            default of tf.image.resize).
    """
    if pixels.shape[:2] == shape:
        return np.clip(pixels, 0, 1)
    if antialias or filter == "nearest":
        resized = _resized_by_pillow(pixels, shape, filter)
    else:
        resized = pixels
        for axis, count in enumerate(shape):
            resized = _resampled(resized, axis, count, filter)
    return np.clip(resized, 0, 1)


def _resized_by_pillow(
    pixels: Float32[np.ndarray, "h w *c"], shape: tuple[int, int], filter: Filter
) -> Float32[np.ndarray, "rows columns *c"]:
    """Channel by channel in Pillow's only mode without rounding."""
    resample = Image.Resampling[filter.upper()]
    planes = np.atleast_3d(pixels)
    resized = np.empty((*shape, planes.shape[-1]), np.float32)
    for channel in range(planes.shape[-1]):
        plane = Image.fromarray(np.ascontiguousarray(planes[..., channel]))
        resized[..., channel] = np.asarray(plane.resize(shape[::-1], resample))
    return resized.reshape(*shape, *pixels.shape[2:])


def _resampled(
    pixels: Float32[np.ndarray, "..."], axis: int, count: int, filter: Filter
) -> Float32[np.ndarray, "..."]:
    """One axis at `count` positions, by the filter at the source's own scale."""
    length = pixels.shape[axis]
    centres = (np.arange(count) + 0.5) * (length / count) - 0.5
    reach = {"box": 1, "bilinear": 1, "bicubic": 2, "lanczos": 3}[filter]
    taps = np.floor(centres)[:, None] + np.arange(1 - reach, reach + 1)
    weights = _kernel(taps - centres[:, None], filter)
    weights *= (taps >= 0) & (taps < length)
    weights /= weights.sum(axis=1, keepdims=True)
    places = np.clip(taps, 0, length - 1).astype(np.intp)
    rest = (1,) * (pixels.ndim - 1)
    source = np.moveaxis(pixels, axis, 0)
    resampled = sum(
        source[places[:, tap]] * weights[:, tap].reshape(-1, *rest)
        for tap in range(taps.shape[1])
    )
    return np.moveaxis(np.asarray(resampled, np.float32), 0, axis)


def _kernel(x: np.ndarray, filter: Filter) -> np.ndarray:
    """The filter's weight at a distance of `x` pixels."""
    distance = np.abs(x)
    match filter:
        case "bilinear":
            return np.maximum(1 - distance, 0)
        case "bicubic":
            near = (1.5 * distance - 2.5) * distance**2 + 1
            far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
            return np.where(distance < 1, near, np.where(distance < 2, far, 0))
        case "lanczos":
            return np.where(distance < 3, np.sinc(x) * np.sinc(x / 3), 0)
        case _:  # a box takes the nearest; of two, the left one
            return ((x > -0.5) & (x <= 0.5)).astype(np.float64)


def crop(
    pixels: Float32[np.ndarray, "h w *c"], shape: tuple[int, int]
) -> Float32[np.ndarray, "rows columns *c"]:
    """The largest part from the centre with the aspect ratio of `shape`.

    The side that loses is rounded to the nearest integer, halves up; where an odd
    number of pixels goes, the right or lower edge loses one more.
    """
    height, width = pixels.shape[:2]
    rows, columns = shape
    if width * rows > height * columns:
        kept = (height, max(1, (2 * height * columns + rows) // (2 * rows)))
    else:
        kept = (max(1, (2 * width * rows + columns) // (2 * columns)), width)
    top, left = (height - kept[0]) // 2, (width - kept[1]) // 2
    return pixels[top : top + kept[0], left : left + kept[1]]
