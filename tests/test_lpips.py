"""LPIPS beside the authors' program, and what any distance must do."""

import json
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import lpips, pretrained
from nst_jax.errors import RequestError

ROOT = Path(__file__).parents[1]
FOUND = json.loads((ROOT / "tests/data/lpips.json").read_text())
SCRIPT = runpy.run_path(str(ROOT / "scripts/original_lpips.py"))
distance = jax.jit(lpips.distance)


@pytest.fixture(scope="module")
def random():
    """The numbers that the authors' program was given."""
    network = pretrained.load("vgg16", "random", announce=lambda line: None)
    linear = SCRIPT["random_linear"](1)
    layers = dict(zip(lpips.LAYERS, map(jnp.asarray, linear), strict=True))
    return lpips.Perceptual(network.params, layers)


def pairs():
    return [list(map(jnp.asarray, SCRIPT["pair"](*case))) for case in FOUND["cases"]]


def test_it_is_the_authors_number_over_a_random_network(random):
    found = [float(distance(random, *pair)) for pair in pairs()]
    np.testing.assert_allclose(found, FOUND["random"], rtol=1e-4)


def test_it_is_the_authors_number_over_the_true_network():
    try:
        true = pretrained.load_lpips(offline=True, quiet=True)
    except RequestError:
        pytest.skip("the weights of LPIPS are not on this machine")
    found = [float(distance(true, *pair)) for pair in pairs()]
    np.testing.assert_allclose(found, FOUND["true"], rtol=1e-4)


def test_a_picture_is_nowhere_from_itself_and_black_is_no_division(random):
    first, second = pairs()[1]
    assert float(distance(random, first, first)) == pytest.approx(0, abs=1e-9)
    one, other = (
        float(distance(random, *p)) for p in ((first, second), (second, first))
    )
    assert one == pytest.approx(other, rel=1e-5)
    black = jnp.zeros_like(first)
    dead = random._replace(params=jax.tree.map(jnp.zeros_like, random.params))
    assert float(distance(dead, black, first)) == 0


def test_noise_moves_it_away_step_by_step(random):
    first, noisy = pairs()[2]
    found = [
        float(distance(random, first, (1 - share) * first + share * noisy))
        for share in (0.1, 0.3, 1.0)
    ]
    assert 0 < found[0] < found[1] < found[2]
