"""Everything green: trees on the shore, in the town and on the hill, and ivy."""

import numpy as np

from drawing.land import QUAY, ground, hill, left_bank, right_bank
from drawing.noise import Floats, rgb, unit
from drawing.shapes import Leaves

_GREENS = (
    rgb(0.16, 0.20, 0.05),
    rgb(0.10, 0.16, 0.05),
    rgb(0.30, 0.22, 0.05),
    rgb(0.22, 0.23, 0.07),
    rgb(0.36, 0.17, 0.04),
)
_SHARES = (0.32, 0.3, 0.12, 0.2, 0.06)


def grow(rng: np.random.Generator, detail: float) -> Leaves:
    """All leaves; `detail` is the picture's scale: larger ones do when it is small."""
    plants = [tree(rng, foot, height, detail) for foot, height in feet(rng)]
    plants.append(ivy(rng, detail))
    return Leaves(*(np.concatenate(parts) for parts in zip(*plants, strict=True)))


def feet(rng: np.random.Generator) -> list[tuple[Floats, float]]:
    """Where trees stand, and how tall they are."""
    found: list[tuple[Floats, float]] = []
    for z in np.arange(52.0, 330.0, 5.0):
        for back in (3, 10, 20):
            x = left_bank(z) - back - rng.uniform(0, 5)
            foot = rgb(x, 1.2 + 0.1 * back, z + rng.uniform(-3, 3))
            found.append((foot, rng.uniform(7, 15)))
    for z in np.arange(40.0, 330.0, 7.0):
        inland = rng.choice((20, 37, 56, 76, 98, 122)) + rng.uniform(-2, 2)
        foot = rgb(right_bank(z) + inland, ground(inland) - 1, z)
        found.append((foot, rng.uniform(7, 12)))
    for z in np.arange(56.0, 250.0, 19.0):
        found.append((rgb(right_bank(z) + 4, QUAY, z), rng.uniform(5, 6.5)))
    for _ in range(650):
        x, z = rng.uniform(-260, 150), rng.uniform(370, 600)
        found.append((rgb(x, hill(x, z) - 2, z), rng.uniform(8, 14)))
    return found


def tree(
    rng: np.random.Generator, foot: Floats, height: float, detail: float
) -> Leaves:
    """A cloud of leafy balls, lighter outside; the trunk is hidden by them."""
    balls = int(rng.integers(22, 34))
    spread = np.clip(rng.standard_normal((balls, 3)), -1.4, 1.4)
    centre = spread * (0.19, 0.18, 0.19) + (0, 0.62, 0)
    size = rng.uniform(0.07, 0.17, (balls, 1, 1))
    # A leaf is about as large as a pixel at its distance.
    leaf = float(np.clip(np.linalg.norm(foot) / 800, 0.08, 0.6) / np.sqrt(detail))
    count = max(8, int(3.2 * (0.13 * height / leaf) ** 2))
    outward = unit(rng.standard_normal((balls, count, 3)))
    depth = rng.uniform(0.6, 1.08, (balls, count, 1))
    places = centre[:, None] + outward * depth * size
    bent = outward + 0.5 * (places - (0, 0.6, 0))
    normals = unit(bent + 0.35 * rng.standard_normal(bent.shape))
    hue = _GREENS[rng.choice(len(_GREENS), p=_SHARES)]
    colours = hue * rng.uniform(0.7, 1.3, depth.shape) * (depth - 0.25) * 1.3
    return leaves(places * height + foot, normals, colours, leaf)


def ivy(rng: np.random.Generator, detail: float) -> Leaves:
    """Curtains that hang over the river wall."""
    curtains = []
    places = ((33, 2.5), (39, 1.2), (52, 3.5), (71, 2.0), (84, 4), (104, 3))
    for middle, width in places:
        count = int(3800 * detail) + 8
        z = middle + width * rng.uniform(-1, 1, count)
        waves = [np.sin(z * pace + rng.uniform(0, 6)) for pace in (1.1, 2.9, 7.3)]
        drop = np.clip(0.9 + 0.5 * np.sum(waves, 0), 0.15, 2.6)
        drop *= 1 - np.abs((z - middle) / width) ** 3
        x = np.vectorize(right_bank)(z) - rng.uniform(0.05, 0.35, count)
        y = QUAY + 0.95 - drop * rng.uniform(0, 1, count) ** 0.8
        curtains.append(np.stack([x, y, z], 1))
    hanging = np.concatenate(curtains)
    normals = unit(rgb(-1, 0.6, -0.3) + rng.standard_normal(hanging.shape))
    colours = _GREENS[1] * rng.uniform(0.4, 1.5, (len(hanging), 1))
    return leaves(hanging, normals, colours, 0.055 / np.sqrt(detail))


def leaves(places: Floats, normals: Floats, colours: Floats, size: float) -> Leaves:
    """Leaves of one size as flat columns."""
    radius = np.full(places.size // 3, size)
    flat = [part.reshape(-1, 3) for part in (places, normals, colours)]
    return Leaves(*(column.astype(np.float32) for column in (*flat, radius)))
