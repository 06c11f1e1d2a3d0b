"""The first image: noise in the styles' colours. The other kinds: test_transfer.py."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import noise, objective, transfer
from nst_jax.arrays import LossTerms, Weights
from nst_jax.config import (
    Config,
    ControlConfig,
    InputConfig,
    ObjectiveConfig,
    SolveConfig,
)
from nst_jax.pictures import Pictures
from nst_jax.targets import Targets

CONTENT = np.full((192, 160, 3), 0.5, np.float32)
INPUTS = InputConfig(init="noise", noise="style", noise_amplitude=0.0)


@pytest.fixture(scope="module")
def problem(small_params, unit_preprocessing):
    """Only its preprocessing is looked at, and not for this noise."""
    nothing = LossTerms({}, {}, jnp.float32(0))
    maps = objective.Maps({}, {}, {}, None)
    targets = Targets({}, {})
    return objective.Problem(small_params, unit_preprocessing, targets, nothing, maps)


def coloured(seed, mean, shape=(40, 50)):
    """A picture with a mean colour and channels that go together in their own way."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(3, 3)) * 0.05
    colours = generator.uniform(-1, 1, (*shape, 3)) @ mixing
    return np.clip(mean + colours, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def styles():
    return coloured(1, [0.7, 0.3, 0.2]), coloured(2, [0.2, 0.4, 0.6], (40, 50))


def drawn(here, problem, style_weights=(1.0,), **inputs):
    config = Config(
        inputs=dataclasses.replace(INPUTS, **inputs),
        objective=ObjectiveConfig(style_weights=style_weights),
    )
    found = noise.first_image(here, problem, config)
    assert found.dtype == jnp.float32
    return np.asarray(found)


def statistics(*pictures):
    """Mean and covariance of all pixels together, in float64."""
    pixels = np.concatenate([np.float64(p).reshape(-1, 3) for p in pictures])
    return pixels.mean(0), np.cov(pixels.T, bias=True)


def assert_looks_as(image, wanted):
    """Within what so many draws leave open."""
    (mean, covariance), (goal, spread) = statistics(image), wanted
    count = image.size / 3
    np.testing.assert_allclose(
        mean, goal, rtol=0, atol=5 * np.sqrt(spread.max() / count) + 1e-6
    )
    np.testing.assert_allclose(
        covariance, spread, rtol=0, atol=8 * spread.max() / np.sqrt(count) + 1e-12
    )


def test_the_noise_has_the_styles_colours(problem, styles):
    image = drawn(Pictures(CONTENT, styles[:1]), problem)
    assert image.shape == CONTENT.shape
    assert_looks_as(image, statistics(styles[0]))
    # And that is a hard thing to meet: those of the other style do not.
    with pytest.raises(AssertionError):
        assert_looks_as(image, statistics(styles[1]))


def test_it_is_noise_and_the_seeds(problem, styles):
    here = Pictures(CONTENT, styles[:1])
    image = drawn(here, problem)
    np.testing.assert_array_equal(image, drawn(here, problem))
    assert (image != drawn(here, problem, seed=1)).any()
    beside = image - image.mean((0, 1))
    alike = (beside[:, 1:] * beside[:, :-1]).mean() / (beside**2).mean()
    assert abs(alike) < 0.02, "neighbours have nothing to do with each other"


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_of_several_styles_it_has_their_mixtures_colours(problem, styles, share):
    here = Pictures(CONTENT, styles)
    image = drawn(here, problem, (share, 1 - share))
    counts = round(4 * share), round(4 - 4 * share)
    pixels = [styles[k] for k in (0, 1) for _ in range(counts[k])]
    assert_looks_as(image, statistics(*pixels))


def halves(shape):
    mask = np.zeros((*shape[:2], 2), np.float32)
    mask[:, : shape[1] // 2, 0] = 1
    mask[:, shape[1] // 2 :, 1] = 1
    return mask


def test_each_region_has_the_colours_of_its_own_styles(problem, styles):
    masks = halves(CONTENT.shape)
    shares = ((1.0, 0.25), (0.0, 0.75))
    here = Pictures(CONTENT, styles, regions=masks, shares=shares)
    image = drawn(here, problem)
    assert_looks_as(image[:, :80], statistics(styles[0]))
    assert_looks_as(image[:, 80:], statistics(styles[0], *[styles[1]] * 3))


def test_a_styles_own_regions_have_its_colours_there(problem):
    parts = [coloured(seed, mean) for seed, mean in ((3, 0.8), (4, [0.3, 0.5, 0.2]))]
    style = np.concatenate(parts, axis=1)
    other = np.full((16, 16, 3), 0.9, np.float32)
    here = Pictures(
        CONTENT,
        (style, other),
        regions=halves(CONTENT.shape)[..., ::-1].copy(),
        # The second style is for no region, and has none.
        style_regions=(halves(style.shape), np.zeros((16, 16, 2), np.float32)),
        shares=((1.0, 1.0), (0.0, 0.0)),
    )
    image = drawn(here, problem)
    assert_looks_as(image[:, 80:], statistics(parts[0]))
    assert_looks_as(image[:, :80], statistics(parts[1]))


@pytest.mark.parametrize("weight", [0.0, 0.4])
def test_where_the_regions_are_thin_there_are_colours_too(problem, styles, weight):
    regions = weight * np.ones((*CONTENT.shape[:2], 1), np.float32)
    image = drawn(Pictures(CONTENT, styles[:1], regions=regions), problem)
    assert_looks_as(image, statistics(styles[0]))


def test_a_flat_style_has_flat_noise(problem):
    style = np.full((20, 20, 3), [0.7, 0.1, 0.35], np.float32)
    image = drawn(Pictures(CONTENT, (style,)), problem)
    np.testing.assert_allclose(image, np.broadcast_to(style[0, 0], image.shape))


def test_a_grey_style_has_grey_noise(problem):
    style = np.repeat(np.random.default_rng(6).random((30, 30, 1)), 3, 2)
    image = drawn(Pictures(CONTENT, (style.astype(np.float32),)), problem)
    assert np.abs(image - image[..., :1]).max() < 1e-6
    assert_looks_as(image, statistics(style))


def test_a_nearly_flat_style_keeps_what_little_it_has(problem):
    """Its variance is a tenth of what rounding leaves of the square of its mean."""
    faint = np.random.default_rng(7).choice([-1, 1], (512, 256, 3)) * 4e-5
    style = (0.75 + faint * [1, 1, 0]).astype(np.float32)
    image = drawn(Pictures(CONTENT, (style,)), problem)
    assert_looks_as(image.astype(np.float64), statistics(style))
    assert image[..., 2].std() < 1e-6


def test_blend_is_noise_and_content_by_the_ratio(problem, styles):
    content = coloured(9, 0.5, CONTENT.shape[:2])
    here = Pictures(content, styles[:1])
    pure = drawn(here, problem)
    mixed = drawn(here, problem, init="blend", noise_ratio=0.25)
    np.testing.assert_allclose(mixed, 0.25 * pure + 0.75 * content, atol=1e-6)


@pytest.mark.parametrize("color", ["none", "luminance", "histogram"])
def test_a_run_starts_from_it(small_params, unit_preprocessing, styles, color):
    """In the colours that the style has for the network."""
    network = Weights("vgg19", small_params, unit_preprocessing, "random", "", "")
    config = Config(
        inputs=INPUTS,
        control=ControlConfig(color=color),
        objective=ObjectiveConfig(
            content_layers=("relu2_2",), style_layers=("relu1_1", "relu3_1")
        ),
        solve=SolveConfig(steps=0, scales="none"),
    )
    content = coloured(5, [0.3, 0.6, 0.4], (32, 36))
    result = transfer.stylize(content, styles[0], network, config).image
    assert np.isfinite(result).all()
    if color == "luminance":
        # Chroma is the content's, so grey noise was under it.
        assert np.abs((result - content) - (result - content)[..., :1]).max() < 1e-5
        return
    near = content if color == "histogram" else styles[0]
    np.testing.assert_allclose(result.mean((0, 1)), near.mean((0, 1)), atol=0.02)
