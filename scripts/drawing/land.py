"""Where the river runs and how high the ground is, and the quay and the shores."""

from itertools import pairwise

import numpy as np

from drawing.noise import Floats, rgb, unit
from drawing.shapes import Face, Frame, Material, Paint, box, face

QUAY = 3.6  # metres above the water
STONE = Paint(Material.STONE, rgb(0.42, 0.36, 0.28))
_GRASS = Paint(Material.GRASS, rgb(0.20, 0.21, 0.07))


def right_bank(z: float) -> float:
    """The x of the quay's edge, on the town's side."""
    return 21 - 0.00105 * z * z


def left_bank(z: float) -> float:
    """The x of the opposite shore, under the trees."""
    return right_bank(z) - 50 - 0.05 * z


def ground(back: float) -> float:
    """Height of the town's ground this far behind the quay's edge."""
    return QUAY + 0.27 * max(0.0, min(back, 120) - 14)


def hill(x: float, z: float) -> float:
    """Height of the wooded hill behind the bend."""
    square = ((x + 70) / 130) ** 2 + ((z - 520) / 130) ** 2
    return float(62 * np.exp(-square) + 4)


def frame_on_quay(z: float, back: float) -> Frame:
    """A frame `back` metres behind the quay's edge, its front to the river."""
    along = unit(rgb(-0.0021 * z, 0, 1))
    into = rgb(along[2], 0, -along[0])
    corner = rgb(right_bank(z), ground(back), z) + into * back
    return Frame(corner, along, into)


def quay() -> list[Face]:
    """The river wall with its parapet, the pavement and the slope behind it."""
    faces = []
    pavement = Paint(Material.GRASS, STONE.colour * 0.8)
    for z in np.arange(8.0, 400.0, 8.0):
        here, there = frame_on_quay(z, 0), frame_on_quay(z + 8, 0)
        edge, foot = (here.corner, there.corner), rgb(0, QUAY + 2, 0)
        faces.append(face(STONE, edge[0] - foot, edge[1] - foot, *edge[::-1]))
        for near, far in ((0, 14), (14, 120)):
            low, high = ground(near) - QUAY, ground(far) - QUAY
            front = here.at(0, near, low), there.at(0, near, low)
            faces.append(
                face(pavement, *front, there.at(0, far, high), here.at(0, far, high))
            )
        faces += box(here, (0, 0, 0), (8.2, 0.4, 0.9), STONE.times(1.1))
    return faces


def shore() -> list[Face]:
    """The grassy bank under the trees."""
    faces = []
    profile = ((-0.5, -0.5), (1.0, 0.8), (14, 2.5), (90, 8))
    for z in np.arange(40.0, 400.0, 10.0):
        here, there = left_bank(z), left_bank(z + 10)
        for (d0, h0), (d1, h1) in pairwise(profile):
            bottom = rgb(here - d0, h0, z), rgb(there - d0, h0, z + 10)
            top = rgb(there - d1, h1, z + 10), rgb(here - d1, h1, z)
            faces.append(face(_GRASS, *bottom, *top))
    return faces


def hillside() -> list[Face]:
    """The ground of the wooded hill, in triangles."""
    faces, step = [], 25.0

    def at(x: float, z: float) -> Floats:
        return rgb(x, hill(x, z), z)

    for x in np.arange(-300.0, 250.0, step):
        for z in np.arange(370.0, 620.0, step):
            a, c = at(x, z), at(x + step, z + step)
            faces.append(face(_GRASS, a, at(x + step, z), c))
            faces.append(face(_GRASS, a, at(x, z + step), c))
    return faces
