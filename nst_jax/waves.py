"""Waves instead of pixels: a change of variable under which optimisers move faster.

An image is a sum of cosines. Its pixels are steep and its broad waves are flat to the
optimiser, because natural pictures have most of their contrast in broad waves. Scaling
each wave by frequency^-1/2 evens that out: a step moves broad waves further. What is
moved is an image again, the one with its waves scaled back, so that nothing else
changes: the minimum is the same, the way to it another.
"""

import jax.numpy as jnp
import numpy as np
from jax.scipy import fft
from jaxtyping import Array, Float

from nst_jax.arrays import Image

# Between white (0), which is no change, and the spectrum of photographs (1).
_EXPONENT = 0.5


def image(waves: Image) -> Image:
    """The image of what is moved."""
    return _scaled(waves, lengths(*waves.shape[:2]))


def waves(image: Image) -> Image:
    """What is moved, of an image: the inverse of `image`."""
    return _scaled(image, 1 / lengths(*image.shape[:2]))


def broadened(grad: Image) -> Image:
    """The step in the image of a step along its gradient in what is moved.

    `image` and its transpose, one after the other: they are the same.
    """
    return _scaled(grad, lengths(*grad.shape[:2]) ** 2)


def lengths(height: int, width: int) -> Float[Array, "h w"]:
    """The factor of each wave, by its frequency down and across; 1 in the mean square.

    A constant has no frequency: it goes with the longest wave.
    """
    down, across = np.arange(height) / (2 * height), np.arange(width) / (2 * width)
    frequency = np.hypot(down[:, None], across[None])
    frequency[0, 0] = 1 / (2 * max(height, width))
    found = frequency**-_EXPONENT
    return jnp.asarray(found / np.sqrt(np.mean(found**2)), jnp.float32)


def _scaled(picture: Image, factors: Float[Array, "h w"]) -> Image:
    """The picture with its waves scaled, as if mirrored at its borders."""
    spectrum = fft.dctn(picture, axes=(0, 1), norm="ortho") * factors[:, :, None]
    return fft.idctn(spectrum, axes=(0, 1), norm="ortho")
