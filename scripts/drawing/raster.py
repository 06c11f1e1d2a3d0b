"""Which face or leaf is in front at every pixel.

A view projects points (n, 3) to rows `column, row, nearness`. Nearness grows towards
the eye and is affine over a flat face on the screen (1/z in perspective), so that a
polygon is filled with one multiplication and one comparison per pixel.
"""

from math import ceil, floor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drawing.noise import Floats, rgb, unit
from drawing.shapes import Face, Leaves


class Camera(NamedTuple):
    """A level camera above the water that looks along +z; lengths in pixels."""

    shape: tuple[int, int]
    focal: float
    horizon: int  # its row
    eye: float  # metres above the water
    up: float = 1.0  # -1: the world is turned upside down at the water's surface

    def project(self, points: Floats) -> Floats:
        """Points on the screen."""
        x, y, z = points.T
        near = 1 / np.maximum(z, 0.1)
        column = self.shape[1] / 2 + self.focal * x * near
        row = self.horizon - self.focal * (self.up * y - self.eye) * near
        return np.stack([column, row, near], 1)

    def zoom(self, nearness: Floats) -> Floats:
        """Pixels per metre."""
        return self.focal * nearness

    def rays(self, step: int = 1) -> Floats:
        """Directions with z = 1 through every `step`th pixel, h w 3."""
        rows, columns = np.mgrid[: self.shape[0] : step, : self.shape[1] : step]
        x = (columns - self.shape[1] / 2) / self.focal
        y = (self.horizon - rows) / self.focal
        return np.stack([x, y, np.ones_like(x)], -1).astype(np.float32)


class Lamp(NamedTuple):
    """A far light, and the square of the world that it looks at."""

    towards: Floats
    centre: Floats
    reach: float  # metres from the centre to the square's edge
    pixels: int

    @property
    def shape(self) -> tuple[int, int]:
        """The square's size in pixels."""
        return self.pixels, self.pixels

    def project(self, points: Floats) -> Floats:
        """Points as the lamp sees them."""
        side = unit(np.cross(rgb(0, 1, 0), self.towards))
        axes = np.stack([side, np.cross(side, self.towards), self.towards])
        u, v, near = axes.astype(np.float32) @ (points - self.centre).T
        scale = self.pixels / 2 / self.reach
        middle = self.pixels / 2
        return np.stack([middle + u * scale, middle + v * scale, near], 1)

    def zoom(self, nearness: Floats) -> Floats:
        """Pixels per metre: the same everywhere."""
        return np.full_like(nearness, self.pixels / 2 / self.reach)


class Buffer(NamedTuple):
    """What is seen at each pixel: how near it is and its number, -1 for none."""

    nearness: Floats
    number: NDArray[np.int32]


def render(faces: list[Face], leaves: Leaves, view: Camera | Lamp) -> Buffer:
    """What a view sees: faces are numbered first, then leaves."""
    nearness = np.full(view.shape, -np.inf, np.float32)
    buffer = Buffer(nearness, np.full(view.shape, -1, np.int32))
    points = view.project(np.concatenate([face.corners for face in faces]))
    counts = [len(face.corners) for face in faces]
    for number, corners in enumerate(np.split(points, np.cumsum(counts)[:-1])):
        fill(buffer, corners, number)
    seen = view.project(leaves.places)
    blot(buffer, seen, leaves.radius * view.zoom(seen[:, 2]), len(faces))
    return buffer


def fill(buffer: Buffer, corners: Floats, number: int) -> None:
    """Draw one convex polygon where it is nearer than what is there."""
    h, w = buffer.number.shape
    points = corners.tolist()
    columns, rows, _ = zip(*points, strict=True)
    left, right = max(0, ceil(min(columns))), min(w, floor(max(columns)) + 1)
    top, bottom = max(0, ceil(min(rows))), min(h, floor(max(rows)) + 1)
    if left >= right or top >= bottom:
        return
    slopes = plane(points)
    if slopes is None:
        return
    x = np.arange(left, right, dtype=np.float64)
    y = np.arange(top, bottom, dtype=np.float64)[:, None]
    across, down, turn = slopes
    x0, y0, near0 = points[0]
    near = (across * (x - x0) + (near0 + down * (y - y0))).astype(np.float32)
    window = np.s_[top:bottom, left:right]
    inside = near > buffer.nearness[window]
    for (ax, ay, _), (bx, by, _) in zip(points, points[1:] + points[:1], strict=True):
        inside &= turn * (by - ay) * (x - ax) <= turn * (bx - ax) * (y - ay)
    buffer.nearness[window][inside] = near[inside]
    buffer.number[window][inside] = number


def plane(points: list[list[float]]) -> tuple[float, float, float] | None:
    """How nearness grows per column and row, and which way the polygon turns.

    None for a polygon that is seen edge on.
    """
    nx = ny = nz = 0.0  # Newell's normal
    for (ax, ay, az), (bx, by, bz) in zip(points, points[1:] + points[:1], strict=True):
        nx += (ay - by) * (az + bz)
        ny += (az - bz) * (ax + bx)
        nz += (ax - bx) * (ay + by)
    if abs(nz) < 1e-6:
        return None
    return -nx / nz, -ny / nz, 1.0 if nz > 0 else -1.0


def blot(buffer: Buffer, seen: Floats, radius: Floats, first: int) -> None:
    """Draw the leaves as round blots, `radius` in pixels, the nearest on top."""
    h, w = buffer.number.shape
    # Far ones first: where two fall on one pixel, the last assignment stays.
    order = np.argsort(seen[:, 2], kind="stable")
    columns, rows = np.rint(seen[order, :2]).astype(int).T
    near, square = seen[order, 2], np.clip(radius[order], 0.5, 5) ** 2
    reach = int(np.sqrt(square.max()))
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            row, column = rows + dy, columns + dx
            drawn = (dx * dx + dy * dy <= square) & (row >= 0) & (row < h)
            drawn &= (column >= 0) & (column < w)
            chosen = np.flatnonzero(drawn)
            place = row[chosen], column[chosen]
            nearer = near[chosen] > buffer.nearness[place]
            chosen, place = chosen[nearer], (place[0][nearer], place[1][nearer])
            buffer.nearness[place] = near[chosen]
            buffer.number[place] = first + order[chosen]
