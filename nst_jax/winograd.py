"""The 3x3 convolution by Winograd's minimal filtering, for CPUs.

A 4x4 tile of the result takes 36 products a channel pair instead of 144: the 6x6 values
it looks at and the kernel are both evaluated at points, multiplied there, and
interpolated. Lavin and Gray (2016), "Fast algorithms for convolutional neural
networks", in whose letters y = A'[(G g G') * (B' d B)]A. The points are not theirs:
0, -1, 1, 1/2, -2 round less than 0, +-1, +-2, by a third in the mean square and by
more at worst (Barabasz and others, 2020).

The sums are in float32, in another order than the direct convolution's: on values of
unit variance the two differ by 2e-6 in the mean and by some 3e-5 at most.
"""

import math
from fractions import Fraction
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from nst_jax.arrays import Features

# Rows and columns of a tile of the result, and of what it is computed from.
TILE, WINDOW = 4, 6
# Tiles transformed together: few enough to stay in a core's cache between the
# transforms and the product, enough to make a good matrix product.
_TOGETHER = 256

Spread = Float[Array, "36 c d"]


class _Transforms(NamedTuple):
    window: np.ndarray  # B': 6 values to 6 points
    kernel: np.ndarray  # G: 3 weights to 6 points
    tile: np.ndarray  # A': 6 points to 4 values


def _transforms(points: tuple[Fraction, ...]) -> _Transforms:
    """Toom and Cook's matrices for finite points and infinity, computed exactly.

    A polynomial of degree 2 times one of degree 3, evaluated and interpolated; the
    correlation is that product transposed, so that the interpolation comes first.
    """
    others = {p: [q for q in points if q != p] for p in points}
    window = [[*_with_roots(others[p]), 0] for p in points] + [_with_roots(points)]
    kernel = [
        [p**k / math.prod(p - q for q in others[p]) for k in range(3)] for p in points
    ]
    tile = [[*(p**row for p in points), int(row == TILE - 1)] for row in range(TILE)]
    exact = window, [*kernel, [0, 0, 1]], tile
    return _Transforms(*(np.array(each, np.float64) for each in exact))


def _with_roots(roots: Any) -> list[Fraction]:
    """The coefficients, from the lowest, of the product of all x - root."""
    found = [Fraction(1)]
    for root in roots:
        shifted, scaled = [Fraction(0), *found], [*(root * c for c in found), 0]
        found = [high - low for high, low in zip(shifted, scaled, strict=True)]
    return found


_T = _transforms(tuple(map(Fraction, ("0", "-1", "1", "1/2", "-2"))))


def spread(kernel: Float[Array, "3 3 c d"]) -> Spread:
    """The kernel at the points, as the products take it: four times its size."""
    found = jnp.einsum(
        "ia,jb,abcd->ijcd",
        *(jnp.float32(_T.kernel),) * 2,
        kernel,
        precision=lax.Precision.HIGHEST,
    )
    return found.reshape(WINDOW * WINDOW, *kernel.shape[2:])


def pays(positions: int, channels: int) -> bool:
    """Whether a layer of so many positions and input channels is faster this way.

    With few positions it reads four times the weights for nothing.
    """
    return channels >= 16 and positions >= 32 * 32


def correlate(
    features: Features,
    kernel: Float[Array, "36 _c _d"],
    border: int,
    precision: lax.Precision = lax.Precision.HIGHEST,
    *,
    turned: bool = False,
) -> Float[Array, "_ _ d"]:
    """The correlation with a kernel that is spread, as `border` zeros surround.

    `turned` is the kernel turned round with its channels exchanged, which undoes the
    gradient: the same products, of windows read backwards.
    """
    height, width, _ = features.shape
    rows, columns = height + 2 * border - 2, width + 2 * border - 2
    down, across = -(-rows // TILE), -(-columns // TILE)
    strips, each = _shared_out(down, across)
    beyond = (
        TILE * strips * each + 2 - border - height,
        TILE * across + 2 - border - width,
    )
    padded = jnp.pad(features, ((border, beyond[0]), (border, beyond[1]), (0, 0)))

    def strip(index: Any) -> Array:
        seen = lax.dynamic_slice_in_dim(padded, TILE * each * index, TILE * each + 2)
        return _strip(seen, kernel, precision, turned)

    done = strip(0) if strips == 1 else lax.map(strip, jnp.arange(strips))
    return done.reshape(TILE * strips * each, TILE * across, -1)[:rows, :columns]


def _shared_out(down: int, across: int) -> tuple[int, int]:
    """How many strips, and of how many rows of tiles each; the last may go beyond."""
    most = max(1, min(down, round(_TOGETHER / across)))
    strips = -(-down // most)
    return strips, -(-down // strips)


def _strip(
    seen: Array, kernel: Spread, precision: lax.Precision, turned: bool
) -> Array:
    """The tiles of a strip, as `4 rows, 4 columns, d`, from all that they look at."""
    way = -1 if turned else 1
    window, tile = _T.window[:, ::way], _T.tile[::way]
    down, across = (length // TILE for length in seen.shape[:2])
    # XLA would else fuse both directions and compute the first one six times.
    points = lax.optimization_barrier(_along(window, _windows(seen, down, 0), 0))
    points = lax.optimization_barrier(_along(window, _windows(points, across, 2), 1))
    products = lax.dot_general(
        points.reshape(WINDOW * WINDOW, down * across, -1).astype(kernel.dtype),
        kernel,
        (((2,), (2 if turned else 1,)), ((0,), (0,))),
        precision=precision,
        preferred_element_type=jnp.float32,
    ).reshape(WINDOW, WINDOW, down, across, -1)
    values = lax.optimization_barrier(_along(tile, list(products), 1))
    values = _along(tile, list(values), -2)
    return values.transpose(1, 0, 2, 3, 4).reshape(TILE * down, TILE * across, -1)


def _windows(values: Array, count: int, axis: int) -> list[Array]:
    """The first, second, ... value of every window along an axis."""
    last = TILE * (count - 1) + 1
    return [
        lax.slice_in_dim(values, first, first + last, TILE, axis)
        for first in range(WINDOW)
    ]


def _along(matrix: np.ndarray, values: list[Array], axis: int) -> Array:
    """The matrix times the values, stacked along a new axis."""
    sums = []
    for row in matrix:
        parts = [float(m) * v for m, v in zip(row, values, strict=True) if m]
        sums.append(sum(parts[1:], start=parts[0]))
    return jnp.stack(sums, axis)
