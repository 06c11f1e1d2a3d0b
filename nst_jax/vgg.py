"""VGG16 and VGG19 as one thin Flax module: an image in, features by name out.

The module holds no weights and computes nothing beyond the deepest layer asked
for. Its parameter tree is that of `arrays.Params`, so a converted weights file
is its `params` collection as it stands.
"""

from typing import NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax import convolution, layers, winograd
from nst_jax.arrays import FeatureMaps, Features, Image, Params, Preprocessing
from nst_jax.layers import Network


class Forward(NamedTuple):
    """How a network is run: the static choices, hashable and without arrays."""

    network: Network = "vgg19"
    pooling: convolution.Pooling = "max"
    pool_rounding: convolution.Rounding = "floor"
    pool_scale: float = 1.0
    padding: convolution.Padding = "zero"
    wrap: convolution.Wrap = "none"
    precision: convolution.Precision = "float32"
    products: convolution.Products = "direct"  # winograd: of kernels that are spread
    plain: bool = False


class VGG(nn.Module):
    """The convolutional part of VGG, up to the deepest of `names`.

    From the image, or from what comes out of the layer called `after`.
    """

    forward: Forward
    names: tuple[str, ...]
    after: str = ""

    @nn.compact
    def __call__(self, features: Features) -> FeatureMaps:
        """The features called `names` of a preprocessed image."""
        how, found = self.forward, {}
        for layer in layers.up_to(self.names, how.network, self.after):
            if layer.kind == "conv":
                features = Convolution(layer, how, name=layer.name)(features)
            elif layer.kind == "relu":
                features = jax.nn.relu(features)
            else:
                features = how.pool_scale * convolution.pool(
                    features,
                    kind=how.pooling,
                    rounding=how.pool_rounding,
                    plain=how.plain,
                )
            found[layer.name] = features
        return {name: found[name] for name in self.names}


class Convolution(nn.Module):
    """One row of the table with its kernel and bias."""

    layer: layers.Layer
    forward: Forward

    @nn.compact
    def __call__(self, features: Features) -> Float[Array, "h w d"]:
        """The value before the ReLU."""
        layer, how = self.layer, self.forward
        shape = (layer.inputs, layer.channels)
        if self.has_variable("params", "spread"):
            kernel = self.param("spread", nn.initializers.he_normal(), (36, *shape))
        else:
            kernel = self.param("kernel", nn.initializers.he_normal(), (3, 3, *shape))
        bias = self.param("bias", nn.initializers.zeros, (layer.channels,))
        padding = how.padding if layer.name == "conv1_1" else "zero"
        return convolution.convolution(
            features,
            kernel,
            bias,
            precision=how.precision,
            padding=padding,
            wrap=how.wrap,
            plain=how.plain,
        )


def worth_spreading(
    names: tuple[str, ...], network: Network, pixels: int
) -> tuple[str, ...]:
    """The convolutions behind `names` for which Winograd's products pay.

    `pixels` is how many the image has.
    """
    return tuple(
        layer.name
        for layer in layers.up_to(names, network)
        if layer.kind == "conv"
        and winograd.pays(pixels // layer.stride**2, layer.inputs)
    )


def spread(
    params: Params, names: tuple[str, ...], precision: convolution.Precision
) -> Params:
    """The same numbers, with the kernels of `names` spread for Winograd's products.

    `features` takes kernels of both kinds.
    """
    factors = jnp.bfloat16 if precision == "mixed" else jnp.float32
    found = dict(params)
    for name in names:
        kernel = winograd.spread(params[name]["kernel"]).astype(factors)
        found[name] = {"spread": kernel, "bias": params[name]["bias"]}
    return found


def preprocess(image: Image, preprocessing: Preprocessing) -> Image:
    """The image in the range and about the mean that the network was trained on."""
    scale, mean, std = preprocessing
    return (image * scale - mean[None, None]) / std[None, None]


def features(
    params: Params,
    preprocessing: Preprocessing,
    image: Features,
    names: tuple[str, ...],
    forward: Forward,
    after: str = "",
) -> FeatureMaps:
    """The named features of an sRGB image in 0..1.

    Or what follows on the features of a layer: then `image` is those, and `after` its
    name. Simonyan and Zisserman (2015), configurations D and E without the fully
    connected layers; `forward` names every departure (pooling, borders).
    """
    if not names:
        return {}
    used = {layer.name for layer in layers.up_to(names, forward.network, after)}
    kept = {name: params[name] for name in params if name in used}
    module = VGG(forward, names, after)
    seen = image if after else preprocess(jnp.asarray(image), preprocessing)
    return cast(FeatureMaps, module.apply({"params": kept}, seen))
