"""The frozen convolution and the pools against the plain ones and against float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from nst_jax.convolution import convolution, pool
from tests import oracles

# float32: rounding of sums of 27 products. tf32 keeps 10 bits of a factor and
# bfloat16 7, and a factor is rounded to half a unit of its last bit.
TOLERANCE = {"float32": 1e-6, "tf32": 2.0**-10, "mixed": 2.0**-7}
SHAPES = [(1, 1, 3), (1, 7, 3), (7, 1, 3), (5, 6, 1), (8, 9, 3)]
BORDERS = ["zero", "replicate"]
KINDS = ["max", "avg"]
ROUNDINGS = ["floor", "ceil", "same"]


def draw(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def problem(shape, channels=4):
    """Features, a kernel, a bias and a cotangent that fit together."""
    kernel, bias = draw((3, 3, shape[2], channels), 1), draw((channels,), 2)
    return draw(shape), kernel, bias, draw((*shape[:2], channels), 3)


@functools.partial(jax.jit, static_argnums=(4, 5, 6))
def value_and_pullback(features, kernel, bias, cotangent, precision, border, plain):
    def product(features):
        return convolution(
            features, kernel, bias, precision=precision, padding=border, plain=plain
        )

    value, pullback = jax.vjp(product, features)
    return value, pullback(cotangent)[0]


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def pool_and_pullback(features, cotangent, kind, rounding, plain):
    value, pullback = jax.vjp(
        lambda f: pool(f, kind=kind, rounding=rounding, plain=plain), features
    )
    return value, pullback(cotangent)[0]


def energy(features, kernel, bias, plain):
    arrays = (jnp.asarray(array) for array in (features, kernel, bias))
    return jnp.sum(convolution(*arrays, precision="float32", plain=plain) ** 2)


class TestConvolution:
    @pytest.mark.parametrize("border", BORDERS)
    @pytest.mark.parametrize("shape", SHAPES)
    def test_value_and_gradient_against_float64(self, shape, border):
        features, kernel, bias, cotangent = problem(shape)
        value, gradient = value_and_pullback(
            features, kernel, bias, cotangent, "float32", border, False
        )
        expected = oracles.convolution(features, kernel, bias, border)
        back = oracles.convolution_gradient(cotangent, kernel, shape, border)
        assert oracles.relative_error(value, expected) < TOLERANCE["float32"]
        assert oracles.relative_error(gradient, back) < TOLERANCE["float32"]

    def test_the_oracle_and_its_gradient_agree(self):
        features, kernel, bias, cotangent = problem((3, 4, 2))
        for border in BORDERS:
            slope = oracles.numerical_gradient(
                lambda f, border=border: np.sum(
                    cotangent * oracles.convolution(f, kernel, bias, border)
                ),
                features,
            )
            back = oracles.convolution_gradient(cotangent, kernel, (3, 4, 2), border)
            assert oracles.relative_error(back, slope) < 1e-7

    # JAX's own gradient of a mixed product is not mixed, or fails (0.7).
    @pytest.mark.parametrize("precision", ["float32", "tf32"])
    @pytest.mark.parametrize("border", BORDERS)
    def test_the_fast_path_equals_the_plain_one(self, border, precision):
        arrays = problem((8, 9, 3))
        fast = value_and_pullback(*arrays, precision, border, False)
        plain = value_and_pullback(*arrays, precision, border, True)
        for one, other in zip(fast, plain, strict=True):
            assert oracles.relative_error(one, other) < TOLERANCE[precision]

    @pytest.mark.parametrize("precision", TOLERANCE)
    def test_each_precision_is_as_near_as_its_factors_allow(self, precision):
        features, kernel, bias, cotangent = problem((8, 9, 3))
        value, gradient = value_and_pullback(
            features, kernel, bias, cotangent, precision, "zero", False
        )
        assert value.dtype == gradient.dtype == jnp.float32
        expected = oracles.convolution(features, kernel, bias)
        back = oracles.convolution_gradient(cotangent, kernel, features.shape)
        assert oracles.relative_error(value, expected) < TOLERANCE[precision]
        assert oracles.relative_error(gradient, back) < TOLERANCE[precision]

    def test_mixed_rounds_the_factors_and_not_the_sums(self):
        features, kernel, bias, cotangent = problem((8, 9, 3))
        rounded = (a.astype(jnp.bfloat16).astype(float) for a in (features, kernel))
        value, _ = value_and_pullback(
            features, kernel, bias, cotangent, "mixed", "zero", False
        )
        expected = oracles.convolution(*rounded, bias)
        assert oracles.relative_error(value, expected) < TOLERANCE["float32"]

    def test_the_kernel_is_frozen(self):
        features, kernel, bias, _ = problem((5, 6, 2))
        with pytest.raises(TypeError, match=r"plain=True\) has a gradient by it"):
            jax.grad(energy, 1)(features, kernel, bias, False)

    def test_the_plain_path_has_a_gradient_by_the_kernel(self):
        features, kernel, bias, _ = problem((3, 4, 2))
        found = jax.jit(jax.grad(energy, (1, 2)), static_argnums=3)(
            features, kernel, bias, True
        )
        for argument, gradient in zip((1, 2), found, strict=True):
            slope = oracles.numerical_gradient(
                functools.partial(_energy_by, argument, features, kernel, bias),
                (features, kernel, bias)[argument],
            )
            assert oracles.relative_error(gradient, slope) < 1e-3

    def test_the_fast_path_has_a_gradient_by_the_bias(self):
        features, kernel, bias, _ = problem((3, 4, 2))
        found = [
            jax.jit(jax.grad(energy, 2), static_argnums=3)(
                features, kernel, bias, plain
            )
            for plain in (False, True)
        ]
        assert oracles.relative_error(*found) < TOLERANCE["float32"]

    def test_forward_mode_needs_the_plain_path(self):
        features, kernel, bias, direction = problem((5, 6, 2), channels=2)

        def rise(plain):
            return jax.jvp(
                lambda f: energy(f, kernel, bias, plain), (features,), (direction,)
            )[1]

        slope = oracles.slope(
            functools.partial(_energy_by, 0, features, kernel, bias),
            features,
            direction.astype(float),
        )
        assert rise(True) == pytest.approx(slope, rel=1e-3)
        with pytest.raises(TypeError, match="custom_vjp"):
            rise(False)

    def test_a_batch_by_vmap(self):
        _, kernel, bias, _ = problem((5, 6, 2))
        batch = draw((3, 5, 6, 2), 4)
        found = jax.jit(
            jax.vmap(jax.grad(energy), (0, None, None, None)), static_argnums=3
        )(batch, kernel, bias, False)
        single = jax.jit(jax.grad(energy), static_argnums=3)
        for one, features in zip(found, batch, strict=True):
            expected = single(features, kernel, bias, True)
            assert oracles.relative_error(one, expected) < TOLERANCE["float32"]

    @pytest.mark.parametrize("loop", ["while", "scan", "checkpoint"])
    def test_gradients_in_loops_on_the_device(self, loop):
        features, kernel, bias, _ = problem((5, 6, 2))
        slope = jax.grad(energy)

        def descend(features, kernel, plain):
            down = functools.partial(slope, kernel=kernel, bias=bias, plain=plain)
            if loop == "checkpoint":
                saved = jax.checkpoint(lambda f: energy(f, kernel, bias, plain))
                return features - 1e-3 * jax.grad(saved)(features)
            if loop == "scan":
                return lax.scan(
                    lambda f, _: (f - 1e-3 * down(f), None), features, length=3
                )[0]
            return lax.while_loop(
                lambda carry: carry[1] < 3,
                lambda carry: (carry[0] - 1e-3 * down(carry[0]), carry[1] + 1),
                (features, 0),
            )[0]

        run = jax.jit(descend, static_argnums=2)
        found, expected = run(features, kernel, False), run(features, kernel, True)
        assert oracles.relative_error(found, features) > 1e-3
        assert oracles.relative_error(found, expected) < TOLERANCE["float32"]

    def test_differentiating_through_a_loop_that_convolves(self):
        features, kernel, bias, _ = problem((5, 6, 2), channels=2)

        def deep(features, plain):
            def layer(values, _):
                arrays = (jnp.asarray(array) for array in (values, kernel, bias))
                product = convolution(*arrays, precision="float32", plain=plain)
                return jnp.tanh(product), None

            return jnp.sum(lax.scan(layer, features, length=2)[0] ** 2)

        slope = jax.jit(jax.grad(deep), static_argnums=1)
        found, expected = slope(features, False), slope(features, True)
        assert oracles.relative_error(found, expected) < 1e-5


def _energy_by(argument, features, kernel, bias, value):
    """The energy in float64, `value` in the place of one argument."""
    arguments = [features, kernel, bias]
    arguments[argument] = value
    return np.sum(oracles.convolution(*arguments) ** 2)


class TestPool:
    @pytest.mark.parametrize("plain", [False, True])
    @pytest.mark.parametrize("rounding", ROUNDINGS)
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("shape", [(2, 2, 1), (3, 2, 2), (5, 7, 3), (8, 6, 3)])
    def test_value_and_gradient_against_float64(self, shape, kind, rounding, plain):
        features = draw(shape)  # no ties
        expected = oracles.pool(features, kind, rounding)
        cotangent = draw(expected.shape, 1)
        value, gradient = pool_and_pullback(features, cotangent, kind, rounding, plain)
        slope = oracles.numerical_gradient(
            lambda f: np.sum(cotangent * oracles.pool(f, kind, rounding)), features
        )
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-7)
        assert oracles.relative_error(gradient, slope) < 1e-6

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_smallest_sizes(self, kind):
        pixel = jnp.asarray(draw((1, 1, 2)))
        for rounding, side in (("floor", 0), ("ceil", 1), ("same", 1)):
            found = pool(pixel, kind=kind, rounding=rounding)
            assert found.shape == (side, side, 2)
        np.testing.assert_array_equal(found, pixel)
        row = jnp.asarray(draw((1, 5, 2)))
        found, expected = (
            pool(row, kind=kind, rounding="ceil"),
            oracles.pool(row, kind, "ceil"),
        )
        assert oracles.relative_error(found, expected) < 1e-6

    @pytest.mark.parametrize("rounding", ROUNDINGS)
    @settings(deadline=None, max_examples=20)
    @given(st.integers(0, 2**32 - 1))
    def test_ties_have_one_winner(self, rounding, seed):
        # Few levels: windows tie in two, three and four of their positions.
        drawn = np.random.default_rng(seed).integers(0, 2, (5, 7, 3))
        features = drawn.astype(np.float32)
        expected = oracles.pool(features, "max", rounding)
        cotangent = np.ones(expected.shape, np.float32)
        _, gradient = pool_and_pullback(features, cotangent, "max", rounding, False)
        shares = np.asarray(gradient)
        assert set(np.unique(shares)) <= {0, 1}
        assert np.all(shares <= (features == _widest(expected, features.shape)))
        pooled = oracles.pool(shares, "avg", rounding)
        counts = 1 / oracles.pool(_corners(shares.shape), "avg", rounding)
        np.testing.assert_allclose(pooled * counts, 1)

    def test_a_flat_picture_keeps_the_sum_of_its_gradient(self):
        features, cotangent = np.zeros((6, 8, 2), np.float32), draw((3, 4, 2))
        for plain in (False, True):
            _, gradient = pool_and_pullback(features, cotangent, "max", "floor", plain)
            assert np.sum(gradient) == pytest.approx(np.sum(cotangent), rel=1e-5)
            assert np.count_nonzero(gradient) == cotangent.size

    @pytest.mark.parametrize("plain", [False, True])
    def test_the_winner_of_negative_values_is_no_border(self, plain):
        features = -1 - np.abs(draw((3, 3, 1)))
        ones = np.ones((2, 2, 1), np.float32)
        value, _ = pool_and_pullback(features, ones, "max", "ceil", plain)
        np.testing.assert_array_equal(value, oracles.pool(features, "max", "ceil"))

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_batch_by_vmap(self, kind):
        batch = draw((3, 5, 7, 2))

        def gradient(features, plain):
            def value(f):
                return jnp.sum(pool(f, kind=kind, rounding="ceil", plain=plain) ** 2)

            return jax.grad(value)(features)

        fast, plain = (
            jax.jit(jax.vmap(functools.partial(gradient, plain=plain)))(batch)
            for plain in (False, True)
        )
        np.testing.assert_allclose(fast, plain, rtol=1e-6)

    def test_forward_mode_needs_the_plain_path(self):
        features, direction = draw((4, 6, 2)), draw((4, 6, 2), 1)

        def rise(plain):
            return jax.jvp(
                lambda f: jnp.sum(pool(f, kind="max", rounding="floor", plain=plain)),
                (features,),
                (direction,),
            )[1]

        slope = oracles.slope(
            lambda f: np.sum(oracles.pool(f, "max")), features, direction
        )
        assert rise(True) == pytest.approx(slope, rel=1e-3)
        with pytest.raises(TypeError, match="custom_vjp"):
            rise(False)


def _widest(pooled, shape):
    """Each window's value at each of its positions; infinity where none is."""
    result = np.full(shape, np.inf)
    for i, j in np.ndindex(*pooled.shape[:2]):
        result[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = pooled[i, j]
    return result


def _corners(shape):
    """One at each window's first position: its mean is one over the window's size."""
    result = np.zeros(shape)
    result[::2, ::2] = 1
    return result
