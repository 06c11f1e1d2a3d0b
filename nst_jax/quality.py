"""How like its content and its style a result is, in numbers without a unit.

They measure nearness, not beauty: a style transfer is meant to differ from its photo,
so a column is for comparing results of one photo and one painting with each other.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from nst_jax import lpips, moments, vgg
from nst_jax.arrays import FeatureMaps, Image, Params, Preprocessing, Scalar, Weights
from nst_jax.errors import RequestError

Picture = Float32[np.ndarray, "h w 3"]
Grams = dict[str, Float[Array, "_ _ _"]]

_TINY = 1e-30


class Look(NamedTuple):
    """The network that compares, and where in it."""

    weights: Weights
    forward: vgg.Forward
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]


class Statistics(NamedTuple):
    """What a network makes of a picture: its features, and their correlations."""

    content: FeatureMaps
    style: Grams


class Row(NamedTuple):
    """One picture beside the reference; None what could not be measured."""

    ssim: float
    psnr: float  # in dB; infinite for the same picture
    lpips: float | None
    content: float
    style: float | None


def compare(
    reference: Picture,
    pictures: Mapping[str, Picture],
    look: Look,
    *,
    style: Float32[np.ndarray, "_ _ 3"] | None = None,
    perceptual: lpips.Perceptual | None = None,
) -> dict[str, Row]:
    """Every picture beside the reference and, where there is one, the style.

    Args:
        reference: in 0..1; the others have its size.
        pictures: by name.
        look: the network of the content and the style distance.
        style: of any size.
        perceptual: the numbers of LPIPS, if they are at hand.
    """
    content = statistics(reference, look).content
    grams = None if style is None else statistics(style, look).style
    rows = {}
    for name, picture in pictures.items():
        found = statistics(picture, look)
        rows[name] = Row(
            ssim(reference, picture),
            psnr(reference, picture),
            float(_lpips(perceptual, reference, picture)) if perceptual else None,
            float(relative(found.content, content)),
            None if grams is None else float(relative(found.style, grams)),
        )
    return rows


def check() -> None:
    """Raises RequestError where SSIM and PSNR cannot be computed."""
    _scikit_image()


def ssim(reference: Picture, picture: Picture) -> float:
    """The structural similarity, 1 for the same picture, the mean of three channels.

    Wang et al. (2004) with their Gaussian window and constants.
    """
    measure = _scikit_image().structural_similarity
    return float(
        measure(
            reference.astype(np.float64),
            picture.astype(np.float64),
            channel_axis=2,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def psnr(reference: Picture, picture: Picture) -> float:
    """The peak signal-to-noise ratio in dB, infinite for the same picture."""
    if np.array_equal(reference, picture):
        return math.inf  # without the division by zero
    measure = _scikit_image().peak_signal_noise_ratio
    return float(measure(reference, picture, data_range=1.0))


def statistics(image: Float32[np.ndarray, "_ _ 3"], look: Look) -> Statistics:
    """The features of the content layers and the Gram matrices of the style layers.

    Gram matrices are divided by their positions, so that pictures of different sizes
    can be compared.
    """
    found: Statistics = _statistics(
        look.weights.params,
        look.weights.preprocessing,
        jnp.asarray(image),
        look.content_layers,
        look.style_layers,
        look.forward,
    )
    return found


def relative(found: FeatureMaps, wanted: FeatureMaps) -> Scalar:
    """The mean over layers of |found - wanted|^2 / |wanted|^2; no unit, 0 if equal.

    Of features it is the content distance, of Gram matrices the style distance.
    """
    layers = [
        jnp.sum((found[name] - wanted[name]) ** 2)
        / jnp.maximum(jnp.sum(wanted[name] ** 2), _TINY)
        for name in wanted
    ]
    return jnp.stack(layers).mean()


def _scikit_image() -> Any:
    """The measures of scikit-image, which only comparing needs."""
    try:
        from skimage import metrics
    except ImportError as error:
        raise RequestError(
            "SSIM and PSNR are computed by scikit-image, which cannot be loaded "
            f"({str(error)!r}); install it: python -m pip install 'scikit-image>=0.25'"
        ) from error
    return metrics


def _features_and_grams(
    params: Params,
    preprocessing: Preprocessing,
    image: Image,
    content: tuple[str, ...],
    style: tuple[str, ...],
    forward: vgg.Forward,
) -> Statistics:
    names = tuple(dict.fromkeys((*content, *style)))
    maps = vgg.features(params, preprocessing, image, names, forward)
    return Statistics(
        {name: maps[name] for name in content},
        {name: moments.gram_matrix(moments.moments(maps[name])) for name in style},
    )


_statistics = jax.jit(_features_and_grams, static_argnums=(3, 4, 5))
_lpips = jax.jit(lpips.distance)
