"""Winograd's convolution is the convolution, at every size, border and direction."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import (
    config,
    convolution,
    objective,
    prepare,
    transfer,
    vgg,
    winograd,
)
from nst_jax.arrays import Preprocessing, Weights

SCALE = Preprocessing(jnp.float32(2), jnp.full(3, 0.5), jnp.ones(3))

# Odd sizes, sizes below a tile, a single row of tiles, and several strips: 200 x 160
# pixels are 50 x 40 tiles, in nine strips of six rows, of which four are too many.
SHAPES = [(5, 3), (4, 4), (9, 70), (33, 34), (200, 160)]


def given(shape, inputs=24, channels=16, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((*shape, inputs))
    kernel = rng.standard_normal((3, 3, inputs, channels)) / np.sqrt(9 * inputs)
    return jnp.asarray(features, jnp.float32), jnp.asarray(kernel, jnp.float32)


def exact(features, kernel, border):
    """The correlation in float64."""
    around = ((border, border), (border, border), (0, 0))
    padded = np.pad(np.float64(features), around)
    rows, columns = (length - 2 for length in padded.shape[:2])
    return sum(
        padded[a : a + rows, b : b + columns] @ np.float64(kernel[a, b])
        for a in range(3)
        for b in range(3)
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("border", [0, 1, 2])
def test_it_is_the_correlation(shape, border):
    features, kernel = given(shape)
    found = winograd.correlate(features, winograd.spread(kernel), border)
    np.testing.assert_allclose(found, exact(features, kernel, border), atol=3e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("border", [0, 1, 2])
def test_turned_it_is_the_correlation_with_the_turned_kernel(shape, border):
    features, _ = given(shape, inputs=16)
    _, kernel = given(shape, inputs=24, channels=16)
    turned = np.flip(np.asarray(kernel), (0, 1)).swapaxes(2, 3)
    found = winograd.correlate(features, winograd.spread(kernel), border, turned=True)
    np.testing.assert_allclose(found, exact(features, turned, border), atol=3e-5)


def test_it_rounds_as_little_as_its_points_allow():
    # Lavin and Gray's points, 0, +-1, +-2, give 3.2e-6; these give 2.0e-6.
    features, kernel = given((64, 64), inputs=256, channels=64)
    found = winograd.correlate(features, winograd.spread(kernel), 1)
    error = found - exact(features, kernel, 1)
    assert np.sqrt(np.mean(error**2)) < 3e-6


def test_the_transforms_are_exact():
    # As the identity they come from, over fractions, where nothing rounds.
    points = tuple(map(Fraction, ("0", "-1", "1", "1/2", "-2")))
    window, kernel, tile = (
        np.vectorize(lambda x: Fraction(x).limit_denominator(720))(each)
        for each in winograd._transforms(points)
    )
    values = [Fraction(n) for n in (3, -1, 4, 1, -5, 9)]
    weights = [Fraction(n) for n in (2, -6, 5)]
    found = tile @ ((kernel @ weights) * (window @ values))
    wanted = [sum(values[i + k] * weights[k] for k in range(3)) for i in range(4)]
    assert list(found) == wanted


@pytest.mark.parametrize(("down", "across"), [(188, 250), (83, 170), (1, 3), (129, 96)])
def test_no_strip_is_for_nothing(down, across):
    strips, each = winograd._shared_out(down, across)
    assert down <= strips * each < down + each
    assert each == 1 or each * across <= 1.5 * 256


@pytest.mark.parametrize("border", ["zero", "replicate", "wrap"])
def test_its_gradient_is_that_of_the_plain_convolution(border):
    features, kernel = given((37, 42))
    aim = given((37, 42), inputs=16, seed=1)[0]
    how = {"precision": "float32"}
    how |= {"wrap": "xy"} if border == "wrap" else {"padding": border}

    def loss(features, kernel, plain):
        bias = jnp.arange(16, dtype=jnp.float32)
        found = convolution.convolution(features, kernel, bias, plain=plain, **how)
        return jnp.mean((found - aim) ** 2)

    found = jax.grad(loss)(features, winograd.spread(kernel), False)
    wanted = jax.grad(loss)(features, kernel, True)
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())


def test_a_spread_kernel_is_frozen_too():
    features, kernel = given((8, 8))

    def loss(kernel):
        found = convolution.convolution(
            features, kernel, jnp.zeros(16), precision="float32"
        )
        return found.sum()

    with pytest.raises(TypeError, match="frozen"):
        jax.grad(loss)(winograd.spread(kernel))


def test_bfloat16_factors_are_summed_in_float32():
    features, kernel = given((40, 40), inputs=64)
    spread = winograd.spread(kernel).astype(jnp.bfloat16)
    found = winograd.correlate(features, spread, 1)
    assert found.dtype == jnp.float32
    error = found - exact(features, kernel, 1)
    # A product of two factors with 8 bits each, seen through the transforms.
    assert 1e-4 < np.sqrt(np.mean(error**2)) < 2e-2


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(0)
    sizes = {"conv1_1": (3, 64), "conv1_2": (64, 64), "conv2_1": (64, 128)}
    return {
        name: {
            "kernel": jnp.float32(rng.normal(0, (2 / (9 * c)) ** 0.5, (3, 3, c, d))),
            "bias": jnp.zeros(d),
        }
        for name, (c, d) in sizes.items()
    }


def test_only_kernels_for_which_it_pays_are_spread(network):
    names = ("relu1_1", "conv2_1")
    # Three inputs are too few for conv1_1, 20 x 20 positions for conv2_1.
    which = vgg.worth_spreading(names, "vgg19", 40 * 40)
    assert which == ("conv1_2",)
    found = vgg.spread(network, which, "float32")
    assert {name: set(each) for name, each in found.items()} == {
        "conv1_1": {"kernel", "bias"},
        "conv1_2": {"spread", "bias"},
        "conv2_1": {"kernel", "bias"},
    }


def test_features_are_the_same(network):
    how = vgg.Forward(products="winograd")
    image = jnp.asarray(np.random.default_rng(1).random((48, 40, 3)), jnp.float32)
    names = ("relu1_2", "relu2_1")
    which = vgg.worth_spreading(names, "vgg19", 10**6)
    spread = vgg.spread(network, which, "float32")
    assert "spread" in spread["conv2_1"]
    found = vgg.features(spread, SCALE, image, names, how)
    wanted = vgg.features(network, SCALE, image, names, vgg.Forward(plain=True))
    for name in names:
        np.testing.assert_allclose(found[name], wanted[name], atol=3e-5)


@pytest.mark.parametrize(
    ("asked", "pixels", "is_spread"),
    [("auto", 128**2, True), ("direct", 128**2, False), ("auto", 96**2, False)],
)
def test_a_loop_takes_spread_kernels_where_they_are_asked_for(
    network, asked, pixels, is_spread
):
    settings = config.Config(
        network=config.NetworkConfig(convolution=asked),
        objective=config.ObjectiveConfig(
            content_layers=("relu1_2",), style_layers=("relu2_1",)
        ),
    )
    how = objective.recipe(settings.objective, prepare.forward(settings))
    # On an accelerator, auto is direct.
    here = is_spread and how.forward.products == "winograd"
    problem = objective.Problem(network, *(None,) * 4)
    ready = prepare.ready(problem, how, pixels)
    assert ("spread" in ready.params["conv1_2"]) == here


@pytest.mark.parametrize("precision", ["float32", "mixed"])
def test_a_run_moves_by_spread_kernels_to_the_same_picture(
    network, precision, monkeypatch
):
    given = Weights("vgg19", network, SCALE, "unknown", "", "")
    rng = np.random.default_rng(2)
    content, style = (rng.random((128, 128, 3)).astype(np.float32) for _ in range(2))
    seen = []

    def watched(problem, how, pixels, ready=prepare.ready):
        seen.append((problem, ready(problem, how, pixels)))
        return seen[-1][1]

    monkeypatch.setattr(prepare, "ready", watched)
    found = {}
    for convolution_ in ("direct", "winograd"):
        settings = config.Config(
            network=config.NetworkConfig(convolution=convolution_, precision=precision),
            objective=config.ObjectiveConfig(
                content_layers=("relu1_2",), style_layers=("relu2_1",)
            ),
            optimizer=config.OptimizerConfig(optimizer="adam"),
            solve=config.SolveConfig(steps=3),
        )
        found[convolution_] = transfer.stylize(content, style, given, settings)
    (_, direct), (problem, spread) = seen
    assert "kernel" in direct.params["conv1_2"]
    assert "spread" in spread.params["conv1_2"]
    # In bfloat16 the two are different numbers, so targets are made as the loop is.
    assert ("spread" in problem.params["conv1_2"]) == (precision == "mixed")
    within = 1e-4 if precision == "float32" else 2e-2
    totals = [float(each.terms.total) for each in found.values()]
    assert totals[0] == pytest.approx(totals[1], rel=within)


def test_a_run_of_no_steps_spreads_nothing(network, monkeypatch):
    monkeypatch.setattr(prepare, "ready", None)
    given = Weights("vgg19", network, SCALE, "unknown", "", "")
    content = np.random.default_rng(2).random((128, 128, 3)).astype(np.float32)
    settings = config.Config(
        objective=config.ObjectiveConfig(
            content_layers=("relu1_2",), style_layers=("relu2_1",)
        ),
        solve=config.SolveConfig(steps=0),
    )
    transfer.stylize(content, 1 - content, given, settings)
