"""What walls, roofs, stones and windows look like, point by point."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drawing.noise import Bools, Floats, fractal, mix, rgb, sample, smoothstep
from drawing.shapes import Face, Leaves, Material

_STOREY = 3.1  # metres


class Surfaces(NamedTuple):
    """Rows to look up by the number of a face, or of a leaf after all faces."""

    origin: Floats
    normal: Floats
    across: Floats  # unit vectors on the face: along its bottom, and up it
    up: Floats
    colour: Floats
    width: Floats
    height: Floats
    floors: Floats
    seed: Floats
    material: Floats

    def rows(self, number: NDArray[np.integer[Any]]) -> "Surfaces":
        """One row for each number."""
        return Surfaces(*(column[number] for column in self))


class Grain(NamedTuple):
    """The noise that every material shares: fine, and in broad stains."""

    fine: Floats
    stain: Floats


class Cells(NamedTuple):
    """Where points of a wall are in the grid of its windows, in metres."""

    x: Floats  # from the window's middle
    y: Floats  # from the floor
    column: Floats
    row: Floats
    width: Floats  # of the cell
    half: Floats  # half the window's width
    inside: Bools
    stone: Bools
    storeys: Floats
    seed: Floats


def tabulate(faces: list[Face], leaves: Leaves) -> Surfaces:
    """The columns that shading needs, faces first."""
    origin = np.array([face.corners[0] for face in faces])
    first = np.array([face.corners[1] for face in faces]) - origin
    last = np.array([face.corners[-1] for face in faces]) - origin
    width = np.linalg.norm(first, axis=1)
    across = first / width[:, None]
    normal = np.cross(first, last)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    up = np.cross(normal, across)
    up *= np.where(up[:, 1:2] < 0, -1, 1)
    height = np.abs(np.sum(last * up, axis=1))
    count = len(leaves.places)
    nothing, none = np.zeros((count, 3)), np.zeros(count)
    columns = (
        (origin, leaves.places),
        (normal, leaves.normals),
        (across, nothing),
        (up, nothing),
        ([face.paint.colour for face in faces], leaves.colours),
        (width, none),
        (height, none),
        ([face.floors for face in faces], none),
        ([face.seed for face in faces], none),
        ([face.paint.material for face in faces], none + Material.LEAF),
    )
    return Surfaces(*(np.concatenate(pair).astype(np.float32) for pair in columns))


def make_grain(rng: np.random.Generator) -> Grain:
    """The grain of one picture."""
    fine = fractal(rng, (512, 512), 1.0, lowest=3)
    return Grain(fine, fractal(rng, (256, 256), 1.7))


def chance(*values: Floats | float) -> Floats:
    """A number in 0..1 that looks random but belongs to the values."""
    mixed = sum(v * k for v, k in zip(values, (12.9898, 78.233, 37.719), strict=False))
    return np.mod(np.sin(mixed) * 4375.85, 1)


def appearance(grain: Grain, rows: Surfaces, places: Floats) -> tuple[Floats, Floats]:
    """Colour, and light of its own, of the points on the given surfaces."""
    offset = places - rows.origin
    u, v = np.sum(offset * rows.across, 1), np.sum(offset * rows.up, 1)
    # Upright faces share one grid, so that stones run on from face to face.
    upright = np.abs(rows.normal[:, 1]) < 0.1
    level = places[:, 2] * rows.normal[:, 0] - places[:, 0] * rows.normal[:, 2]
    wide, high = np.where(upright, level, u), np.where(upright, places[:, 1], v)
    stone = rows.material == Material.STONE
    seed = np.where(stone, 0, rows.seed)
    colour = rows.colour.copy()
    for kind, pattern in _PATTERNS.items():
        here = rows.material == kind
        colour[here] *= pattern(grain, wide[here], high[here], seed[here])[:, None]
    stain = sample(grain.stain, high * 5 + seed * 17, wide * 9)
    rough = 0.06 * sample(grain.fine, high * 13 + seed * 31, wide * 13) + 0.13 * stain
    rough[rows.material == Material.LEAF] = 0
    rain = upright & (stone | (rows.material == Material.PLASTER))
    rough[rain] += 0.12 * sample(grain.stain, high[rain] * 1.2, wide[rain] * 22)
    colour *= np.clip(1 + rough, 0.4, 1.5)[:, None]
    # Damp rises from the foot of everything that stands in the river.
    damp = np.where(stone, smoothstep(1.5, 0.1, places[:, 1] + 0.25 * stain), 0)
    colour = mix(colour, rgb(0.055, 0.065, 0.035), 0.8 * damp)
    glow = np.zeros_like(colour)
    wall = rows.floors > 0
    colour[wall], glow[wall] = windows(
        cells(rows.rows(np.flatnonzero(wall)), u[wall], v[wall]), colour[wall]
    )
    return colour, glow


def tiles(grain: Grain, u: Floats, v: Floats, seed: Floats) -> Floats:
    """Rows of tiles, each a little different, with a dark line under each row."""
    row = np.floor(v / 0.42)
    own = chance(row, np.floor(u / 0.33 + 0.5 * np.mod(row, 2)), seed)
    line = smoothstep(0.0, 0.25, np.mod(v / 0.42, 1))
    moss = sample(grain.stain, v * 7, u * 7 + seed * 13)
    return (0.75 + 0.5 * own) * (0.7 + 0.3 * line) * (1 + 0.16 * moss)


def blocks(grain: Grain, u: Floats, v: Floats, seed: Floats) -> Floats:
    """Courses of cut stone."""
    row = np.floor(v / 0.55)
    shift = u / 1.1 + 0.5 * np.mod(row, 2)
    own = chance(row, np.floor(shift), seed)
    joint = smoothstep(0, 0.12, np.mod(v / 0.55, 1))
    joint = joint * smoothstep(0, 0.06, np.mod(shift, 1))
    return (0.78 + 0.4 * own) * (0.72 + 0.28 * joint)


def planks(grain: Grain, u: Floats, v: Floats, seed: Floats) -> Floats:
    """Boards along the bottom edge."""
    line = smoothstep(0, 0.2, np.mod(v / 0.16, 1))
    return (0.75 + 0.25 * line) * (1 + 0.12 * sample(grain.fine, v * 60, u * 6 + seed))


def meadow(grain: Grain, u: Floats, v: Floats, seed: Floats) -> Floats:
    """Tufts."""
    return 1 + 0.25 * sample(grain.fine, v * 8, u * 8 + seed)


_PATTERNS = {
    Material.ROOF: tiles,
    Material.STONE: blocks,
    Material.WOOD: planks,
    Material.GRASS: meadow,
}


def cells(rows: Surfaces, u: Floats, v: Floats) -> Cells:
    """The grid of windows: as many columns as fit, storeys hung from the eaves."""
    stone = rows.material == Material.STONE
    columns = np.floor((rows.width - 0.6) / np.where(stone, 3.4, 2.5))
    width = rows.width / np.maximum(1, columns)
    column = np.floor(u / width)
    tall = np.minimum(rows.height, rows.floors * _STOREY + 0.8)
    storey = (v - (rows.height - tall)) / _STOREY - 0.15
    row = np.floor(storey)
    return Cells(
        x=u - (column + 0.5) * width,
        y=(storey - row) * _STOREY,
        column=column,
        row=row,
        width=width,
        half=np.where(stone, 0.35, 0.5),
        inside=(row >= 0) & (row < rows.floors),
        stone=stone,
        storeys=rows.floors,
        seed=rows.seed,
    )


def windows(cell: Cells, wall: Floats) -> tuple[Floats, Floats]:
    """The wall with timber, shops, shutters and windows; and the lit windows' light."""
    x, y, seed = np.abs(cell.x), cell.y, cell.seed
    plain = ~cell.stone & cell.inside
    glass = cell.inside & (x < cell.half) & (y > 0.9) & (y < 2.45)
    trim = cell.inside & (x < cell.half + 0.17) & (y > 0.72) & (y < 2.65)
    leaf = plain & (x < cell.half * 2 + 0.1) & (y > 0.85) & (y < 2.5)
    timbered = plain & (chance(seed, 11.0) < 0.3)
    posts = (cell.width > 3) & (cell.width / 2 - x < 0.1)
    beams = timbered & ((y < 0.2) | (np.abs(y - 0.62) < 0.07) | posts)
    cornice = plain & ~timbered & (cell.row == 1) & (y < 0.22)
    shop = plain & (cell.row == 0) & (cell.storeys > 1) & (chance(seed, 13.0) < 0.6)
    door = shop & (x < cell.width * 0.36) & (y < 2.3 - 1.6 * (x / cell.width) ** 2)
    bars = glass & ((x < 0.05) | (np.abs(y - 1.85) < 0.05))
    pale = mix(wall, rgb(0.80, 0.74, 0.62), np.full(len(x), 0.6, np.float32))
    paint = rgb(0.10, 0.16, 0.12) + rgb(0.2, 0.14, 0.14) * chance(seed, 7.0)[:, None]
    pane = mix(rgb(0.03, 0.035, 0.05), rgb(0.16, 0.20, 0.26), smoothstep(0.9, 2.4, y))
    # The lintel's shadow falls on the upper panes.
    pane = pane * np.where(y > 2.2, 0.45, 1)[:, None]
    colour = wall
    for where, what in (
        (cornice, pale),
        (beams, rgb(0.13, 0.075, 0.045)),
        (leaf & (chance(seed, 3.0) < 0.55), paint),
        (trim, pale),
        (glass, pane),
        (bars, rgb(0.32, 0.28, 0.22)),
        (door, rgb(0.045, 0.03, 0.025)),
    ):
        colour = np.where(where[:, None], what, colour)
    lit = glass & ~bars & ~door & (chance(seed, cell.column, cell.row) < 0.13)
    strength = 0.5 + 0.6 * chance(cell.row, seed, cell.column)
    return colour, rgb(1.5, 0.85, 0.33) * (lit * strength)[:, None]
