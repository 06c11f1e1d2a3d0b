"""What the image is compared against, computed once before the first step."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax import losses, moments, vgg
from nst_jax.arrays import (
    FeatureMaps,
    Image,
    Params,
    Preprocessing,
    RegionMaps,
    Style,
)


class Targets(NamedTuple):
    """The content's features and the style's statistics, by layer."""

    content: FeatureMaps
    style: dict[str, Style]


def content_targets(
    params: Params,
    preprocessing: Preprocessing,
    image: Image,
    names: tuple[str, ...],
    forward: vgg.Forward,
) -> FeatureMaps:
    """The features of the content that the result is to have."""
    return vgg.features(params, preprocessing, image, names, forward)


def style_statistics(
    params: Params,
    preprocessing: Preprocessing,
    image: Image,
    regions: RegionMaps,
    names: tuple[str, ...],
    forward: vgg.Forward,
    division: moments.Division,
    statistics: tuple[str, ...],
) -> dict[str, Style]:
    """The statistics of one style picture, of each region where there are any."""
    found = vgg.features(params, preprocessing, image, names, forward)
    return {
        name: _statistics(found[name], regions.get(name), division, statistics)
        for name in names
    }


def _statistics(
    features: Float[Array, "h w c"],
    regions: Float[Array, "h w r"] | None,
    division: moments.Division,
    statistics: tuple[str, ...],
) -> Style:
    sums = moments.moments(features, regions)
    gram = moments.gram_matrix(sums, division) if "gram" in statistics else None
    if set(statistics) <= {"gram"}:
        return Style(gram, None, None, None)
    # Twice over the positions: the covariance needs the mean first, as the mean's
    # square taken from raw sums would leave nothing of a small one.
    mean = moments.mean(sums)
    about = moments.moments(features, regions, mean)
    return Style(gram, mean, moments.covariance(about), None)


def style_targets(
    styles: Sequence[dict[str, Style]],
    shares: dict[str, Float[Array, "s r"]],
    statistics: tuple[str, ...],
    root_steps: int = 0,
) -> dict[str, Style]:
    """The mixture of several styles' statistics, by `shares` in each layer and region.

    Means and raw second moments mix linearly, and so does a Gram matrix; the
    covariance of the mixture also holds how far the styles' means lie apart.
    """
    return {
        name: _mixture(
            [style[name] for style in styles], shares[name], statistics, root_steps
        )
        for name in styles[0]
    }


def _mixture(
    styles: Sequence[Style],
    shares: Float[Array, "s r"],
    statistics: tuple[str, ...],
    root_steps: int,
) -> Style:
    def mixed(values: Sequence[Array]) -> Array:
        # A style without regions is the same in all of them.
        whole = [jnp.broadcast_to(v, (shares.shape[1], *v.shape[1:])) for v in values]
        weights = shares.reshape(*shares.shape, *(1,) * (whole[0].ndim - 1))
        return sum(
            (w * v for w, v in zip(weights[1:], whole[1:], strict=True)),
            start=weights[0] * whole[0],
        )

    grams = [style.gram for style in styles if style.gram is not None]
    gram = mixed(grams) if grams else None
    means = [style.mean for style in styles if style.mean is not None]
    spreads = [style.covariance for style in styles if style.covariance is not None]
    if not means:
        return Style(gram, None, None, None)
    mean = mixed(means)
    apart = [each - mean for each in means]
    covariance = mixed(spreads) + mixed([a[:, :, None] * a[:, None, :] for a in apart])
    root = (
        losses.target_root(covariance, root_steps)
        if "wasserstein" in statistics
        else None
    )
    return Style(gram, mean, covariance, root)
