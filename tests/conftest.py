"""Strict modes for every test, and the networks that tests share."""

import importlib.util
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import layers
from nst_jax.arrays import Preprocessing

jax.config.update("jax_numpy_rank_promotion", "raise")

# The comparison with torch is for those who have it.
collect_ignore = [] if importlib.util.find_spec("torch") else ["peer.py"]


@pytest.fixture(scope="session", autouse=True)
def programs(tmp_path_factory):
    """What programs that tests start compile is kept for the others, and not beyond."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # that of all workers
    folder = folder / "compiled"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture
def room(monkeypatch):
    """What the test compiles stays, however much others have compiled before it."""
    from nst_jax import transfer

    monkeypatch.setattr(transfer, "_KINDS", set())


@pytest.fixture(scope="session")
def weights():
    """The true VGG19, by the program's own provisioning."""
    from nst_jax import pretrained

    return pretrained.load("vgg19")


@pytest.fixture(scope="session")
def small_params():
    """A network of VGG19's shape with random numbers, kept to block 3."""
    generator = np.random.default_rng(0)
    params = {}
    for row in layers.up_to(("relu3_1",), "vgg19"):
        if row.kind == "conv":
            shape = (3, 3, row.inputs, row.channels)
            kernel = generator.normal(size=shape) * (2 / (9 * row.inputs)) ** 0.5
            bias = generator.normal(size=row.channels) * 0.1
            params[row.name] = {
                "kernel": jnp.asarray(kernel, jnp.float32),
                "bias": jnp.asarray(bias, jnp.float32),
            }
    return params


@pytest.fixture(scope="session")
def unit_preprocessing():
    """A preprocessing that shifts and scales a little, every entry different."""
    return Preprocessing(
        jnp.float32(2.0),
        jnp.asarray([0.9, 1.0, 1.1], jnp.float32),
        jnp.asarray([0.5, 0.6, 0.7], jnp.float32),
    )
