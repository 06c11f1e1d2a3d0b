"""Roots of covariances against float64, also of matrices that float32 hardly holds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import losses, roots
from nst_jax.moments import covariance, mean, moments
from tests import oracles

jitted_root = jax.jit(roots.root)
jitted_factor = jax.jit(roots.factor)
jitted_polar = jax.jit(roots.polar)
jitted_bures = jax.jit(roots.bures)


def square(size, channels, seed=0):
    """A covariance of rank `size`, at most."""
    rows = np.random.default_rng(seed).normal(size=(size, channels))
    return np.float32(rows.T @ rows / size)


def features(height, width, channels, seed, reach=1e3):
    """Like those of a deep layer: correlated, sparse and in Caffe's range.

    The variances of their directions reach over six orders of magnitude.
    """
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(channels, channels))
    strengths = np.geomspace(1, 1e-3, channels)
    drawn = generator.normal(size=(height, width, channels)) * strengths
    return np.float32(reach * np.maximum(drawn @ mixing - 0.5, 0))


class TestRoot:
    @pytest.mark.parametrize(("size", "channels"), [(5, 1), (50, 8), (10, 64)])
    def test_its_square_is_the_matrix(self, size, channels):
        matrix = np.stack([square(size, channels, seed) for seed in (0, 1)])
        found = np.asarray(jitted_root(matrix), float)
        for one, whole in zip(found, matrix, strict=True):
            assert oracles.relative_error(one @ one, whole) < 1e-5
            np.testing.assert_allclose(one, one.T, atol=1e-5 * np.max(np.abs(one)))
            assert np.linalg.eigvalsh(one)[0] > -1e-5 * np.linalg.norm(one)

    def test_of_zero(self):
        np.testing.assert_array_equal(jitted_root(np.zeros((1, 4, 4), "f4")), 0)


class TestFactor:
    @pytest.mark.parametrize(("size", "channels"), [(50, 8), (10, 64), (3, 16)])
    def test_its_product_is_the_matrix_also_without_full_rank(self, size, channels):
        matrix = square(size, channels)
        found = np.asarray(jitted_factor(matrix), float)
        assert not np.any(np.triu(found, 1))
        assert oracles.relative_error(found @ found.T, matrix) < 1e-5

    def test_nothing_is_added_where_nothing_is_needed(self):
        matrix = square(50, 8)
        cholesky = jax.jit(jnp.linalg.cholesky)(matrix)
        np.testing.assert_array_equal(jitted_factor(matrix), cholesky)

    def test_eigenvalues_below_zero(self):
        values = np.asarray([-1e-3, 0, 1, 2])
        turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))
        found = np.asarray(jitted_factor(np.float32(turn * values @ turn.T)), float)
        added = found @ found.T - turn * values @ turn.T
        assert 1e-3 < added[0, 0] < 2e-2
        np.testing.assert_allclose(added, added[0, 0] * np.eye(4), atol=1e-6)

    @pytest.mark.parametrize("size", [0, 1e-20, 1e20])
    def test_of_any_size(self, size):
        found = np.asarray(jitted_factor(np.full((3, 3), size, np.float32)), float)
        np.testing.assert_allclose(found @ found.T, size, rtol=1e-4, atol=1e-37)

    def test_what_is_not_finite_ends_too(self):
        found = jitted_factor(np.full((3, 3), np.nan, np.float32))
        assert np.isnan(found).any()


class TestPolar:
    @pytest.mark.parametrize("channels", [1, 8, 64])
    def test_orthogonal_and_the_best(self, channels):
        matrix = np.random.default_rng(0).normal(size=(2, channels, channels))
        found = jitted_polar(np.float32(matrix))
        for turn, one in zip(np.asarray(found, float), matrix, strict=True):
            left, _, right = np.linalg.svd(one)
            assert oracles.relative_error(turn, left @ right) < 1e-4
            np.testing.assert_allclose(turn @ turn.T, np.eye(channels), atol=1e-5)

    def test_singular_values_of_six_orders_of_magnitude(self):
        sizes = np.geomspace(1, 1e-6, 64)
        left, right = (
            np.linalg.qr(np.random.default_rng(seed).normal(size=(64, 64)))[0]
            for seed in (0, 1)
        )
        matrix = np.float32(left * sizes @ right)
        found = np.asarray(jitted_polar(matrix[None])[0], float)
        arrived = np.diag(left.T @ found @ right.T)
        assert np.all(arrived[sizes > 1e-5] > 0.98)
        assert np.sum(found * matrix) == pytest.approx(sizes.sum(), rel=1e-5)

    @pytest.mark.parametrize("size", [0, 1e-15, 1e15])
    def test_of_any_size(self, size):
        found = jitted_polar(np.full((1, 2, 2), size, np.float32))
        np.testing.assert_allclose(found[0], 0.5 * (size > 0), atol=1e-5)


class TestBures:
    def test_of_matrices_that_commute(self):
        sizes, goals = np.asarray([4, 9, 0.25, 1]), np.asarray([1, 4, 16, 1])
        found = jitted_bures(
            np.float32(np.diag(sizes))[None], np.float32(np.diag(np.sqrt(goals)))[None]
        )
        expected = np.sum((np.sqrt(sizes) - np.sqrt(goals)) ** 2)
        assert found[0] == pytest.approx(expected, rel=1e-5)

    def test_gradients_by_both(self):
        matrix, target = (square(40, 6, seed).astype(float) for seed in (0, 1))
        root = oracles.symmetric_root(target)

        def expected(matrix, root):
            matrix, root = (matrix + matrix.T) / 2, (root + root.T) / 2
            inner = oracles.symmetric_root(root @ matrix @ root)
            return np.trace(matrix + root @ root - 2 * inner)

        slopes = jax.jit(jax.grad(lambda m, r: 3 * roots.bures(m, r)[0], (0, 1)))(
            np.float32(matrix)[None], np.float32(root)[None]
        )
        by_matrix = oracles.numerical_gradient(lambda m: 3 * expected(m, root), matrix)
        by_root = oracles.numerical_gradient(lambda r: 3 * expected(matrix, r), root)
        assert oracles.relative_error(slopes[0][0], by_matrix) < 1e-3
        assert oracles.relative_error(slopes[1][0], by_root) < 1e-3

    @pytest.mark.parametrize("pair", ["zero", "image", "target", "same"])
    def test_without_any_variance(self, pair):
        full, nothing = square(3, 16)[None], np.zeros((1, 16, 16), np.float32)
        matrix = full if pair in ("target", "same") else nothing
        root = jitted_root(full if pair in ("image", "same") else nothing)
        value, slope = jax.jit(
            jax.value_and_grad(lambda m: roots.bures(m, root).sum())
        )(matrix)
        trace = np.trace(full[0]) * (pair in ("image", "target"))
        assert value == pytest.approx(trace, rel=1e-4, abs=1e-4)
        assert np.all(np.isfinite(slope))

    @pytest.mark.parametrize(
        ("height", "width", "channels", "shift"),
        [(40, 60, 64, 0.03), (9, 7, 128, None), (6, 8, 512, 0.03)],
    )
    def test_features_of_the_true_size(self, height, width, channels, shift):
        # Far from the target, and a few hundredths of the features from it, where
        # (R S R)^1/2 in float32 gives a gradient that points elsewhere.
        painting = jnp.asarray(features(height, width, channels, 1))
        given = features(height, width, channels, 2)
        if shift:
            noise = np.random.default_rng(3).normal(size=painting.shape)
            given = painting + np.float32(shift * np.std(painting) * noise)

        def value(given):
            centre = mean(moments(painting))
            spread = covariance(moments(painting, None, centre))
            target = roots.root(losses.ridged(spread))
            found = covariance(moments(given, None, centre))
            raised = found + (losses.ridged(spread) - spread)
            return roots.bures(raised, target)[0]

        found, gradient = jax.jit(jax.value_and_grad(value))(given)
        trace = np.trace(oracles.covariance(painting))
        expected, slope = oracles.bures(
            np.asarray(given), np.asarray(painting), 1e-4 + 1.2e-7 * trace
        )
        assert found == pytest.approx(expected, rel=0.03)
        assert oracles.relative_error(gradient, slope) < 0.05
