"""The vocabulary: what the arrays that travel through the program are.

Dimension letters, the same everywhere: `h w` rows and columns, `c d` channels,
`r` regions. Images are float32 sRGB in 0..1; only `convolution` knows a batch.
"""

from typing import Any, NamedTuple

from jax import Array
from jaxtyping import Float

Image = Float[Array, "h w 3"]
Features = Float[Array, "h w c"]
Scalar = Float[Array, ""]
# By layer name; each layer has a size of its own, so its axes are not bound.
FeatureMaps = dict[str, Float[Array, "_h _w _c"]]
# Masks by layer: the weight of each region at each position.
RegionMaps = dict[str, Float[Array, "_h _w _r"]]
# {"conv1_1": {"kernel": "3 3 c d", "bias": "d"}, ...}, kernels in RGB order.
Params = dict[str, dict[str, Array]]


class Preprocessing(NamedTuple):
    """What the network was trained on: `(image * scale - mean) / std`, in RGB.

    Caffe's networks: scale 255, mean (123.68, 116.779, 103.939), std 1.
    torchvision's: scale 1, mean (.485, .456, .406), std (.229, .224, .225).
    """

    scale: Float[Array, ""]
    mean: Float[Array, "3"]
    std: Float[Array, "3"]


class Weights(NamedTuple):
    """A network's frozen numbers and where they came from."""

    network: str  # "vgg19" or "vgg16"
    params: Params
    preprocessing: Preprocessing
    name: str  # the known network's name, "random", or "unknown"
    digest: str  # sha256 of the canonical tensors and the preprocessing
    licence: str


class Moments(NamedTuple):
    """Weighted sums over positions, which add up over tiles, per region `r`."""

    weight: Float[Array, "r"]  # sum of w
    first: Float[Array, "r c"]  # sum of w f
    second: Float[Array, "r c c"]  # sum of w f f^T


class Style(NamedTuple):
    """What the style of one layer is, per region; None what no loss looks at."""

    gram: Float[Array, "r c c"] | None
    mean: Float[Array, "r c"] | None
    covariance: Float[Array, "r c c"] | None
    root: Float[Array, "r c c"] | None  # of the covariance


class LossTerms(NamedTuple):
    """The weighted terms of the objective, layer by layer."""

    content: dict[str, Scalar]
    style: dict[str, Scalar]
    tv: Scalar

    @property
    def total(self) -> Any:
        """The value that is minimised, a scalar: every term, nothing hidden."""
        return sum((*self.content.values(), *self.style.values()), start=self.tv)
