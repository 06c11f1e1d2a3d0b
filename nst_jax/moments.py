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


def moments(
    features: Features,
    weight: Float[Array, "h w r"] | None = None,
    centre: Float[Array, "r c"] | None = None,
    inside: Float[Array, "h w"] | None = None,
) -> Moments:
    """The weighted sums of 1, f - a and (f - a)(f - a)^T over positions, by region.

    Only where it is `inside`, if that is given: 1 there, and 0 elsewhere.

    Without a weight the whole picture is one region. A mask is a weight; a soft
    guide T as Gatys et al. (2017, eq. 6) use it is the weight T^2.

    Without a `centre`, a is zero. A covariance from sums about zero is the small
    difference of two large numbers; sums about a mean that is nearly right, the
    target's, keep its digits, and they still add up.

    >>> moments(jnp.ones((2, 3, 4))).second.shape
    (1, 4, 4)
    """
    rows = features.reshape(-1, features.shape[-1])
    here = None if inside is None else inside.reshape(-1, 1)
    if weight is None:
        centred = rows if centre is None else rows - centre
        count = jnp.full((1,), rows.shape[0], rows.dtype)
        if here is not None:
            # Ones and zeros are their own squares.
            centred, count = here * centred, here.sum(0)
        return Moments(count, centred.sum(0)[None], _products(centred, centred)[None])
    share = weight.reshape(-1, weight.shape[-1])
    share = share if here is None else here * share
    first, second = [], []
    # One region at a time: all at once would hold `n r c` values. Sums and not a
    # product for the first: a product with one row adds up naively, and loses
    # three digits on flat areas.
    for region in range(share.shape[1]):
        centred = rows if centre is None else rows - centre[region, None]
        weighted = centred * share[:, region, None]
        first.append(weighted.sum(0))
        second.append(_products(weighted, centred))
    return Moments(share.sum(0), jnp.stack(first), jnp.stack(second))


def mean(
    sums: Moments, centre: Float[Array, "r c"] | None = None
) -> Float[Array, "r c"]:
    """The mean of the features in each region, from sums about `centre`.

    A region without positions has the mean `centre`, so nothing to correct.
    """
    offset = sums.first / _positions(sums)[:, None]
    return offset if centre is None else centre + offset


def covariance(sums: Moments) -> Float[Array, "r c c"]:
    """The covariance of the features in each region, whatever the sums are about.

    Divided by the weight, not by one less. Of a region without positions, zero.
    """
    positions = _positions(sums)[:, None]
    offset = sums.first / positions
    return sums.second / positions[..., None] - _outer(offset, offset)


def gram_matrix(
    sums: Moments,
    division: Division = "positions",
    centre: Float[Array, "r c"] | None = None,
) -> Float[Array, "r c c"]:
    """Correlations between channels, for each region, from sums about `centre`.

    Gatys et al. (2016), eq. 3, is the bare sum over positions (`none`). Dividing
    by the `positions`, h w or the region's own weight, makes pictures of
    different sizes comparable; dividing by the `elements`, c h w, is Johnson's
    convention. The products are about zero, whatever the sums were about.
    """
    second = sums.second
    if centre is not None:
        # W a a^T goes into both cross terms, so that they stay each other's mirror.
        cross = _outer(centre, sums.first + 0.5 * sums.weight[:, None] * centre)
        second = second + cross + cross.swapaxes(1, 2)
    if division == "none":
        return second
    channels = second.shape[-1] if division == "elements" else 1
    return second / (channels * _positions(sums)[:, None, None])


def _products(left: Float[Array, "n c"], right: Float[Array, "n c"]) -> Array:
    return jnp.einsum("nc,nd->cd", left, right, precision=lax.Precision.HIGHEST)


def _outer(left: Float[Array, "r c"], right: Float[Array, "r c"]) -> Array:
    return left[:, :, None] * right[:, None, :]


def _positions(sums: Moments) -> Float[Array, "r"]:
    # A region that has no position in this layer has no statistics either.
    return jnp.where(sums.weight > 0, sums.weight, 1)
