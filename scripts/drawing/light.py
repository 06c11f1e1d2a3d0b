"""How much light leaves each point: sun, sky, shadows, and the air in between."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from drawing.noise import Bools, Floats, mix, rgb, smoothstep, unit
from drawing.raster import Buffer, Lamp
from drawing.shapes import Face, Leaves, Material
from drawing.surfaces import Grain, Surfaces, appearance

SUN = unit(rgb(-0.86, 0.31, -0.02))  # towards it: low, from the left
_SUNLIGHT = rgb(3.1, 1.9, 0.92)
_SKYLIGHT = rgb(0.36, 0.46, 0.68)
_BOUNCE = rgb(0.26, 0.19, 0.13)  # from the ground, on what looks down
_SHADOW_SAMPLES = 6


class World(NamedTuple):
    """What stands there, what it looks like, and what the sun sees of it."""

    faces: list[Face]
    leaves: Leaves
    surfaces: Surfaces
    grain: Grain
    lamp: Lamp
    sunlit: Buffer


def shade(
    rng: np.random.Generator, world: World, rows: Surfaces, places: Floats, eye: Floats
) -> tuple[Floats, Floats]:
    """The direct and the ambient light that leave the places."""
    leaf = rows.material == Material.LEAF
    towards_eye = eye - places
    facing_away = np.sum(rows.normal * towards_eye, 1) < 0
    normal = np.where((facing_away & ~leaf)[:, None], -rows.normal, rows.normal)
    colour, glow = appearance(world.grain, rows, places)
    facing = normal @ SUN
    # Leaves let light through, so their far side is not black.
    direct = np.where(leaf, np.clip(0.35 + 0.65 * facing, 0.05, 1), facing.clip(0, 1))
    direct = direct * sunlight(rng, world, places + normal * 0.25, leaf)
    ambient = mix(_BOUNCE, _SKYLIGHT, 0.5 + 0.5 * normal[:, 1])
    return colour * direct[:, None] * _SUNLIGHT + glow, colour * ambient


def sunlight(
    rng: np.random.Generator, world: World, places: Floats, leaf: Bools
) -> Floats:
    """Share of the sun that reaches the places; several looks make soft edges."""
    u, v, near = world.lamp.project(places).T
    last = world.lamp.pixels - 1
    # What is this much nearer to the sun does not count: it is the place itself.
    near = near + np.where(leaf, 1.1, 0.45)
    share = np.zeros(len(places), np.float32)
    for _ in range(_SHADOW_SAMPLES):
        du, dv = rng.normal(0, 0.9, (2, len(places)))
        column = np.rint(u + du).clip(0, last).astype(int)
        row = np.rint(v + dv).clip(0, last).astype(int)
        share += world.sunlit.nearness[row, column] < near
    return share / _SHADOW_SAMPLES


def openness(depth: Floats) -> Floats:
    """How much of the sky a pixel sees: less where its surroundings are nearer."""
    log = np.log(depth)
    hidden = np.zeros_like(log)
    for share in (0.0043, 0.012, 0.028):
        behind = log - ndimage.gaussian_filter(log, share * depth.shape[0])
        hidden += np.clip(behind * 5, 0, 0.5)
    return 1 - 0.30 * np.clip(hidden, 0, 1)


def haze(light: Floats, places: Floats, eye: Floats) -> Floats:
    """Air in front of far things: warmer towards the sun, thicker near the water."""
    distance = np.linalg.norm(places - eye, axis=1)
    low = np.exp(-places[:, 1] / 12)
    share = 0.85 * (1 - np.exp(-distance / 1500 - distance / 2600 * low))
    side = smoothstep(-0.6, 0.5, places[:, 0] / distance)
    air = mix(rgb(0.92, 0.70, 0.50), rgb(0.56, 0.56, 0.62), side)
    return mix(light, air, share)
