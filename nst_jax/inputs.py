"""The pictures of a job, from the settings: read, turned, cropped and resized.

Knows no JAX, so that a wrong picture is answered before JAX is loaded. What is
transparent is laid on white before the network sees it, whatever it is for.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from nst_jax import areas, images, scales
from nst_jax.areas import Areas, Open
from nst_jax.config import FIRST_IMAGES, Config, InputConfig
from nst_jax.errors import RequestError
from nst_jax.images import fitting, sampling
from nst_jax.pictures import Pictures, averaged

Shape = tuple[int, int]
Pixels = Float32[np.ndarray, "h w 3"]
Resized = Float32[np.ndarray, "_ _ 3"]
# From a path and the most pixels that there may be.
Read = Callable[[str, int], images.Picture]


class Originals(NamedTuple):
    """What the files show, each at its own size."""

    content: Resized
    styles: tuple[Resized, ...]
    initial: Resized | None
    areas: Areas


class Shapes(tuple[Shape, ...]):
    """The content's shape at each scale, from coarse to fine.

    A tuple, which also knows the sizes below the result's that are none of the scales:
    `small` leave the network nothing to look at, and `same` are, once rounded, the
    result's own.
    """

    small: tuple[int, ...]
    same: tuple[int, ...]

    def __new__(
        cls,
        shapes: Iterable[Shape],
        small: Iterable[int] = (),
        same: Iterable[int] = (),
    ) -> "Shapes":
        """The tuple of these shapes, and the sizes that are left out."""
        made = super().__new__(cls, shapes)
        made.small, made.same = tuple(small), tuple(same)
        return made


class Inputs(NamedTuple):
    """What a job looks at, and the shape of its result."""

    originals: Originals
    shape: Shape
    final: Pictures  # at that shape
    alpha: Float32[np.ndarray, "h w"] | None  # the content's, kept for the result
    files: dict[str, str]  # what each file is for: its name and sha256

    @property
    def content(self) -> Pixels:
        """The content in the result's size."""
        return self.final.content

    @property
    def styles(self) -> tuple[Resized, ...]:
        """The styles that go with it."""
        return self.final.styles

    @property
    def initial(self) -> Pixels | None:
        """The first image, if it is a picture."""
        return self.final.initial


def load_image(
    path: str | os.PathLike[str], size: int = 512, rule: images.Rule = "long"
) -> Resized:
    """A picture as an array in 0..1, `size` pixels on its long side (0: as it is).

    What is transparent becomes white, as on a page.
    """
    pixels = images.on_white(images.read(path, max_pixels=InputConfig().max_pixels))
    shape = images.working_size(pixels.shape[:2], size, rule)
    return images.resize(pixels, shape, filter="lanczos")


def read_picture(path: str, max_pixels: int) -> images.Picture:
    """The picture in a file, as `images.read` gives it."""
    return images.read(path, max_pixels=max_pixels)


def read(config: Config, each: Read = read_picture) -> Inputs:
    """The pictures that the settings name; `each` reads one."""
    settings = config.inputs
    rules = _rules(config)._replace(least=config.least_content())
    files: dict[str, str] = {}

    def opened(role: str, path: str) -> images.Picture:
        picture = each(path, settings.max_pixels)
        files[role] = f"{Path(path).name} sha256 {picture.sha256}"
        return picture

    content = opened("content", settings.content) if settings.content else None
    if content:  # too small is answered before the styles are read
        fitting.content_shape(content.pixels.shape[:2], rules)
    painted = [
        opened(areas.numbered("style", index, len(settings.style)), path)
        for index, path in enumerate(settings.style)
    ]
    styles = tuple(map(images.on_white, painted))
    own = [content is not None and one.sha256 == content.sha256 for one in painted]
    # Without a content its place, and so its shape, is the first style's.
    content = content or images.Picture(styles[0], None, "")
    shape = fitting.content_shape(content.pixels.shape[:2], rules)
    initial = _initial(settings, styles, opened)
    sizes = [each.shape[:2] for each in (content.pixels, *styles)]
    found = areas.read(config, sizes[0], sizes[1:], own, opened, files)
    # What stays as it is must not be laid on white, and be transparent as well.
    is_kept = areas.keeps(config.control)
    pixels = content.pixels if is_kept else images.on_white(content)
    originals = Originals(pixels, styles, initial, found)
    return Inputs(
        originals,
        shape,
        _at(originals, shape, shape, config),
        None if content.alpha is None else _resized(content.alpha, shape, settings),
        files,
    )


def shape(config: Config, content: Shape) -> Shape:
    """The result's shape, from that of the file which is the content.

    Raises:
        RequestError: it leaves the network nothing to look at.
    """
    rules = _rules(config)._replace(least=config.least_content())
    return fitting.content_shape(content, rules)


def at(inputs: Inputs, shape: Shape, config: Config) -> Pictures:
    """The pictures at the scale where the content has that shape.

    Each is made from its original, not from another scale's.
    """
    if shape == inputs.shape:
        return inputs.final
    return _at(inputs.originals, inputs.shape, shape, config)


def shapes(inputs: Inputs, config: Config) -> Shapes:
    """The content's shape at each scale, from coarse to fine.

    Listed sizes are measured as --size is; those that leave the network nothing to
    look at are left out.
    """
    rules, text = _rules(config), config.solve.scales
    rule = rules.rule if rules.size else "long"
    whole = sampling.measured(inputs.shape, rule if scales.parse(text) else "long")
    part = sampling.measured(inputs.shape, rule) / whole

    def made(size: int) -> Shape:
        shape = inputs.originals.content.shape[:2]
        wanted = max(1, round(size * part))
        exact = images.working_size(
            shape, wanted, rule, least=0, rounding=rules.rounding
        )
        return sampling.in_multiples(exact, rules.multiples)

    each = {size: made(size) for size in scales.sizes(round(whole), text)[:-1]}
    small = [size for size in each if min(each[size]) < config.least_content()]
    same = [size for size in each if each[size] == inputs.shape]
    used = [each[size] for size in each if size not in (*small, *same)]
    return Shapes((*used, inputs.shape), small, same)


def _at(originals: Originals, final: Shape, shape: Shape, config: Config) -> Pictures:
    settings, rules = config.inputs, _rules(config)
    found, styles, style_regions = originals.areas, [], []
    # Not that of the scale, whose rounding would take a column off a style that fits.
    whole = originals.content.shape[:2]
    for index, scale in enumerate(
        areas.for_each(settings.style_scale, len(originals.styles))
    ):
        part = fitting.part(originals.styles[index], whole, rules)
        goal = fitting.style_shape(part.shape[:2], shape, final, scale, rules)
        styles.append(_resized(part, goal, settings))
        if found.style_regions:
            mask = fitting.part(found.style_regions[index], whole, rules)
            style_regions.append(averaged(mask, goal))
    return Pictures(
        content=_resized(originals.content, shape, settings),
        styles=tuple(styles),
        initial=_filling(originals.initial, shape, settings),
        regions=_mask(found.regions, shape),
        style_regions=tuple(style_regions),
        shares=found.shares,
        protect=_mask(found.protect, shape),
        fill=_mask(found.fill, shape),
    )


def _rules(config: Config) -> fitting.Rules:
    settings = config.inputs
    return fitting.Rules(
        size=settings.size,
        rule=settings.size_rule,
        rounding=settings.size_rounding,
        enlarge=settings.enlarge,
        fit=settings.fit,
        least=config.least_side(),
        multiples=config.tiling(),
    )


def _initial(
    settings: InputConfig, styles: tuple[Resized, ...], opened: Open
) -> Resized | None:
    """The picture that is the first image, if one is."""
    if settings.init == "style":
        return styles[0]
    if settings.init in FIRST_IMAGES:
        return None
    if not os.path.exists(settings.init):
        raise RequestError(
            f"--init must be content, noise, blend, style or the path of a picture, "
            f"got {settings.init!r}, which does not exist"
        )
    return images.on_white(opened("init", settings.init))


def _resized(
    pixels: Float32[np.ndarray, "h w *c"], shape: Shape, settings: InputConfig
) -> Float32[np.ndarray, "_ _ *c"]:
    return images.resize(
        pixels,
        shape,
        filter=settings.filter,
        antialias=settings.antialias,
        depth=settings.resize_depth,
    )


def _filling(
    pixels: Resized | None, shape: Shape, settings: InputConfig
) -> Resized | None:
    """The picture cut, or squashed, and resized to a first image of that shape."""
    if pixels is None:
        return None
    part = pixels if settings.fit == "stretch" else images.crop(pixels, shape)
    return _resized(part, shape, settings)


def _mask(
    weights: Float32[np.ndarray, "h w *r"] | None, shape: Shape
) -> Float32[np.ndarray, "_ _ *r"] | None:
    return None if weights is None else averaged(weights, shape)
