"""Waves are the same image, seen by the optimiser at other lengths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import config, optimizers, waves


@pytest.fixture
def picture():
    return jnp.asarray(np.random.default_rng(0).random((13, 18, 3)), jnp.float32)


def test_there_and_back(picture):
    np.testing.assert_allclose(waves.image(waves.waves(picture)), picture, atol=2e-6)
    assert np.abs(waves.waves(picture) - picture).max() > 0.1


def test_the_change_is_its_own_transpose(picture):
    # Then the gradient by the waves is that by the image, changed the same way.
    slope = jax.grad(lambda z: jnp.sum(waves.image(z) * picture))(picture)
    np.testing.assert_allclose(slope, waves.image(picture), atol=2e-6)


def test_a_broad_wave_goes_further_by_the_root_of_its_length():
    rows = np.cos(np.pi * (np.arange(16) + 0.5) / 16)
    fine = np.cos(np.pi * 9 * (np.arange(16) + 0.5) / 16)
    shape = (16, 16, 3)
    factors = []
    for wave in (rows, fine):
        flat = np.broadcast_to(wave[:, None, None], shape).astype(np.float32)
        found = waves.image(jnp.asarray(flat))
        np.testing.assert_allclose(found / flat, found[0, 0, 0] / flat[0, 0, 0], 1e-4)
        factors.append(float(found[0, 0, 0] / flat[0, 0, 0]))
    assert factors[0] / factors[1] == pytest.approx(3, rel=1e-5)


def test_white_noise_keeps_its_size():
    noise = np.random.default_rng(0).standard_normal((64, 48, 3)).astype(np.float32)
    assert np.std(waves.image(jnp.asarray(noise))) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("box", ["step", "end"])
def test_optimisers_reach_the_same_minimum(picture, optimizer, box):
    def loss(image):
        return jnp.sum((image - picture) ** 2 * (1 + picture))

    found = {}
    for basis in ("pixels", "waves"):
        settings = config.OptimizerConfig(optimizer=optimizer, basis=basis, box=box)
        how = optimizers.make(settings)
        image = jnp.full_like(picture, 0.5)
        state, step = how.init(image), jax.jit(how.step, static_argnums=0)
        first = how.step(loss, image, state)
        # The value is that of the image, whatever is moved.
        assert float(first.value) == pytest.approx(float(loss(image)), rel=1e-5)
        for _ in range(200):
            image, state, *_ = step(loss, image, state)
        found[basis] = image
        np.testing.assert_allclose(image, picture, atol=0.02)
    assert np.abs(found["pixels"] - found["waves"]).max() > 0
