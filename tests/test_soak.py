"""Many jobs in one process: what is compiled does not pile up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import transfer


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(transfer, "_KINDS", set())
    monkeypatch.setattr(transfer, "_MOST_KINDS", 2)


def test_compiled_programs_go_when_there_are_too_many_kinds(few):
    @jax.jit
    def double(x):
        return 2 * x

    for size, compiled in ((3, 1), (4, 2), (3, 2), (5, 1)):
        transfer.make_room(size)
        np.testing.assert_array_equal(double(jnp.ones(size)), 2 * np.ones(size))
        assert double._cache_size() == compiled
