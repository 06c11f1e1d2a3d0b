"""Rowing boats in front and along the quay, and one under sail."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from drawing.land import right_bank
from drawing.noise import Floats, rgb
from drawing.shapes import Face, Frame, Material, Paint, box, face, frame_towards

_HULLS = (
    rgb(0.07, 0.20, 0.28),
    rgb(0.50, 0.12, 0.07),
    rgb(0.62, 0.56, 0.44),
    rgb(0.12, 0.24, 0.15),
    rgb(0.25, 0.16, 0.09),
)
_WOOD = Paint(Material.WOOD, rgb(0.50, 0.35, 0.19))
_CLOTH = Paint(Material.PLAIN, rgb(0.80, 0.74, 0.62))
_STATIONS = np.linspace(0, 1, 15)
# From the rail to the keel: share of the beam, share of the height, and the rake.
_RAIL, _CHINE, _KEEL = (1.0, 1.0, 0.0), (0.9, 0.5, 0.035), (0.5, -0.15, 0.10)


def build(rng: np.random.Generator) -> list[Face]:
    """All boats, each on the water."""
    faces = boat(frame_towards(rgb(-6.5, 0, 24), 0.5), 6.2, rgb(0.07, 0.22, 0.28))
    faces += boat(frame_towards(rgb(-9.5, 0, 30), 0.35), 5.6, rgb(0.50, 0.12, 0.07))
    faces += sailing_boat(frame_towards(rgb(-5, 0, 82), -0.75))
    for z in (52, 61, 74, 83, 97, 140, 152):
        place = rgb(right_bank(z) - rng.uniform(1.6, 3.2), 0, z)
        heading = np.pi / 2 + 0.0021 * z + rng.uniform(-0.1, 0.1)
        hull = _HULLS[rng.integers(len(_HULLS))]
        faces += boat(frame_towards(place, heading), rng.uniform(5, 7.5), hull)
    return faces


class Hull(NamedTuple):
    """The skin of a boat as a surface over (station, side, level)."""

    frame: Frame
    length: float

    def beam(self, t: float) -> float:
        """Half the width at a share of the length: blunt aft, pointed at the bow."""
        return float(0.16 * self.length * np.sin(np.pi * (t * 0.9 + 0.1)) ** 0.65)

    def at(self, t: float, side: float, level: tuple[float, float, float]) -> Floats:
        """The point at a share of the length, -1 or 1 for the side, and a level."""
        wide, high, rake = level
        sheer = self.length * (0.076 + 0.075 * (t - 0.42) ** 2)
        along = self.length * (t + rake * (0.5 - t))
        return self.frame.at(along, side * wide * self.beam(t), high * sheer)


def boat(frame: Frame, length: float, colour: Floats) -> list[Face]:
    """An open rowing boat with thwarts and a pair of oars."""
    faces = strakes(Hull(frame, length), Paint(Material.WOOD, colour))
    for t in (0.25, 0.5, 0.74):
        half = 0.85 * Hull(frame, length).beam(t)
        low = t * length, -half, 0.052 * length
        faces += box(frame, low, (low[0] + 0.3, half, 0.06 * length), _WOOD)
    for q in (-0.28, 0.2):
        low = 0.14 * length, q, 0.062 * length
        high = 0.66 * length, q + 0.07, 0.07 * length
        faces += box(frame, low, high, _WOOD.times(1.4))
    return faces


def strakes(hull: Hull, paint: Paint) -> list[Face]:
    """The skin from station to station, with its rail, floor and transom."""
    faces: list[Face] = []
    for upper, lower, shade in ((_RAIL, _CHINE, 1.0), (_CHINE, _KEEL, 0.7)):
        stern = hull.at(0, -1, lower), hull.at(0, 1, lower)
        transom = *stern, hull.at(0, 1, upper), hull.at(0, -1, upper)
        faces.append(face(paint.times(shade), *transom))
        for a, b in pairwise(_STATIONS):
            for side in (-1.0, 1.0):
                bottom = hull.at(a, side, lower), hull.at(b, side, lower)
                top = hull.at(b, side, upper), hull.at(a, side, upper)
                faces.append(face(paint.times(shade), *bottom, *top))
    inner, outer, floor = (0.92, 1.06, 0), (1.06, 1.06, 0), (0.65, 0.3, 0.09)
    for a, b in pairwise(_STATIONS):
        for side in (-1.0, 1.0):
            rail = hull.at(a, side, inner), hull.at(b, side, inner)
            edge = hull.at(b, side, outer), hull.at(a, side, outer)
            faces.append(face(_WOOD, *rail, *edge))
        port = hull.at(a, -1, floor), hull.at(b, -1, floor)
        starboard = hull.at(b, 1, floor), hull.at(a, 1, floor)
        faces.append(face(_WOOD.times(0.5), *port, *starboard))
    return faces


def sailing_boat(frame: Frame) -> list[Face]:
    """A hull with its mast, main sail and jib."""
    faces = boat(frame, 7.0, rgb(0.55, 0.50, 0.42))
    faces += box(frame, (4.2, -0.06, 0), (4.34, 0.06, 9), _WOOD.times(0.6))
    faces += sail(frame, foot=0.9, low=1.2, top=8.8, belly=0.5)
    return faces + sail(frame, foot=6.6, low=0.9, top=6.8, belly=0.35)


def sail(frame: Frame, foot: float, low: float, top: float, belly: float) -> list[Face]:
    """A triangle of cloth between the mast and its foot, a little full of wind."""
    mast = 4.25
    share = np.linspace(1, 0, 9)
    heights = low + (top - low) * (1 - share)
    luff = [frame.at(mast, 0, h) for h in heights]
    leech = [
        frame.at(mast + (foot - mast) * s, belly * np.sin(2.6 * s), h)
        for s, h in zip(share, heights, strict=True)
    ]
    faces = []
    for i in range(8):
        faces.append(face(_CLOTH, leech[i], luff[i], luff[i + 1]))
        if i < 7:
            faces.append(face(_CLOTH, leech[i], luff[i + 1], leech[i + 1]))
    return faces
