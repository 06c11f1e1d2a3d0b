"""One formula per function: content, style and total variation.

Each is a pure function of arrays that `jit`, `grad` and `vmap` accept, stated
with its equation and what it changes. Sums over positions come first and what is
done to a sum comes after, so that the sums may be gathered tile by tile.
References: README.md, "How it differs from the papers".
"""

import math
from typing import Literal

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nst_jax.arrays import Features, Image, Scalar

ContentForm = Literal["mean", "sum", "half_sum", "root"]
StyleReduction = Literal["mean", "sum", "image"]
VariationForm = Literal[
    "absolute", "squared", "mean_squared", "padded_squared", "nine_point", "power"
]


def squared_difference(features: Features, target: Features) -> Scalar:
    """The sum of squared differences: the parts of every content loss."""
    return jnp.sum((features - target) ** 2)


def content(squares: Scalar, size: int, form: ContentForm) -> Scalar:
    """The content loss from its sum of squares, over `size` = h w c features.

    `half_sum` is Gatys et al. (2016), eq. 1. `sum` drops the half (Keras'
    example); `mean` divides by h w c, so that it does not grow with the picture
    (jcjohnson, TensorFlow's tutorial); `root` divides by 2 sqrt(c) sqrt(h w)
    (cysmith, titu1994).
    """
    divisors = {
        "mean": float(size),
        "sum": 1.0,
        "half_sum": 2.0,
        "root": 2 * math.sqrt(size),
    }
    return squares / divisors[form]


def style(
    gram: Float[Array, "r c c"],
    target: Float[Array, "r c c"],
    reduction: StyleReduction,
    pixels: int,
) -> Scalar:
    """The squared distance of Gram matrices, averaged over regions.

    Gatys et al. (2016), eq. 4, is a quarter of `mean` with Gram matrices divided
    by their positions (equal to the paper where both pictures have one size).
    `sum` leaves out the division by c^2; `image` divides the sum by
    4 * 3^2 * pixels^2, constants of the picture instead of the layer (Keras'
    example, titu1994).
    """
    squares = jnp.sum((gram - target) ** 2, axis=(1, 2))
    # Floats: the squares of large pictures do not fit 32-bit integers.
    divisors = {"mean": gram.shape[-1] ** 2.0, "sum": 1.0, "image": 36.0 * pixels**2}
    return jnp.mean(squares) / divisors[reduction]


def variations(
    image: Image, form: VariationForm, reach: float = 1.0
) -> Float[Array, "2"]:
    """The sums over neighbours that `total_variation` finishes.

    `reach` is the range of pixel values that the form is meant for: 1, or 255. The
    differences are scaled and not the image, so that equal neighbours stay equal.

    With dx, dy the differences to the right and to the lower neighbour, they are
    sums of dx and of dy terms, except for `nine_point` (sides, then diagonals)
    and the two forms that couple dx and dy at a pixel (all in the first).
    """
    right = reach * (image[:, 1:] - image[:, :-1])
    below = reach * (image[1:] - image[:-1])
    if form == "absolute":
        return jnp.stack([_absolute_sum(right), _absolute_sum(below)])
    if form in ("mean_squared", "padded_squared"):
        return jnp.stack([jnp.sum(right**2), jnp.sum(below**2)])
    if form == "nine_point":
        sides = jnp.sum(right**2) + jnp.sum(below**2)
        return jnp.stack([sides, reach**2 * _diagonal_sum(image)])
    inner = right[:-1] ** 2 + below[:, :-1] ** 2
    both = jnp.sum(inner) if form == "squared" else jnp.sum(inner**1.25)
    return jnp.stack([both, jnp.zeros_like(both)])


def total_variation(
    sums: Float[Array, "2"], shape: tuple[int, ...], form: VariationForm
) -> Scalar:
    """How much neighbouring pixels differ, in one of the forms in use.

    `sums` are those of `variations` over a picture of `shape` h w c:

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
    factors = {
        "absolute": (1.0, 1.0),
        "squared": (0.5, 0.0),
        # A single row or column has no differences: its sum is zero already.
        "mean_squared": (
            1 / (height * max(width - 1, 1) * channels),
            1 / (max(height - 1, 1) * width * channels),
        ),
        "padded_squared": (1 / (pixels * channels), 1 / (pixels * channels)),
        "nine_point": (
            2 / 3 / (pixels * channels),
            1 / 6 / ((height + 1) * (width + 1) * channels),
        ),
        "power": (1.0, 0.0),
    }
    first, second = factors[form]
    return first * sums[0] + second * sums[1]


def _absolute_sum(differences: Float[Array, "h w c"]) -> Scalar:
    # JAX's slope of |d| at 0 is 1, which would push flat areas to one side.
    return jnp.sum(differences * lax.stop_gradient(jnp.sign(differences)))


def _diagonal_sum(image: Image) -> Scalar:
    bordered = jnp.pad(image, ((1, 1), (1, 1), (0, 0)), "edge")
    falling = bordered[1:, 1:] - bordered[:-1, :-1]
    rising = bordered[1:, :-1] - bordered[:-1, 1:]
    return jnp.sum(falling**2) + jnp.sum(rising**2)
