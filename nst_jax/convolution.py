"""The frozen 3x3 convolution and the 2x2 pools, with their own gradients.

The weights never learn, so a gradient only ever flows to the input. Saying so
removes two slow paths of XLA: the gradient of a convolution inside a loop on
the device, and the scatter that undoes a max pool. The plain operations stay
(`plain=True`): they are what the fast ones are tested against, and they allow
forward mode and gradients by the weights.

This is the only room that adds a batch axis.
"""

import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from nst_jax import winograd
from nst_jax.arrays import Features

Precision = Literal["float32", "tf32", "mixed"]
Products = Literal["direct", "winograd"]
Pooling = Literal["max", "avg"]
Rounding = Literal["floor", "ceil", "same"]
Padding = Literal["zero", "replicate"]
Wrap = Literal["none", "x", "y", "xy"]
# As the weights file has it, or spread for the products: see `winograd`.
Kernel = Float[Array, "3 3 c d"] | winograd.Spread


def convolution(
    features: Features,
    kernel: Kernel,
    bias: Float[Array, "d"],
    *,
    precision: Precision,
    padding: Padding = "zero",
    wrap: Wrap = "none",
    plain: bool = False,
) -> Float[Array, "h w d"]:
    """The cross-correlation with a 3x3 kernel, the same size as its input.

    Beyond the border stand zeros or the border's own values, or, in the directions
    of `wrap`, what stands on the other side.
    """
    border = 1
    if padding == "replicate" or wrap != "none":
        features, border = _bordered(features, padding, wrap), 0
    product = _correlate if plain else _frozen_correlate
    return product(features, kernel, border, precision) + bias[None, None]


def pool(
    features: Features,
    *,
    kind: Pooling,
    rounding: Rounding,
    plain: bool = False,
) -> Float[Array, "_ _ c"]:
    """The maximum or mean of each 2x2 window.

    An odd last row or column is dropped (`floor`) or pooled from the values
    there are (`ceil`, as Caffe and Torch do; TensorFlow's `same` is equal).
    """
    height, width, _ = features.shape
    if rounding == "floor":
        features = features[: height // 2 * 2, : width // 2 * 2]
        odd = ((0, 0), (0, 0), (0, 0))
    else:
        odd = ((0, height % 2), (0, width % 2), (0, 0))
    if kind == "max":
        padded = jnp.pad(features, odd, constant_values=-jnp.inf)
        return _plain_max(padded) if plain else _max_of_windows(_windows(padded))
    sums = _windows(jnp.pad(features, odd)).sum((1, 3))
    rows, columns = (_shares(length, rounding) for length in (height, width))
    return sums * rows[:, None, None] * columns[None, :, None]


def _bordered(
    features: Features, padding: Padding, wrap: Wrap
) -> Float[Array, "_ _ c"]:
    for axis, name in enumerate("yx"):
        width = [(0, 0)] * 3
        width[axis] = (1, 1)
        beyond = "edge" if padding == "replicate" else "constant"
        features = jnp.pad(features, width, "wrap" if name in wrap else beyond)
    return features


def _shares(length: int, rounding: Rounding) -> np.ndarray:
    """One over the number of values that each window has along one axis."""
    whole, odd = divmod(length, 2)
    single = odd if rounding != "floor" else 0
    return np.asarray([0.5] * whole + [1.0] * single, np.float32)


def _correlate(
    features: Features, kernel: Kernel, border: int, precision: Precision
) -> Float[Array, "_ _ d"]:
    if kernel.ndim == 3:
        return winograd.correlate(features, kernel, border, _xla_precision(precision))
    factors = jnp.bfloat16 if precision == "mixed" else features.dtype
    product = lax.conv_general_dilated(
        features[None].astype(factors),
        kernel.astype(factors),
        window_strides=(1, 1),
        padding=((border, border), (border, border)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=_xla_precision(precision),
        preferred_element_type=features.dtype,
    )
    return product[0]


def _xla_precision(precision: Precision) -> lax.Precision:
    """XLA's word: its DEFAULT is tf32 on NVIDIA, and one pass for bfloat16 factors."""
    return lax.Precision.HIGHEST if precision == "float32" else lax.Precision.DEFAULT


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _frozen_correlate(
    features: Features, kernel: Kernel, border: int, precision: Precision
) -> Float[Array, "_ _ d"]:
    return _correlate(features, kernel, border, precision)


def _correlate_forward(
    features: Any, kernel: Any, border: int, precision: Precision
) -> tuple[Array, Kernel]:
    if kernel.perturbed:
        raise TypeError(
            "the kernel is frozen: convolution(..., plain=True) has a gradient by it"
        )
    return _correlate(features.value, kernel.value, border, precision), kernel.value


def _correlate_backward(
    border: int, precision: Precision, kernel: Kernel, cotangent: Any
) -> tuple[Array, None]:
    # The transposed correlation is a correlation with the kernel turned round and
    # its channels exchanged; as a plain convolution it keeps XLA's fast path.
    if isinstance(cotangent, jax.custom_derivatives.SymbolicZero):
        cotangent = jnp.zeros(cotangent.shape, cotangent.dtype)
    if kernel.ndim == 3:
        found = winograd.correlate(
            cotangent, kernel, 2 - border, _xla_precision(precision), turned=True
        )
        return found, None
    turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    return _correlate(cotangent, turned, 2 - border, precision), None


_frozen_correlate.defvjp(_correlate_forward, _correlate_backward, symbolic_zeros=True)


def _windows(features: Any) -> Any:
    """The 2x2 windows of an even-sized array, as `h 2 w 2 c`."""
    height, width, channels = features.shape
    return features.reshape(height // 2, 2, width // 2, 2, channels)


def _plain_max(features: Features) -> Float[Array, "_ _ c"]:
    window = (2, 2, 1)
    return lax.reduce_window(
        features, -jnp.inf, lax.max, window, window, padding="VALID"
    )


@jax.custom_vjp
def _max_of_windows(windows: Float[Array, "h 2 w 2 c"]) -> Features:
    return windows.max((1, 3))


def _max_forward(
    windows: Float[Array, "h 2 w 2 c"],
) -> tuple[Features, tuple[Array, Features]]:
    largest = windows.max((1, 3))
    return largest, (windows, largest)


def _max_backward(
    saved: tuple[Array, Features], cotangent: Features
) -> tuple[Float[Array, "h 2 w 2 c"]]:
    # Flat pictures tie everywhere: exactly one position of a window, its first,
    # receives the gradient.
    windows, largest = saved
    free = jnp.ones(largest.shape, bool)
    shares = []
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        won = (windows[:, row, :, column] == largest) & free
        free = free & ~won
        shares.append(jnp.where(won, cotangent, 0))
    rows = [jnp.stack(shares[:2], axis=2), jnp.stack(shares[2:], axis=2)]
    return (jnp.stack(rows, axis=1),)


_max_of_windows.defvjp(_max_forward, _max_backward)
