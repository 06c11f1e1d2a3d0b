"""What the image is compared against, computed once before the first step."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax import losses, mesh, moments, tiles, vgg, windows
from nst_jax.arrays import (
    FeatureMaps,
    Features,
    Image,
    Moments,
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
    plan: tiles.Plan = (),
    layout: mesh.Layout | None = None,
) -> FeatureMaps:
    """The features of the content that the result is to have."""
    given = (params, preprocessing)
    _, found = windows.walk(
        *(given, image, names, forward, plan, _nothing, names), layout=layout
    )
    return found


def _nothing(*_: Any) -> dict[str, Any]:
    return {}


def style_statistics(
    params: Params,
    preprocessing: Preprocessing,
    image: Image,
    regions: RegionMaps,
    names: tuple[str, ...],
    forward: vgg.Forward,
    division: moments.Division,
    statistics: tuple[str, ...],
    plan: tiles.Plan = (),
) -> dict[str, Style]:
    """The statistics of one style picture, of each region where there are any."""
    whole = params, preprocessing, regions
    raw, _ = windows.walk((*whole, {}), image, names, forward, plan, _gathered)
    if set(statistics) <= {"gram"}:
        return {name: described(raw[name], None, division) for name in names}
    # Twice over the positions: the covariance needs the mean first, as the mean's
    # square taken from raw sums would leave nothing of a small one.
    means = {name: moments.mean(raw[name]) for name in names}
    about, _ = windows.walk((*whole, means), image, names, forward, plan, _gathered)
    with_gram = division if "gram" in statistics else None
    return {name: described(raw[name], about[name], with_gram) for name in names}


def described(
    raw: Moments, about: Moments | None, division: moments.Division | None
) -> Style:
    """The statistics of a layer from its sums about zero, and about its mean.

    Without a `division` there is no Gram matrix, without `about` nothing else.
    """
    gram = moments.gram_matrix(raw, division) if division else None
    if about is None:
        return Style(gram, None, None, None)
    return Style(gram, moments.mean(raw), moments.covariance(about), None)


def sums(
    features: Features,
    regions: Float[Array, "_h _w r"] | None,
    centre: Float[Array, "r c"] | None,
    name: str,
    place: windows.Place | None,
) -> Moments:
    """The sums of a layer's features over what a window owns; without one, over all."""
    if place is None:
        return moments.moments(features, regions, centre)
    here = None if regions is None else place.cut(regions, features, name)
    inside = place.inside(features, name)
    return moments.moments(features, here, centre, inside)


def _gathered(
    given: Any, found: FeatureMaps, place: windows.Place | None
) -> dict[str, Moments]:
    _, _, regions, means = given
    return {
        name: sums(each, regions.get(name), means.get(name), name, place)
        for name, each in found.items()
    }


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
