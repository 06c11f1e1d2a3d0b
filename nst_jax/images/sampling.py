"""The one place where pixels are resampled: sizes, resizing, cropping.

Arrays are rows first, colour `h w 3` or opacity `h w`, float32 in 0..1.
"""

import math
from typing import Literal

import numpy as np
from jaxtyping import Float32, Num, UInt8
from PIL import Image

from nst_jax.errors import RequestError
from nst_jax.layers import MIN_SIDE

Filter = Literal["lanczos", "bicubic", "bilinear", "box", "nearest", "area"]
Rule = Literal["long", "short", "width", "height", "area"]
Rounding = Literal["nearest", "down"]
Depth = Literal["float", "8"]


def working_size(
    shape: tuple[int, int],
    size: int,
    rule: Rule,
    least: int = MIN_SIDE,
    *,
    rounding: Rounding = "nearest",
    enlarge: bool = True,
) -> tuple[int, int]:
    """Rows and columns to work at, in the shape's aspect ratio.

    The side that is not given is rounded; with "area" both are.

    Args:
        shape: rows and columns of the picture.
        size: the long side, the short side, the width or the height in pixels; for
            "area" the side of a square with as many pixels. 0: as it is.
        rule: which of these.
        least: pixels that each side must have.
        rounding: "nearest", halves up; "down" is the whole part of the length times
            the ratio of sizes, which is what many programs compute.
        enlarge: whether sizes larger than the picture's count.

    >>> working_size((300, 400), 512, "long")
    (384, 512)
    """
    if size < 0:
        raise RequestError(f"--size must be 0 or more pixels, found {size}")
    if size == 0 or not (enlarge or size < measured(shape, rule)):
        made = shape
    elif rule == "area":
        made = _of_area(shape, size, rounding)
    else:
        side = round(measured(shape, rule))
        height, width = (_following(length, size, side, rounding) for length in shape)
        made = (height, width)
    check_size(shape, made, least)
    return made


def in_multiples(shape: tuple[int, int], of: tuple[int, int]) -> tuple[int, int]:
    """The shape with each side the nearest multiple above 0, halves up.

    >>> in_multiples((341, 512), (16, 1))
    (336, 512)
    """
    rows, columns = (
        max(1, (2 * side + step) // (2 * step)) * step
        for side, step in zip(shape, of, strict=True)
    )
    return rows, columns


def measured(shape: tuple[int, int], rule: Rule) -> float:
    """The size of a shape as the rule measures it."""
    height, width = shape
    match rule:
        case "long":
            return max(shape)
        case "short":
            return min(shape)
        case "width":
            return width
        case "height":
            return height
        case "area":
            return math.sqrt(height * width)


def _of_area(shape: tuple[int, int], size: int, rounding: Rounding) -> tuple[int, int]:
    ratio, up = math.sqrt(shape[0] / shape[1]), 0.0 if rounding == "down" else 0.5
    return math.floor(size * ratio + up), math.floor(size / ratio + up)


def _following(length: int, size: int, side: int, rounding: Rounding) -> int:
    """The length that goes with `size` pixels for the side."""
    if length == side:
        return size
    if rounding == "down":
        return int(size / side * length)
    return (2 * length * size + side) // (2 * side)  # in integers: halves are halves


def check_size(
    shape: tuple[int, int], made: tuple[int, int], least: int = MIN_SIDE
) -> None:
    """Raises unless a picture of one shape may be worked on at another."""
    if min(made) < least:
        raise RequestError(
            f"a picture of {shape[1]}x{shape[0]} px would be worked on at "
            f"{made[1]}x{made[0]} px, and each side needs at least {least} px; "
            "ask for a larger --size, or crop the picture"
        )


def resize(
    pixels: Float32[np.ndarray, "h w *c"],
    shape: tuple[int, int],
    *,
    filter: Filter,
    antialias: bool = True,
    depth: Depth = "float",
) -> Float32[np.ndarray, "rows columns *c"]:
    """The picture, or its opacity, at another size, cut off to 0..1.

    Colour is resampled as it is, not weighted by opacity: the network looks at
    transparent pixels as well. Samples are taken to be the centres of pixels, and
    a filter that reaches over the edge has its weights inside scaled up.

    Args:
        pixels: values in 0..1.
        shape: rows and columns wanted.
        filter: "lanczos" has three lobes; "bicubic" is Keys' with a = -1/2; "area" is
            the mean over the area that a pixel covers, along an axis that grows
            bilinear.
        antialias: whether the filter widens when it shrinks, so that all pixels
            count; without it, the filter keeps its width in source pixels (the
            default of tf.image.resize). "area" and "nearest" know no other way.
        depth: "8" gives whole 255ths; if antialiased, what Pillow makes of the
            picture in 8 bits, which it rounds between rows and columns too.
    """
    if pixels.shape[:2] == shape:
        resized = pixels
    elif filter == "area" or not (antialias or filter == "nearest"):
        resized = pixels
        for axis, count in enumerate(shape):
            resized = _resampled(resized, axis, count, filter)
    elif depth == "8":
        resized = _unit(_resized_by_pillow(_bytes(pixels), shape, filter))
    else:
        resized = _resized_by_pillow(pixels, shape, filter)
    return _unit(_bytes(resized)) if depth == "8" else np.clip(resized, 0, 1)


def _bytes(pixels: Float32[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    return np.rint(np.clip(pixels, 0, 1) * np.float32(255)).astype(np.uint8)


def _unit(samples: UInt8[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    return samples.astype(np.float32) / np.float32(255)


def _resized_by_pillow(
    samples: Num[np.ndarray, "h w *c"], shape: tuple[int, int], filter: Filter
) -> Num[np.ndarray, "rows columns *c"]:
    """Channel by channel, as float32 (Pillow's only mode without rounding) or bytes."""
    resample = Image.Resampling[filter.upper()]
    planes = np.atleast_3d(samples)
    resized = np.empty((*shape, planes.shape[-1]), samples.dtype)
    for channel in range(planes.shape[-1]):
        plane = Image.fromarray(np.ascontiguousarray(planes[..., channel]))
        resized[..., channel] = np.asarray(plane.resize(shape[::-1], resample))
    return resized.reshape(*shape, *samples.shape[2:])


def _resampled(
    pixels: Float32[np.ndarray, "..."], axis: int, count: int, filter: Filter
) -> Float32[np.ndarray, "..."]:
    """One axis at `count` positions, by the filter at the source's own scale."""
    length = pixels.shape[axis]
    if filter == "area" and count < length:
        taps, weights = _area_taps(length, count)
    else:
        taps, weights = _taps(length, count, filter)
    places = np.clip(taps, 0, length - 1).astype(np.intp)
    rest = (1,) * (pixels.ndim - 1)
    source = np.moveaxis(pixels, axis, 0)
    resampled = sum(
        source[places[:, tap]] * weights[:, tap].reshape(-1, *rest)
        for tap in range(taps.shape[1])
    )
    return np.moveaxis(np.asarray(resampled, np.float32), 0, axis)


def _taps(length: int, count: int, filter: Filter) -> tuple[np.ndarray, np.ndarray]:
    """For each new position the places in the source that it sees, and how much."""
    centres = (np.arange(count) + 0.5) * (length / count) - 0.5
    reach = {"bicubic": 2, "lanczos": 3}.get(filter, 1)
    taps = np.floor(centres)[:, None] + np.arange(1 - reach, reach + 1)
    weights = _kernel(taps - centres[:, None], filter)
    weights *= (taps >= 0) & (taps < length)
    return taps, weights / weights.sum(axis=1, keepdims=True)


def _area_taps(length: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The same for the mean over all that a larger pixel covers.

    Measured in parts, `count` to an old pixel and `length` to a new one: integers.
    """
    starts = np.arange(count)[:, None] * length
    taps = starts // count + np.arange(-(-length // count) + 1)
    ends = np.minimum((taps + 1) * count, starts + length)
    return taps, np.maximum(ends - np.maximum(taps * count, starts), 0) / length


def _kernel(x: np.ndarray, filter: Filter) -> np.ndarray:
    """The filter's weight at a distance of `x` pixels."""
    distance = np.abs(x)
    match filter:
        case "bilinear" | "area":
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
