"""Regions that pictures have in common, found from their features.

A proposal for masks: positions of all pictures are clustered together by what a
network sees there, so that sky meets sky without a word. NumPy only.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64, Int64

from nst_jax.errors import RequestError
from nst_jax.images import labels as masks
from nst_jax.images.clusters import MOST

Maps = Sequence[Float32[np.ndarray, "_ _ _"]]
Points = Float32[np.ndarray, "n d"]
Each = Sequence[Float32[np.ndarray, "_ _"]]  # the points of each picture
Labels = Int64[np.ndarray, "h w"]
Centres = Float64[np.ndarray, "k d"]

# Far apart in colour and in luminance, dark to light.
COLOURS = (
    *((0, 0, 0), (0, 0, 255), (255, 0, 0), (255, 0, 255)),
    *((128, 128, 128), (0, 255, 0), (255, 255, 0), (255, 255, 255)),
)
_ROUNDS, _RESTARTS, _EXTRA = 30, 3, 3
_COMPONENTS = 16
_LEAST_SHARE = 0.02  # of each picture, that a region covers
_WINDOW, _CLEANINGS = 5, 4  # positions; times


def common(
    content: Maps,
    style: Maps,
    count: int,
    *,
    seed: int,
    position: float = 0.8,
    further: Sequence[Maps] = (),
) -> tuple[Int64[np.ndarray, "_ _"], ...]:
    """The region of each position in all pictures, at the size of the first maps.

    Regions are numbered from 0 and each is in the content and in a style; there may
    be fewer than asked for, where a picture has nothing to answer the other's.

    Args:
        content: the content's features at several layers, finest first; relu4_1 and
            relu5_1 do well.
        style: the same layers of the style.
        count: how many regions to look for, 2 to 8.
        seed: of the first centres.
        position: weight of where a position lies; a layer's features weigh 1.
        further: the same layers of more styles.
    """
    if not 2 <= count <= MOST:
        raise RequestError(
            f"--regions should be from 2 to {MOST}, got {count}; choose another number"
        )
    pictures = (content, style, *further)
    points = _projected([_described(maps, position) for maps in pictures])
    shapes = [maps[0].shape[:2] for maps in pictures]
    generator = np.random.default_rng(seed)
    best: list[Labels] = []
    # Some clusters are of one picture only: look for more until enough are of both.
    for more in range(_EXTRA + 1):
        centres = _centres(points, count + more, generator)
        found = _shared(points, shapes, centres, count)
        if not best or found[0].max() > best[0].max():
            best = found
        if best[0].max() == count - 1:
            break
    if best[0].max() == 0:
        raise RequestError(
            "regions should be in both pictures, and no two such were found; ask for "
            "another number of --regions, or paint masks by hand"
        )
    return tuple(best)


def _shared(
    points: Each,
    shapes: Sequence[tuple[int, ...]],
    centres: Centres,
    count: int,
) -> list[Labels]:
    """All pictures' labels by the centres that content and a style share.

    There are `count` of them at most.
    """
    while True:
        found = [
            _cleaned(_assigned(each, centres).reshape(shape), len(centres))
            for each, shape in zip(points, shapes, strict=True)
        ]
        covered = [np.bincount(each.ravel(), minlength=len(centres)) for each in found]
        first, *others = (each / each.sum() for each in covered)
        shares = np.minimum(first, np.max(others, axis=0))
        enough = len(centres) <= count and shares.min() >= _LEAST_SHARE
        if enough or len(centres) == 1:
            rest = zip(points[1:], found[1:], others, strict=True)
            return [found[0], *(_without_rest(*each, centres) for each in rest)]
        centres = np.delete(centres, shares.argmin(), axis=0)


def _without_rest(
    points: Points,
    labels: Labels,
    shares: Float64[np.ndarray, "k"],
    centres: Centres,
) -> Labels:
    """A style's labels without those that are hardly in it, but in another style."""
    there = np.flatnonzero(shares >= _LEAST_SHARE)
    if len(there) == len(centres):
        return labels
    chosen = _assigned(points, centres[there]).reshape(labels.shape)
    return there[_cleaned(chosen, len(there))]


def label_image(
    labels: Labels, shape: tuple[int, int]
) -> Float32[np.ndarray, "rows columns 3"]:
    """The regions at another size as a label image, one of COLOURS for each."""
    planes = (labels[..., None] == np.arange(labels.max() + 1)).astype(np.float32)
    chosen = masks.resize(planes, shape).argmax(axis=-1)
    return np.asarray(COLOURS, np.float32)[chosen] / np.float32(255)


def _described(maps: Maps, position: float) -> Points:
    """What is at each position of the finest map: its features, and where it lies.

    Channels are centred and scaled picture by picture: a painting differs from a
    photograph everywhere, and that is not what is looked for.
    """
    height, width, _ = maps[0].shape
    rows, columns = np.mgrid[:height, :width]
    blocks = []
    for features in maps:
        h, w, _ = features.shape
        scaled = features - features.mean((0, 1))
        scaled /= features.std((0, 1)) + 1e-6 * np.abs(features).max() + 1e-12
        scaled /= np.linalg.norm(scaled, axis=-1, keepdims=True) + 1e-12
        blocks.append(scaled[rows * h // height, columns * w // width])
    where = np.stack([rows / height, columns / width], axis=-1) - 0.5
    blocks.append((position * where).astype(np.float32))
    joined = np.concatenate(blocks, axis=-1)
    return joined.reshape(height * width, -1)


def _projected(points: Each) -> Each:
    """The points on the axes along which all pictures' points differ most."""
    second = np.mean([each.T @ each / len(each) for each in points], axis=0)
    _, axes = np.linalg.eigh(second)
    return [each @ axes[:, -_COMPONENTS:].astype(np.float32) for each in points]


def _centres(points: Each, count: int, generator: np.random.Generator) -> Centres:
    """The best centres of several runs of k-means, all pictures counting alike."""
    whole = np.concatenate(points)
    weight = np.concatenate([np.full(len(each), 1 / len(each)) for each in points])
    runs = [
        _settled(whole, weight, _first_centres(whole, weight, count, generator))
        for _ in range(_RESTARTS)
    ]
    spreads = [weight @ _distances(whole, centres).min(1) for centres in runs]
    return runs[int(np.argmin(spreads))]


def _settled(
    points: Points, weight: Float64[np.ndarray, "n"], centres: Centres
) -> Centres:
    """The centres, each moved to the mean of what is nearest to it until they stay."""
    for _ in range(_ROUNDS):
        nearest = _assigned(points, centres)
        chosen = (nearest == np.arange(len(centres))[:, None]) * weight
        whole = chosen.sum(1, keepdims=True)
        means = chosen @ points / np.maximum(whole, 1e-30)
        moved = np.where(whole > 0, means, centres)
        if np.allclose(moved, centres, atol=1e-4):
            break
        centres = moved
    return centres


def _first_centres(
    points: Points,
    weight: Float64[np.ndarray, "n"],
    count: int,
    generator: np.random.Generator,
) -> Centres:
    """Points drawn by their squared distance to those drawn before: k-means++.

    Arthur and Vassilvitskii (2007), section 2.2.
    """
    chance = weight / weight.sum()
    centres = points[generator.choice(len(points), p=chance)][None].astype(np.float64)
    while len(centres) < count:
        chance = weight * _distances(points, centres).min(1)
        whole = chance.sum()
        chance = chance / whole if whole > 0 else weight / weight.sum()
        further = points[generator.choice(len(points), p=chance)]
        centres = np.concatenate([centres, further[None]])
    return centres


def _assigned(points: Points, centres: Centres) -> Int64[np.ndarray, "n"]:
    return _distances(points, centres).argmin(1)


def _distances(points: Points, centres: Centres) -> Float64[np.ndarray, "n k"]:
    """Squared distances of points to centres."""
    products = (points @ centres.T.astype(np.float32)).astype(np.float64)
    squares = np.einsum("nd,nd->n", points, points, dtype=np.float64)[:, None]
    return np.maximum(squares - 2 * products + (centres**2).sum(1), 0)


def _cleaned(labels: Labels, count: int) -> Labels:
    """The commonest label of each window, a few times: specks go, edges smooth."""
    reach = _WINDOW // 2
    for _ in range(_CLEANINGS):
        bordered = np.pad(labels, reach, "edge")
        windows = np.lib.stride_tricks.sliding_window_view(bordered, (_WINDOW, _WINDOW))
        votes = [(windows == label).sum((2, 3)) for label in range(count)]
        labels = np.argmax(votes, axis=0)
    return labels
