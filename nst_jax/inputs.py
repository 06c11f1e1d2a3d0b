"""The pictures of a job, from the settings: read, turned, cropped and resized.

Knows no JAX, so that a wrong picture is answered before JAX is loaded. What is
transparent is laid on white before the network sees it, whatever it is for.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from nst_jax import images, layers
from nst_jax.config import FIRST_IMAGES, Config, InputConfig
from nst_jax.errors import RequestError

Pixels = Float32[np.ndarray, "h w 3"]
Resized = Float32[np.ndarray, "_ _ 3"]


class Inputs(NamedTuple):
    """Everything a job looks at, at the size it is worked on."""

    content: Pixels
    alpha: Float32[np.ndarray, "h w"] | None  # the content's, kept for the result
    styles: tuple[Pixels, ...]
    initial: Pixels | None  # None: made from the content and noise
    files: Mapping[str, str]  # what each file is for: its name and sha256


def load_image(
    path: str | os.PathLike[str], size: int = 512, rule: images.Rule = "long"
) -> Resized:
    """A picture as an array in 0..1, `size` pixels on its long side (0: as it is).

    What is transparent becomes white, as on a page.
    """
    pixels = images.on_white(images.read(path, max_pixels=InputConfig().max_pixels))
    shape = images.working_size(pixels.shape[:2], size, rule)
    return images.resize(pixels, shape, filter="lanczos")


def read(config: Config) -> Inputs:
    """The pictures that the settings name."""
    settings, least = config.inputs, _least_side(config)
    files: dict[str, str] = {}

    def opened(role: str, path: str) -> images.Picture:
        picture = images.read(path, max_pixels=settings.max_pixels)
        files[role] = f"{Path(path).name} sha256 {picture.sha256}"
        return picture

    content = opened("content", settings.content)
    shape = images.working_size(
        content.pixels.shape[:2], settings.size, settings.size_rule, least
    )
    alpha = content.alpha
    styles, initial = [], None
    named = zip(settings.style, _scales(settings), strict=True)
    for index, (path, scale) in enumerate(named):
        role = f"style {index + 1}" if len(settings.style) > 1 else "style"
        pixels = images.on_white(opened(role, path))
        styles.append(_style(pixels, scale, shape, settings, least))
        if index == 0 and settings.init == "style":
            initial = _filling(pixels, shape, settings)
    if settings.init not in FIRST_IMAGES:
        _check_first_image(settings.init)
        pixels = images.on_white(opened("init", settings.init))
        initial = _filling(pixels, shape, settings)
    return Inputs(
        content=_resized(images.on_white(content), shape, settings),
        alpha=None if alpha is None else _resized(alpha, shape, settings),
        styles=tuple(styles),
        initial=initial,
        files=files,
    )


def _least_side(config: Config) -> int:
    """Pixels that leave the deepest layer in use at least one position."""
    network = config.network.network
    entries = (config.objective.content_layers, config.objective.style_layers)
    named = [layers.weighted(each, network) for each in entries]
    return layers.least_side(tuple(name for each in named for name in each), network)


def _scales(settings: InputConfig) -> tuple[float, ...]:
    """The size of each style against the content's."""
    if len(settings.style_scale) == 1:
        return settings.style_scale * len(settings.style)
    return settings.style_scale


def _style(
    pixels: Pixels,
    scale: float,
    shape: tuple[int, int],
    settings: InputConfig,
    least: int,
) -> Resized:
    if settings.fit == "crop":
        goal = (round(shape[0] * scale), round(shape[1] * scale))
        images.check_size(pixels.shape[:2], goal, least)
        return _resized(images.crop(pixels, shape), goal, settings)
    size = settings.size or max(shape)
    rule = settings.size_rule if settings.size else "long"
    size = max(1, round(size * scale))
    goal = images.working_size(pixels.shape[:2], size, rule, least)
    return _resized(pixels, goal, settings)


def _check_first_image(path: str) -> None:
    if not os.path.exists(path):
        raise RequestError(
            f"init must be content, noise, blend, style or the path of a picture, got "
            f"{path!r}, which does not exist"
        )


def _filling(pixels: Pixels, shape: tuple[int, int], settings: InputConfig) -> Resized:
    """The picture cut and resized to a first image of that shape."""
    return _resized(images.crop(pixels, shape), shape, settings)


def _resized(
    pixels: Float32[np.ndarray, "h w *c"],
    shape: tuple[int, int],
    settings: InputConfig,
) -> Float32[np.ndarray, "_ _ *c"]:
    return images.resize(
        pixels, shape, filter=settings.filter, antialias=settings.antialias
    )
