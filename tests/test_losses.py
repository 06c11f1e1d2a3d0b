"""Every loss against float64, its gradient against finite differences."""

import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_jax import losses
from nst_jax.moments import gram_matrix, moments
from tests import oracles

CONTENT = ["mean", "sum", "half_sum", "root"]
REDUCTIONS = ["mean", "sum", "image"]
DIVISIONS = ["none", "positions", "elements"]
VARIATIONS = {  # degree of homogeneity
    "absolute": 1,
    "squared": 2,
    "mean_squared": 2,
    "padded_squared": 2,
    "nine_point": 2,
    "power": 2.5,
}
# The last of each has more than 2^15 positions: where XLA splits its reductions.
FEATURES = [(1, 1, 1), (5, 7, 1), (9, 4, 3), (4, 6, 64), (257, 129, 8)]
IMAGES = [(2, 2, 3), (5, 7, 3), (16, 17, 3), (257, 129, 3)]
TOLERANCE, GRADIENT_TOLERANCE = 1e-5, 1e-3
PIXELS = 100

few = functools.partial(settings, deadline=None, max_examples=20)
seeds = st.integers(0, 2**32 - 1)


def activations(shape, seed=0):
    """Like features after a ReLU: half of them zero, the others positive."""
    normal = np.random.default_rng(seed).normal(size=shape)
    return np.maximum(normal, 0).astype(np.float32)


def picture(shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def content(features, target, form):
    squares = losses.squared_difference(features, target)
    return losses.content(squares, features.size, form)


def style(features, target, division, reduction):
    gram = gram_matrix(moments(features), division)
    return losses.style(gram, target, reduction, PIXELS)


def expected_style(features, style_features, division, reduction):
    gram, target = (oracles.gram(f, division) for f in (features, style_features))
    return oracles.style(gram, target, reduction, PIXELS)


jitted_content = jax.jit(content, static_argnums=2)
jitted_style = jax.jit(style, static_argnums=(2, 3))


def variation(image, form):
    sums = losses.variations(image, form)
    return losses.total_variation(sums, image.shape, form)


jitted_variation = jax.jit(variation, static_argnums=1)
content_gradient = jax.jit(jax.grad(content), static_argnums=2)
style_gradient = jax.jit(jax.grad(style), static_argnums=(2, 3))
variation_gradient = jax.jit(jax.grad(variation), static_argnums=1)


@pytest.fixture
def float64():
    """Double precision for one test; this spelling works in every jax we support."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


class TestContent:
    @pytest.mark.parametrize("form", CONTENT)
    @pytest.mark.parametrize("shape", FEATURES)
    def test_value(self, shape, form):
        features, target = activations(shape, 0), activations(shape, 1)
        found = jitted_content(features, target, form)
        expected = oracles.content(features, target, form)
        assert found == pytest.approx(expected, rel=TOLERANCE)

    @pytest.mark.parametrize("form", CONTENT)
    def test_gradient(self, form):
        features, target = activations((5, 7, 3), 0), activations((5, 7, 3), 1)
        found = content_gradient(features, target, form)
        closed = oracles.content_gradient(features, target, form)
        slope = oracles.numerical_gradient(
            lambda f: oracles.content(f, target, form), features
        )
        assert oracles.relative_error(found, closed) < TOLERANCE
        assert oracles.relative_error(found, slope) < GRADIENT_TOLERANCE

    @pytest.mark.parametrize("form", CONTENT)
    def test_nothing_at_the_target(self, form):
        target = activations((5, 7, 3))
        assert jitted_content(target, target, form) == 0
        assert not np.any(content_gradient(target, target, form))

    @pytest.mark.parametrize("form", CONTENT)
    @pytest.mark.parametrize("jit", [jax.jit, lambda function: function])
    def test_more_features_than_an_int32_counts(self, form, jit):
        size = 8192 * 8192 * 64
        found = jit(lambda squares: losses.content(squares, size, form))(jnp.ones(()))
        divisor = {"mean": 2.0**32, "sum": 1, "half_sum": 2, "root": 2.0**17}[form]
        assert found == pytest.approx(1 / divisor, rel=TOLERANCE)

    def test_a_batch_by_vmap(self):
        batch = np.stack([activations((5, 7, 3), seed) for seed in range(3)])
        target = activations((5, 7, 3), 9)
        one = functools.partial(content, target=jnp.asarray(target), form="mean")
        found = jax.jit(jax.vmap(one))(batch)
        expected = [oracles.content(f, target, "mean") for f in batch]
        np.testing.assert_allclose(found, expected, rtol=TOLERANCE)

    def test_in_float64_nothing_is_rounded_to_float32(self, float64):
        features, target = (activations((5, 7, 3), s).astype(float) for s in (0, 1))
        for form in CONTENT:
            found = jitted_content(features, target, form)
            expected = oracles.content(features, target, form)
            assert found == pytest.approx(expected, rel=1e-13)


class TestStyle:
    @pytest.mark.parametrize("reduction", REDUCTIONS)
    @pytest.mark.parametrize("division", DIVISIONS)
    @pytest.mark.parametrize("shape", FEATURES)
    def test_value(self, shape, division, reduction):
        height, width, channels = shape
        features = activations(shape, 0)
        painting = activations((height + 3, width, channels), 1)
        target = oracles.gram(painting, division)[None].astype(np.float32)
        found = jitted_style(features, target, division, reduction)
        # The target is rounded once to float32, as the program's is.
        gram = oracles.gram(features, division)
        expected = oracles.style(gram, target[0].astype(float), reduction, PIXELS)
        assert found == pytest.approx(expected, rel=TOLERANCE)

    def test_the_paper_is_a_quarter_of_the_mean(self):
        features, painting = activations((9, 4, 3), 0), activations((9, 4, 3), 1)
        target = gram_matrix(moments(jnp.asarray(painting)))
        found = jitted_style(features, target, "positions", "mean") / 4
        expected = oracles.style_gatys(features, painting)
        assert found == pytest.approx(expected, rel=TOLERANCE)

    def test_gradient_of_the_paper(self):
        features, painting = activations((5, 7, 4), 0), activations((5, 7, 4), 1)
        target = gram_matrix(moments(jnp.asarray(painting)))
        found = style_gradient(features, target, "positions", "mean") / 4
        closed = oracles.style_gatys_gradient(
            features.astype(float), painting.astype(float)
        )
        assert oracles.relative_error(found, closed) < TOLERANCE

    @pytest.mark.parametrize("reduction", REDUCTIONS)
    @pytest.mark.parametrize("division", DIVISIONS)
    def test_gradient(self, division, reduction):
        features, painting = activations((5, 7, 4), 0), activations((8, 7, 4), 1)
        target = oracles.gram(painting, division)[None].astype(np.float32)
        found = style_gradient(features, target, division, reduction)
        slope = oracles.numerical_gradient(
            lambda f: expected_style(f, painting, division, reduction), features
        )
        assert oracles.relative_error(found, slope) < GRADIENT_TOLERANCE

    @pytest.mark.parametrize("reduction", REDUCTIONS)
    def test_nothing_at_the_target(self, reduction):
        features = activations((9, 4, 3))
        target = jax.jit(lambda f: gram_matrix(moments(f), "positions"))(features)
        assert jitted_style(features, target, "positions", reduction) < 1e-12
        gradient = style_gradient(features, target, "positions", reduction)
        assert np.max(np.abs(gradient)) < 1e-6

    @pytest.mark.parametrize("reduction", REDUCTIONS)
    def test_regions_are_averaged(self, reduction):
        grams, targets = (
            np.random.default_rng(seed).normal(size=(3, 4, 4)).astype(np.float32)
            for seed in (0, 1)
        )
        found = jax.jit(losses.style, static_argnums=(2, 3))(
            grams, targets, reduction, PIXELS
        )
        each = [
            oracles.style(gram.astype(float), target, reduction, PIXELS)
            for gram, target in zip(grams, targets, strict=True)
        ]
        assert found == pytest.approx(np.mean(each), rel=TOLERANCE)

    @pytest.mark.parametrize("jit", [jax.jit, lambda function: function])
    @pytest.mark.parametrize("pixels", [512 * 512, 30_000 * 20_000])
    def test_more_pixels_than_an_int32_counts(self, pixels, jit):
        gram, target = jnp.full((1, 2, 2), 1e6), jnp.zeros((1, 2, 2))
        found = jit(lambda gram: losses.style(gram, target, "image", pixels))(gram)
        assert found == pytest.approx(4e12 / (36 * float(pixels) ** 2), rel=TOLERANCE)

    def test_a_batch_by_vmap(self):
        batch = np.stack([activations((9, 4, 3), seed) for seed in range(3)])
        painting = activations((9, 4, 3), 9)
        target = oracles.gram(painting, "positions")[None].astype(np.float32)
        one = functools.partial(
            style, target=jnp.asarray(target), division="positions", reduction="mean"
        )
        found = jax.jit(jax.vmap(one))(batch)
        expected = [expected_style(f, painting, "positions", "mean") for f in batch]
        np.testing.assert_allclose(found, expected, rtol=TOLERANCE)

    def test_in_float64_nothing_is_rounded_to_float32(self, float64):
        features, painting = (activations((5, 7, 4), s).astype(float) for s in (0, 1))
        for division in DIVISIONS:
            target = oracles.gram(painting, division)[None]
            for reduction in REDUCTIONS:
                found = jitted_style(features, target, division, reduction)
                expected = expected_style(features, painting, division, reduction)
                assert found == pytest.approx(expected, rel=1e-12)


class TestTotalVariation:
    @pytest.mark.parametrize("form", VARIATIONS)
    @pytest.mark.parametrize("shape", IMAGES)
    def test_value(self, shape, form):
        image = picture(shape)
        found = jitted_variation(image, form)
        expected = oracles.total_variation(image, form)
        assert found == pytest.approx(expected, rel=TOLERANCE)

    def test_nine_point_against_the_program(self):
        path = pathlib.Path(__file__).parent / "data" / "crowsonkb_losses.json"
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
            shape = (1, 3, case["height"], case["width"])
            drawn = np.random.default_rng(case["image_seed"]).random(shape)
            image = np.moveaxis(drawn[0], 0, 2)
            expected = case["tv_nine_point"]
            oracle = oracles.total_variation(image, "nine_point")
            assert oracle == pytest.approx(expected, rel=1e-14)
            found = jitted_variation(image.astype(np.float32), "nine_point")
            assert found == pytest.approx(expected, rel=TOLERANCE)

    @pytest.mark.parametrize("form", VARIATIONS)
    def test_gradient(self, form):
        image = picture((5, 4, 3))
        slope = oracles.numerical_gradient(
            lambda x: oracles.total_variation(x, form), image
        )
        found = variation_gradient(image, form)
        assert oracles.relative_error(found, slope) < GRADIENT_TOLERANCE

    @pytest.mark.parametrize("form", VARIATIONS)
    def test_gradient_of_a_large_picture_along_a_direction(self, form):
        # So short a step that hardly any |dx| changes its sign on the way.
        image = picture((257, 129, 3))
        direction = np.random.default_rng(1).normal(size=image.shape)
        found = np.sum(np.asarray(variation_gradient(image, form), float) * direction)
        slope = oracles.slope(
            lambda x: oracles.total_variation(x, form), image, direction, 1e-7
        )
        size = np.linalg.norm(variation_gradient(image, form))
        assert abs(found - slope) < GRADIENT_TOLERANCE * size

    @pytest.mark.parametrize("form", VARIATIONS)
    def test_a_flat_picture_has_neither_value_nor_gradient(self, form):
        image = np.full((5, 4, 3), 0.3, np.float32)
        assert jitted_variation(image, form) == 0
        np.testing.assert_array_equal(variation_gradient(image, form), 0 * image)

    @pytest.mark.parametrize("form", VARIATIONS)
    def test_a_picture_flat_but_for_one_pixel_has_a_finite_gradient(self, form):
        image = np.full((5, 4, 3), 0.3, np.float32)
        image[2, 1] = 0.8
        assert np.all(np.isfinite(variation_gradient(image, form)))

    @pytest.mark.parametrize("form", VARIATIONS)
    @few()
    @given(seeds, st.floats(0.25, 255))
    def test_degree_and_shift(self, form, seed, factor):
        image = picture((5, 4, 3), seed)
        changed = np.float32(factor) * image + np.float32(factor)
        found = jitted_variation(changed, form)
        expected = oracles.total_variation(image, form) * factor ** VARIATIONS[form]
        assert found == pytest.approx(expected, rel=2e-5)

    def test_a_batch_by_vmap(self):
        batch = np.stack([picture((5, 7, 3), seed) for seed in range(3)])
        for form in VARIATIONS:
            found = jax.jit(jax.vmap(lambda x, form=form: variation(x, form)))(batch)
            expected = [oracles.total_variation(image, form) for image in batch]
            np.testing.assert_allclose(found, expected, rtol=TOLERANCE)

    def test_in_float64_nothing_is_rounded_to_float32(self, float64):
        image = picture((5, 7, 3)).astype(float)
        for form in VARIATIONS:
            found = jitted_variation(image, form)
            expected = oracles.total_variation(image, form)
            assert found == pytest.approx(expected, rel=1e-13)
