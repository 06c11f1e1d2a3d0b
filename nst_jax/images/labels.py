"""Masks: which part of a picture is which region, and which style each takes.

A region's mask is a weight in 0..1 at each pixel. It comes from one label image,
whose colours are the regions, or from one soft mask for each region.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from nst_jax import images
from nst_jax.errors import RequestError
from nst_jax.images import clusters
from nst_jax.images.clusters import MOST, Colour

Weights = Float32[np.ndarray, "h w r"]
Shares = tuple[tuple[float, ...], ...]

# How far apart the same label's colours may be in two pictures, in 8-bit steps.
_SAME = clusters.APART
# What a picture's aspect ratio may differ from its mask's.
_ASPECT = 0.02
_LUMINANCE = np.asarray([0.299, 0.587, 0.114], np.float32)


class Masks(NamedTuple):
    """The regions of one picture."""

    values: Weights  # at each position they sum to at most 1
    colours: tuple[Colour, ...]  # of a label image, dark to light; () for soft masks
    digests: tuple[str, ...]  # of each file: its name and sha256


def read(paths: Sequence[str], *, max_pixels: int) -> Masks:
    """The masks in one label image, or in several files with a soft mask each.

    A soft mask's weight is brightness times opacity; masks of several sizes are
    brought to the largest's. Where weights sum to more than 1 they are divided by
    their sum.

    Args:
        paths: as many files as regions, in their order, or one label image.
        max_pixels: larger pictures are refused.
    """
    if len(paths) > MOST:
        raise RequestError(
            f"masks may be at most {MOST}, one for each region, got {len(paths)}; give "
            "fewer"
        )
    pictures = [images.read(path, max_pixels=max_pixels) for path in paths]
    digests = tuple(
        f"{Path(path).name} sha256 {picture.sha256}"
        for path, picture in zip(paths, pictures, strict=True)
    )
    if len(pictures) == 1:
        labels, colours = clusters.labelled(
            images.on_white(pictures[0]), repr(str(paths[0]))
        )
        values = (labels[..., None] == np.arange(len(colours))).astype(np.float32)
        return Masks(values, colours, digests)
    planes = [
        _soft(picture, path) for picture, path in zip(pictures, paths, strict=True)
    ]
    return Masks(_stacked(planes, paths), (), digests)


def _soft(picture: images.Picture, path: str) -> Float32[np.ndarray, "h w"]:
    weight: Float32[np.ndarray, "h w"] = np.clip(picture.pixels @ _LUMINANCE, 0, 1)
    if picture.alpha is not None:
        weight = weight * picture.alpha
    # Less than one step of 8 bits is black.
    if weight.max() < 1 / 255:
        raise RequestError(
            f"{str(path)!r} should be white where its region is, and it is black "
            "everywhere; paint the region, or leave the mask out"
        )
    return weight


def _stacked(
    planes: Sequence[Float32[np.ndarray, "_ _"]], paths: Sequence[str]
) -> Weights:
    """The masks at the largest one's size, which sum to at most 1."""
    height, width = max(planes, key=lambda plane: plane.size).shape
    for plane, path in zip(planes, paths, strict=True):
        rows, columns = plane.shape
        check_aspect((rows, columns), (height, width), repr(str(path)), "other masks")
    sized = [resize(plane[..., None], (height, width)) for plane in planes]
    values = np.concatenate(sized, axis=-1)
    values /= np.maximum(values.sum(-1, keepdims=True), 1)
    return values


def resize(values: Weights, shape: tuple[int, int]) -> Float32[np.ndarray, "_ _ r"]:
    """The masks at another size: each new pixel the mean of what it covers."""
    return images.resize(values, shape, filter="area")


def check_aspect(
    mask: tuple[int, int],
    picture: tuple[int, int],
    name: str = "mask",
    of: str = "its picture",
) -> None:
    """Raises unless rows and columns of a mask have the aspect of its picture.

    Args:
        mask: rows and columns of the mask.
        picture: those of what it belongs to.
        name: how the message calls the mask.
        of: how it calls the picture.
    """
    ratio = mask[1] * picture[0] / (mask[0] * picture[1])
    if not 1 / (1 + _ASPECT) <= ratio <= 1 + _ASPECT:
        raise RequestError(
            f"{name} should have the aspect ratio of {of}, {picture[1]}x{picture[0]} "
            f"px, to {_ASPECT:.0%}, and is {mask[1]}x{mask[0]} px; crop it alike"
        )


def pair(
    content: Masks,
    styles: Sequence[Masks],
    count: int,
    style_weights: Sequence[float],
) -> tuple[tuple[Float32[np.ndarray, "_ _ r"], ...], Shares]:
    """Each style's masks in the content's order, and what each style gives.

    The second is `[style][region]`, the weight of the style in the region's target:
    for each region they sum to 1. Without style masks a single style is for every
    region, and of as many styles as regions each is for one.

    Args:
        content: the content's masks, which must leave no pixel without a region.
        styles: none, or those of each style.
        count: how many style pictures there are.
        style_weights: one for all styles, or one each.
    """
    _check_covered(content)
    regions = content.values.shape[-1]
    if styles:
        if len(styles) != count:
            raise RequestError(
                f"--style_mask should be one label image for each of the {count} "
                f"styles, got {len(styles)}; give {count}, or none"
            )
        places = [_places(content, masks, count) for masks in styles]
    elif count in (1, regions):
        places = [
            [k if count == 1 or k == style else None for k in range(regions)]
            for style in range(count)
        ]
    else:
        raise RequestError(
            f"without --style_mask the styles should be one, or as many as the "
            f"{regions} regions of --content_mask, got {count}; give --style_mask, or "
            "other styles"
        )
    reordered = tuple(
        _reordered(masks.values, order)
        for masks, order in zip(styles, places, strict=False)
    )
    return reordered, _shares(places, style_weights, content)


def _check_covered(content: Masks) -> None:
    """Refuses a content with pixels that no soft mask has."""
    bare = content.values.sum(-1) < 0.5 / 255
    if bare.any():
        row, column = np.argwhere(bare)[0]
        raise RequestError(
            "--content_mask's soft masks should leave no pixel without a region, and "
            f"{bare.mean():.2%} are black in all of them, first column {column}, row "
            f"{row}; add a mask for the rest (with --region_weights 0 it has no style)"
        )


def _places(content: Masks, style: Masks, count: int) -> list[int | None]:
    """For each of the content's regions, which one of the style it is, if any."""
    regions, found = content.values.shape[-1], style.values.shape[-1]
    if bool(content.colours) != bool(style.colours):
        raise RequestError(
            "--content_mask and --style_mask should both be one label image, or both "
            f"one soft mask for each region, got {len(content.digests)} and "
            f"{len(style.digests)} files; give them alike"
        )
    if count == 1 and regions != found:
        raise RequestError(
            f"--style_mask should have the {regions} regions of --content_mask, got "
            f"{found}; paint as many"
        )
    if not content.colours:
        return list(range(regions))
    return _matched(content.colours, style.colours)


def _matched(wanted: Sequence[Colour], offered: Sequence[Colour]) -> list[int | None]:
    """For each colour the same one among those offered: nearest pairs first."""
    distances = np.linalg.norm(
        np.asarray(wanted, float)[:, None] - np.asarray(offered, float), axis=-1
    )
    places: list[int | None] = [None] * len(wanted)
    for _ in range(min(distances.shape)):
        region, place = np.unravel_index(distances.argmin(), distances.shape)
        if distances[region, place] > _SAME:
            break
        places[region] = int(place)
        distances[region], distances[:, place] = np.inf, np.inf
    return places


def _reordered(
    values: Weights, places: Sequence[int | None]
) -> Float32[np.ndarray, "h w s"]:
    """A style's masks in the content's order; what it has not is empty."""
    empty = np.zeros(values.shape[:2], np.float32)
    planes = [empty if k is None else values[..., k] for k in places]
    return np.stack(planes, axis=-1)


def _shares(
    places: Sequence[Sequence[int | None]],
    style_weights: Sequence[float],
    content: Masks,
) -> Shares:
    """The weight of each style in each region, from who has which region."""
    has = np.asarray([[place is not None for place in row] for row in places])
    weight = has * np.asarray(style_weights, float).reshape(-1, 1)
    whole = weight.sum(axis=0, keepdims=True)
    for region in range(has.shape[1]):
        if not has[:, region].any():
            raise RequestError(
                f"{_name(content, region)} of --content_mask should be in a style's "
                "mask as well, in the same colour, and is in none; paint it there too"
            )
        if not whole[0, region] > 0:
            raise RequestError(
                f"{_name(content, region)} of --content_mask should have a style whose "
                "--style_weights is above 0, and has none; raise one of them"
            )
    shares = weight / whole
    return tuple(tuple(float(share) for share in row) for row in shares)


def _name(content: Masks, region: int) -> str:
    if not content.colours:
        return f"region {region + 1}"
    red, green, blue = content.colours[region]
    return f"the region #{red:02x}{green:02x}{blue:02x}"
