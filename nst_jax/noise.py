"""The image that the first step starts from: a picture, noise, or both."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

from nst_jax import color, guides, objective
from nst_jax.arrays import Image
from nst_jax.config import Config, InputConfig
from nst_jax.errors import RequestError
from nst_jax.pictures import Pictures

Drawn = tuple[Float[Array, "_ _ 3"], Image]


def first_image(here: Pictures, problem: objective.Problem, config: Config) -> Image:
    """The image that the first step starts from; noise may leave 0..1.

    Noise lies about the network's mean colour, or about the styles'. `blend` is the
    Coursera exercise's: ratio * noise + (1 - ratio) * content, both about that mean.
    `here` are the pictures as the network sees them: `prepare.coloured`.
    """
    settings, content = config.inputs, jnp.asarray(here.content)
    if here.initial is not None:
        return jnp.asarray(here.initial)
    if settings.init == "content":
        return content
    if settings.init not in ("noise", "blend"):
        raise RequestError(
            f"--init={settings.init!r} needs its picture: pass initial=, or use "
            f"content, noise or blend"
        )
    mean, noise = (
        _styled(here, config)
        if settings.noise == "style"
        else _plain(settings, content.shape, problem)
    )
    if settings.init == "noise":
        return mean + noise
    ratio = settings.noise_ratio
    return mean + ratio * noise + (1 - ratio) * (content - mean)


def _plain(
    settings: InputConfig, shape: tuple[int, ...], problem: objective.Problem
) -> Drawn:
    """The network's mean colour, and noise alike in all channels."""
    key = jax.random.key(settings.seed)
    draw = (
        functools.partial(jax.random.uniform, minval=-1, maxval=1)
        if settings.noise == "uniform"
        else jax.random.normal
    )
    preprocessing = problem.preprocessing
    grey = (preprocessing.mean / preprocessing.scale)[None, None]
    return grey, settings.noise_amplitude * draw(key, shape, dtype=jnp.float32)


def _styled(here: Pictures, config: Config) -> Drawn:
    """The styles' mean colour, and normal noise with the covariance of their colours.

    With regions each has that of its own styles, of their own regions where they have
    masks. NumPy in float64: a flat style's covariance must not be rounding.
    """
    rows, columns, _ = here.content.shape
    key = jax.random.key(config.inputs.seed)
    normal = np.float64(jax.random.normal(key, (rows, columns, 3), jnp.float32))
    found = [_colours(here, share, k) for k, share in enumerate(_shares(here, config))]
    regions = here.regions
    if regions is None:
        regions = np.ones((rows, columns, 1), np.float32)
    # Together they may be less than 1, and a first image has colours everywhere.
    weights = regions.astype(np.float64) + 1e-9
    weights /= weights.sum(2, keepdims=True)
    mean = weights @ np.stack([each for each, _ in found])
    noise = sum(
        weights[..., k, None] * (normal @ color.power(covariance, 0.5))
        for k, (_, covariance) in enumerate(found)
    )
    return jnp.asarray(mean, jnp.float32), jnp.asarray(noise, jnp.float32)


def _shares(here: Pictures, config: Config) -> Float64[np.ndarray, "r s"]:
    return guides.shares(here, config).T.astype(np.float64)


def _colours(
    here: Pictures, shares: Float64[np.ndarray, "s"], region: int
) -> tuple[Float64[np.ndarray, "3"], Float64[np.ndarray, "3 3"]]:
    """The mean colour and the covariance of a region's mixture of styles."""
    means, spreads = [], []
    for index, style in enumerate(here.styles):
        masks = here.style_regions[index] if here.style_regions else None
        weight = None if masks is None else masks[..., region]
        # A style that is not for this region may have nothing in it.
        counts = weight is not None and weight.any()
        mean, covariance = color.statistics(style, weight if counts else None)
        means.append(mean)
        spreads.append(covariance)
    mean = shares @ np.stack(means)
    apart = np.stack(means) - mean
    inner = np.tensordot(shares, np.stack(spreads), 1)
    return mean, inner + (shares[:, None] * apart).T @ apart
