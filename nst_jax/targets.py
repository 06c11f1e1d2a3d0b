"""What the image is compared against, computed once before the first step."""

from collections.abc import Sequence
from typing import NamedTuple

from nst_jax import moments, vgg
from nst_jax.arrays import FeatureMaps, GramMatrices, Image, Params, Preprocessing


class Targets(NamedTuple):
    """The content's features and the style's Gram matrices, by layer."""

    content: FeatureMaps
    style: GramMatrices


def content_targets(
    params: Params,
    preprocessing: Preprocessing,
    image: Image,
    names: tuple[str, ...],
    forward: vgg.Forward,
) -> FeatureMaps:
    """The features of the content that the result is to have."""
    return vgg.features(params, preprocessing, image, names, forward)


def style_targets(
    params: Params,
    preprocessing: Preprocessing,
    image: Image,
    names: tuple[str, ...],
    forward: vgg.Forward,
    division: moments.Division,
) -> GramMatrices:
    """The Gram matrices of one style picture."""
    found = vgg.features(params, preprocessing, image, names, forward)
    return {
        name: moments.gram_matrix(moments.moments(found[name]), division)
        for name in names
    }


def blend(styles: Sequence[GramMatrices], shares: Sequence[float]) -> GramMatrices:
    """The weighted mean of several styles' targets; shares are made to sum to one."""
    whole = sum(shares)
    weighted = [
        {name: target * (share / whole) for name, target in style.items()}
        for style, share in zip(styles, shares, strict=True)
    ]
    return {
        name: sum((style[name] for style in weighted[1:]), start=weighted[0][name])
        for name in weighted[0]
    }
