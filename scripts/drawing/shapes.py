"""The bricks of the town: flat faces, leaves, and walls and roofs made of faces."""

import enum
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from drawing.noise import Floats, rgb

_UP = rgb(0, 1, 0)
Ring = Sequence[tuple[float, float]]  # corners on the ground, (along, into) a frame


class Material(enum.IntEnum):
    """What a face is made of."""

    PLASTER = 0
    ROOF = 1
    STONE = 2
    WOOD = 3
    LEAF = 4
    GRASS = 5
    PLAIN = 6


class Paint(NamedTuple):
    """A material and its colour."""

    material: Material
    colour: Floats

    def times(self, factor: float) -> "Paint":
        """The same, lighter or darker."""
        return Paint(self.material, self.colour * factor)


class Face(NamedTuple):
    """A convex polygon; its first edge is its bottom, where windows are counted."""

    corners: Floats  # n 3, metres
    paint: Paint
    floors: int = 0  # rows of windows
    seed: float = 0.0  # what makes its house unlike the next


class Leaves(NamedTuple):
    """Many small blots that always look at the eye."""

    places: Floats  # n 3
    normals: Floats  # n 3
    colours: Floats  # n 3
    radius: Floats  # n


class Frame(NamedTuple):
    """Where a thing stands: its corner, and unit vectors along and into it."""

    corner: Floats
    along: Floats
    into: Floats

    def at(self, p: float, q: float, h: float) -> Floats:
        """The point p metres along, q metres into and h metres above the corner."""
        return self.corner + self.along * p + self.into * q + _UP * h


def frame_towards(place: Floats, heading: float) -> Frame:
    """A frame whose length points to `heading`, counted from +x towards +z."""
    along = rgb(np.cos(heading), 0, np.sin(heading))
    return Frame(place, along, rgb(-along[2], 0, along[0]))


def face(paint: Paint, *corners: Floats, floors: int = 0) -> Face:
    """A face from its corners, the bottom edge first."""
    return Face(np.array(corners, np.float32), paint, floors)


def circle(p: float, q: float, radius: float, sides: int) -> Ring:
    """A regular ring around a point."""
    angles = (np.arange(sides) + 0.5) * 2 * np.pi / sides
    return [(p + radius * np.cos(t), q + radius * np.sin(t)) for t in angles]


def rectangle(p0: float, q0: float, p1: float, q1: float) -> Ring:
    """A ring from two opposite corners."""
    return [(p0, q0), (p1, q0), (p1, q1), (p0, q1)]


def prism(
    frame: Frame, ring: Ring, low: float, high: float, paint: Paint, floors: int = 0
) -> list[Face]:
    """Upright walls around a ring."""
    faces = []
    for a, b in zip(ring, [*ring[1:], ring[0]], strict=True):
        bottom = frame.at(*a, low), frame.at(*b, low)
        top = frame.at(*b, high), frame.at(*a, high)
        faces.append(face(paint, *bottom, *top, floors=floors))
    return faces


def box(
    frame: Frame,
    low: tuple[float, float, float],
    high: tuple[float, float, float],
    paint: Paint,
) -> list[Face]:
    """Four walls and a lid between two opposite corners."""
    ring = rectangle(low[0], low[1], high[0], high[1])
    lid = face(paint, *(frame.at(p, q, high[2]) for p, q in ring))
    return [*prism(frame, ring, low[2], high[2], paint), lid]


def cone(frame: Frame, ring: Ring, low: float, high: float, paint: Paint) -> list[Face]:
    """A pointed roof over a ring."""
    middle = np.mean(ring, axis=0)
    tip = frame.at(middle[0], middle[1], high)
    return [
        face(paint, frame.at(*a, low), frame.at(*b, low), tip)
        for a, b in zip(ring, [*ring[1:], ring[0]], strict=True)
    ]


def turned(frame: Frame) -> Frame:
    """The frame with its two horizontal directions exchanged."""
    return Frame(frame.corner, frame.into, frame.along)


def saddle(
    frame: Frame,
    size: tuple[float, float],
    heights: tuple[float, float],
    wall: Paint,
    tile: Paint,
) -> list[Face]:
    """Two slopes whose ridge runs into the frame, and the gables under them.

    Args:
        frame: The corner at the foot of the left wall.
        size: Span from wall to wall, and length of the ridge.
        heights: Of the eaves and of the ridge.
        wall: The gables' paint.
        tile: The slopes' paint.
    """
    (span, run), (eaves, ridge) = size, heights
    drop = eaves - 0.45 * (ridge - eaves) / (span / 2)
    tips = frame.at(span / 2, run + 0.3, ridge), frame.at(span / 2, -0.3, ridge)
    soffit = Paint(Material.WOOD, tile.colour * 0.4)
    faces = []
    for low, edge in ((-0.45, 0.0), (span + 0.45, span)):
        rim = frame.at(low, -0.3, drop), frame.at(low, run + 0.3, drop)
        under = frame.at(edge, run + 0.3, drop), frame.at(edge, -0.3, drop)
        faces += [face(tile, *rim, *tips), face(soffit, *rim, *under)]
    for end in (0.0, run):
        corners = frame.at(0, end, eaves), frame.at(span, end, eaves)
        tip = frame.at(span / 2, end, ridge)
        faces.append(face(wall, *corners, tip, floors=1))
    return faces
