"""Where in the pictures things are done: the masks of a job, read and checked.

Each is as large as its file; `inputs` brings them to the size of their picture.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from nst_jax import images
from nst_jax.config import Config, ControlConfig
from nst_jax.errors import RequestError
from nst_jax.images import labels
from nst_jax.pictures import averaged

Shape = tuple[int, int]
Weights = Float32[np.ndarray, "_ _"]
Regions = Float32[np.ndarray, "_ _ r"]
Shares = tuple[tuple[float, ...], ...]
# Opens the file that has a role: "content", "style 2".
Open = Callable[[str, str], images.Picture]

# In a mask less than this is black, and as much more white: JPEG files ripple.
_NOISE = np.float32(16 / 255)
# A mask may be a little tinted, and this share of what is not black be coloured.
_COLOUR, _COLOURED = np.float32(48 / 255), 0.02


class Areas(NamedTuple):
    """The masks, each at its own size; what they are for is in `Pictures`."""

    regions: Regions | None
    style_regions: tuple[Regions, ...]
    shares: Shares
    protect: Weights | None
    fill: Weights | None


def read(
    config: Config,
    content: Shape,
    styles: Sequence[Shape],
    own: Sequence[bool],
    opened: Open,
    files: dict[str, str],
) -> Areas:
    """The masks that the settings name.

    Args:
        config: all settings.
        content: rows and columns of the content's file.
        styles: those of the styles' files.
        own: which styles are the content itself.
        opened: reads a picture and notes it in `files`.
        files: what each file is for: its name and sha256; masks are added.
    """
    regions, style_regions, shares = _regions(config, content, styles, files)
    protect = _weights("protect", config.control.protect, content, opened)
    fill = _weights("fill", config.control.fill, content, opened)
    if fill is not None:
        count = 1 if regions is None else regions.shape[-1]
        style_regions = _intact(fill, style_regions, own, count)
        _check_left(style_regions, own, shares)
    return Areas(regions, style_regions, shares, protect, fill)


def keeps(control: ControlConfig) -> bool:
    """Whether a part of the content is to stay exactly as it is."""
    has_idle = bool(control.content_mask) and 0 in control.region_weights
    return bool(control.fill) or has_idle


def numbered(role: str, index: int, count: int) -> str:
    """How one of several files with a role is called."""
    return f"{role} {index + 1}" if count > 1 else role


def for_each(values: tuple[float, ...], count: int) -> tuple[float, ...]:
    """A value for each style, from one for all or one each."""
    return values * count if len(values) == 1 else values


def _regions(
    config: Config, content: Shape, styles: Sequence[Shape], files: dict[str, str]
) -> tuple[Regions | None, tuple[Regions, ...], Shares]:
    """The content's masks, the styles', and the share of each style in each region."""
    control, weights = config.control, config.objective.style_weights
    if not control.content_mask:
        if control.region_weights != (1.0,):
            raise RequestError(
                "--region_weights needs --content_mask, which says where regions are; "
                "for the style as a whole give --style_weight"
            )
        each = for_each(weights, len(styles))
        return None, (), tuple((share / sum(each),) for share in each)

    def masks(role: str, paths: tuple[str, ...], picture: Shape) -> labels.Masks:
        found = labels.read(paths, max_pixels=config.inputs.max_pixels)
        whose = f"the {role.replace('_mask', '')}"
        labels.check_aspect(found.values.shape[:2], picture, f"--{role}", whose)
        for index, digest in enumerate(found.digests):
            files[numbered(role, index, len(paths))] = digest
        return found

    wanted = masks("content_mask", control.content_mask, content)
    _check_region_weights(control.region_weights, wanted.values.shape[-1])
    offered = tuple(
        masks(numbered("style_mask", index, len(styles)), paths, styles[index])
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
            f"--style_mask must be one label image for each of the {count} styles, got "
            f"{len(paths)}"
        )
    return tuple((path,) for path in paths)


def _check_region_weights(weights: tuple[float, ...], count: int) -> None:
    if len(weights) not in (1, count):
        raise RequestError(
            f"--region_weights must have one value, or one for each of the {count} "
            f"regions of --content_mask, got {len(weights)}"
        )


def _weights(role: str, path: str, content: Shape, opened: Open) -> Weights | None:
    """A mask of the content: 1 where a picture is white, 0 where black or clear."""
    if not path:
        return None
    picture = opened(role, path)
    _check_grey(role, path, picture)
    weights = picture.pixels.mean(axis=-1)
    if picture.alpha is not None:
        weights = weights * picture.alpha
    weights = np.clip((weights - _NOISE) / (1 - 2 * _NOISE), 0, 1)
    if not weights.any():
        raise RequestError(
            f"--{role} must be white somewhere, and {path!r} is black all over; paint "
            "white what it is for"
        )
    labels.check_aspect(weights.shape, content, f"--{role}", "the content")
    return weights


def _check_grey(role: str, path: str, picture: images.Picture) -> None:
    """Refuses a photo, or a mask painted in red, which would count by a third.

    However small what is painted is: the black around it does not count.
    """
    alpha = 1 if picture.alpha is None else picture.alpha
    coloured = np.ptp(picture.pixels, axis=-1) * alpha > _COLOUR
    painted = picture.pixels.max(axis=-1) * alpha > _NOISE
    share = coloured.sum() / max(painted.sum(), 1)
    if share > _COLOURED:
        raise RequestError(
            f"--{role} must be white, black and greys, and {share:.0%} of what is not "
            f"black in {path!r} has colours; paint white what it is for, black the rest"
        )


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
    whole = np.ones((*fill.shape, count), np.float32)
    return tuple(
        masks * averaged(left, masks.shape[:2])[..., None] if is_own else masks
        for masks, is_own in zip(offered or (whole,) * len(own), own, strict=True)
    )


def _check_left(
    offered: tuple[Regions, ...], own: Sequence[bool], shares: Shares
) -> None:
    """Refuses a style that is the content, where a region it is for is all filled."""
    for masks, is_own, share in zip(offered, own, shares, strict=False):
        wanted = np.asarray(share) > 0
        if is_own and not (masks.max((0, 1)) > 0)[wanted].all():
            raise RequestError(
                "--fill must leave something of a content that is its own style, of "
                "each region that it is for, and leaves nothing; paint black what is "
                "to be looked at"
            )
