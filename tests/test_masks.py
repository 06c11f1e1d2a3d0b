"""Masks at a layer: the size of its features, weights kept, no hard edge."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import layers, masks, moments, vgg

STRIDES = (1, 2, 4, 8, 16)
ROUNDINGS = ("floor", "ceil", "same")


@functools.partial(jax.jit, static_argnames="rounding")
def at_layers(mask, rounding):
    return {stride: masks.at_layer(mask, stride, rounding) for stride in STRIDES}


def soft(shape, regions):
    values = np.random.default_rng(0).dirichlet([0.3] * regions, shape)
    return values.astype(np.float32)


def pooled(values, rounding):
    """The mean of each 2x2 cell over the pixels it has."""
    h, w, _ = values.shape
    rows, columns = (
        (side // 2 if rounding == "floor" else -(-side // 2)) for side in (h, w)
    )
    cells = np.empty((rows, columns, values.shape[-1]))
    for i in range(rows):
        for j in range(columns):
            cells[i, j] = values[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean((0, 1))
    return cells


def softened(values):
    """(1 2 1) / 4 of the neighbours both ways, the edge held."""
    bordered = np.pad(values, ((1, 1), (1, 1), (0, 0)), "edge")
    h, w, _ = values.shape
    return sum(
        share * bordered[i : i + h, j : j + w]
        for (i, j), share in np.ndenumerate(np.outer([1, 2, 1], [1, 2, 1]) / 16)
    )


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_a_mask_at_a_layer_is_the_softened_mean_of_its_cells(rounding):
    values = soft((37, 51), 8)
    made = at_layers(values, rounding)
    cells = values.astype(np.float64)
    for stride in STRIDES:
        np.testing.assert_allclose(made[stride], softened(cells), atol=1e-6)
        np.testing.assert_allclose(made[stride].sum(-1), 1, atol=1e-6)
        cells = pooled(cells, rounding)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("shape", [(16, 40), (33, 260)])
def test_ones_stay_exactly_ones_at_every_layer(rounding, shape):
    values = np.ones((*shape, 2), np.float32) * np.asarray([1, 0.5], np.float32)
    for made in at_layers(values, rounding).values():
        assert made.shape[0] >= 1
        assert (made[..., 0] == 1).all()
        assert (made[..., 1] == 0.5).all()


def test_a_mask_of_ones_is_no_mask_for_the_moments():
    features = np.random.default_rng(1).normal(size=(9, 12, 7)).astype(np.float32)
    ones = at_layers(np.ones((37, 51, 1), np.float32), "floor")[4]
    masked = moments.moments(jnp.asarray(features), ones)
    bare = moments.moments(jnp.asarray(features))
    for found, wanted in zip(masked, bare, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


def test_an_edge_is_soft_over_the_next_positions_only():
    values = np.zeros((32, 128, 1), np.float32)
    values[:, 64:] = 1
    for stride, made in at_layers(values, "floor").items():
        row, edge = made[0, :, 0], 64 // stride
        np.testing.assert_array_equal(row[: edge - 1], 0)
        np.testing.assert_array_equal(row[edge - 1 : edge + 1], [0.25, 0.75])
        np.testing.assert_array_equal(row[edge + 1 :], 1)


@pytest.mark.parametrize("rounding", ["floor", "ceil"])
def test_the_mask_has_the_size_of_the_features(
    small_params, unit_preprocessing, rounding
):
    names = ("relu1_1", "relu2_1", "relu3_1")
    forward = vgg.Forward(pool_rounding=rounding)
    image = jnp.zeros((37, 51, 3))
    found = vgg.features(small_params, unit_preprocessing, image, names, forward)
    made = at_layers(soft((37, 51), 8), rounding)
    for row in layers.table("vgg19"):
        if row.name in names:
            assert made[row.stride].shape[:2] == found[row.name].shape[:2]


@pytest.mark.parametrize(("wrap", "shift"), [("x", (0, 8)), ("xy", (16, 8))])
def test_wrapped_masks_go_round_with_the_picture(wrap, shift):
    mask = jnp.asarray(soft((32, 24), 2))
    stride = 4
    rolled = masks.at_layer(jnp.roll(mask, shift, (0, 1)), stride, "floor", wrap)
    made = masks.at_layer(mask, stride, "floor", wrap)
    moved = jnp.roll(made, (shift[0] // stride, shift[1] // stride), (0, 1))
    np.testing.assert_allclose(rolled, moved, atol=1e-6)
    flat = masks.at_layer(mask, stride, "floor")
    assert np.abs(made - flat).max() > 0.01
