"""An old town by a river at the golden hour, put together and photographed.

The town is made of flat faces in space. It is drawn three times: as the sun sees it,
for the shadows; upside down, for the water; and as the camera sees it.
"""

import numpy as np
from scipy import ndimage

from drawing import boats, houses, land, landmarks, sky, trees
from drawing.light import SUN, World, haze, openness, shade
from drawing.noise import Bools, Floats, rgb, shrink, smoothstep, unit
from drawing.raster import Camera, Lamp, render
from drawing.surfaces import make_grain, tabulate
from drawing.water import water

SIZE = (768, 576)
_FINE = 2  # drawn this many times larger, then shrunk
_EYE = 7.0  # metres above the water
_FOCAL = 0.95  # in picture widths
_HORIZON = 0.56  # from the top, in picture heights
_SHADOW_PIXELS = 2600


def draw(seed: int, scale: float = 1.0) -> Floats:
    """The landscape, h w 3 in 0..1; `scale` draws it smaller, for tests."""
    # One generator each, so that the clouds do not depend on the number of leaves.
    building, air, looking = np.random.default_rng(seed).spawn(3)
    camera = viewpoint(scale)
    world = build(building, scale)
    heavens = backdrop(air, camera)
    light, solid = picture(looking, world, camera, heavens)
    mirrored, _ = picture(looking, world, camera._replace(up=-1.0), heavens)
    river = ~solid
    river[: camera.horizon] = False
    light[river] = water(looking, camera, mirrored)[river]
    return develop(looking, shrink(light, _FINE))


def viewpoint(scale: float = 1.0) -> Camera:
    """The camera of a drawing of that scale."""
    w, h = (round(side * scale) * _FINE for side in SIZE)
    return Camera((h, w), _FOCAL * w, round(_HORIZON * h), _EYE)


def build(rng: np.random.Generator, scale: float) -> World:
    """The town and its trees, and what the sun sees of them."""
    faces = [*houses.build(rng), *landmarks.build(), *boats.build(rng)]
    faces += [*land.quay(), *land.shore(), *land.hillside()]
    leaves = trees.grow(rng, scale)
    lamp = Lamp(SUN, rgb(-10, 10, 190), 230.0, max(64, round(_SHADOW_PIXELS * scale)))
    sunlit = render(faces, leaves, lamp)
    grain = make_grain(rng)
    return World(faces, leaves, tabulate(faces, leaves), grain, lamp, sunlit)


def backdrop(rng: np.random.Generator, camera: Camera) -> Floats:
    """Sky, clouds and far hills above the horizon, top row first."""
    rays = camera.rays()[: camera.horizon]
    # Clouds are soft and cost the most: a ninth of the rays is enough.
    coarse = sky.clouds(rng, unit(camera.rays(3)[: -(-camera.horizon // 3)]), SUN)
    coarse = ndimage.gaussian_filter(coarse, (1.4, 1.4, 0))
    zoom = [a / b for a, b in zip(rays.shape, coarse.shape, strict=True)]
    cloud = ndimage.zoom(coarse, (*zoom[:2], 1), order=3)
    light = sky.air(unit(rays), SUN) * (1 - cloud[..., 3:]) + cloud[..., :3]
    return sky.hills(rng, rays, light.astype(np.float32))


def picture(
    rng: np.random.Generator, world: World, camera: Camera, heavens: Floats
) -> tuple[Floats, Bools]:
    """Everything but the water, and where something solid is seen.

    A camera with `up` = -1 sees what hangs below the water's surface.
    """
    buffer = render(world.faces, world.leaves, camera)
    solid = buffer.number >= 0
    depth = 1 / np.where(solid, buffer.nearness, 1 / 900)
    eye = rgb(0, camera.eye, 0)
    places = (camera.rays() * depth[..., None] + eye) * rgb(1, camera.up, 1)
    solid &= places[..., 1] > 0
    light = np.zeros((*camera.shape, 3), np.float32)
    if camera.up > 0:
        light[: camera.horizon] = heavens
    else:
        below = camera.shape[0] - camera.horizon
        light[camera.horizon :] = heavens[::-1][:below]
    rows = world.surfaces.rows(buffer.number[solid])
    direct, ambient = shade(rng, world, rows, places[solid], eye)
    open_sky = openness(depth)[solid, None]
    full = direct * (0.4 + 0.6 * open_sky) + ambient * open_sky
    light[solid] = haze(full, places[solid], eye)
    return light, solid


def develop(rng: np.random.Generator, light: Floats) -> Floats:
    """Bloom, a film's curve, warm lights over cool shadows, vignette and grain."""
    h, w, _ = light.shape
    bright = np.clip(light - 0.9, 0, 2)
    light = light + 0.35 * ndimage.gaussian_filter(bright, (0.024 * h, 0.024 * h, 0))
    # Narkowicz's fit of the ACES film curve.
    x = 0.62 * light
    film = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)
    film = np.clip(film, 0, 1) ** (1 / 2.2)
    grey = film.mean(-1, keepdims=True)
    film = grey + 1.10 * (film - grey)
    film = film + rgb(-0.012, 0, 0.022) * (1 - grey) + rgb(0.015, 0.004, -0.012) * grey
    film = (film - 0.045) / 0.945
    across, down = np.linspace(-1, 1, w), np.linspace(-1, 1, h)[:, None]
    corner = smoothstep(0.5, 1.5, np.hypot(across, 0.9 * down))
    grain = ndimage.gaussian_filter(rng.standard_normal((h, w)), 0.5)
    film = film * (1 - 0.16 * corner)[..., None] + 0.006 * grain[..., None]
    return np.clip(film, 0, 1).astype(np.float32)
