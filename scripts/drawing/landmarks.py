"""What stands out of the town: the church, towers, the bridge, the castle, lamps."""

import numpy as np

from drawing.land import STONE, frame_on_quay, hill, left_bank, right_bank
from drawing.noise import Floats, rgb
from drawing.shapes import (
    Face,
    Frame,
    Material,
    Paint,
    box,
    circle,
    cone,
    face,
    prism,
    rectangle,
    saddle,
)

_PALE = Paint(Material.STONE, rgb(0.70, 0.62, 0.48))
_SLATE = Paint(Material.ROOF, rgb(0.16, 0.20, 0.20))
_TILE = Paint(Material.ROOF, rgb(0.34, 0.14, 0.10))
_DARK = Paint(Material.PLAIN, rgb(0.03, 0.025, 0.02))
_IRON = Paint(Material.PLAIN, rgb(0.03, 0.03, 0.035))
_CREAM = Paint(Material.PLAIN, rgb(0.78, 0.70, 0.52))


def build() -> list[Face]:
    """All of them."""
    return [*church(), *towers(), *bridge(), *castle(), *lamps()]


def church() -> list[Face]:
    """A nave, and a square tower with a lantern and a spire."""
    frame = frame_on_quay(146, 55)
    frame = frame._replace(corner=frame.at(0, 0, 2))
    faces = prism(frame, rectangle(0, 0, 14, 30), -6, 16, _PALE)
    faces += saddle(frame, (14, 30), (16, 27), _PALE, _TILE)
    faces += prism(frame, rectangle(3, -8, 11, 0), -6, 34, _PALE)
    faces += belfry(frame)
    for h in (14.0, 25.0, 34.0):
        faces += box(frame, (2.6, -8.4, h), (11.4, 0.4, h + 0.7), _PALE)
    faces += prism(frame, circle(7, -4, 3.7, 8), 34.7, 40, _PALE, 1)
    # A spire in swelling steps: each cone pokes out of the one below.
    for radius, low, high in ((4.4, 40, 47), (3.9, 41.5, 49), (2.9, 43.5, 51)):
        faces += cone(frame, circle(7, -4, radius, 8), low, high, _SLATE)
    faces += prism(frame, circle(7, -4, 1.2, 8), 46, 49, _PALE, 1)
    return faces + cone(frame, circle(7, -4, 1.7, 8), 49, 60, _SLATE)


def belfry(frame: Frame) -> list[Face]:
    """Openings, slits and clocks, a hand's breadth before the two walls in sight."""

    def on_river(c: float, h: float) -> Floats:
        return frame.at(c, -8.08, h)

    def on_street(c: float, h: float) -> Floats:
        return frame.at(2.92, c - 11, h)

    arch = ((-0.8, 0), (0.8, 0), (0.8, 3.6), (0, 5), (-0.8, 3.6))
    slit = ((-0.3, 0), (0.3, 0), (0.3, 2), (-0.3, 2))
    dial = circle(0, 0, 1.5, 16)
    holes = (
        (arch, 5.2, 27.0, _DARK),
        (arch, 8.8, 27.0, _DARK),
        (slit, 7.0, 16.5, _DARK),
        (slit, 7.0, 8.0, _DARK),
        (dial, 7.0, 21.3, _CREAM),
    )
    return [
        face(paint, *(at(c + x, h + y) for x, y in outline))
        for at in (on_river, on_street)
        for outline, c, h, paint in holes
    ]


def towers() -> list[Face]:
    """A gate tower by the bridge and slender ones further off."""
    faces: list[Face] = []
    # z, metres behind the quay, width, height of the wall and of the roof
    places = (
        (108, 8.5, 6, 18, 8),
        (212, 50, 7, 30, 15),
        (268, 30, 6, 27, 16),
        (176, 88, 6, 20, 9),
    )
    for z, back, side, wall, roof in places:
        frame = frame_on_quay(z, back)
        stone = STONE.times(1.35)
        faces += prism(frame, rectangle(0, 0, side, side), -5, wall, stone, wall // 4)
        eaves = rectangle(-0.6, -0.6, side + 0.6, side + 0.6)
        faces += cone(frame, eaves, wall - 0.2, wall + roof, _SLATE.times(1.2))
    return faces


def bridge() -> list[Face]:
    """Five stone arches from the quay to the trees, highest in the middle."""
    z, arches = 118.0, 5
    frame = Frame(rgb(right_bank(z) + 1, 0, z), rgb(-1, 0, -0.06), rgb(0, 0, 1))
    length = right_bank(z) - left_bank(z) + 13
    pitch = length / arches
    faces: list[Face] = []
    for number in range(arches):
        faces += arch(frame, number * pitch, pitch, length)
        pier = [(number * pitch + d, q) for d, q in ((-1.3, 0), (0, -2.2), (1.3, 0))]
        if number:
            faces += prism(frame, pier, -2, 4.2, STONE.times(1.1))
            faces += cone(frame, pier, 4.2, 5.4, STONE)
    return faces


def arch(frame: Frame, start: float, pitch: float, length: float) -> list[Face]:
    """One arch in narrow strips: both walls, the vault and the parapet."""
    thick, pier = 6.5, 1.5
    knots = start + np.linspace(0, pitch, 23)
    deck = 6 + 2.4 * (1 - (2 * knots / length - 1) ** 2)
    bow = 1 - ((knots - start - pitch / 2) / (pitch / 2 - pier)) ** 2
    vault = np.where(bow > 0, 0.6 + (deck[11] - 2.1) * np.sqrt(np.maximum(bow, 0)), -2)
    faces: list[Face] = []
    for i in range(22):
        a, b, low_a, low_b = knots[i], knots[i + 1], vault[i], vault[i + 1]
        for q in (0.0, thick):
            bottom = frame.at(a, q, low_a), frame.at(b, q, low_b)
            top = frame.at(b, q, deck[i + 1] + 1), frame.at(a, q, deck[i] + 1)
            faces.append(face(STONE.times(1.25), *bottom, *top))
        near = frame.at(a, 0, low_a), frame.at(b, 0, low_b)
        far = frame.at(b, thick, low_b), frame.at(a, thick, low_a)
        faces.append(face(STONE, *near, *far))
        low, high = (a, -0.25, deck[i]), (b, 0.0, deck[i + 1] + 0.2)
        faces += box(frame, low, high, STONE)
    return faces


def castle() -> list[Face]:
    """Walls and round towers on the top of the hill."""
    stone = Paint(Material.STONE, rgb(0.62, 0.52, 0.40))
    roof = Paint(Material.ROOF, rgb(0.20, 0.15, 0.14))
    place = rgb(-70, hill(-70, 505) - 3, 505)
    frame = Frame(place, rgb(1, 0, 0), rgb(0, 0, 1))
    faces = box(frame, (-34, 0, 0), (34, 14, 13), stone)
    faces += box(frame, (-10, 2, 0), (20, 14, 22), stone)
    for p, radius, wall in ((-34, 6, 24), (34, 6, 20), (4, 5, 38), (-14, 4, 25)):
        faces += prism(frame, circle(p, 6, radius, 10), -6, wall, stone, 4)
        tip = wall + 2.2 * radius
        faces += cone(frame, circle(p, 6, radius + 1, 10), wall, tip, roof)
    return faces


def lamps() -> list[Face]:
    """Street lamps along the quay."""
    faces: list[Face] = []
    for z in np.arange(40.0, 240.0, 13.0):
        frame = frame_on_quay(z, 0.9)
        faces += box(frame, (-0.05, -0.05, 0), (0.05, 0.05, 4), _IRON)
        faces += box(frame, (-0.14, -0.14, 4), (0.14, 0.14, 4.45), _CREAM)
        faces += cone(frame, circle(0, 0, 0.26, 6), 4.45, 4.75, _IRON)
    return faces
