"""Square roots of covariances, and the distance that they give.

The eigenvalues of features' covariances reach over nine orders of magnitude, and
where a layer has fewer positions than channels many are zero. In float32 a
product such as R S R has no digits left for the small ones; its factors have, so
that everything here works on factors, with products alone where it is done in
every step (an eigendecomposition is slow on accelerators).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

# Of the iteration for `polar`: so much more than 1 that small singular values
# grow fast, and so much less than 3^1/2, where the largest would become zero.
_STRETCH = 1.6
_STRETCHED_STEPS, _PLAIN_STEPS = 12, 8
_ATTEMPTS = 12


def root(matrix: Float[Array, "r c c"]) -> Float[Array, "r c c"]:
    """The symmetric square root of each matrix, for what is computed once."""
    values, vectors = jnp.linalg.eigh(matrix)
    # Rounding leaves some of the zeros a little below.
    scaled = vectors * jnp.sqrt(jnp.maximum(values, 0))[:, None, :]
    return product(scaled, vectors.swapaxes(1, 2))


@jax.custom_vjp
def bures(
    matrix: Float[Array, "r c c"], target_root: Float[Array, "r c c"]
) -> Float[Array, "r"]:
    """The trace of S + T - 2 (R S R)^1/2 for each S = `matrix`, T = R^2.

    The squared Bures distance: the least |L - R Q|^2 over orthogonal Q, where
    L L^T = S. So written it is a sum of squares, near T as exact as elsewhere.
    Bhatia, Jain and Lim (2019), "On the Bures-Wasserstein distance".
    """
    return _bures(matrix, target_root)[0]


def _bures(
    matrix: Float[Array, "r c c"], target_root: Float[Array, "r c c"]
) -> tuple[Float[Array, "r"], tuple[Array, Array, Array]]:
    lower = jax.vmap(factor)(matrix)
    turn = polar(product(target_root, lower))
    apart = lower - product(target_root, turn)
    return jnp.sum(apart**2, (1, 2)), (lower, turn, apart)


def _bures_gradient(
    kept: tuple[Array, Array, Array], cotangent: Float[Array, "r"]
) -> tuple[Float[Array, "r c c"], Float[Array, "r c c"]]:
    # The best Q stays the best to first order. By S the slope is I - R Q L^-1,
    # which is (L - R Q) L^-1 and so loses no digits near the target.
    lower, turn, apart = kept
    by_matrix = lax.linalg.triangular_solve(lower, apart, lower=True)
    by_root = -2 * product(apart, turn.swapaxes(1, 2))
    weight = cotangent[:, None, None]
    return weight * _symmetric(by_matrix), weight * _symmetric(by_root)


bures.defvjp(_bures, _bures_gradient)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def iterated(matrix: Float[Array, "r c c"], steps: int) -> Float[Array, "r c c"]:
    """The square root as far as `steps` of Newton and Schulz's iteration bring it.

    For reproducing style-transfer-pytorch, whose twelve do not arrive for what is
    small. Its gradient is that of a root that did: a Lyapunov equation, solved by as
    many steps (Lin and Maji, 2017).
    """
    size = _frobenius(matrix)
    root, inverse = matrix / size, jnp.broadcast_to(_eye(matrix), matrix.shape)
    for _ in range(steps):
        turn = 1.5 * _eye(matrix) - 0.5 * product(inverse, root)
        root, inverse = product(root, turn), product(turn, inverse)
    return root * jnp.sqrt(size)


def _iterated(
    matrix: Float[Array, "r c c"], steps: int
) -> tuple[Float[Array, "r c c"], Float[Array, "r c c"]]:
    root = iterated(matrix, steps)
    return root, root


def _iterated_gradient(
    steps: int, root: Float[Array, "r c c"], cotangent: Float[Array, "r c c"]
) -> tuple[Float[Array, "r c c"]]:
    size = _frobenius(root)
    sign, found = root / size, cotangent / size
    for _ in range(steps):
        turn = 3 * _eye(root) - product(sign, sign)
        mixed = product(sign, found) - product(found, sign)
        found = 0.5 * (product(found, turn) - product(sign.swapaxes(1, 2), mixed))
        sign = 0.5 * product(sign, turn)
    return (0.5 * found,)


iterated.defvjp(_iterated, _iterated_gradient)


def factor(matrix: Float[Array, "c c"]) -> Float[Array, "c c"]:
    """The lower triangular L with L L^T = `matrix`, by Cholesky.

    Rounding leaves covariances with eigenvalues a little below zero. As much as
    the factor needs is added to the diagonal then, beginning with one rounding
    error of the trace.
    """
    identity = jnp.eye(matrix.shape[0], dtype=matrix.dtype)
    about = np.finfo(matrix.dtype)
    rounding = about.eps * jnp.sum(jnp.abs(jnp.diagonal(matrix))) + about.tiny

    def failed(state: tuple[Array, Array, Array]) -> Array:
        attempt, _, lower = state
        return (attempt < _ATTEMPTS) & ~jnp.all(jnp.isfinite(lower))

    def again(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        attempt, added, _ = state
        added = 8 * added + rounding
        return attempt + 1, added, _cholesky(matrix + added * identity)

    start = (jnp.zeros((), int), jnp.zeros_like(rounding), _cholesky(matrix))
    lower: Array = lax.while_loop(failed, again, start)[2]
    return lower


def polar(matrix: Float[Array, "r c c"]) -> Float[Array, "r c c"]:
    """The orthogonal Q for which the trace of Q^T A is largest, for each matrix A.

    By Newton and Schulz's iteration, stretched at first (Chen and Chow, 2014).
    Singular values below a millionth of the largest do not arrive at 1; what
    belongs to them is that much smaller too. Of zero, zero.
    """
    # By the largest entry first: squares of very small or large ones have no float32.
    largest = jnp.max(jnp.abs(matrix), (1, 2), keepdims=True)
    scaled = matrix / jnp.where(largest > 0, largest, 1)
    size = jnp.sqrt(jnp.sum(scaled**2, (1, 2), keepdims=True))
    start = scaled / jnp.where(size > 0, size, 1)

    def step(index: Array, turn: Array) -> Array:
        stretch = jnp.where(index < _STRETCHED_STEPS, _STRETCH, 1.0).astype(turn.dtype)
        square = product(turn.swapaxes(1, 2), turn)
        return 1.5 * stretch * turn - 0.5 * stretch**3 * product(turn, square)

    turn: Array = lax.fori_loop(0, _STRETCHED_STEPS + _PLAIN_STEPS, step, start)
    return turn


def _cholesky(matrix: Float[Array, "c c"]) -> Float[Array, "c c"]:
    return jnp.linalg.cholesky(matrix, symmetrize_input=False)


def _frobenius(matrix: Float[Array, "r c c"]) -> Float[Array, "r 1 1"]:
    return jnp.sqrt(jnp.sum(matrix**2, (1, 2), keepdims=True))


def _eye(matrix: Float[Array, "r c c"]) -> Float[Array, "1 c c"]:
    return jnp.eye(matrix.shape[-1], dtype=matrix.dtype)[None]


def product(left: Array, right: Array) -> Array:
    """The matrix product in the highest precision."""
    return jnp.matmul(left, right, precision=lax.Precision.HIGHEST)


def _symmetric(matrix: Float[Array, "r c c"]) -> Float[Array, "r c c"]:
    return (matrix + matrix.swapaxes(1, 2)) / 2
