"""Carrying a run from one scale to the next: the shapes, the image, the optimiser.

Enlarging is that of style-transfer-pytorch, from whom the scheme is: samples at pixel
centres, and beyond the border its outermost pixels once more.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nst_jax.arrays import Image
from nst_jax.convolution import Wrap
from nst_jax.images import sampling

Filter = Literal["bicubic", "bilinear", "lanczos"]
Enlarged = Float[Array, "_ _ 3"]
Shape = tuple[int, int]

# From a sample to the pixels that it is made from.
Distances = Float[np.ndarray, "taps n"]

# Fields of optax's states that hold sums of squares.
_SQUARES = ("nu", "sum_of_squares")


def shapes(
    final: Shape, sizes: tuple[int, ...], least: int, multiples: Shape = (1, 1)
) -> tuple[Shape, ...]:
    """Rows and columns at each scale, the last of them `final`.

    Args:
        final: rows and columns of the result.
        sizes: the long side at each scale, rising.
        least: pixels that each side must have; scales with fewer are left out.
        multiples: of which rows and columns are at the scales before the last.

    >>> shapes((384, 512), (20, 256, 512), 16)
    ((192, 256), (384, 512))
    """
    long = max(final)
    exact = [
        (round(final[0] * size / long), round(final[1] * size / long))
        for size in sizes
        if size < long
    ]
    made = [sampling.in_multiples(each, multiples) for each in exact]
    return (
        *(shape for shape in made if min(shape) >= least and shape != final),
        final,
    )


@functools.partial(jax.jit, static_argnames=("shape", "filter", "wrap"))
def carry(image: Image, shape: Shape, filter: Filter, wrap: Wrap = "none") -> Enlarged:
    """The image at a larger shape; bicubic and lanczos may leave 0..1 at edges.

    Args:
        image: at the scale before.
        shape: rows and columns to come.
        filter: bicubic is torch's, with a = -0.75; Pillow's has a = -0.5.
        wrap: the axes along which the image goes on at its other side.
    """
    rows, columns = shape
    image = _enlarged(image, 0, rows, filter, "y" in wrap)
    return _enlarged(image, 1, columns, filter, "x" in wrap)


def carry_state(opt_state: Any, old: Shape, shape: Shape, wrap: Wrap = "none") -> Any:
    """The optimiser's state at a larger shape, or None where it has to start afresh.

    Means and momentum are enlarged bicubically, squares bilinearly, and counts stay:
    so Adam's steps are as long after as before. L-BFGS starts afresh: what it
    remembers of the curvature holds at one resolution only.
    """
    if not is_carried(opt_state, old):
        return None

    def carried(path: tuple[Any, ...], leaf: Array) -> Array:
        if not leaf.shape:
            # A copy, because the next chunk of steps takes its buffer over.
            return jnp.array(leaf, leaf.dtype, copy=True)
        if getattr(path[-1], "name", "") in _SQUARES:
            return jnp.maximum(carry(leaf, shape, "bilinear", wrap), 0)
        return carry(leaf, shape, "bicubic", wrap)

    return jax.tree_util.tree_map_with_path(carried, opt_state)


def is_carried(opt_state: Any, shape: Shape) -> bool:
    """Whether an optimiser's state at this shape goes on at a larger one."""
    leaves = jax.tree.leaves(opt_state)
    return all(leaf.shape in ((), (*shape, 3)) for leaf in leaves)


def _enlarged(
    image: Image, axis: int, length: int, filter: Filter, wraps: bool
) -> Enlarged:
    """The image with `length` samples along an axis."""
    old = image.shape[axis]
    if length == old:
        return image
    kernel, reach = _KERNELS[filter]
    at = (np.arange(length) + 0.5) * old / length - 0.5
    taps = np.floor(at).astype(int) + np.arange(1 - reach, reach + 1)[:, None]
    weights = kernel(np.abs(at - taps))
    weights /= weights.sum(0)
    inside = taps % old if wraps else taps.clip(0, old - 1)
    along = (-1, 1, 1) if axis == 0 else (1, -1, 1)
    made = jnp.float32(0)
    for index, weight in zip(inside, weights.astype(np.float32), strict=True):
        made += jnp.take(image, index, axis) * weight.reshape(along)
    return made


def _bicubic(x: Distances) -> Distances:
    near = 1.25 * x**3 - 2.25 * x**2 + 1
    far = -0.75 * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x < 1, near, far)


def _lanczos(x: Distances) -> Distances:
    return np.sinc(x) * np.sinc(x / 3)


# With the number of pixels on each side of a sample that it is made from.
_KERNELS: dict[Filter, tuple[Callable[[Distances], Distances], int]] = {
    "bicubic": (_bicubic, 2),
    "bilinear": (lambda x: 1 - x, 1),
    "lanczos": (_lanczos, 3),
}
