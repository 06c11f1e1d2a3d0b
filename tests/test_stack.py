"""What the packages below are known to have got wrong."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def test_sums_of_many_small_products_are_right():
    """Fails on jax 0.10.2 on the CPU (jax-ml/jax#39103), which pyproject excludes.

    The last of 2^15 + 1 rows comes out wrong. A sum over all rows hides that
    (2e-5), so each row is looked at: the good releases reach 1e-7.
    """
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(3, 3)).astype(np.float32)
    rows = generator.normal(size=(2**15 + 1, 3)).astype(np.float32)

    def energy(row):
        return jnp.sum(jnp.matmul(matrix, row, precision=lax.Precision.HIGHEST) ** 2)

    found = jax.jit(jax.vmap(energy))(rows)
    products = rows.astype(np.float64) @ matrix.T.astype(np.float64)
    expected = np.sum(products**2, axis=1)
    np.testing.assert_allclose(found, expected, rtol=2e-6)
