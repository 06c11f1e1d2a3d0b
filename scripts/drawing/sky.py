"""The sky at the golden hour: air, cumulus clouds lit from the side, far hills."""

import numpy as np

from drawing.noise import Floats, fractal, mix, rgb, sample, smoothstep

_BASE, _TOP = 1000.0, 2300.0  # of the clouds, metres
_FARTHEST = 16000.0
_STEPS = 64
# Where the way to the sun is felt for cloud: (metres ahead, metres it stands for).
_TOWARDS_SUN = ((60.0, 80.0), (160.0, 120.0), (340.0, 200.0))
_HAZE = rgb(1.0, 0.75, 0.52)


def air(direction: Floats, sun: Floats) -> Floats:
    """The cloudless sky in the directions (..., 3), linear light."""
    height = np.clip(direction[..., 1], 0, 1)
    towards_sun = np.clip(direction @ sun, 0, 1)
    zenith, middle = rgb(0.10, 0.21, 0.46), rgb(0.36, 0.50, 0.68)
    horizon, glow = rgb(0.98, 0.72, 0.47), rgb(1.25, 0.78, 0.38)
    colour = mix(middle, zenith, smoothstep(0.05, 0.55, height))
    colour = mix(colour, horizon, np.exp(-height / 0.10))
    return mix(colour, glow, 0.75 * towards_sun**5 * np.exp(-height / 0.35))


def clouds(rng: np.random.Generator, direction: Floats, sun: Floats) -> Floats:
    """Light and share of the clouds in each direction, (..., 4), colour times share.

    Marches through a slab of noise from front to back.
    """
    volume = fractal(rng, (96, 96, 96), 2.1, lowest=2)
    climb = np.maximum(direction[..., 1], 0.012)
    near, far = _BASE / climb, np.minimum(_TOP / climb, _FARTHEST)
    stride = np.maximum(far - near, 0) / _STEPS
    # Each ray starts a little elsewhere: grain is kinder to the eye than steps.
    jitter = 0.5 * rng.uniform(size=climb.shape).astype(np.float32)
    light = np.zeros((*climb.shape, 3), np.float32)
    clear = np.ones_like(climb)
    for step in range(_STEPS):
        distance = near + (step + jitter) * stride
        place = direction * distance[..., None]
        thick = density(volume, place)
        through = np.exp(-0.0132 * np.minimum(stride, 90) * thick)
        haze = 1 - np.exp(-distance / 24000)
        colour = mix(glow(volume, place, sun), _HAZE, haze)
        light += colour * (clear * (1 - through))[..., None]
        clear = clear * through
    return np.concatenate([light, 1 - clear[..., None]], axis=-1)


def glow(volume: Floats, place: Floats, sun: Floats) -> Floats:
    """The light inside a cloud: what is left of the sun's, and the sky's."""
    ahead = [density(volume, place + sun * d) * stands for d, stands in _TOWARDS_SUN]
    sunny = np.exp(-0.009 * np.sum(ahead, axis=0))
    level = np.clip((place[..., 1] - _BASE) / (_TOP - _BASE), 0, 1)
    ambient = mix(rgb(0.27, 0.29, 0.42), rgb(0.42, 0.46, 0.60), level)
    return ambient + rgb(2.0, 1.28, 0.74) * sunny[..., None]


def density(volume: Floats, place: Floats) -> Floats:
    """How thick the cloud is at the places (..., 3), 0..1: flat below, piled above."""
    x, y, z = np.moveaxis(place, -1, 0)
    level = (y - _BASE) / (_TOP - _BASE)
    form = 0.95 * sample(volume, y / 90, x / 75 + 11, z / 75 + 40) - 0.85
    form += 0.30 * sample(volume, y / 14 + 3, x / 14, z / 14)
    form += 0.10 * sample(volume, y / 4.3, x / 4.3 + 50, z / 4.3)
    form -= 1.9 * np.clip(level, 0, 1) ** 1.3 + 6 * np.clip(0.08 - level, 0, 1)
    return np.where((level > 0) & (level < 1), np.clip(form * 2.4, 0, 1), 0)


def hills(rng: np.random.Generator, rays: Floats, back: Floats) -> Floats:
    """Three ridges in front of the background, each nearer, darker and greener."""
    x, climb, _ = np.moveaxis(rays, -1, 0)
    outline = fractal(rng, (512,), 1.5, lowest=2)
    texture = fractal(rng, (256, 256), 1.0, lowest=6)
    colours = rgb(0.52, 0.50, 0.56), rgb(0.36, 0.38, 0.43), rgb(0.24, 0.29, 0.28)
    for ridge, colour in enumerate(colours):
        along = x * (150 + 40 * ridge) + 171 * ridge
        top = 0.075 - 0.022 * ridge + 0.016 * sample(outline, along)
        top = top + 0.0012 * sample(outline, along * 23)
        grain = sample(texture, climb * 2600, x * 900) * (0.04 + 0.05 * ridge)
        slope = sample(outline, along + 3) - sample(outline, along)
        relief = np.clip(0.5 * slope, -0.25, 0.3)
        lit: Floats = colour * (1 + grain + relief)[..., None]
        mist = np.clip((top - climb) / 0.05, 0, 1)
        lit = mix(lit, rgb(0.80, 0.66, 0.55), 0.4 * mist)
        back = mix(back, lit, smoothstep(-0.0008, 0.0008, top - climb))
    return back
