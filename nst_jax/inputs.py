"""The pictures of a job, from the settings: read, turned, cropped and resized.

Knows no JAX, so that a wrong picture is answered before JAX is loaded.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from nst_jax import images
from nst_jax.config import FIRST_IMAGES, Config, InputConfig
from nst_jax.errors import RequestError

Pixels = Float32[np.ndarray, "h w 3"]


class Inputs(NamedTuple):
    """Everything a job looks at, at the size it is worked on."""

    content: Pixels
    alpha: Float32[np.ndarray, "h w"] | None  # the content's, kept for the result
    styles: tuple[Pixels, ...]
    initial: Pixels | None  # None: made from the content and noise


def load_image(
    path: str | os.PathLike[str], size: int = 512, rule: images.Rule = "long"
) -> Pixels:
    """A picture as an array in 0..1, `size` pixels on its long side (0: as it is).

    What is transparent becomes white, as on a page.
    """
    pixels = _on_white(images.read(path, max_pixels=InputConfig().max_pixels))
    shape = images.working_size(pixels.shape[:2], size, rule)
    return images.resize(pixels, shape, filter="lanczos")


def read(config: Config) -> Inputs:
    """The pictures that the settings name."""
    settings = config.inputs
    picture = images.read(settings.content, max_pixels=settings.max_pixels)
    rows, columns, _ = picture.pixels.shape
    shape = images.working_size((rows, columns), settings.size, settings.size_rule)
    alpha = picture.alpha
    return Inputs(
        content=_resized(picture.pixels, shape, settings),
        alpha=None if alpha is None else _resized(alpha, shape, settings),
        styles=tuple(
            _style(path, scale, shape, settings)
            for path, scale in zip(settings.style, scales(settings), strict=True)
        ),
        initial=_initial(shape, settings),
    )


def scales(settings: InputConfig) -> tuple[float, ...]:
    """The size of each style against the content's."""
    if len(settings.style_scale) == 1:
        return settings.style_scale * len(settings.style)
    return settings.style_scale


def paths(settings: InputConfig) -> dict[str, Path]:
    """Every picture a job reads, by what it is for."""
    found = {"content": Path(settings.content)}
    for index, style in enumerate(settings.style, start=1):
        found["style" if len(settings.style) == 1 else f"style {index}"] = Path(style)
    if settings.init not in FIRST_IMAGES:
        found["init"] = Path(settings.init)
    return found


def _style(
    path: str, scale: float, shape: tuple[int, int], settings: InputConfig
) -> Pixels:
    pixels = _on_white(images.read(path, max_pixels=settings.max_pixels))
    if settings.fit == "crop":
        goal = (round(shape[0] * scale), round(shape[1] * scale))
        return _resized(images.crop(pixels, shape), goal, settings)
    size = settings.size or max(shape)
    rule = settings.size_rule if settings.size else "long"
    goal = images.working_size(pixels.shape[:2], max(1, round(size * scale)), rule)
    return _resized(pixels, goal, settings)


def _initial(shape: tuple[int, int], settings: InputConfig) -> Pixels | None:
    if settings.init in FIRST_IMAGES and settings.init != "style":
        return None
    path = settings.style[0] if settings.init == "style" else settings.init
    if settings.init != "style" and not Path(path).exists():
        raise RequestError(
            f"init must be content, noise, blend, style or the path of a picture, got "
            f"{path!r}, which does not exist"
        )
    pixels = _on_white(images.read(path, max_pixels=settings.max_pixels))
    return _resized(images.crop(pixels, shape), shape, settings)


def _resized(
    pixels: Float32[np.ndarray, "h w *c"],
    shape: tuple[int, int],
    settings: InputConfig,
) -> Float32[np.ndarray, "_ _ *c"]:
    return images.resize(
        pixels, shape, filter=settings.filter, antialias=settings.antialias
    )


def _on_white(picture: images.Picture) -> Pixels:
    if picture.alpha is None:
        return picture.pixels
    alpha = picture.alpha[..., None]
    return picture.pixels * alpha + (1 - alpha)
