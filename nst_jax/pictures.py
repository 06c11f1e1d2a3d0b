"""The pictures of a job at one scale: what the engine is given to look at.

Knows neither files nor JAX: a program that has arrays makes one itself.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from nst_jax.images import sampling
from nst_jax.layers import MIN_SIDE

Shape = tuple[int, int]
Pixels = Float32[np.ndarray, "_ _ 3"]
Mask = Float32[np.ndarray, "_ _ *r"]


class Pictures(NamedTuple):
    """Everything a job looks at, at one scale: colours and weights in 0..1."""

    content: Float32[np.ndarray, "h w 3"]
    styles: tuple[Float32[np.ndarray, "_ _ 3"], ...]
    initial: Float32[np.ndarray, "h w 3"] | None = None  # made from content and noise
    # The content's masks; at each position they sum to at most 1.
    regions: Float32[np.ndarray, "h w r"] | None = None
    # The styles' masks, each at its style's size; none without masks.
    style_regions: tuple[Float32[np.ndarray, "_ _ r"], ...] = ()
    # [style][region]: weight of the style in the region's target; over the styles
    # they sum to 1. Empty: the settings say, for every region alike.
    shares: tuple[tuple[float, ...], ...] = ()
    protect: Float32[np.ndarray, "h w"] | None = None  # where the content weighs more
    fill: Float32[np.ndarray, "h w"] | None = None  # where it may change: elsewhere 0


def resized(
    pictures: Pictures,
    shape: Shape,
    *,
    least: int = MIN_SIDE,
    filter: sampling.Filter = "lanczos",
    antialias: bool = True,
) -> Pictures:
    """The pictures at another scale: the content at `shape`, the styles along with it.

    The styles' sizes change by the ratio of the content's long sides, but no side
    gets fewer than `least` pixels. Masks are averaged over areas, so that soft and
    hard ones keep their weight.
    """
    now = pictures.content.shape[:2]

    def picture(pixels: Pixels, goal: Shape) -> Pixels:
        return sampling.resize(pixels, goal, filter=filter, antialias=antialias)

    def mask(weights: Mask | None) -> Mask | None:
        return None if weights is None else averaged(weights, shape)

    goals = [_along(style.shape[:2], now, shape, least) for style in pictures.styles]
    pairs = zip(pictures.styles, goals, strict=True)
    return pictures._replace(
        content=picture(pictures.content, shape),
        styles=tuple(picture(style, goal) for style, goal in pairs),
        initial=None if pictures.initial is None else picture(pictures.initial, shape),
        regions=mask(pictures.regions),
        style_regions=tuple(
            averaged(weights, goal)
            for weights, goal in zip(pictures.style_regions, goals, strict=False)
        ),
        protect=mask(pictures.protect),
        fill=mask(pictures.fill),
    )


def averaged(weights: Mask, shape: Shape) -> Mask:
    """A mask at another size: the mean over the area of each new pixel."""
    return sampling.resize(weights, shape, filter="area")


def _along(style: Shape, content: Shape, goal: Shape, least: int) -> Shape:
    """A style's shape when the content goes from one shape to another."""
    before, after = max(content), max(goal)
    rows, columns = ((2 * side * after + before) // (2 * before) for side in style)
    if min(rows, columns) >= least:
        return rows, columns
    return sampling.working_size(style, least, "short", least)
