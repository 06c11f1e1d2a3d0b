"""Colours kept: a style in the content's colours, or a result given them back.

Two pictures are matched in their distribution of colours, or the content's chroma
is put under another luminance. NumPy, in float64 inside. Gatys et al. (2016,
"Preserving color in neural artistic style transfer"; 2017, section 5).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64

Method = Literal[
    "luminance",
    "histogram",
    "linear-cholesky",
    "linear-symmetric",
    "linear-pca",
]
Pixels = Float32[np.ndarray, "h w 3"]
Other = Float32[np.ndarray, "_ _ 3"]
Plane = Float32[np.ndarray, "h w"]
Regions = Float32[np.ndarray, "h w r"]
OtherRegions = Float32[np.ndarray, "_ _ r"]
Square = Float64[np.ndarray, "3 3"]

# Y of Y'UV (Rec. 601), of sRGB as it is stored.
_LUMINANCE = np.asarray([0.299, 0.587, 0.114])
# Variances count as at least this, a step of 8 bits: a nearly grey picture is given
# no colours that its noise would be stretched to. Gatys adds it to both covariances.
LEAST_VARIANCE = 1e-5


def before(
    style: Pixels,
    content: Other,
    method: Method,
    *,
    style_regions: Regions | None = None,
    regions: OtherRegions | None = None,
    shares: Sequence[float] | None = None,
) -> Pixels:
    """The style in the content's colours, within 0..1.

    With `luminance` it is grey: its luminance, with the mean and deviation of the
    content's. The result then needs `after` as well to have the content's chroma.

    Args:
        style: the style picture.
        content: the picture whose colours it takes.
        method: how.
        style_regions: each region of the style takes the colours of the content's.
        regions: the content's; without the style's, the style as a whole takes the
            colours of all regions that it is for.
        shares: the style's weight in each region; where it is 0 it is not for it.
    """
    if regions is None:
        return np.clip(_toward(style, content, method), 0, 1)
    served = regions if shares is None else regions * (np.asarray(shares) > 0)
    served = served.astype(np.float32)
    if style_regions is None:
        matched = _toward(style, content, method, None, served.sum(-1))
        return np.clip(matched, 0, 1)
    parts = [
        _toward(style, content, method, style_regions[..., k], served[..., k])
        for k in range(served.shape[-1])
    ]
    return np.clip(_laid(style, parts, style_regions), 0, 1)


def after(
    result: Pixels, content: Pixels, method: Method, *, regions: Regions | None = None
) -> Pixels:
    """The result in the content's colours, within 0..1; region by region with masks."""
    if method == "luminance":
        return with_luminance(content, luminance_of(result))
    if regions is None:
        return np.clip(match(result, content, method), 0, 1)
    parts = [
        match(result, content, method, regions[..., k], regions[..., k])
        for k in range(regions.shape[-1])
    ]
    return np.clip(_laid(result, parts, regions), 0, 1)


def _toward(
    style: Pixels,
    content: Other,
    method: Method,
    weight: Plane | None = None,
    content_weight: Float32[np.ndarray, "_ _"] | None = None,
) -> Pixels:
    if method != "luminance":
        return match(style, content, method, weight, content_weight)
    if not (_counts(weight) and _counts(content_weight)):
        return style
    tones = grey(style)
    mean, covariance = statistics(tones, weight)
    goal, spread = statistics(grey(content), content_weight)
    gain = np.sqrt(spread[0, 0] / max(covariance[0, 0], LEAST_VARIANCE))
    return ((tones - mean) * gain + goal).astype(np.float32)


def _laid(image: Pixels, parts: Sequence[Pixels], regions: Regions) -> Pixels:
    """The parts by their masks; the image itself where no mask is."""
    laid = image * (1 - regions.sum(-1, keepdims=True))
    for k, part in enumerate(parts):
        laid += part * regions[..., k : k + 1]
    return laid


def luminance_of(image: Pixels) -> Plane:
    """Y of each pixel, 0..1."""
    luminance: Plane = (image @ _LUMINANCE).astype(np.float32)
    return luminance


def grey(image: Pixels) -> Pixels:
    """The picture's luminance in all three channels."""
    return np.repeat(luminance_of(image)[..., None], 3, axis=-1)


def with_luminance(colour: Pixels, luminance: Plane) -> Pixels:
    """The picture's chroma (its U and V) under another luminance.

    The same amount is added to red, green and blue, no more than keeps all three
    within 0..1: chroma comes first, and pure red stays as light as it is.
    """
    change = luminance - colour.astype(np.float64) @ _LUMINANCE
    change = np.clip(change, -colour.min(axis=-1), 1 - colour.max(axis=-1))
    return np.clip(colour + change[..., None], 0, 1).astype(np.float32)


def match(
    source: Pixels,
    reference: Other,
    method: Method,
    weight: Plane | None = None,
    reference_weight: Float32[np.ndarray, "_ _"] | None = None,
) -> Pixels:
    """The source with the reference's distribution of colours; not cut off to 0..1.

    The linear methods are x' = A (x - mean) + mean of the reference, with A such that
    the covariances agree: Gatys' three ways, of which `symmetric` moves colours
    least and `cholesky` treats red before green before blue. `histogram` is
    `symmetric`, then channel by channel the distribution itself, so that the
    reference's limits are kept.

    Args:
        source: the picture to change.
        reference: the one whose colours it takes.
        method: `histogram` or one of the linear ones.
        weight: how much each pixel of the source counts; one where not given. What
            counts nothing changes with the rest.
        reference_weight: the same for the reference.
    """
    if not (_counts(weight) and _counts(reference_weight)):
        return source
    mean, covariance = statistics(source, weight)
    goal, wanted = statistics(reference, reference_weight)
    matrix = _transport(covariance, wanted, method)
    linear = (source - mean) @ matrix.T + goal
    if method == "histogram":
        for channel in range(3):
            linear[..., channel] = _distributed(
                linear[..., channel], reference[..., channel], weight, reference_weight
            )
    return linear.astype(np.float32)


def _counts(weight: Float32[np.ndarray, "_ _"] | None) -> bool:
    return weight is None or float(weight.sum(dtype=np.float64)) > 0


def statistics(
    image: Other, weight: Float32[np.ndarray, "_ _"] | None
) -> tuple[Float64[np.ndarray, "3"], Square]:
    """The mean colour and the covariance of the channels."""
    colours = image.reshape(-1, 3).astype(np.float64)
    share = np.ones(len(colours)) if weight is None else weight.reshape(-1)
    share = share.astype(np.float64) / share.sum(dtype=np.float64)
    mean = share @ colours
    centred = colours - mean
    return mean, (centred * share[:, None]).T @ centred


def _transport(covariance: Square, wanted: Square, method: Method) -> Square:
    """The A for which A C A^T is the wanted covariance."""
    covariance = power(covariance, 1, LEAST_VARIANCE)
    match method:
        case "linear-cholesky":
            lower = np.linalg.cholesky(power(wanted, 1, 1e-12))
            return lower @ np.linalg.inv(np.linalg.cholesky(covariance))
        case "linear-pca":
            return power(wanted, 0.5) @ power(covariance, -0.5)
        case _:  # of all such A the one that moves colours least
            root, inverse = power(covariance, 0.5), power(covariance, -0.5)
            return inverse @ power(root @ wanted @ root, 0.5) @ inverse


def power(matrix: Square, exponent: float, least: float = 0.0) -> Square:
    """A power of a symmetric matrix, its eigenvalues `least` or larger."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, least) ** exponent) @ vectors.T


def _distributed(
    values: Float64[np.ndarray, "h w"],
    reference: Float32[np.ndarray, "_ _"],
    weight: Plane | None,
    reference_weight: Float32[np.ndarray, "_ _"] | None,
) -> Float64[np.ndarray, "h w"]:
    """The values, each at the reference's quantile of its own rank."""
    ranks = np.interp(values, *_ranks(values, weight))
    places, theirs = _ranks(reference.astype(np.float64), reference_weight)
    return np.interp(ranks, theirs, places)


def _ranks(
    values: Float64[np.ndarray, "h w"], weight: Float32[np.ndarray, "_ _"] | None
) -> tuple[Float64[np.ndarray, "k"], Float64[np.ndarray, "k"]]:
    """Values in rising order, and what share of all is less, half of equals included.

    Values closer than a 65,536th of their range count as equal.
    """
    count = 65536
    share = np.ones(values.size) if weight is None else weight.reshape(-1)
    flat = values.reshape(-1)[share > 0]
    share = share[share > 0].astype(np.float64)
    low, high = flat.min(), flat.max()
    step = (high - low) / (count - 1) or 1.0
    bins = np.rint((flat - low) / step).astype(np.int64)
    weights = np.bincount(bins, share, count)
    sums = np.bincount(bins, share * flat, count)
    kept = weights > 0
    below = np.cumsum(weights) - weights / 2
    return sums[kept] / weights[kept], (below / weights.sum())[kept]
