"""The old town's houses, shoulder to shoulder, row behind row up the slope."""

import numpy as np

from drawing.land import frame_on_quay
from drawing.noise import rgb
from drawing.shapes import (
    Face,
    Frame,
    Material,
    Paint,
    box,
    face,
    prism,
    rectangle,
    saddle,
    turned,
)

_PLASTER = (
    rgb(0.72, 0.52, 0.30),
    rgb(0.78, 0.66, 0.46),
    rgb(0.66, 0.36, 0.24),
    rgb(0.80, 0.74, 0.62),
    rgb(0.60, 0.55, 0.44),
    rgb(0.74, 0.48, 0.38),
    rgb(0.52, 0.52, 0.46),
    rgb(0.82, 0.62, 0.36),
)
_TILES = (
    rgb(0.40, 0.15, 0.085),
    rgb(0.46, 0.19, 0.10),
    rgb(0.34, 0.14, 0.10),
    rgb(0.30, 0.19, 0.15),
    rgb(0.22, 0.22, 0.24),
)
_BRICK = Paint(Material.STONE, rgb(0.40, 0.24, 0.18))
_STOREY = 3.1  # metres


def build(rng: np.random.Generator) -> list[Face]:
    """All houses; the first row stands close, the others leave gaps."""
    faces: list[Face] = []
    for back in (7, 24, 42, 60, 80, 102):
        first = back < 10
        z = 34.0 + rng.uniform(0, 6)
        while z < 330:
            width, depth = rng.uniform(7, 12.5), rng.uniform(9, 13)
            frame = frame_on_quay(z, back + rng.uniform(0, 1.5 if first else 5))
            faces += house(rng, frame, width, depth)
            gap = rng.uniform() < (0.08 if first else 0.3)
            z += width + 0.15 + (rng.uniform(3, 8) if gap else 0)
    return faces


def house(
    rng: np.random.Generator, frame: Frame, width: float, depth: float
) -> list[Face]:
    """Walls with windows, a tiled roof, chimneys, and dormers on a long slope."""
    floors = int(rng.integers(2, 5))
    eaves = _STOREY * floors + 0.8
    wall = Paint(Material.PLASTER, _PLASTER[rng.integers(len(_PLASTER))])
    wall = wall.times(rng.uniform(0.62, 0.9))
    tile = Paint(Material.ROOF, _TILES[rng.choice(5, p=[0.3, 0.3, 0.2, 0.12, 0.08])])
    tile = tile.times(rng.uniform(0.8, 1.2))
    gable_in_front = rng.uniform() < 0.42
    span, run = (width, depth) if gable_in_front else (depth, width)
    ridge = eaves + 0.5 * span * rng.uniform(0.85, 1.25)
    faces = prism(frame, rectangle(0, 0, width, depth), 0, eaves, wall, floors)
    faces += prism(frame, rectangle(0, 0, width, depth), -8, 0, wall)
    across = frame if gable_in_front else turned(frame)
    faces += saddle(across, (span, run), (eaves, ridge), wall, tile)
    for _ in range(rng.integers(1, 4)):
        p, q = rng.uniform(0.15, 0.85) * width, rng.uniform(0.25, 0.75) * depth
        top = ridge + rng.uniform(0.3, 1.3)
        faces += box(frame, (p, q, eaves), (p + 0.8, q + 0.6, top), _BRICK)
    if not gable_in_front:
        height = eaves + 1.8 * (ridge - eaves) / span
        for p in np.arange(1.4, width - 1.8, 2.9):
            if rng.uniform() < 0.7:
                corner = frame._replace(corner=frame.at(p, 0.9, height))
                faces += dormer(corner, wall, tile)
    seed = rng.uniform(0, 100)
    return [part._replace(seed=seed) for part in faces]


def dormer(frame: Frame, wall: Paint, tile: Paint) -> list[Face]:
    """A small house with one window, on the slope of a roof."""
    at = frame.at
    front = at(0, 0, -0.3), at(1.5, 0, -0.3), at(1.5, 0, 1.4), at(0, 0, 1.4)
    faces = [
        face(wall, *front, floors=1),
        face(wall, at(0, 0, 1.4), at(1.5, 0, 1.4), at(0.75, 0, 2.2)),
    ]
    ridge = at(0.75, 2.5, 2.2), at(0.75, -0.15, 2.2)
    for p in (0.0, 1.5):
        side = at(p, 0, -0.3), at(p, 2, -0.3), at(p, 2, 1.4), at(p, 0, 1.4)
        faces.append(face(wall, *side))
    for p in (-0.2, 1.7):
        faces.append(face(tile, at(p, -0.15, 1.3), at(p, 2.5, 1.3), *ridge))
    return faces
