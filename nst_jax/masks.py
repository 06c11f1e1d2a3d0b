"""Region masks down to the layers of the network."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax import convolution


def at_layer(
    mask: Float[Array, "h w r"],
    stride: int,
    rounding: convolution.Rounding,
    wrap: convolution.Wrap = "none",
) -> Float[Array, "_ _ r"]:
    """The masks as weights of a layer's positions, the same size as its features.

    The mean of each region over a position's own cell of `stride` pixels, by the
    network's own pools, then softened over its neighbours: (1 2 1) / 4 both ways,
    half a stride. What lies at a border looks across it anyway; a hard edge there
    shows as a seam. Masks that sum to one keep doing so, and ones stay ones.

    Gatys et al. (2017) have such guides as "simple", and as "inside" guides that
    leave out what looks across; theirs are squared in the sums, these are not.
    """
    while stride > 1:
        mask = convolution.pool(mask, kind="avg", rounding=rounding)
        stride //= 2
    for axis, name in enumerate("yx"):
        mask = _softened(mask, axis, name in wrap)
    return mask


def _softened(
    mask: Float[Array, "h w r"], axis: int, wraps: bool
) -> Float[Array, "h w r"]:
    """A quarter of each neighbour and half of itself along an axis."""
    count = mask.shape[axis]
    widths = [(1, 1) if place == axis else (0, 0) for place in range(3)]
    lines = jnp.moveaxis(jnp.pad(mask, widths, "wrap" if wraps else "edge"), axis, 0)
    soft = 0.25 * lines[:count] + 0.5 * lines[1 : count + 1] + 0.25 * lines[2:]
    return jnp.moveaxis(soft, 0, axis)
