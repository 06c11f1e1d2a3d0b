"""The network's features, layer by layer, against float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import vgg
from tests import oracles

KEPT = "relu3_1"  # where the shared small network ends


def picture(height, width, seed=0):
    """Smooth, as photographs are, with a little noise."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / 7 + k) * np.cos(columns / (5 + k)) for k in range(3)]
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    return np.clip(0.5 + 0.4 * np.stack(waves, 2) + 0.03 * noise, 0, 1).astype(
        np.float32
    )


@functools.partial(jax.jit, static_argnums=(3, 4))
def jitted_features(params, preprocessing, image, names, how):
    return vgg.features(params, preprocessing, image, names, how)


def names_up_to(network, last):
    names = [name for name, _ in oracles.network_layers(network)]
    return tuple(names[: names.index(last) + 1])


def assert_features(params, preprocessing, image, last, how, tolerance):
    """Every layer up to `last` is the oracle's, in shape and in numbers."""
    names = names_up_to(how.network, last)
    found = jitted_features(params, preprocessing, image, names, how)
    expected = oracles.network_features(
        params,
        image,
        preprocessing,
        network=how.network,
        last=last,
        pooling=how.pooling,
        rounding=how.pool_rounding,
        pool_scale=how.pool_scale,
        border=how.padding,
    )
    assert set(found) == set(expected) == set(names)
    for name in names:
        assert found[name].shape == expected[name].shape, name
        error = oracles.relative_error(found[name], expected[name])
        assert error < tolerance, name


@pytest.mark.parametrize(
    ("shape", "last", "how"),
    [
        ((37, 29), "relu5_4", vgg.Forward()),
        ((16, 16), "relu5_4", vgg.Forward()),
        (
            (35, 33),
            "pool5",
            vgg.Forward(
                network="vgg16",
                pooling="avg",
                pool_rounding="ceil",
                pool_scale=2.0,
                padding="replicate",
            ),
        ),
    ],
)
def test_every_layer_of_the_whole_network(unit_preprocessing, shape, last, how):
    params = oracles.random_params(how.network, last)
    image = picture(*shape)
    assert_features(params, unit_preprocessing, image, last, how, 1e-5)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(
    ("pooling", "rounding", "padding", "pool_scale"),
    [
        ("max", "floor", "replicate", 1.0),
        ("max", "ceil", "zero", 1.0),
        ("avg", "floor", "zero", 1.5),
        ("avg", "same", "replicate", 1.0),
    ],
)
def test_every_setting_of_the_forward_pass(
    small_params, unit_preprocessing, pooling, rounding, padding, pool_scale, plain
):
    how = vgg.Forward(
        pooling=pooling,
        pool_rounding=rounding,
        pool_scale=pool_scale,
        padding=padding,
        plain=plain,
    )
    assert_features(small_params, unit_preprocessing, picture(19, 23), KEPT, how, 1e-5)


def test_one_pixel_wide(small_params, unit_preprocessing):
    how = vgg.Forward(pool_rounding="ceil")
    assert_features(small_params, unit_preprocessing, picture(1, 5), KEPT, how, 1e-5)


def test_more_than_2_to_the_15_pixels(small_params, unit_preprocessing):
    image = picture(257, 129)
    assert_features(
        small_params, unit_preprocessing, image, "relu1_2", vgg.Forward(), 1e-5
    )


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_gradient_by_the_image(small_params, unit_preprocessing, pooling, plain):
    how = vgg.Forward(pooling=pooling, plain=plain)
    image, direction = picture(19, 23), picture(19, 23, 1) - 0.5
    names = ("relu1_1", KEPT)

    @jax.jit
    def value(image):
        found = vgg.features(small_params, unit_preprocessing, image, names, how)
        return sum(jnp.mean(values**2) for values in found.values())

    def expected(image):
        found = oracles.network_features(
            small_params, image, unit_preprocessing, last=KEPT, pooling=pooling
        )
        return sum(np.mean(found[name] ** 2) for name in names)

    gradient = np.asarray(jax.jit(jax.grad(value))(image), float)
    slope = oracles.slope(expected, image, direction, 1e-5)
    assert np.sum(gradient * direction) == pytest.approx(slope, rel=1e-3)


def test_only_what_is_needed_is_computed(small_params, unit_preprocessing):
    image = jnp.asarray(picture(16, 16))
    shallow = {name: small_params[name] for name in ("conv1_1", "conv1_2")}
    found = jitted_features(
        shallow, unit_preprocessing, image, ("relu1_2",), vgg.Forward()
    )
    assert set(found) == {"relu1_2"}
    traced = jax.make_jaxpr(
        lambda image: vgg.features(
            small_params, unit_preprocessing, image, ("relu1_2",), vgg.Forward()
        )
    )(image)
    assert str(traced).count("conv_general_dilated[") == 2


def test_no_layers_need_no_network(unit_preprocessing):
    image = jnp.asarray(picture(16, 16))
    assert vgg.features({}, unit_preprocessing, image, (), vgg.Forward()) == {}


def test_a_batch_by_vmap(small_params, unit_preprocessing):
    batch = np.stack([picture(19, 23, seed) for seed in range(2)])
    names = ("relu1_1", KEPT)

    def single(image):
        return vgg.features(
            small_params, unit_preprocessing, image, names, vgg.Forward()
        )

    found = jax.jit(jax.vmap(single))(batch)
    for index, image in enumerate(batch):
        expected = oracles.network_features(
            small_params, image, unit_preprocessing, last=KEPT
        )
        for name in names:
            error = oracles.relative_error(found[name][index], expected[name])
            assert error < 1e-5, name


def test_preprocessing_is_an_argument(small_params, unit_preprocessing):
    image = picture(16, 16)
    scale, mean, std = (np.asarray(part, float) for part in unit_preprocessing)
    found = jax.jit(vgg.preprocess)(image, unit_preprocessing)
    assert oracles.relative_error(found, (image * scale - mean) / std) < 1e-6


@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_the_true_network_within_a_ten_thousandth(weights, pooling):
    how = vgg.Forward(pooling=pooling)
    params = weights.params
    assert_features(
        params, weights.preprocessing, picture(64, 64), "relu5_4", how, 1e-4
    )
