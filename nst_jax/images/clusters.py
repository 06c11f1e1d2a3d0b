"""Which label each pixel of a label image has.

People paint such images by hand, save them as JPEG and resize them: colours drift,
edges blend. So labels are the colours of flat areas, and what is not clearly one of
them takes the label of a neighbour: a blend of black and white never becomes grey.
"""

import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from nst_jax.errors import RequestError

Colour = tuple[int, int, int]
Samples = UInt8[np.ndarray, "h w 3"]
Labels = UInt8[np.ndarray, "h w"]

MOST = 8
# In 8-bit steps. A pixel is of a label if it is NEAR its colour; colours that are
# closer than APART are one label, unless the picture has no other colours at all.
NEAR, APART = 16, 48
# How much 3x3 pixels may differ where a label is found, and where it is believed.
_FLAT, _CALM = 12, 48
_LEAST_AREA = 5e-4  # of the picture, that a label covers
_LEAST_CLEAR = 0.65  # of the pixels, that must be near a label
_NONE = 255


def labelled(
    pixels: Float32[np.ndarray, "h w 3"], name: str
) -> tuple[Labels, tuple[Colour, ...]]:
    """The label of each pixel, and the labels' colours from dark to light.

    Args:
        pixels: the label image.
        name: how messages call it.
    """
    samples = np.rint(pixels * 255).astype(np.uint8)
    spread = _spread(samples)
    colours = _colours(samples, spread <= _FLAT)
    _check_count(len(colours), name)
    labels, distance = _nearest(samples, colours)
    if distance.any():  # not every pixel is exactly of a label
        clear = distance <= NEAR**2
        if clear.mean() < _LEAST_CLEAR:
            raise RequestError(
                f"{name} should be painted in flat colours that differ by {APART} of "
                f"255 or more, one for each region, and {1 - clear.mean():.0%} of it "
                "is not; paint it so, or give one file for each region as soft masks"
            )
        labels[~(clear & (spread <= _CALM))] = _NONE
        _fill(labels, samples, colours)
    return labels, tuple((int(r), int(g), int(b)) for r, g, b in colours)


def _check_count(count: int, name: str) -> None:
    if count < 2:
        raise RequestError(
            f"{name} should have a colour for each region, and only one was found; "
            f"paint at least two that differ by {APART} of 255 or more"
        )
    if count > MOST:
        raise RequestError(
            f"{name} may have at most {MOST} regions, and more than {MOST} flat "
            "colours were found; paint fewer of them"
        )


def _spread(samples: Samples) -> UInt8[np.ndarray, "h w"]:
    """The largest difference in any channel within 3x3 pixels."""
    high = low = samples
    for axis in (0, 1):
        high = _extreme(np.maximum, high, axis)
        low = _extreme(np.minimum, low, axis)
    return (high - low).max(axis=-1)


def _extreme(choose: np.ufunc, samples: Samples, axis: int) -> Samples:
    """The largest or smallest of each sample and its two neighbours on an axis."""
    lines = np.moveaxis(samples, axis, 0)
    chosen = lines.copy()
    chosen[1:] = choose(chosen[1:], lines[:-1])
    chosen[:-1] = choose(chosen[:-1], lines[1:])
    return np.moveaxis(chosen, 0, axis)


def _colours(
    samples: Samples, flat: Bool[np.ndarray, "h w"]
) -> Int32[np.ndarray, "k 3"]:
    """The colours of the labels from dark to light; more than MOST are not told."""
    everywhere, counts = _counted(samples.reshape(-1, 3))
    inside, areas = _counted(samples[flat])
    least = _LEAST_AREA * flat.size
    if len(everywhere) > MOST:
        found = _peaks(inside, areas, least)
    else:  # painted exactly: an index map 0, 1, 2 is fine
        found = inside[areas >= least]
        if len(found) < 2:  # too small a picture to have flat areas
            found = everywhere[counts >= least]
    luminance = found @ np.asarray([299, 587, 114])
    return found[np.lexsort((*found.T[::-1], luminance))].astype(np.int32)


def _counted(
    samples: UInt8[np.ndarray, "n 3"],
) -> tuple[Int32[np.ndarray, "k 3"], np.ndarray]:
    """The colours that occur, and how often."""
    red, green, blue = samples.astype(np.int32).T
    codes = red << 16 | green << 8 | blue
    counts = np.bincount(codes, minlength=1)
    (present,) = np.nonzero(counts)
    split = np.stack([present >> 16, present >> 8 & 255, present & 255], axis=1)
    return split.astype(np.int32), counts[present]


def _peaks(
    colours: Int32[np.ndarray, "k 3"], counts: np.ndarray, least: float
) -> Int32[np.ndarray, "_ 3"]:
    """The commonest colours, each the mean of what lies NEAR it, all APART."""
    found: list[np.ndarray] = []
    counts = counts.astype(np.float64)
    while len(found) <= MOST and counts.any():
        centre = colours[counts.argmax()].astype(np.float64)
        for _ in range(3):
            close = ((colours - centre) ** 2).sum(1) <= NEAR**2
            weight = counts * close
            if not weight.any():
                break
            centre = weight @ colours / weight.sum()
        if weight.sum() >= least:
            found.append(np.rint(centre))
        counts[((colours - centre) ** 2).sum(1) <= APART**2] = 0
    return np.asarray(found, np.int32).reshape(-1, 3)


def _nearest(
    samples: Samples, colours: Int32[np.ndarray, "k 3"]
) -> tuple[Labels, Int32[np.ndarray, "h w"]]:
    """The label with the nearest colour, and the square of its distance."""
    labels = np.zeros(samples.shape[:2], np.uint8)
    least = np.full(labels.shape, np.iinfo(np.int32).max, np.int32)
    for label, colour in enumerate(colours):
        distance = ((samples - colour) ** 2).sum(-1, dtype=np.int32)
        nearer = distance < least
        labels[nearer] = label
        least[nearer] = distance[nearer]
    return labels, least


def _fill(labels: Labels, samples: Samples, colours: Int32[np.ndarray, "k 3"]) -> None:
    """Gives pixels without a label, ring by ring, that of a neighbour.

    Of several neighbours' labels it is the one whose colour is nearest.
    """
    height, width = labels.shape
    rows, columns = np.nonzero(labels == _NONE)
    while rows.size:
        distance = ((samples[rows, columns, None] - colours) ** 2).sum(-1)
        beside = np.zeros(distance.shape, bool)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                there = labels[
                    np.clip(rows + down, 0, height - 1),
                    np.clip(columns + right, 0, width - 1),
                ]
                known = np.flatnonzero(there != _NONE)
                beside[known, there[known]] = True
        choice = np.where(beside, distance, np.iinfo(np.int64).max).argmin(1)
        reached = beside.any(1)
        if not reached.any():  # nothing was clear anywhere: colour alone decides
            choice, reached = distance.argmin(1), np.ones_like(reached)
        labels[rows[reached], columns[reached]] = choice[reached]
        rows, columns = rows[~reached], columns[~reached]
