"""One formula per function: content, style and total variation.

Each is a pure function of arrays that `jit`, `grad` and `vmap` accept, stated
with its equation and what it changes. Sums over positions come first and what is
done to a sum comes after, so that the sums may be gathered tile by tile.
References: README.md, "How it differs from the papers".
"""

import math
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from nst_jax import roots
from nst_jax.arrays import Features, Image, Scalar
from nst_jax.convolution import Wrap

ContentForm = Literal["mean", "sum", "half_sum", "root", "scaled"]
StyleReduction = Literal["mean", "sum", "image", "scaled"]
VariationForm = Literal[
    "absolute", "squared", "mean_squared", "padded_squared", "nine_point", "power"
]

# Added to sums of absolute differences that divide (style-transfer-pytorch).
SCALED_EPSILON = 1e-8
# Added to variances before the root, as in AdaIN (Huang and Belongie, 2017): the
# slope of the root stays finite in channels that are the same everywhere.
DEVIATION_EPSILON = 1e-5
# Added to the diagonal of both covariances (style-transfer-pytorch).
COVARIANCE_EPSILON = 1e-4


def differences(
    features: Features,
    target: Features,
    form: ContentForm,
    weight: Float[Array, "h w"] | None = None,
) -> Float[Array, "2"]:
    """The sums that `content` finishes: of squared and of absolute differences.

    The second is zero unless the form needs it. A weight multiplies what its
    position adds to both.
    """
    difference = features - target
    share = 1.0 if weight is None else weight[..., None]
    squares = jnp.sum(share * difference**2)
    if form != "scaled":
        return jnp.stack([squares, jnp.zeros_like(squares)])
    return jnp.stack([squares, jnp.sum(share * _absolute(difference))])


def content(sums: Float[Array, "2"], size: int, form: ContentForm) -> Scalar:
    """The content loss from its `differences`, over `size` = h w c features.

    `half_sum` is Gatys et al. (2016), eq. 1. `sum` drops the half (Keras'
    example); `mean` divides by h w c, so that it does not grow with the picture
    (jcjohnson, TensorFlow's tutorial); `root` divides by 2 sqrt(c) sqrt(h w)
    (cysmith, titu1994); `scaled` is sum d^2 / sum |d|, whose gradient keeps its
    size while the differences shrink (style-transfer-pytorch of 2021).
    """
    if form == "scaled":
        return sums[0] / (sums[1] + SCALED_EPSILON)
    divisors = {
        "mean": float(size),
        "sum": 1.0,
        "half_sum": 2.0,
        "root": 2 * math.sqrt(size),
    }
    return sums[0] / divisors[form]


def style(
    gram: Float[Array, "r c c"],
    target: Float[Array, "r c c"],
    reduction: StyleReduction,
    pixels: int,
) -> Float[Array, "r"]:
    """The squared distance of Gram (or covariance) matrices, for each region.

    Gatys et al. (2016), eq. 4, is a quarter of `mean` with Gram matrices divided
    by their positions (equal to the paper where both pictures have one size).
    `sum` leaves out the division by c^2; `image` divides the sum by
    4 * 3^2 * pixels^2, constants of the picture instead of the layer (Keras'
    example, titu1994); `scaled` divides it by the sum of absolute differences
    (style-transfer-pytorch of 2021).
    """
    difference = gram - target
    squares = jnp.sum(difference**2, axis=(1, 2))
    if reduction == "scaled":
        return squares / (jnp.sum(_absolute(difference), (1, 2)) + SCALED_EPSILON)
    # Floats: the squares of large pictures do not fit 32-bit integers.
    divisors = {"mean": gram.shape[-1] ** 2.0, "sum": 1.0, "image": 36.0 * pixels**2}
    return squares / divisors[reduction]


def mean_std(
    mean: Float[Array, "r c"],
    covariance: Float[Array, "r c c"],
    target_mean: Float[Array, "r c"],
    target_covariance: Float[Array, "r c c"],
) -> Float[Array, "r"]:
    """The squared distances of means and of standard deviations, for each region.

    Li, Wang, Liu and Hou (2017), the statistics of batch normalisation: of both,
    the mean over channels. A deviation is sqrt(variance + 1e-5).
    """
    deviation, goal = _deviation(covariance), _deviation(target_covariance)
    return jnp.mean((mean - target_mean) ** 2 + (deviation - goal) ** 2, axis=1)


def wasserstein(
    mean: Float[Array, "r c"],
    covariance: Float[Array, "r c c"],
    target_mean: Float[Array, "r c"],
    target_covariance: Float[Array, "r c c"],
    target_root: Float[Array, "r c c"],
    root_steps: int = 0,
) -> Float[Array, "r"]:
    """The squared Wasserstein-2 distance of two Gaussians over c, for each region.

    |m - m'|^2 + tr(S + S' - 2 (S'^1/2 S S'^1/2)^1/2), where S and S' are the
    covariances with 1e-4 on the diagonal (style-transfer-pytorch of 2023), and a
    rounding error of the target's trace, which matters in float32 only.

    Args:
        mean: Of the image's features.
        covariance: Of the image's features, nothing added.
        target_mean: Of the style's.
        target_covariance: Of the style's, nothing added.
        target_root: `target_root` of the target covariance, made once.
        root_steps: 0, or the steps after which style-transfer-pytorch stops.
    """
    if root_steps:
        ridge = COVARIANCE_EPSILON * jnp.eye(covariance.shape[-1])[None]
        ours, theirs = covariance + ridge, target_covariance + ridge
        inner = roots.product(roots.product(target_root, ours), target_root)
        spread = ours + theirs - 2 * roots.iterated(inner, root_steps)
        apart = jnp.trace(spread, axis1=1, axis2=2)
        return jnp.mean((mean - target_mean) ** 2, axis=1) + apart / mean.shape[1]
    apart = roots.bures(covariance + _ridge(target_covariance), target_root)
    return jnp.mean((mean - target_mean) ** 2, axis=1) + apart / mean.shape[1]


def target_root(
    covariance: Float[Array, "r c c"], root_steps: int = 0
) -> Float[Array, "r c c"]:
    """The root of a target's covariance with what `wasserstein` adds to it."""
    if root_steps:
        ridge = COVARIANCE_EPSILON * jnp.eye(covariance.shape[-1])[None]
        return roots.iterated(covariance + ridge, root_steps)
    return roots.root(ridged(covariance))


def ridged(covariance: Float[Array, "r c c"]) -> Float[Array, "r c c"]:
    """A target's covariance with what `wasserstein` adds to both diagonals."""
    return covariance + _ridge(covariance)


def laplacian(image: Image, pool: int) -> Float[Array, "_ _ 3"]:
    """Where a picture has edges: the Laplacian of its means over pool x pool.

    Li, Xu, Nie and Liu (2017), who sum the squared differences to the content's
    (their program averages them, in 0..255, over one Laplacian of r + g + b).
    Only where all four neighbours exist; rows and columns that fill no whole
    window are left out.
    """
    height, width = (side // pool for side in image.shape[:2])
    windows = image[: height * pool, : width * pool]
    small = windows.reshape(height, pool, width, pool, 3).mean((1, 3))
    beside = small[1:-1, :-2] + small[1:-1, 2:]
    return 4 * small[1:-1, 1:-1] - beside - small[:-2, 1:-1] - small[2:, 1:-1]


def variations(
    image: Image, form: VariationForm, reach: float = 1.0, wrap: Wrap = "none"
) -> Float[Array, "2"]:
    """The sums over neighbours that `total_variation` finishes.

    `reach` is the range of pixel values that the form is meant for: 1, or 255. The
    differences are scaled and not the image, so that equal neighbours stay equal.
    Along an axis in `wrap` the first and the last pixel are neighbours too.

    With dx, dy the differences to the right and to the lower neighbour, they are
    sums of dx and of dy terms, except for `nine_point` (sides, then diagonals)
    and the two forms that couple dx and dy at a pixel (all in the first).
    """
    right = reach * _steps(image, 1, "x" in wrap)
    below = reach * _steps(image, 0, "y" in wrap)
    if form == "absolute":
        return jnp.stack([jnp.sum(_absolute(right)), jnp.sum(_absolute(below))])
    if form in ("mean_squared", "padded_squared"):
        return jnp.stack([jnp.sum(right**2), jnp.sum(below**2)])
    if form == "nine_point":
        sides = jnp.sum(right**2) + jnp.sum(below**2)
        return jnp.stack([sides, reach**2 * _diagonal_sum(image, wrap)])
    inner = right[: below.shape[0]] ** 2 + below[:, : right.shape[1]] ** 2
    both = jnp.sum(inner) if form == "squared" else jnp.sum(inner**1.25)
    return jnp.stack([both, jnp.zeros_like(both)])


def total_variation(
    sums: Float[Array, "2"],
    shape: tuple[int, ...],
    form: VariationForm,
    wrap: Wrap = "none",
) -> Scalar:
    """How much neighbouring pixels differ, in one of the forms in use.

    `sums` are those of `variations`, with the same `wrap`, over a picture of
    `shape` h w c; what is said of borders holds for those that are not wrapped:

    - `absolute`: sum |dx| + sum |dy| (neural-style-pt, TensorFlow's tutorial);
    - `squared`: half the sum of dx^2 + dy^2 over the (h-1) x (w-1) pixels that
      have both (jcjohnson, who adds its gradient and does not print it);
    - `mean_squared`: mean dx^2 + mean dy^2 (anishathalye);
    - `padded_squared`: (sum dx^2 + sum dy^2) / (h w c), the border repeated
      (style-transfer-pytorch of 2021);
    - `nine_point`: twice (a third of the mean dx^2 + dy^2, and a twelfth of the
      mean squared difference along both diagonals), the border repeated
      (style-transfer-pytorch of 2023; its diagonals start outside the picture,
      so they are a mean over (h+1) x (w+1));
    - `power`: the sum of (dx^2 + dy^2)^1.25 over the pixels that have both
      (Mahendran and Vedaldi, 2015, beta = 2.5; Keras' example).
    """
    height, width, channels = (float(length) for length in shape)
    pixels = height * width
    open_x, open_y = float("x" not in wrap), float("y" not in wrap)
    factors = {
        "absolute": (1.0, 1.0),
        "squared": (0.5, 0.0),
        # A single row or column has no differences: its sum is zero already.
        "mean_squared": (
            1 / (height * max(width - open_x, 1) * channels),
            1 / (max(height - open_y, 1) * width * channels),
        ),
        "padded_squared": (1 / (pixels * channels), 1 / (pixels * channels)),
        "nine_point": (
            2 / 3 / (pixels * channels),
            1 / 6 / ((height + open_y) * (width + open_x) * channels),
        ),
        "power": (1.0, 0.0),
    }
    first, second = factors[form]
    return first * sums[0] + second * sums[1]


def _absolute(differences: Array) -> Array:
    # JAX's slope of |d| at 0 is 1, which would push flat areas to one side.
    return differences * lax.stop_gradient(jnp.sign(differences))


def _deviation(covariance: Float[Array, "r c c"]) -> Float[Array, "r c"]:
    # Rounding may leave a variance a little below zero.
    variance = jnp.maximum(jnp.diagonal(covariance, axis1=1, axis2=2), 0)
    return jnp.sqrt(variance + DEVIATION_EPSILON)


def _ridge(covariance: Float[Array, "r c c"]) -> Float[Array, "r c c"]:
    # Without the second part the target's zeros would be noise, either side of 0.
    identity = jnp.eye(covariance.shape[-1], dtype=covariance.dtype)
    rounding = np.finfo(covariance.dtype).eps * jnp.trace(covariance, axis1=1, axis2=2)
    return (COVARIANCE_EPSILON + rounding)[:, None, None] * identity[None]


def _steps(image: Image, axis: int, wrapped: bool) -> Float[Array, "_ _ 3"]:
    """The differences of each pixel's next neighbour along an axis and itself."""
    if wrapped:
        return jnp.roll(image, -1, axis) - image
    return jnp.diff(image, axis=axis)


def _diagonal_sum(image: Image, wrap: Wrap) -> Scalar:
    bordered = image
    for axis, letter in enumerate("yx"):
        # A wrapped picture has one crossing where its ends meet, not two.
        after, mode = (0, "wrap") if letter in wrap else (1, "edge")
        widths = [(1, after) if axis == other else (0, 0) for other in range(3)]
        bordered = jnp.pad(bordered, widths, mode)
    falling = bordered[1:, 1:] - bordered[:-1, :-1]
    rising = bordered[1:, :-1] - bordered[:-1, 1:]
    return jnp.sum(falling**2) + jnp.sum(rising**2)
