"""Sums over positions from which every style statistic is finished.

`moments` is the parts half of a style term: its results add up over tiles,
devices and processes, and what is done to them afterwards happens once.
"""

from typing import Literal

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nst_jax.arrays import Features, Moments

Division = Literal["none", "positions", "elements"]


def moments(features: Features, weight: Float[Array, "h w r"] | None = None) -> Moments:
    """The weighted sums of 1, f and f f^T over positions, for each region.

    Without a weight the whole picture is one region. A mask is a weight; a soft
    guide T as Gatys et al. (2017, eq. 6) use it is the weight T^2.

    >>> moments(jnp.ones((2, 3, 4))).second.shape
    (1, 4, 4)
    """
    highest = lax.Precision.HIGHEST
    rows = features.reshape(-1, features.shape[-1])
    if weight is None:
        second = jnp.einsum("nc,nd->cd", rows, rows, precision=highest)
        count = jnp.full((1,), rows.shape[0], rows.dtype)
        return Moments(count, rows.sum(0)[None], second[None])
    share = weight.reshape(-1, weight.shape[-1])
    # One region at a time: all at once would hold `n r c` values. Sums and not a
    # product for the first: a product with one row adds up naively, and loses
    # three digits on flat areas.
    first = jnp.stack([(rows * region[:, None]).sum(0) for region in share.T])
    second = jnp.stack(
        [
            jnp.einsum("nc,nd->cd", rows * region[:, None], rows, precision=highest)
            for region in share.T
        ]
    )
    return Moments(share.sum(0), first, second)


def gram_matrix(
    sums: Moments, division: Division = "positions"
) -> Float[Array, "r c c"]:
    """Correlations between channels, for each region.

    Gatys et al. (2016), eq. 3, is the bare sum over positions (`none`). Dividing
    by the `positions`, h w or the region's own weight, makes pictures of
    different sizes comparable; dividing by the `elements`, c h w, is Johnson's
    convention.
    """
    if division == "none":
        return sums.second
    # A region that has no position in this layer has no correlations either.
    positions = jnp.where(sums.weight > 0, sums.weight, 1)[:, None, None]
    channels = sums.second.shape[-1] if division == "elements" else 1
    return sums.second / (channels * positions)
