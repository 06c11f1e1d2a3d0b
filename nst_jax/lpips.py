"""LPIPS: how different two pictures look, by the features of a VGG16.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
CVPR 2018, eq. 1, in the authors' version 0.1. Its five linear layers were fitted to
what people said of small pictures, 64 pixels wide; 0 is the same picture, and about 0.7
is as different as two photos are.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax import vgg
from nst_jax.arrays import Features, Image, Params, Preprocessing, Scalar

LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
NETWORK = "vgg16-torchvision"
# Added to the length of a position's features, which may be zero.
_EPSILON = 1e-10


class Perceptual(NamedTuple):
    """The numbers of LPIPS: torchvision's VGG16, and a weight for each channel."""

    params: Params
    linear: dict[str, Float[Array, "_"]]


def distance(numbers: Perceptual, first: Image, second: Image) -> Scalar:
    """The distance of two pictures of one size.

    Over the layers the sum, over positions the mean, over channels the weighted sum of
    the squared differences of features that have length 1 at every position.
    """
    found = (_features(numbers.params, image) for image in (first, second))
    pairs = zip(*(maps.items() for maps in found), strict=True)
    layers = [
        _weighted(numbers.linear[name], _unit(one) - _unit(other))
        for (name, one), (_, other) in pairs
    ]
    return jnp.stack(layers).sum()


def _weighted(weights: Float[Array, "c"], difference: Features) -> Scalar:
    return jnp.mean(jnp.sum(weights[None, None] * difference**2, axis=-1))


def _features(params: Params, image: Image) -> dict[str, Features]:
    # The authors' shift and scale are of pictures in -1..1.
    shift = jnp.asarray((-0.030, -0.088, -0.188), jnp.float32)
    scale = jnp.asarray((0.458, 0.448, 0.450), jnp.float32)
    preprocessing = Preprocessing(jnp.float32(2), 1 + shift, scale)
    forward = vgg.Forward(network="vgg16")
    return vgg.features(params, preprocessing, image, LAYERS, forward)


def _unit(features: Features) -> Features:
    length = jnp.sqrt(jnp.sum(features**2, axis=-1, keepdims=True))
    return features / (length + _EPSILON)
