"""The pictures of a job, from the settings: read, turned, cropped and resized.

Knows no JAX, so that a wrong picture is answered before JAX is loaded. What is
transparent is laid on white before the network sees it, whatever it is for.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from nst_jax import images, layers, scales
from nst_jax.config import FIRST_IMAGES, Config, ControlConfig, InputConfig
from nst_jax.errors import RequestError
from nst_jax.images import fitting, labels, sampling
from nst_jax.pictures import Pictures, averaged

Shape = tuple[int, int]
Pixels = Float32[np.ndarray, "h w 3"]
Resized = Float32[np.ndarray, "_ _ 3"]
Weights = Float32[np.ndarray, "_ _"]
Regions = Float32[np.ndarray, "_ _ r"]
Shares = tuple[tuple[float, ...], ...]
# Opens the file that has a role: "content", "style 2".
Open = Callable[[str, str], images.Picture]

# In a mask less than this is black, and as much more white: JPEG files ripple.
_NOISE = np.float32(16 / 255)


class Originals(NamedTuple):
    """What the files show, each at its own size; the rest is as in `Pictures`."""

    content: Resized
    styles: tuple[Resized, ...]
    initial: Resized | None
    regions: Regions | None
    style_regions: tuple[Regions, ...]
    shares: Shares
    protect: Weights | None
    fill: Weights | None


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


def read(config: Config) -> Inputs:
    """The pictures that the settings name."""
    settings = config.inputs
    files: dict[str, str] = {}

    def opened(role: str, path: str) -> images.Picture:
        picture = images.read(path, max_pixels=settings.max_pixels)
        files[role] = f"{Path(path).name} sha256 {picture.sha256}"
        return picture

    content = opened("content", settings.content) if settings.content else None
    if content:  # too small is answered before the styles are read
        fitting.content_shape(content.pixels.shape[:2], _rules(config))
    painted = [
        opened(_numbered("style", index, len(settings.style)), path)
        for index, path in enumerate(settings.style)
    ]
    styles = tuple(images.on_white(each) for each in painted)
    own = [content is not None and each.sha256 == content.sha256 for each in painted]
    # Without a content its place, and so its shape, is the first style's.
    content = content or images.Picture(styles[0], None, "")
    size = content.pixels.shape[:2]
    shape = fitting.content_shape(size, _rules(config))
    regions, style_regions, shares = _regions(config, size, styles, files)
    fill = _weights("fill", config.control.fill, size, opened)
    if fill is not None:
        count = 1 if regions is None else regions.shape[-1]
        style_regions = _intact(fill, style_regions, own, count)
    originals = Originals(
        # What stays as it is must not be laid on white, and be transparent as well.
        content.pixels if _keeps(config.control) else images.on_white(content),
        styles,
        _initial(settings, styles, opened),
        regions,
        style_regions,
        shares,
        protect=_weights("protect", config.control.protect, size, opened),
        fill=fill,
    )
    return Inputs(
        originals,
        shape,
        _at(originals, shape, shape, config),
        None if content.alpha is None else _resized(content.alpha, shape, settings),
        files,
    )


def at(inputs: Inputs, shape: Shape, config: Config) -> Pictures:
    """The pictures at the scale where the content has that shape.

    Each is made from its original, not from another scale's.
    """
    return _at(inputs.originals, inputs.shape, shape, config)


def shapes(inputs: Inputs, config: Config) -> tuple[Shape, ...]:
    """The content's shape at each scale, from coarse to fine.

    Listed sizes are measured as --size is; those that leave the network nothing to
    look at are left out.
    """
    rules, text = _rules(config), config.solve.scales
    rule = rules.rule if rules.size else "long"
    whole = sampling.measured(inputs.shape, rule if scales.parse(text) else "long")
    part = sampling.measured(inputs.shape, rule) / whole
    exact = [
        images.working_size(
            inputs.originals.content.shape[:2],
            max(1, round(size * part)),
            rule,
            least=0,
            rounding=rules.rounding,
        )
        for size in scales.sizes(round(whole), text)[:-1]
    ]
    made = [sampling.in_multiples(shape, rules.multiples) for shape in exact]
    used = [shape for shape in made if min(shape) >= rules.least]
    return (*(shape for shape in used if shape != inputs.shape), inputs.shape)


def _at(originals: Originals, final: Shape, shape: Shape, config: Config) -> Pictures:
    settings, rules = config.inputs, _rules(config)
    styles, style_regions = [], []
    for index, scale in enumerate(_for_each(settings.style_scale, originals.styles)):
        part = fitting.part(originals.styles[index], shape, rules)
        goal = fitting.style_shape(part.shape[:2], shape, final, scale, rules)
        styles.append(_resized(part, goal, settings))
        if originals.style_regions:
            mask = fitting.part(originals.style_regions[index], shape, rules)
            style_regions.append(averaged(mask, goal))
    return Pictures(
        content=_resized(originals.content, shape, settings),
        styles=tuple(styles),
        initial=_filling(originals.initial, shape, settings),
        regions=_mask(originals.regions, shape),
        style_regions=tuple(style_regions),
        shares=originals.shares,
        protect=_mask(originals.protect, shape),
        fill=_mask(originals.fill, shape),
    )


def _rules(config: Config) -> fitting.Rules:
    settings = config.inputs
    return fitting.Rules(
        size=settings.size,
        rule=settings.size_rule,
        rounding=settings.size_rounding,
        enlarge=settings.enlarge,
        fit=settings.fit,
        # Pixels that leave the deepest layer in use at least one position.
        least=layers.least_side(config.used_layers(), config.network.network),
        multiples=config.tiling(),
    )


def _for_each(
    values: tuple[float, ...], styles: tuple[Resized, ...]
) -> tuple[float, ...]:
    """A value for each style, from one for all or one each."""
    return values * len(styles) if len(values) == 1 else values


def _numbered(role: str, index: int, count: int) -> str:
    return f"{role} {index + 1}" if count > 1 else role


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
            f"init must be content, noise, blend, style or the path of a picture, got "
            f"{settings.init!r}, which does not exist"
        )
    return images.on_white(opened("init", settings.init))


def _regions(
    config: Config, content: Shape, styles: tuple[Resized, ...], files: dict[str, str]
) -> tuple[Regions | None, tuple[Regions, ...], Shares]:
    """The content's masks, the styles', and the share of each style in each region."""
    control, weights = config.control, config.objective.style_weights
    if not control.content_mask:
        each = _for_each(weights, styles)
        return None, (), tuple((share / sum(each),) for share in each)

    def masks(role: str, paths: tuple[str, ...], picture: Shape) -> labels.Masks:
        found = labels.read(paths, max_pixels=config.inputs.max_pixels)
        whose = f"the {role.replace('_mask', '')}"
        labels.check_aspect(found.values.shape[:2], picture, role, whose)
        for index, digest in enumerate(found.digests):
            files[_numbered(role, index, len(paths))] = digest
        return found

    wanted = masks("content_mask", control.content_mask, content)
    _check_region_weights(control.region_weights, wanted.values.shape[-1])
    offered = tuple(
        masks(
            _numbered("style_mask", index, len(styles)), paths, styles[index].shape[:2]
        )
        for index, paths in enumerate(_by_style(control.style_mask, len(styles)))
    )
    given, shares = labels.pair(wanted, offered, len(styles), weights)
    return wanted.values, given, shares


def _by_style(paths: tuple[str, ...], count: int) -> tuple[tuple[str, ...], ...]:
    """The files with the masks of each style; none without any."""
    if not paths or count == 1:
        return (paths,) if paths else ()
    if len(paths) != count:
        raise RequestError(
            f"style_mask must be one label image for each of the {count} styles, got "
            f"{len(paths)}"
        )
    return tuple((path,) for path in paths)


def _check_region_weights(weights: tuple[float, ...], count: int) -> None:
    if len(weights) not in (1, count):
        raise RequestError(
            f"region_weights must have one value, or one for each of the {count} "
            f"regions of content_mask, got {len(weights)}"
        )


def _weights(role: str, path: str, content: Shape, opened: Open) -> Weights | None:
    """A mask of the content: 1 where a picture is white, 0 where black or clear."""
    if not path:
        return None
    picture = opened(role, path)
    weights = picture.pixels.mean(axis=-1)
    if picture.alpha is not None:
        weights = weights * picture.alpha
    weights = np.clip((weights - _NOISE) / (1 - 2 * _NOISE), 0, 1)
    if not weights.any():
        raise RequestError(
            f"{role} must be white somewhere, and {path!r} is black all over; paint "
            "white what it is for"
        )
    labels.check_aspect(weights.shape, content, role, "the content")
    return weights


def _intact(
    fill: Weights, offered: tuple[Regions, ...], own: Sequence[bool], count: int
) -> tuple[Regions, ...]:
    """The styles' masks, those of the content's own file without what is filled.

    Args:
        fill: where the content is repainted.
        offered: the masks of each style, or none.
        own: which styles are the content.
        count: how many regions there are.
    """
    if not any(own):
        return offered
    left = 1 - fill
    if not left.any():
        raise RequestError(
            "fill must leave something of a content that is its own style, and is "
            "white all over; paint black what is to be looked at"
        )
    whole = np.ones((*fill.shape, count), np.float32)
    return tuple(
        masks * averaged(left, masks.shape[:2])[..., None] if is_own else masks
        for masks, is_own in zip(offered or (whole,) * len(own), own, strict=True)
    )


def _keeps(control: ControlConfig) -> bool:
    """Whether a part of the content is to stay exactly as it is."""
    return bool(control.fill) or (
        bool(control.content_mask) and 0 in control.region_weights
    )


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
