"""The numbers of a comparison: known values, order under noise, no unit."""

import builtins
import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from nst_jax import pretrained, quality, vgg
from nst_jax.errors import RequestError


@pytest.fixture(scope="module")
def look():
    weights = pretrained.load("vgg19", "random", announce=lambda line: None)
    layers = ("relu1_1", "relu2_1")
    return quality.Look(weights, vgg.Forward(), ("relu2_1",), layers)


def picture(rows=32, columns=40, seed=0):
    blocks = np.random.default_rng(seed).random((rows // 4, columns // 4, 3))
    return blocks.repeat(4, 0).repeat(4, 1).astype(np.float32)


def noisy(image, amount):
    noise = np.random.default_rng(9).normal(size=image.shape)
    return np.clip(image + amount * noise, 0, 1).astype(np.float32)


def test_the_same_picture_is_as_near_as_can_be(look):
    image = picture()
    rows = quality.compare(image, {"same": image}, look, style=image)
    assert rows["same"] == (1.0, math.inf, None, 0.0, 0.0)


def test_noise_makes_every_number_worse(look):
    image = picture()
    noises = {str(amount): noisy(image, amount) for amount in (0.05, 0.1, 0.3)}
    rows = [*quality.compare(image, noises, look, style=image).values()]
    for near, far in itertools.pairwise(rows):
        assert near.ssim > far.ssim
        assert near.psnr > far.psnr
        assert near.content < far.content
        assert near.style < far.style


def test_psnr_and_ssim_of_a_shift_in_brightness_are_as_computed_by_hand():
    first = np.full((16, 20, 3), 0.4, np.float32)
    second = np.full((16, 20, 3), 0.5, np.float32)
    assert quality.psnr(first, second) == pytest.approx(20, abs=1e-4)
    # Wang et al., eq. 13, without any variance: the luminance term alone.
    expected = (2 * 0.4 * 0.5 + 1e-4) / (0.4**2 + 0.5**2 + 1e-4)
    assert quality.ssim(first, second) == pytest.approx(expected, abs=1e-5)


def test_ssim_looks_through_wang_s_window():
    first, second = picture(), noisy(picture(), 0.2)

    def blurred(channel):
        return scipy.ndimage.gaussian_filter(channel, 1.5, truncate=3.5)

    means = []
    for channel in range(3):
        x, y = (each[..., channel].astype(float) for each in (first, second))
        a, b = blurred(x), blurred(y)
        covariance = blurred(x * y) - a * b
        spread = blurred(x * x) - a * a + blurred(y * y) - b * b
        index = (2 * a * b + 0.01**2) * (2 * covariance + 0.03**2)
        index /= (a * a + b * b + 0.01**2) * (spread + 0.03**2)
        means.append(index[5:-5, 5:-5].mean())
    assert quality.ssim(first, second) == pytest.approx(np.mean(means), abs=1e-6)


def test_distances_are_ratios_over_layers():
    wanted = {"a": jnp.array([[[3.0, 4.0]]]), "b": jnp.array([[[2.0]]])}
    found = {"a": jnp.array([[[3.0, 9.0]]]), "b": jnp.array([[[0.0]]])}
    assert float(quality.relative(found, wanted)) == pytest.approx((1 + 1) / 2)
    scaled = [{k: 1000 * v for k, v in maps.items()} for maps in (found, wanted)]
    assert float(quality.relative(*scaled)) == pytest.approx(1)


def test_the_style_is_not_a_matter_of_place_and_the_content_is(look):
    image, other = picture(), picture(seed=1) ** 3
    mirror = np.ascontiguousarray(image[:, ::-1])
    rows = quality.compare(image, {"mirror": mirror, "other": other}, look, style=image)
    assert 0 < rows["mirror"].style < 0.2 * rows["other"].style
    assert rows["mirror"].content > 0.1


def test_a_style_of_another_size_has_the_same_scale(look):
    tile = picture(16, 16)
    rows = quality.compare(
        np.tile(tile, (2, 2, 1)),
        {"tiled": np.tile(tile, (2, 2, 1)), "other": picture(seed=3)[:32, :32]},
        look,
        style=np.tile(tile, (4, 3, 1)),
    )
    assert rows["tiled"].style < 0.05 * rows["other"].style


def test_without_scikit_image_the_command_that_brings_it_is_told(monkeypatch):
    whole = builtins.__import__

    def without(name, *rest):
        if name.startswith("skimage"):
            raise ImportError("No module named 'skimage'")
        return whole(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RequestError, match="pip install 'scikit-image"):
        quality.check()
